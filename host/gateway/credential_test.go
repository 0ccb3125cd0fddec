package gateway

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

func TestACredentialLetsIn(t *testing.T) {
	r := start(t, Config{})
	r.do("POST /g/grant/ann", "").wants(204)
	for _, c := range []struct {
		name, line string
		headers    []string
		status     int
	}{
		{"by header", "GET /t/private", []string{"Authorization", "Bearer ann"}, 200},
		{"in any case", "GET /t/private", []string{"authorization", "bEaReR   ann"}, 200},
		{"by query", "GET /t/private?token=ann", nil, 200},
		{"by query, escaped", "GET /t/private?tok%65n=%61nn", nil, 200},
		{"by cookie", "GET /t/session", []string{"Cookie", "a=b; sid=ann; c=d"}, 200},
		{"none", "GET /t/private", nil, 401},
		{"unknown", "GET /t/private", []string{"Authorization", "Bearer bob"}, 401},
		{"another scheme", "GET /t/private", []string{"Authorization", "Basic ann"}, 401},
		{"no scheme", "GET /t/private", []string{"Authorization", "ann"}, 401},
		{"another kind", "GET /t/private", []string{"Cookie", "sid=ann"}, 401},
		{"the first that is there counts", "GET /t/private?token=ann", []string{"Authorization", "Bearer bob"}, 401},
		{"a long one", "GET /t/private", []string{"Authorization", "Bearer " + strings.Repeat("x", 5000)}, 401},
		{"optional, none", "GET /t/optional", nil, 200},
		{"optional, good", "GET /t/optional?token=ann", nil, 200},
		{"optional, bad", "GET /t/optional?token=bob", nil, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.do(c.line, "", c.headers...).wants(c.status)
			if c.status == 401 {
				if got.header.Get("WWW-Authenticate") != "Bearer" || got.field("fault") == "" {
					t.Errorf("%v %s", got.header, got.body)
				}
				return
			}
			if want := map[bool]string{true: "", false: "ann"}[c.name == "optional, none"]; got.field("account") != want {
				t.Errorf("%s", got.body)
			}
		})
	}
}

func TestOnlyTheAuthenticatorSeesCredentials(t *testing.T) {
	r := start(t, Config{})
	r.do("POST /g/grant/ann", "").wants(204)
	headers := []string{"Authorization", "Bearer ann", "Cookie", "a=b; sid=ann;c=d", "X-Custom", "kept", "Connection", "X-Custom"}
	got := r.do("GET /t/echo?a=1&token=ann&tok%65n=x&b=2", "", headers...).wants(200)
	if got.field("Authorization") != "" || got.field("Cookie") != "a=b; c=d" || got.field("query") != `["a=1","b=2"]` ||
		got.field("X-Custom") != "kept" || got.field("Connection") != "" {
		t.Errorf("another plugin: %s", got.body)
	}
	if got := r.do("GET /t/echo", "", "Cookie", "sid=ann").wants(200); strings.Contains(got.body, "sid") {
		t.Errorf("another plugin: %s", got.body)
	}
	got = r.do("GET /g/seen?token=ann", "", headers...).wants(200)
	if got.field("authorization") != "Bearer ann" || !strings.Contains(got.field("cookie"), "sid=ann") || got.field("token") != "ann" {
		t.Errorf("the authenticator: %s", got.body)
	}
}

func TestARevokedCredentialFailsAtOnce(t *testing.T) {
	r := start(t, Config{})
	ann := []string{"Authorization", "Bearer ann"}
	for range 3 {
		r.do("GET /t/private", "", ann...).wants(401) // what is refused is not kept
		r.do("POST /g/grant/ann", "").wants(204)
		for range 3 {
			r.do("GET /t/private", "", ann...).wants(200)
		}
		r.do("POST /g/revoke/ann", "").wants(204)
		r.do("GET /t/private", "", ann...).wants(401)
	}
}

func TestNoRequestSucceedsAfterItsCredentialWasRevoked(t *testing.T) {
	r := start(t, Config{})
	const rounds, callers = 8, 8
	for round := range rounds {
		word := fmt.Sprintf("w%d", round)
		r.do("POST /g/grant/"+word, "").wants(204)
		var revoked atomic.Bool
		var wrong, right atomic.Int64
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for after := 0; after < 5; {
					was := revoked.Load() // before the request was sent
					got, err := r.try("GET /t/private", "", "Authorization", "Bearer "+word)
					switch {
					case err != nil:
						t.Error(err)
						return
					case was && got.status != 401:
						wrong.Add(1)
					case got.status == 200:
						right.Add(1)
					}
					if was {
						after++
					}
				}
			})
		}
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		// Other commits of the plugin keep the cache from settling.
		r.do("POST /g/grant/other", "").wants(204)
		r.do("POST /g/revoke/"+word, "").wants(204)
		revoked.Store(true)
		wg.Wait()
		if wrong.Load() > 0 {
			t.Fatalf("round %d: %d requests got in after the revocation, %d before", round, wrong.Load(), right.Load())
		}
	}
}

func TestARevocationReachesTheTableThatTookOver(t *testing.T) {
	r := start(t, Config{})
	r.do("POST /g/grant/ann", "").wants(204)
	old := r.gateway.table.Load()
	again := *old.services[0].deployment
	if err := r.gateway.Set([]*deploy.Deployment{&again}); err != nil {
		t.Fatal(err)
	}
	r.do("GET /t/private?token=ann", "").wants(200) // kept by the new table
	// A request that came to the old table commits now.
	x := r.gateway.pool.Get().(*exchange)
	x.site = old.services[0].site
	now := r.gateway.table.Load().services[0].authenticator
	if n := now.cache.lru.Len(); n != 1 {
		t.Fatalf("%d answers are kept, want 1", n)
	}
	x.forget([][]byte{[]byte("guard\x00w/ann")})
	if n := now.cache.lru.Len(); n != 0 {
		t.Errorf("%d answers are kept, want none", n)
	}
	x.site = nil
}

func TestTheCacheOfAnswers(t *testing.T) {
	var c answers
	c.init()
	now := time.Unix(1000, 0)
	id := func(b byte) digest { return digest{b} }
	k := func(s ...string) (keys [][]byte) {
		for _, s := range s {
			keys = append(keys, []byte(s))
		}
		return keys
	}
	kept := func(b byte, at time.Time) bool { _, ok := c.get(id(b), at.UnixMicro()); return ok }

	c.put(id(1), c.generation(), abi.Caller{Proof: "token"}, k("a", "b", "a"), now)
	c.put(id(2), c.generation(), abi.Caller{Proof: "token"}, k("b"), now)
	c.put(id(3), c.generation(), abi.Caller{Proof: "token", Expires: now.Add(time.Second).UnixMicro()}, k("c"), now)
	if !kept(1, now) || !kept(2, now) || !kept(3, now) {
		t.Fatal("an answer was not kept")
	}
	if kept(3, now.Add(time.Second)) {
		t.Error("an answer outlived the credential")
	}
	if kept(2, now.Add(maxAnswerAge)) {
		t.Error("an answer outlived its time")
	}
	c.put(id(2), c.generation(), abi.Caller{Proof: "token"}, k("b"), now)
	seen := c.generation()
	c.forget(k("a", "unknown"))
	if kept(1, now) || !kept(2, now) {
		t.Error("a commit forgot the wrong answers")
	}
	c.put(id(4), seen, abi.Caller{Proof: "token"}, k("d", "a"), now)
	if kept(4, now) {
		t.Error("an answer was kept that a commit may have outdated")
	}
	c.put(id(5), seen, abi.Caller{Proof: "token"}, k("d"), now)
	if !kept(5, now) {
		t.Error("an answer was not kept that no commit has to do with")
	}
	c.forget(k("b", "d"))
	if n := len(c.byKey); n != 0 || c.lru.Len() != 0 {
		t.Errorf("%d keys are left, of %d answers", n, c.lru.Len())
	}
}

// What leaves the cache leaves nothing behind, although the list of its keys came
// from a call that was used again.
func TestNothingIsLeftOfForgottenAnswers(t *testing.T) {
	r := start(t, Config{})
	for i := range 20 {
		r.do(fmt.Sprintf("POST /g/grant/word%d", i), "").wants(204)
		r.do(fmt.Sprintf("GET /t/private?token=word%d", i), "").wants(200)
	}
	c := &r.gateway.table.Load().services[0].authenticator.cache
	if c.lru.Len() != 20 {
		t.Fatalf("%d answers are kept, want 20", c.lru.Len())
	}
	c.lru.Purge()
	if n := len(c.byKey); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestAnswersThatAreLargeAreNotKept(t *testing.T) {
	if cacheable(&abi.Caller{Account: strings.Repeat("x", 2000)}, nil) || cacheable(&abi.Caller{}, make([][]byte, 100)) {
		t.Error("a large answer would be kept")
	}
	if !cacheable(&abi.Caller{Account: "ann"}, make([][]byte, 3)) {
		t.Error("an ordinary answer would not be kept")
	}
}
