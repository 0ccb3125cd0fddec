// What sharers type is text, whatever it looks like.

import assert from "node:assert/strict";
import {Browser, options, phase, text} from "./rig.mjs";

const strings = [
	"<img src=x onerror=alert(1)>",
	"\"><script>alert(1)</script>",
	"' onmouseover='alert(1)' autofocus onfocus='alert(1)",
	"<svg><script>alert(1)</script></svg><svg onload=alert(1)>",
	"</title></style></textarea><iframe srcdoc='<script>parent.alert(1)</script>'>",
	"{{config}} ${alert(1)} {{constructor.constructor('alert(1)')()}}",
	"javascript:alert(1)",
	"\u202e\u0000\u2028\ud800 a\u0300".repeat(20),
	"x".repeat(15_000),
];

const pictures = [
	"javascript:alert(1)",
	"data:text/html,<script>alert(1)</script>",
	"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>",
	"data:image/png\" onerror=\"alert(1);base64,AAAA",
	"https://pictures.invalid/a.png\" onerror=\"alert(1)",
	"//pictures.invalid/a.png",
	"v2/account/logout",
	"x".repeat(15_000),
	{src: "javascript:alert(1)"},
];

const odd = [
	{lat: "48", lng: [16], name: {toString: "x"}},
	{lat: 1e300, lng: -1e300, name: "far"},
	{lat: null, lng: null},
	{lat: 48.2, lng: 16.4, name: ["<b>"]},
	[48.2, 16.4],
	"48.2, 16.4",
	null,
	{"__proto__": {lat: 1, lng: 2}, constructor: 1},
	7,
];

const etas = [{eta: -1, eta_ts: 1e300}, {eta: "soon"}, "<b>", null, [], {eta: 1e308, eta_ts: -1e308}, 5, true, {}];

// seen leaves out what cannot be seen, and pages may drop.
const seen = (words) => words.replace(/[\p{C}\p{Z}]/gu, "");

async function call(token, path, body) {
	const answer = await fetch(`${options.base}/v2/${path}`, {
		method: "POST", body: body && JSON.stringify(body),
		headers: {...(token && {Authorization: `Bearer ${token}`}), ...(body && {"Content-Type": "application/json"})},
	});
	const {result, response, meta} = await answer.json();
	assert.equal(result, "ok", `${path}: ${meta?.error_detail}`);
	return response;
}

const browser = await Browser.launch("https://pictures.invalid");
const bob = await browser.person();
const account = await call("", `account/create?api_key=${options.key}`);
const {access_token: token} = await call("", `account/login?api_key=${options.key}&id=${account.id}&password=${account.password}`);

for (const [i, attack] of strings.entries()) {
	const ticket = await call(token, "users/self/create_ticket?duration=600000");
	const now = Date.now();
	// What cannot be sent as JSON at all is no attack.
	const sound = attack.toWellFormed?.() ?? attack.replaceAll("\ud800", "");
	const rows = [["name", sound], ["message", sound], ["avatar", pictures[i]], ["destination", i % 2 ? odd[i] : {lat: 48.2, lng: 16.4, name: sound}], ["eta", etas[i]]];
	await call(token, `tickets/${ticket.id}/append_data`, rows.map(([n, v]) => ({t: now, pid: 0, n, v})));
	await call(token, `tickets/${ticket.id}/append_location`, [[now, 48_200_000, 16_400_000, 500, 90]]);
	const short = encodeURIComponent(sound.slice(0, 100));
	const invite = await call(token, `tickets/${ticket.id}/create_invite?type=link&name=${short}&text=${short}`);
	const page = await browser.open(bob, `${options.base}/${invite.id}`);
	await phase(page, "live");
	const who = seen(await text(page, "#who"));
	assert.ok(who.length > 0 && seen(sound).startsWith(who), `string ${i} became ${who}`);
	assert.equal(await page.evaluate(() => document.querySelectorAll("iframe, script:not([src]), [onerror], [onload], [onfocus], img[src^='javascript'], img[src*='svg']").length), 0);
	assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `string ${i} is wider than the screen`);
	await page.close();

	// The sharer's own page takes up the same ticket.
	const ann = await browser.person();
	const share = await browser.open(ann, `${options.base}/share`, "phone", (page) => page.evaluateOnNewDocument((kept) => {
		sessionStorage.setItem("edgeset.session", kept);
	}, JSON.stringify({token, account: account.id, apiKey: options.key})));
	await share.waitForSelector(".invite");
	assert.equal(await share.evaluate(() => document.querySelectorAll("iframe, script:not([src]), [onerror], [onload], [onfocus]").length), 0);
	await ann.close();
	await call(token, `tickets/${ticket.id}/expire`);
}

// Nor does a path or a parameter get into a page as markup.
for (const path of ["/ABC%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", "/%3Cscript%3Ealert(1)", "/share?api_key=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"]) {
	const page = await browser.open(bob, options.base + path);
	assert.equal(await page.evaluate(() => document.querySelectorAll("[onerror], script:not([src])").length), 0);
	await page.close();
}

await browser.end();
