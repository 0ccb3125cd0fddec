// When the sharer will be there: a simple estimate from the distance that is left and the speed of
// the last minutes. Viewers count down from it, so it is told again only when it has changed.

import {distance} from "./geo.js";

const memory = 90_000; // milliseconds that the average speed reaches back
const slowest = 0.5; // metres a second: below it nobody is on the way
const detour = 1.2; // how much longer ways are than straight lines
const arrived = 40; // metres
const leastEvery = 5_000; // milliseconds between two estimates
const leastChange = 20_000; // milliseconds
const leastShare = 0.1; // of what is left

export class Arrival {
	constructor(destination) {
		this.destination = destination;
		this.speed = null; // average, in metres a second
		this.time = 0; // of the last position
		this.told = null;
	}

	// update takes a position with its speed and returns the property eta if it is news, else null.
	update(position) {
		this.average(position);
		const left = distance(position, this.destination);
		const eta = left <= arrived ? 0 : this.travelTime(left);
		if (eta === null || !this.isNews(eta, position.t)) {
			return null;
		}
		this.told = {eta, eta_ts: position.t};
		return this.told;
	}

	average({t, speed}) {
		if (Number.isFinite(speed) && speed >= slowest) {
			const weight = this.speed === null ? 1 : 1 - Math.exp(-(t - this.time) / memory);
			this.speed = (this.speed ?? 0) * (1 - weight) + speed * weight;
		}
		this.time = t;
	}

	travelTime(metres) {
		return this.speed === null ? null : Math.round(metres * detour / this.speed * 1000);
	}

	isNews(eta, time) {
		if (this.told === null) {
			return true;
		}
		const expected = Math.max(0, this.told.eta - (time - this.told.eta_ts));
		if (eta === 0) {
			return this.told.eta !== 0;
		}
		return time - this.told.eta_ts >= leastEvery
			&& Math.abs(eta - expected) >= Math.max(leastChange, leastShare * expected);
	}
}
