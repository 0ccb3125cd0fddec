// What the server wrote into the page.

export function readConfig(text) {
	let raw;
	try {
		raw = JSON.parse(text);
	} catch {
		raw = {};
	}
	if (typeof raw !== "object" || raw === null) raw = {};
	return {
		service: typeof raw.service === "string" && raw.service ? raw.service : "edgeset",
		code: typeof raw.code === "string" ? raw.code : "",
		apiKey: typeof raw.api_key === "string" ? raw.api_key : "",
		tiles: readTiles(raw.tiles),
	};
}

function readTiles(raw) {
	if (typeof raw !== "object" || raw === null || typeof raw.url !== "string" || !raw.url) return null;
	const zoom = Math.trunc(Number(raw.max_zoom));
	return {
		url: raw.url,
		attribution: typeof raw.attribution === "string" ? raw.attribution : "",
		maxZoom: zoom >= 1 && zoom <= 24 ? zoom : 19,
	};
}
