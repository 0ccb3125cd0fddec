// Where positions come from: the receiver of this device, or a track that is replayed. A source
// calls position(point) for each, with the server's time, and state(text, problem)
// when there is something to tell.

import {pointsBetween, positionAt} from "./gpx.js";

const tick = 1_000; // milliseconds
const patience = 30_000; // without a position, until the device is asked again

// What a browser's clock may be off before its own times of positions are not believed.
const longAgo = 60_000;

export class DeviceSource {
	constructor({geolocation, now, position, state}) {
		Object.assign(this, {geolocation, now, position, state});
		this.watch = null;
		this.timer = null;
	}

	start() {
		if (!this.geolocation || !globalThis.isSecureContext) {
			this.state("Browsers tell a position only to pages that were opened with https, or on localhost. Choose a GPX track instead.", true);
			return;
		}
		this.state("Waiting for a position of this device …", false);
		const options = {enableHighAccuracy: true, maximumAge: 0, timeout: patience};
		this.watch = this.geolocation.watchPosition((p) => this.take(p), (e) => this.fail(e), options);
		// Who stands still is not told of, and would look lost.
		this.timer = setInterval(() => {
			this.geolocation.getCurrentPosition((p) => this.take(p), () => {}, options);
		}, patience);
	}

	take({coords, timestamp}) {
		const age = Date.now() - timestamp;
		this.state("Positions of this device.", false);
		this.position({
			t: this.now() - (age > 0 && age < longAgo ? age : 0),
			lat: coords.latitude, lng: coords.longitude,
			speed: coords.speed, heading: coords.heading, altitude: coords.altitude,
			accuracy: coords.accuracy,
		});
	}

	fail(error) {
		if (error.code === error.PERMISSION_DENIED) {
			this.stop();
			this.state("The browser may not tell your position. Allow it for this page (the sign beside the address), then choose “Use this source” again; or choose a GPX track.", true);
			return;
		}
		this.state("This device knows no position at the moment. It goes on trying; outdoors or near a window is best.", true);
	}

	stop() {
		if (this.watch !== null) {
			this.geolocation.clearWatch(this.watch);
			clearInterval(this.timer);
		}
		this.watch = null;
	}
}

export class ReplaySource {
	// started is the server's time at which the track began, told how much of it was given out.
	constructor({track, name, rate, now, position, state, started = now(), told = -1}) {
		Object.assign(this, {track, name, rate, now, position, state, started, told});
		this.timer = null;
	}

	start() {
		this.timer = setInterval(() => this.advance(), tick);
		this.advance();
	}

	advance() {
		const at = Math.min((this.now() - this.started) * this.rate, this.track.length);
		for (const p of pointsBetween(this.track, this.told, at)) {
			this.give(p);
			this.told = p.t;
		}
		if (at > this.told) {
			this.give(positionAt(this.track, at));
			this.told = at;
		}
		if (at >= this.track.length) {
			this.stop();
			this.state(`${this.name} has come to its end.`, true);
			return;
		}
		const part = Math.floor(100 * at / this.track.length);
		this.state(`${this.name}, ${this.rate}×: ${part} % done.`, false);
	}

	// give moves a point of the track to the present. Its speed stays that of the track.
	give(p) {
		this.position({...p, t: this.started + p.t / this.rate, pace: this.rate});
	}

	stop() {
		clearInterval(this.timer);
		this.timer = null;
	}

	// kept is what a reloaded page needs to go on.
	kept() {
		return {track: this.track, name: this.name, rate: this.rate, started: this.started, told: this.told};
	}
}
