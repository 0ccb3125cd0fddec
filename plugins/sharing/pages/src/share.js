// The share page: logging in, setting up, sharing, and the end of it.

import "./base.css";
import {createMap} from "./map.js";
import "./share.css";
import {Clock} from "./clock.js";
import {readConfig} from "./config.js";
import {formats} from "./format.js";
import {placeOf} from "./geo.js";
import {Session, storageOf} from "./session.js";
import {Chooser} from "./share-chooser.js";
import {byId, setText} from "./share-field.js";
import {Live} from "./share-live.js";
import {setUpLogin} from "./share-login.js";
import {Setup} from "./share-setup.js";

const config = readConfig(document.body.dataset.config);
const states = ["login", "setup", "sharing", "over"];

const storage = storageOf(window);
const clock = new Clock();
const session = new Session({
	storage, clock,
	apiKey: new URLSearchParams(location.search).get("api_key") ?? config.apiKey,
	ended: () => {
		live.pause();
		clearMap();
		show("login");
		problem("You were logged out: your login has ended, or was ended. Please log in again.");
	},
});
const map = createMap(byId("map"), config);
const chooser = new Chooser();
const setup = new Setup({storage, map, start});
const live = new Live({session, clock, storage, map, chooser, formats: formats(navigator.language), announce, over});

setText(byId("service"), config.service);
setUpLogin(session, {done: enter, announce});
byId("logout").addEventListener("click", () => {
	live.end();
	session.logout();
	setup.clear();
	clearMap();
	show("login");
});
byId("again").addEventListener("click", prepare);
if (session.loggedIn) enter();
else show("login");

// announce has a screen reader say something that the eye sees anyway.
function announce(text) {
	byId("announce").textContent = text;
}

function problem(text) {
	const line = byId("problem");
	line.textContent = text;
	line.hidden = text === "";
}

function clearMap() {
	map.setSharer(null);
	map.setTrail([]);
	map.setDestination(null);
}

function show(state) {
	const before = document.body.dataset.state;
	problem("");
	for (const name of states) byId(name).hidden = name !== state;
	document.body.dataset.state = state;
	byId("account").hidden = !session.loggedIn;
	setText(byId("account-name"), session.account);
	document.title = "Share your location";
	map.setInsets({}); // the map may have another size now
	if (before !== "loading") byId(`${state}-title`).focus({preventScroll: true});
	scrollTo(0, 0);
}

// enter goes on with the share that the account has, if it has one.
async function enter() {
	let ticket;
	try {
		const list = await session.call("GET", "v2/users/self/tickets", {query: {state: "active", properties: true, limit: 1}});
		ticket = list.items[0];
	} catch (error) {
		if (!session.loggedIn) return;
		show("setup");
		return problem(`The server does not tell whether you share already: ${error.message}. Please reload the page.`);
	}
	if (!ticket) return prepare();
	show("sharing");
	const property = (name) => ticket.properties.find((p) => p.pid === 0 && p.n === name)?.v;
	const text = (value) => (typeof value === "string" ? value : "");
	live.begin(ticket, {
		name: text(property("name")), avatar: text(property("avatar")), destination: placeOf(property("destination")),
	});
	live.resume();
	announce("You are still sharing.");
}

// prepare asks for what a new share needs.
async function prepare() {
	chooser.placeIn(byId("setup-source"));
	clearMap();
	setup.showDestination();
	show("setup");
	try {
		setup.suggest((await session.call("GET", "v2/users/self")).name);
	} catch {
		// the name is entered by hand
	}
}

async function start({duration, name, avatar, message, destination}) {
	problem("");
	const source = await chooser.choose();
	if (!source) return;
	let ticket;
	try {
		ticket = await session.call("POST", "v2/users/self/create_ticket", {form: {duration}});
	} catch (error) {
		if (session.loggedIn) problem(`The share could not begin: ${error.message}.`);
		return;
	}
	show("sharing");
	const share = live.begin(ticket, {name, avatar, destination});
	for (const [property, value] of Object.entries({name, avatar, message, destination})) {
		// The server has given the ticket the account's name already: who has cleared the
		// field wants none.
		if (value || property === "name") share.setProperty(property, value);
	}
	live.use(source);
	announce("You are sharing now.");
}

function over(ticket) {
	show("over");
	setText(byId("over-text"), `It ended at ${formats(navigator.language).clock(ticket.end_time)}. Nobody can follow you any more. Whoever has a link still sees your last position, for some time.`);
	announce("Your share has ended.");
}
