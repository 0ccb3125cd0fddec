// What the scenarios of this folder share: the browser, what is watched in every page, and how to
// talk to the test that has started them.

import assert from "node:assert/strict";
import {mkdirSync, readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {createInterface} from "node:readline";
import puppeteer from "puppeteer-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const patience = 60_000; // ms, for what takes a moment on a busy machine

export const sizes = {
	phone: {width: 390, height: 844, deviceScaleFactor: 1},
	desktop: {width: 1280, height: 800, deviceScaleFactor: 1},
};

// options come from the test: program, base, key, folder, and the folder shots for pictures.
export const options = JSON.parse(process.argv[2]);

const answers = createInterface({input: process.stdin})[Symbol.asyncIterator]();

// ask has the test do something that a browser cannot do.
export async function ask(what, more = {}) {
	console.log(JSON.stringify({ask: what, ...more}));
	return JSON.parse((await answers.next()).value);
}

// report hands a figure to the test.
export function report(name, value) {
	console.log(JSON.stringify({name, value}));
}

export async function wait(what, holds) {
	const end = Date.now() + patience;
	for (;;) {
		const value = await holds();
		if (value) return value;
		assert.ok(Date.now() < end, `${what}: not within ${patience / 1000} s`);
		await new Promise((done) => setTimeout(done, 50));
	}
}

// What the browser says of calls of the API, and of the page of a code, that a server refuses or
// is not there to answer. What the pages themselves are made of has to come.
const refused = (line) => line.text().startsWith("Failed to load resource: ") && !line.location().url?.includes("/pages/");

// A Browser notes all that must not happen in one.
export class Browser {
	// Pages may ask other origins only where a scenario says so.
	static async launch(...origins) {
		const browser = new Browser();
		browser.origins = [new URL(options.base).origin, ...origins];
		browser.faults = [];
		mkdirSync(options.shots, {recursive: true});
		process.on("uncaughtExceptionMonitor", () => console.error(browser.faults.join("\n")));
		browser.process = await puppeteer.launch({
			executablePath: options.program,
			args: ["--no-sandbox", "--disable-gpu", "--lang=en-GB"],
			userDataDir: join(options.folder, "profile"),
			protocolTimeout: 3 * patience,
		});
		return browser;
	}

	// person opens pages with a storage of its own.
	async person() {
		return this.process.createBrowserContext();
	}

	async open(context, url, size = "desktop", prepare = async () => {}) {
		const page = await context.newPage();
		page.setDefaultTimeout(patience);
		page.on("pageerror", (error) => this.faults.push(`${url}: ${error.stack ?? error}`));
		page.on("dialog", (dialog) => {
			this.faults.push(`${url}: a dialog says ${dialog.message()}`);
			dialog.dismiss();
		});
		page.on("console", (line) => {
			if (["error", "warn"].includes(line.type()) && !refused(line)) this.faults.push(`${url}: the console says ${line.text()}`);
		});
		page.on("request", (request) => {
			const {protocol, origin} = new URL(request.url());
			if (protocol !== "data:" && !this.origins.includes(origin)) this.faults.push(`${url}: a request to ${request.url()}`);
		});
		await page.evaluateOnNewDocument(() => {
			addEventListener("securitypolicyviolation", (event) => {
				console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
			});
		});
		await page.setViewport(sizes[size]);
		await prepare(page);
		await page.goto(url);
		return page;
	}

	// end wants that nothing has gone wrong in any page.
	async end() {
		await this.process.close();
		process.stdin.destroy();
		assert.deepEqual(this.faults, []);
	}
}

export const text = (page, selector) => page.$eval(selector, (element) => element.textContent.trim());

export const phase = (page, name) => wait(`the page says ${name}`, () => page.evaluate((want) => document.body.dataset.phase === want, name));

// look inspects a state of a page as it is on a phone and on a desk, by day and by night: no
// serious fault of accessibility, nothing wider than the screen; and takes a picture.
export async function look(page, name) {
	const before = page.viewport();
	for (const [size, viewport] of Object.entries(sizes)) {
		await page.setViewport(viewport);
		for (const scheme of ["light", "dark"]) {
			await page.emulateMediaFeatures([{name: "prefers-color-scheme", value: scheme}, {name: "prefers-reduced-motion", value: "reduce"}]);
			await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
			const what = `${name}-${size}-${scheme}`;
			await inspect(page, what);
			await page.screenshot({path: join(options.shots, `${what}.png`)});
		}
	}
	await page.emulateMediaFeatures([]);
	await page.setViewport(before);
}

async function inspect(page, what) {
	if (!await page.evaluate(() => "axe" in globalThis)) await page.evaluate(axe);
	const {wide, violations} = await page.evaluate(async () => {
		const {violations} = await globalThis.axe.run({resultTypes: ["violations"]});
		return {wide: document.documentElement.scrollWidth - innerWidth, violations};
	});
	const serious = violations.filter(({impact}) => impact === "serious" || impact === "critical");
	const lines = serious.flatMap(({id, nodes}) => nodes.map((node) => `${id}: ${node.target}: ${node.failureSummary}`));
	assert.deepEqual(lines, [], what);
	assert.ok(wide <= 0, `${what} is ${wide} pixels wider than the screen`);
}

// A track to replay: half an hour of a ride around a lake, a point each second.
export function track() {
	const points = Array.from({length: 1800}, (_, i) => {
		const at = i / 1800 * 2 * Math.PI;
		const lat = 48.2 + 0.02 * Math.sin(at), lng = 16.4 + 0.03 * Math.cos(at);
		return `<trkpt lat="${lat.toFixed(6)}" lon="${lng.toFixed(6)}"><time>${new Date(1_714_500_000_000 + i * 1000).toISOString()}</time></trkpt>`;
	});
	return `<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>${points.join("")}</trkseg></trk></gpx>`;
}

// enter makes a new account on the share page, logs in with it, and returns it.
export async function enter(page) {
	await page.waitForSelector("#login:not([hidden])");
	await page.click("#new-account");
	await page.waitForSelector("#created:not([hidden])");
	const account = {id: await text(page, "#created-id"), password: await text(page, "#created-password")};
	await page.click("#created-go");
	await page.waitForSelector("#setup:not([hidden])");
	return account;
}
