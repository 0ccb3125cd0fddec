package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// own sends a request of the holder of an account.
func (b *bench) own(account, method, path, body string) *guesttest.Response {
	b.t.Helper()
	return b.send(guesttest.Request{Method: method, Path: path, JSON: body, Caller: &abi.Caller{Account: account, Proof: tokenProof}})
}

// inStore does something with what the plugin has stored.
func (b *bench) inStore(fn func(kv *guest.KV) error) {
	b.t.Helper()
	p := guest.New("store", "1.0.0")
	p.Family("/", nil).POST("/store", func(w *guest.Response, r *guest.Request) error { return fn(r.KV()) })
	c := guesttest.New(b.t, p)
	c.Host = b.Host
	if r := c.Do(guesttest.Request{Method: "POST", Path: "/store"}); r.Status != 200 {
		b.t.Fatal(r)
	}
}

func (b *bench) put(key, value []byte) {
	b.t.Helper()
	b.inStore(func(kv *guest.KV) error { return kv.Put(key, value) })
}

// record returns an application as it is stored.
func (b *bench) record(id string) (a app) {
	b.t.Helper()
	b.inStore(func(kv *guest.KV) error {
		var err error
		a, _, err = findApp(kv, id)
		a.key, a.oldKey = slices.Clone(a.key), slices.Clone(a.oldKey)
		return err
	})
	return a
}

func TestDeveloperAsksForAnAppAndGetsItApproved(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	r := b.own(ann, "POST", "/1.0/apps", `{"name":"Map","schemes":["token"],"families":["/v2","/1.0"],"origins":["https://a.example"],"rate":10,"ed25519_key":"`+keyA+`"}`)
	id := r.Text("id")
	if r.Status != 201 || len(r.Text("secret")) != secretSize || r.Text("state") != "pending" || r.Text("owner") != ann ||
		r.Headers["Location"] != "/1.0/apps/"+id || r.Headers["Cache-Control"] != "no-store" {
		t.Fatal(r, r.Headers)
	}
	login := func() *guesttest.Response {
		return b.send(guesttest.Request{
			Method: "POST", Path: "/v2/account/login", Headers: map[string]string{"Origin": "https://a.example"},
			Form: form([]string{"api_key", id, "id", "ann", "password", "correct horse"}),
		})
	}
	b.refused(login(), 401, "key_pending")
	b.refused(b.post(nobody, "/v2/account/create", "api_key", id), 401, "key_pending")
	b.Advance(1e9)
	if r = b.operator("POST", "/apps/"+id+"/approve", ""); r.Status != 200 || r.Text("state") != "active" || r.Text("approved") != "1767225601000" {
		t.Fatal(r)
	}
	b.Advance(1e9)
	if r = b.operator("POST", "/apps/"+id+"/approve", ""); r.Status != 200 || r.Text("approved") != "1767225601000" {
		t.Fatalf("approved twice: %v", r)
	}
	r = login()
	if r.Status != 200 {
		t.Fatal(r)
	}
	secret := r.Text("response.access_token")
	caller, err := b.AuthenticateIn("/1.0", "https://a.example", tokenProof, secret)
	if err != nil || caller.App != id || caller.Limit != 10 || caller.Window != 3600 {
		t.Fatal(caller, err)
	}
	r = b.own(ann, "DELETE", "/1.0/apps/"+id, "")
	if r.Status != 200 || r.Text("state") != "revoked" {
		t.Fatal(r)
	}
	b.rejects(secret, "access_denied")
	b.refused(login(), 401, "api_key")
	if r = b.own(ann, "DELETE", "/1.0/apps/"+id, ""); r.Status != 200 || r.Text("revoked") != "1767225602000" {
		t.Fatalf("revoked twice: %v", r)
	}
	if r = b.own(ann, "GET", "/1.0/apps", ""); r.Text("items") != "[]" {
		t.Fatalf("what was deleted is on the list: %v", r)
	}
	if r = b.own(ann, "GET", "/1.0/apps/"+id, ""); r.Text("state") != "revoked" {
		t.Fatal(r)
	}
	b.refused(b.own(ann, "PUT", "/1.0/apps/"+id, `{"name":"x"}`), 409, "revoked")
	b.refused(b.own(ann, "POST", "/1.0/apps/"+id+"/rotate", ""), 409, "revoked")
}

func TestDeveloperChangesAndRotates(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	made := b.own(ann, "POST", "/1.0/apps", `{"name":"Map","rate":10}`)
	path := "/1.0/apps/" + made.Text("id")
	r := b.own(ann, "PUT", path, `{"name":"Maps","rate":20,"families":["/1.0"],"ed25519_key":"`+keyA+`"}`)
	if r.Status != 200 || r.Text("name") != "Maps" || r.Text("rate") != "20" || r.Text("families") != "[/1.0]" || r.Text("ed25519_key") != keyA || r.Field("secret") != nil {
		t.Fatal(r)
	}
	r = b.own(ann, "POST", path+"/update", `{"families":null,"rate":null,"ed25519_key":null}`)
	if r.Status != 200 || r.Field("families") != nil || r.Field("rate") != nil || r.Field("ed25519_key") != nil || r.Text("name") != "Maps" {
		t.Fatal(r)
	}
	r = b.own(ann, "POST", path+"/rotate", `{"grace":60}`)
	a := b.record(made.Text("id"))
	if r.Status != 200 || !slices.Equal(a.secrets(b.Host.Now.UnixMicro()), []string{r.Text("secret"), made.Text("secret")}) || r.Headers["Cache-Control"] != "no-store" {
		t.Fatal(r)
	}
}

func TestDeveloperUsesAForm(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	send := func(path string, fields url.Values) *guesttest.Response {
		t.Helper()
		r := b.send(guesttest.Request{Method: "POST", Path: path, Form: fields, Caller: &abi.Caller{Account: ann, Proof: sessionProof}})
		if r.Status >= 300 {
			t.Fatal(r)
		}
		return r
	}
	r := send("/1.0/apps", url.Values{
		"name": {"Map"}, "schemes": {"token", "md5"}, "families": {"/1.0, /v2,"}, "origins": {"https://a.example,HTTPS://B.example:443"}, "rate": {" 10 "},
		"ed25519_key": {strings.ReplaceAll(keyAPEM, "\n", "\r\n")},
	})
	path := "/1.0/apps/" + r.Text("id")
	for field, want := range map[string]string{
		"schemes": "[token md5]", "families": "[/1.0 /v2]", "origins": "[https://a.example https://b.example]", "rate": "10", "ed25519_key": keyA,
	} {
		if r.Text(field) != want {
			t.Errorf("%s: got %q, want %q", field, r.Text(field), want)
		}
	}
	r = send(path+"/update", url.Values{"schemes": {""}, "families": {" , "}, "origins": {""}, "rate": {""}, "ed25519_key": {""}})
	for _, field := range []string{"schemes", "families", "origins", "rate", "ed25519_key"} {
		if r.Field(field) != nil {
			t.Errorf("%s stays: %v", field, r)
		}
	}
	if r = send(path+"/rotate", url.Values{"grace": {"0"}}); r.Text("secret") == "" || r.Field("old_secret_until") != nil {
		t.Fatal(r)
	}
	if r = send(path+"/rotate", url.Values{}); r.Field("old_secret_until") == nil {
		t.Fatal(r)
	}
	if r = send(path+"/delete", nil); r.Text("state") != "revoked" {
		t.Fatal(r)
	}
}

func TestAppsOfOthersAreNotThere(t *testing.T) {
	b := newBench(t)
	ann, bob := b.create("ann", "correct horse"), b.create("bob", "correct horse")
	own := b.own(ann, "POST", "/1.0/apps", `{"name":"x"}`).Text("id")
	before := b.dump()
	for _, id := range []string{own, b.app, random(appIDSize), "x", strings.Repeat("x", 2000)} {
		for _, account := range []string{bob, ""} {
			var answers []string
			for _, q := range []guesttest.Request{
				{Method: "GET"}, {Method: "PUT", JSON: `{"name":"y"}`}, {Method: "DELETE"},
				{Method: "POST", Path: "/update", JSON: `{"name":"y"}`}, {Method: "POST", Path: "/delete"}, {Method: "POST", Path: "/rotate"},
			} {
				q.Path, q.Caller = "/1.0/apps/"+id+q.Path, &abi.Caller{Account: account, Proof: tokenProof}
				r := b.send(q)
				b.refused(r, 404, "not_found")
				answers = append(answers, r.String())
			}
			if slices.Sort(answers); answers[0] != answers[len(answers)-1] {
				t.Errorf("the answers differ: %q", answers)
			}
		}
	}
	for _, caller := range []abi.Caller{nobody, {App: own, Proof: signatureProof}, {Proof: operatorProof}} {
		for _, q := range []guesttest.Request{
			{Method: "GET", Path: "/1.0/apps"}, {Method: "POST", Path: "/1.0/apps", JSON: `{"name":"y"}`}, {Method: "GET", Path: "/1.0/apps/" + own},
			{Method: "DELETE", Path: "/1.0/apps/" + own},
		} {
			q.Caller = &caller
			b.refused(b.Do(q), 401, "unauthenticated")
		}
	}
	if b.dump() != before {
		t.Fatal("something was written")
	}
	if r := b.own(bob, "GET", "/1.0/apps", ""); r.Text("items") != "[]" {
		t.Fatal(r)
	}
}

func TestOwnAppListIsPaged(t *testing.T) {
	b := newBench(t)
	ann, bob := b.create("ann", "correct horse"), b.create("bob", "correct horse")
	var ids []string
	for i := range 7 {
		ids = append(ids, b.own(ann, "POST", "/1.0/apps", fmt.Sprintf(`{"name":"app %d"}`, i)).Text("id"))
		b.own(bob, "POST", "/1.0/apps", `{"name":"Bob's"}`)
	}
	slices.Sort(ids)
	var got []string
	path := "/1.0/apps?limit=3"
	for pages := 1; ; pages++ {
		r := b.own(ann, "GET", path, "")
		if r.Status != 200 || strings.Contains(r.String(), `"secret"`) {
			t.Fatal(r)
		}
		for _, item := range r.Field("items").([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		if r.Field("next") == nil {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		path = "/1.0/apps?limit=3&after=" + r.Text("next")
	}
	if !slices.Equal(got, ids) {
		t.Fatalf("got %q, want %q", got, ids)
	}
	b.refused(b.own(ann, "GET", "/1.0/apps?after=x", ""), 400, "bad_parameter")
	b.refused(b.own(ann, "GET", "/1.0/apps?limit=x", ""), 400, "bad_parameter")
}

func TestDeveloperHasABoundedNumberOfApps(t *testing.T) {
	b := newBench(t)
	ann, bob := b.create("ann", "correct horse"), b.create("bob", "correct horse")
	ask := func(account string) *guesttest.Response { return b.own(account, "POST", "/1.0/apps", `{"name":"x"}`) }
	var last string
	for range 20 {
		r := ask(ann)
		if last = r.Text("id"); r.Status != 201 {
			t.Fatal(r)
		}
	}
	b.refused(ask(ann), 409, "too_many")
	if r := ask(bob); r.Status != 201 {
		t.Fatal(r)
	}
	// One that is revoked makes room, whoever did it.
	b.own(ann, "DELETE", "/1.0/apps/"+last, "")
	last = ask(ann).Text("id")
	b.refused(ask(ann), 409, "too_many")
	b.operator("DELETE", "/apps/"+last, "")
	if r := b.own(ann, "GET", "/1.0/apps/"+last, ""); r.Text("state") != "revoked" {
		t.Fatal(r)
	}
	if r := b.own(ann, "GET", "/1.0/apps", ""); !strings.Contains(r.String(), last) || len(r.Field("items").([]any)) != 20 {
		t.Fatalf("what an operator has revoked is not on the list: %v", r)
	}
	if r := ask(ann); r.Status != 201 {
		t.Fatal(r)
	}
	b.refused(ask(ann), 409, "too_many")
	b.Host.Settings["apps_per_account"] = "21"
	if r := ask(ann); r.Status != 201 {
		t.Fatal(r)
	}
	b.refused(ask(ann), 409, "too_many")
}

// Those that operators have revoked are on the list, which may have many pages.
func TestRoomIsCountedOverAllPages(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	a := app{name: "x", secret: "s", created: 1, approved: 1, owner: ann}
	gone := a
	gone.revoked = 2
	for i := range 2100 {
		id := fmt.Sprintf("%024d", i)
		record := gone.record()
		if i%1000 == 999 || i == 0 { // one on the first place and one on the last of each page
			record = a.record()
		}
		b.put(appKey(id), record)
		b.put(ownAppKey(ann, id), nil)
	}
	b.Host.Settings["apps_per_account"] = "4"
	if r := b.own(ann, "POST", "/1.0/apps", `{"name":"x"}`); r.Status != 201 {
		t.Fatal(r)
	}
	b.refused(b.own(ann, "POST", "/1.0/apps", `{"name":"x"}`), 409, "too_many")
}

func TestSettingsOfNewApps(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	b.Host.Settings["app_approval"] = "automatic"
	if r := b.own(ann, "POST", "/1.0/apps", `{"name":"x"}`); r.Text("state") != "active" || r.Field("schemes") != nil {
		t.Fatal(r)
	}
	b.Host.Settings["schemes"] = "token, ed25519"
	r := b.own(ann, "POST", "/1.0/apps", `{"name":"x"}`)
	if r.Text("schemes") != "[token ed25519]" {
		t.Fatal(r)
	}
	path := "/1.0/apps/" + r.Text("id")
	if r = b.own(ann, "PUT", path, `{"schemes":["md5"]}`); r.Text("schemes") != "[md5]" {
		t.Fatal(r)
	}
	if r = b.own(ann, "PUT", path, `{"schemes":null}`); r.Text("schemes") != "[token ed25519]" {
		t.Fatal(r)
	}
	if r = b.operator("POST", "/apps", `{"name":"x","schemes":["hmac-sha256"]}`); r.Text("schemes") != "[hmac-sha256]" {
		t.Fatal(r)
	}
	// One that is there already keeps what it has.
	if r = b.operator("PUT", "/apps/"+b.app, `{"name":"y"}`); r.Field("schemes") != nil {
		t.Fatal(r)
	}
}

// What an operator restricts, the developer cannot widen.
func TestDeveloperKeepsToWhatAnOperatorHasSet(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	id := b.own(ann, "POST", "/1.0/apps", `{"name":"x","families":["/1.0","/v2"],"rate":5}`).Text("id")
	path := "/1.0/apps/" + id
	r := b.operator("PUT", "/apps/"+id, `{"families":["/1.0"],"rate":3}`)
	if r.Text("rate") != "3" || r.Text("owner_rate") != "5" {
		t.Fatal(r)
	}
	for _, body := range []string{`{"families":null}`, `{"families":["/1.0","/v2"]}`, `{"name":"y","families":["/v2"]}`} {
		r := b.own(ann, "PUT", path, body)
		b.refused(r, 403, "set_by_operator")
		if !strings.Contains(r.Err.Message, "families") {
			t.Error(r)
		}
	}
	r = b.own(ann, "PUT", path, `{"name":"y","families":["/1.0"],"schemes":["token"],"rate":100}`)
	if r.Status != 200 || r.Text("name") != "y" || r.Text("rate") != "100" || r.Text("operator_rate") != "3" || r.Text("set_by_operator") != "[families]" {
		t.Fatal(r)
	}
	b.operator("PUT", "/apps/"+id, `{"families":[]}`)
	if r = b.own(ann, "PUT", path, `{"families":["/v2"]}`); r.Status != 200 || r.Text("families") != "[/v2]" || r.Field("set_by_operator") != nil {
		t.Fatal(r)
	}
}
