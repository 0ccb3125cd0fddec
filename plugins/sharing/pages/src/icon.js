// Drawings, made element by element: the pages allow no markup in scripts' hands.

const space = "http://www.w3.org/2000/svg";

const paths = {
	plus: ["M12 5v14M5 12h14"],
	minus: ["M5 12h14"],
	follow: ["M12 2v3M12 19v3M2 12h3M19 12h3", "M12 5a7 7 0 1 0 0 14a7 7 0 1 0 0-14z", "M12 10a2 2 0 1 0 0 4a2 2 0 1 0 0-4z"],
	fit: ["M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"],
	down: ["M6 9l6 6l6-6"],
	person: ["M12 4a4 4 0 1 0 0 8a4 4 0 1 0 0-8z", "M4.5 20.5c0-4 3.3-6.5 7.5-6.5s7.5 2.5 7.5 6.5"],
};

export function svg(name, attributes) {
	const element = document.createElementNS(space, name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	return element;
}

export function icon(name) {
	const element = svg("svg", {viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false"});
	for (const d of paths[name]) element.append(svg("path", {d}));
	return element;
}
