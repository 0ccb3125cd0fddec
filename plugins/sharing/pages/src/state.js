// What a viewer knows of a ticket, from snapshots and increments of the API in any order
// and told once or twice, and the state that the page shows.

import {distance, placeOf, pointOf} from "./geo.js";

const trailSpan = 10 * 60_000; // of the trail, as in a snapshot
const trailPoints = 1000;
const staleAfter = 2 * 60_000;

// What turns the direction of the text around it, or is not to be seen.
const unseen = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

// What a sharer types is of any length, and is to change nothing but its own place.
const textOf = (v, length) => (typeof v === "string" ? [...v.replace(unseen, (c) => (c === "\n" ? c : "")).trim()].slice(0, length).join("") : "");

export class Sight {
	next = 0; // cursor: what stands before it is known
	points = []; // the oldest first; a new array whenever they change
	gone = false; // there is no such invite
	lostSince = null; // server's time at which the connection broke

	#known = false;
	#properties = new Map();

	// apply takes the response of GET invites/:code, or the data of an event "view" of the
	// stream. It returns how many points of an increment were new.
	apply(response, streamed = false) {
		if (typeof response !== "object" || response === null) return 0;
		const snapshot = Array.isArray(response.properties) && !Array.isArray(response.data);
		let before = this.points;
		if (snapshot) {
			this.#properties.clear();
			// Points that came by the stream while the snapshot was under way are newer
			// than it. Older ones that it does not have are not to be shown any more.
			const last = Number.isFinite(response.last) ? response.last : Infinity;
			before = before.filter((p) => p.t > last);
		}
		for (const rows of [response.properties, response.data]) {
			if (Array.isArray(rows)) for (const row of rows) this.#take(row);
		}
		const told = Array.isArray(response.location) ? response.location.map(pointOf).filter(Boolean) : [];
		const had = new Set(this.points.map((p) => p.t));
		const points = this.hidden ? [] : joined(before, told);
		const fresh = points.filter((p) => !had.has(p.t)).length;
		if (fresh > 0 || points.length !== this.points.length) this.points = points;
		// A cursor that was streamed may lie before one that a poll has brought.
		if (Number.isSafeInteger(response.next) && response.next >= 0) {
			this.next = streamed ? Math.max(this.next, response.next) : response.next;
		}
		this.#known = true;
		return snapshot ? 0 : fresh;
	}

	#take(row) {
		if (typeof row !== "object" || row === null || typeof row.n !== "string" || !Number.isFinite(row.t)) return;
		const key = `${row.pid ?? 0}/${row.n}`;
		const have = this.#properties.get(key);
		if (!have || row.t >= have.t) this.#properties.set(key, row);
	}

	#value(name) {
		return this.#properties.get(`0/${name}`)?.v;
	}

	#number(name) {
		const v = this.#value(name);
		return Number.isFinite(v) ? v : null;
	}

	get known() {
		return this.#known;
	}

	get name() {
		return textOf(this.#value("name"), 80);
	}

	get message() {
		return textOf(this.#value("message"), 1000);
	}

	get avatar() {
		const v = this.#value("avatar");
		return typeof v === "string" ? v : "";
	}

	get destination() {
		const place = placeOf(this.#value("destination"));
		return place && {...place, name: textOf(place.name, 80)};
	}

	get end() {
		return this.#number("end_time");
	}

	get hidden() {
		return this.#value("visibility")?.location === "hidden";
	}

	// ended tells that the server has said so; the clock may know it earlier.
	get ended() {
		return this.#value("expired") === true;
	}

	get head() {
		return this.points.at(-1) ?? null;
	}

	// arrival returns when the sharer is expected at the destination, or null.
	get arrival() {
		const row = this.#properties.get("0/eta");
		const eta = row?.v?.eta, at = row?.v?.eta_ts ?? row?.t;
		return Number.isFinite(eta) && Number.isFinite(at) && eta >= 0 && eta < 30 * 86_400_000 ? at + eta : null;
	}

	// toGo returns the metres to the destination as the crow flies, or null.
	get toGo() {
		return this.head && this.destination ? distance(this.head, this.destination) : null;
	}

	// phase returns the state at a server's time: loading, waiting, live, stale, hidden,
	// expired, unknown or lost.
	phase(now) {
		if (this.gone) return "unknown";
		if (this.ended || (this.end != null && now >= this.end)) return "expired";
		if (this.lostSince != null) return "lost";
		if (!this.#known) return "loading";
		if (this.hidden) return "hidden";
		if (!this.head) return "waiting";
		return now - this.head.t > staleAfter ? "stale" : "live";
	}
}

// joined puts points in the order of their times, each time once, and keeps the end.
function joined(a, b) {
	const byTime = new Map(a.map((p) => [p.t, p]));
	for (const p of b) if (!byTime.has(p.t)) byTime.set(p.t, p);
	const all = [...byTime.values()].sort((p, q) => p.t - q.t);
	const from = all.length > 0 ? all.at(-1).t - trailSpan : 0;
	return all.filter((p) => p.t >= from).slice(-trailPoints);
}
