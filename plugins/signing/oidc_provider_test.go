package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestOIDCSettings(t *testing.T) {
	p := newTestProvider(t)
	p.Host.Settings = map[string]string{
		"oidc":               " google, corp realm,inner\n",
		"oidc_google_issuer": "https://accounts.example.com", "oidc_google_client_id": "1",
		"oidc_corp_issuer": "https://sso.example.org/realms/Corp/", "oidc_corp_client_id": "2",
		"oidc_realm_issuer": "https://sso.example.org/realms/other", "oidc_realm_client_id": "3", "oidc_realm_scopes": "email openid",
		"oidc_inner_issuer": "http://keycloak:8080/realms/inner", "oidc_inner_client_id": "4",
	}
	issuer := ""
	p.reply = func(f *abi.Fetch) *abi.FetchReply {
		issuer = strings.TrimSuffix(f.URL, "/.well-known/openid-configuration")
		return &abi.FetchReply{Error: "not there"}
	}
	const google, corp, other = "https://accounts.example.com", "https://sso.example.org/realms/Corp", "https://sso.example.org/realms/other"
	for identifier, want := range map[string]string{
		"google": google, "Google": google, "https://accounts.example.com": google, "https://accounts.example.com/": google,
		"HTTPS://Accounts.Example.com": google, "accounts.example.com": google, "accounts.example.com/": google,
		"http://accounts.example.com": google, "https://accounts.example.com:443": google,
		"corp": corp, "https://sso.example.org/realms/Corp": corp, "sso.example.org/realms/Corp/": corp, "realm": other,
		"inner": "http://keycloak:8080/realms/inner", // not by its host, which is not in the DNS

		"sso.example.org":             "", // of two
		"sso.example.org/realms/corp": "", "accounts.example.com/ann": "", "ann.accounts.example.com": "", "example.com": "",
		"https://accounts.example.com:8443": "", "https://accounts.example.com?x": "", "https://ann@accounts.example.com": "",
		"goog": "", "=google": "", "oidc": "", "keycloak:8080": "", " ": "",
	} {
		issuer = ""
		r := p.Do(guesttest.Request{Path: "/login/" + url.PathEscape(identifier)})
		if found := r.Err == nil || r.Err.Code != "not_found"; issuer != want || found != (want != "") {
			t.Errorf("%s: asked %q, want %q (%v)", identifier, issuer, want, r)
		}
	}

	for name, change := range map[string][2]string{
		"name":             {"oidc", "Google"},
		"name with a line": {"oidc", "google_1"},
		"name twice":       {"oidc", "google google"},
		"no issuer":        {"oidc_google_issuer", ""},
		"no scheme":        {"oidc_google_issuer", "accounts.example.com"},
		"another scheme":   {"oidc_google_issuer", "ftp://accounts.example.com"},
		"a query":          {"oidc_google_issuer", "https://accounts.example.com?x"},
		"a fragment":       {"oidc_google_issuer", "https://accounts.example.com#"},
		"a user":           {"oidc_google_issuer", "https://a@accounts.example.com"},
		"no host":          {"oidc_google_issuer", "https:///x"},
		"no client":        {"oidc_google_client_id", ""},
		"no openid":        {"oidc_google_scopes", "profile email"},
	} {
		before := p.Host.Settings[change[0]]
		p.Host.Settings[change[0]] = change[1]
		if r := p.Do(guesttest.Request{Path: "/login/corp"}); r.Status != 500 {
			t.Errorf("%s: %v, want 500", name, r)
		}
		p.Host.Settings[change[0]] = before
	}
}

func TestOIDCMetadata(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"of another issuer":                  {"issuer": "https://evil.test"},
		"issuer with a slash":                {"issuer": testIssuer + "/"},
		"no issuer":                          {"issuer": nil},
		"no authorization endpoint":          {"authorization_endpoint": nil},
		"token endpoint without TLS":         {"token_endpoint": "http://op.test/token"},
		"token endpoint of a file":           {"token_endpoint": "file:///etc/passwd"},
		"relative token endpoint":            {"token_endpoint": "/token"},
		"no token endpoint":                  {"token_endpoint": ""},
		"no keys":                            {"jwks_uri": nil},
		"keys without TLS":                   {"jwks_uri": "http://op.test/keys"},
		"a list for an endpoint":             {"jwks_uri": []string{testIssuer}},
		"profile without TLS":                {"userinfo_endpoint": "http://op.test/me"},
		"authorization endpoint to a script": {"authorization_endpoint": "javascript:alert(1)"},
	} {
		p := newTestProvider(t)
		for field, value := range change {
			p.metadata[field] = value
		}
		r := p.Do(guesttest.Request{Path: "/login/op"})
		if r.Err == nil || r.Status != 502 || r.Err.Code != "provider_error" || r.Headers["Location"] != "" {
			t.Errorf("%s: %v", name, r)
		}
	}

	// An operator whose provider has no TLS has said so in the issuer.
	p := newTestProvider(t)
	p.Host.Settings["oidc_op_issuer"], p.issuer = "http://op.test", "http://op.test"
	p.metadata["issuer"], p.metadata["token_endpoint"] = "http://op.test", "http://op.test/token"
	if r := p.login(); r.Text("id") != "http://op.test#7" {
		t.Fatal(r)
	}
}

func FuzzMetadata(f *testing.F) {
	p := &oidcProvider{name: "op", issuer: testIssuer, clientID: "edge"}
	good := map[string]any{
		"issuer": testIssuer, "authorization_endpoint": testIssuer + "/auth?x=%", "token_endpoint": testIssuer + "/token",
		"jwks_uri": testIssuer + "/keys", "userinfo_endpoint": testIssuer + "/me", "token_endpoint_auth_methods_supported": []string{"none"},
	}
	for field := range good {
		document, err := json.Marshal(good)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
		delete(good, field)
	}
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, document []byte) {
		m, err := p.readMetadata(document)
		if err != nil {
			return
		}
		if m.Issuer != testIssuer {
			t.Fatalf("issuer %q", m.Issuer)
		}
		for _, place := range []string{m.Authorization, m.Token, m.Keys, m.UserInfo} {
			if u, err := url.Parse(place); place != "" && (err != nil || u.Scheme != "https" || u.Host == "") || place == "" && place != m.UserInfo {
				t.Fatalf("endpoint %q", place)
			}
		}
	})
}
