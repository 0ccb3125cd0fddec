// What is asked before a share begins: who shares, with which words, for how long, and where to.

import {showAvatar} from "./avatar.js";
import {placeOf} from "./geo.js";
import {load, store} from "./session.js";
import {readAvatar} from "./share-avatar.js";
import {busy, byId, check, complain} from "./share-field.js";

const kept = "edgeset.sharer";
const closeEnough = 11; // zoom of the map at which a place can be told

// readPlace reads "48.2082, 16.3738"; null if it is no place.
export function readPlace(text) {
	const parts = /^\s*(-?\d+(?:\.\d+)?)\s*°?\s*[,;\s]\s*(-?\d+(?:\.\d+)?)\s*°?\s*$/.exec(text);
	if (!parts || Math.abs(parts[1]) > 90 || Math.abs(parts[2]) > 180) return null;
	return placeOf({lat: Number(parts[1]), lng: Number(parts[2])});
}

export class Setup {
	#avatar = "";

	// start is called with {duration, name, avatar, message, destination}.
	constructor({storage, map, start}) {
		this.storage = storage;
		this.map = map;
		this.name = byId("name");
		this.place = byId("destination");
		const known = load(storage, kept) ?? {};
		this.name.value = known.name ?? "";
		this.#setAvatar(known.avatar ?? "");

		this.name.addEventListener("input", () => this.#showAvatar());
		byId("avatar").addEventListener("change", () => this.#chooseAvatar());
		byId("avatar-remove").addEventListener("click", () => {
			this.#setAvatar("");
			byId("avatar").value = "";
			byId("avatar").focus();
		});
		for (const id of ["destination", "destination-name"]) {
			byId(id).addEventListener("input", () => this.showDestination());
		}
		this.place.addEventListener("change", () => {
			if (this.destination) map.map.setView(this.destination, Math.max(map.map.getZoom(), closeEnough));
		});
		map.map.on("click", ({latlng}) => {
			if (byId("setup").hidden) return;
			const {lat, lng} = latlng.wrap();
			this.place.value = `${lat.toFixed(5)}, ${lng.toFixed(5)}`;
			complain(this.place, "");
			this.showDestination();
		});
		byId("setup-form").addEventListener("submit", (event) => {
			event.preventDefault();
			if (!check([[this.place, (text) => (!text || readPlace(text) ? "" : "Please enter latitude and longitude, like 48.2082, 16.3738.")]])) return;
			busy(byId("start"), () => start(this.read()));
		});
	}

	// clear leaves nothing of one sharer to the next.
	clear() {
		this.storage.removeItem(kept);
		byId("setup-form").reset();
		this.#setAvatar("");
	}

	// suggest names the sharer as the account does, unless another name was entered.
	suggest(name) {
		if (this.name.value || !name) return;
		this.name.value = name;
		this.#showAvatar();
	}

	async #chooseAvatar() {
		const input = byId("avatar"), [file] = input.files;
		complain(input, "");
		if (!file) return;
		try {
			this.#setAvatar(await readAvatar(file));
		} catch (error) {
			complain(input, error.message);
		}
	}

	#setAvatar(url) {
		this.#avatar = url;
		byId("avatar-remove").hidden = url === "";
		this.#showAvatar();
	}

	#showAvatar() {
		showAvatar(byId("avatar-preview"), this.name.value, this.#avatar);
	}

	get destination() {
		const place = readPlace(this.place.value);
		return place && {lat: place.lat, lng: place.lng, name: byId("destination-name").value.trim()};
	}

	showDestination() {
		this.map.setDestination(this.destination);
	}

	read() {
		const name = this.name.value.trim(), avatar = this.#avatar;
		store(this.storage, kept, {name, avatar});
		return {
			name, avatar,
			duration: Number(byId("duration").value),
			message: byId("message").value.trim(),
			destination: this.destination,
		};
	}
}
