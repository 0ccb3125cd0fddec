// What the forms of the page have in common: complaints stand beside the field that they are
// about, and are read out with it.

export const byId = (id) => document.getElementById(id);

// complain says what is wrong with a field, or with what a button did; "" takes that back.
export function complain(input, text) {
	const id = `${input.id}-error`;
	let error = byId(id);
	if (!error) {
		error = document.createElement("p");
		error.id = id;
		error.className = "error";
		(input.closest(".row, .actions") ?? input).after(error);
		const described = input.getAttribute("aria-describedby");
		input.setAttribute("aria-describedby", described ? `${described} ${id}` : id);
		input.addEventListener("input", () => complain(input, ""));
	}
	error.textContent = text;
	error.hidden = text === "";
	if (text && input.matches("input, select, textarea")) input.setAttribute("aria-invalid", "true");
	else input.removeAttribute("aria-invalid");
}

// check complains of each field whose rule finds something, moves to the first of them, and
// tells whether there was none.
export function check(rules) {
	let first = null;
	for (const [input, rule] of rules) {
		const text = rule(input.value.trim());
		complain(input, text);
		if (text) first ??= input;
	}
	first?.focus();
	return first === null;
}

// required is a rule.
export const required = (what) => (value) => (value ? "" : `Please enter ${what}.`);

// busy does something for a button, which takes no second click meanwhile. A button that is
// disabled would lose the focus.
export async function busy(button, work) {
	if (button.getAttribute("aria-disabled") === "true") return;
	button.setAttribute("aria-disabled", "true");
	try {
		await work();
	} finally {
		button.removeAttribute("aria-disabled");
	}
}

// copy puts text on the clipboard, or tells that the browser does not let the page do that.
export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return false;
	}
}

// setText changes a text only if it is another one: assistive technology takes note of each
// change.
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}
