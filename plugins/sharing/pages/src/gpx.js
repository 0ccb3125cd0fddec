// A track of a GPX file, to be replayed. Its points are those of geo.js, with t in ms since
// the first one.

import {bearing, distance} from "./geo.js";

export const maxFile = 10 << 20; // bytes
const maxTrackPoints = 50_000;

// How fast a track without times is replayed, in metres a second: on a bicycle.
const paceWithoutTimes = 5;

// Below this, in metres, a receiver's noise says more about the direction than the movement does.
const leastMove = 1;

// A TrackError is worded for the person who chose the file.
export class TrackError extends Error {}

// parseGPX reads the text of a file.
export function parseGPX(text) {
	const doc = new DOMParser().parseFromString(text, "text/xml");
	if (doc.getElementsByTagName("parsererror").length > 0) {
		throw new TrackError("This is not a GPX file: it cannot be read as XML.");
	}
	return trackOf(doc);
}

// trackOf takes the points of a document: of its tracks or, if it has none, of its routes.
export function trackOf(doc) {
	if (doc.documentElement?.localName !== "gpx") {
		throw new TrackError("This is not a GPX file.");
	}
	let list = doc.getElementsByTagNameNS("*", "trkpt");
	if (list.length === 0) {
		list = doc.getElementsByTagNameNS("*", "rtept");
	}
	if (list.length > maxTrackPoints) {
		throw new TrackError(`This track has ${list.length} points; at most ${maxTrackPoints} can be replayed.`);
	}
	const points = Array.from(list, readPoint).filter((p) => p !== null);
	return makeTrack(points);
}

// readPoint returns null for an element that names no place.
function readPoint(element) {
	const place = {lat: numberOf(element.getAttribute("lat")), lng: numberOf(element.getAttribute("lon"))};
	if (!(Math.abs(place.lat) <= 90) || !(Math.abs(place.lng) <= 180) || place.lat === null || place.lng === null) {
		return null;
	}
	const said = {};
	for (const child of element.children) {
		said[child.localName] = child.textContent.trim();
	}
	const time = Date.parse(said.time ?? "");
	const speed = numberOf(said.speed);
	const heading = numberOf(said.course);
	return {
		...place,
		time: Number.isNaN(time) ? null : time,
		altitude: numberOf(said.ele),
		speed: speed !== null && speed >= 0 ? speed : null,
		heading: heading !== null && heading >= 0 && heading <= 360 ? heading : null,
	};
}

function numberOf(text) {
	if (text === null || text === undefined || text.trim() === "") {
		return null;
	}
	const n = Number(text);
	return Number.isFinite(n) ? n : null;
}

// makeTrack gives points times that rise, and computes the speed and heading of those that lack it.
export function makeTrack(points) {
	const timed = points.length > 0 && points.every((p) => p.time !== null);
	const track = [];
	for (const p of points) {
		const last = track[track.length - 1];
		let t = 0;
		if (timed) {
			t = p.time - points[0].time;
		} else if (last) {
			t = last.t + Math.round(distance(last, p) / paceWithoutTimes * 1000);
		}
		if (last && t <= last.t) {
			continue; // the same moment again, or a clock that went back
		}
		track.push({
			t, lat: p.lat, lng: p.lng, accuracy: null,
			altitude: p.altitude ?? null, speed: p.speed ?? null, heading: p.heading ?? null,
		});
	}
	if (track.length < 2) {
		throw new TrackError("This file has no track with at least two points.");
	}
	addMotion(track);
	return {points: track, timed, length: track[track.length - 1].t};
}

function addMotion(track) {
	let heading = null;
	for (let i = 1; i < track.length; i++) {
		const p = track[i];
		const before = track[i - 1];
		const moved = distance(before, p);
		p.speed ??= moved / (p.t - before.t) * 1000;
		p.heading ??= moved >= leastMove ? bearing(before, p) : heading;
		heading = p.heading;
	}
	track[0].speed ??= track[1].speed;
	track[0].heading ??= track[1].heading;
}

// pointsBetween returns the points with from < t <= to.
export function pointsBetween(track, from, to) {
	return track.points.slice(firstAfter(track.points, from), firstAfter(track.points, to));
}

// positionAt returns where one is at a time between two points, on the straight line.
export function positionAt(track, t) {
	const {points} = track;
	const i = firstAfter(points, t);
	if (i === 0) {
		return {...points[0]};
	}
	if (i === points.length) {
		return {...points[i - 1], t, speed: 0};
	}
	const [a, b] = [points[i - 1], points[i]];
	const part = (t - a.t) / (b.t - a.t);
	const dLng = (b.lng - a.lng + 540) % 360 - 180; // the short way, also across 180°
	return {
		t,
		lat: a.lat + (b.lat - a.lat) * part,
		lng: (a.lng + dLng * part + 540) % 360 - 180,
		altitude: a.altitude === null || b.altitude === null ? a.altitude : a.altitude + (b.altitude - a.altitude) * part,
		accuracy: null,
		speed: b.speed,
		heading: b.heading,
	};
}

// firstAfter returns the index of the first point with a larger t.
function firstAfter(points, t) {
	let low = 0;
	let high = points.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (points[middle].t > t) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}
