// A picture of the sharer, small enough for a property of a ticket.

const side = 96; // pixels
const most = 15_000; // characters of the data: URL; a property may have 16 KiB
const largestFile = 20 << 20; // bytes

// readAvatar scales the middle of a picture and returns it as a data: URL.
export async function readAvatar(file) {
	if (file.size > largestFile) {
		throw new Error("This picture is larger than 20 MB.");
	}
	let picture;
	try {
		picture = await createImageBitmap(file);
	} catch {
		throw new Error("This file is not a picture that the browser can read.");
	}
	const canvas = document.createElement("canvas");
	canvas.width = canvas.height = side;
	const least = Math.min(picture.width, picture.height);
	const context = canvas.getContext("2d");
	context.fillStyle = "#fff"; // behind what is transparent
	context.fillRect(0, 0, side, side);
	context.imageSmoothingQuality = "high";
	context.drawImage(picture, (picture.width - least) / 2, (picture.height - least) / 2, least, least, 0, 0, side, side);
	picture.close();
	for (const quality of [0.85, 0.7, 0.5, 0.3]) {
		const url = canvas.toDataURL("image/jpeg", quality);
		if (url.length <= most) {
			return url;
		}
	}
	throw new Error("This picture cannot be made small enough.");
}
