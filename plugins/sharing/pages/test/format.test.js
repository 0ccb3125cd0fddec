import assert from "node:assert/strict";
import {test} from "node:test";
import {age, compass, coordinates, countdown, duration, formats, initials, usesMiles} from "../src/format.js";

const s = 1000, min = 60 * s, h = 60 * min;

test("a duration is told in the two largest units", () => {
	for (const [ms, want] of [[-5, "0 s"], [0, "0 s"], [59_400, "59 s"], [59_600, "1 min"], [59 * min + 40 * s, "1 h"], [2 * h + 5 * min, "2 h 5 min"], [72 * h, "3 days"]]) {
		assert.equal(duration(ms), want, `${ms}`);
	}
});

test("a countdown never tells more time than there is", () => {
	for (const [ms, want] of [[-1, "0 s"], [999, "0 s"], [59_999, "59 s"], [min, "1:00 min"], [9 * min + 5_900, "9:05 min"], [10 * min, "10 min"], [41 * min + 59_999, "41 min"], [h + 59_999, "1 h"], [2 * h - 1, "1 h 59 min"]]) {
		assert.equal(countdown(ms), want, `${ms}`);
	}
});

test("an age never tells more time than has passed", () => {
	for (const [ms, want] of [[-9000, "just now"], [4_999, "just now"], [5_000, "5 s ago"], [59_999, "55 s ago"], [min, "1 min ago"], [2 * min - 1, "1 min ago"], [59 * min + 59_999, "59 min ago"], [h, "1 h ago"]]) {
		assert.equal(age(ms), want, `${ms}`);
	}
});

test("speeds and distances are in the units of the region", () => {
	const metric = formats("de-AT"), imperial = formats("en-US");
	assert.equal(metric.speed(10), "36 km/h");
	assert.equal(imperial.speed(10), "22 mph");
	for (const [m, want] of [[7.4, "7 m"], [123, "120 m"], [996, "1.0 km"], [1540, "1.5 km"], [9960, "10 km"], [123456, "123 km"]]) assert.equal(metric.distance(m), want, `${m}`);
	for (const [m, want] of [[30, "100 ft"], [161, "0.1 mi"], [1609.344, "1.0 mi"], [160934, "100 mi"]]) assert.equal(imperial.distance(m), want, `${m}`);
	assert.equal(usesMiles("en-GB"), true);
	assert.equal(usesMiles("en"), true); // of the US, most likely
	assert.equal(usesMiles("en-IE"), false);
	assert.equal(usesMiles("not a locale"), false);
});

test("a locale that browsers cannot read does no harm", () => {
	assert.match(formats("x_y_z").clock(0), /\d/);
});

test("a heading is the nearest of eight words", () => {
	for (const [degrees, want] of [[0, "north"], [22, "north"], [23, "north-east"], [180, "south"], [337, "north-west"], [338, "north"], [360, "north"], [-90, "west"], [765, "north-east"]]) {
		assert.equal(compass(degrees), want, `${degrees}`);
	}
});

test("coordinates have their hemispheres", () => {
	assert.equal(coordinates(-33.86882, 151.20929), "33.86882° S, 151.20929° E");
	assert.equal(coordinates(48.2, -16.37), "48.20000° N, 16.37000° W");
});

test("initials are the first letters of the first and the last word", () => {
	for (const [name, want] of [["", ""], ["  ", ""], ["ann", "A"], ["Anna Maria Huber", "AH"], ["🇦🇹 team", "🇦🇹T"], ["élan vital", "ÉV"]]) assert.equal(initials(name), want, name);
});

test("a time of another day is told with the day", () => {
	const {clock} = formats("en-GB"), noon = new Date(2024, 4, 2, 12, 30).getTime();
	assert.equal(clock(noon, noon + h), "12:30");
	assert.match(clock(noon, noon + 24 * h), /Thu.*2 May.*12:30/);
});
