// A sharer replays a track and invites somebody by mail; who opens the link of the mail follows.

import assert from "node:assert/strict";
import {writeFileSync} from "node:fs";
import {join} from "node:path";
import {ask, Browser, look, options, phase, report, text, track, wait} from "./rig.mjs";

const browser = await Browser.launch();
const ann = await browser.person();
const bob = await browser.person();

// The sharer's page notes when it sends which position first, the viewer's when it shows which.
const share = await browser.open(ann, `${options.base}/share?api_key=${options.key}`, "desktop", (page) => page.evaluateOnNewDocument(() => {
	globalThis.sent = [];
	const {fetch} = globalThis;
	globalThis.fetch = (target, init) => {
		if (String(target).includes("/append_location")) {
			const known = globalThis.sent.at(-1)?.t ?? 0;
			const rows = JSON.parse(init.body).map(([t]) => t).filter((t) => t > known);
			globalThis.sent.push(...rows.map((t) => ({t, at: Date.now()})));
		}
		return fetch(target, init);
	};
}));
const noteShown = (page) => page.evaluateOnNewDocument(() => {
	globalThis.shown = [];
	new MutationObserver(() => {
		const marker = document.querySelector(".sharer");
		const t = Number(marker?.dataset.t ?? 0);
		if (t > (globalThis.shown.at(-1)?.t ?? 0)) globalThis.shown.push({t, at: Date.now()});
	}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["data-t"]});
});

await share.waitForSelector("#login:not([hidden])");
await look(share, "share-login");
await share.click("#login-button");
await share.waitForSelector("#account-id[aria-invalid=true]");
await look(share, "share-login-refused");
await share.click("#new-account");
await share.waitForSelector("#created:not([hidden])");
await look(share, "share-account");
await share.click("#created-go");
await share.waitForSelector("#setup:not([hidden])");

const picture = join(options.folder, "picture.png"), file = join(options.folder, "ride.gpx");
writeFileSync(picture, Buffer.from(await share.evaluate(() => {
	const canvas = document.createElement("canvas");
	canvas.width = 640;
	canvas.height = 480;
	const context = canvas.getContext("2d"), sky = context.createLinearGradient(0, 0, 640, 480);
	sky.addColorStop(0, "#f4a259");
	sky.addColorStop(1, "#5b2a86");
	context.fillStyle = sky;
	context.fillRect(0, 0, 640, 480);
	return canvas.toDataURL("image/png").split(",")[1];
}), "base64"));
writeFileSync(file, track());
await share.type("#name", "Ann Bergmann");
await (await share.$("#avatar")).uploadFile(picture);
await share.waitForSelector("#avatar-preview img");
await share.type("#message", "On my way home!");
await share.type("#destination-name", "Home");
await share.type("#destination", "48.2206, 16.4000");
await share.click("input[value=gpx]");
await share.click("#start");
await share.waitForSelector("#gpx-file[aria-invalid=true]");
await (await share.$("#gpx-file")).uploadFile(file);
await look(share, "share-setup");
await share.click("#start");
await share.waitForSelector("#sharing:not([hidden])");

// An invite by mail: it is queued, and sent.
await share.select("#invite-type", "email");
await share.type("#invite-address", "bob@");
await share.click("#invite-button");
await share.waitForSelector("#invite-address[aria-invalid=true]");
await share.type("#invite-address", "example.org");
await share.type("#invite-name", "Bob");
await share.select("#invite-locale", "de");
await share.click("#invite-button");
await share.waitForSelector(".invite[data-status]");
const mail = await ask("mail", {to: "bob@example.org"});
assert.equal(new URL(mail.link).origin, new URL(options.base).origin);
assert.match(mail.sender, /Ann Bergmann/);
assert.equal(mail.language, "de");
await share.waitForSelector(".invite[data-status=sent]");

// Who opens the link sees where the sharer is.
const view = await browser.open(bob, mail.link, "phone", async (page) => {
	await noteShown(page);
	const wire = await page.createCDPSession();
	await wire.send("Network.enable");
	const urls = new Map(), sizes = new Map();
	wire.on("Network.requestWillBeSent", ({requestId, request}) => urls.set(requestId, request.url));
	wire.on("Network.loadingFinished", ({requestId, encodedDataLength}) => sizes.set(urls.get(requestId), encodedDataLength));
	page.bytes = () => sizes;
});
await view.waitForSelector(".sharer");
await phase(view, "live");
assert.equal(await text(view, "#who"), "Ann Bergmann");
assert.equal(await text(view, "#message"), "On my way home!");
await view.waitForSelector("#avatar img");
const bytes = [...view.bytes().values()].reduce((sum, size) => sum + size);
report("bytes of the viewer page", bytes);
assert.ok(bytes < 200_000, `the viewer page takes ${bytes} bytes`);
await wait("the sharer sees one viewer", async () => await text(share, "#viewing") === "1");

// It follows within a second.
const timesOf = (page, name) => page.evaluate((list) => globalThis[list], name);
await wait("20 positions on the viewer's page", async () => (await timesOf(view, "shown")).length > 20);
const opened = (await timesOf(view, "shown"))[0].t;
await new Promise((done) => setTimeout(done, 1500));
const shown = await timesOf(view, "shown");
const delays = (await timesOf(share, "sent"))
	.filter(({t}) => t > opened && t <= shown.at(-1).t)
	.map(({t, at}) => shown.find((s) => s.t >= t).at - at)
	.sort((a, b) => a - b);
assert.ok(delays.length >= 15, `${delays.length} positions`);
report("positions followed", delays.length);
report("median delay from append to page, ms", delays[delays.length >> 1]);
report("longest delay from append to page, ms", delays.at(-1));
assert.ok(delays[delays.length >> 1] < 1000, `the median delay is ${delays[delays.length >> 1]} ms`);
await look(share, "share-live");
await look(view, "view-live");

// The keyboard is enough.
await view.focus("#map");
await view.keyboard.press("ArrowLeft");
await view.waitForSelector('button[aria-label="Follow"][aria-pressed=false]');
await view.focus('button[aria-label="Follow"]');
await view.keyboard.press("Enter");
await view.waitForSelector('button[aria-label="Follow"][aria-pressed=true]');

// Who goes away is seen to go, and who comes again is the same one.
await view.close();
await wait("the viewer has gone", async () => await text(share, "#viewing") === "0");
const again = await browser.open(bob, mail.link, "desktop", noteShown);
await phase(again, "live");
await wait("the viewer is back", async () => await text(share, "#viewing") === "1");
assert.equal(await text(share, "#viewers"), "1");

// Hidden, and shown again.
await share.click("#hide");
await phase(again, "hidden");
assert.equal(await again.$(".sharer"), null);
await look(again, "view-hidden");
await look(share, "share-hidden");
await share.click("#hide");
await phase(again, "live");

// An extension.
const left = await text(again, "#fact-left");
await share.click('[data-extend="3600000"]');
await wait("the viewer sees the extension", async () => await text(again, "#fact-left") !== left && /^Time left1 h 5|^Time left2 h/.test(await text(again, "#fact-left")));

// The server goes and comes again: nothing is lost.
await ask("stop");
await phase(again, "lost");
await wait("the sharer is told", () => share.$eval("#connection", (line) => !line.hidden));
await look(again, "view-lost");
await look(share, "share-lost");
await ask("start");
await phase(again, "live");
await wait("the sharer is connected again", () => share.$eval("#connection", (line) => line.hidden));
const now = (await timesOf(share, "sent")).at(-1).t;
await wait("the viewer is up to date", async () => (await timesOf(again, "shown")).at(-1).t >= now);
const code = new URL(mail.link).pathname.slice(1);
const stored = new Set();
for (let next = 0, more = true; more;) {
	const answer = await (await fetch(`${options.base}/v2/invites/${code}?next=${next}&full_trail=true&uncompressed=true&no_count=true`)).json();
	for (const [t] of answer.response.location ?? []) stored.add(t);
	({next, more = false} = answer.response);
}
const sent = (await timesOf(share, "sent")).filter(({t}) => t <= now);
assert.deepEqual(sent.filter(({t}) => !stored.has(t)), []);
report("positions stored", stored.size);

// A reload goes on with the same share.
await share.reload();
await share.waitForSelector("#sharing:not([hidden])");
await wait("positions after the reload", async () => Number(await text(share, "#sent")) > 2);
await share.waitForSelector(".invite[data-status=sent]");

// The end shows on both.
await share.click("#stop");
await share.waitForSelector("#over:not([hidden])");
await phase(again, "expired");
await look(share, "share-over");
await look(again, "view-expired");

const unknown = await browser.open(bob, `${options.base}/ABCD-EFGH`);
await phase(unknown, "unknown");
await look(unknown, "view-unknown");

// Before the first position there is none to show; and time alone ends a share, too.
await share.click("#again");
await share.waitForSelector("#setup:not([hidden])");
const {response: {id}} = await share.evaluate(async () => {
	const {token} = JSON.parse(sessionStorage.getItem("edgeset.session"));
	const post = async (path) => (await fetch(path, {method: "POST", headers: {Authorization: `Bearer ${token}`}})).json();
	const ticket = await post("v2/users/self/create_ticket?duration=20000");
	return post(`v2/tickets/${ticket.response.id}/create_invite?type=link&name=Cleo`);
});
const waiting = await browser.open(bob, `${options.base}/${id.toLowerCase().replace("-", "")}`);
await phase(waiting, "waiting");
await share.reload();
await share.waitForSelector("#sharing:not([hidden])");
await look(waiting, "view-waiting");
await share.waitForSelector("#over:not([hidden])");
await phase(waiting, "expired");

await browser.end();
