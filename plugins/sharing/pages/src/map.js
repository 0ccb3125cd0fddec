// The map of both pages. Its element stands in an element .map-frame, to which the map
// adds its buttons and what it owes to the makers of its tiles.

import * as L from "leaflet/dist/leaflet-src.esm.js";
import "./map.css";
import {course, near, unfoldTrail} from "./geo.js";
import {usesMiles} from "./format.js";
import {Grid} from "./grid.js";
import {icon} from "./icon.js";
import {Sharer, goal} from "./marker.js";
import {World, nearFrom} from "./world.js";

const start = {lat: 30, lng: 10, zoom: 2};
const streets = 15;
const around = 7;
const glide = 450; // ms that a marker takes to where it should be
const fades = 12; // steps in which a trail fades

const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

// createMap makes a map in an element. config is what readConfig returns.
export function createMap(element, config) {
	const miles = usesMiles(navigator.language);
	element.classList.add("map"); // Leaflet looks at how it is placed
	const map = L.map(element, {
		center: start,
		zoom: start.zoom,
		minZoom: 2,
		maxZoom: config.tiles?.maxZoom ?? 18,
		maxBounds: [[-89, -540], [89, 540]],
		zoomControl: false,
		attributionControl: false,
		worldCopyJump: false,
		zoomAnimation: !still.matches,
		fadeAnimation: !still.matches,
		inertia: !still.matches,
	});
	const world = new World(map), grid = new Grid(map);
	const trail = new Trail(map);
	const sharer = new Sharer(map);
	let goalMarker = null, goalPlace = null, goalKey = "";
	let points = [], head = null; // head: where the sharer is, on this side of the world
	let following = true, placed = false;
	let insets = {top: 0, right: 0, bottom: 0, left: 0};

	function paint() {
		const style = getComputedStyle(document.documentElement);
		const colour = (name) => style.getPropertyValue(`--${name}`).trim();
		const colours = {land: colour("land"), border: colour("border"), grid: colour("grid"), trail: colour("trail"), casing: colour("casing")};
		for (const part of [world, grid, trail]) part.paint(colours);
	}
	paint();
	dark.addEventListener("change", paint);

	// Tiles cover what the map has of its own, which shows where they do not come. Their
	// server may want to know who asks, but must not learn the code.
	if (config.tiles) {
		L.tileLayer(config.tiles.url, {maxZoom: config.tiles.maxZoom, referrerPolicy: "origin"}).addTo(map);
	}
	L.control.scale({position: "bottomleft", maxWidth: 120, metric: !miles, imperial: miles}).addTo(map);

	const classify = () => {
		element.classList.toggle("near", map.getZoom() >= nearFrom);
		element.classList.toggle("far", map.getZoom() < 4);
	};
	map.on("zoomend", classify);
	classify();

	// centreFor returns the centre of the map that shows a place in the middle of what
	// nothing covers.
	function centreFor(place, zoom) {
		const by = L.point((insets.right - insets.left) / 2, (insets.bottom - insets.top) / 2);
		return map.unproject(map.project(place, zoom).add(by), zoom);
	}

	function centre(animate) {
		if (!head) return;
		const zoom = placed ? map.getZoom() : Math.max(map.getZoom(), streets);
		const to = centreFor(head, zoom);
		placed = true;
		if (!animate || still.matches || zoom !== map.getZoom()) return map.setView(to, zoom, {animate: false});
		map.panTo(to, {animate: true, duration: glide / 1000, easeLinearity: 1, noMoveStart: true});
	}

	function setFollow(on) {
		if (on !== following) {
			following = on;
			zoomAround();
			showFollow();
		}
		if (on) centre(true);
	}

	// Who follows zooms around the sharer, and not around a finger or the mouse.
	function zoomAround() {
		map.options.scrollWheelZoom = map.options.touchZoom = map.options.doubleClickZoom = following ? "center" : true;
	}
	zoomAround();
	const setZoom = map.setZoom;
	map.setZoom = (zoom, options) => {
		if (!following || !head) return setZoom.call(map, zoom, options);
		const allowed = Math.min(map.getMaxZoom(), Math.max(map.getMinZoom(), zoom));
		return map.setView(centreFor(head, allowed), allowed, {zoom: options});
	};

	// Whoever moves the map wants to look elsewhere.
	map.on("dragstart", () => setFollow(false));
	map.on("zoomend", () => {
		if (following && placed) centre(true);
	});
	// A pan that is under way, as when a phone is turned, knows nothing of the new size.
	map.on("resize", () => {
		map.stop();
		if (following && placed) centre(false);
	});
	element.addEventListener("keydown", (event) => {
		if (event.key.startsWith("Arrow")) setFollow(false);
	}, {capture: true});

	// fit shows all there is: trail, sharer and destination.
	function fit() {
		const places = [...points, ...(goalPlace ? [near(goalPlace, head)] : [])];
		if (places.length === 0) return;
		setFollow(false);
		placed = true;
		map.fitBounds(L.latLngBounds(places), {
			paddingTopLeft: [insets.left + 60, insets.top + 60],
			paddingBottomRight: [insets.right + 60, insets.bottom + 60],
			maxZoom: 16,
			animate: !still.matches,
		});
	}

	const button = (name, label, act) => {
		const made = document.createElement("button");
		made.type = "button";
		made.setAttribute("aria-label", label);
		made.title = label;
		made.append(icon(name));
		made.addEventListener("click", act);
		return made;
	};
	const followButton = button("follow", "Follow", () => setFollow(!following));
	const fitButton = button("fit", "Show the whole way", fit);
	function showFollow() {
		followButton.setAttribute("aria-pressed", String(following));
		followButton.hidden = !head;
		fitButton.hidden = !head && !goalPlace;
	}
	showFollow();
	const pair = document.createElement("div");
	pair.className = "pair";
	pair.append(button("plus", "Zoom in", () => map.zoomIn(1)), button("minus", "Zoom out", () => map.zoomOut(1)));
	const tools = document.createElement("div");
	tools.className = "map-tools";
	tools.setAttribute("role", "group");
	tools.setAttribute("aria-label", "Map tools");
	tools.append(followButton, fitButton, pair);
	const credit = document.createElement("p");
	credit.className = "map-credit";
	credit.textContent = config.tiles ? config.tiles.attribution : "Natural Earth";
	credit.hidden = credit.textContent === "";
	element.after(tools, credit);

	return {
		map,

		// setTrail shows points, the oldest first; the sharer is at the last one.
		setTrail(list) {
			points = unfoldTrail(list);
			trail.show(points);
		},

		// setSharer puts the marker at a point of geo.js; null takes it away. look is
		// {name, avatar, quiet}.
		setSharer(point, look = {}) {
			if (!point) {
				sharer.remove();
				head = null;
				return showFollow();
			}
			const to = near(point, null);
			const moved = !head || head.lat !== to.lat || head.lng !== to.lng;
			const far = head && map.project(head).distanceTo(map.project(to)) > Math.max(map.getSize().x, map.getSize().y);
			head = to;
			showFollow();
			const heading = course(points.at(-1)?.t === point.t ? points : [point]);
			sharer.show(to, {...look, heading, t: point.t}, far || !moved ? 0 : glide, (at) => trail.lead(at));
			if (following && moved) centre(placed && !far);
		},

		setDestination(place) {
			const key = place ? JSON.stringify([place.lat, place.lng, place.name]) : "";
			if (key === goalKey) return;
			goalMarker?.remove();
			goalMarker = place ? goal({...near(place, head), name: place.name}).addTo(map) : null;
			goalPlace = place;
			goalKey = key;
			showFollow();
		},

		// lookAt shows the region of a place, until there is a sharer to be shown.
		lookAt(place) {
			if (!placed) map.setView(centreFor(place, around), around, {animate: false});
		},

		setFollow,
		fit,

		// setInsets tells how many pixels at each side are covered by something else.
		setInsets(sides) {
			insets = {...insets, ...sides};
			for (const [side, n] of Object.entries(insets)) element.parentElement.style.setProperty(`--inset-${side}`, `${n}px`);
			map.invalidateSize({pan: false});
			if (following && placed) centre(false);
		},
	};
}

// A Trail is where the sharer has been, and fades with time.
class Trail {
	#steps = [];
	#tip;
	#last = null;

	constructor(map) {
		const renderer = L.canvas({padding: 0.4});
		const line = (options) => L.polyline([], {renderer, interactive: false, lineCap: "butt", lineJoin: "round", smoothFactor: 0.7, ...options}).addTo(map);
		for (let i = 1; i <= fades; i++) {
			const part = i / fades;
			this.#steps.push({under: line({weight: 8, opacity: 0.7 * part}), over: line({weight: 4.5, opacity: 0.15 + 0.85 * part})});
		}
		this.#tip = {under: line({weight: 8, opacity: 0.7}), over: line({weight: 4.5, opacity: 1})};
	}

	paint(colours) {
		for (const {under, over} of [...this.#steps, this.#tip]) {
			under.setStyle({color: colours.casing});
			over.setStyle({color: colours.trail});
		}
	}

	// show draws all but the way to the last point, which lead draws.
	show(points) {
		const done = points.slice(0, -1), from = done[0]?.t ?? 0, span = Math.max(1, (done.at(-1)?.t ?? 0) - from);
		const parts = this.#steps.map(() => []);
		for (let i = 1; i < done.length; i++) {
			const step = parts[Math.min(fades - 1, Math.floor((done[i].t - from) / span * fades))];
			if (step.length === 0) step.push(done[i - 1]);
			step.push(done[i]);
		}
		this.#steps.forEach(({under, over}, i) => {
			under.setLatLngs(parts[i]);
			over.setLatLngs(parts[i]);
		});
		this.#last = done.at(-1) ?? null;
		if (points.length < 2) this.lead(null);
	}

	lead(at) {
		const line = at && this.#last ? [this.#last, at] : [];
		this.#tip.under.setLatLngs(line);
		this.#tip.over.setLatLngs(line);
	}
}
