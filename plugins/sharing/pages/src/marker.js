// What stands on the map: whoever shares, with a picture and a beak that shows where
// they head, and the destination.

import * as L from "leaflet/dist/leaflet-src.esm.js";
import {showAvatar} from "./avatar.js";
import {svg} from "./icon.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");

// A Sharer moves from place to place in a short while.
export class Sharer {
	#map;
	#element = document.createElement("div");
	#avatar = document.createElement("div");
	#beak = svg("svg", {viewBox: "-43 -43 86 86", class: "beak"});
	#marker = null;
	#frame = 0;
	#turn = 0; // degrees the beak is turned by, not folded into a circle
	#zooming = false;

	constructor(map) {
		this.#map = map;
		map.on("zoomstart", () => (this.#zooming = true));
		map.on("zoomend", () => (this.#zooming = false));
		const halo = document.createElement("div");
		halo.className = "halo";
		this.#element.className = "sharer";
		this.#avatar.className = "avatar";
		this.#beak.append(svg("path", {d: "M0 -42L15 -18H-15Z"}));
		this.#element.append(halo, this.#beak, this.#avatar);
	}

	// show moves the marker to a place within some time; step is called with each place
	// on the way.
	show(to, {name = "", avatar = "", quiet = false, heading = null, t = null}, ms, step) {
		showAvatar(this.#avatar, name, avatar);
		this.#element.classList.toggle("quiet", quiet);
		this.#beak.style.display = heading == null ? "none" : "";
		if (heading != null) {
			this.#turn += ((heading - this.#turn) % 360 + 540) % 360 - 180;
			this.#beak.style.transform = `rotate(${this.#turn}deg)`;
		}
		Object.assign(this.#element.dataset, {t: t ?? "", lat: to.lat, lng: to.lng});
		cancelAnimationFrame(this.#frame);
		if (!this.#marker) {
			const drawn = L.divIcon({html: this.#element, className: "", iconSize: [48, 48], iconAnchor: [24, 24]});
			this.#marker = L.marker(to, {icon: drawn, interactive: false, keyboard: false, zIndexOffset: 1000}).addTo(this.#map);
			ms = 0;
		}
		const from = this.#marker.getLatLng(), start = performance.now();
		if (still.matches || ms === 0) {
			this.#marker.setLatLng(to);
			return step(to);
		}
		const move = (now) => {
			const part = Math.min(1, Math.max(0, (now - start) / ms));
			const at = part === 1 ? to : {lat: from.lat + (to.lat - from.lat) * part, lng: from.lng + (to.lng - from.lng) * part};
			// Leaflet itself moves what is on the map while it zooms.
			if (!this.#zooming) {
				this.#marker.setLatLng(at);
				step(at);
			}
			if (part < 1 || this.#zooming) this.#frame = requestAnimationFrame(move);
		};
		this.#frame = requestAnimationFrame(move);
	}

	remove() {
		cancelAnimationFrame(this.#frame);
		this.#marker?.remove();
		this.#marker = null;
	}
}

// goal makes the marker of a destination.
export function goal(place) {
	const element = document.createElement("div");
	element.className = "goal";
	const pin = svg("svg", {viewBox: "0 0 36 44"});
	pin.append(
		svg("path", {class: "body", d: "M18 42C12 33 4 27 4 17a14 14 0 0 1 28 0c0 10-8 16-14 25z"}),
		svg("circle", {class: "hole", cx: 18, cy: 17, r: 5.5}),
	);
	element.append(pin);
	if (place.name) {
		const label = document.createElement("div");
		label.className = "label";
		label.textContent = place.name;
		element.append(label);
	}
	const drawn = L.divIcon({html: element, className: "", iconSize: [36, 44], iconAnchor: [18, 42]});
	return L.marker(place, {icon: drawn, interactive: false, keyboard: false});
}
