package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestAppIsCreatedShownListedAndRevoked(t *testing.T) {
	b := newBench(t)
	if len(b.app) < 20 || len(b.secret) < 32 {
		t.Fatalf("id %q, secret %q: too short", b.app, b.secret)
	}
	first := b.replies[0]
	if !strings.Contains(first, `"secret":"`+b.secret+`"`) {
		t.Fatalf("creation does not show the secret: %s", first)
	}
	r := b.operator("GET", "/apps/"+b.app, "")
	if r.Status != 200 || r.Text("name") != "Test app" || r.Text("created") != "1767225600000" || r.Field("revoked") != nil {
		t.Fatal(r)
	}
	r = b.operator("DELETE", "/apps/"+b.app, "")
	if r.Status != 200 || r.Text("revoked") != "1767225600000" {
		t.Fatal(r)
	}
	b.Advance(1e9)
	if r = b.operator("DELETE", "/apps/"+b.app, ""); r.Status != 200 || r.Text("revoked") != "1767225600000" {
		t.Fatalf("revoking twice: %v", r)
	}
	if r = b.operator("GET", "/apps", ""); r.Text("items.0.revoked") != "1767225600000" {
		t.Fatal(r)
	}
	for _, reply := range b.replies[1:] {
		if strings.Contains(reply, "secret") || strings.Contains(reply, b.secret) {
			t.Fatalf("a secret is shown again: %s", reply)
		}
	}
}

func TestAppRepliesWithItsThreeKeysFirst(t *testing.T) {
	b := newBench(t)
	r := b.operator("POST", "/apps", `{"name":"x"}`)
	var keys []string
	for e := r.Value.Entries(); e.Next(); {
		keys = append(keys, string(e.Key()))
	}
	if got := strings.Join(keys, " "); got != "id secret name created state approved" {
		t.Fatal(got)
	}
	if r.Headers["Location"] != "/apps/"+r.Text("id") || r.Headers["Cache-Control"] != "no-store" || r.Text("state") != "active" {
		t.Fatal(r, r.Headers)
	}
}

// everything is a body that sets all that an operator can.
func (b *bench) everything(owner string) string {
	return `{"name":" All ","owner":"` + owner + `","schemes":["md5","token","md5"],"families":["/1.0","/v2"],` +
		`"origins":["HTTPS://Example.ORG:443","http://[::1]:8080"],"rate":250,"ed25519_key":"` + keyA + `"}`
}

// Two public keys in base64, and the first one in other forms.
const (
	keyA    = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	keyAURL = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	keyAPEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"
	keyB    = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
)

func TestOperatorSetsAndTakesAwayAllThatAnAppHas(t *testing.T) {
	b := newBench(t)
	owner := b.create("ann", "correct horse")
	made := b.operator("POST", "/apps", b.everything(owner))
	if made.Status != 201 || made.Text("state") != "active" {
		t.Fatal(made)
	}
	path := "/apps/" + made.Text("id")
	r := b.operator("GET", path, "")
	for field, want := range map[string]string{
		"name": "All", "owner": owner, "schemes": "[md5 token]", "families": "[/1.0 /v2]",
		"origins": "[https://example.org http://[::1]:8080]", "rate": "250", "owner_rate": "",
		"ed25519_key": keyA, "secret": "", "set_by_operator": "[families origins schemes]",
	} {
		if got := r.Text(field); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	// A field that is not named stays.
	r = b.operator("PUT", path, `{"name":"Other"}`)
	if r.Text("name") != "Other" || r.Text("families") != "[/1.0 /v2]" || r.Text("rate") != "250" {
		t.Fatal(r)
	}
	for _, body := range []string{
		`{"owner":null,"schemes":null,"families":null,"origins":null,"rate":null,"ed25519_key":null}`,
		`{"owner":"","schemes":[],"families":[],"origins":[],"rate":0,"ed25519_key":""}`,
	} {
		if r = b.operator("PUT", path, b.everything(owner)); r.Status != 200 || r.Text("owner") != owner {
			t.Fatal(r)
		}
		r = b.operator("PUT", path, body)
		for _, field := range []string{"owner", "schemes", "families", "origins", "rate", "ed25519_key", "set_by_operator", "old_ed25519_key_until"} {
			if r.Status != 200 || r.Field(field) != nil {
				t.Errorf("%s: %s stays: %v", body, field, r)
			}
		}
	}
	if r := b.own(owner, "GET", "/1.0/apps", ""); r.Text("items") != "[]" {
		t.Fatalf("still on the list of who was its owner: %v", r)
	}
}

func TestAppRestrictionsHoldForTokensAndLogins(t *testing.T) {
	b := newBench(t)
	b.create("ann", "correct horse")
	secret, _ := b.session("ann", "correct horse", "phone")
	path := "/apps/" + b.app
	check := func(family, origin, code string) {
		t.Helper()
		_, err := b.AuthenticateIn(family, origin, tokenProof, secret)
		if e, ok := err.(*abi.Error); code == "" && err != nil || code != "" && (!ok || e.Status != 403 || e.Code != code) {
			t.Errorf("in %s from %q: got %v, want %q", family, origin, err, code)
		}
	}
	login := func(header, value, code string) {
		t.Helper()
		r := b.send(guesttest.Request{
			Method: "POST", Path: "/v2/account/login", Headers: map[string]string{header: value},
			Form: form([]string{"api_key", b.app, "id", "ann", "password", "correct horse"}),
		})
		if code == "" && r.Status != 200 || code != "" && (r.Err == nil || r.Err.Status != 403 || r.Err.Code != code) {
			t.Errorf("login from %s %q: got %v, want %q", header, value, r, code)
		}
	}
	check("/v2", "", "")

	b.operator("PUT", path, `{"families":["/1.0"]}`)
	check("/1.0", "https://any.example", "")
	check("/v2", "", "family_denied")
	login("Origin", "", "family_denied")
	b.refused(b.post(nobody, "/v2/account/create", "api_key", b.app), 403, "family_denied")

	b.operator("PUT", path, `{"families":[],"origins":["https://example.org","http://localhost:3000"]}`)
	check("/v2", "https://example.org", "")
	check("/v2", "https://example.org.evil.example", "origin_denied")
	check("/v2", "", "origin_denied")
	login("Origin", "https://example.org", "")
	login("Origin", "https://EXAMPLE.org:443", "")
	login("Referer", "http://localhost:3000/a/b?c#d", "")
	login("Referer", "https://example.org", "")
	login("Referer", "https://example.org.evil.example/https://example.org", "origin_denied")
	login("Referer", "https://example.org@evil.example/", "origin_denied")
	login("Origin", "null", "origin_denied")
	login("Origin", "http://example.org", "origin_denied")
	login("X-Other", "https://example.org", "origin_denied")

	b.operator("PUT", path, `{"origins":[],"schemes":["hmac-sha256"]}`)
	check("/v2", "", "scheme_denied")
	login("Origin", "", "scheme_denied")

	b.operator("PUT", path, `{"schemes":["hmac-sha256","token"]}`)
	check("/v2", "", "")
	login("Origin", "", "")
}

func TestRevokedAppIsLeftAlone(t *testing.T) {
	b := newBench(t)
	path := "/apps/" + b.app
	b.operator("DELETE", path, "")
	before := b.dump()
	b.refused(b.operator("PUT", path, `{"name":"x"}`), 409, "revoked")
	b.refused(b.operator("POST", path+"/rotate", ""), 409, "revoked")
	b.refused(b.operator("POST", path+"/approve", ""), 409, "revoked")
	if b.dump() != before {
		t.Fatal("something was written")
	}
}

func TestAppListOfAStateOrAnOwner(t *testing.T) {
	b := newBench(t)
	ann, bob := b.create("ann", "correct horse"), b.create("bob", "correct horse")
	ids := map[string][]string{"active": {b.app}}
	for i := range 12 {
		id := b.own([]string{ann, bob}[i%2], "POST", "/1.0/apps", `{"name":"x"}`).Text("id")
		state := []string{"pending", "active", "revoked"}[i%3]
		switch state {
		case "active":
			b.operator("POST", "/apps/"+id+"/approve", "")
		case "revoked":
			b.operator("DELETE", "/apps/"+id, "")
		}
		ids[state] = append(ids[state], id)
		ids[[]string{ann, bob}[i%2]] = append(ids[[]string{ann, bob}[i%2]], id)
	}
	list := func(query string) (got []string) {
		t.Helper()
		for path, pages := "/apps?limit=2"+query, 0; ; pages++ {
			r := b.operator("GET", path, "")
			if r.Status != 200 || pages > 10 {
				t.Fatal(r)
			}
			for _, item := range r.Field("items").([]any) {
				got = append(got, item.(map[string]any)["id"].(string))
			}
			if r.Field("next") == nil {
				return got
			}
			path = "/apps?limit=2&after=" + r.Text("next") + query
		}
	}
	for query, want := range map[string][]string{
		"&state=pending": ids["pending"], "&state=active": ids["active"], "&state=revoked": ids["revoked"],
		"&owner=" + ann: ids[ann], "&owner=" + random(accountIDSize): nil, "&owner=" + bob + "&state=": ids[bob],
	} {
		slices.Sort(want)
		if got := list(query); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	if got := list("&owner=" + ann + "&state=pending"); len(got) != 2 {
		t.Errorf("pending ones of an account: %q", got)
	}
	b.refused(b.operator("GET", "/apps?state=gone", ""), 400, "bad_parameter")
	b.refused(b.operator("GET", "/apps?owner=x", ""), 400, "bad_parameter")
}

// What few of many are asked for is found over several requests, none of which
// looks at all.
func TestAppListLooksAtABoundedNumberOfApps(t *testing.T) {
	b := newBench(t)
	const many = maxAppsPage*maxAppsScans + 40
	a := app{name: "x", secret: "s", created: 1, approved: 1}
	for i := range many {
		b.put(appKey(fmt.Sprintf("%024d", i)), a.record())
	}
	r := b.operator("GET", "/apps?state=pending", "")
	if r.Text("items") != "[]" || r.Text("next") != fmt.Sprintf("%024d", maxAppsPage*maxAppsScans-1) {
		t.Fatal(r)
	}
	if r = b.operator("GET", "/apps?state=pending&after="+r.Text("next"), ""); r.Text("items") != "[]" || r.Field("next") != nil {
		t.Fatal(r)
	}
}

func TestBadSettingsOfAppsFailWhatNeedsThem(t *testing.T) {
	for key, values := range map[string][]string{
		"rate_limit":       {"x", "-1", "1000000001", "1.5"},
		"rate_window":      {"0s", "25h", "x"},
		"rotation_grace":   {"-1s", "721h", "x"},
		"schemes":          {"x", "token,sha1", " , "},
		"app_approval":     {"yes", "MANUAL"},
		"apps_per_account": {"0", "1001", "x"},
	} {
		for _, value := range values {
			b := newBench(t)
			ann := b.create("ann", "correct horse")
			b.operator("PUT", "/apps/"+b.app, `{"ed25519_key":"`+keyA+`"}`)
			secret, _ := b.session("ann", "correct horse", "")
			b.Host.Settings["rate_limit"] = "10"
			b.Host.Settings[key] = value
			failed := 0
			for _, r := range []*guesttest.Response{
				b.own(ann, "POST", "/1.0/apps", `{"name":"x"}`),
				b.operator("POST", "/apps/"+b.app+"/rotate", ""),
			} {
				if r.Status == 500 {
					failed++
				}
			}
			if _, err := b.Authenticate(tokenProof, secret); err != nil {
				failed++
			}
			if failed != 1 {
				t.Errorf("%s = %q: %d of three failed, want one", key, value, failed)
			}
		}
	}
}

func TestAppListIsPaged(t *testing.T) {
	b := newBench(t)
	for i := range 24 {
		b.operator("POST", "/apps", fmt.Sprintf(`{"name":"app %d"}`, i))
	}
	seen := map[string]bool{}
	path, pages, items := "/apps?limit=10", 0, 0
	for {
		r := b.operator("GET", path, "")
		if r.Status != 200 {
			t.Fatal(r)
		}
		for _, item := range r.Field("items").([]any) {
			items++
			seen[item.(map[string]any)["id"].(string)] = true
		}
		pages++
		if r.Field("next") == nil {
			break
		}
		path = "/apps?limit=10&after=" + r.Text("next")
	}
	if len(seen) != 25 || items != 25 || pages != 3 {
		t.Fatalf("%d applications in %d items on %d pages, want 25 in 25 on 3", len(seen), items, pages)
	}
}

func TestAppRefusals(t *testing.T) {
	b := newBench(t)
	for _, body := range []string{``, `{}`, `[]`, `"x"`, `{"name":""}`, `{"name":" "}`, `{"name":null}`, `{"rate":1}`} {
		b.refused(b.operator("POST", "/apps", body), 400, "missing_parameter")
	}
	b.refused(b.operator("POST", "/apps", `{"name":7}`), 400, "bad_parameter")
	b.refused(b.operator("POST", "/apps", `{"name":"`+strings.Repeat("x", maxName+1)+`"}`), 400, "bad_parameter")
	b.refused(b.operator("POST", "/apps", `{"name":"a\u0007b"}`), 400, "bad_parameter")
	b.refused(b.operator("GET", "/apps?after=x", ""), 400, "bad_parameter")
	b.refused(b.operator("GET", "/apps?limit=x", ""), 400, "bad_parameter")
	for _, id := range []string{"x", random(appIDSize), strings.Repeat("x", 2000)} {
		b.refused(b.operator("GET", "/apps/"+id, ""), 404, "not_found")
		b.refused(b.operator("DELETE", "/apps/"+id, ""), 404, "not_found")
		b.refused(b.operator("PUT", "/apps/"+id, `{"name":"x"}`), 404, "not_found")
		b.refused(b.operator("POST", "/apps/"+id+"/approve", ""), 404, "not_found")
		b.refused(b.operator("POST", "/apps/"+id+"/rotate", ""), 404, "not_found")
	}
	if b.Host.Len() != 1 {
		t.Fatalf("%d entries, want that of the one application", b.Host.Len())
	}
}

func TestAppRoutesAreForOperatorsAlone(t *testing.T) {
	b := newBench(t)
	for _, caller := range []abi.Caller{nobody, {Account: "a", Proof: tokenProof}} {
		for _, q := range []guesttest.Request{
			{Method: "POST", Path: "/apps", JSON: `{"name":"x"}`}, {Path: "/apps"},
			{Path: "/apps/" + b.app}, {Method: "DELETE", Path: "/apps/" + b.app},
			{Method: "PUT", Path: "/apps/" + b.app, JSON: `{"name":"x"}`},
			{Method: "POST", Path: "/apps/" + b.app + "/approve"}, {Method: "POST", Path: "/apps/" + b.app + "/rotate"},
			{Path: "/accounts/x"}, {Method: "POST", Path: "/accounts/x/revoke"},
		} {
			q.Caller = &caller
			b.refused(b.Do(q), 401, "unauthenticated")
		}
	}
	for _, route := range plugin().Description().Routes {
		private := strings.HasPrefix(route.Pattern, "/apps") || strings.HasPrefix(route.Pattern, "/accounts/")
		if private != (len(route.Auth) == 1 && route.Auth[0] == operatorProof) {
			t.Errorf("%s %s: takes %q", route.Method, route.Pattern, route.Auth)
		}
	}
}

func TestRevokedAppEndsItsTokensAndItsLogins(t *testing.T) {
	b := newBench(t)
	id := b.create("ann", "correct horse")
	secret, caller := b.session("ann", "correct horse", "phone")
	other := b.operator("POST", "/apps", `{"name":"Other"}`).Text("id")

	b.operator("DELETE", "/apps/"+b.app, "")
	b.rejects(secret, "access_denied")
	b.refused(b.login("ann", "correct horse"), 401, "api_key")
	b.refused(b.post(nobody, "/v2/account/create", "api_key", b.app), 401, "api_key")

	b.app = other
	if _, again := b.session("ann", "correct horse", "phone"); again.Account != id || again.App != other || again.Token == caller.Token {
		t.Fatalf("got %+v", again)
	}
	b.rejects(secret, "access_denied")
}

func TestDescriptionIsOneThatAHostTakes(t *testing.T) {
	var w abi.Writer
	plugin().Description().Append(&w)
	d, err := abi.ReadDescription(w.Value())
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []string
	for _, f := range d.Families {
		prefixes = append(prefixes, f.Prefix)
	}
	if !slices.Equal(prefixes, []string{"/v2", "/1.0", "/apps", "/accounts"}) || len(d.Credentials) != len(sources) || d.Name != "signing" {
		t.Fatalf("plugin %q, families %q, %d places of credentials", d.Name, prefixes, len(d.Credentials))
	}
}
