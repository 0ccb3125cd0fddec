// A share as it goes on: positions flow from the source into the ticket and onto the map, and the
// page shows what becomes of them.

import {Arrival} from "./share-arrival.js";
import {Awake} from "./share-awake.js";
import {busy, byId, complain, setText} from "./share-field.js";
import {countdown, duration} from "./format.js";
import {Invites} from "./share-invites.js";
import {DeviceSource, ReplaySource} from "./share-source.js";
import {load, store} from "./session.js";
import {Share} from "./share-ticket.js";

const sourceKey = "edgeset.source";
const unsentKey = "edgeset.unsent";
const longestTrail = 2_000; // points on the map
const keptTrail = 500; // of them over a reload
const noticeAfter = 3_000; // ms without a connection that are nobody's concern

export class Live {
	#share = null;
	#source = null;
	#arrival = null;
	#look = {};
	#trail = [];
	#wake = () => {};
	#clockTimer = null;
	#watching = 0;
	#awake = new Awake();

	// over is called when the share has ended.
	constructor({session, clock, storage, map, chooser, formats, announce, over}) {
		Object.assign(this, {session, clock, storage, map, chooser, formats, announce, over});
		this.invites = new Invites({announce});
		for (const button of document.querySelectorAll("[data-extend]")) {
			button.addEventListener("click", () => this.#act(button, () => this.#extend(Number(button.dataset.extend))));
		}
		const hide = byId("hide");
		hide.addEventListener("click", () => this.#act(hide, () => this.#hide(!this.#share.hidden)));
		const stop = byId("stop");
		stop.addEventListener("click", () => this.#act(stop, () => this.#share.stop()));
		byId("source-form").addEventListener("submit", (event) => {
			event.preventDefault();
			busy(byId("source-button"), () => this.#changeSource());
		});
		addEventListener("online", () => this.#wake());
		addEventListener("pagehide", () => this.#keep());
	}

	// begin goes on with a ticket, which may be new.
	begin(ticket, {name = "", avatar = "", destination = null}) {
		this.#look = {name, avatar};
		this.#arrival = destination && new Arrival(destination);
		this.#trail = [];
		this.#watching = 0;
		this.map.setDestination(destination);
		this.map.setTrail([]);
		this.map.setSharer(null);
		const share = new Share(ticket, {
			call: (...args) => this.session.call(...args),
			now: () => this.clock.now(),
			changed: () => this.#show(),
		});
		share.takeUnsent(load(this.storage, unsentKey));
		this.storage.removeItem(unsentKey);
		this.#share = share;
		this.invites.share = share;
		this.chooser.placeIn(byId("sharing-source"));
		byId("source-change").open = false;
		this.#awake.keep(true);
		this.#clockTimer = setInterval(() => this.#show(), 1_000);
		this.#show();
		queueMicrotask(() => this.#run(share)); // with the properties that it is given first
		return share;
	}

	// resume takes up the source that the page had before it was reloaded.
	resume() {
		const kept = load(this.storage, sourceKey);
		if (kept?.ticket !== this.#share.ticket.id) {
			this.#sourceState("No positions are being sent. Please choose a source.", true);
			return;
		}
		this.#trail = kept.trail;
		this.use(kept.replay
			? (options) => new ReplaySource({...options, ...kept.replay})
			: (options) => new DeviceSource({geolocation: navigator.geolocation, ...options}));
	}

	// use takes positions from now on from another source.
	use(make) {
		if (!this.#share) return; // it ended while a file was read
		this.#source?.stop();
		this.#source = make({
			now: () => this.clock.now(),
			position: (point) => this.#position(point),
			state: (text, problem) => this.#sourceState(text, problem),
		});
		this.#keep();
		this.#source.start();
	}

	// pause leaves a share that somebody who logs in again goes on with.
	pause() {
		if (!this.#share) return;
		this.#keep();
		this.#source?.stop();
		this.#source = null;
		this.#share = null;
		this.#wake();
		clearInterval(this.#clockTimer);
		this.#awake.keep(false);
	}

	// end forgets all about a share.
	end() {
		this.pause();
		this.storage.removeItem(sourceKey);
		this.storage.removeItem(unsentKey);
	}

	async #run(share) {
		while (share === this.#share && share.ticket.state !== "expired") {
			const delay = await share.step();
			if (share !== this.#share) return;
			if (share.failures > 0) this.#keep();
			await new Promise((done) => {
				const timer = setTimeout(done, delay);
				this.#wake = () => {
					clearTimeout(timer);
					done();
				};
			});
		}
	}

	#position(point) {
		const share = this.#share;
		if (!share || share.over) return;
		this.#trail.push(point);
		if (this.#trail.length > longestTrail) this.#trail.shift();
		this.map.setTrail(this.#trail);
		this.map.setSharer(point, {...this.#look, quiet: share.hidden});
		if (share.hidden) return; // what nobody is to see does not leave the page
		share.addPoint(point);
		const eta = this.#arrival?.update({...point, speed: point.speed === null ? null : point.speed * (point.pace ?? 1)});
		if (eta) share.setProperty("eta", eta);
		if (share.failures === 0) this.#wake();
	}

	// #keep saves what a reload of the page would lose.
	#keep() {
		if (!this.#share) return;
		const source = this.#source && {
			ticket: this.#share.ticket.id, replay: this.#source.kept?.(), trail: this.#trail.slice(-keptTrail),
		};
		if (source && !store(this.storage, sourceKey, source)) this.storage.removeItem(sourceKey);
		if (this.#share.waiting > 0) store(this.storage, unsentKey, this.#share.unsent());
		else this.storage.removeItem(unsentKey);
	}

	async #changeSource() {
		const make = await this.chooser.choose();
		if (!make) return;
		byId("source-change").open = false;
		this.use(make);
	}

	#sourceState(text, problem) {
		const line = byId("source-state");
		setText(line, text);
		if (problem && !line.classList.contains("bad")) this.announce(text);
		line.classList.toggle("bad", problem);
	}

	// #act does something that a button is for, and tells beside it what went wrong.
	#act(button, work) {
		const group = byId("now-actions");
		complain(group, "");
		return busy(button, async () => {
			try {
				await work();
			} catch (error) {
				complain(group, this.#words(error));
				this.announce(this.#words(error));
			}
		});
	}

	#words(error) {
		const most = /want \d+ to (\d+) milliseconds/.exec(error.message);
		if (most) return `A share can last at most ${duration(Number(most[1]))} from now.`;
		if (error.code === "network") return "The server cannot be reached. Please try again.";
		return `This did not work: ${error.message}.`;
	}

	async #extend(ms) {
		await this.#share.extend(ms);
		this.announce(`Time left: ${duration(this.#share.ticket.end_time - this.clock.now())}.`);
	}

	async #hide(hidden) {
		await this.#share.setVisible(!hidden);
		const last = this.#trail.at(-1);
		if (last) this.map.setSharer(last, {...this.#look, quiet: hidden});
		this.announce(hidden ? "You are hidden: nobody sees where you are." : "You can be seen again.");
	}

	#show() {
		const share = this.#share;
		if (!share) return;
		if (share.ticket.state === "expired") {
			const {ticket} = share, last = this.#trail.at(-1);
			if (last) this.map.setSharer(last, {...this.#look, quiet: true});
			this.end();
			this.over(ticket);
			return;
		}
		const left = Math.max(0, share.ticket.end_time - this.clock.now());
		const {viewing, viewers, hidden} = share;
		byId("sharing").dataset.hidden = hidden;
		setText(byId("sharing-title"), hidden ? "Hidden: nobody sees where you are" : this.#trail.length === 0 ? "Sharing, with no position yet" : "Sharing live");
		setText(byId("left"), countdown(left));
		setText(byId("viewing"), String(viewing));
		setText(byId("viewers"), String(viewers));
		setText(byId("sent"), share.points.length > 1 ? `${share.stored}, ${share.points.length} wait` : String(share.stored));
		setText(byId("hide"), hidden ? "Show me again" : "Hide me");
		byId("hide").setAttribute("aria-pressed", String(hidden));
		this.#showArrival();
		this.#showConnection();
		this.invites.show();
		if (viewing !== this.#watching) this.announce(`Watching now: ${viewing}.`);
		this.#watching = viewing;
		document.title = `${hidden ? "Hidden" : "Sharing"} · ${viewing} watching`;
	}

	#showArrival() {
		const told = this.#arrival?.told;
		byId("arrival-line").hidden = !told;
		if (!told) return;
		const at = told.eta_ts + told.eta;
		setText(byId("arrival"), told.eta === 0 ? "You are there" : `${this.formats.clock(at)}, in ${duration(at - this.clock.now())}`);
	}

	#showConnection() {
		const share = this.#share, line = byId("connection");
		const waits = this.clock.now() - share.failedSince;
		const lost = share.failures > 0 && waits >= noticeAfter;
		if (lost !== !line.hidden) this.announce(lost ? "The server cannot be reached. Positions are kept." : "Connected again.");
		line.hidden = !lost;
		if (!lost) return;
		const what = share.failure.code === "network" ? "The server cannot be reached" : `The server does not take positions (${share.failure.message})`;
		setText(line, `${what}, for ${duration(waits)}. ${share.points.length} positions wait and will be sent.`);
	}
}
