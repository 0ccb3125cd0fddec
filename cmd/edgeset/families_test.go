package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/wasmtest"
)

// A plugin that knows nothing of credentials lets in whoever its routes say, by a
// token, a signature or a session, and is told who it is.
func TestOneCheckForAllFamilies(t *testing.T) {
	t.Parallel()
	needProvider(t)
	at := freeAddr(t)
	notes := filepath.Join(t.TempDir(), "notes.wasm")
	if err := os.WriteFile(notes, wasmtest.Build(t, "host/gateway/testdata/notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, oidcManifest(at, fmt.Sprintf("[[deployment.plugin]]\nname = \"notes\"\nsource = %q\ngrants = [\"kv\"]\n", notes)))
	newProvider(t, at, "http://"+at, s)

	bob := s.client().newUser(s.newApp())
	app := s.newSigner("")
	ann := s.browser()
	ann.loggedIn(ann.login("op", "ann", ""), "ann")
	cookie := "edgeset_session=" + ann.session()

	// send makes a request with a form and headers, as anybody.
	send := func(method, path string, form url.Values, headers ...string) reply {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+s.listen+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		r, err := s.client().send(req)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	wants := func(r reply, status int, code string) {
		t.Helper()
		if r.status != status || code != "" && r.text("error.code") != code {
			t.Errorf("%v\nwant %d %s", r, status, code)
		}
	}
	text := func(s string) url.Values { return url.Values{"description": {s}} }
	note := map[string]string{} // by proof: path
	for proof, r := range map[string]reply{
		"token":     send("POST", "/1.0/notes", text("by token"), "Authorization", "Bearer "+bob.token),
		"signature": send("POST", "/1.0/notes/create", app.signed("description", "by signature")),
		"session":   send("POST", "/1.0/notes", text("by session"), "Cookie", cookie),
	} {
		if r.status != 201 || r.text("proof") != proof || r.text("description") != "by "+proof {
			t.Fatalf("%v\nwant a note by %s", r, proof)
		}
		note[proof] = r.header.Get("Location")
	}

	t.Run("nobody and nothing else", func(t *testing.T) {
		wants(send("POST", "/1.0/notes", text("x")), 401, "unauthenticated")
		wants(send("POST", "/1.0/notes", text("x"), "Authorization", "Bearer "+ann.session()), 401, "oauth_token")
		wants(send("POST", "/1.0/notes", text("x"), "Cookie", "edgeset_session="+bob.token), 401, "session_unknown")
		forged := app.signed("description", "x")
		forged.Set("description", "y")
		wants(send("POST", "/1.0/notes", forged), 401, "bad_signature")
	})
	t.Run("only one's own", func(t *testing.T) {
		wants(send("PUT", note["token"], app.signed("description", "x")), 403, "not_yours")
		wants(send("PUT", note["signature"], text("x"), "Cookie", cookie), 403, "not_yours")
		wants(send("DELETE", note["session"], nil, "Authorization", "Bearer "+bob.token), 403, "not_yours")
		wants(send("PUT", note["signature"], app.signed("description", "changed")), 200, "")
		wants(send("POST", note["signature"]+"/delete", app.signed()), 204, "")
		wants(send("DELETE", note["session"]+"?", nil, "Cookie", cookie), 204, "")
	})
	t.Run("a refused request has used its signature up", func(t *testing.T) {
		form := app.signed("description", "")
		wants(send("POST", "/1.0/notes", form), 400, "missing_parameter")
		wants(send("POST", "/1.0/notes", form), 401, "replayed")
	})
	t.Run("a page of another origin", func(t *testing.T) {
		for _, h := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "null"}} {
			wants(send("POST", "/1.0/notes", text("x"), append(h, "Cookie", cookie)...), 403, "cross_origin")
		}
		wants(send("POST", "/1.0/notes", text("x"), "Cookie", cookie, "Origin", "http://"+s.listen), 201, "")
		// What a script adds, and no browser by itself, is not concerned.
		wants(send("POST", "/1.0/notes", text("x"), "Authorization", "Bearer "+bob.token, "Origin", "https://app.example"), 201, "")
	})
	t.Run("a browser gets a page", func(t *testing.T) {
		r := send("POST", "/1.0/login/callback?state=x", nil, "Accept", "text/html,*/*;q=0.8")
		if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || !strings.Contains(string(r.raw), `href="/1.0/signing"`) {
			t.Errorf("%v %v", r.header, r)
		}
	})
	t.Run("what is revoked ends with the next request", func(t *testing.T) {
		wants(send("POST", "/1.0/notes", text("x"), "Cookie", cookie), 201, "")
		ann.visit("/1.0/logout")
		wants(send("POST", "/1.0/notes", text("x"), "Cookie", cookie), 401, "session_unknown")
		wants(send("POST", "/1.0/notes", app.signed("description", "x")), 201, "")
		if done := s.app("revoke", "--id", app.id); done.code != 0 {
			t.Fatal(done)
		}
		wants(send("POST", "/1.0/notes", app.signed("description", "x")), 401, "key_revoked")
	})
}

// Another plugin that checks credentials changes it for all families.
func TestAnotherCheckForAllFamilies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plugin := func(name string) string {
		file := filepath.Join(dir, name+".wasm")
		if err := os.WriteFile(file, wasmtest.Build(t, "host/gateway/testdata/"+name), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("[[deployment.plugin]]\nname = %q\nsource = %q\ngrants = [\"kv\"]\n", name, file)
	}
	s := newServer(t, "[[deployment]]\nname = \"default\"\nhosts = [\"*\"]\n"+
		"[[deployment.plugin]]\nname = \"sharing\"\nsource = \"embedded:sharing\"\ngrants = [\"kv\"]\n"+plugin("guard")+plugin("notes"))
	word := s.client().as("friend")
	if r, err := word.call("POST", "/1.0/notes", nil, "description", "x"); err != nil || r.status != 401 {
		t.Errorf("before the word is granted: %v, %v", r, err)
	}
	if r, err := s.client().call("POST", "/g/grant/friend", nil); err != nil || r.status != 204 {
		t.Fatalf("%v, %v", r, err)
	}
	if r, err := word.call("POST", "/1.0/notes", nil, "description", "x"); err != nil || r.status != 201 || r.text("owner") != "account friend" {
		t.Errorf("notes: %v, %v", r, err)
	}
	if r, err := word.call("POST", "/v2/users/self/create_ticket", nil, "duration", "1000"); err != nil || r.status != 200 {
		t.Errorf("sharing: %v, %v", r, err)
	}
}
