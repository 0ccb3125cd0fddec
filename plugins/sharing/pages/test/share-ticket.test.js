import assert from "node:assert/strict";
import {test} from "node:test";
import {APIError} from "../src/api.js";
import {maxBatch, maxWaiting, Share} from "../src/share-ticket.js";

// A Server is one ticket of the API, as far as a sharer sees it. It can be cut off, before or
// after it has taken a request.
class Server {
	time = 1_000_000;
	points = new Map();
	rows = new Map();
	items = [];
	asked = [];
	cut = () => "";
	ticket = {id: "1", state: "active", end_time: 5_000_000, visibility: {location: "visible"}};

	call = async (method, path, {query = {}, body, form = {}} = {}) => {
		const cut = this.cut(path);
		if (cut === "before") throw new APIError("network");
		if (cut instanceof Error) throw cut;
		this.asked.push(path);
		const answer = this.answer(path, query, body, form);
		if (cut === "after") throw new APIError("network");
		return answer;
	};

	answer(path, query, body, form) {
		const name = path.split("/").at(-1);
		switch (name) {
			case "append_location":
				for (const [i, row] of body.entries()) {
					if (Math.abs(row[1]) > 90e6) throw new APIError("bad_point", `index ${i}: latitude: out of range`, 400);
				}
				for (const row of body) if (!this.points.has(row[0])) this.points.set(row[0], row);
				return this.changes(query.since);
			case "invites": return this.changes(query.since);
			case "append_data":
				for (const [i, row] of body.entries()) {
					if (row.v === "bad") throw new APIError("bad_property", `index ${i}: v: bad`, 400);
				}
				for (const row of body) this.rows.set(row.n, row.v);
				return {stored: body.length};
			case "update": this.ticket = {...this.ticket, end_time: this.time + Number(form.duration)}; return this.ticket;
			case "expire": this.ticket = {...this.ticket, state: "expired", end_time: this.time}; return this.ticket;
			case "create_invite": return {id: "C", ticket_id: "1", state: "active", viewers: 0, viewing: 0, ...form};
			case "1": return this.ticket;
		}
		return {};
	}

	changes(since) {
		const all = since === 0;
		return {items: this.items.splice(0), last_refresh: since + 1, ...(all && {full: true})};
	}

	share(options) {
		return new Share(this.ticket, {call: this.call, now: () => this.time, ...options});
	}
}

const position = (t) => ({t, lat: 48, lng: 16, speed: 1, heading: 2, altitude: 3, accuracy: 4});

// Random numbers below 1, by xorshift, so that a failure can be seen again.
function random(seed) {
	let state = seed * 7919;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) / 2 ** 32;
	};
}

test("no position is lost or told twice, however the connection fails", async () => {
	for (let seed = 1; seed <= 50; seed++) {
		const server = new Server(), chance = random(seed);
		let share = server.share();
		const want = [];
		server.cut = () => (chance() < 0.3 ? "before" : chance() < 0.3 ? "after" : "");
		for (let i = 0; i < 100; i++) {
			server.time += 1000;
			for (let n = Math.floor(chance() * 4); n > 0; n--) {
				share.addPoint(position(server.time));
				want.push(share.points.at(-1));
			}
			share.setProperty("eta", i);
			await share.step();
			if (chance() < 0.1) { // the page is loaded anew
				const kept = JSON.parse(JSON.stringify(share.unsent()));
				share = server.share();
				share.takeUnsent(kept);
			}
		}
		server.cut = () => "";
		for (let i = 0; i < 3; i++) await share.step();
		assert.deepEqual([...server.points.values()], want, `seed ${seed}`);
		assert.equal(server.rows.get("eta"), 99);
		assert.equal(share.waiting, 0);
	}
});

test("two positions of the same moment become two moments", () => {
	const share = new Server().share();
	for (const t of [1000, 1000, 999.6, 5000]) share.addPoint(position(t));
	assert.deepEqual(share.points.map((row) => row[0]), [1000, 1001, 1002, 5000]);
});

test("a long way is uploaded in batches, and one that never ends is bounded", async () => {
	const server = new Server(), share = server.share();
	for (let i = 1; i <= maxWaiting + 10; i++) share.addPoint(position(i));
	assert.equal(share.points.length, maxWaiting);
	assert.equal(share.givenUp, 10);
	assert.equal(await share.step(), 100);
	assert.equal(server.points.size, maxBatch);
});

test("a row that the server refuses does not hold up the others", async () => {
	const server = new Server(), share = server.share();
	share.setProperty("name", "Ann");
	share.setProperty("message", "bad");
	share.addPoint(position(1));
	share.addPoint({...position(2), lat: 91});
	share.addPoint(position(3));
	for (let i = 0; i < 4; i++) await share.step();
	assert.deepEqual([...server.points.keys()], [1, 3]);
	assert.deepEqual([...server.rows], [["name", "Ann"]]);
	assert.equal(share.givenUp, 1);
	assert.equal(share.failures, 0);
});

test("a property that changes while it is uploaded is uploaded again", async () => {
	const server = new Server(), share = server.share();
	share.setProperty("message", "one");
	const {call} = share;
	share.call = async (...args) => {
		const answer = await call(...args);
		if (args[1].endsWith("append_data") && server.rows.get("message") === "one") share.setProperty("message", "two");
		return answer;
	};
	await share.step();
	assert.equal(share.waiting, 1);
	await share.step();
	assert.equal(server.rows.get("message"), "two");
	assert.equal(share.waiting, 0);
});

test("the longer a connection is lost the less often it is tried, and a busy server is left alone", async () => {
	const server = new Server(), share = server.share();
	share.addPoint(position(1));
	server.cut = () => "before";
	const waits = [];
	for (let i = 0; i < 7; i++) waits.push(await share.step());
	assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
	server.cut = () => new APIError("busy", "busy", 503, 45_000);
	assert.equal(await share.step(), 45_000);
	server.cut = () => "";
	assert.equal(await share.step(), 1000);
	assert.equal(share.failures, 0);
});

test("invites of the ticket are followed, those of others are not", async () => {
	const server = new Server(), share = server.share();
	const invite = (id, more) => ({id, ticket_id: "1", state: "active", viewers: 0, viewing: 0, ...more});
	server.items = [invite("A", {viewers: 2, viewing: 1}), invite("B"), invite("X", {ticket_id: "2", viewers: 9, viewing: 9})];
	await share.step();
	assert.deepEqual([[...share.invites.keys()], share.viewers, share.viewing], [["A", "B"], 2, 1]);
	server.time += 3000;
	server.items = [invite("A", {viewers: 2, viewing: 0}), invite("B", {state: "deleted"})];
	await share.step();
	assert.deepEqual([[...share.invites.keys()], share.viewers, share.viewing], [["A"], 2, 0]);
	server.time += 1000;
	await share.step();
	assert.equal(server.asked.length, 2, "it polls every three seconds");
});

test("an invite that names the sharer knows the name", async () => {
	const server = new Server(), share = server.share();
	share.setProperty("name", "Ann");
	await share.invite({type: "email"});
	assert.deepEqual(server.asked, ["v2/tickets/1/append_data", "v2/tickets/1/create_invite"]);
	assert.equal(share.invites.get("C").type, "email");
});

test("the end is noticed, whoever brings it about", async () => {
	const byClock = new Server(), first = byClock.share();
	byClock.time = byClock.ticket.end_time;
	byClock.ticket = {...byClock.ticket, state: "expired"};
	await first.step();
	assert.equal(first.ticket.state, "expired");

	const byOther = new Server(), second = byOther.share();
	second.addPoint(position(1));
	byOther.cut = () => new APIError("ticket_expired", "the ticket has expired", 409);
	await second.step();
	assert.equal(second.ticket.state, "expired");

	const byHand = new Server();
	let told = 0;
	const third = byHand.share({changed: () => told++});
	await third.stop();
	assert.deepEqual([third.over, told], [true, 1]);

	const byInvite = new Server(), fourth = byInvite.share();
	byInvite.items = [{id: "A", ticket_id: "1", state: "expired", viewers: 0, viewing: 0}];
	byInvite.ticket = {...byInvite.ticket, state: "expired"};
	await fourth.step();
	assert.equal(fourth.ticket.state, "expired");
});

test("an extension counts from what is left", async () => {
	const server = new Server(), share = server.share();
	await share.extend(900_000);
	assert.equal(share.ticket.end_time, 5_900_000);
});

test("what was kept of another ticket, or is no such thing, is left alone", () => {
	for (const kept of [null, 7, {}, {ticket: "2", points: [[1]], rows: []}, {ticket: "1", points: 5, rows: []}]) {
		const share = new Server().share();
		share.takeUnsent(kept);
		assert.equal(share.waiting, 0);
	}
});
