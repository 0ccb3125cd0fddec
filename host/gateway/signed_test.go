package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const formType = "application/x-www-form-urlencoded"

func TestASignedRequestIsShownToTheCheckAsAWhole(t *testing.T) {
	r := start(t, Config{})
	digest := func(body string) string {
		sum := sha256.Sum256([]byte(body))
		return hex.EncodeToString(sum[:4])
	}
	for _, c := range []struct {
		name, line, body, kind, want string
		headers                      []string
	}{
		{"by a header", "POST /t/signed/form?b=2&a=%201", "x=y", formType,
			"POST /t/signed/form?b=2&a=%201 /t one " + digest("x=y") + " 3 b=2 a= 1 x=y", []string{"X-Signed", "one"}},
		{"by a query parameter", "POST /t/signed/form?signed=two", "", formType,
			"POST /t/signed/form?signed=two /t  " + digest("") + " 3 signed=two", nil},
		{"by a field", "POST /t/signed/form?q=1", "a=b+c&signed=thr%65e", formType,
			"POST /t/signed/form?q=1 /t  " + digest("a=b+c&signed=thr%65e") + " 3 q=1 a=b c signed=three", nil},
		{"of a multipart form", "POST /t/signed/form",
			"--b\r\nContent-Disposition: form-data; name=\"signed\"\r\n\r\nfour\r\n--b--\r\n", "multipart/form-data; boundary=b", "", nil},
		{"with JSON, by its digest alone", "POST /t/signed/any", `{"a": 1}`, "application/json",
			"POST /t/signed/any /t five " + digest(`{"a": 1}`) + " 1", []string{"X-Signed", "five"}},
		{"with bytes, by their digest alone", "POST /t/signed/any", "bytes", "text/plain",
			"POST /t/signed/any /t six " + digest("bytes") + " 2", []string{"X-Signed", "six"}},
		{"for the same plugin", "POST /g/signed", "signed=seven", formType,
			"POST /g/signed /g  " + digest("signed=seven") + " 3 signed=seven", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := append([]string{"Content-Type", c.kind}, c.headers...)
			got := r.do(c.line, c.body, headers...).wants(200)
			if got.field("proof") != "signature" || got.field("scheme") != "word" || got.field("account") != "" {
				t.Errorf("%s", got.body)
			}
			if c.want != "" && got.field("name") != c.want {
				t.Errorf("the check saw\n%q, want\n%q", got.field("name"), c.want)
			}
			if again := r.do(c.line, c.body, headers...).wants(401); !strings.Contains(string(again.body), "replayed") {
				t.Errorf("the second time: %s", again.body)
			}
		})
	}
	r.do("POST /t/signed/form", "a=b", "Content-Type", formType).wants(401)
	r.do("POST /t/signed/any", "signed=eight", "Content-Type", "text/plain").wants(401)
}

func TestWhatACheckWritesIsKept(t *testing.T) {
	r := start(t, Config{})
	for _, c := range []struct {
		name, line  string
		status      int
		used, wrote bool
	}{
		{"with the request", "POST /t/signed/count?signed=w0", 200, true, false},
		{"with a request that only reads", "GET /t/signed?signed=w1", 200, true, false},
		{"alone, if the plugin refuses", "POST /t/signed/refuse/k2?signed=w2", 409, true, false},
		{"with a refusal that is kept", "POST /t/signed/fail/k3?signed=w3", 409, true, true},
		{"not, if the plugin fails", "POST /t/signed/trap?signed=w4", 500, false, false},
		{"not, if the plugin may not write", "GET /t/signed/write/k5?signed=w5", 500, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.do(c.line, "").wants(c.status)
			word, key := c.line[strings.Index(c.line, "=")+1:], "k"+c.line[len(c.line)-1:]
			if got := string(r.do("GET /g/used/"+word, "").wants(200).body); got != fmt.Sprint(c.used) {
				t.Errorf("used: %s, want %v", got, c.used)
			}
			if status := r.do("GET /t/kv/"+key, "").status; (status == 200) != c.wrote {
				t.Errorf("GET of what the plugin wrote: %d", status)
			}
			want := c.status
			if c.used {
				want = 401
			}
			r.do(c.line, "").wants(want)
		})
	}
}

// What a request is served with is used again, also for deployments where nobody
// checks credentials.
func TestASignedRequestLeavesNothingToOtherDeployments(t *testing.T) {
	signed, other := trial("signed.example"), extism()
	signed.Name, other.Name, other.Hosts = "signed", "other", []string{"other.example"}
	r := start(t, Config{}, signed, other)
	for i := range 10 {
		r.do(fmt.Sprintf("POST /t/signed/count?signed=word%d", i), "", "Host", "signed.example").wants(200)
		r.do("POST /p/visits", "", "Host", "other.example").wants(200)
	}
}

func TestOfManyCopiesOneIsTaken(t *testing.T) {
	r := start(t, Config{})
	for round := range 5 {
		line := fmt.Sprintf("POST /t/signed/count?signed=round%d", round)
		var taken, refused atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				switch got := r.do(line, ""); {
				case got.status == 200:
					taken.Add(1)
				case got.status == 401 && strings.Contains(string(got.body), "replayed"):
					refused.Add(1)
				default:
					t.Errorf("%d %s", got.status, got.body)
				}
			})
		}
		all.Wait()
		if taken.Load() != 1 || refused.Load() != 15 {
			t.Errorf("%d taken, %d refused", taken.Load(), refused.Load())
		}
	}
	if got := string(r.do("GET /t/count", "").wants(200).body); got != "5" {
		t.Errorf("counted %s, want 5", got)
	}
}

// A check that writes all the time must not keep the answers on tokens from being
// remembered, nor have one remembered that no longer holds.
func TestWritesOfChecksLeaveOtherAnswersAlone(t *testing.T) {
	var c answers
	c.init()
	gen := c.generation()
	for i := range 100 {
		c.forget([][]byte{fmt.Appendf(nil, "seen/%d", i)})
	}
	if c.written([][]byte{[]byte("t/ann")}, gen) {
		t.Error("a key counts as written that was not")
	}
	c.forget([][]byte{[]byte("t/ann")})
	if !c.written([][]byte{[]byte("x"), []byte("t/ann")}, gen) {
		t.Error("a key that was written does not count")
	}
	if gen = c.generation(); c.written([][]byte{[]byte("t/ann")}, gen) {
		t.Error("a key counts that was written before")
	}
	for i := range len(c.last) + 1 {
		c.forget([][]byte{fmt.Appendf(nil, "seen/%d", i)})
	}
	if !c.written([][]byte{[]byte("t/bob")}, gen) {
		t.Error("nobody knows any more, and it does not count")
	}
}

func TestARestOfThePath(t *testing.T) {
	r := start(t, Config{})
	for line, want := range map[string][3]string{
		"GET /t/rest/fixed":                    {"literal", "", ""},
		"GET /t/rest/one":                      {"parameter", "one", ""},
		"GET /t/rest/one/two":                  {"rest", "", "one/two"},
		"GET /t/rest/fixed/two/":               {"rest", "", "fixed/two/"},
		"GET /t/rest/https://x.example/%3Fa=b": {"rest", "", "https:/x.example/?a=b"},
	} {
		got := r.do(line, "").wants(200)
		if got.field("route") != want[0] || got.field("a") != want[1] || got.field("b") != want[2] {
			t.Errorf("%s: %s", line, got.body)
		}
	}
	r.do("GET /t/rest/", "").wants(404)
	r.do("GET /t/rest", "").wants(404)
}

func TestABodyIsWhatItsTypeSays(t *testing.T) {
	r := start(t, Config{})
	for _, c := range []struct{ kind, body, form, value, raw string }{
		{formType + "; charset=utf-8", "a=1", `["a=1"]`, "null", ""},
		{"application/json", `[1]`, "[]", "[1]", ""},
		{"application/ld+json;a=b", `[2]`, "[]", "[2]", ""},
		{"image/png", "x", "[]", "null", "x"},
		{"", "", "[]", "null", ""},
	} {
		got := r.do("POST /t/any", c.body, "Content-Type", c.kind).wants(200)
		if got.field("form") != c.form || got.field("body") != c.value || got.field("raw") != c.raw {
			t.Errorf("%s: %s", c.kind, got.body)
		}
	}
	r.do("POST /t/any", "{", "Content-Type", "application/json").wants(400)
	// A file in a form is left out, or refused by a route that is for forms.
	file := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.png\"\r\n\r\nbytes\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n"
	if got := r.do("POST /t/any", file, "Content-Type", "multipart/form-data; boundary=b").wants(200); got.field("form") != `["a=1"]` {
		t.Errorf("%s", got.body)
	}
	r.do("POST /t/form", file, "Content-Type", "multipart/form-data; boundary=b").wants(400)
}
