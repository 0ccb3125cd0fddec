package main_test

import (
	"strings"
	"testing"
	"time"
)

// shortTokens is a manifest with the shortest tokens that there are.
const shortTokens = `
[[deployment]]
name = "default"
hosts = ["*"]
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
config = { token_ttl = "60", login_window = "3s" }
`

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	nobody := s.client()
	key := s.newApp()
	ann := nobody.newAccount(key)
	const self = "/v2/users/self"

	t.Run("a token in all of its forms", func(t *testing.T) {
		nobody := nobody.in(t)
		phone := nobody.login(ann, "phone")
		for _, scheme := range []string{"Bearer", "BEARER", "bearer", "Glympse", "GLYMPSE", "Bearer  "} {
			c := phone.as(phone.token)
			c.scheme = scheme
			if r := c.get(self); r.text("response.id") != ann.id {
				t.Errorf("%s: %v", scheme, r)
			}
		}
		if r := nobody.get(self, "oauth_token", phone.token); r.text("response.id") != ann.id {
			t.Errorf("%v", r)
		}
		ticket := nobody.post("/v2/users/self/create_ticket", "duration", "60000", "oauth_token", phone.token).text("response.id")
		nobody.upload("/v2/tickets/"+ticket+"/append_location", "[]", "oauth_token", phone.token)
		for _, scheme := range []string{"Basic", "Token", "Bearer:"} {
			c := phone.as(phone.token)
			c.scheme = scheme
			refused(t, c.do("GET", self, nil), 401, "oauth_token")
		}
	})

	t.Run("what is no token", func(t *testing.T) {
		nobody := nobody.in(t)
		phone := nobody.login(ann, "phone")
		r := nobody.do("GET", self, nil)
		refused(t, r, 401, "oauth_token")
		if r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%v\nwant WWW-Authenticate", r)
		}
		for _, token := range []string{"x", phone.token + "x", phone.token[1:], strings.ToUpper(phone.token), ann.password, key, strings.Repeat("x", 3000)} {
			refused(t, nobody.as(token).do("GET", self, nil), 401, "oauth_token")
			refused(t, nobody.as(token).do("POST", "/v2/users/self/create_ticket", nil, "duration", "60000"), 401, "oauth_token")
		}
		refused(t, nobody.as(strings.Repeat("x", 5000)).do("GET", self, nil), 401, "oauth_token")
		// To look one needs none, but a wrong one is told.
		ticket := phone.newTicket()
		code := phone.newInvite(ticket)
		nobody.get("/v2/invites/" + code)
		refused(t, nobody.as("x").do("GET", "/v2/invites/"+code, nil), 401, "oauth_token")
	})

	t.Run("logout ends one device only", func(t *testing.T) {
		nobody := nobody.in(t)
		phone, watch := nobody.login(ann, "phone"), nobody.login(ann, "watch")
		ticket := phone.newTicket()
		phone.post("/v2/account/logout")
		refused(t, phone.do("GET", self, nil), 401, "oauth_token")
		refused(t, phone.do("GET", "/v2/tickets/"+ticket, nil), 401, "oauth_token")
		if r := watch.get("/v2/tickets/" + ticket); r.text("response.state") != "active" {
			t.Errorf("%v\nwant the account's ticket", r)
		}
		again := nobody.login(ann, "phone")
		again.get("/v2/tickets/" + ticket)
		s.restart()
		refused(t, phone.do("GET", self, nil), 401, "oauth_token")
		watch.get(self)
		again.post("/v2/account/logout", "all", "true")
		refused(t, watch.do("GET", self, nil), 401, "oauth_token")
	})

	t.Run("a revoked application ends at once", func(t *testing.T) {
		nobody := nobody.in(t)
		other := s.newApp()
		bob := nobody.newAccount(other)
		phone, watch := nobody.login(bob, "phone"), nobody.login(bob, "watch")
		stays := nobody.login(ann, "phone")
		phone.get(self) // known to whatever remembers it
		watch.get(self)
		if f := s.app("revoke", "--id", other); f.code != 0 || !strings.Contains(f.stdout, `"revoked"`) {
			t.Errorf("%v\nwant the application, revoked", f)
		}
		refused(t, phone.do("GET", self, nil), 401, "access_denied")
		refused(t, watch.do("GET", self, nil), 401, "access_denied")
		refused(t, nobody.do("POST", "/v2/account/login", nil, "api_key", other, "id", bob.id, "password", bob.password), 401, "api_key")
		refused(t, nobody.do("POST", "/v2/account/create", nil, "api_key", other), 401, "api_key")
		stays.get(self)
	})

	t.Run("a wrong key or password", func(t *testing.T) {
		nobody := nobody.in(t)
		login := func(params ...string) reply { return nobody.do("POST", "/v2/account/login", nil, params...) }
		refused(t, login("api_key", "wrong", "id", ann.id, "password", ann.password), 401, "api_key")
		refused(t, login("api_key", key[1:]+key[:1], "id", ann.id, "password", ann.password), 401, "api_key")
		refused(t, login("id", ann.id, "password", ann.password), 400, "missing_parameter")
		wrong := login("api_key", key, "id", ann.id, "password", "wrong")
		refused(t, wrong, 401, "access_denied")
		unknown := login("api_key", key, "id", "nobody", "password", ann.password)
		if answerOf(unknown) != answerOf(wrong) {
			t.Errorf("%v\nwant the same as for a wrong password", unknown)
		}
	})

	t.Run("guessing is slowed down", func(t *testing.T) {
		nobody := nobody.in(t)
		eve, bob := nobody.newAccount(key), nobody.newAccount(key)
		guess := func(a account, password string) reply {
			return nobody.do("POST", "/v2/account/login", nil, "api_key", key, "id", a.id, "password", password)
		}
		for range 10 {
			refused(t, guess(eve, "wrong"), 401, "access_denied")
		}
		for _, password := range []string{"wrong", eve.password} {
			r := guess(eve, password)
			refused(t, r, 429, "throttled")
			if after := r.header.Get("Retry-After"); len(after) < 2 || len(after) > 3 || strings.Trim(after, "0123456789") != "" {
				t.Errorf("Retry-After %q: want seconds, up to 15 minutes", after)
			}
		}
		nobody.login(bob, "phone")
		// A restart is no way around it.
		s.restart()
		refused(t, guess(eve, eve.password), 429, "throttled")
	})
}

// TestTime is about what a minute changes.
func TestTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	s := newServer(t, shortTokens)
	nobody := s.client()
	key := s.newApp()
	ann := nobody.newAccount(key)

	// Someone views until the minute begins, someone else all along.
	phone := nobody.login(ann, "phone")
	ticket := phone.newTicket()
	code := phone.newInvite(ticket)
	nobody.get("/v2/invites/"+code, "viewer", "leaves")
	nobody.get("/v2/invites/"+code, "viewer", "stays")
	r := phone.get("/v2/users/self/invites", "since", "0")
	if r.int("response.items.0.viewing") != 2 || r.int("response.items.0.viewers") != 2 {
		t.Errorf("%v\nwant two viewers, both viewing", r)
	}
	since := r.text("response.last_refresh")

	// Guessing, with a window of three seconds.
	guess := func(password string) reply {
		return nobody.do("POST", "/v2/account/login", nil, "api_key", key, "id", ann.id, "password", password)
	}
	for range 10 {
		guess("wrong")
	}
	r = guess(ann.password)
	for deadline := time.Now().Add(20 * time.Second); r.status == 429 && time.Now().Before(deadline); r = guess(ann.password) {
		time.Sleep(200 * time.Millisecond)
	}
	if err := r.failure(); err != nil {
		t.Errorf("after the window: %v", err)
	}

	begin := time.Now()
	watch := nobody.login(ann, "watch")
	for time.Since(begin) < 50*time.Second {
		nobody.get("/v2/invites/"+code, "viewer", "stays")
		time.Sleep(5 * time.Second)
	}
	watch.get("/v2/users/self")
	time.Sleep(time.Until(begin.Add(time.Minute + 2*time.Second)))
	for range 2 {
		refused(t, watch.do("GET", "/v2/users/self", nil), 401, "token_expired")
		refused(t, nobody.do("GET", "/v2/users/self", nil, "oauth_token", watch.token), 401, "token_expired")
	}

	// The account logs in again, and sees that one has gone.
	nobody.get("/v2/invites/"+code, "viewer", "stays")
	phone = nobody.login(ann, "phone")
	// That one has gone is a change of its own, which may be told once more after
	// another change of the same invite.
	told := 0
	for r = phone.get("/v2/users/self/invites", "since", since); r.at("response.items") != nil && told < 3; told++ {
		if len(r.items("response.items")) != 1 || r.int("response.items.0.viewing") != 1 || r.int("response.items.0.viewers") != 2 {
			t.Errorf("%v\nwant two viewers, one of them viewing", r)
		}
		r = phone.get("/v2/users/self/invites", "since", r.text("response.last_refresh"))
	}
	if told < 1 || told > 2 {
		t.Errorf("told %d times that one has gone", told)
	}
}
