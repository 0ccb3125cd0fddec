// Lines of equal latitude and longitude, so that movement shows where the map is empty.

import * as L from "leaflet/dist/leaflet-src.esm.js";
import {roundStep} from "./geo.js";

const apart = 90; // pixels, about
const boldEvery = 5;

// A Grid covers what the map shows.
export class Grid {
	#map;
	#fine;
	#bold;

	constructor(map) {
		this.#map = map;
		map.createPane("grid").style.zIndex = 160;
		const renderer = L.canvas({pane: "grid", padding: 0.4});
		const lines = (opacity) => L.polyline([], {renderer, interactive: false, weight: 1, opacity, smoothFactor: 0}).addTo(map);
		this.#fine = lines(0.22);
		this.#bold = lines(0.5);
		map.on("moveend", () => this.#draw());
		this.#draw();
	}

	paint(colours) {
		for (const lines of [this.#fine, this.#bold]) lines.setStyle({color: colours.grid});
	}

	#draw() {
		const map = this.#map;
		const {x, y} = map.getSize();
		if (x === 0 || y === 0) return;
		const seen = map.getBounds().pad(0.5);
		const west = seen.getWest(), east = seen.getEast();
		const south = Math.max(-85, seen.getSouth()), north = Math.min(85, seen.getNorth());
		const across = roundStep(Math.max(1e-6, (east - west) / 2 * (apart / x)));
		// A degree of latitude is as long as the map makes it here.
		const shrink = Math.cos(map.getCenter().lat * Math.PI / 180);
		const up = roundStep(Math.max(1e-6, across * Math.max(0.1, shrink)));
		const fine = [], bold = [];
		const add = (i, line) => (i % boldEvery === 0 ? bold : fine).push(line);
		for (let i = Math.ceil(west / across); i * across <= east; i++) add(i, [[south, i * across], [north, i * across]]);
		for (let i = Math.ceil(south / up); i * up <= north; i++) add(i, [[i * up, west], [i * up, east]]);
		this.#fine.setLatLngs(fine);
		this.#bold.setLatLngs(bold);
	}
}
