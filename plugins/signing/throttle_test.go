package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guesttest"
)

func (b *bench) loginFrom(remote, id, password string) *guesttest.Response {
	b.t.Helper()
	return b.send(guesttest.Request{
		Method: "POST", Path: "/v2/account/login", Remote: remote,
		Form: form([]string{"api_key", b.app, "id", id, "password", password}),
	})
}

func TestGuessingIsThrottledUnderAnIDInAMovingWindow(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["login_attempts"] = "3"
	b.Host.Settings["login_window"] = "10m"
	b.create("ann", "correct horse")
	for i := range 3 {
		// Each from elsewhere, in another spelling.
		r := b.loginFrom(fmt.Sprintf("192.0.2.%d", i), []string{"ann", "Ann", "ANN"}[i], "wrong horse")
		b.refused(r, 401, "access_denied")
		b.Advance(time.Minute)
	}
	before := b.dump()
	r := b.loginFrom("198.51.100.1", "ann", "correct horse")
	b.refused(r, 429, "throttled")
	if r.Headers["Retry-After"] != "420" || r.Text("meta.error") != "throttled" {
		t.Fatalf("%v %v", r, r.Headers)
	}
	if b.dump() != before {
		t.Fatal("a throttled attempt is counted")
	}
	b.Advance(420*time.Second - time.Millisecond)
	if r = b.loginFrom("198.51.100.1", "ann", "correct horse"); r.Status != 429 || r.Headers["Retry-After"] != "1" {
		t.Fatalf("%v %v", r, r.Headers)
	}
	b.Advance(time.Millisecond)
	b.refused(b.loginFrom("198.51.100.1", "ann", "wrong horse"), 401, "access_denied")
	// That was the place that became free; the next one does a minute later.
	b.refused(b.loginFrom("198.51.100.1", "ann", "correct horse"), 429, "throttled")
	b.Advance(time.Minute)
	if r = b.loginFrom("198.51.100.1", "ann", "correct horse"); r.Status != 200 {
		t.Fatal(r)
	}
	// The success cleared the counter.
	for range 3 {
		b.refused(b.loginFrom("198.51.100.2", "ann", "wrong horse"), 401, "access_denied")
	}
	b.refused(b.loginFrom("198.51.100.2", "ann", "wrong horse"), 429, "throttled")
}

func TestGuessingIsThrottledByAddress(t *testing.T) {
	for name, addresses := range map[string][2]string{
		"IPv4":            {"192.0.2.1", "192.0.2.1"},
		"IPv6 of one /64": {"2001:db8::1", "2001:db8::ffff:2"},
		"IPv4 in IPv6":    {"192.0.2.1", "::ffff:192.0.2.1"},
	} {
		b := newBench(t)
		b.Host.Settings["login_attempts_remote"] = "4"
		b.create("ann", "correct horse")
		for i := range 4 {
			b.refused(b.loginFrom(addresses[0], fmt.Sprintf("user %d", i), "x"), 401, "access_denied")
		}
		if r := b.loginFrom(addresses[1], "ann", "correct horse"); r.Status != 429 {
			t.Errorf("%s: %v", name, r)
		}
		for _, other := range []string{"192.0.2.2", "2001:db8:0:1::1"} {
			if r := b.loginFrom(other, "ann", "correct horse"); r.Status != 200 {
				t.Errorf("%s: %v", name, r)
			}
		}
		if r := b.loginFrom(addresses[1], "ann", "correct horse"); r.Status != 429 {
			t.Errorf("%s: a success elsewhere cleared the address: %v", name, r)
		}
	}
}

func TestThrottledPasswordChange(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["login_attempts"] = "2"
	id := b.create("ann", "correct horse")
	_, ann := b.session("ann", "correct horse", "")
	for range 2 {
		b.refused(b.post(ann, "/v2/account/password", "old", "wrong horse", "new", "battery staple"), 401, "access_denied")
	}
	b.refused(b.post(ann, "/v2/account/password", "old", "correct horse", "new", "battery staple"), 429, "throttled")
	b.refused(b.login(id, "correct horse"), 429, "throttled")
	b.Advance(time.Hour)
	if r := b.post(ann, "/v2/account/password", "old", "correct horse", "new", "battery staple"); r.Status != 200 {
		t.Fatal(r)
	}
}

// Every step of guessing looks the same for an id that has an account and for
// one that has none, down to what is stored.
func TestLoginTellsNothingOfWhoHasAnAccount(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["login_attempts"] = "3"
	id := b.create("ann", "correct horse")
	unknown := random(accountIDSize)
	for i := range 5 {
		var answers []string
		for j, name := range []string{"ann", "eve", id, unknown} {
			entries := b.Host.Len()
			r := b.loginFrom(fmt.Sprintf("192.0.2.%d", j), name, []string{"wrong horse", string(make([]byte, 300))}[i%2])
			answers = append(answers, fmt.Sprint(r, r.Headers, b.Host.Len()-entries))
		}
		for _, a := range answers[1:] {
			if a != answers[0] {
				t.Fatalf("attempt %d: %q differ", i+1, answers)
			}
		}
	}
}

func TestFailuresAreForgotten(t *testing.T) {
	b := newBench(t)
	entries := b.Host.Len()
	for i := range 50 {
		b.login(fmt.Sprint("user ", i), "wrong horse")
	}
	if n := b.Host.Len() - entries; n != 51 {
		t.Fatalf("%d counters, want 51", n)
	}
	b.Advance(15 * time.Minute)
	if b.Host.Len() != entries {
		t.Fatalf("%d entries remain, want %d", b.Host.Len(), entries)
	}
}
