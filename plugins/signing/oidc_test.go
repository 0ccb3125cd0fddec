package main

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestOIDCLogin(t *testing.T) {
	p := newTestProvider(t)
	var redeemed url.Values
	var authorization string
	p.reply = func(f *abi.Fetch) *abi.FetchReply {
		if strings.HasSuffix(f.URL, "/token") {
			redeemed, _ = url.ParseQuery(string(f.Body))
			authorization, _ = f.Headers.GetFold("Authorization")
			if f.Follow || f.MaxReply == 0 {
				t.Error("the token request would follow a redirect, or take a reply of any size")
			}
		}
		return nil
	}
	q := p.begin()
	const callback = "http://edge.test/1.0/login/callback"
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "edge", "redirect_uri": callback, "scope": "openid profile email",
		"state": "the-state", "code_challenge_method": "S256", "tenant": "1",
	} {
		if q.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, q.Get(name), want)
		}
	}
	r := p.back("code=good")
	p.succeeds(r)
	if r.Text("name") != "Ann Other" || r.Text("nickname") != "ann" || r.Text("email") != "ann@example.org" {
		t.Fatal(r)
	}
	if verifier := redeemed.Get("code_verifier"); len(verifier) < 43 || len(verifier) > 128 {
		t.Errorf("verifier %q: RFC 7636 wants 43 to 128 characters", verifier)
	}
	if redeemed.Get("redirect_uri") != callback || redeemed.Get("grant_type") != "authorization_code" || redeemed.Has("client_secret") {
		t.Errorf("token request: %v", redeemed)
	}
	if authorization != "Basic "+base64.StdEncoding.EncodeToString([]byte("edge:s3+cret%2F%2B")) {
		t.Errorf("authorization %q", authorization)
	}
	if n := p.times("/me"); n != 0 {
		t.Errorf("the profile was asked for although the token had it")
	}
	first, firstNonce := p.challenge, p.nonce
	p.succeeds(p.login())
	if p.challenge == first || p.nonce == firstNonce {
		t.Error("two logins have the same challenge or nonce")
	}
}

func TestOIDCPKCE(t *testing.T) {
	p := newTestProvider(t)
	p.begin()
	p.challenge = "of another login"
	p.refused(p.back("code=good"), 403, "login_refused", "code")
	p.begin()
	p.refused(p.back("code=bad"), 403, "login_refused", "code")
	p.refused(p.back(""), 400, "missing_parameter", "code")
}

func TestOIDCClientAuthentication(t *testing.T) {
	tests := []struct {
		name, secret string
		methods      any
		basic, post  bool
		status       int
	}{
		{"nothing said", "x", nil, true, false, 200},
		{"both", "x", []string{"client_secret_post", "client_secret_basic"}, true, false, 200},
		{"post", "x", []string{"private_key_jwt", "client_secret_post"}, false, true, 200},
		{"public client", "", []string{"client_secret_basic"}, false, false, 200},
		{"neither", "x", []string{"private_key_jwt"}, false, false, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestProvider(t)
			p.Host.Settings["oidc_op_client_secret"] = tt.secret
			p.metadata["token_endpoint_auth_methods_supported"] = tt.methods
			p.token = func(form url.Values, f *abi.Fetch) (any, int) {
				_, basic := f.Headers.GetFold("Authorization")
				if basic != tt.basic || form.Has("client_secret") != tt.post || form.Has("client_id") == basic {
					t.Errorf("basic %v, form %v", basic, form)
				}
				return map[string]any{"id_token": p.idToken()}, 200
			}
			if r := p.login(); r.Status != tt.status {
				t.Fatal(r)
			}
		})
	}
}

func TestOIDCCallback(t *testing.T) {
	p := newTestProvider(t)
	back := func(query string) *guesttest.Response { p.begin(); return p.back(query) }
	p.refused(back("error=access_denied"), 403, "login_cancelled", "")
	p.refused(back("error=server_error&error_description=x"), 502, "provider_error", "")
	p.refused(back("code=good&iss=https%3A%2F%2Fevil.test"), 403, "login_refused", "another provider")
	p.refused(back("error=access_denied&iss=https%3A%2F%2Fevil.test"), 403, "login_refused", "another provider")
	p.succeeds(back("code=good&iss=https%3A%2F%2Fop.test"))

	// One that says it states its issuer has to.
	p = newTestProvider(t)
	p.metadata["authorization_response_iss_parameter_supported"] = true
	p.refused(back("code=good"), 403, "login_refused", "another provider")
	p.succeeds(back("code=good&iss=https%3A%2F%2Fop.test"))
}

func TestOIDCProfile(t *testing.T) {
	full := map[string]any{"sub": "7", "name": "Ann Other", "nickname": "annie", "email": "ann@example.org"}
	none := map[string]any{"name": nil, "nickname": nil, "email": nil}
	tests := []struct {
		name         string
		token, info  map[string]any
		status       int
		of, nickname string
	}{
		{"all in the profile", none, full, 200, "", "annie"},
		{"what is in the token counts", map[string]any{"name": nil, "nickname": "ann"}, full, 200, "", "ann"},
		{"a preferred username for a nickname", map[string]any{"nickname": nil, "preferred_username": "ao"}, nil, 200, "", "ao"},
		{"the same in the profile", none, map[string]any{"sub": "7", "name": "A", "preferred_username": "ao", "email": "a@b"}, 200, "", "ao"},
		{"the profile of another user", none, map[string]any{"sub": "8", "name": "A", "nickname": "a", "email": "a@b"}, 403, "another user", ""},
		{"of nobody", none, map[string]any{"name": "A", "nickname": "a", "email": "a@b"}, 403, "another user", ""},
		{"no email", none, map[string]any{"sub": "7", "name": "A", "nickname": "a"}, 403, "e-mail", ""},
		{"of the wrong types", none, map[string]any{"sub": "7", "name": 1, "nickname": []string{"a"}, "email": " "}, 403, "full name, nickname, e-mail", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestProvider(t)
			p.userInfo = tt.info
			for name, value := range tt.token {
				p.claims[name] = value
			}
			r := p.login()
			switch {
			case tt.status == 200:
				p.succeeds(r)
				if r.Text("nickname") != tt.nickname {
					t.Fatal(r)
				}
			case tt.of == "another user":
				p.refused(r, 403, "login_refused", tt.of)
			default:
				p.refused(r, 403, "profile_incomplete", tt.of)
			}
		})
	}

	p := newTestProvider(t)
	p.claims["email"] = nil
	delete(p.metadata, "userinfo_endpoint")
	p.refused(p.login(), 403, "profile_incomplete", "e-mail")
	if n := p.times("/me"); n != 0 {
		t.Fatal("a provider without profiles was asked for one")
	}
}

// The provider's documents are kept for an hour.
func TestOIDCKeepsWhatIsPublished(t *testing.T) {
	p := newTestProvider(t)
	count := func(want int) {
		t.Helper()
		asked := p.asked
		if n := p.times("/.well-known/openid-configuration"); n != want {
			t.Errorf("metadata was asked for %d times, want %d", n, want)
		}
		p.asked = asked
		if n := p.times("/keys"); n != want {
			t.Errorf("keys were asked for %d times, want %d", n, want)
		}
	}
	p.succeeds(p.login())
	count(1)
	p.Advance(59 * time.Minute)
	p.succeeds(p.login())
	count(0)
	p.Advance(2 * time.Minute)
	p.succeeds(p.login())
	count(1)
	// A login that is under way does not ask again, whatever the time.
	p.Advance(59 * time.Minute)
	p.begin()
	p.Advance(2 * time.Minute)
	p.succeeds(p.back("code=good"))
	if n := p.times("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("metadata was asked for in the midst of a login")
	}
}

func TestOIDCProviderDoesNotAnswer(t *testing.T) {
	replies := []struct {
		name   string
		reply  abi.FetchReply
		status int
		code   string
	}{
		{"down", abi.FetchReply{Error: "connection refused"}, 502, "provider_unreachable"},
		{"not allowed", abi.FetchReply{Error: "not on the list", Denied: true}, 403, "provider_denied"},
		{"redirect", abi.FetchReply{Status: 302, Headers: pairs("Location", "https://evil.test")}, 502, ""},
		{"failing", abi.FetchReply{Status: 500, Body: []byte("{}")}, 502, ""},
		{"a page", abi.FetchReply{Status: 200, Body: []byte("<html>")}, 502, "provider_error"},
		{"a number", abi.FetchReply{Status: 200, Body: []byte("1")}, 502, "provider_error"},
	}
	for _, tt := range replies {
		for _, path := range []string{"/.well-known/openid-configuration", "/keys", "/token", "/me"} {
			t.Run(tt.name+" "+path, func(t *testing.T) {
				p := newTestProvider(t)
				p.claims["email"] = nil
				p.userInfo = map[string]any{"sub": "7", "email": "a@b"}
				p.reply = func(f *abi.Fetch) *abi.FetchReply {
					if !strings.HasSuffix(f.URL, path) {
						return nil
					}
					if f.MaxReply == 0 {
						t.Error("the reply may have any size")
					}
					reply := tt.reply
					return &reply
				}
				r := p.Do(guesttest.Request{Path: "/login/op"})
				if r.Err == nil {
					r = p.login()
				}
				if r.Err == nil || r.Status != tt.status || tt.code != "" && r.Err.Code != tt.code {
					t.Fatal(r)
				}
				if strings.Contains(r.String(), "connection refused") || strings.Contains(r.String(), "on the list") {
					t.Errorf("%v tells how the network is", r)
				}
				p.reply = nil
				p.succeeds(p.login())
			})
		}
	}
}
