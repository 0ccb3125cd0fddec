package main_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Two Ed25519 public keys, the first one also as a file has it.
const (
	publicKeyA = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	publicKeyB = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
	pemKeyA    = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"
)

// manage runs a subcommand of "edgeset app" that must succeed, and returns the
// JSON that it prints.
func (s *server) manage(args ...string) reply {
	s.t.Helper()
	f := s.app(args...)
	r := reply{what: strings.Join(args, " "), status: f.code, raw: []byte(f.stdout)}
	d := json.NewDecoder(strings.NewReader(f.stdout))
	d.UseNumber()
	if err := d.Decode(&r.doc); err != nil || f.code != 0 {
		s.fatalf("%v\nwant JSON", f)
	}
	return r
}

// operate sends a request to the signing plugin's routes for operators.
func (s *server) operate(method, path string) reply {
	s.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "admin.token"))
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(method, "http://"+s.admin+"/v1/deployments/default/plugins/signing"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.client().as(strings.TrimSpace(string(token))).send(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func wants(t testing.TB, r reply, fields map[string]string) {
	t.Helper()
	for field, want := range fields {
		got := r.text(field)
		if got != want {
			t.Errorf("%v\n%s: got %q, want %q", r, field, got, want)
		}
	}
}

func TestAppCommands(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	key := s.newApp()
	owner := s.client().newAccount(key)
	pem := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(pem, []byte(pemKeyA), 0o600); err != nil {
		t.Fatal(err)
	}

	made := s.manage("create", "--name", "Map", "--owner", owner.id, "--schemes", "token, ed25519", "--families", "/1.0,/v2",
		"--origins", "HTTPS://Example.org:443", "--rate", "100", "--ed25519-key", pem)
	id := made.text("id")
	all := map[string]string{
		"name": "Map", "state": "active", "owner": owner.id, "schemes": "[token ed25519]", "families": "[/1.0 /v2]",
		"origins": "[https://example.org]", "rate": "100", "ed25519_key": publicKeyA, "old_secret_until": "", "old_ed25519_key_until": "",
	}
	wants(t, made, all)
	shown := s.manage("show", "--id", id)
	wants(t, shown, all)
	if made.text("secret") == "" || shown.text("secret") != "" {
		t.Errorf("%v\n%v\nwant the secret once", made, shown)
	}

	wants(t, s.manage("update", "--id", id, "--name", "Maps", "--ed25519-key", publicKeyB, "--rate", "7"), map[string]string{
		"name": "Maps", "rate": "7", "ed25519_key": publicKeyB, "families": "[/1.0 /v2]", "secret": "",
	})
	if r := s.manage("show", "--id", id); r.int("old_ed25519_key_until") == 0 {
		t.Errorf("%v\nwant the old key to be good for a while", r)
	}
	wants(t, s.manage("update", "--id", id, "--owner", "", "--schemes", "", "--families", "", "--origins", "", "--rate", "0", "--ed25519-key", ""),
		map[string]string{
			"name": "Maps", "owner": "", "schemes": "", "families": "", "origins": "", "rate": "", "ed25519_key": "", "old_ed25519_key_until": "",
		})

	rotated := s.manage("rotate", "--id", id)
	if rotated.text("secret") == made.text("secret") || rotated.text("secret") == "" || rotated.int("old_secret_until") == 0 {
		t.Errorf("%v\nwant another secret, and the old one for a while", rotated)
	}
	if r := s.manage("rotate", "--id", id, "--grace", "90m"); r.int("old_secret_until") == 0 || r.int("old_secret_until") >= rotated.int("old_secret_until") {
		t.Errorf("%v\nwant 90 minutes", r)
	}
	if r := s.manage("rotate", "--id", id, "--grace", "0"); r.at("old_secret_until") != nil {
		t.Errorf("%v\nwant the old secret to end at once", r)
	}

	if r := s.manage("list", "--state", "active", "--limit", "1"); len(r.items("items")) != 1 || r.text("next") == "" {
		t.Errorf("%v\nwant a page of one", r)
	} else if r = s.manage("list", "--limit", "1", "--after", r.text("next")); len(r.items("items")) != 1 || r.at("next") != nil {
		t.Errorf("%v\nwant the other one", r)
	}
	wants(t, s.manage("revoke", "--id", id), map[string]string{"state": "revoked"})
	wants(t, s.manage("list", "--state", "revoked"), map[string]string{"items.0.id": id, "items.1": ""})
	for _, args := range [][]string{{"approve", "--id", id}, {"rotate", "--id", id}, {"update", "--id", id, "--name", "x"}} {
		if f := s.app(args...); f.code != 1 || !strings.Contains(f.stderr, "409") {
			t.Errorf("%v\nwant 409", f)
		}
	}
}

// TestAppOfADeveloper takes an application of a developer through its life.
func TestAppOfADeveloper(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	nobody := s.client()
	dev := nobody.newUser(s.newApp())
	user := nobody.newAccount(s.newApp())
	login := func(key string) reply {
		return nobody.do("POST", "/v2/account/login", nil, "api_key", key, "id", user.id, "password", user.password)
	}
	problem := func(r reply, status int, code string) {
		t.Helper()
		if r.status != status || r.text("error.code") != code || r.text("error.message") == "" {
			t.Errorf("%v\nwant %d %s", r, status, code)
		}
	}

	made := dev.do("POST", "/1.0/apps", map[string]any{"name": "Map", "rate": 1000})
	id, secret := made.text("id"), made.text("secret")
	if made.status != 201 || secret == "" || made.header.Get("Location") != "/1.0/apps/"+id || made.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v %v\nwant an application and its secret", made, made.header)
	}
	wants(t, made, map[string]string{"state": "pending", "rate": "1000"})
	refused(t, login(id), 401, "key_pending")
	refused(t, nobody.do("POST", "/v2/account/create", nil, "api_key", id), 401, "key_pending")
	wants(t, s.manage("list", "--state", "pending"), map[string]string{"items.0.id": id, "items.1": ""})

	wants(t, s.manage("approve", "--id", id), map[string]string{"state": "active"})
	phone := nobody.as(nobody.must(login(id)).text("response.access_token"))
	watch := nobody.as(nobody.must(login(id)).text("response.access_token"))
	for range 2 { // the second time it is known to whatever remembers it
		phone.get("/v2/users/self")
		watch.get("/v2/users/self")
	}

	// The developer restricts it, and it holds for what was let in before.
	if r := dev.do("PUT", "/1.0/apps/"+id, map[string]any{"families": []string{"/1.0"}}); r.status != 200 || r.text("families") != "[/1.0]" {
		t.Errorf("%v\nwant it restricted", r)
	}
	refused(t, login(id), 403, "family_denied")
	refused(t, phone.do("GET", "/v2/users/self", nil), 403, "family_denied")
	if r := phone.do("GET", "/1.0/apps", nil); r.status != 200 || len(r.items("items")) != 0 {
		t.Errorf("%v\nwant the other family to be open", r)
	}

	// An operator does; then the developer cannot take it away.
	s.manage("update", "--id", id, "--families", "/v2", "--rate", "500")
	problem(dev.do("PUT", "/1.0/apps/"+id, map[string]any{"families": nil}), 403, "set_by_operator")
	phone.get("/v2/users/self")
	problem(phone.do("GET", "/1.0/apps", nil), 403, "family_denied")
	s.manage("update", "--id", id, "--families", "", "--origins", "https://map.example")
	refused(t, watch.do("GET", "/v2/users/self", nil), 403, "origin_denied")
	s.manage("update", "--id", id, "--origins", "", "--schemes", "ed25519")
	refused(t, watch.do("GET", "/v2/users/self", nil), 403, "scheme_denied")
	s.manage("update", "--id", id, "--schemes", "")
	phone.get("/v2/users/self")
	watch.get("/v2/users/self")

	// To everybody else it is not there.
	for _, r := range []reply{
		phone.do("GET", "/1.0/apps/"+id, nil), phone.do("DELETE", "/1.0/apps/"+id, nil),
		phone.do("PUT", "/1.0/apps/"+id, map[string]any{"name": "Mine"}), phone.do("POST", "/1.0/apps/"+id+"/rotate", nil),
	} {
		problem(r, 404, "not_found")
	}
	problem(nobody.do("GET", "/1.0/apps/"+id, nil), 401, "unauthenticated")

	if r := dev.do("POST", "/1.0/apps/"+id+"/rotate", nil); r.status != 200 || r.text("secret") == secret || r.text("secret") == "" || r.int("old_secret_until") == 0 {
		t.Errorf("%v\nwant another secret", r)
	}
	wants(t, dev.do("GET", "/1.0/apps", nil), map[string]string{"items.0.id": id, "items.0.secret": "", "items.1": "", "items.0.operator_rate": "500"})

	// It ends, and all that came through it, on the very next request.
	if r := dev.do("DELETE", "/1.0/apps/"+id, nil); r.status != 200 || r.text("state") != "revoked" {
		t.Errorf("%v\nwant it revoked", r)
	}
	refused(t, phone.do("GET", "/v2/users/self", nil), 401, "access_denied")
	refused(t, watch.do("GET", "/v2/users/self", nil), 401, "access_denied")
	refused(t, login(id), 401, "api_key")
	s.restart()
	refused(t, phone.do("GET", "/v2/users/self", nil), 401, "access_denied")
	if r := dev.do("GET", "/1.0/apps", nil); r.status != 200 || len(r.items("items")) != 0 {
		t.Errorf("%v\nwant none left", r)
	}
}

// As a page without scripts does it.
func TestAppOfADeveloperByForms(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	dev := s.client().newUser(s.newApp())
	submit := func(path string, fields url.Values) reply {
		t.Helper()
		req, err := http.NewRequest("POST", "http://"+s.listen+path, strings.NewReader(fields.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r, err := dev.send(req)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := submit("/1.0/apps", url.Values{"name": {"Map"}, "schemes": {"token,md5"}, "origins": {"https://map.example"}, "ed25519_key": {pemKeyA}})
	if r.status != 201 {
		t.Fatal(r)
	}
	wants(t, r, map[string]string{"schemes": "[token md5]", "origins": "[https://map.example]", "ed25519_key": publicKeyA})
	path := "/1.0/apps/" + r.text("id")
	wants(t, submit(path+"/update", url.Values{"name": {"Maps"}, "schemes": {"token", "ed25519"}, "origins": {""}}),
		map[string]string{"name": "Maps", "schemes": "[token ed25519]", "origins": "", "ed25519_key": publicKeyA})
	if r := submit(path+"/rotate", url.Values{"grace": {"0"}}); r.text("secret") == "" || r.at("old_secret_until") != nil {
		t.Errorf("%v\nwant a secret, and no old one", r)
	}
	if r := submit(path+"/update", url.Values{"colour": {"red"}}); r.status != 400 || !strings.Contains(r.text("error.message"), "colour") {
		t.Errorf("%v\nwant 400 with the name of the field", r)
	}
	wants(t, submit(path+"/delete", nil), map[string]string{"state": "revoked"})
}

// However many ask at once, an account gets no more applications than it may have.
func TestAppsAskedForAtOnce(t *testing.T) {
	t.Parallel()
	manifest := strings.Replace(shortTokens, `token_ttl = "60"`, `apps_per_account = "5", app_approval = "automatic"`, 1)
	s := newServer(t, manifest)
	nobody := s.client()
	dev := nobody.newUser(s.newApp())
	var wg sync.WaitGroup
	replies := make([]reply, 24)
	for i := range replies {
		wg.Go(func() { replies[i], _ = dev.call("POST", "/1.0/apps", map[string]any{"name": "Map"}) })
	}
	wg.Wait()
	made := 0
	for _, r := range replies {
		switch {
		case r.status == 201 && r.text("state") == "active":
			made++
		case r.status != 409 || r.text("error.code") != "too_many":
			t.Errorf("%v\nwant 201 or 409", r)
		}
	}
	if list := dev.do("GET", "/1.0/apps", nil); made != 5 || len(list.items("items")) != 5 {
		t.Errorf("%d were made: %v\nwant 5", made, list)
	}
}

// The rate is of the application, whoever uses it, and changes at once.
func TestAppRate(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	nobody := s.client()
	key := s.newApp("--rate", "3")
	phone, other := nobody.newUser(key), nobody.newUser(key)
	phone.get("/v2/users/self")
	other.get("/v2/users/self")
	phone.get("/v2/users/self")
	for _, c := range []*client{phone, other} {
		r := c.do("GET", "/v2/users/self", nil)
		if r.status != 429 || r.header.Get("Retry-After") == "" {
			t.Errorf("%v %v\nwant 429", r, r.header)
		}
	}
	nobody.newUser(s.newApp()).get("/v2/users/self")
	s.manage("update", "--id", key, "--rate", "5")
	phone.get("/v2/users/self")
	s.manage("update", "--id", key, "--rate", "0")
	for range 5 {
		phone.get("/v2/users/self")
	}
}

func TestOperatorEndsAnAccountsTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	nobody := s.client()
	ann, bob := nobody.newAccount(s.newApp()), nobody.newAccount(s.newApp())
	phone, watch, other := nobody.login(ann, "phone"), nobody.login(ann, "watch"), nobody.login(bob, "phone")
	for _, c := range []*client{phone, watch, other} {
		c.get("/v2/users/self")
	}
	if r := s.operate("GET", "/accounts/"+ann.id); r.status != 200 || r.text("id") != ann.id || r.int("created") == 0 {
		t.Errorf("%v\nwant the account", r)
	}
	if r := s.operate("POST", "/accounts/"+ann.id+"/revoke"); r.status != 200 || r.int("revoked") != 2 {
		t.Errorf("%v\nwant two revoked", r)
	}
	refused(t, phone.do("GET", "/v2/users/self", nil), 401, "oauth_token")
	refused(t, watch.do("GET", "/v2/users/self", nil), 401, "oauth_token")
	other.get("/v2/users/self")
	nobody.login(ann, "phone").get("/v2/users/self")
	for _, path := range []string{"/accounts/" + ann.id, "/accounts/" + ann.id + "/revoke", "/apps"} {
		for _, method := range []string{"GET", "POST"} {
			if r := other.do(method, path, nil); r.status != 404 && r.status != 405 {
				t.Errorf("%v\nwant it to be served to operators alone", r)
			}
		}
	}
}
