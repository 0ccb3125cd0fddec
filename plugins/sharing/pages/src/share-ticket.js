// A share is one ticket of the sharer's: what still has to be uploaded, and what is known of its
// invites and viewers. Points and properties wait here until the server has said that it stored
// them, so a connection that is lost for a while loses none of them.

import {rowOf} from "./geo.js";

export const maxBatch = 500; // points in a request
export const maxWaiting = 50_000; // points: beyond it the oldest are given up
const soon = 100; // ms until what came meanwhile is uploaded
const pause = 1_000; // until one looks whether there is something to do
const pollEvery = 3_000;
const checkEvery = 60_000; // of the ticket itself, which another device may have changed
const longestWait = 30_000;
const shortestWait = 1_000;

// What is known of an upload: the names of the errors after which it is useless to try again.
const final = new Set(["ticket_expired", "ticket_id"]);

export class Share {
	// call is Session.call; now tells the server's time; changed is called after each change.
	constructor(ticket, {call, now, changed = () => {}}) {
		this.call = call;
		this.now = now;
		this.changed = changed;
		this.ticket = ticket;
		this.invites = new Map(); // by code
		this.since = 0;
		this.points = []; // rows that wait
		this.rows = new Map(); // properties that wait, by name
		this.lastTime = 0; // of a point
		this.stored = 0;
		this.givenUp = 0; // points that the server refused, or that were too many
		this.failures = 0; // in a row
		this.failedSince = 0;
		this.failure = null;
		this.polled = -Infinity;
		this.checked = now();
	}

	get path() {
		return `v2/tickets/${this.ticket.id}`;
	}

	get over() {
		return this.ticket.state === "expired" || this.now() >= this.ticket.end_time;
	}

	get hidden() {
		return this.ticket.visibility?.location === "hidden";
	}

	// waiting is how much has not been uploaded yet.
	get waiting() {
		return this.points.length + this.rows.size;
	}

	get viewers() {
		return this.sum("viewers");
	}

	get viewing() {
		return this.sum("viewing");
	}

	sum(field) {
		return [...this.invites.values()].reduce((n, invite) => n + (invite[field] ?? 0), 0);
	}

	// addPoint takes a position. A point is known by its time, so no two may have the same.
	addPoint(position) {
		const t = Math.max(Math.round(position.t), this.lastTime + 1);
		this.lastTime = t;
		this.points.push(rowOf({...position, t}));
		const excess = this.points.length - maxWaiting;
		if (excess > 0) {
			this.points.splice(0, excess);
			this.givenUp += excess;
		}
	}

	// setProperty has the latest value of each name uploaded.
	setProperty(name, value) {
		this.rows.set(name, {t: Math.round(this.now()), pid: 0, n: name, v: value});
	}

	// step does the next thing that is due, and returns after how many milliseconds to come again.
	async step() {
		try {
			await this.uploadProperties();
			if (this.points.length > 0) {
				await this.uploadPoints();
			} else if (this.now() - this.polled >= pollEvery) {
				await this.poll();
			}
			if (this.now() - this.checked >= checkEvery || this.over && this.ticket.state !== "expired") {
				await this.check();
			}
			this.failures = 0;
			this.failedSince = 0;
			this.failure = null;
		} catch (error) {
			this.failed(error);
		}
		this.changed();
		if (this.failures > 0) {
			return Math.max(this.failure.retryAfter ?? 0, Math.min(longestWait, shortestWait * 2 ** (this.failures - 1)));
		}
		return this.waiting > 0 ? soon : pause;
	}

	failed(error) {
		this.failures++;
		this.failedSince ||= this.now();
		this.failure = error;
		if (final.has(error.code)) {
			this.ticket = {...this.ticket, state: "expired", end_time: Math.min(this.ticket.end_time, this.now())};
		}
	}

	async uploadProperties() {
		const rows = [...this.rows.values()];
		if (rows.length === 0) {
			return;
		}
		try {
			await this.call("POST", `${this.path}/append_data`, {body: rows});
		} catch (error) {
			const bad = error.code === "bad_property" ? rows[refusedIndex(error)] : undefined;
			if (!bad) {
				throw error;
			}
			this.drop(bad); // it would hold up all others for ever
			throw error;
		}
		rows.forEach((row) => this.drop(row));
	}

	// drop forgets a row, unless a newer one has taken its place.
	drop(row) {
		if (this.rows.get(row.n) === row) {
			this.rows.delete(row.n);
		}
	}

	async uploadPoints() {
		const batch = this.points.slice(0, maxBatch);
		try {
			const response = await this.call("POST", `${this.path}/append_location`, {
				query: {since: this.since}, body: batch,
			});
			this.take(response);
		} catch (error) {
			const bad = error.code === "bad_point" ? batch[refusedIndex(error)] : undefined;
			if (!bad) {
				throw error;
			}
			this.remove([bad]);
			this.givenUp++;
			throw error;
		}
		this.remove(batch);
		this.stored += batch.length;
	}

	remove(rows) {
		const gone = new Set(rows);
		this.points = this.points.filter((row) => !gone.has(row));
	}

	async poll() {
		const response = await this.call("GET", "v2/users/self/invites", {query: {since: this.since}});
		this.take(response);
	}

	// take takes the changes of invites, of which some may belong to other tickets.
	take(response) {
		if (response.full) {
			this.invites.clear();
		}
		for (const invite of response.items ?? []) {
			if (invite.ticket_id === this.ticket.id) {
				this.takeInvite(invite);
			}
		}
		this.since = response.last_refresh ?? this.since;
		this.polled = this.now();
	}

	takeInvite(invite) {
		if (invite.state === "deleted") {
			this.invites.delete(invite.id);
		} else {
			this.invites.set(invite.id, invite);
			if (invite.state === "expired") {
				this.checked = -Infinity;
			}
		}
	}

	// check asks how the ticket itself stands.
	async check() {
		const response = await this.call("GET", this.path);
		this.ticket = response;
		this.checked = this.now();
	}

	// change is a call that answers with the ticket.
	async change(action, params) {
		const response = await this.call("POST", `${this.path}/${action}`, {form: params});
		this.ticket = response;
		this.changed();
	}

	extend(milliseconds) {
		const left = Math.max(0, this.ticket.end_time - this.now());
		return this.change("update", {duration: Math.round(left + milliseconds)});
	}

	stop() {
		return this.change("expire");
	}

	setVisible(visible) {
		return this.change("set_visibility", {location: visible ? "visible" : "hidden"});
	}

	// invite first has the server know what a message is to say of the sharer.
	async invite(params) {
		await this.uploadProperties();
		const response = await this.call("POST", `${this.path}/create_invite`, {form: params});
		this.takeInvite(response);
		this.changed();
		return response;
	}

	async uninvite(code) {
		await this.call("POST", `v2/invites/${code}/delete`);
		this.invites.delete(code);
		this.changed();
	}

	// unsent and takeUnsent carry what waits over a reload of the page.
	unsent() {
		return {ticket: this.ticket.id, points: this.points, rows: [...this.rows.values()], lastTime: this.lastTime};
	}

	takeUnsent(kept) {
		if (kept?.ticket !== this.ticket.id || !Array.isArray(kept.points) || !Array.isArray(kept.rows)) {
			return;
		}
		this.points = [...kept.points, ...this.points];
		this.rows = new Map([...kept.rows.map((row) => [row.n, row]), ...this.rows]);
		this.lastTime = Math.max(this.lastTime, kept.lastTime);
	}
}

// refusedIndex reads which row of a batch the server refused: "index 3: …".
function refusedIndex(error) {
	return Number(/^index (\d+):/.exec(error.message)?.[1] ?? NaN);
}
