// The server's clock, as answers tell it: the reader's own may be wrong.

export class Clock {
	#local;
	#offset = 0;
	#error = Infinity; // how wrong the offset may be, in ms

	constructor(local = Date.now) {
		this.#local = local;
	}

	now() {
		return this.#local() + this.#offset;
	}

	// set takes the time of an answer to a question asked and answered at local times.
	set(time, asked, answered) {
		if (!Number.isFinite(time) || answered < asked) return;
		const error = (answered - asked) / 2;
		const offset = time - (asked + answered) / 2;
		// A slow answer does not unsettle what a fast one has told, unless the
		// clocks have moved apart.
		if (error > this.#error && Math.abs(offset - this.#offset) <= error + this.#error) return;
		this.#offset = offset;
		this.#error = error;
	}
}
