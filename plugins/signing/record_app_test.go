package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// An application of the first version is approved and free to do all that it did.
func TestAppRecordOfFourFieldsIsOfAnApprovedApp(t *testing.T) {
	b := newBench(t)
	var w abi.Writer
	w.FixedArray(4)
	w.Text("Old")
	w.Text("old secret")
	w.Int(1_000_000)
	w.Int(0)
	old := random(appIDSize)
	b.put(appKey(old), w.Value())
	a, err := readApp(w.Value())
	if err != nil || a.state() != "active" || a.approved != a.created || a.secrets(0)[0] != "old secret" || a.keys(0) != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	r := b.operator("GET", "/apps/"+old, "")
	if r.Status != 200 || r.Text("state") != "active" || r.Text("approved") != "1000" {
		t.Fatal(r)
	}
	b.app = old
	b.create("ann", "correct horse")
	secret, _ := b.session("ann", "correct horse", "phone")
	if r = b.operator("PUT", "/apps/"+old, `{"name":"New"}`); r.Text("name") != "New" || r.Text("created") != "1000" {
		t.Fatal(r)
	}
	b.accepts(secret)
	if a = b.record(old); a.secret != "old secret" {
		t.Fatalf("%+v", a)
	}
	b.operator("DELETE", "/apps/"+old, "")
	b.rejects(secret, "access_denied")
}

func TestRotatedSecretStaysGoodForAGrace(t *testing.T) {
	b := newBench(t)
	path := "/apps/" + b.app
	good := func(want ...string) {
		t.Helper()
		a := b.record(b.app)
		if got := a.secrets(b.Host.Now.UnixMicro()); !slices.Equal(got, want) {
			t.Errorf("secrets %q, want %q", got, want)
		}
	}
	rotate := func(body, until string) string {
		t.Helper()
		r := b.operator("POST", path+"/rotate", body)
		if r.Status != 200 || len(r.Text("secret")) != secretSize || r.Text("old_secret_until") != until {
			t.Fatal(r)
		}
		return r.Text("secret")
	}
	millis := func(d time.Duration) string { return fmt.Sprint(b.Host.Now.Add(d).UnixMilli()) }

	good(b.secret)
	second := rotate("", millis(24*time.Hour))
	good(second, b.secret)
	b.Advance(24*time.Hour - time.Microsecond)
	good(second, b.secret)
	b.Advance(time.Microsecond)
	good(second)
	if r := b.operator("GET", path, ""); r.Field("old_secret_until") != nil || r.Field("secret") != nil {
		t.Fatal(r)
	}

	third := rotate(`{"grace":60}`, millis(time.Minute))
	good(third, second)
	fourth := rotate(`{"grace":2592000}`, millis(30*24*time.Hour))
	good(fourth, third)
	fifth := rotate(`{"grace":0}`, "")
	good(fifth)

	b.Host.Settings["rotation_grace"] = "90s"
	sixth := rotate(`{}`, millis(90*time.Second))
	good(sixth, fifth)
	b.Host.Settings["rotation_grace"] = "0"
	good(rotate("", ""))
}

func TestReplacedKeyStaysGoodForAGrace(t *testing.T) {
	b := newBench(t)
	path := "/apps/" + b.app
	set := func(key string) {
		t.Helper()
		body, _ := json.Marshal(map[string]string{"ed25519_key": key})
		if r := b.operator("PUT", path, string(body)); r.Status != 200 {
			t.Fatal(r)
		}
	}
	good := func(want ...string) {
		t.Helper()
		a := b.record(b.app)
		var got []string
		for _, key := range a.keys(b.Host.Now.UnixMicro()) {
			got = append(got, base64.StdEncoding.EncodeToString(key))
		}
		if !slices.Equal(got, want) {
			t.Errorf("keys %q, want %q", got, want)
		}
	}
	good()
	for _, key := range []string{keyA, keyAURL, keyAPEM, strings.ReplaceAll(keyAPEM, "\n", "\r\n"), " " + keyA + "\n", strings.TrimRight(keyA, "=")} {
		set("")
		set(key)
		good(keyA)
	}
	set(keyB)
	good(keyB, keyA)
	set(keyB) // the same: nothing happens
	good(keyB, keyA)
	if r := b.operator("GET", path, ""); r.Text("old_ed25519_key_until") != fmt.Sprint(b.Host.Now.Add(24*time.Hour).UnixMilli()) {
		t.Fatal(r)
	}
	b.Advance(24 * time.Hour)
	good(keyB)
	set(keyA)
	good(keyA, keyB)
	set("")
	good()
	set(keyB)
	good(keyB)
}

func TestAppLimitIsTheSmallerOfWhatIsSet(t *testing.T) {
	for _, c := range []struct {
		developer, operator int64
		setting, window     string
		requests, seconds   int64
	}{
		{0, 0, "", "", 0, 0},
		{5, 0, "", "", 5, 3600},
		{0, 7, "", "", 7, 3600},
		{5, 7, "", "", 5, 3600},
		{9, 7, "", "", 7, 3600},
		{0, 0, "100", "60", 100, 60},
		{5, 0, "100", "60", 5, 60},
		{1000, 0, "100", "60", 100, 60}, // a developer cannot raise it
		{0, 1000, "100", "60", 1000, 60},
		{2000, 1000, "100", "24h", 1000, 86400},
		{0, 0, "0", "1s", 0, 0},
	} {
		b := newBench(t)
		b.create("ann", "correct horse")
		if c.setting != "" {
			b.Host.Settings["rate_limit"] = c.setting
		}
		if c.window != "" {
			b.Host.Settings["rate_window"] = c.window
		}
		a := b.record(b.app)
		a.rate, a.maxRate = c.developer, c.operator
		b.put(appKey(b.app), a.record())
		if _, caller := b.session("ann", "correct horse", ""); caller.Limit != c.requests || caller.Window != c.seconds {
			t.Errorf("%+v: got %d in %d", c, caller.Limit, caller.Window)
		}
	}
}
