package main

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestAccountWithoutUsernameGetsItsPassword(t *testing.T) {
	b := newBench(t)
	for _, r := range []*guesttest.Response{
		b.post(nobody, "/v2/account/create", "api_key", b.app, "name", " Ann "),
		b.post(nobody, "/v2/account/create?name=Ann&api_key="+b.app),
		b.get(nobody, "/v2/account/create", "api_key", b.app, "name", "Ann"),
	} {
		if r.Status != 200 || r.Text("result") != "ok" || r.Text("response.type") != "account" ||
			r.Text("response.name") != "Ann" || r.Text("response.created_time") != "1767225600000" ||
			r.Text("response.api_key_id") != b.app || r.Text("meta.time") != "1767225600000" || r.Headers["Cache-Control"] != "no-store" {
			t.Fatal(r)
		}
		id, password := r.Text("response.id"), r.Text("response.password")
		if len(id) != accountIDSize || len(password) != passwordSize {
			t.Fatal(r)
		}
		if _, caller := b.session(strings.ToUpper(id), password, ""); caller.Account != id {
			t.Fatalf("got %+v", caller)
		}
	}
}

func TestAccountWithUsername(t *testing.T) {
	b := newBench(t)
	r := b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "Ann@example.com", "password", "correct horse")
	if r.Status != 200 || r.Text("response.username") != "Ann@example.com" || r.Field("response.password") != nil {
		t.Fatal(r)
	}
	id := r.Text("response.id")
	for _, name := range []string{id, "ann@EXAMPLE.com"} {
		if _, caller := b.session(name, "correct horse", ""); caller.Account != id {
			t.Fatalf("%s: got %+v", name, caller)
		}
	}
	r = b.get(nobody, "/v2/account/login", "api_key", b.app, "username", "ann@example.com", "password", "correct horse")
	if r.Status != 200 {
		t.Fatalf("login by GET with username for id: %v", r)
	}
	// A username alone gets a generated password.
	r = b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "bob")
	if len(r.Text("response.password")) != passwordSize {
		t.Fatal(r)
	}
}

func TestPasswordIsComparedInFull(t *testing.T) {
	b := newBench(t)
	longest := strings.Repeat("x", maxPassword)
	b.create("ann", longest)
	b.refused(b.login("ann", longest+"y"), 401, "access_denied")
	b.refused(b.login("ann", longest[1:]), 401, "access_denied")
	b.session("ann", longest, "")
}

func TestUsernameIsUnique(t *testing.T) {
	b := newBench(t)
	id := b.create("ann", "correct horse")
	anonymous := b.post(nobody, "/v2/account/create", "api_key", b.app).Text("response.id")
	for _, name := range []string{"ann", "ANN", id, strings.ToUpper(anonymous)} {
		r := b.post(nobody, "/v2/account/create", "api_key", b.app, "username", name, "password", "other horse")
		b.refused(r, 409, "username_taken")
		if r.Text("result") != "failure" || r.Text("meta.error") != "username_taken" {
			t.Fatal(r)
		}
	}
	if _, caller := b.session("ann", "correct horse", ""); caller.Account != id {
		t.Fatalf("got %+v", caller)
	}
}

func TestAskingForUsernamesIsThrottledByAddress(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["login_attempts_remote"] = "3"
	b.create("ann", "correct horse")
	for range 3 {
		b.refused(b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "ann"), 409, "username_taken")
	}
	for _, name := range []string{"ann", "free"} {
		b.refused(b.post(nobody, "/v2/account/create", "api_key", b.app, "username", name), 429, "throttled")
	}
	if r := b.post(nobody, "/v2/account/create", "api_key", b.app); r.Status != 200 {
		t.Fatalf("an account without username: %v", r)
	}
}

// Each of these calls is refused, in the form of the family, and leaves the
// store as it was.
func TestRefusedCallsChangeNothing(t *testing.T) {
	b := newBench(t)
	id := b.create("ann", "correct horse")
	_, ann := b.session("ann", "correct horse", "phone")
	gone := abi.Caller{Account: random(accountIDSize), App: b.app, Proof: tokenProof, Token: ann.Token}
	long := strings.Repeat("x", 300)
	before := b.dump()
	for _, c := range []struct {
		name   string
		reply  *guesttest.Response
		status int
		code   string
		says   string
	}{
		{"create without key", b.post(nobody, "/v2/account/create"), 400, "missing_parameter", "api_key"},
		{"create with an empty key", b.post(nobody, "/v2/account/create", "api_key", ""), 400, "missing_parameter", "api_key"},
		{"create with a wrong key", b.post(nobody, "/v2/account/create", "api_key", random(appIDSize)), 401, "api_key", ""},
		{"create with a long key", b.post(nobody, "/v2/account/create", "api_key", strings.Repeat("x", 2000)), 401, "api_key", ""},
		{"create linked", b.post(nobody, "/v2/account/create", "api_key", b.app, "type", "email"), 400, "bad_parameter", "type"},
		{"short username", b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "ab"), 400, "bad_parameter", "username"},
		{"long username", b.post(nobody, "/v2/account/create", "api_key", b.app, "username", long[:65]), 400, "bad_parameter", "username"},
		{"odd username", b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "a/b/c"), 400, "bad_parameter", "username"},
		{"foreign username", b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "åsa"), 400, "bad_parameter", "username"},
		{"short password", b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "bob", "password", "1234567"), 400, "bad_parameter", "password"},
		{"long password", b.post(nobody, "/v2/account/create", "api_key", b.app, "username", "bob", "password", long), 400, "bad_parameter", "password"},
		{"long name", b.post(nobody, "/v2/account/create", "api_key", b.app, "name", long), 400, "bad_parameter", "name"},
		{"garbled name", b.post(nobody, "/v2/account/create", "api_key", b.app, "name", "\xff"), 400, "bad_parameter", "name"},
		{"login without key", b.post(nobody, "/v2/account/login", "id", "ann", "password", "x"), 400, "missing_parameter", "api_key"},
		{"login with a wrong key", b.post(nobody, "/v2/account/login", "api_key", "x", "id", "ann", "password", "x"), 401, "api_key", ""},
		{"login without id", b.post(nobody, "/v2/account/login", "api_key", b.app, "password", "x"), 400, "missing_parameter", "id "},
		{"login without password", b.post(nobody, "/v2/account/login", "api_key", b.app, "id", "ann"), 400, "missing_parameter", "password"},
		{"login with a long id", b.login(long, "x"), 400, "bad_parameter", "id"},
		{"login with a garbled id", b.login("\xff", "x"), 400, "bad_parameter", "id"},
		{"login with a long device", b.post(nobody, "/v2/account/login", "api_key", b.app, "id", "ann", "password", "correct horse", "device", long), 400, "bad_parameter", "device"},
		{"logout by nobody", b.post(nobody, "/v2/account/logout"), 401, "unauthenticated", ""},
		{"logout of what", b.post(ann, "/v2/account/logout", "all", "some"), 400, "bad_parameter", "all"},
		{"password without old", b.post(ann, "/v2/account/password", "new", "battery staple"), 400, "missing_parameter", "old"},
		{"password without new", b.post(ann, "/v2/account/password", "old", "correct horse"), 400, "missing_parameter", "new"},
		{"new password too short", b.post(ann, "/v2/account/password", "old", "correct horse", "new", "x"), 400, "bad_parameter", "new"},
		{"update without name", b.post(ann, "/v2/users/self/update"), 400, "missing_parameter", "name"},
		{"update to a long name", b.post(ann, "/v2/users/self/update", "name", long), 400, "bad_parameter", "name"},
		{"update of no account", b.post(gone, "/v2/users/self/update", "name", "x"), 401, "access_denied", ""},
		{"self of no account", b.get(gone, "/v2/users/self"), 401, "access_denied", ""},
		{"user that is not", b.get(ann, "/v2/users/"+random(accountIDSize)), 404, "not_found", ""},
		{"user by username", b.get(ann, "/v2/users/ann"), 404, "not_found", ""},
		{"user by a long id", b.get(ann, "/v2/users/"+strings.Repeat("x", 2000)), 404, "not_found", ""},
		{"device that is not", b.post(ann, "/v2/account/devices/x/delete"), 404, "not_found", ""},
		{"another's device", b.post(gone, "/v2/account/devices/"+ann.Token+"/delete"), 404, "not_found", ""},
	} {
		if c.reply.Err == nil || c.reply.Status != c.status || c.reply.Err.Code != c.code ||
			!strings.Contains(c.reply.Err.Message, c.says) {
			t.Errorf("%s: got %v, want %d %s", c.name, c.reply, c.status, c.code)
		}
		if c.reply.Text("result") != "failure" || c.reply.Text("response") != "map[]" || c.reply.Text("meta.error") != c.code ||
			c.reply.Text("meta.error_detail") == "" || c.reply.Text("meta.time") == "" {
			t.Errorf("%s: not the form of /v2: %v", c.name, c.reply)
		}
	}
	if b.dump() != before {
		t.Error("a refused call changed the store")
	}
	if r := b.get(ann, "/v2/users/self"); r.Text("response.id") != id {
		t.Error(r)
	}
}

func TestProfile(t *testing.T) {
	b := newBench(t)
	id := b.create("ann", "correct horse")
	_, ann := b.session("ann", "correct horse", "")
	b.create("bob", "correct horse")
	_, bob := b.session("bob", "correct horse", "")

	b.Advance(1e9)
	r := b.post(ann, "/v2/users/self/update?name=Ann+Å")
	if r.Status != 200 || r.Text("response.type") != "user" || r.Text("response.name") != "Ann Å" {
		t.Fatal(r)
	}
	r = b.get(ann, "/v2/users/self")
	if r.Text("response.id") != id || r.Text("response.name") != "Ann Å" || r.Text("response.username") != "ann" ||
		r.Text("response.created_time") != "1767225600000" || r.Text("response.last_modified") != "1767225601000" {
		t.Fatal(r)
	}
	r = b.get(bob, "/v2/users/"+id)
	if r.Text("response.name") != "Ann Å" || r.Field("response.username") != nil || r.Field("response.created_time") != nil {
		t.Fatalf("another's profile: %v", r)
	}
	if r = b.post(ann, "/v2/users/self/update", "name", ""); r.Field("response.name") != "" {
		t.Fatal(r)
	}
	if _, caller := b.session("ann", "correct horse", ""); caller.Account != id {
		t.Fatal("the new name broke the login")
	}
}

func TestPasswordChangeEndsOtherTokens(t *testing.T) {
	b := newBench(t)
	b.create("ann", "correct horse")
	mine, ann := b.session("ann", "correct horse", "phone")
	other, _ := b.session("ann", "correct horse", "watch")

	b.refused(b.post(ann, "/v2/account/password", "old", "wrong horse", "new", "battery staple"), 401, "access_denied")
	b.accepts(other)
	r := b.post(ann, "/v2/account/password", "old", "correct horse", "new", "battery staple")
	if r.Status != 200 || r.Text("response.revoked") != "1" {
		t.Fatal(r)
	}
	b.accepts(mine)
	b.rejects(other, "oauth_token")
	b.refused(b.login("ann", "correct horse"), 401, "access_denied")
	b.session("ann", "battery staple", "")
}

func TestSecretsAreNeitherShownTwiceNorStored(t *testing.T) {
	b := newBench(t)
	id := b.create("ann", "correct horse")
	r := b.post(nobody, "/v2/account/create", "api_key", b.app)
	generated := r.Text("response.password")
	secret, ann := b.session("ann", "correct horse", "phone")
	shown := len(b.replies)

	b.login("ann", "wrong horse")
	b.login(id, "wrong horse")
	b.get(ann, "/v2/users/self")
	b.get(ann, "/v2/users/"+id)
	b.get(ann, "/v2/account/devices")
	b.post(ann, "/v2/users/self/update", "name", "Ann")
	b.post(ann, "/v2/account/password", "old", "wrong horse", "new", "battery staple")
	b.post(ann, "/v2/account/password", "old", "correct horse", "new", "battery staple")
	b.operator("GET", "/apps", "")
	b.operator("GET", "/apps/"+b.app, "")
	stored := b.dump()
	b.post(ann, "/v2/account/logout", "all", "true")

	for _, s := range []string{generated, secret, "correct horse", "battery staple", "wrong horse", b.secret, "hash"} {
		for _, reply := range b.replies[shown:] {
			if strings.Contains(reply, s) {
				t.Errorf("%q is in a reply: %s", s, reply)
			}
		}
		if s != b.secret && strings.Contains(stored, hex.EncodeToString([]byte(s))) {
			t.Errorf("%q is stored as it is", s)
		}
	}
}
