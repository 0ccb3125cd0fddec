// The invites of a share: a form to make one, and the list, in which each stays where it is
// while what is known of it changes.

import {busy, byId, check, complain, copy, setText} from "./share-field.js";

const statusWords = {
	need_to_send: ["quiet", "To be sent by you"],
	queued: ["warn", "Being sent"],
	sent: ["good", "Sent"],
	failed: ["bad", "Not delivered"],
	failed_to_send: ["bad", "Not delivered"],
};

const kinds = {
	email: {label: "E-mail address", type: "email", wrong: "Please enter an e-mail address, like ann@example.org."},
	sms: {label: "Telephone number", type: "tel", wrong: "Please enter a telephone number with its country code, like +43 660 1234567."},
};

const looksLike = {
	email: (text) => /^[^\s@]+@[^\s@]+$/.test(text),
	sms: (text) => /^\+?[\d\s().\/-]{4,30}$/.test(text),
};

export class Invites {
	#share = null;
	#items = new Map(); // elements, by code
	#request = null; // id of the request that waits for an answer

	constructor({announce}) {
		this.announce = announce;
		this.type = byId("invite-type");
		this.address = byId("invite-address");
		this.type.addEventListener("change", () => this.#showKind());
		byId("invite-form").addEventListener("submit", (event) => {
			event.preventDefault();
			busy(byId("invite-button"), () => this.#create());
		});
		byId("invite-form").addEventListener("input", () => void (this.#request = null));
		this.#showKind();
	}

	set share(share) {
		this.#share = share;
		this.#items.forEach((item) => item.remove());
		this.#items.clear();
		byId("invites-none").hidden = false;
	}

	#showKind() {
		const kind = kinds[this.type.value];
		byId("invite-address-field").hidden = !kind;
		byId("invite-locale-field").hidden = !kind;
		complain(this.address, "");
		if (!kind) return;
		setText(byId("invite-address-label"), kind.label);
		this.address.type = kind.type;
	}

	async #create() {
		const type = this.type.value;
		const kind = kinds[type];
		if (kind && !check([[this.address, (text) => (looksLike[type](text) ? "" : kind.wrong)]])) return;
		complain(byId("invite-button"), "");
		// The same request again, after an answer that was lost, makes no second invite.
		this.#request ??= crypto.getRandomValues(new Uint32Array(4)).join("-");
		const params = {
			type, send: kind ? "server" : "client", request_id: this.#request,
			...(kind && {address: this.address.value.trim()}),
		};
		const name = byId("invite-name").value.trim();
		const locale = byId("invite-locale").value || navigator.language;
		if (name) params.name = name;
		if (locale) params.locale = locale;
		try {
			await this.#share.invite(params);
		} catch (error) {
			this.#blame(kind ? this.address : byId("invite-button"), error);
			return;
		}
		this.#request = null;
		this.address.value = "";
		byId("invite-name").value = "";
		this.announce("Invite created.");
	}

	#blame(input, error) {
		const words = {
			invite_exists: "This share has an invite to this address already.",
			network: "The server cannot be reached. Please try again.",
		};
		complain(input, words[error.code] ?? `This did not work: ${error.message}.`);
		input.focus();
	}

	// show brings the list up to date.
	show() {
		const list = byId("invites");
		const {invites} = this.#share;
		for (const [code, item] of this.#items) {
			if (!invites.has(code)) {
				if (item.contains(document.activeElement)) byId("invite-button").focus();
				item.remove();
				this.#items.delete(code);
			}
		}
		for (const [code, invite] of invites) {
			let item = this.#items.get(code);
			if (!item) {
				item = this.#add(invite);
				this.#items.set(code, item);
				list.prepend(item);
			}
			this.#fill(item, invite);
		}
		byId("invites-none").hidden = invites.size > 0;
	}

	#add({id, url, text, recipient}) {
		const item = byId("invite-template").content.firstElementChild.cloneNode(true);
		const part = (name) => item.querySelector(name);
		const who = recipient.name || recipient.address || "Anybody with the link";
		item.dataset.code = id;
		part(".who").textContent = who;
		const link = part(".link");
		link.value = url;
		link.setAttribute("aria-label", `Link for ${who}`);
		link.addEventListener("focus", () => link.select());
		part(".copy").setAttribute("aria-label", `Copy the link for ${who}`);
		part(".copy").addEventListener("click", async () => {
			if (await copy(url)) return this.announce("Link copied.");
			link.focus();
			this.announce("The browser does not let this page copy. The link is selected.");
		});
		part(".send").hidden = !navigator.share;
		part(".send").setAttribute("aria-label", `Send the link for ${who}`);
		part(".send").addEventListener("click", () => {
			navigator.share({text}).catch(() => {}); // who cancels knows it
		});
		part(".remove").setAttribute("aria-label", `Delete the invite for ${who}`);
		part(".remove").addEventListener("click", () => busy(part(".remove"), async () => {
			try {
				await this.#share.uninvite(id);
				this.announce("Invite deleted. Its link opens nothing any more.");
			} catch (error) {
				this.announce(`The invite was not deleted: ${error.message}.`);
			}
		}));
		return item;
	}

	#fill(item, invite) {
		const part = (name) => item.querySelector(name);
		const byLink = invite.recipient.type === "link";
		const [kind, word] = statusWords[invite.status] ?? ["quiet", invite.status];
		const badge = part(".chip");
		badge.className = `chip ${kind}`;
		badge.hidden = byLink && invite.status === "need_to_send";
		setText(badge, word);
		const detail = part(".detail");
		setText(detail, invite.status_detail ?? "");
		detail.hidden = !invite.status_detail;
		const to = invite.recipient.name && invite.recipient.address ? `${invite.recipient.address} · ` : "";
		const looked = invite.viewers === 0 ? "not opened yet" : `${invite.viewing} watching now, ${invite.viewers} in all`;
		setText(part(".views"), to + looked);
		item.dataset.status = invite.status;
	}
}
