// The choice of where positions come from. It stands in the form before a share begins, and in
// that of a share that goes on.

import {maxFile, parseGPX, TrackError} from "./gpx.js";
import {byId, complain} from "./share-field.js";
import {DeviceSource, ReplaySource} from "./share-source.js";

export class Chooser {
	#element = byId("source-template").content.firstElementChild.cloneNode(true);

	constructor() {
		this.#element.addEventListener("change", () => this.#show());
	}

	placeIn(parent) {
		parent.append(this.#element);
		this.#show();
	}

	get #kind() {
		return this.#element.querySelector("input[name=source]:checked").value;
	}

	#show() {
		this.#element.querySelector(".gpx").hidden = this.#kind !== "gpx";
	}

	// choose returns a function that makes the source that was chosen, or null and complains.
	async choose() {
		if (this.#kind === "device") {
			return (options) => new DeviceSource({geolocation: navigator.geolocation, ...options});
		}
		const input = byId("gpx-file"), [file] = input.files;
		const track = await this.#read(input, file);
		if (!track) return null;
		const rate = Number(byId("gpx-rate").value);
		return (options) => new ReplaySource({track, name: file.name, rate, ...options});
	}

	async #read(input, file) {
		complain(input, "");
		try {
			if (!file) throw new TrackError("Please choose a GPX file.");
			if (file.size > maxFile) throw new TrackError("This file is larger than 10 MB.");
			return parseGPX(await file.text());
		} catch (error) {
			complain(input, error instanceof TrackError ? error.message : "This file cannot be read.");
			input.focus();
			return null;
		}
	}
}
