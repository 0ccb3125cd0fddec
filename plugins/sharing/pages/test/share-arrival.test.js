import assert from "node:assert/strict";
import {test} from "node:test";
import {Arrival} from "../src/share-arrival.js";

const home = {lat: 0, lng: 1};

test("a steady way is told about once, and the arrival", () => {
	const arrival = new Arrival(home), told = [];
	const metresPerDegree = 111_195.1;
	for (let s = 0; ; s++) {
		const lng = Math.min(1, s * 20 / 1.2 / metresPerDegree); // by ways as winding as is assumed
		const news = arrival.update({t: s * 1000, lat: 0, lng, speed: 20});
		if (news) told.push(news);
		if (lng === 1) break;
	}
	assert.equal(told.length, 2);
	assert.ok(Math.abs(told[0].eta - metresPerDegree * 1.2 / 20 * 1000) < 5_000, `${told[0].eta}`);
	assert.equal(told[0].eta_ts, 0);
	assert.equal(told[1].eta, 0);
});

test("a change of speed is told, but not at each position", () => {
	const arrival = new Arrival(home);
	arrival.update({t: 0, lat: 0, lng: 0, speed: 20});
	let told = 0;
	for (let s = 1; s <= 60; s++) if (arrival.update({t: s * 1000, lat: 0, lng: 0, speed: 10})) told++;
	assert.ok(told > 0 && told <= 12, `${told} times`);
});

test("nobody knows when somebody arrives who does not move", () => {
	const arrival = new Arrival(home);
	assert.equal(arrival.update({t: 0, lat: 0, lng: 0, speed: null}), null);
	assert.equal(arrival.update({t: 1000, lat: 0, lng: 0, speed: 0.1}), null);
	assert.deepEqual(arrival.update({t: 2000, lat: 0, lng: 1, speed: 0}), {eta: 0, eta_ts: 2000});
});
