import assert from "node:assert/strict";
import {test} from "node:test";
import {APIError} from "../src/api.js";
import {Live} from "../src/live.js";
import {Sight} from "../src/state.js";

const t0 = 1_700_000_000_000;
const at = (t) => [t, 48_000_000, 16_000_000, 0, 0, null, null, null];
const snapshot = {next: 10, properties: [{t: t0, pid: 0, n: "end_time", v: t0 + 3_600_000}]};
const nothing = {next: 10, data: []};

class Stream extends EventTarget {
	static all = [];
	closed = false;
	constructor(url) {
		super();
		this.url = url;
		Stream.all.push(this);
	}
	close() {
		this.closed = true;
	}
	tell(name, data) {
		const event = new Event(name);
		event.data = JSON.stringify(data);
		this.dispatchEvent(event);
	}
}

// rig runs a Live against a server that answers as answer says, on a clock of its own.
function rig(t, {answer = () => nothing, EventSource = Stream, tabs = null} = {}) {
	t.mock.timers.enable({apis: ["setTimeout", "Date"], now: t0});
	Stream.all = [];
	const r = {asked: [], left: [], changes: 0, sight: new Sight(), answer};
	const api = {
		async get(path, query, {signal}) {
			r.asked.push({path, ...query});
			const answered = await r.answer(r.asked.length, signal);
			signal.throwIfAborted();
			return answered;
		},
	};
	r.live = new Live({
		api, EventSource, tabs, code: "ABCD-EFGH", viewer: "v", sight: r.sight, random: () => 0.5,
		clock: {now: () => Date.now()}, changed: () => r.changes++, beacon: (to) => r.left.push(to),
	});
	r.settle = async () => {
		for (let i = 0; i < 20; i++) await Promise.resolve();
	};
	// pass lets time go by, in small steps.
	r.pass = async (ms) => {
		for (let done = 0; done < ms; done += 100) {
			t.mock.timers.tick(100);
			await r.settle();
		}
	};
	r.open = async () => {
		r.live.open();
		await r.settle();
	};
	Object.defineProperty(r, "stream", {get: () => Stream.all.at(-1)});
	r.streams = () => Stream.all.filter((s) => !s.closed).length;
	return r;
}

const refuse = (code, status) => {
	throw new APIError(code, "", status);
};

test("it asks once, then listens, and asks every 20 s", async (t) => {
	const r = rig(t, {answer: (n) => (n === 1 ? snapshot : nothing)});
	await r.open();
	assert.deepEqual(r.asked, [{path: "v2/invites/ABCD-EFGH", next: 0, viewer: "v", uncompressed: true}]);
	assert.equal(r.stream.url, "v2/invites/ABCD-EFGH/stream?next=10&viewer=v");
	r.stream.tell("view", nothing);
	r.stream.tell("view", {next: 12, data: [], location: [at(t0)]});
	assert.equal(r.sight.head.t, t0);
	await r.pass(19_900);
	assert.equal(r.asked.length, 1);
	await r.pass(200);
	assert.equal(r.asked.length, 2);
	assert.equal(r.asked[1].next, 12);
	assert.equal(r.streams(), 1);
});

test("without streams it asks every 2 s, and seldom while the location is hidden", async (t) => {
	const r = rig(t, {EventSource: null, answer: () => snapshot});
	await r.open();
	await r.pass(10_000);
	assert.equal(r.asked.length, 6);
	r.answer = () => ({next: 11, data: [{t: t0, pid: 0, n: "visibility", v: {location: "hidden"}}]});
	await r.pass(2_000);
	const before = r.asked.length;
	await r.pass(20_000);
	assert.equal(r.asked.length - before, 2);
});

test("a stream that fails twice gives way to polls, and is tried again later", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	r.stream.onerror();
	await r.pass(200);
	assert.equal(Stream.all.length, 2);
	r.stream.onerror();
	await r.pass(400);
	const before = r.asked.length;
	assert.equal(r.streams(), 0);
	await r.pass(10_000);
	assert.equal(r.asked.length - before, 5);
	assert.equal(r.sight.lostSince, null);
	await r.pass(55_000);
	assert.equal(r.streams(), 1);
});

test("a stream that is held up on its way counts as failed", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	await r.pass(8_000);
	assert.equal(Stream.all[0].closed, true);
	await r.pass(300);
	assert.equal(Stream.all.length, 2);
});

test("a stream that lasted and ended is opened again at once, however often", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	for (let i = 1; i <= 5; i++) {
		r.stream.tell("view", nothing);
		await r.pass(11_000);
		r.stream.onerror();
		await r.pass(200);
		assert.equal(Stream.all.length, i + 1);
	}
});

test("a stream that brings nothing while polls do is given up", async (t) => {
	const r = rig(t, {answer: (n) => (n === 1 ? snapshot : {next: 10 + n, data: [], location: [at(t0 + n)]})});
	await r.open();
	r.stream.tell("view", nothing);
	const first = r.stream;
	await r.pass(20_100);
	assert.equal(first.closed, false);
	await r.pass(20_100);
	assert.equal(first.closed, true);
});

test("when the connection breaks it says since when, tries ever more seldom, and comes back", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	r.stream.tell("view", nothing);
	await r.pass(5_000);
	r.answer = () => refuse("network", 0);
	r.stream.onerror();
	await r.pass(200);
	assert.ok(r.sight.lostSince >= t0 + 5_000 && r.sight.lostSince <= t0 + 5_200);
	assert.equal(r.sight.phase(Date.now()), "lost");
	const since = r.sight.lostSince, before = r.asked.length;
	await r.pass(60_000);
	const tries = r.asked.length - before;
	assert.ok(tries >= 5 && tries <= 9, `${tries} tries`);
	assert.equal(r.sight.lostSince, since);
	r.answer = () => nothing;
	r.live.retry();
	await r.settle();
	assert.equal(r.sight.lostSince, null);
	assert.equal(r.streams(), 1);
});

test("one poll that fails beside a stream that is well changes nothing", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	r.stream.tell("view", nothing);
	r.answer = (n) => (n === 2 ? refuse("network", 0) : nothing);
	await r.pass(20_100);
	assert.equal(r.sight.lostSince, null);
	assert.equal(r.streams(), 1);
	await r.pass(2_000);
	assert.equal(r.asked.length, 3);
});

test("a server that asks for patience gets it", async (t) => {
	const r = rig(t, {answer: () => {
		throw new APIError("busy", "", 503, 30_000);
	}});
	await r.open();
	await r.pass(29_000);
	assert.equal(r.asked.length, 1);
	await r.pass(1_500);
	assert.equal(r.asked.length, 2);
});

test("an unknown code ends everything", async (t) => {
	const r = rig(t, {answer: () => refuse("invite_code", 404)});
	await r.open();
	assert.equal(r.sight.phase(t0), "unknown");
	r.live.open();
	r.live.close();
	await r.pass(120_000);
	assert.equal(r.asked.length, 1);
	assert.equal(Stream.all.length, 0);
	assert.deepEqual(r.left, []);
});

test("gone ends the stream and the polls", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	r.stream.tell("gone", {});
	assert.equal(r.sight.gone, true);
	await r.pass(60_000);
	assert.equal(r.asked.length, 1);
	assert.equal(r.streams(), 0);
});

test("refresh asks for what is new, once for many", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	r.stream.tell("view", nothing);
	for (let i = 0; i < 5; i++) r.stream.tell("refresh", {});
	await r.pass(1_000);
	assert.equal(r.asked.length, 3); // one at once, one for all that came meanwhile
});

test("a page of many is followed by the next at once", async (t) => {
	const r = rig(t, {answer: (n) => (n === 1 ? {...snapshot, more: true} : nothing)});
	await r.open();
	await r.pass(100);
	assert.equal(r.asked.length, 2);
});

test("what a refresh has it fetch does not count against the stream", async (t) => {
	const r = rig(t, {answer: (n) => (n === 1 ? snapshot : {next: 10 + n, data: [], location: [at(t0 + n)]})});
	await r.open();
	r.stream.tell("view", nothing);
	for (let i = 0; i < 3; i++) {
		r.stream.tell("refresh", {});
		await r.pass(1_000);
	}
	assert.equal(r.asked.length, 4);
	assert.equal(Stream.all.length, 1);
});

test("after the end it listens no more and asks seldom", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	r.stream.tell("view", {next: 12, data: [{t: t0, pid: 0, n: "expired", v: true}]});
	assert.equal(r.streams(), 0);
	r.answer = () => nothing;
	await r.pass(20_100);
	assert.equal(r.asked.length, 2);
	await r.pass(180_000);
	assert.equal(r.asked.length, 5);
	assert.equal(r.streams(), 0);
});

test("when time is up it asks whether that is so", async (t) => {
	const ends = {next: 10, properties: [{t: t0, pid: 0, n: "end_time", v: t0 + 5_000}]};
	const r = rig(t, {answer: () => ends});
	await r.open();
	r.stream.tell("view", nothing);
	r.answer = () => ({next: 11, data: [{t: t0 + 5_000, pid: 0, n: "expired", v: true}]});
	await r.pass(5_500);
	assert.equal(r.asked.length, 2);
	assert.equal(r.sight.ended, true);
	assert.equal(r.streams(), 0);
});

test("who does not look leaves, hears nothing, and comes back to what was missed", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	r.stream.tell("view", {next: 15, data: []});
	r.live.close();
	r.live.close();
	assert.deepEqual(r.left, ["v2/invites/ABCD-EFGH/leave?viewer=v"]);
	assert.equal(r.streams(), 0);
	await r.pass(60_000);
	assert.equal(r.asked.length, 1);
	r.answer = () => ({next: 16, data: []});
	await r.open();
	assert.equal(r.asked[1].next, 15);
	assert.equal(r.streams(), 1);
});

test("an answer that comes after leaving is not heard", async (t) => {
	let give;
	const r = rig(t, {answer: () => new Promise((resolve) => (give = resolve))});
	await r.open();
	r.live.close();
	give(snapshot);
	await r.settle();
	assert.equal(r.sight.known, false);
	assert.equal(Stream.all.length, 0);
	await r.pass(60_000);
	assert.equal(r.asked.length, 1);
});

test("what a closed stream still says is not heard", async (t) => {
	const r = rig(t, {answer: () => snapshot});
	await r.open();
	const old = r.stream;
	r.live.close();
	old.tell("view", {next: 99, data: []});
	old.tell("gone", {});
	old.onerror();
	await r.pass(10_000);
	assert.equal(r.sight.next, 10);
	assert.equal(r.sight.gone, false);
	assert.equal(r.asked.length, 1);
});

test("who is far behind catches up before listening", async (t) => {
	const r = rig(t, {answer: (n) => (n < 5 ? {...nothing, more: true} : nothing)});
	await r.open();
	await r.pass(100);
	assert.equal(Stream.all.length, 0);
	await r.pass(2_000);
	assert.equal(r.asked.length, 5);
	assert.equal(Stream.all.length, 1);
});

test("who stays in one tab says so when another has left", async (t) => {
	const tabs = new EventTarget(), told = [];
	tabs.postMessage = (data) => told.push(data);
	const r = rig(t, {tabs});
	await r.open();
	tabs.dispatchEvent(Object.assign(new Event("message"), {data: "v2/invites/2222-2222"}));
	await r.pass(2_000);
	assert.equal(r.asked.length, 1);
	tabs.dispatchEvent(Object.assign(new Event("message"), {data: "v2/invites/ABCD-EFGH"}));
	await r.pass(2_000);
	assert.equal(r.asked.length, 2);
	r.live.close();
	assert.deepEqual(told, ["v2/invites/ABCD-EFGH"]);
	tabs.dispatchEvent(Object.assign(new Event("message"), {data: "v2/invites/ABCD-EFGH"}));
	await r.pass(2_000);
	assert.equal(r.asked.length, 2);
});

test("who comes back at once says so again, lest the farewell be heard last", async (t) => {
	const r = rig(t);
	await r.open();
	r.live.close();
	await r.open();
	assert.equal(r.asked.length, 2);
	await r.pass(1_500);
	assert.equal(r.asked.length, 3);
	r.live.close();
	await r.pass(5_000);
	await r.open();
	await r.pass(1_500);
	assert.equal(r.asked.length, 4);
});
