import assert from "node:assert/strict";
import {test} from "node:test";
import {formats} from "../src/format.js";
import {Sight} from "../src/state.js";
import {arrival, notice, position, title} from "../src/words.js";

const t0 = 1_700_000_000_000, min = 60_000;
const row = (n, v, t = t0, pid = 0) => ({t, pid, n, v});
const at = (t, lat = 48_000_000) => [t, lat, 16_000_000, 100, 90, null, null, null];
const snapshot = (more = {}) => ({type: "ticket_invite", next: 10, properties: [row("owner", "O"), row("start_time", t0), row("end_time", t0 + 60 * min)], uncompressed: true, ...more});
const increment = (more = {}) => ({type: "ticket_invite", next: 11, data: [], uncompressed: true, ...more});

function sightOf(...answers) {
	const sight = new Sight();
	for (const answer of answers) sight.apply(answer);
	return sight;
}

test("the states follow one another as the ticket goes on", () => {
	const sight = new Sight();
	assert.equal(sight.phase(t0), "loading");
	sight.apply(snapshot());
	assert.equal(sight.phase(t0), "waiting");
	sight.apply(increment({location: [at(t0)]}));
	assert.equal(sight.phase(t0 + 2 * min), "live");
	assert.equal(sight.phase(t0 + 2 * min + 1), "stale");
	sight.apply(increment({data: [row("visibility", {location: "hidden"}, t0 + min)]}));
	assert.equal(sight.phase(t0 + min), "hidden");
	sight.apply(snapshot({properties: [row("visibility", {location: "visible"}, t0 + 2 * min)], location: [at(t0), at(t0 + 2 * min)], last: t0 + 2 * min}));
	assert.equal(sight.phase(t0 + 2 * min), "live");
	sight.lostSince = t0 + 2 * min;
	assert.equal(sight.phase(t0 + 3 * min), "lost");
	sight.lostSince = null;
	sight.apply(increment({data: [row("end_time", t0 + 3 * min, t0 + 3 * min), row("expired", true, t0 + 3 * min)]}));
	assert.equal(sight.phase(t0 + 3 * min), "expired");
	sight.gone = true;
	assert.equal(sight.phase(t0 + 3 * min), "unknown");
});

test("the end comes by the clock, and an extension puts it off", () => {
	const sight = sightOf(snapshot({location: [at(t0 + 59 * min)]}));
	assert.equal(sight.phase(t0 + 60 * min - 1), "live");
	assert.equal(sight.phase(t0 + 60 * min), "expired");
	assert.equal(sight.ended, false);
	sight.apply(increment({data: [row("end_time", t0 + 90 * min, t0 + 59 * min)]}));
	assert.equal(sight.phase(t0 + 60 * min), "live");
});

test("what is hidden is not kept", () => {
	const sight = sightOf(snapshot({location: [at(t0)]}), increment({data: [row("visibility", {location: "hidden"}, t0 + 1)], location: [at(t0 + 1)]}));
	assert.deepEqual(sight.points, []);
	assert.equal(sight.head, null);
	sight.apply(increment({location: [at(t0 + 2)]}), true);
	assert.deepEqual(sight.points, []);
});

test("points come in any order and more than once, and stand in the order of their times", () => {
	const sight = sightOf(snapshot({location: [at(t0 + 2000), at(t0 + 3000)]}));
	assert.equal(sight.apply(increment({location: [at(t0 + 1000), at(t0 + 3000, 1), at(t0 + 4000)]})), 2);
	assert.deepEqual(sight.points.map((p) => p.t - t0), [1000, 2000, 3000, 4000]);
	assert.equal(sight.points[2].lat, 48);
	const same = sight.points;
	assert.equal(sight.apply(increment({location: [at(t0 + 1000)]})), 0);
	assert.equal(sight.points, same);
});

test("the trail is that of the last ten minutes", () => {
	const sight = sightOf(snapshot({location: [at(t0), at(t0 + min)]}), increment({location: [at(t0 + 10 * min)]}));
	assert.deepEqual(sight.points.map((p) => p.t - t0), [0, min, 10 * min]);
	sight.apply(increment({location: [at(t0 + 10 * min + 1)]}));
	assert.deepEqual(sight.points.map((p) => p.t - t0), [min, 10 * min, 10 * min + 1]);
	sight.apply(increment({location: Array.from({length: 1500}, (_, i) => at(t0 + 11 * min + i))}));
	assert.equal(sight.points.length, 1000);
	assert.equal(sight.head.t, t0 + 11 * min + 1499);
});

test("a snapshot replaces what was known, but for points newer than itself", () => {
	const sight = sightOf(snapshot({properties: [row("message", "old"), row("visibility", {location: "visible"})], location: [at(t0)], last: t0}));
	sight.apply(increment({location: [at(t0 + 5000)]}), true);
	sight.apply(snapshot({properties: [row("name", "Ann")], location: [at(t0 + 1000)], last: t0 + 1000}));
	assert.equal(sight.message, "");
	assert.equal(sight.name, "Ann");
	assert.deepEqual(sight.points.map((p) => p.t - t0), [1000, 5000]);
});

test("of a property the latest counts, and of equals the one told last", () => {
	const sight = sightOf(snapshot());
	for (const [t, v, want] of [[5, "five", "five"], [4, "four", "five"], [5, "five again", "five again"], [6, 7, ""]]) {
		sight.apply(increment({data: [row("message", v, t), row("message", "another's", 99, 1)]}));
		assert.equal(sight.message, want);
	}
});

test("a cursor goes back with a poll only", () => {
	const sight = sightOf(snapshot({next: 50}));
	sight.apply(increment({next: 40}), true);
	assert.equal(sight.next, 50);
	sight.apply(increment({next: undefined}), true);
	assert.equal(sight.next, 50);
	sight.apply(increment({next: 60}), true);
	assert.equal(sight.next, 60);
	sight.apply(increment({next: 55}));
	assert.equal(sight.next, 55);
	for (const next of [-1, 1.5, "70", null, 2 ** 53]) sight.apply(increment({next}));
	assert.equal(sight.next, 55);
});

test("the way that is left is told of the last point, and the arrival of eta", () => {
	const sight = sightOf(snapshot({location: [at(t0)]}), increment({data: [
		row("destination", {lat: 48.1, lng: 16, name: "Home"}), row("eta", {eta: 10 * min, eta_ts: t0 + min}),
	]}));
	assert.ok(Math.abs(sight.toGo - 11_119) < 5, `${sight.toGo}`);
	assert.equal(sight.arrival, t0 + 11 * min);
	sight.apply(increment({data: [row("eta", {eta: 5 * min}, t0 + 2 * min)]}));
	assert.equal(sight.arrival, t0 + 7 * min);
	for (const v of [null, 5, "soon", {eta: "1"}, {eta: -1}, {eta: 1e15}]) {
		sight.apply(increment({data: [row("eta", v, t0 + 3 * min)]}));
		assert.equal(sight.arrival, null, JSON.stringify(v));
	}
});

test("nothing that a sharer sends breaks the page", () => {
	const odd = [null, undefined, 5, "x", [], {}, NaN, true, {toString: 1}, [[[]]], "x".repeat(5000), {location: {}}, {lat: {}, lng: []}];
	const words = formats("en");
	for (const v of odd) {
		const sight = sightOf(v, snapshot({location: [at(t0), v]}));
		for (const answer of [{properties: v}, {data: v}, {location: v}, {next: v}, {data: [v]}, {location: [v]}]) sight.apply(answer);
		for (const n of ["name", "message", "avatar", "destination", "eta", "visibility", "end_time", "expired"]) {
			sight.apply({data: [row(n, v, t0 + 1)], location: [at(t0)]});
			sight.apply({data: [row(n, v, v), row(v, v), {n, v, pid: v}]});
			const phase = sight.phase(t0);
			assert.equal(typeof sight.name, "string");
			assert.ok(sight.name.length <= 80 && sight.message.length <= 1000);
			for (const text of [title(sight, phase, "edgeset"), position(sight, phase, t0, null, words)]) assert.equal(typeof text, "string");
			notice(sight, phase, t0, words);
		}
	}
});

test("a name is a property of the space 0 and no method of an object", () => {
	const sight = sightOf(snapshot(), increment({data: [row("__proto__", {name: "x"}), row("constructor", "x"), {t: 1, n: "name", v: "Bo"}]}));
	assert.equal(sight.name, "Bo"); // without pid, which is 0 then
	assert.equal({}.name, undefined);
});

test("snapshots and increments lead to the same, whatever is told twice", () => {
	let seed = 7;
	const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
	for (let round = 0; round < 200; round++) {
		const log = []; // what the server has, in the order of its commits
		for (let i = 0; i < 40; i++) {
			log.push(random(4) === 0 ? {row: row(["message", "name"][random(2)], `v${i}`, t0 + i)} : {point: at(t0 + random(300) * 1000, 48_000_000 + i)});
		}
		const answer = (from, to) => ({
			next: to,
			data: log.slice(from, to).filter((e) => e.row).map((e) => e.row),
			location: log.slice(from, to).filter((e) => e.point).map((e) => e.point),
		});
		const sight = sightOf(snapshot({next: 0}));
		// Increments by a stream may be told once more by a poll.
		for (let done = 0; done < log.length;) {
			const to = Math.min(log.length, done + 1 + random(6));
			sight.apply(answer(done, to), random(2) === 0);
			if (random(3) === 0) sight.apply({...answer(random(to), to)});
			done = to;
		}
		const want = sightOf(snapshot({next: 0}), answer(0, log.length));
		assert.deepEqual(sight.points, want.points);
		assert.deepEqual([sight.name, sight.message, sight.next], [want.name, want.message, want.next]);
	}
});

test("the words tell what the map shows", () => {
	const words = formats("de-DE");
	const sight = sightOf(snapshot({location: [at(t0)]}), increment({data: [row("name", "Ann"), row("destination", {lat: 48.1, lng: 16}), row("eta", {eta: 10 * min, eta_ts: t0})]}));
	assert.equal(
		position(sight, "live", t0 + 5000, 90, words),
		`Ann is at 48.00000° N, 16.00000° E, moving east at 4 km/h, 11 km from the destination, arriving in 10 min, at ${words.clock(t0 + 10 * min)}, seen 5 s ago.`,
	);
	assert.match(position(sight, "expired", t0, 90, words), /^Ann was last seen at/);
	assert.equal(position(sight, "hidden", t0, 90, words), "");
	assert.equal(notice(sight, "live", t0, words), null);
	assert.equal(title(sight, "live", "edgeset"), "Ann: live location – edgeset");
	assert.equal(title(new Sight(), "lost", "edgeset"), "Connection lost – edgeset");
});

test("what a sharer types turns no text around its place", () => {
	const sight = sightOf(snapshot({properties: [
		row("name", "Ann\u202e \u2066B\u0000"), row("message", "a\u202eb\nc"), row("destination", {lat: 1, lng: 2, name: "\u202ex"}),
	]}));
	assert.equal(sight.name, "Ann B");
	assert.equal(sight.message, "ab\nc");
	assert.equal(sight.destination.name, "x");
});

test("an arrival that is long overdue is not told any more", () => {
	const sight = sightOf(snapshot({properties: [row("eta", {eta: 5 * min, eta_ts: t0})]}));
	const words = formats("en-GB");
	assert.equal(arrival(sight, t0, words)[0], "5 min");
	assert.equal(arrival(sight, t0 + 6 * min, words)[0], "any moment");
	assert.equal(arrival(sight, t0 + 15 * min + 1, words), null);
	assert.equal(arrival(sightOf(snapshot()), t0, words), null);
});
