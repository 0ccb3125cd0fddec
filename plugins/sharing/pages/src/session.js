// A session is who is logged in: an access token, kept for as long as the tab is open. All
// calls of a sharer go through it.

import {API} from "./api.js";

const key = "edgeset.session";

// storageOf returns the storage of the tab, or one in memory where the browser gives none.
export function storageOf(window) {
	try {
		window.sessionStorage.getItem(key);
		return window.sessionStorage;
	} catch {
		const kept = new Map();
		return {
			getItem: (name) => kept.get(name) ?? null,
			setItem: (name, text) => void kept.set(name, text),
			removeItem: (name) => void kept.delete(name),
		};
	}
}

// load returns what was stored as JSON, null if there is nothing or it cannot be read.
export function load(storage, name) {
	try {
		return JSON.parse(storage.getItem(name));
	} catch {
		return null;
	}
}

// store returns false if there is no room.
export function store(storage, name, value) {
	try {
		storage.setItem(name, JSON.stringify(value));
		return true;
	} catch {
		return false;
	}
}

export class Session {
	// ended is called when the server does not take the token any more.
	constructor({storage, clock = null, apiKey = "", ended = () => {}, fetch}) {
		this.storage = storage;
		this.ended = ended;
		this.api = new API({clock, token: () => this.token, ...(fetch && {fetch})});
		const kept = load(storage, key) ?? {};
		const text = (value) => (typeof value === "string" ? value : "");
		this.apiKey = apiKey || text(kept.apiKey);
		this.token = text(kept.token);
		this.account = text(kept.account);
	}

	get loggedIn() {
		return this.token !== "";
	}

	// create makes an account with a password that only this answer tells.
	async create(apiKey) {
		const {id, password} = await this.api.call("POST", "v2/account/create", {form: {api_key: apiKey}});
		return {id, password};
	}

	async login(apiKey, id, password) {
		const {access_token: token} = await this.api.call("POST", "v2/account/login", {
			form: {api_key: apiKey, id, password, device: "share page"},
		});
		Object.assign(this, {apiKey, token, account: id});
		store(this.storage, key, {apiKey, token, account: id});
	}

	// logout tells the server, and forgets the token whether it hears of it or not.
	async logout() {
		const told = this.api.call("POST", "v2/account/logout");
		this.forget();
		await told.catch(() => {});
	}

	forget() {
		this.token = "";
		this.account = "";
		store(this.storage, key, {apiKey: this.apiKey});
	}

	// call is API.call as who is logged in.
	async call(method, path, options) {
		const {token} = this;
		try {
			return await this.api.call(method, path, options);
		} catch (error) {
			if (error.status === 401 && token !== "" && token === this.token) {
				this.forget();
				this.ended();
			}
			throw error;
		}
	}
}
