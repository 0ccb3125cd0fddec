import assert from "node:assert/strict";
import {test} from "node:test";
import {readPlace} from "../src/share-setup.js";

test("a place is read as people write it", () => {
	for (const text of ["48.2082, 16.3738", "48.2082 16.3738", " 48.2082;16.3738 ", "48.2082°, 16.3738°"]) {
		assert.deepEqual(readPlace(text), {lat: 48.2082, lng: 16.3738, name: ""}, text);
	}
	assert.deepEqual(readPlace("-33.9,-70"), {lat: -33.9, lng: -70, name: ""});
});

test("what is no place is none", () => {
	for (const text of ["", "Vienna", "48.2", "91, 16", "48, 181", "48,16,3", "48.2, 16x", "1e1, 2", "٤٨, ١٦"]) {
		assert.equal(readPlace(text), null, text);
	}
});
