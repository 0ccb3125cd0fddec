import assert from "node:assert/strict";
import {test} from "node:test";
import {makeTrack, pointsBetween, positionAt, TrackError, trackOf} from "../src/gpx.js";

// A document as DOMParser makes it, as far as it is read.
function documentOf(root, name, points) {
	const elements = points.map(({lat, lon, ...children}) => ({
		getAttribute: (key) => ({lat, lon})[key] ?? null,
		children: Object.entries(children).map(([localName, textContent]) => ({localName, textContent})),
	}));
	return {
		documentElement: {localName: root},
		getElementsByTagNameNS: (_, wanted) => (wanted === name ? elements : []),
	};
}

const near = (got, want, tolerance) => assert.ok(Math.abs(got - want) <= tolerance, `${got}, want ${want}`);

test("a track keeps what it says and computes what it does not", () => {
	const track = trackOf(documentOf("gpx", "trkpt", [
		{lat: "48.0", lon: "16.0", ele: "200", time: "2024-05-01T10:00:00Z"},
		{lat: "48.001", lon: "16.0", time: "2024-05-01T10:00:10Z"},
		{lat: "48.001", lon: "16.001", time: "2024-05-01T10:00:20Z", speed: "3.5", course: "77"},
		{lat: "48.001", lon: "16.001", time: "2024-05-01T10:00:30Z"},
	]));
	assert.equal(track.timed, true);
	assert.equal(track.length, 30_000);
	assert.deepEqual(track.points.map((p) => p.t), [0, 10_000, 20_000, 30_000]);
	assert.equal(track.points[0].altitude, 200);
	assert.equal(track.points[1].altitude, null);
	near(track.points[1].speed, 11.1, 0.1);
	near(track.points[0].speed, 11.1, 0.1);
	near(track.points[1].heading, 0, 0.01);
	assert.equal(track.points[2].speed, 3.5);
	assert.equal(track.points[2].heading, 77);
	assert.equal(track.points[3].speed, 0);
	assert.equal(track.points[3].heading, 77, "who stands still keeps the direction");
});

test("a route without times is replayed at a steady pace", () => {
	const track = trackOf(documentOf("gpx", "rtept", [{lat: "48", lon: "16"}, {lat: "48.01", lon: "16"}]));
	assert.equal(track.timed, false);
	near(track.length, 222_000, 1_000);
	near(track.points[1].speed, 5, 0.01);
});

test("points that name no place, and moments that come twice, are left out", () => {
	const track = trackOf(documentOf("gpx", "trkpt", [
		{lat: "91", lon: "16", time: "2024-05-01T10:00:00Z"},
		{lat: "", lon: "16", time: "2024-05-01T10:00:00Z"},
		{lat: "NaN", lon: "x", time: "2024-05-01T10:00:00Z"},
		{lat: "48", time: "2024-05-01T10:00:00Z"},
		{lat: "48", lon: "16", time: "2024-05-01T10:00:01Z"},
		{lat: "48.1", lon: "16", time: "2024-05-01T10:00:01Z"},
		{lat: "48.2", lon: "16", time: "2024-05-01T10:00:00Z"},
		{lat: "48.3", lon: "16", time: "2024-05-01T10:00:02Z"},
	]));
	assert.deepEqual(track.points.map((p) => p.lat), [48, 48.3]);
});

test("what is no track is refused in words", () => {
	for (const doc of [
		documentOf("html", "trkpt", []),
		documentOf("gpx", "wpt", [{lat: "1", lon: "1"}]),
		documentOf("gpx", "trkpt", [{lat: "1", lon: "1", time: "2024-05-01T10:00:00Z"}]),
		documentOf("gpx", "trkpt", Array.from({length: 50_001}, () => ({lat: "1", lon: "1"}))),
		{documentElement: null},
	]) {
		assert.throws(() => trackOf(doc), TrackError);
	}
});

test("positions lie on the line between two points, also across 180°", () => {
	const track = makeTrack([
		{lat: 0, lng: 179, altitude: 10, time: 0},
		{lat: 2, lng: -179, altitude: 20, time: 10_000},
	]);
	const half = positionAt(track, 5_000);
	near(half.lat, 1, 1e-9);
	near(Math.abs(half.lng), 180, 1e-9);
	near(half.altitude, 15, 1e-9);
	near(positionAt(track, 7_500).lng, -179.5, 1e-9);
	assert.equal(positionAt(track, 0).lng, 179);
	assert.equal(positionAt(track, -5).lat, 0);
	const end = positionAt(track, 60_000);
	assert.equal(end.lat, 2);
	assert.equal(end.speed, 0);
});

test("points between two moments come once, however the moments are chosen", () => {
	const track = makeTrack(Array.from({length: 100}, (_, i) => ({lat: 0, lng: i / 1000, time: i * 700})));
	const seen = [];
	for (let from = -1, to = 0; from < track.length; from = to, to += 1 + seen.length * 13 % 1900) {
		seen.push(...pointsBetween(track, from, to));
	}
	assert.deepEqual(seen, track.points);
});

test("whatever stands in a file, a track is in order, or refused", () => {
	let state = 1;
	const random = (n) => { // xorshift: the same each time
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % n;
	};
	const texts = ["", "0", "-90", "90.5", "1e400", "-1", "NaN", "Infinity", "48.2", "16", "2024-05-01T10:00:00Z", "2024-05-01T10:00:01Z", "0000", "x", "\u0000"];
	const text = () => texts[random(texts.length)];
	let tracks = 0;
	for (let i = 0; i < 3000; i++) {
		const points = Array.from({length: random(8)}, () => ({
			lat: text(), lon: text(), ...(random(2) && {time: text()}), ...(random(2) && {ele: text()}), ...(random(2) && {speed: text(), course: text()}),
		}));
		let track;
		try {
			track = trackOf(documentOf("gpx", "trkpt", points));
		} catch (error) {
			assert.ok(error instanceof TrackError, `${error.stack}`);
			continue;
		}
		tracks++;
		track.points.forEach((p, n) => {
			assert.ok(n === 0 || p.t > track.points[n - 1].t);
			assert.ok(Math.abs(p.lat) <= 90 && Math.abs(p.lng) <= 180 && p.speed >= 0, JSON.stringify(p));
			assert.ok(p.heading === null || p.heading >= 0 && p.heading <= 360, JSON.stringify(p));
		});
	}
	assert.ok(tracks > 50, `${tracks} tracks`);
});
