// Builds the pages into dist/: a page is src/NAME.html with src/NAME.js. Files that a
// page names carry a hash of their content in their own name, so that browsers may keep
// them for ever, and stand beside a gzipped copy.

import {createHash} from "node:crypto";
import {mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {basename, dirname, join, resolve} from "node:path";
import {fileURLToPath} from "node:url";
import {gzipSync} from "node:zlib";
import {build} from "esbuild";
import {quantize} from "topojson-client";
import {presimplify, simplify} from "topojson-simplify";

const root = dirname(fileURLToPath(import.meta.url));
const [directory = join(root, "dist"), ...chosen] = process.argv.slice(2);
const src = join(root, "src"), dist = resolve(directory);
const limit = 200_000; // bytes on the wire until a page can show something, tiles aside
const require = createRequire(import.meta.url);

mkdirSync(dist, {recursive: true});
for (const name of readdirSync(dist)) {
	if (name !== ".gitkeep") rmSync(join(dist, name), {recursive: true});
}

const sizes = new Map(); // bytes on the wire of each file

function write(name, content) {
	const bytes = Buffer.from(content);
	const packed = gzipSync(bytes, {level: 9});
	writeFileSync(join(dist, name), bytes);
	writeFileSync(join(dist, name + ".gz"), packed);
	sizes.set(name, packed.length);
	return name;
}

function writeHashed(name, extension, content) {
	const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
	return write(`${name}-${hash}.${extension}`, content);
}

// The countries of Natural Earth, without their names, as fine as a screen shows them.
function world(scale, weight, steps) {
	const topology = JSON.parse(readFileSync(require.resolve(`world-atlas/countries-${scale}.json`), "utf8"));
	const geometries = topology.objects.countries.geometries.map(({type, arcs}) => ({type, arcs}));
	topology.objects = {countries: {type: "GeometryCollection", geometries}};
	const simple = simplify(presimplify(topology), weight);
	delete simple.bbox;
	return writeHashed(`world-${scale}`, "json", JSON.stringify(quantize(simple, steps)));
}

function licences(names) {
	const texts = names.map((name) => {
		const at = join(root, "node_modules", name);
		const {version} = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
		return `${name} ${version}\n\n${readFileSync(join(at, "LICENSE"), "utf8").trim()}\n`;
	});
	texts.push("The map of the world was made with Natural Earth (naturalearthdata.com), which is in the public domain.\n");
	return writeHashed("licences", "txt", texts.join("\n----\n\n"));
}

const coarse = world("110m", 0, 1e4);
const fine = world("50m", 2e-3, 3e4);
const notice = licences(["leaflet", "topojson-client", "world-atlas"]);

const all = readdirSync(src).filter((name) => name.endsWith(".html")).map((name) => basename(name, ".html"));
const pages = chosen.length > 0 ? chosen : all;
const result = await build({
	absWorkingDir: root,
	entryPoints: pages.map((page) => `src/${page}.js`),
	outdir: dist,
	entryNames: "[name]-[hash]",
	bundle: true,
	minify: true,
	format: "esm",
	target: ["es2022", "chrome109", "firefox115", "safari16"],
	charset: "utf8",
	legalComments: "none",
	banner: {js: `/*! licences: ${notice} */`, css: `/*! licences: ${notice} */`},
	define: {WORLD_COARSE: JSON.stringify(coarse), WORLD_FINE: JSON.stringify(fine)},
	loader: {".png": "empty"}, // Leaflet's images: the pages draw their own
	metafile: true,
	write: false,
	logLevel: "warning",
});
for (const file of result.outputFiles) write(basename(file.path), file.contents);

let failed = false;
for (const page of pages) {
	const [script, output] = Object.entries(result.metafile.outputs).find(([, o]) => o.entryPoint === `src/${page}.js`);
	const files = [script, output.cssBundle].map((path) => basename(path));
	let html = readFileSync(join(src, `${page}.html`), "utf8");
	for (const [mark, file] of [["{{script}}", files[0]], ["{{style}}", files[1]]]) {
		if (!html.includes(mark)) throw new Error(`src/${page}.html: ${mark} is missing`);
		html = html.replaceAll(mark, `pages/${file}`);
	}
	if (!html.includes("{{config}}")) throw new Error(`src/${page}.html: {{config}} is missing`);
	writeFileSync(join(dist, `${page}.html`), html);

	const parts = [[`${page}.html`, Buffer.byteLength(html)], ...[...files, coarse].map((file) => [file, sizes.get(file)])];
	const sum = parts.reduce((n, [, size]) => n + size, 0);
	console.log(`${page}: ${sum} bytes on the wire (${parts.map(([name, size]) => `${name} ${size}`).join(", ")})`);
	if (sum > limit) {
		console.error(`${page}: more than ${limit} bytes`);
		failed = true;
	}
}
console.log(`${fine}: ${sizes.get(fine)} bytes, when zoomed in`);
if (failed) process.exit(1);
