// The picture of somebody, or what stands for it.

import {initials} from "./format.js";
import {icon} from "./icon.js";

// pictureURL returns the URL of a picture that may be shown, or "".
export function pictureURL(text) {
	if (typeof text !== "string") return "";
	if (/^data:image\/(png|jpeg|webp|gif)[;,]/i.test(text)) return text;
	try {
		const url = new URL(text);
		return url.protocol === "https:" ? url.href : "";
	} catch {
		return "";
	}
}

// showAvatar fills an element .avatar: the picture, or else initials, or else a figure.
export function showAvatar(element, name, picture) {
	const key = JSON.stringify([name, picture]);
	if (element.dataset.shown === key) return;
	element.dataset.shown = key;
	const letters = initials(name);
	const plain = () => element.replaceChildren(letters || icon("person"));
	const url = pictureURL(picture);
	if (!url) return plain();
	const img = document.createElement("img");
	img.alt = "";
	img.referrerPolicy = "no-referrer";
	img.decoding = "async";
	img.onerror = () => {
		if (img.parentNode === element) plain();
	};
	img.src = url;
	element.replaceChildren(img);
}
