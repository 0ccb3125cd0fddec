// The page behind an invite: a map that follows whoever shares.

import "./base.css";
import {createMap} from "./map.js";
import "./view.css";
import {API} from "./api.js";
import {showAvatar} from "./avatar.js";
import {Clock} from "./clock.js";
import {readConfig} from "./config.js";
import {countdown, formats} from "./format.js";
import {course} from "./geo.js";
import {icon} from "./icon.js";
import {Live} from "./live.js";
import {Sight} from "./state.js";
import {arrival, chip, nameOf, notice, position, title} from "./words.js";

const wordsEvery = 60_000; // a position is read out at most so often

const $ = (id) => document.getElementById(id);
const config = readConfig(document.body.dataset.config);
const words = formats(navigator.language);
const clock = new Clock();
const sight = new Sight();
const map = createMap($("map"), config);
const live = new Live({
	api: new API({clock}),
	clock,
	code: config.code,
	viewer: viewerName(),
	sight,
	tabs: globalThis.BroadcastChannel ? new BroadcastChannel("edgeset.view") : null,
	changed: render,
});

// viewerName is a random word that this browser keeps, so that two of one household
// count as two, and one who comes again as one.
function viewerName() {
	const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(36).padStart(2, "0")).join("");
	try {
		const kept = localStorage.getItem("viewer");
		if (kept && /^[a-z0-9]{8,64}$/.test(kept)) return kept;
		const name = fresh();
		localStorage.setItem("viewer", name);
		return name;
	} catch {
		return fresh();
	}
}

function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

// fact shows a value and what belongs to it; null hides it.
function fact(id, value) {
	const element = $(id);
	element.hidden = value == null;
	if (value == null) return;
	const [main, more = ""] = value;
	const strong = element.querySelector("strong"), span = element.querySelector("dd span");
	if (strong) setText(strong, main);
	setText(span, strong ? more : main);
}

let shownPoints = null, shownLook = "", shownGoal = null, announced = "", spokenAt = 0;

function render() {
	const now = clock.now(), phase = sight.phase(now);
	const seen = phase !== "hidden" && phase !== "unknown" ? sight.head : null;
	const heading = seen ? course(sight.points) : null;
	const name = nameOf(sight);
	document.body.dataset.phase = phase;
	document.title = title(sight, phase, config.service);

	setText($("who"), sight.known && !sight.gone ? name : "Live location");
	showAvatar($("avatar"), sight.name, sight.avatar);
	const [kind, word] = chip(phase);
	$("chip").className = `chip ${kind}`;
	setText($("chip"), word);
	setText($("age"), seen && phase !== "expired" ? words.age(now - seen.t) : "");

	const told = notice(sight, phase, now, words);
	$("notice").hidden = !told;
	if (told) {
		$("notice").className = `notice ${told.kind}`;
		setText($("notice-title"), told.title);
		setText($("notice-text"), told.text);
	}
	$("retry").hidden = phase !== "lost";

	const message = sight.gone ? "" : sight.message;
	$("message").hidden = message === "";
	$("message").classList.toggle("long", message.length > 200);
	setText($("message"), message);

	const going = phase === "live" || phase === "stale" || phase === "lost";
	const left = sight.end == null ? null : sight.end - now;
	$("facts").hidden = phase === "unknown" || phase === "loading";
	fact("fact-arrival", going && seen ? arrival(sight, now, words) : null);
	fact("fact-left", left > 0 ? [countdown(left), `until ${words.clock(sight.end)}`] : null);
	fact("fact-speed", going && seen?.speed != null ? [words.speed(seen.speed), heading == null || seen.speed < 0.3 ? "" : words.compass(heading)] : null);
	fact("fact-togo", sight.destination && !sight.gone ? [sight.toGo == null || !seen ? "" : words.distance(sight.toGo), sight.destination.name] : null);
	fact("fact-place", seen ? [words.coordinates(seen.lat, seen.lng)] : null);
	setText($("words"), position(sight, phase, now, heading, words));

	show(seen, phase);
	announce(phase, now, told);
}

// show brings the map up to date.
function show(seen, phase) {
	if (sight.points !== shownPoints || !seen) {
		shownPoints = sight.points;
		map.setTrail(seen ? sight.points : []);
	}
	const look = {name: sight.name, avatar: sight.avatar, quiet: phase !== "live"};
	const key = JSON.stringify([seen, look]);
	if (key !== shownLook) {
		shownLook = key;
		map.setSharer(seen, look);
	}
	const destination = phase === "unknown" ? null : sight.destination;
	map.setDestination(destination);
	const goal = destination && `${destination.lat} ${destination.lng}`;
	if (goal && !seen && goal !== shownGoal) map.lookAt(destination);
	shownGoal = goal;
}

// announce reads out what changes the picture, and once in a while where it is.
function announce(phase, now, told) {
	const at = performance.now();
	if (phase === announced && (phase !== "live" || at - spokenAt < wordsEvery)) return;
	if (phase === "loading") return;
	announced = phase;
	spokenAt = at;
	setText($("announce"), told ? `${told.title}. ${told.text}` : $("words").textContent);
}

// What the panel covers is not the middle of the map.
function measure() {
	const frame = $("map").getBoundingClientRect(), panel = $("panel").getBoundingClientRect();
	const beside = panel.width < frame.width * 0.7;
	map.setInsets({left: beside ? panel.right : 0, bottom: beside ? 0 : frame.bottom - panel.top});
	const {scrollHeight, clientHeight} = $("details");
	if (scrollHeight > clientHeight + 1) $("details").tabIndex = 0;
	else $("details").removeAttribute("tabindex");
}

$("fold").append(icon("down"));
$("fold").addEventListener("click", () => {
	const open = $("fold").getAttribute("aria-expanded") !== "true";
	$("fold").setAttribute("aria-expanded", String(open));
	$("details").hidden = !open;
});
$("retry").addEventListener("click", () => live.retry());
setText($("service"), config.service);
new ResizeObserver(measure).observe($("panel"));
addEventListener("resize", measure);

// Whoever does not look at the page does not count as a viewer.
const look = () => (document.visibilityState === "visible" ? live.open() : live.close());
document.addEventListener("visibilitychange", look);
addEventListener("pageshow", look);
addEventListener("pagehide", () => live.close());
addEventListener("online", () => live.retry());

render();
measure();
look();
setInterval(() => {
	if (document.visibilityState === "visible") render();
}, 1000);
