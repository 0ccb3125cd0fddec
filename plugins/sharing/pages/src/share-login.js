// Logging in, and making an account to log in with.

import {busy, byId, check, complain, copy, required} from "./share-field.js";

// setUpLogin makes the form work; done is called after a login.
export function setUpLogin(session, {done, announce}) {
	const [key, id, password] = ["api-key", "account-id", "password"].map(byId);
	let made = null; // a new account, to be logged in with
	key.value = session.apiKey;

	const keyRule = [key, required("the API key of an application")];

	function show(account) {
		made = account;
		byId("created-id").textContent = account?.id ?? "";
		byId("created-password").textContent = account?.password ?? "";
		byId("created").hidden = !account;
		byId("login-form").hidden = Boolean(account);
	}

	// blame says at the right place why the server refused.
	function blame(error) {
		if (error.code === "api_key") return blameOne(key, "No application has this API key.");
		if (error.code === "access_denied") return blameOne(password, "There is no account with this id and password.");
		if (error.code === "throttled") return blameOne(password, "Too many attempts. Please wait some minutes.");
		blameOne(password, `This did not work: ${error.message}.`);
	}

	function blameOne(control, text) {
		complain(control, text);
		control.focus();
	}

	async function logIn(account) {
		try {
			await session.login(key.value.trim(), account.id, account.password);
		} catch (error) {
			if (account !== made) return blame(error);
			return blameOne(byId("created-go"), `This did not work: ${error.message}.`);
		}
		password.value = "";
		show(null);
		done();
	}

	byId("login-form").addEventListener("submit", (event) => {
		event.preventDefault();
		const rules = [keyRule, [id, required("your account id or user name")], [password, required("your password")]];
		if (!check(rules)) return;
		busy(byId("login-button"), () => logIn({id: id.value.trim(), password: password.value}));
	});

	byId("new-account").addEventListener("click", () => {
		complain(id, "");
		complain(password, "");
		if (!check([keyRule])) return;
		busy(byId("new-account"), async () => {
			try {
				show(await session.create(key.value.trim()));
			} catch (error) {
				return blame(error);
			}
			byId("created-title").focus();
		});
	});

	byId("created-go").addEventListener("click", () => busy(byId("created-go"), () => logIn(made)));

	byId("created-copy").addEventListener("click", async () => {
		const copied = await copy(`Account id: ${made.id}\nPassword: ${made.password}`);
		announce(copied ? "Copied." : "The browser does not let this page copy. Please select the text.");
	});
}
