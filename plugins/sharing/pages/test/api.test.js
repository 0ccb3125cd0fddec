import assert from "node:assert/strict";
import {test} from "node:test";
import {API, APIError, unwrap, url} from "../src/api.js";
import {pictureURL} from "../src/avatar.js";
import {Clock} from "../src/clock.js";
import {readConfig} from "../src/config.js";

test("a success is unwrapped, with the server's time", () => {
	assert.deepEqual(unwrap(200, '{"result":"ok","response":{"a":1},"meta":{"time":5}}'), {response: {a: 1}, time: 5});
});

test("a refusal is an error with its code and words", () => {
	const refusal = '{"result":"failure","response":{},"meta":{"error":"invite_code","error_detail":"there is no such invite","time":5}}';
	assert.throws(() => unwrap(404, refusal), (e) => e instanceof APIError && e.code === "invite_code" && e.status === 404 && e.message === "there is no such invite");
});

test("what is not the API's answer is an error, too", () => {
	for (const text of ["", "<html>", "null", "[]", "{}", '{"result":"ok"}', '{"result":"ok","response":null}', '{"result":"failure","meta":{"error":7}}']) {
		assert.throws(() => unwrap(502, text), (e) => e.code === "answer" && e.status === 502, text);
	}
	assert.throws(() => unwrap(500, '{"result":"ok","response":{}}'), {code: "answer"});
});

test("a query has what is not empty, escaped", () => {
	assert.equal(url("v2/x", {a: "b&c", next: 0, none: undefined, nil: null, empty: ""}), "v2/x?a=b%26c&next=0");
	assert.equal(url("v2/x"), "v2/x");
});

test("a call sends its token and body, and sets the clock", async () => {
	const calls = [], clock = new Clock(() => 1000);
	const fetch = async (to, options) => {
		calls.push([to, options]);
		return new Response('{"result":"ok","response":{"stored":2},"meta":{"time":900000}}');
	};
	const api = new API({clock, token: () => "T", fetch});
	assert.deepEqual(await api.post("v2/tickets/1/append_data", {since: 0}, [{n: "x"}]), {stored: 2});
	const [to, {method, headers, body}] = calls[0];
	assert.equal(to, "v2/tickets/1/append_data?since=0");
	assert.deepEqual([method, headers.Authorization, headers["Content-Type"], body], ["POST", "Bearer T", "application/json", '[{"n":"x"}]']);
	assert.ok(Math.abs(clock.now() - 1000) > 1000);
});

test("no answer is an error of the network, and giving up is not", async () => {
	const broken = new API({fetch: async () => {
		throw new TypeError("failed");
	}});
	await assert.rejects(broken.get("v2/x"), {code: "network"});
	const waiting = new API({timeout: 20, fetch: (_, {signal}) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))});
	const awake = setInterval(() => {}, 1000); // the timer of a signal keeps no process alive
	await assert.rejects(waiting.get("v2/x"), {code: "network", message: /in time/});
	clearInterval(awake);
	const given = new AbortController();
	const call = waiting.get("v2/x", {}, {signal: given.signal, timeout: 60_000});
	given.abort();
	await assert.rejects(call, {name: "AbortError"});
});

test("the clock is the server's, and a slow answer does not unsettle it", () => {
	let local = 0;
	const clock = new Clock(() => local);
	clock.set(1_000_050, 0, 100);
	assert.equal(clock.now(), 1_000_000);
	clock.set(1_003_000, 0, 4000); // says 1_001_000, give or take 2000
	assert.equal(clock.now(), 1_000_000);
	clock.set(2_000_000, 0, 4000); // the clocks have moved apart
	assert.equal(clock.now(), 1_998_000);
	clock.set(NaN, 0, 1);
	clock.set(5, 10, 1);
	assert.equal(clock.now(), 1_998_000);
	local = 500;
	assert.equal(clock.now(), 1_998_500);
});

test("the configuration of a page is read with care", () => {
	const none = {service: "edgeset", code: "", apiKey: "", tiles: null};
	for (const text of [undefined, "", "{{config}}", "null", "[]", "7", '{"service":"","tiles":{},"code":5}', '{"tiles":{"url":""}}']) assert.deepEqual(readConfig(text), none, text);
	assert.deepEqual(readConfig('{"service":"Where","code":"ABCD-EFGH","api_key":"k","tiles":{"url":"https://t/{z}/{x}/{y}.png","attribution":"<b>©</b>","max_zoom":17}}'), {
		service: "Where", code: "ABCD-EFGH", apiKey: "k", tiles: {url: "https://t/{z}/{x}/{y}.png", attribution: "<b>©</b>", maxZoom: 17},
	});
	assert.equal(readConfig('{"tiles":{"url":"x","max_zoom":99}}').tiles.maxZoom, 19);
});

test("only pictures are shown as pictures", () => {
	for (const good of ["https://example.com/a.png", "data:image/png;base64,AAAA", "DATA:image/JPEG;base64,AAAA"]) assert.notEqual(pictureURL(good), "", good);
	for (const bad of [null, 5, "", "a.png", "//example.com/a", "http://example.com/a.png", "javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "data:image/svg+xml,<svg/>", "blob:https://x/y", "file:///etc/passwd"]) {
		assert.equal(pictureURL(bad), "", String(bad));
	}
});
