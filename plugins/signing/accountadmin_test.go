package main

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

func TestOperatorEndsAllTokensAndSessionsOfAnAccount(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	b.create("bob", "correct horse")
	phone, _ := b.session("ann", "correct horse", "phone")
	watch, _ := b.session("ann", "correct horse", "watch")
	other, _ := b.session("bob", "correct horse", "phone")
	browser := random(tokenSize)
	hash := sha256.Sum256([]byte(browser))
	end := b.Host.Now.Add(time.Hour).UnixMicro()
	s := token{id: tokenID(b.Host.Now), account: ann, expires: end, session: true}
	d := device{hash: hash[:], name: "browser", expires: end}
	b.put(tokenKey(hash[:]), s.record())
	b.put(deviceKey(ann, s.id), d.record())
	if caller, err := b.Authenticate(sessionProof, browser); err != nil || caller.Account != ann {
		t.Fatal(caller, err)
	}

	r := b.operator("POST", "/accounts/"+ann+"/revoke", "")
	if r.Status != 200 || r.Text("id") != ann || r.Text("revoked") != "3" {
		t.Fatal(r)
	}
	b.rejects(phone, "oauth_token")
	b.rejects(watch, "oauth_token")
	if _, err := b.Authenticate(sessionProof, browser); err == nil {
		t.Fatal("the session goes on")
	}
	b.accepts(other)
	if r = b.operator("POST", "/accounts/"+ann+"/revoke", ""); r.Status != 200 || r.Text("revoked") != "0" {
		t.Fatal(r)
	}
	again, _ := b.session("ann", "correct horse", "phone")
	b.accepts(again)
}

func TestOperatorSeesWhoseAnAccountIs(t *testing.T) {
	b := newBench(t)
	id := b.create("Ann", "correct horse")
	r := b.operator("GET", "/accounts/"+id, "")
	if r.Status != 200 || r.Text("id") != id || r.Text("username") != "Ann" || r.Text("created") != "1767225600000" || r.Field("email") != nil {
		t.Fatal(r)
	}
	a := account{name: "Ann B", openid: "https://ann.example/", nickname: "annie", email: "ann@example.org", created: 5_000, hash: []byte("hash")}
	b.put(accountKey(id), a.record())
	r = b.operator("GET", "/accounts/"+id, "")
	for field, want := range map[string]string{
		"name": "Ann B", "openid": "https://ann.example/", "nickname": "annie", "email": "ann@example.org", "created": "5", "username": "",
	} {
		if r.Text(field) != want {
			t.Errorf("%s: got %q, want %q", field, r.Text(field), want)
		}
	}
	if strings.Contains(r.String(), "hash") || strings.Contains(r.String(), "password") {
		t.Fatal(r)
	}
	for _, id := range []string{"x", random(accountIDSize), "ann", strings.Repeat("x", 2000)} {
		b.refused(b.operator("GET", "/accounts/"+id, ""), 404, "not_found")
		b.refused(b.operator("POST", "/accounts/"+id+"/revoke", ""), 404, "not_found")
	}
	b.refused(b.get(abi.Caller{Account: id, Proof: tokenProof}, "/accounts/"+id), 401, "unauthenticated")
}
