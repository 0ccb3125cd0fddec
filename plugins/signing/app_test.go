package main

import (
	"fmt"
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
	if got := strings.Join(keys, " "); got != "id secret name created" {
		t.Fatal(got)
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
	for _, body := range []string{``, `{}`, `[]`, `"x"`, `{"name":""}`, `{"name":7}`} {
		b.refused(b.operator("POST", "/apps", body), 400, "missing_parameter")
	}
	b.refused(b.operator("POST", "/apps", `{"name":"`+strings.Repeat("x", maxName+1)+`"}`), 400, "bad_parameter")
	b.refused(b.operator("POST", "/apps", `{"name":"a\u0007b"}`), 400, "bad_parameter")
	b.refused(b.operator("GET", "/apps?after=x", ""), 400, "bad_parameter")
	b.refused(b.operator("GET", "/apps?limit=x", ""), 400, "bad_parameter")
	for _, id := range []string{"x", random(appIDSize), strings.Repeat("x", 2000)} {
		b.refused(b.operator("GET", "/apps/"+id, ""), 404, "not_found")
		b.refused(b.operator("DELETE", "/apps/"+id, ""), 404, "not_found")
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
		} {
			q.Caller = &caller
			b.refused(b.Do(q), 401, "unauthenticated")
		}
	}
	for _, route := range plugin().Description().Routes {
		if strings.HasPrefix(route.Pattern, "/apps") != (len(route.Auth) == 1 && route.Auth[0] == operatorProof) {
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
	if len(d.Credentials) != 3 || d.Name != "signing" {
		t.Fatalf("got %+v", d)
	}
}
