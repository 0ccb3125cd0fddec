// A sharer's own device tells where it is, or may not.

import assert from "node:assert/strict";
import {Browser, enter, look, options, phase, text, wait} from "./rig.mjs";

// What the manifest says of tiles and of the service stands in the page.
const config = JSON.parse(/data-config="([^"]*)"/.exec(await (await fetch(`${options.base}/share`)).text())[1]
	.replace(/&#34;|&quot;/g, '"').replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&#39;/g, "'").replace(/&amp;/g, "&"));
const browser = await Browser.launch(new URL(config.tiles.url).origin);
const ann = await browser.person();
const bob = await browser.person();

const share = await browser.open(ann, `${options.base}/share?api_key=${options.key}`);
const account = await enter(share);
await share.type("#name", "Ann");
await share.click("#start");
await share.waitForSelector("#source-state.bad");
assert.match(await text(share, "#source-state"), /may not tell your position/);
await look(share, "share-denied");

await ann.overridePermissions(new URL(options.base).origin, ["geolocation"]);
await share.setGeolocation({latitude: 48.2, longitude: 16.4, accuracy: 5});
await share.click("#source-change summary");
await share.click("#source-button");
await wait("the first position", async () => await text(share, "#sent") !== "0");
await share.click("#invite-button");
await share.waitForSelector(".invite");
const link = await share.$eval(".invite .link", (input) => input.value);
const view = await browser.open(bob, link);
await phase(view, "live");

await view.waitForSelector("img.leaflet-tile-loaded");
assert.equal(await text(view, ".map-credit"), "Tiles of <b>a test</b>");
assert.equal(await text(view, "#service"), "Where is <i>Ann</i>?");

const place = () => view.$eval(".sharer", ({dataset}) => [Number(dataset.lat), Number(dataset.lng)]);
assert.deepEqual(await place(), [48.2, 16.4]);
await share.setGeolocation({latitude: 48.21, longitude: 16.41, accuracy: 5});
await wait("the next position", async () => (await place())[0] === 48.21);

// Where no stream comes through, polls do.
const behind = await browser.open(bob, link, "phone", async (page) => {
	await page.setRequestInterception(true);
	page.on("request", (request) => (request.url().includes("/stream?") ? request.abort() : request.continue()));
});
await phase(behind, "live");
await share.setGeolocation({latitude: 48.215, longitude: 16.415, accuracy: 5});
await wait("the position, by polling", () => behind.$eval(".sharer", ({dataset}) => dataset.lat === "48.215"));
await behind.close();
await wait("one viewer", async () => await text(share, "#viewing") === "1");

// Who does not look at the page is not counted as looking at it.
await wait("one viewer", async () => await text(share, "#viewing") === "1");
await view.evaluate(() => {
	Object.defineProperty(document, "visibilityState", {value: "hidden", configurable: true});
	document.dispatchEvent(new Event("visibilitychange"));
});
await wait("no viewer", async () => await text(share, "#viewing") === "0");
await share.setGeolocation({latitude: 48.22, longitude: 16.42, accuracy: 5});
await wait("the position is sent", async () => Number(await text(share, "#sent")) >= 4);
await view.evaluate(() => {
	delete document.visibilityState;
	document.dispatchEvent(new Event("visibilitychange"));
});
await wait("it catches up", async () => (await place())[0] === 48.22);
await wait("one viewer again", async () => await text(share, "#viewing") === "1");

// An invite that is deleted opens nothing any more, at once.
await share.click(".invite .remove");
await phase(view, "unknown");
await wait("the list is empty", () => share.$eval("#invites-none", (line) => !line.hidden));

await share.click("#logout");
await share.waitForSelector("#login:not([hidden])");
assert.equal(await share.evaluate(() => JSON.parse(sessionStorage.getItem("edgeset.session")).token ?? ""), "");
assert.equal(await share.$(".sharer"), null);
assert.equal(await share.$eval("#name", (input) => input.value), "");

// Who logs in again still shares.
await share.type("#account-id", account.id);
await share.type("#password", "wrong password");
await share.click("#login-button");
await share.waitForSelector("#password[aria-invalid=true]");
assert.match(await text(share, "#password-error"), /no account with this id and password/);
await share.click("#password", {count: 3});
await share.type("#password", account.password);
await share.keyboard.press("Enter");
await share.waitForSelector("#sharing:not([hidden])");
assert.match(await text(share, "#source-state"), /choose a source/);

// A login that ends is told, and who logs in again goes on, with the positions that still wait.
await share.click("#source-change summary");
await share.click("#source-button");
await wait("a position", async () => await text(share, "#sent") !== "0");
await share.evaluate(() => {
	const {token} = JSON.parse(sessionStorage.getItem("edgeset.session"));
	return fetch("v2/account/logout", {method: "POST", headers: {Authorization: `Bearer ${token}`}});
});
await share.waitForSelector("#login:not([hidden])");
assert.match(await text(share, "#problem"), /log in again/);
await look(share, "share-logged-out");
await share.$eval("#account-id", (input) => { input.value = ""; });
await share.type("#account-id", account.id);
await share.type("#password", account.password);
await share.keyboard.press("Enter");
await share.waitForSelector("#sharing:not([hidden])");
await wait("positions again", async () => await text(share, "#source-state") === "Positions of this device.");
await wait("they are sent", async () => await text(share, "#sent") !== "0");
await browser.end();
