// The map that is always there: the countries of the world, in the colours of the page.

import * as L from "leaflet/dist/leaflet-src.esm.js";
import {feature, mesh} from "topojson-client";
import {unfoldRing} from "./geo.js";

/* global WORLD_COARSE, WORLD_FINE */
const scales = {coarse: WORLD_COARSE, fine: WORLD_FINE};

const fineFrom = 5; // zoom

// nearFrom is the zoom from which on coasts are too coarse to be true.
export const nearFrom = 10;

// A World draws itself on a map, coarse at first and finer when that shows, and not at
// all so near that it would mislead.
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
		const zoom = this.#map.getZoom();
		this.#load("coarse");
		if (zoom >= fineFrom && zoom < nearFrom) this.#load("fine");
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
		const options = {renderer: this.#renderer, interactive: false, smoothFactor: 1};
		const land = feature(topology, countries).features
			.flatMap(({geometry: {type, coordinates}}) => copies(type === "Polygon" ? [coordinates] : coordinates))
			.map((polygons) => L.polygon(polygons, {...options, fillOpacity: 1, weight: 0.6, opacity: 0.8}));
		const layer = {
			land: L.featureGroup(land),
			borders: L.polyline(lines(mesh(topology, countries, (a, b) => a !== b)), {...options, weight: 1, opacity: 1}),
		};
		if (this.colours) this.#style(layer);
		return layer;
	}

	#show() {
		const zoom = this.#map.getZoom();
		let wanted = zoom >= fineFrom && this.#layers.fine ? "fine" : "coarse";
		if (zoom >= nearFrom) wanted = null;
		if (wanted === this.#shown || (wanted && !this.#layers[wanted])) return;
		const old = this.#layers[this.#shown], fresh = this.#layers[wanted];
		fresh?.land.addTo(this.#map);
		fresh?.borders.addTo(this.#map);
		old?.land.remove();
		old?.borders.remove();
		this.#shown = wanted;
	}
}

const turned = ([lng, lat]) => [lat, lng];

const lines = ({coordinates}) => coordinates.map((line) => line.map(turned));

// copies returns the polygons of a country, and if some are near the 180th meridian these
// also beyond it, so that the world does not end there.
function copies(polygons) {
	const plain = polygons.map((rings) => rings.map(unfoldRing));
	const beyond = (by, near) => plain
		.filter(([outer]) => outer.some(([, lng]) => near(lng)))
		.map((rings) => rings.map((ring) => ring.map(([lat, lng]) => [lat, lng + by])));
	return [plain, beyond(-360, (lng) => lng > 140), beyond(360, (lng) => lng < -140)].filter((list) => list.length > 0);
}
