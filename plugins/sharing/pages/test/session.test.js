import assert from "node:assert/strict";
import {test} from "node:test";
import {load, Session, storageOf, store} from "../src/session.js";

// A server that answers each path with a status and an envelope, and notes what it was asked.
function serverOf(answers) {
	const asked = [];
	const fetch = async (target, {method, headers, body}) => {
		asked.push({method, target, token: headers.Authorization, form: body && Object.fromEntries(body)});
		const {status = 200, response = {}, error} = answers[target];
		const text = error ? {result: "failure", response: {}, meta: {error, error_detail: error}} : {result: "ok", response, meta: {time: 1}};
		return new Response(JSON.stringify(text), {status});
	};
	return {asked, fetch};
}

const memory = () => storageOf({});

test("a login is kept for the tab, and told with each call", async () => {
	const storage = memory();
	const server = serverOf({
		"v2/account/login": {response: {access_token: "T"}},
		"v2/users/self": {response: {name: "Ann"}},
	});
	const session = new Session({storage, fetch: server.fetch, apiKey: "K"});
	assert.equal(session.loggedIn, false);
	await session.login("K", "ann", "secret");
	assert.deepEqual(server.asked[0], {
		method: "POST", target: "v2/account/login", token: undefined,
		form: {api_key: "K", id: "ann", password: "secret", device: "share page"},
	});
	assert.deepEqual(await session.call("GET", "v2/users/self"), {name: "Ann"});
	assert.equal(server.asked[1].token, "Bearer T");

	const reloaded = new Session({storage, fetch: server.fetch});
	assert.deepEqual([reloaded.token, reloaded.account, reloaded.apiKey], ["T", "ann", "K"]);
	assert.doesNotMatch(JSON.stringify(load(storage, "edgeset.session")), /secret/);
});

test("a token that the server refuses is forgotten, once", async () => {
	const storage = memory();
	store(storage, "edgeset.session", {token: "old", account: "ann", apiKey: "K"});
	const server = serverOf({"v2/users/self": {status: 401, error: "token_expired"}});
	let ended = 0;
	const session = new Session({storage, fetch: server.fetch, ended: () => ended++});
	await Promise.all([1, 2].map(() => assert.rejects(session.call("GET", "v2/users/self"), {code: "token_expired"})));
	assert.equal(ended, 1);
	assert.equal(session.loggedIn, false);
	assert.equal(new Session({storage}).loggedIn, false);
});

test("a login that is refused leaves nobody logged in", async () => {
	const server = serverOf({"v2/account/login": {status: 401, error: "access_denied"}});
	let ended = 0;
	const session = new Session({storage: memory(), fetch: server.fetch, ended: () => ended++});
	await assert.rejects(session.login("K", "ann", "wrong"), {code: "access_denied"});
	assert.deepEqual([session.loggedIn, ended], [false, 0]);
});

test("logging out forgets at once, and tells the server which token", async () => {
	const storage = memory();
	store(storage, "edgeset.session", {token: "T", account: "ann", apiKey: "K"});
	const server = serverOf({"v2/account/logout": {status: 500, error: "internal"}});
	const session = new Session({storage, fetch: server.fetch});
	const done = session.logout();
	assert.equal(session.loggedIn, false);
	await done;
	assert.equal(server.asked[0].token, "Bearer T");
	assert.equal(new Session({storage}).apiKey, "K");
});

test("what cannot be read from the storage is as if it was never there", () => {
	for (const text of ["", "{", "null", "7", '{"token":5,"apiKey":{}}']) {
		const storage = memory();
		storage.setItem("edgeset.session", text);
		const session = new Session({storage, apiKey: "K"});
		assert.deepEqual([session.token, session.apiKey], ["", "K"]);
	}
	const blocked = {get sessionStorage() { throw new Error("blocked"); }};
	assert.equal(storageOf(blocked).getItem("x"), null);
});
