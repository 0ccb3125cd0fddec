package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// TestBadFieldsOfAnAppChangeNothing sends to operators and developers what is
// wrong in one field, beside another that is right.
func TestBadFieldsOfAnAppChangeNothing(t *testing.T) {
	b := newBench(t)
	ann := b.create("ann", "correct horse")
	own := b.own(ann, "POST", "/1.0/apps", `{"name":"Ann's"}`).Text("id")
	key32 := func(n int) string { return strings.Repeat("A", n) }
	list := func(prefix string, n int) string {
		var all []string
		for i := range n {
			all = append(all, prefix+string(rune('a'+i)))
		}
		text, _ := json.Marshal(all)
		return string(text)
	}
	before := b.dump()
	for _, c := range []struct{ field, value string }{
		{"name", `""`}, {"name", `null`}, {"name", `7`}, {"name", `["x"]`}, {"name", `"a\u0000b"`}, {"name", `"` + strings.Repeat("x", maxName+1) + `"`},
		{"schemes", `"md5"`}, {"schemes", `{}`}, {"schemes", `["sha1"]`}, {"schemes", `["MD5"]`}, {"schemes", `[""]`}, {"schemes", `[1]`}, {"schemes", `["md5",null]`},
		{"families", `"/1.0"`}, {"families", `["1.0"]`}, {"families", `["/"]`}, {"families", `["/1.0/"]`}, {"families", `["/a b"]`},
		{"families", `["/a?b"]`}, {"families", `["//a"]`}, {"families", `["/` + strings.Repeat("x", maxFamily) + `"]`}, {"families", list("/", maxList+1)},
		{"origins", `"https://a.example"`}, {"origins", `["a.example"]`}, {"origins", `["https://"]`}, {"origins", `["https://a.example/"]`},
		{"origins", `["https://a.example/path"]`}, {"origins", `["https://a.example:0"]`}, {"origins", `["https://a.example:65536"]`},
		{"origins", `["https://user@a.example"]`}, {"origins", `["https://*.example"]`}, {"origins", `["null"]`}, {"origins", list("https://", maxList+1)},
		{"rate", `-1`}, {"rate", `1000000001`}, {"rate", `1.5`}, {"rate", `"10"`}, {"rate", `true`}, {"rate", `1e99`}, {"rate", `99999999999999999999`},
		{"ed25519_key", `7`}, {"ed25519_key", `"x"`}, {"ed25519_key", `"` + key32(42) + `"`}, {"ed25519_key", `"` + key32(44) + `"`},
		{"ed25519_key", quoted(keyA + "=")}, {"ed25519_key", quoted(strings.Replace(keyA, "o=", "p=", 1))}, {"ed25519_key", `"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"`},
		{"ed25519_key", `"-----BEGIN PUBLIC KEY-----"`}, {"ed25519_key", strings.ReplaceAll(quoted(keyAPEM), "PUBLIC", "PRIVATE")},
		{"ed25519_key", quoted(keyAPEM + keyAPEM)}, {"ed25519_key", quoted(strings.Replace(keyAPEM, "MCow", "MCox", 1))},
		{"owner", `7`}, {"owner", `"x"`}, {"owner", quoted(random(accountIDSize))}, {"owner", `["` + ann + `"]`},
		{"colour", `"red"`}, {"secret", `"x"`}, {"id", `"x"`}, {"state", `"active"`}, {"approved", `1`}, {"maxRate", `1`}, {"", `1`},
		{strings.Repeat("long", 20), `1`},
	} {
		other := `"name":"Changed"`
		if c.field == "name" {
			other = `"rate":9`
		}
		body := `{` + quoted(c.field) + `:` + c.value + `,` + other + `}`
		for _, r := range []*guesttest.Response{
			b.operator("POST", "/apps", body), b.operator("PUT", "/apps/"+own, body),
			b.own(ann, "POST", "/1.0/apps", body), b.own(ann, "PUT", "/1.0/apps/"+own, body), b.own(ann, "POST", "/1.0/apps/"+own+"/update", body),
		} {
			name := c.field
			if len(name) > 40 {
				name = name[:40]
			}
			if r.Err == nil || r.Status != 400 || !strings.Contains(r.Err.Message, name) {
				t.Errorf("%s: got %v, want 400 with the name of the field", body, r)
			}
		}
	}
	for _, c := range []string{`{"grace":-1}`, `{"grace":2592001}`, `{"grace":"1h"}`, `{"grace":1.5}`, `{"secret":"mine"}`, `[]`, `"x"`} {
		if r := b.operator("POST", "/apps/"+own+"/rotate", c); r.Status != 400 {
			t.Errorf("%s: %v", c, r)
		}
		if r := b.own(ann, "POST", "/1.0/apps/"+own+"/rotate", c); r.Status != 400 {
			t.Errorf("%s: %v", c, r)
		}
	}
	for _, form := range []url.Values{
		{"rate": {"x"}}, {"rate": {"1", "2"}}, {"rate": {"-1"}}, {"rate": {"1000000001"}}, {"name": {"a", "b"}}, {"name": {" "}},
		{"schemes": {"md5,sha1"}}, {"schemes": {"token", "x"}}, {"families": {"/a,b"}}, {"origins": {"x"}}, {"ed25519_key": {"x"}}, {"owner": {ann}}, {"submit": {"Save"}},
	} {
		r := b.send(guesttest.Request{Method: "POST", Path: "/1.0/apps/" + own + "/update", Form: form, Caller: &abi.Caller{Account: ann, Proof: sessionProof}})
		if r.Status != 400 {
			t.Errorf("%v: %v", form, r)
		}
	}
	for _, q := range []guesttest.Request{{JSON: `[]`}, {JSON: `"x"`}, {Raw: []byte("name=x")}, {}} {
		q.Method, q.Path, q.Caller = "PUT", "/1.0/apps/"+own, &abi.Caller{Account: ann, Proof: tokenProof}
		b.refused(b.send(q), 400, "missing_parameter")
	}
	if b.dump() != before {
		t.Fatal("something was written")
	}
}

func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}
