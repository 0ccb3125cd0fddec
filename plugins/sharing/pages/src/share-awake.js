// Keeps the screen on, where the browser can: a phone that sleeps tells no position. The lock is
// lost whenever the page is not to be seen.

export class Awake {
	#wanted = false;
	#lock = null;

	constructor() {
		document.addEventListener("visibilitychange", () => this.#take());
	}

	keep(wanted) {
		if (wanted === this.#wanted) return;
		this.#wanted = wanted;
		if (wanted) return this.#take();
		this.#lock?.release().catch(() => {});
		this.#lock = null;
	}

	async #take() {
		if (!this.#wanted || document.visibilityState !== "visible" || !navigator.wakeLock) return;
		try {
			const lock = await navigator.wakeLock.request("screen");
			if (this.#wanted) this.#lock = lock;
			else await lock.release();
		} catch {
			// a phone that saves its battery may refuse
		}
	}
}
