// Calls of the API. A success is what the envelope has as response; anything else is
// thrown as an APIError.

export class APIError extends Error {
	// code is the envelope's error, "network" when no answer came, or "answer" when what
	// came was not the API's.
	constructor(code, detail, status = 0, retryAfter = 0) {
		super(detail || code);
		this.name = "APIError";
		this.code = code;
		this.status = status;
		this.retryAfter = retryAfter; // ms; 0: not said
	}
}

// unwrap takes the response out of an envelope.
export function unwrap(status, text, retryAfter = 0) {
	let body;
	try {
		body = JSON.parse(text);
	} catch {
		throw new APIError("answer", `the server answered with status ${status} and no JSON`, status, retryAfter);
	}
	if (status < 400 && body?.result === "ok" && typeof body.response === "object" && body.response !== null) {
		return {response: body.response, time: body.meta?.time};
	}
	const error = typeof body?.meta?.error === "string" ? body.meta.error : "answer";
	const detail = typeof body?.meta?.error_detail === "string" ? body.meta.error_detail : `the server answered with status ${status}`;
	throw new APIError(error, detail, status, retryAfter);
}

// API calls the server that the page came from. Paths are relative to the page, since a
// deployment may be mounted below the root.
export class API {
	// clock is set by the time in each answer; token() returns the access token, or "".
	constructor({clock = null, token = () => "", timeout = 10_000, fetch = globalThis.fetch.bind(globalThis)} = {}) {
		Object.assign(this, {clock, token, timeout, fetch});
	}

	get(path, query, options) {
		return this.call("GET", path, {query, ...options});
	}

	// post sends parameters in the query, and a body as JSON if there is one.
	post(path, query, body, options) {
		return this.call("POST", path, {query, body, ...options});
	}

	async call(method, path, {query = {}, body, form, signal, timeout = this.timeout} = {}) {
		const headers = {Accept: "application/json"};
		const token = this.token();
		if (token) headers.Authorization = `Bearer ${token}`;
		let content;
		if (form !== undefined) {
			content = new URLSearchParams(form);
		} else if (body !== undefined) {
			headers["Content-Type"] = "application/json";
			content = JSON.stringify(body);
		}
		const ended = AbortSignal.timeout(timeout);
		const asked = Date.now();
		let answer, text;
		try {
			answer = await this.fetch(url(path, query), {
				method, headers, body: content, cache: "no-store", credentials: "omit", redirect: "error",
				signal: signal ? either(signal, ended) : ended,
			});
			text = await answer.text();
		} catch (error) {
			if (signal?.aborted) throw error;
			throw new APIError("network", ended.aborted ? "the server did not answer in time" : "the server cannot be reached");
		}
		const {response, time} = unwrap(answer.status, text, 1000 * (Number(answer.headers.get("Retry-After")) || 0));
		this.clock?.set(time, asked, Date.now());
		return response;
	}
}

// url adds a query to a path; parameters that are undefined, null or "" are left out.
export function url(path, query = {}) {
	const parameters = new URLSearchParams();
	for (const [key, value] of Object.entries(query)) {
		if (value !== undefined && value !== null && value !== "") parameters.set(key, value);
	}
	const text = parameters.toString();
	return text ? `${path}?${text}` : path;
}

// either is AbortSignal.any, which browsers of 2023 do not have.
function either(a, b) {
	const c = new AbortController();
	for (const signal of [a, b]) {
		if (signal.aborted) c.abort(signal.reason);
		signal.addEventListener("abort", () => c.abort(signal.reason), {once: true});
	}
	return c.signal;
}
