import assert from "node:assert/strict";
import {mock, test} from "node:test";
import {makeTrack} from "../src/gpx.js";
import {DeviceSource, ReplaySource} from "../src/share-source.js";

const track = makeTrack(Array.from({length: 11}, (_, i) => ({lat: 0, lng: i / 100, time: 700 * i})));

function replay(options) {
	const points = [], states = [];
	const source = new ReplaySource({
		track, name: "way.gpx", rate: 1, now: () => Date.now(),
		position: (p) => points.push(p), state: (...s) => states.push(s), ...options,
	});
	return {source, points, states};
}

test("a replay gives out all points of the track and where it is at each second, in order", (t) => {
	t.mock.timers.enable({apis: ["setInterval", "Date"], now: 50_000});
	const {source, points, states} = replay();
	source.start();
	for (let i = 0; i < 10; i++) t.mock.timers.tick(1000);
	const times = points.map((p) => p.t - 50_000);
	for (const p of track.points) assert.ok(times.includes(p.t), `${p.t}`);
	for (let s = 0; s <= 7000; s += 1000) assert.ok(times.includes(s), `${s}`);
	assert.deepEqual(times, [...new Set(times)].sort((a, b) => a - b));
	assert.deepEqual(states.at(-1), ["way.gpx has come to its end.", true]);
	assert.equal(points.at(-1).lng, 0.1);
});

test("a faster replay takes less time, and goes on where it was after a reload", (t) => {
	t.mock.timers.enable({apis: ["setInterval", "Date"], now: 50_000});
	const first = replay({rate: 5});
	first.source.start();
	t.mock.timers.tick(1000);
	const kept = JSON.parse(JSON.stringify(first.source.kept()));
	first.source.stop();
	t.mock.timers.tick(300);
	const second = replay(kept);
	second.source.start();
	t.mock.timers.tick(1000);
	const times = [...first.points, ...second.points].map((p) => p.t);
	assert.deepEqual(times, [...new Set(times)].sort((a, b) => a - b));
	assert.equal(times.at(-1), 50_000 + 7000 / 5);
	assert.deepEqual(second.states.at(-1), ["way.gpx has come to its end.", true]);
});

// What a browser offers.
function geolocation() {
	const asked = {cleared: 0};
	return {
		asked,
		watchPosition: (ok, fail) => Object.assign(asked, {ok, fail}) && 1,
		getCurrentPosition: (ok) => { asked.again = ok; },
		clearWatch: () => { asked.cleared++; },
	};
}

function device(options) {
	const points = [], states = [];
	globalThis.isSecureContext = true;
	const source = new DeviceSource({
		now: () => 1_000_000, position: (p) => points.push(p), state: (...s) => states.push(s), ...options,
	});
	return {source, points, states};
}

test("a device's position is told with the server's time, whatever the device takes the time for", () => {
	mock.timers.enable({apis: ["setInterval", "Date"], now: 7_000_000});
	const geo = geolocation();
	const {source, points} = device({geolocation: geo});
	source.start();
	const coords = {latitude: 1, longitude: 2, speed: null, heading: NaN, altitude: 5, accuracy: 6};
	geo.asked.ok({coords, timestamp: 7_000_000 - 2_000});
	geo.asked.ok({coords, timestamp: 12});
	assert.deepEqual(points.map((p) => p.t), [998_000, 1_000_000]);
	assert.equal(points[0].lat, 1);
	mock.timers.tick(30_000);
	assert.equal(typeof geo.asked.again, "function", "who stands still is asked again");
	source.stop();
	assert.equal(geo.asked.cleared, 1);
	mock.timers.reset();
});

test("a device that may not tell its position, or cannot, says so", () => {
	const geo = geolocation();
	const {source, states} = device({geolocation: geo});
	source.start();
	geo.asked.fail({code: 2, PERMISSION_DENIED: 1});
	assert.match(states.at(-1)[0], /no position at the moment/);
	assert.equal(geo.asked.cleared, 0);
	geo.asked.fail({code: 1, PERMISSION_DENIED: 1});
	assert.match(states.at(-1)[0], /may not tell your position/);
	assert.equal(geo.asked.cleared, 1);

	const none = device({});
	none.source.start();
	assert.match(none.states[0][0], /https/);
});
