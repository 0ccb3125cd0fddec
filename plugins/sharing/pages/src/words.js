// What the page says of a sight, in plain English.

// nameOf is who shares, or a word for them.
export const nameOf = (sight) => sight.name || "Somebody";

const chips = {
	loading: ["quiet", "Connecting …"],
	waiting: ["warn", "Waiting"],
	live: ["good", "Live"],
	stale: ["warn", "No news"],
	hidden: ["quiet", "Hidden"],
	expired: ["quiet", "Ended"],
	unknown: ["bad", "Unknown link"],
	lost: ["bad", "Connection lost"],
};

// chip returns the kind and the word of a state.
export const chip = (phase) => chips[phase];

// notice returns what there is to explain about a state: {kind, title, text}, or null.
export function notice(sight, phase, now, formats) {
	const name = nameOf(sight);
	switch (phase) {
		case "waiting":
			return {kind: "warn", title: "No position yet", text: `${name} has not sent a position yet. It shows here as soon as there is one.`};
		case "stale":
			return {
				kind: "warn",
				title: `No news for ${formats.duration(now - sight.head.t)}`,
				text: `The last position is of ${formats.clock(sight.head.t)}. ${name} may have no signal.`,
			};
		case "hidden":
			return {kind: "quiet", title: "Hidden for now", text: `${name} does not show the location at the moment. It comes back here by itself.`};
		case "expired":
			return {
				kind: "quiet",
				title: "Sharing has ended",
				text: `It ended${sight.end == null ? "" : ` at ${formats.clock(sight.end)}`}.${sight.head ? " The map shows the last position." : ""}`,
			};
		case "unknown":
			return {
				kind: "bad",
				title: "Nothing is shared here",
				text: "This link is not valid, or not any more: links end some time after the sharing. See that it is complete, or ask for a new one.",
			};
		case "lost":
			return {
				kind: "bad",
				title: "Connection lost",
				text: `Since ${formats.clock(sight.lostSince)}. ${sight.head ? "The map shows what came before. " : ""}The page keeps trying.`,
			};
	}
	return null;
}

const overdue = 10 * 60_000; // after which an estimate was wrong

// arrival returns how long it takes and until when: ["12 min", "at 14:05"], or null.
export function arrival(sight, now, formats) {
	const left = sight.arrival == null ? -Infinity : sight.arrival - now;
	if (left < -overdue) return null;
	return left < 30_000 ? ["any moment", ""] : [formats.duration(left), `at ${formats.clock(sight.arrival)}`];
}

// position tells in a sentence where somebody is, for who cannot see the map.
export function position(sight, phase, now, heading, formats) {
	const {head} = sight;
	if (!head || phase === "hidden" || phase === "unknown") return "";
	const moving = phase === "live" && head.speed != null && head.speed >= 0.3;
	const parts = [`${nameOf(sight)} ${phase === "live" ? "is" : "was last seen"} at ${formats.coordinates(head.lat, head.lng)}`];
	if (moving) parts.push(`moving${heading == null ? "" : ` ${formats.compass(heading)}`} at ${formats.speed(head.speed)}`);
	else if (phase === "live" && head.speed != null) parts.push("not moving");
	if (sight.toGo != null) parts.push(`${formats.distance(sight.toGo)} from ${sight.destination.name || "the destination"}`);
	const eta = phase === "live" ? arrival(sight, now, formats) : null;
	if (eta) parts.push(`arriving ${eta[1] ? `in ${eta[0]}, ${eta[1]}` : "at any moment"}`);
	parts.push(`seen ${formats.age(now - head.t)}`);
	return `${parts.join(", ")}.`;
}

// title is the page's: who, and how it stands.
export function title(sight, phase, service) {
	const who = sight.name ? `${sight.name}: ` : "";
	const state = {live: "live location", loading: "live location"}[phase] ?? chip(phase)[1].toLowerCase();
	const text = who + state;
	return `${text[0].toUpperCase()}${text.slice(1)} – ${service}`;
}
