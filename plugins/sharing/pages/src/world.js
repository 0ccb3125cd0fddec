// The map that is always there: the countries of the world, in the colours of the page.

import * as L from "leaflet/dist/leaflet-src.esm.js";
import {feature, mesh} from "topojson-client";
import {unfoldRing} from "./geo.js";

/* global WORLD_COARSE, WORLD_FINE */
const scales = {coarse: WORLD_COARSE, fine: WORLD_FINE};

const fineFrom = 5; // zoom

// A World draws itself on a map, coarse at first and finer when that shows.
export class World {
	#map;
	#renderer;
	#layers = {}; // scale → {land, borders}
	#asked = {};
	#shown = null;

	constructor(map) {
		this.#map = map;
		map.createPane("world").style.zIndex = 150;
		this.#renderer = L.canvas({pane: "world", padding: 0.4});
		map.on("zoomend", () => this.#choose());
		this.#choose();
	}

	// paint takes the colours anew.
	paint(colours) {
		this.colours = colours;
		for (const layer of Object.values(this.#layers)) this.#style(layer);
	}

	#style({land, borders}) {
		land.setStyle({fillColor: this.colours.land, color: this.colours.border});
		borders.setStyle({color: this.colours.border});
	}

	#choose() {
		this.#load("coarse");
		if (this.#map.getZoom() >= fineFrom) this.#load("fine");
		this.#show();
	}

	async #load(scale) {
		if (this.#asked[scale]) return;
		this.#asked[scale] = true;
		try {
			const answer = await fetch(new URL(scales[scale], import.meta.url));
			if (!answer.ok) throw new Error(`${scales[scale]}: status ${answer.status}`);
			this.#layers[scale] = this.#draw(await answer.json());
			this.#show();
		} catch (error) {
			console.warn("map of the world:", error);
			setTimeout(() => (this.#asked[scale] = false), 10_000);
		}
	}

	#draw(topology) {
		const {countries} = topology.objects;
		const polygons = feature(topology, countries).features.flatMap(({geometry}) =>
			geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates);
		const options = {renderer: this.#renderer, interactive: false, smoothFactor: 1};
		const layer = {
			land: L.polygon(polygons.flatMap(copies), {...options, fillOpacity: 1, weight: 0.6, opacity: 0.8}),
			borders: L.polyline(lines(mesh(topology, countries, (a, b) => a !== b)), {...options, weight: 1, opacity: 1}),
		};
		if (this.colours) this.#style(layer);
		return layer;
	}

	#show() {
		const wanted = this.#map.getZoom() >= fineFrom && this.#layers.fine ? "fine" : "coarse";
		if (wanted === this.#shown || !this.#layers[wanted]) return;
		const old = this.#layers[this.#shown];
		this.#layers[wanted].land.addTo(this.#map);
		this.#layers[wanted].borders.addTo(this.#map);
		old?.land.remove();
		old?.borders.remove();
		this.#shown = wanted;
	}
}

const turned = ([lng, lat]) => [lat, lng];

const lines = ({coordinates}) => coordinates.map((line) => line.map(turned));

// copies returns a polygon, and what is near the 180th meridian also beyond it, so that
// the world does not end there.
function copies(rings) {
	const plain = rings.map(unfoldRing);
	const list = [plain];
	const move = (by) => list.push(plain.map((ring) => ring.map(([lat, lng]) => [lat, lng + by])));
	const outer = plain[0].map(([, lng]) => lng);
	if (Math.max(...outer) > 140) move(-360);
	if (Math.min(...outer) < -140) move(360);
	return list;
}
