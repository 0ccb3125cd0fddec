package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// twoDeployments is a manifest of two that have nothing in common.
const twoDeployments = `
[[deployment]]
name = "one"
hosts = ["one.test"]
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]

[[deployment]]
name = "two"
hosts = ["two.test"]
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
`

// snapshot is all that a user sees of a ticket, but for what looking changes.
func snapshot(c *client, ticket, code string) string {
	c.t.Helper()
	return answerOf(c.get("/v2/tickets/"+ticket, "invites", "true", "properties", "true")) +
		answerOf(c.get("/v2/tickets/"+ticket+"/invites", "viewers", "true")) +
		answerOf(c.get("/v2/invites/"+code, "full_trail", "true")) +
		answerOf(c.get("/v2/users/self/tickets")) +
		answerOf(c.get("/v2/users/self")) + answerOf(c.get("/v2/account/devices"))
}

var answerTime = regexp.MustCompile(`"time":\d+`)

// answerOf is status and body of a reply without its time.
func answerOf(r reply) string {
	return fmt.Sprintf("%d %s\n", r.status, answerTime.ReplaceAllString(string(r.raw), ""))
}

// filledTicket is a ticket with a trail, a property and an invite.
func filledTicket(c *client) (ticket, code string) {
	c.t.Helper()
	ticket = c.newTicket()
	code = c.newInvite(ticket)
	now := time.Now().UnixMilli()
	c.upload("/v2/tickets/"+ticket+"/append_location", [][]int64{{now, 47600000, -122300000}, {now + 1, 47600001, -122300001}})
	c.upload("/v2/tickets/"+ticket+"/append_data", []map[string]any{{"t": now, "pid": 0, "n": "message", "v": "Hello"}})
	return ticket, code
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	s := newServer(t, twoDeployments)
	one, two := s.client(), s.client()
	one.host, two.host = "one.test", "two.test"
	key := s.newApp("--deployment", "one")
	key2 := s.newApp("--deployment", "two")
	ann := one.newAccount(key)
	annOne := one.login(ann, "phone")
	ticket, code := filledTicket(annOne)
	before := snapshot(annOne, ticket, code)

	t.Run("another user's ticket is as one that is not there", func(t *testing.T) {
		eve := one.in(t).newUser(key)
		point := fmt.Sprintf("[[%d,1,1]]", time.Now().UnixMilli())
		for _, c := range []struct {
			method, path string
			body         any
			params       []string
		}{
			{"GET", "/v2/tickets/:id", nil, nil},
			{"GET", "/v2/tickets/:id", nil, []string{"invites", "true", "properties", "true"}},
			{"GET", "/v2/tickets/:id/invites", nil, nil},
			{"POST", "/v2/tickets/:id/update", nil, []string{"duration", "0"}},
			{"POST", "/v2/tickets/:id/update", nil, []string{"duration", "x"}},
			{"POST", "/v2/tickets/:id/expire", nil, nil},
			{"POST", "/v2/tickets/:id/delete", nil, nil},
			{"POST", "/v2/tickets/:id/set_visibility", nil, []string{"location", "hidden"}},
			{"POST", "/v2/tickets/:id/append_location", point, nil},
			{"POST", "/v2/tickets/:id/append_location", "[[1]]", nil},
			{"POST", "/v2/tickets/:id/append_location", "[]", []string{"since", "0"}},
			{"POST", "/v2/tickets/:id/append_data", `[{"t":1,"pid":0,"n":"message","v":"I was here"}]`, nil},
			{"POST", "/v2/tickets/:id/create_invite", nil, []string{"type", "link"}},
			{"POST", "/v2/tickets/:id/create_invite", nil, nil},
			{"POST", "/v2/invites/:code/update", nil, []string{"name", "Eve"}},
			{"POST", "/v2/invites/:code/delete", nil, nil},
		} {
			fill := func(id, code string) string {
				return strings.NewReplacer(":id", id, ":code", code).Replace(c.path)
			}
			theirs := eve.do(c.method, fill(ticket, code), c.body, c.params...)
			unknown := eve.do(c.method, fill("6512345678901234567", "ZZZZ-ZZZZ"), c.body, c.params...)
			if theirs.status != 404 || answerOf(theirs) != answerOf(unknown) {
				t.Errorf("%v\nwant the same 404 as for an unknown one: %v", theirs, unknown)
			}
		}
		if r := eve.get("/v2/users/self/tickets"); len(r.items("response.items")) != 0 {
			t.Errorf("%v\nwant no tickets", r)
		}
		if r := eve.get("/v2/users/self/invites", "since", "0", "expired", "true"); r.at("response.items") != nil {
			t.Errorf("%v\nwant no invites", r)
		}
		// An upload to all of one's tickets is to one's own.
		if r := eve.upload("/v2/tickets/append_location", point); r.int("response.stored") != 0 {
			t.Errorf("%v\nwant nothing stored", r)
		}
		// By the code everybody may look, and does not see whom it was meant for.
		r := eve.get("/v2/invites/"+code, "no_count", "true")
		if r.at("response.recipient") != nil || r.at("response.viewers") != nil {
			t.Errorf("%v\nwant nothing of the invite's own details", r)
		}
	})

	t.Run("two deployments do not know each other", func(t *testing.T) {
		one, two := one.in(t), two.in(t)
		annTwo := two.as(annOne.token)
		for _, r := range []reply{
			annTwo.do("GET", "/v2/users/self", nil),
			annTwo.do("GET", "/v2/tickets/"+ticket, nil),
			annTwo.do("POST", "/v2/account/logout", nil, "all", "true"),
			two.do("GET", "/v2/users/self", nil, "oauth_token", annOne.token),
		} {
			refused(t, r, 401, "oauth_token")
		}
		refused(t, two.do("POST", "/v2/account/create", nil, "api_key", key), 401, "api_key")
		refused(t, two.do("POST", "/v2/account/login", nil, "api_key", key, "id", ann.id, "password", ann.password), 401, "api_key")
		refused(t, two.do("POST", "/v2/account/login", nil, "api_key", key2, "id", ann.id, "password", ann.password), 401, "access_denied")
		refused(t, two.do("GET", "/v2/invites/"+code, nil), 404, "invite_code")
		refused(t, two.do("GET", "/v2/invites/"+code+"/properties", nil), 404, "invite_code")
		bob := two.newUser(key2)
		refused(t, bob.do("GET", "/v2/tickets/"+ticket, nil), 404, "ticket_id")
		refused(t, bob.do("POST", "/v2/tickets/"+ticket+"/delete", nil), 404, "ticket_id")
		refused(t, bob.do("POST", "/v2/invites/"+code+"/delete", nil), 404, "invite_code")
		refused(t, bob.do("GET", "/v2/users/"+ann.id, nil), 404, "not_found")

		// Names are taken in one of them at a time.
		for i, c := range []*client{one, two} {
			c.post("/v2/account/create", "api_key", []string{key, key2}[i], "username", "ann", "password", "correct horse")
		}
		// What revokes an application in one finds none in the other.
		if f := s.app("revoke", "--id", key, "--deployment", "two"); f.code != 1 || !strings.Contains(f.stderr, "404") {
			t.Errorf("%v\nwant it to fail with 404", f)
		}
		if f := s.app("list", "--deployment", "two"); !strings.Contains(f.stdout, key2) || strings.Contains(f.stdout, key) {
			t.Errorf("%v\nwant the deployment's own application only", f)
		}
		stranger := s.client()
		stranger.host = "three.test"
		if r := stranger.do("GET", "/v2/users/self", nil); r.status != 404 {
			t.Errorf("%v\nwant 404 for a host that no deployment serves", r)
		}
	})

	t.Run("what is the operator's is not on the public address", func(t *testing.T) {
		token, err := os.ReadFile(filepath.Join(s.data, "admin.token"))
		if err != nil {
			t.Fatal(err)
		}
		one, annOne := one.in(t), annOne.in(t)
		operator := one.as(strings.TrimSpace(string(token)))
		for _, c := range []*client{one, annOne, operator} {
			for _, at := range []string{
				"GET /apps", "POST /apps", "DELETE /apps", "GET /apps/" + key, "DELETE /apps/" + key,
				"GET /v1/deployments/one/plugins/signing/apps", "DELETE /v1/deployments/one/plugins/signing/apps/" + key,
				"POST /apps/" + key, "OPTIONS /apps/" + key, "GET /metrics", "GET /healthz", "GET /readyz", "GET //apps", "GET /v2/../apps",
			} {
				method, path, _ := strings.Cut(at, " ")
				// A page takes GETs of any path of one segment.
				want := 404
				if path == "/apps" && method != "GET" {
					want = 405
				}
				if r := c.do(method, path, `{"name":"x"}`); r.status != want || strings.Contains(string(r.raw), key) {
					t.Errorf("%v\nwant %d", r, want)
				}
			}
		}
		for _, header := range []string{"", "Bearer", "Bearer x", "Bearer " + annOne.token, strings.TrimSpace(string(token)), "Basic " + string(token[:8])} {
			req, err := http.NewRequest("GET", "http://"+s.admin+"/v1/deployments/one/plugins/signing/apps", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", header)
			r, err := s.client().send(req)
			if err != nil || r.status != 401 || strings.Contains(string(r.raw), key) {
				t.Errorf("with Authorization %q: %v, %v\nwant 401", header, r, err)
			}
		}
	})

	if after := snapshot(annOne, ticket, code); after != before {
		t.Errorf("the ticket was\n%sand is\n%s", before, after)
	}
}
