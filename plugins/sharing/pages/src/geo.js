// Points and distances. A point is {t, lat, lng, speed, heading, altitude, accuracy}:
// ms since 1970, degrees, m/s, degrees from north, metres; null where it is not known.

const radius = 6_371_008.8; // metres
const rad = Math.PI / 180;

const known = (n) => (typeof n === "number" && Number.isFinite(n) ? n : null);

// pointOf reads a plain row [t, lat, lng, speed, heading, altitude, h_acc, v_acc].
export function pointOf(row) {
	if (!Array.isArray(row)) return null;
	const [t, lat, lng, speed, heading, altitude, accuracy] = row.map(known);
	if (t == null || lat == null || lng == null || !placed(lat / 1e6, lng / 1e6)) return null;
	return {
		t,
		lat: lat / 1e6,
		lng: lng / 1e6,
		speed: speed == null || speed < 0 ? null : speed / 100,
		heading: heading == null || heading < 0 ? null : heading % 360,
		altitude: altitude ?? null,
		accuracy: accuracy == null || accuracy < 0 ? null : accuracy,
	};
}

const most = 1e8; // that the API takes of a speed, a height or an accuracy

// rowOf is the opposite of pointOf. What cannot be true, such as the speed of a track that
// jumps, is left out, so that the place is not refused for it.
export function rowOf(p) {
	const whole = (n, scale = 1) => (n == null ? null : Math.round(n * scale));
	const likely = (n, scale) => (Math.abs(whole(n, scale)) <= most ? whole(n, scale) : null);
	return [whole(p.t), whole(p.lat, 1e6), whole(p.lng, 1e6), likely(p.speed, 100), whole(p.heading), likely(p.altitude), likely(p.accuracy), null];
}

const placed = (lat, lng) => Math.abs(lat) <= 90 && Math.abs(lng) <= 180;

// placeOf reads a destination: {name?, lat, lng} in degrees, or in millionths of them,
// which some clients send.
export function placeOf(v) {
	if (typeof v !== "object" || v === null) return null;
	let lat = known(v.lat), lng = known(v.lng);
	if (lat == null || lng == null) return null;
	if (!placed(lat, lng)) {
		lat /= 1e6;
		lng /= 1e6;
	}
	if (!placed(lat, lng)) return null;
	return {lat, lng, name: typeof v.name === "string" ? v.name.trim() : ""};
}

// distance returns metres between two points, along the great circle.
export function distance(a, b) {
	const dLat = (b.lat - a.lat) * rad, dLng = (b.lng - a.lng) * rad;
	const h = Math.sin(dLat / 2) ** 2 + Math.cos(a.lat * rad) * Math.cos(b.lat * rad) * Math.sin(dLng / 2) ** 2;
	return 2 * radius * Math.asin(Math.min(1, Math.sqrt(h)));
}

// bearing returns the degrees from north in which b lies, seen from a.
export function bearing(a, b) {
	const dLng = (b.lng - a.lng) * rad;
	const y = Math.sin(dLng) * Math.cos(b.lat * rad);
	const x = Math.cos(a.lat * rad) * Math.sin(b.lat * rad) - Math.sin(a.lat * rad) * Math.cos(b.lat * rad) * Math.cos(dLng);
	return (Math.atan2(y, x) / rad + 360) % 360;
}

// course returns where the newest point of a trail heads: as it says, or else as it has
// moved from the last point that is far enough away to tell.
export function course(points) {
	const p = points.at(-1);
	if (!p) return null;
	if (p.heading != null) return p.heading;
	for (let i = points.length - 2; i >= 0 && i >= points.length - 20; i--) {
		if (distance(points[i], p) >= 10) return bearing(points[i], p);
	}
	return null;
}

// near returns a place on the side of the world on which another one is.
export function near(place, other) {
	const from = other ? other.lng : 0;
	return {lat: place.lat, lng: place.lng - 360 * Math.round((place.lng - from) / 360)};
}

// unfoldTrail makes a trail that crosses the 180th meridian one piece, with its end where
// the map is.
export function unfoldTrail(list) {
	let next = null;
	return [...list].reverse().map((p) => (next = {...p, ...near(p, next)})).reverse();
}

// unfoldRing turns a ring of [lng, lat] into one of [lat, lng], without the jumps at the
// 180th meridian. The one that goes round a pole is closed through it.
export function unfoldRing(ring) {
	let by = 0;
	const out = ring.map(([lng, lat], i) => {
		if (i > 0) by -= 360 * Math.round((lng - ring[i - 1][0]) / 360);
		return [lat, lng + by];
	});
	if (by !== 0) {
		const pole = out[0][0] < 0 ? -90 : 90;
		out.push([pole, out.at(-1)[1]], [pole, out[0][1]]);
	}
	return out;
}

// roundStep returns the largest round number of degrees that is at most as large as wanted:
// parts of a degree by tens, and 1, 2, 5, 10, 15, 30.
export function roundStep(wanted) {
	if (wanted >= 1) return [30, 15, 10, 5, 2, 1].find((n) => n <= wanted);
	const power = 10 ** Math.floor(Math.log10(wanted));
	return [5, 2, 1].find((n) => n * power <= wanted * (1 + 1e-9)) * power;
}
