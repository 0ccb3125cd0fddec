package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

func TestLoginIssuesAToken(t *testing.T) {
	b := newBench(t)
	id := b.create("ann", "correct horse")
	b.Advance(time.Hour)
	r := b.login("ann", "correct horse")
	if r.Status != 200 || r.Text("response.type") != "access_token" || r.Text("response.token_type") != "bearer" ||
		r.Text("response.expires_in") != "2592000" || r.Text("response.account_created") != "1767225600000" ||
		r.Text("response.config") != "map[]" || r.Text("meta.time") != "1767229200000" || r.Headers["Cache-Control"] != "no-store" {
		t.Fatal(r)
	}
	secret := r.Text("response.access_token")
	if len(secret) != tokenSize {
		t.Fatal(r)
	}
	caller, err := b.Authenticate(tokenProof, secret)
	want := abi.Caller{
		Account: id, App: b.app, Proof: tokenProof, Token: caller.Token,
		Expires: b.Host.Now.Add(30 * 24 * time.Hour).UnixMicro(),
	}
	if err != nil || caller != want || caller.Token == "" || strings.Contains(secret, caller.Token) {
		t.Fatalf("got %+v, %v, want %+v", caller, err, want)
	}
}

func TestGarbageIsNoToken(t *testing.T) {
	b := newBench(t)
	for _, s := range []string{"", "x", random(tokenSize), strings.Repeat("\x00", tokenSize), strings.Repeat("x", 5000)} {
		b.rejects(s, "oauth_token")
	}
	b.create("ann", "correct horse")
	secret, _ := b.session("ann", "correct horse", "")
	if _, err := b.Authenticate("session", secret); err == nil {
		t.Fatal("a token passes as another kind of credential")
	}
}

func TestTokenExpiresAndIsForgotten(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["token_ttl"] = "3600"
	b.create("ann", "correct horse")
	entries := b.Host.Len()
	secret, ann := b.session("ann", "correct horse", "phone")
	b.Advance(time.Hour - time.Second)
	b.accepts(secret)
	if n := len(b.get(ann, "/v2/account/devices").Field("response.items").([]any)); n != 1 {
		t.Fatalf("%d devices, want 1", n)
	}
	b.Advance(time.Second)
	b.rejects(secret, "token_expired")
	if n := len(b.get(ann, "/v2/account/devices").Field("response.items").([]any)); n != 0 {
		t.Fatalf("%d devices, want none", n)
	}
	b.Advance(expiredFor - time.Second)
	b.rejects(secret, "token_expired")
	b.Advance(time.Second)
	b.rejects(secret, "oauth_token")
	if b.Host.Len() != entries {
		t.Fatalf("%d entries, want the %d before the login", b.Host.Len(), entries)
	}
}

func TestDevicesHoldTokensSideBySide(t *testing.T) {
	b := newBench(t)
	b.create("ann", "correct horse")
	phone, ann := b.session("ann", "correct horse", "phone")
	b.Advance(time.Second)
	watch, other := b.session("ann", "correct horse", "watch")
	again, _ := b.session("ann", "correct horse", "watch")

	r := b.get(ann, "/v2/account/devices")
	if r.Status != 200 || r.Text("response.type") != "devices" || len(r.Field("response.items").([]any)) != 3 ||
		r.Text("response.items.0.device") != "watch" || r.Text("response.items.2.device") != "phone" ||
		r.Text("response.items.2.id") != ann.Token || r.Text("response.items.2.api_key_id") != b.app ||
		r.Field("response.items.2.current") != true || r.Field("response.items.0.current") != false ||
		r.Text("response.items.2.created_time") != "1767225600000" ||
		r.Text("response.items.2.expires_time") != "1769817600000" {
		t.Fatal(r)
	}
	if r = b.post(ann, "/v2/account/devices/"+other.Token+"/delete"); r.Status != 200 || r.Text("response.id") != other.Token {
		t.Fatal(r)
	}
	b.refused(b.post(ann, "/v2/account/devices/"+other.Token+"/delete"), 404, "not_found")
	b.rejects(watch, "oauth_token")
	b.accepts(phone)
	b.accepts(again)
}

func TestLogoutEndsOneTokenOrAll(t *testing.T) {
	b := newBench(t)
	b.create("ann", "correct horse")
	b.create("bob", "correct horse")
	bobs, _ := b.session("bob", "correct horse", "")
	one, first := b.session("ann", "correct horse", "")
	two, second := b.session("ann", "correct horse", "")
	three, _ := b.session("ann", "correct horse", "")

	if r := b.post(first, "/v2/account/logout"); r.Status != 200 || r.Text("response.type") != "logout" || r.Text("response.revoked") != "1" {
		t.Fatal(r)
	}
	b.rejects(one, "oauth_token")
	b.accepts(two)
	if r := b.post(first, "/v2/account/logout"); r.Status != 200 || r.Text("response.revoked") != "0" {
		t.Fatalf("logging out twice: %v", r)
	}
	if r := b.post(second, "/v2/account/logout", "all", "true"); r.Text("response.revoked") != "2" {
		t.Fatal(r)
	}
	b.rejects(two, "oauth_token")
	b.rejects(three, "oauth_token")
	b.accepts(bobs)
}

func TestOldestTokenGivesWay(t *testing.T) {
	b := newBench(t)
	b.create("ann", "correct horse")
	var secrets []string
	var last abi.Caller
	for i := range maxTokens + 2 {
		b.Advance(time.Second)
		var secret string
		secret, last = b.session("ann", "correct horse", fmt.Sprint(i))
		secrets = append(secrets, secret)
	}
	for i, secret := range secrets {
		if i < 2 {
			b.rejects(secret, "oauth_token")
		} else {
			b.accepts(secret)
		}
	}
	if n := len(b.get(last, "/v2/account/devices").Field("response.items").([]any)); n != maxTokens {
		t.Fatalf("%d devices, want %d", n, maxTokens)
	}
	if r := b.post(last, "/v2/account/logout", "all", "1"); r.Text("response.revoked") != fmt.Sprint(maxTokens) {
		t.Fatal(r)
	}
}

func TestTokenIDsSortByTime(t *testing.T) {
	early, late := tokenID(time.UnixMilli(1)), tokenID(time.UnixMilli(1<<40))
	if early >= late || !isRandom(early, tokenIDTime+tokenIDRandom) || !isRandom(late, tokenIDTime+tokenIDRandom) {
		t.Fatalf("%s, %s", early, late)
	}
}

func TestSettingThatCannotBeReadFailsTheCall(t *testing.T) {
	for key, values := range map[string][]string{
		"token_ttl":             {"soon", "1", "-1h", "100000h"},
		"login_window":          {"0", "48h", "1 m"},
		"login_attempts":        {"0", "many", "1001"},
		"login_attempts_remote": {"-1"},
	} {
		b := newBench(t)
		b.create("ann", "correct horse")
		for _, v := range values {
			b.Host.Settings[key] = v
			before := b.dump()
			b.refused(b.login("ann", "correct horse"), 500, "internal")
			if b.dump() != before {
				t.Errorf("%s=%s: the call changed the store", key, v)
			}
		}
		b.Host.Settings[key] = map[bool]string{true: "2", false: "90m"}[strings.HasPrefix(key, "login_attempts")]
		b.session("ann", "correct horse", "")
	}
}
