// Keeps what is seen up to date while the page is looked at: by a stream of events with
// a poll now and then, or by polls alone where streams do not work.

import {url} from "./api.js";

const presenceEvery = 20_000; // beside a stream: to count as a viewer, and to be sure of it
const pollEvery = 2_000; // without one
const pollHidden = 10_000;
const pollEnded = 60_000;
const firstEvent = 8_000; // a stream that says nothing for so long is held up on its way
const lasting = 10_000; // a stream that ends sooner has failed
const streamAgain = 60_000; // after it failed twice
const slowest = 15_000; // between attempts to get through
const notMe = 1_000; // until who is there says so after another tab has left, or this one a moment ago

export class Live {
	#options;
	#on = false;
	#stream = null;
	#streamTimer = 0;
	#streamFailures = 0;
	#streamAfter = 0; // local time before which no stream is tried
	#pollTimer = 0;
	#asking = null; // AbortController of the poll under way
	#again = false; // ask once more when it has ended
	#failures = 0; // of polls, in a row
	#behind = 0; // polls in a row that brought what the stream should have
	#left = -Infinity; // local time at which it was closed

	// The options are the api, its clock, the code, the viewer's name for itself, and the
	// sight to keep up to date; changed is called when it was. beacon and EventSource are
	// the browser's, tabs its channel to other tabs: they are one viewer, so that one that
	// leaves takes away the others, too, until they ask again.
	constructor({api, clock, code, viewer, sight, changed, tabs = null, EventSource = globalThis.EventSource, beacon = (to) => navigator.sendBeacon(to), random = Math.random}) {
		this.#options = {api, clock, viewer, sight, changed, tabs, EventSource, beacon, random, path: `v2/invites/${encodeURIComponent(code)}`};
		tabs?.addEventListener("message", ({data}) => {
			if (data === this.#options.path) setTimeout(() => this.retry(), notMe);
		});
	}

	// open begins, or goes on after close.
	open() {
		if (this.#on || this.#options.sight.gone) return;
		this.#on = true;
		this.#failures = this.#streamFailures = this.#streamAfter = 0;
		this.#poll();
		// What was said last may arrive first.
		if (Date.now() - this.#left < notMe) setTimeout(() => this.retry(), notMe);
	}

	// close ends all traffic and says that nobody looks any more.
	close() {
		if (!this.#on) return;
		this.#stop();
		this.#left = Date.now();
		const {beacon, path, tabs, viewer} = this.#options;
		beacon(url(`${path}/leave`, {viewer}));
		tabs?.postMessage(path);
	}

	// retry asks now instead of later.
	retry() {
		if (this.#on) this.#poll();
	}

	#stop() {
		this.#on = false;
		this.#endStream();
		clearTimeout(this.#pollTimer);
		this.#asking?.abort();
		this.#asking = null;
		this.#again = false;
	}

	// poll asks for what is new. checking says that nobody told that there is something.
	async #poll(checking = false) {
		clearTimeout(this.#pollTimer);
		if (this.#asking) {
			this.#again = true;
			return;
		}
		const {api, clock, path, viewer, sight, changed} = this.#options;
		const asking = (this.#asking = new AbortController());
		const streaming = checking && this.#stream !== null;
		let wait;
		try {
			const response = await api.get(path, {next: sight.next, viewer, uncompressed: true}, {signal: asking.signal});
			if (this.#asking !== asking) return;
			const news = sight.apply(response);
			sight.lostSince = null;
			this.#failures = 0;
			this.#again ||= response.more === true;
			this.#compare(streaming && news > 0);
		} catch (error) {
			if (this.#asking !== asking) return;
			if (error.code === "invite_code") return this.#gone();
			this.#failures++;
			// One request can get lost while the stream is well.
			if (!this.#stream || this.#failures > 1) {
				this.#endStream();
				sight.lostSince ??= clock.now();
			}
			wait = Math.max(error.retryAfter ?? 0, this.#spread(Math.min(slowest, 500 * 2 ** this.#failures)));
		}
		this.#asking = null;
		// A stream of who is far behind would tell a part and end.
		if (this.#failures === 0 && !this.#again) this.#startStream();
		changed();
		if (!this.#on) return;
		if (this.#again) {
			this.#again = false;
			wait = Math.min(wait ?? 0, 1000);
		}
		this.#pollTimer = setTimeout(() => this.#poll(true), wait ?? this.#pause());
	}

	#pause() {
		const {sight, clock} = this.#options;
		if (sight.ended) return pollEnded;
		const usual = this.#stream ? presenceEvery : sight.hidden ? pollHidden : pollEvery;
		// Nobody tells when time is up, but who asks is told.
		const left = sight.end == null ? Infinity : sight.end - clock.now();
		return Math.min(usual, Math.max(left + 200, pollEvery));
	}

	// spread keeps many viewers from coming back at once.
	#spread(ms) {
		return ms * (0.75 + this.#options.random() / 2);
	}

	#gone() {
		this.#stop();
		this.#options.sight.gone = true;
		this.#options.changed();
	}

	// compare notices a stream that is open and brings nothing.
	#compare(behind) {
		this.#behind = behind ? this.#behind + 1 : 0;
		if (this.#behind >= 2) this.#streamFailed();
	}

	#startStream() {
		const {EventSource, path, viewer, sight, changed} = this.#options;
		if (sight.ended) return this.#endStream();
		if (this.#stream || !this.#on || !EventSource || Date.now() < this.#streamAfter) return;
		const stream = (this.#stream = new EventSource(url(`${path}/stream`, {next: sight.next, viewer})));
		const begun = Date.now();
		let events = 0;
		this.#behind = 0;
		this.#streamTimer = setTimeout(() => this.#streamBroke(), firstEvent);
		stream.addEventListener("view", (event) => {
			if (stream !== this.#stream) return;
			clearTimeout(this.#streamTimer);
			// The first one comes with the answer; the next proves that events flow.
			if (++events > 1) this.#streamFailures = 0;
			let view;
			try {
				view = JSON.parse(event.data);
			} catch {
				return this.#streamBroke();
			}
			sight.apply(view, true);
			if (sight.ended) this.#endStream();
			changed();
		});
		stream.addEventListener("refresh", () => {
			if (stream === this.#stream) this.#poll();
		});
		stream.addEventListener("gone", () => {
			if (stream === this.#stream) this.#gone();
		});
		stream.onerror = () => {
			if (stream !== this.#stream) return;
			if (events > 0 && Date.now() - begun >= lasting) this.#streamFailures = 0;
			this.#streamBroke();
		};
	}

	#endStream() {
		clearTimeout(this.#streamTimer);
		this.#stream?.close();
		this.#stream = null;
	}

	#streamFailed() {
		this.#endStream();
		this.#behind = 0;
		if (++this.#streamFailures >= 2) this.#streamAfter = Date.now() + this.#spread(streamAgain);
	}

	// streamBroke lets a poll find out what is the matter.
	#streamBroke() {
		this.#streamFailed();
		clearTimeout(this.#pollTimer);
		this.#pollTimer = setTimeout(() => this.#poll(), this.#options.random() * 300);
	}
}
