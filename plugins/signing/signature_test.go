package main

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// within runs fn in the plugin's place, on the bench's state.
func within(t *testing.T, host *guesttest.Host, q guesttest.Request, fn func(r *guest.Request) error) {
	t.Helper()
	p := guest.New("signing", "1.0.0")
	p.Authenticate(func(r *guest.Request, c abi.Credential) (abi.Caller, error) {
		return abi.Caller{Proof: "test"}, fn(r)
	})
	c := guesttest.New(t, p)
	c.Host = host
	if _, err := c.AuthenticateRequest("test", "test", q); err != nil {
		t.Fatal(err)
	}
}

// change changes the application.
func (b *bench) change(fn func(a *app)) {
	b.t.Helper()
	within(b.t, b.Host, guesttest.Request{}, func(r *guest.Request) error {
		a, _, err := findApp(r.KV(), b.app)
		if err != nil {
			return err
		}
		fn(&a)
		return r.KV().Put(appKey(b.app), a.record())
	})
}

// millis is the bench's time as the document wants it.
func (b *bench) millis() string { return strconv.FormatInt(b.Host.Now.UnixMilli(), 10) }

// hash signs a form as the document says, without the named parameters.
func hash(form url.Values, secret string, without ...string) string {
	var names []string
	for name := range form {
		if name != "hash" && name != "authtoken" && !slices.Contains(without, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		for _, value := range form[name] {
			text.WriteString(value)
		}
	}
	sum := md5.Sum([]byte(text.String() + secret))
	return hex.EncodeToString(sum[:])
}

// signed returns parameters, given as name and value in turn, that are signed.
func (b *bench) signed(params ...string) url.Values {
	f := form(params)
	if !f.Has("identity") {
		f.Set("identity", b.app)
	}
	if !f.Has("timestamp") {
		f.Set("timestamp", b.millis())
	}
	f.Set("hash", hash(f, b.secret))
	return f
}

func (b *bench) try(form url.Values) error {
	b.t.Helper()
	caller, err := b.AuthenticateRequest(signatureProof, "x", guesttest.Request{
		Method: "POST", Path: "/1.0/posts", Form: form, Family: "/1.0",
	})
	if want := (abi.Caller{App: b.app, Proof: signatureProof, Scheme: schemeMD5}); err == nil && caller != want {
		b.t.Fatalf("got %+v, want %+v", caller, want)
	}
	return err
}

// wants checks that an error is a refusal with a code; "" wants none. No refusal
// tells the secret, or what the signature should be.
func (b *bench) wants(err error, code string, hidden ...string) {
	b.t.Helper()
	if code == "" {
		if err != nil {
			b.t.Fatalf("got %v, want success", err)
		}
		return
	}
	var e *abi.Error
	if !errors.As(err, &e) || e.Code != code || e.Status != 401 && e.Status != 403 || e.Message == "" {
		b.t.Fatalf("got %v, want a refusal with code %s", err, code)
	}
	for _, s := range append(hidden, b.secret) {
		if strings.Contains(e.Message, s) {
			b.t.Fatalf("%q tells %q", e.Message, s)
		}
	}
}

func TestSignatureIsRefusedWithItsOwnReason(t *testing.T) {
	b := newBench(t)
	b.wants(b.try(b.signed("city", "x", "identity", "")), "unknown_key")
	b.wants(b.try(b.signed("city", "x", "identity", "nobody")), "unknown_key")
	b.wants(b.try(b.signed("city", "x", "identity", random(appIDSize))), "unknown_key")
	without := b.signed("city", "x")
	without.Del("identity")
	b.wants(b.try(without), "unknown_key")

	for _, time := range []string{"", "now", "12e3", "-1", " 1767225600000", "1767225600000.5", "1767225600", "9999999999999999999"} {
		code := "bad_timestamp"
		if time == "1767225600" {
			code = "" // in seconds
		}
		b.wants(b.try(b.signed("timestamp", time)), code)
	}
	for _, sum := range []string{"x", strings.Repeat("0", 32), strings.Repeat("g", 32), hash(b.signed(), b.secret)[1:], hash(b.signed(), "")} {
		f := b.signed("city", "x")
		right := f.Get("hash")
		f.Set("hash", sum)
		b.wants(b.try(f), "bad_signature", right)
	}
	f := b.signed("city", "x")
	f.Del("hash")
	b.wants(b.try(f), "bad_signature")
	f = b.signed("city", "x")
	f.Set("city", "y")
	b.wants(b.try(f), "bad_signature")
	f = b.signed("city", "x")
	f.Set("more", "z")
	b.wants(b.try(f), "bad_signature")

	for _, step := range []struct {
		code   string
		change func(a *app)
	}{
		{"origin_denied", func(a *app) { a.origins = []string{"https://example.org"} }},
		{"family_denied", func(a *app) { a.families = []string{"/v2"} }},
		{"scheme_denied", func(a *app) { a.schemes = []string{schemeEd25519, schemeHMAC} }},
		{"key_pending", func(a *app) { a.approved = 0 }},
		{"key_revoked", func(a *app) { a.revoked = 1 }},
	} {
		b.change(step.change)
		b.wants(b.try(b.signed()), step.code)
		// Before the signature is looked at, or the time.
		f := b.signed("timestamp", "never")
		f.Set("hash", "x")
		b.wants(b.try(f), step.code)
	}
}

func TestSignatureOfAnApplicationInItsPlace(t *testing.T) {
	b := newBench(t)
	b.change(func(a *app) {
		a.origins, a.families, a.schemes = []string{"https://example.org"}, []string{"/1.0"}, []string{schemeMD5}
	})
	q := guesttest.Request{Method: "POST", Path: "/1.0/posts", Form: b.signed(), Family: "/1.0",
		Headers: map[string]string{"Origin": "https://example.org"}}
	if _, err := b.AuthenticateRequest(signatureProof, "x", q); err != nil {
		t.Fatal(err)
	}
}

// The secret of an application that has none is no empty text.
func TestNobodySignsWithoutASecret(t *testing.T) {
	b := newBench(t)
	b.change(func(a *app) { a.secret = "" })
	f := b.signed("city", "x")
	f.Set("hash", hash(f, ""))
	if err := b.try(f); err == nil {
		t.Fatal("signed without a secret")
	}
	b.rejectsMessage(b.message("POST", "/1.0/posts", nil).by(schemeHMAC, nil), "bad_signature")
}

func TestSignatureIsStaleBothWays(t *testing.T) {
	b := newBench(t)
	at := b.Host.Now
	for setting, window := range map[string]time.Duration{"": 10 * time.Minute, "30": 30 * time.Second, "24h": 24 * time.Hour} {
		b.Host.Settings["signature_window"] = setting
		for off, code := range map[time.Duration]string{
			window: "", -window: "", window + time.Millisecond: "stale", -window - time.Millisecond: "stale",
			-1 << 60: "stale",
		} {
			b.Host.Now = at
			f := b.signed("off", off.String(), "window", window.String())
			b.Advance(off)
			err := b.try(f)
			b.wants(err, code, f.Get("hash"))
			if code != "" && (!strings.Contains(err.Error(), b.millis()) || !strings.Contains(err.Error(), seconds(window))) {
				t.Errorf("%v\nwant it to tell the server's time and the window", err)
			}
		}
	}
	b.Host.Now = at
	b.wants(b.try(b.signed("timestamp", "999999999999999999")), "stale")
	b.wants(b.try(b.signed("timestamp", "0")), "stale")
	for _, setting := range []string{"soon", "9s", "25h"} {
		b.Host.Settings["signature_window"] = setting
		if err, ok := b.try(b.signed()).(*abi.Error); !ok || err.Status != 500 {
			t.Errorf("signature_window %q: %v", setting, err)
		}
	}
}

func TestSignatureIsGoodOnce(t *testing.T) {
	b := newBench(t)
	first := b.signed("city", "x", "udid", "1")
	b.wants(b.try(first), "")
	b.wants(b.try(first), "replayed")

	other := url.Values{}
	for name, values := range first {
		other[name] = values
	}
	other.Set("hash", strings.ToUpper(first.Get("hash")))
	b.wants(b.try(other), "replayed")
	other.Set("authtoken", first.Get("hash"))
	b.wants(b.try(other), "replayed")
	other.Del("hash")
	b.wants(b.try(other), "replayed")
	// In the query, and the other way around.
	path := "/1.0/posts?hash=" + first.Get("hash") + "&udid=1&timestamp=" + b.millis() + "&identity=" + b.app + "&city=%78"
	_, err := b.AuthenticateRequest(signatureProof, "x", guesttest.Request{Path: path})
	b.wants(err, "replayed")

	// It was refused for something else, and is not used up.
	second := b.signed("city", "y")
	b.change(func(a *app) { a.families = []string{"/v2"} })
	b.wants(b.try(second), "family_denied")
	b.change(func(a *app) { a.families = nil })
	b.wants(b.try(second), "")
	b.wants(b.try(second), "replayed")

	// That of another application is another one.
	r := b.operator("POST", "/apps", `{"name":"Other"}`)
	b.app, b.secret = r.Text("id"), r.Text("secret")
	b.wants(b.try(b.signed("city", "x", "udid", "1")), "")
}

func TestSignatureIsRememberedAsLongAsItIsGood(t *testing.T) {
	b := newBench(t)
	for _, ahead := range []time.Duration{-10 * time.Minute, -time.Minute, 0, 5 * time.Minute, 10 * time.Minute} {
		f := b.signed("timestamp", strconv.FormatInt(b.Host.Now.Add(ahead).UnixMilli(), 10))
		entries := b.Host.Len()
		b.wants(b.try(f), "")
		for left := 10*time.Minute + ahead; left >= 0; left -= 30 * time.Second {
			b.wants(b.try(f), "replayed")
			b.Advance(30 * time.Second)
		}
		b.wants(b.try(f), "stale")
		b.Advance(seenLonger)
		if b.Host.Len() != entries {
			t.Errorf("%v ahead: %d entries, want %d", ahead, b.Host.Len(), entries)
		}
	}
}

func TestOldSecretIsGoodDuringTheGrace(t *testing.T) {
	b := newBench(t)
	old := b.secret
	until := b.Host.Now.Add(time.Hour)
	b.change(func(a *app) {
		a.oldSecret, a.secretUntil, a.secret = a.secret, until.UnixMicro(), random(secretSize)
		b.secret = a.secret
	})
	sign := func(secret string) url.Values {
		f := b.signed("udid", random(8))
		f.Set("hash", hash(f, secret))
		return f
	}
	b.wants(b.try(sign(old)), "", old)
	b.wants(b.try(sign(b.secret)), "")
	b.Host.Now = until.Add(-time.Microsecond)
	b.wants(b.try(sign(old)), "")
	b.Host.Now = until
	b.wants(b.try(sign(old)), "bad_signature", old)
	b.wants(b.try(sign(b.secret)), "")
}

func TestWhoamiTellsTheCaller(t *testing.T) {
	b := newBench(t)
	id := b.create("ann", "correct horse")
	_, ann := b.session("ann", "correct horse", "phone")
	r := b.get(ann, "/1.0/signing/whoami")
	if r.Status != 200 || r.Text("account") != id || r.Text("application") != b.app || r.Text("proof") != "token" ||
		r.Text("expires") == "" || r.Field("scheme") != nil {
		t.Fatal(r)
	}
	signed := abi.Caller{App: b.app, Proof: signatureProof, Scheme: schemeMD5}
	r = b.post(signed, "/1.0/signing/whoami", "city", "x")
	if r.Status != 200 || r.Field("account") != nil || r.Text("application") != b.app || r.Text("name") != "Test app" ||
		r.Text("proof") != "signature" || r.Text("scheme") != "md5" || r.Field("expires") != nil {
		t.Fatal(r)
	}
	b.refused(b.get(nobody, "/1.0/signing/whoami"), 401, "unauthenticated")
}

func TestGuideTellsEveryCode(t *testing.T) {
	b := newBench(t)
	r := b.Do(guesttest.Request{Path: "/1.0/signing"})
	if r.Status != 200 || !strings.HasPrefix(r.Headers["Content-Type"], "text/html") {
		t.Fatal(r)
	}
	for _, code := range []string{
		"unknown_key", "key_revoked", "key_pending", "scheme_denied", "family_denied", "origin_denied", "bad_timestamp", "stale",
		"body_not_covered", "bad_signature_input", "component_missing", "unsupported_component", "digest_mismatch",
		"bad_signature", "replayed",
	} {
		if !strings.Contains(string(r.Raw), code) {
			t.Errorf("the page does not tell of %s", code)
		}
	}
}
