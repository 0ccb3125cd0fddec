// Numbers as words. The pages speak English; units and the clock are those of the
// reader's region.

const english = new Intl.NumberFormat("en", {maximumFractionDigits: 0});

// usesMiles tells whether a locale such as "en-GB" measures roads in miles.
export function usesMiles(locale) {
	let region = "";
	try {
		region = new Intl.Locale(locale).maximize().region ?? "";
	} catch {
		// an odd setting of a browser
	}
	return ["US", "GB", "LR", "MM"].includes(region);
}

// formats returns the formats of a locale.
export function formats(locale) {
	const miles = usesMiles(locale);
	try {
		new Intl.DateTimeFormat(locale);
	} catch {
		locale = "en";
	}
	const time = {hour: "numeric", minute: "2-digit"};
	const today = new Intl.DateTimeFormat(locale, time);
	const otherwise = new Intl.DateTimeFormat(locale, {weekday: "short", day: "numeric", month: "short", ...time});
	return {
		miles,
		speed: (metresPerSecond) => speed(metresPerSecond, miles),
		distance: (metres) => distance(metres, miles),
		// clock tells the time of day, and the day if it is another one.
		clock: (t, now = Date.now()) => (new Date(t).toDateString() === new Date(now).toDateString() ? today : otherwise).format(t),
		duration,
		age,
		compass,
		coordinates,
	};
}

function speed(metresPerSecond, miles) {
	const n = metresPerSecond * (miles ? 2.236936 : 3.6);
	return `${english.format(n)} ${miles ? "mph" : "km/h"}`;
}

function distance(metres, miles) {
	if (miles) {
		const n = metres / 1609.344;
		if (n < 0.1) return `${english.format(Math.round(metres * 3.28084 / 10) * 10)} ft`;
		return `${n < 10 ? n.toFixed(1) : english.format(n)} mi`;
	}
	if (metres < 995) return `${english.format(metres < 100 ? metres : Math.round(metres / 10) * 10)} m`;
	const n = metres / 1000;
	return `${n < 9.95 ? n.toFixed(1) : english.format(n)} km`;
}

// duration tells a length of time: "2 h 5 min", "4 min", "40 s".
export function duration(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	return s < 60 ? `${s} s` : minutes(Math.round(s / 60));
}

function minutes(min) {
	const h = Math.floor(min / 60);
	if (h === 0) return `${min} min`;
	if (h >= 48) return `${Math.round(h / 24)} days`;
	return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
}

// countdown tells time left, to the second near the end, and never more than there is.
export function countdown(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	if (s < 60) return `${s} s`;
	if (s < 600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")} min`;
	return minutes(Math.floor(s / 60));
}

// age tells how long ago something was, and never more.
export function age(ms) {
	if (ms < 5_000) return "just now";
	if (ms < 60_000) return `${Math.floor(ms / 5_000) * 5} s ago`;
	return `${minutes(Math.floor(ms / 60_000))} ago`;
}

const winds = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"];

// compass tells a heading as a word.
export function compass(degrees) {
	return winds[Math.round((((degrees % 360) + 360) % 360) / 45) % 8];
}

// coordinates tells a place to about a metre.
export function coordinates(lat, lng) {
	return `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lng).toFixed(5)}° ${lng < 0 ? "W" : "E"}`;
}

// initials stand for somebody without a picture.
export function initials(name) {
	const words = name.trim().split(/\s+/u).filter(Boolean);
	if (words.length === 0) return "";
	return (firstLetter(words[0]) + (words.length > 1 ? firstLetter(words.at(-1)) : "")).toUpperCase();
}

// firstLetter keeps what readers take for one, such as a flag, in one piece, where the
// browser can tell.
function firstLetter(word) {
	return Intl.Segmenter ? [...new Intl.Segmenter().segment(word)][0].segment : [...word][0];
}
