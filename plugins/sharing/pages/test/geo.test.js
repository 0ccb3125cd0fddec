import assert from "node:assert/strict";
import {test} from "node:test";
import {bearing, course, distance, near, placeOf, pointOf, roundStep, rowOf, unfoldRing, unfoldTrail} from "../src/geo.js";

test("a point survives the way to a row and back", () => {
	const row = [1700000000000, 48208176, 16373819, 512, 270, 180, 5, null];
	assert.deepEqual(rowOf(pointOf(row)), row);
	assert.deepEqual(pointOf(row), {t: 1700000000000, lat: 48.208176, lng: 16.373819, speed: 5.12, heading: 270, altitude: 180, accuracy: 5});
});

test("what is unknown in a row is null in a point", () => {
	const p = pointOf([1, 0, 0, -1, -1, null, -1, null]);
	assert.deepEqual([p.speed, p.heading, p.altitude, p.accuracy], [null, null, null, null]);
	assert.deepEqual(pointOf([1, 2, 3]), {t: 1, lat: 2e-6, lng: 3e-6, speed: null, heading: null, altitude: null, accuracy: null});
	assert.equal(pointOf([1, 2, 3, 4, 360]).heading, 0);
});

test("what is not a point is none", () => {
	for (const row of [null, {}, "x", [], [1, 2], [null, 1, 2], [1, null, 2], [1, "2", 3], [NaN, 1, 2], [1, 90_000_001, 0], [1, 0, -180_000_001]]) {
		assert.equal(pointOf(row), null, JSON.stringify(row));
	}
});

test("a destination is read in degrees or in millionths", () => {
	assert.deepEqual(placeOf({lat: 48.2, lng: 16.4, name: " Home "}), {lat: 48.2, lng: 16.4, name: "Home"});
	assert.deepEqual(placeOf({lat: 48200000, lng: 16400000}), {lat: 48.2, lng: 16.4, name: ""});
	for (const v of [null, "Home", 5, {}, {lat: 1}, {lat: "1", lng: 2}, {lat: 91e6, lng: 0}, {lat: Infinity, lng: 0}]) assert.equal(placeOf(v), null, JSON.stringify(v));
	assert.equal(placeOf({lat: 1, lng: 2, name: {}}).name, "");
});

test("distances and bearings are those of the globe", () => {
	const vienna = {lat: 48.2082, lng: 16.3738}, berlin = {lat: 52.52, lng: 13.405};
	assert.ok(Math.abs(distance(vienna, berlin) - 523_600) < 1500, `${distance(vienna, berlin)}`);
	assert.ok(distance({lat: 0, lng: 179.999}, {lat: 0, lng: -179.999}) < 230);
	assert.equal(Math.round(bearing({lat: 0, lng: 0}, {lat: 1, lng: 0})), 0);
	assert.equal(Math.round(bearing({lat: 0, lng: 0}, {lat: 0, lng: -1})), 270);
});

test("the course is what the point says, or else how it has moved", () => {
	assert.equal(course([]), null);
	assert.equal(course([{lat: 0, lng: 0, heading: null}]), null);
	assert.equal(course([{lat: 0, lng: 0, heading: null}, {lat: 0, lng: 1, heading: 7}]), 7);
	const jitter = {lat: 0, lng: 0.00001, heading: null};
	assert.equal(course([{lat: 0, lng: 0, heading: null}, jitter]), null);
	assert.equal(Math.round(course([{lat: -1, lng: 0.00001, heading: null}, {lat: 0, lng: 0, heading: null}, jitter])), 0);
});

test("a trail across the 180th meridian is one piece", () => {
	const trail = unfoldTrail([{lat: 0, lng: 179.9, t: 1}, {lat: 0, lng: -179.9, t: 2}]);
	assert.deepEqual(trail.map((p) => p.t), [1, 2]);
	assert.ok(Math.abs(trail[0].lng + 180.1) < 1e-9 && trail[1].lng === -179.9);
	assert.deepEqual(near({lat: 1, lng: -170}, {lat: 0, lng: 170}), {lat: 1, lng: 190});
});

test("a ring across the 180th meridian does not go round the world", () => {
	const ring = unfoldRing([[179, 1], [-179, 1], [-179, -1], [179, -1], [179, 1]]);
	assert.deepEqual(ring, [[1, 179], [1, 181], [-1, 181], [-1, 179], [1, 179]]);
});

test("a ring round a pole is closed through it", () => {
	const ring = unfoldRing([[-120, -70], [0, -70], [120, -70], [-120, -70]]);
	assert.deepEqual(ring.slice(-2), [[-90, 240], [-90, -120]]);
});

test("steps of the grid are round", () => {
	for (const [wanted, want] of [[45, 30], [12, 10], [1, 1], [0.99, 0.5], [0.2, 0.2], [0.0199, 0.01], [0.0003, 0.0002]]) {
		assert.ok(Math.abs(roundStep(wanted) - want) < 1e-12, `${wanted}: ${roundStep(wanted)}`);
	}
});

test("what cannot be true of a place is left out of its row", () => {
	const place = {t: 1_700_000_000_000, lat: 48.2, lng: 16.4};
	assert.deepEqual(rowOf({...place, speed: 1_000_001, heading: 0, altitude: -2e8, accuracy: Infinity}),
		[1_700_000_000_000, 48_200_000, 16_400_000, null, 0, null, null, null]);
	assert.deepEqual(rowOf({...place, speed: NaN, heading: null, altitude: 0, accuracy: 1e8}),
		[1_700_000_000_000, 48_200_000, 16_400_000, null, null, 0, 1e8, null]);
});
