package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// The request of RFC 9421, B.2, and its keys of B.1.4 and B.1.5.
var rfcRequest = guesttest.Request{
	Method: "POST", Path: "/foo?param=Value&Pet=dog", JSON: `{"hello": "world"}`,
	Headers: map[string]string{
		"Host": "example.com", "Date": "Tue, 20 Apr 2021 02:07:55 GMT", "Content-Type": "application/json", "Content-Length": "18",
		"Content-Digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
	},
}

const (
	rfcSecret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
	rfcKey    = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
)

func fromBase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// baseOf builds the signature base of a request for the one signature of a
// Signature-Input.
func baseOf(r *guest.Request, input string) (*message, error) {
	d, err := httpsfv.UnmarshalDictionary([]string{input})
	if err != nil {
		return nil, err
	}
	member, _ := d.Get(d.Names()[0])
	m := &message{parts: partsOf(r), label: d.Names()[0], input: member.(httpsfv.InnerList)}
	if err := m.readComponents(); err != nil {
		return nil, err
	}
	m.base, err = m.parts.signatureBase(m.input, m.components)
	return m, err
}

// RFC 9421, B.2.1, B.2.2, B.2.3, B.2.5 and B.2.6.
func TestSignatureBaseOfTheRFC(t *testing.T) {
	for name, c := range map[string]struct{ input, base string }{
		"B.2.1": {`sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"`,
			`"@signature-params": ();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"`},
		"B.2.2": {`sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"`,
			`"@authority": example.com
"content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
"@query-param";name="Pet": dog
"@signature-params": ("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"`},
		"B.2.3": {`sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`,
			`"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@query": ?param=Value&Pet=dog
"@authority": example.com
"content-type": application/json
"content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`},
		"B.2.5": {`sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`,
			`"date": Tue, 20 Apr 2021 02:07:55 GMT
"@authority": example.com
"content-type": application/json
"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`},
		"B.2.6": {`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`,
			`"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`},
	} {
		within(t, guesttest.NewHost(t), rfcRequest, func(r *guest.Request) error {
			m, err := baseOf(r, c.input)
			if err != nil || string(m.base) != c.base {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, err, m.base, c.base)
			}
			return nil
		})
	}
}

// The signatures of RFC 9421, B.2.5 and B.2.6.
func TestSignaturesOfTheRFC(t *testing.T) {
	for _, c := range []struct {
		scheme, input, signature string
	}{
		{schemeHMAC, `sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`,
			"pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="},
		{schemeEd25519, `sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`,
			"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="},
	} {
		within(t, guesttest.NewHost(t), rfcRequest, func(r *guest.Request) error {
			m, err := baseOf(r, c.input)
			if err != nil {
				return err
			}
			s := &signature{r: r, scheme: c.scheme, sum: fromBase64(t, c.signature),
				app: app{secret: string(fromBase64(t, rfcSecret)), key: fromBase64(t, rfcKey)}}
			if err := m.match(s); err != nil {
				t.Errorf("%s: %v", c.scheme, err)
			}
			for i := range m.base {
				m.base[i] ^= 1
				if m.verify(s, m.base) == nil {
					t.Fatalf("%s: byte %d of the base is not signed", c.scheme, i)
				}
				m.base[i] ^= 1
			}
			// The vectors are too short for this server.
			if err, ok := m.cover(s).(*abi.Error); !ok || err.Code != "component_missing" {
				t.Errorf("%s: got %v, want component_missing", c.scheme, err)
			}
			return nil
		})
	}
}

// Component values of RFC 9421, 2.1 and 2.2.
func TestComponentsOfTheRFC(t *testing.T) {
	get := guesttest.Request{Path: "/path?param=value&foo=bar&baz=batman&qux=", Headers: map[string]string{
		"Host": "www.EXAMPLE.com:80", "X-OWS-Header": "  Leading and trailing whitespace.\t", "X-Empty-Header": "",
		"Example-Dict": "  a=1,    b=2;x=1;y=2,   c=(a   b   c), d", "Example-Header": "value, with, lots",
	}}
	odd := guesttest.Request{Path: "/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&bar2=1&bar2=2"}
	bare := guesttest.Request{Path: "/path?"}
	below := guesttest.Request{Path: "/path?q", Headers: map[string]string{"Host": "edge.test/api"}} // is put into the base URL
	for _, c := range []struct {
		q     guesttest.Request
		input string
		value string // or the code of a refusal
	}{
		{get, `"@method"`, "GET"},
		{get, `"@target-uri"`, "http://www.example.com/path?param=value&foo=bar&baz=batman&qux="},
		{get, `"@authority"`, "www.example.com"},
		{get, `"@scheme"`, "http"},
		{get, `"@request-target"`, "/path?param=value&foo=bar&baz=batman&qux="},
		{get, `"@path"`, "/path"},
		{get, `"@query"`, "?param=value&foo=bar&baz=batman&qux="},
		{bare, `"@query"`, "?"},
		// As clients send it that take the server for a proxy.
		{guesttest.Request{Path: "http://other.example.com/path?q"}, `"@target-uri"`, "http://edge.test/path?q"},
		{guesttest.Request{Path: "http://other.example.com?q"}, `"@path"`, "/"},
		{guesttest.Request{Path: "/path"}, `"@query"`, "?"},
		// What base_url has of a path, the client has sent, and a proxy taken off.
		{below, `"@target-uri"`, "http://edge.test/api/path?q"},
		{below, `"@request-target"`, "/api/path?q"},
		{below, `"@path"`, "/api/path"},
		{below, `"@authority"`, "edge.test"},
		{get, `"@query-param";name="baz"`, "batman"},
		{get, `"@query-param";name="qux"`, ""},
		{odd, `"@query-param";name="var"`, "this%20is%20a%20big%0Amultiline%20value"},
		{odd, `"@query-param";name="bar"`, "with%20plus%20whitespace"},
		{odd, `"@query-param";name="fa%C3%A7ade%22%3A%20"`, "something"},
		{odd, `"@query-param";name="bar2"`, "component_missing"},
		{odd, `"@query-param";name="none"`, "component_missing"},
		{odd, `"@query-param"`, "unsupported_component"},
		{get, `"x-ows-header"`, "Leading and trailing whitespace."},
		{get, `"x-empty-header"`, ""},
		{get, `"example-dict"`, "a=1,    b=2;x=1;y=2,   c=(a   b   c), d"},
		{get, `"example-dict";key="a"`, "1"},
		{get, `"example-dict";key="d"`, "?1"},
		{get, `"example-dict";key="b"`, "2;x=1;y=2"},
		{get, `"example-dict";key="c"`, "(a b c)"},
		{get, `"example-dict";key="e"`, "component_missing"},
		{get, `"x-ows-header";key="e"`, "component_missing"},
		{get, `"example-header";bs`, ":dmFsdWUsIHdpdGgsIGxvdHM=:"},
		{get, `"example-dict";sf`, "unsupported_component"},
		{get, `"example-dict";key="a";bs`, "unsupported_component"},
		{get, `"example-dict";tr`, "unsupported_component"},
		{get, `"@method";req`, "unsupported_component"},
		{get, `"@status"`, "unsupported_component"},
		{get, `"@signature-params"`, "unsupported_component"},
		{get, `"not-there"`, "component_missing"},
		{get, `"Example-Dict"`, "bad_signature_input"},
		{get, `""`, "bad_signature_input"},
		{get, `token`, "bad_signature_input"},
		{get, `"@method" "@method"`, "bad_signature_input"},
	} {
		within(t, guesttest.NewHost(t), c.q, func(r *guest.Request) error {
			m, err := baseOf(r, "a=("+c.input+")")
			got := ""
			if e, ok := isRefusal(err); ok {
				got = e.Code
			} else {
				lines := strings.Split(string(m.base), "\n")
				got = strings.TrimPrefix(lines[0], c.input+": ")
				if len(lines) != 2 || lines[1] != `"@signature-params": (`+c.input+")" {
					got = string(m.base)
				}
			}
			if got != c.value {
				t.Errorf("%s: got %q (%v), want %q", c.input, got, err, c.value)
			}
			return nil
		})
	}
}

// A request that is signed as RFC 9421 says, built from text by the test itself.
type messageRequest struct {
	b       *bench
	q       guesttest.Request
	label   string
	lines   []string // of the signature base: component and value in turn
	params  string
	created time.Time
	keyid   string
}

// message begins a request that is signed in full.
func (b *bench) message(method, path string, body []byte) *messageRequest {
	r := &messageRequest{b: b, label: "sig1", created: b.Host.Now, keyid: b.app,
		q: guesttest.Request{Method: method, Path: path, Raw: body, Headers: map[string]string{"Host": "api.example.org"}, Family: "/1.0"}}
	r.lines = []string{`"@method"`, method, `"@target-uri"`, "http://api.example.org" + path}
	if body != nil {
		digest := sha256.Sum256(body)
		r.q.Headers["Content-Digest"] = "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":"
		r.lines = append(r.lines, `"content-digest"`, r.q.Headers["Content-Digest"])
	}
	return r
}

// by signs the request; nil is the key that belongs to the scheme.
func (r *messageRequest) by(scheme string, key []byte) guesttest.Request {
	var names []string
	var base strings.Builder
	for i := 0; i < len(r.lines); i += 2 {
		names = append(names, r.lines[i])
		base.WriteString(r.lines[i] + ": " + r.lines[i+1] + "\n")
	}
	input := "(" + strings.Join(names, " ") + ")"
	if !r.created.IsZero() {
		input += ";created=" + strconv.FormatInt(r.created.Unix(), 10)
	}
	if r.keyid != "" {
		input += `;keyid="` + r.keyid + `"`
	}
	input += r.params
	base.WriteString(`"@signature-params": ` + input)
	var sum []byte
	switch scheme {
	case schemeHMAC:
		if key == nil {
			key = []byte(r.b.secret)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(base.String()))
		sum = mac.Sum(nil)
	case schemeEd25519:
		if key == nil {
			key = testKey
		}
		sum = ed25519.Sign(key, []byte(base.String()))
	}
	r.q.Headers["Signature-Input"] = r.label + "=" + input
	r.q.Headers["Signature"] = r.label + "=:" + base64.StdEncoding.EncodeToString(sum) + ":"
	return r.q
}

var testKey = ed25519.NewKeyFromSeed([]byte("thirty-two bytes for a test key."))

func (b *bench) register() {
	b.change(func(a *app) { a.key = testKey.Public().(ed25519.PublicKey) })
}

func (b *bench) rejectsMessage(q guesttest.Request, code string) {
	b.t.Helper()
	_, err := b.AuthenticateRequest(signatureProof, "x", q)
	b.wants(err, code)
}

func (b *bench) acceptsMessage(q guesttest.Request, scheme string) {
	b.t.Helper()
	caller, err := b.AuthenticateRequest(signatureProof, "x", q)
	if want := (abi.Caller{App: b.app, Proof: signatureProof, Scheme: scheme}); err != nil || caller != want {
		b.t.Fatalf("got %+v, %v, want %+v", caller, err, want)
	}
}

func TestMessageIsSignedWithBothSchemes(t *testing.T) {
	b := newBench(t)
	b.register()
	for _, scheme := range []string{schemeHMAC, schemeEd25519} {
		for _, params := range []string{"", `;alg="` + scheme + `"`, `;nonce="n1";tag="t"`, ";expires=" + strconv.FormatInt(b.Host.Now.Unix()+1, 10)} {
			for _, body := range [][]byte{nil, []byte(`{"a":1}`)} {
				r := b.message("POST", "/1.0/posts?a=b&c=%20d", body)
				r.params = params
				q := r.by(scheme, nil)
				b.acceptsMessage(q, scheme)
				b.rejectsMessage(q, "replayed")
			}
		}
	}
	// No body, and the parts instead of the whole.
	r := b.message("GET", "/1.0/posts/1", nil)
	r.lines = []string{`"@authority"`, "api.example.org", `"@path"`, "/1.0/posts/1", `"@method"`, "GET"}
	b.acceptsMessage(r.by(schemeHMAC, nil), schemeHMAC)
	r = b.message("GET", "/1.0/posts?x", nil)
	r.lines = []string{`"@authority"`, "api.example.org", `"@path"`, "/1.0/posts", `"@query"`, "?x", `"@method"`, "GET"}
	b.acceptsMessage(r.by(schemeHMAC, nil), schemeHMAC)
}

func TestMessageMustCoverWhatMatters(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		missing string
		lines   []string
	}{
		{"@method", []string{`"@target-uri"`, "http://api.example.org/p?q=1", `"content-digest"`, ""}},
		{"@method", nil},
		{"@authority", []string{`"@method"`, "POST", `"@path"`, "/p", `"@query"`, "?q=1", `"content-digest"`, ""}},
		{"@path", []string{`"@method"`, "POST", `"@authority"`, "api.example.org", `"@query"`, "?q=1", `"content-digest"`, ""}},
		{"@query", []string{`"@method"`, "POST", `"@authority"`, "api.example.org", `"@path"`, "/p", `"content-digest"`, ""}},
		{"@query", []string{`"@method"`, "POST", `"@authority"`, "api.example.org", `"@path"`, "/p", `"@query-param";name="q"`, "1"}},
		{"content-digest", []string{`"@method"`, "POST", `"@target-uri"`, "http://api.example.org/p?q=1"}},
		{"content-digest", []string{`"@method"`, "POST", `"@target-uri"`, "http://api.example.org/p?q=1", `"content-digest";key="sha-256"`, ""}},
	} {
		r := b.message("POST", "/p?q=1", []byte("body"))
		for i, line := range c.lines {
			if line == "" {
				c.lines[i] = r.q.Headers["Content-Digest"]
			}
		}
		r.lines = c.lines
		q := r.by(schemeHMAC, nil)
		_, err := b.AuthenticateRequest(signatureProof, "x", q)
		b.wants(err, "component_missing")
		if !strings.Contains(err.Error(), `"`+c.missing+`"`) {
			t.Errorf("%v\nwant it to name %s", err, c.missing)
		}
	}
}

func TestMessageThatWasTamperedWith(t *testing.T) {
	b := newBench(t)
	b.register()
	for _, scheme := range []string{schemeHMAC, schemeEd25519} {
		for name, c := range map[string]struct {
			code   string
			tamper func(q *guesttest.Request)
		}{
			"method":  {"bad_signature", func(q *guesttest.Request) { q.Method = "PUT" }},
			"path":    {"bad_signature", func(q *guesttest.Request) { q.Path = "/q?q=1" }},
			"query":   {"bad_signature", func(q *guesttest.Request) { q.Path = "/p?q=2" }},
			"host":    {"bad_signature", func(q *guesttest.Request) { q.Headers["Host"] = "other.example.org" }},
			"body":    {"digest_mismatch", func(q *guesttest.Request) { q.Raw = []byte("another") }},
			"no body": {"digest_mismatch", func(q *guesttest.Request) { q.Raw = nil }},
			"digest": {"bad_signature", func(q *guesttest.Request) {
				sum := sha512.Sum512([]byte("body"))
				q.Headers["Content-Digest"] = "sha-512=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
			}},
			"created": {"bad_signature", func(q *guesttest.Request) {
				q.Headers["Signature-Input"] = strings.Replace(q.Headers["Signature-Input"], ";created=17672256", ";created=17672255", 1)
			}},
			"a parameter": {"bad_signature", func(q *guesttest.Request) { q.Headers["Signature-Input"] += ";x" }},
			"signature": {"bad_signature", func(q *guesttest.Request) {
				q.Headers["Signature"] = "sig1=:" + base64.StdEncoding.EncodeToString(make([]byte, 64)) + ":"
			}},
			"another label": {"bad_signature_input", func(q *guesttest.Request) {
				q.Headers["Signature"] = strings.Replace(q.Headers["Signature"], "sig1", "sig2", 1)
			}},
			"no signature":  {"bad_signature_input", func(q *guesttest.Request) { delete(q.Headers, "Signature") }},
			"text":          {"bad_signature_input", func(q *guesttest.Request) { q.Headers["Signature"] = `sig1="x"` }},
			"garbage":       {"bad_signature_input", func(q *guesttest.Request) { q.Headers["Signature"] = "sig1=:x" }},
			"garbage input": {"bad_signature_input", func(q *guesttest.Request) { q.Headers["Signature-Input"] = "sig1=(" }},
			"no list":       {"bad_signature_input", func(q *guesttest.Request) { q.Headers["Signature-Input"] = "sig1=7" }},
			"many labels": {"bad_signature_input", func(q *guesttest.Request) {
				for i := range maxLabels {
					q.Headers["Signature-Input"] += ", l" + strconv.Itoa(i) + `=();keyid="x"`
				}
			}},
			"many components": {"bad_signature_input", func(q *guesttest.Request) {
				q.Headers["Signature-Input"] = "sig1=(" + strings.Repeat(`"@method" `, maxComponents+1) + ")"
			}},
		} {
			r := b.message("POST", "/p?q=1", []byte("body"))
			r.params = `;alg="` + scheme + `"`
			q := r.by(scheme, nil)
			c.tamper(&q)
			if _, err := b.AuthenticateRequest(signatureProof, "x", q); err == nil {
				t.Errorf("%s, %s: accepted", scheme, name)
			} else {
				b.wants(err, c.code)
			}
		}
		b.acceptsMessage(b.message("POST", "/p?q=1", []byte("body")).by(scheme, nil), scheme)
	}
}

func TestMessageTime(t *testing.T) {
	b := newBench(t)
	try := func(change func(r *messageRequest), code string) {
		t.Helper()
		r := b.message("GET", "/p", nil)
		change(r)
		q := r.by(schemeHMAC, nil)
		if code == "" {
			b.acceptsMessage(q, schemeHMAC)
		} else {
			b.rejectsMessage(q, code)
		}
	}
	now := b.Host.Now.Unix()
	for off, code := range map[time.Duration]string{
		10 * time.Minute: "", -10 * time.Minute: "", 601 * time.Second: "stale", -601 * time.Second: "stale", -1 << 60: "stale", 1 << 60: "stale",
	} {
		try(func(r *messageRequest) { r.created = r.created.Add(off) }, code)
	}
	for created, code := range map[string]string{"999999999999999": "stale", "-999999999999999": "stale", `"x"`: "bad_timestamp", "1.5": "bad_timestamp", "@1767225600": "bad_timestamp"} {
		try(func(r *messageRequest) { r.created, r.params = time.Time{}, ";created="+created }, code)
	}
	try(func(r *messageRequest) { r.created = time.Time{} }, "bad_timestamp")
	for expires, code := range map[string]string{
		strconv.FormatInt(now, 10): "stale", strconv.FormatInt(now-1, 10): "stale", strconv.FormatInt(now+5, 10): "", `"x"`: "bad_timestamp",
	} {
		try(func(r *messageRequest) { r.params = ";expires=" + expires }, code)
	}
	// expires makes the time shorter, never longer.
	try(func(r *messageRequest) {
		r.created, r.params = r.created.Add(-601*time.Second), ";expires="+strconv.FormatInt(now+5000, 10)
	}, "stale")
}

func TestMessageKeyIsUsedInItsOwnSchemeAlone(t *testing.T) {
	b := newBench(t)
	public := testKey.Public().(ed25519.PublicKey)
	message := func(alg string) *messageRequest {
		r := b.message("GET", "/p", nil)
		if alg != "" {
			r.params = `;alg="` + alg + `"`
		}
		return r
	}
	b.rejectsMessage(message(schemeEd25519).by(schemeEd25519, nil), "unknown_key")
	b.rejectsMessage(message("").by(schemeEd25519, nil), "bad_signature")
	b.register()
	// The public key is known to everybody.
	for _, alg := range []string{"", schemeHMAC, schemeEd25519} {
		b.rejectsMessage(message(alg).by(schemeHMAC, public), "bad_signature")
	}
	b.rejectsMessage(message(schemeEd25519).by(schemeHMAC, nil), "bad_signature")
	b.rejectsMessage(message(schemeHMAC).by(schemeEd25519, nil), "bad_signature")
	for _, alg := range []string{"rsa-pss-sha512", "none", "HMAC-SHA256"} {
		b.rejectsMessage(message(alg).by(schemeHMAC, nil), "bad_signature_input")
	}
	r := message("")
	r.params = ";alg=hmac-sha256" // a token, not a text
	b.rejectsMessage(r.by(schemeHMAC, nil), "bad_signature_input")

	r = message("")
	r.keyid = ""
	b.rejectsMessage(r.by(schemeHMAC, nil), "unknown_key")
	r.keyid = random(appIDSize)
	b.rejectsMessage(r.by(schemeHMAC, nil), "unknown_key")

	b.change(func(a *app) { a.schemes = []string{schemeEd25519} })
	b.rejectsMessage(message("").by(schemeHMAC, nil), "scheme_denied")
	b.acceptsMessage(message("").by(schemeEd25519, nil), schemeEd25519)
	b.change(func(a *app) { a.schemes = []string{schemeHMAC} })
	b.rejectsMessage(message("").by(schemeEd25519, nil), "scheme_denied")
	b.acceptsMessage(message("").by(schemeHMAC, nil), schemeHMAC)
	b.change(func(a *app) { a.revoked = 1 })
	b.rejectsMessage(message("").by(schemeHMAC, nil), "key_revoked")
}

func TestMessageKeysDuringTheGrace(t *testing.T) {
	b := newBench(t)
	b.register()
	next := ed25519.NewKeyFromSeed([]byte("thirty-two bytes for another key"))
	oldSecret, until := b.secret, b.Host.Now.Add(time.Minute)
	b.change(func(a *app) {
		a.oldSecret, a.secret, a.secretUntil = a.secret, random(secretSize), until.UnixMicro()
		a.oldKey, a.key, a.keyUntil = a.key, next.Public().(ed25519.PublicKey), until.UnixMicro()
		b.secret = a.secret
	})
	n := 0
	message := func() *messageRequest {
		r := b.message("GET", "/p", nil)
		n++
		r.params = `;nonce="` + strconv.Itoa(n) + `"`
		return r
	}
	b.acceptsMessage(message().by(schemeHMAC, []byte(oldSecret)), schemeHMAC)
	b.acceptsMessage(message().by(schemeEd25519, testKey), schemeEd25519)
	b.acceptsMessage(message().by(schemeEd25519, next), schemeEd25519)
	b.Host.Now = until
	b.rejectsMessage(message().by(schemeHMAC, []byte(oldSecret)), "bad_signature")
	b.rejectsMessage(message().by(schemeEd25519, testKey), "bad_signature")
	b.acceptsMessage(message().by(schemeHMAC, nil), schemeHMAC)
	b.acceptsMessage(message().by(schemeEd25519, next), schemeEd25519)
}

// Content-Digest: RFC 9530, B.2 and others.
func TestContentDigest(t *testing.T) {
	body := `{"hello": "world"}` + "\n"
	sum256, sum512 := sha256.Sum256([]byte(body)), sha512.Sum512([]byte(body))
	if base64.StdEncoding.EncodeToString(sum256[:]) != "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=" {
		t.Fatal("this is not the body of the RFC")
	}
	good256 := "sha-256=:" + base64.StdEncoding.EncodeToString(sum256[:]) + ":"
	good512 := "sha-512=:" + base64.StdEncoding.EncodeToString(sum512[:]) + ":"
	bad256 := "sha-256=:" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + ":"
	for header, good := range map[string]bool{
		good256: true, good512: true, good256 + ", " + good512: true, "md5=:AAAA:, " + good256: true, good256 + ";x=1": true,
		bad256: false, good512 + ", " + bad256: false, bad256 + ", " + good512: false, "": false, "md5=:AAAA:": false,
		"sha-256": false, `sha-256="x"`: false, "sha-256=::": false, "sha-256=()": false, "sha-256=:AA": false, "SHA-256=:AA:": false,
		good256[:len(good256)-3] + ":": false,
	} {
		q := guesttest.Request{Method: "POST", Path: "/", Raw: []byte(body), Headers: map[string]string{"Content-Digest": header}}
		within(t, guesttest.NewHost(t), q, func(r *guest.Request) error {
			err := checkDigest(r)
			if e, ok := isRefusal(err); (err == nil) != good || err != nil && (!ok || e.Code != "digest_mismatch") {
				t.Errorf("%q: %v, want good: %v", header, err, good)
			}
			return nil
		})
	}
}

func TestBodyThatIsAFormNeedsADigestToo(t *testing.T) {
	b := newBench(t)
	r := b.message("POST", "/p", nil)
	q := r.by(schemeHMAC, nil)
	q.Form = url.Values{"a": {"b"}}
	b.rejectsMessage(q, "component_missing")
	q.Form = url.Values{}
	b.acceptsMessage(q, schemeHMAC)
}

func TestOneOfSeveralSignaturesIsEnough(t *testing.T) {
	b := newBench(t)
	r := b.message("GET", "/p", nil)
	own := r.by(schemeHMAC, nil)
	input, sum := own.Headers["Signature-Input"], own.Headers["Signature"]
	short := `short=("@method");created=1;keyid="` + b.app + `"`
	for _, c := range []struct{ code, input, sum string }{
		{"", `proxy=("@method");created=1;keyid="proxy", ` + input, "proxy=:AAAA:, " + sum},
		{"", input + `, proxy=("@method");created=1;keyid="proxy"`, sum + ", proxy=:AAAA:"},
		{"replayed", input + `, proxy=("@method");keyid="proxy"`, sum},
		{"replayed", short + ", " + input, "short=:AAAA:, " + sum},
		{"replayed", `rsa=("@method");alg="rsa-pss-sha512";keyid="` + b.app + `", ` + input, "rsa=:AAAA:, " + sum},
		{"stale", short, "short=:AAAA:"},
		{"unknown_key", `proxy=("@method");keyid="proxy", other=();keyid="x"`, "proxy=:AAAA:, other=:AAAA:"},
		{"bad_signature_input", `proxy=("@method");keyid="proxy", other=();keyid="` + b.app + `"`, "proxy=:AAAA:"},
	} {
		q := own
		q.Headers = map[string]string{"Host": "api.example.org", "Signature-Input": c.input, "Signature": c.sum}
		if c.code == "" || c.code == "replayed" {
			b.acceptsMessage(q, schemeHMAC)
		}
		if c.code != "" {
			b.rejectsMessage(q, c.code)
		}
		within(t, b.Host, q, func(r *guest.Request) error { return forgetAll(r.KV()) })
	}
}

// A request with two signatures that hold is one request, whichever of them is
// shown again.
func TestTwoSignaturesAreOneRequest(t *testing.T) {
	b := newBench(t)
	b.register()
	request := b.message("GET", "/p", nil)
	request.params = `;alg="hmac-sha256"`
	one := request.by(schemeHMAC, nil)
	one.Headers = maps.Clone(one.Headers) // the next one has the same map
	request.params = `;alg="ed25519"`
	two := request.by(schemeEd25519, nil)
	both := one
	both.Headers = map[string]string{"Host": one.Headers["Host"]}
	for _, name := range []string{"Signature-Input", "Signature"} {
		_, second, _ := strings.Cut(two.Headers[name], "=")
		both.Headers[name] = one.Headers[name] + ", second=" + second
	}
	b.acceptsMessage(both, schemeHMAC)
	for _, q := range []guesttest.Request{both, one, two} {
		b.rejectsMessage(q, "replayed")
	}
}

// forgetAll forgets the signatures that were seen.
func forgetAll(kv *guest.KV) error {
	page, err := kv.Scan(guest.Prefix([]byte("s/")))
	for _, e := range page.Entries {
		if err == nil {
			err = kv.Delete(e.Key)
		}
	}
	return err
}

func TestMessageCountsBeforeParameters(t *testing.T) {
	b := newBench(t)
	q := b.message("POST", "/p?hash=x", nil).by(schemeHMAC, nil)
	b.acceptsMessage(q, schemeHMAC)
}

// FuzzMessage: whatever the headers say, the check refuses, and says why.
func FuzzMessage(f *testing.F) {
	f.Add(`sig1=("@method" "@target-uri" "content-digest");created=1767225600;keyid="k"`, "sig1=:AAAA:", "sha-256=:AAAA:")
	f.Add(`a=("x";bs "y";key="z" "@query-param";name="q");alg="ed25519", b=();expires=1`, "a=:AA==:, b", "sha-512=1.5")
	f.Add(`a=(1 ?1 tok @1 %"x");created=1`, `a="x"`, "")
	key := ""
	f.Fuzz(func(t *testing.T, input, sum, digest string) {
		b := newBench(t)
		b.register()
		key = b.app
		q := guesttest.Request{Method: "POST", Path: "/p?q=1", Raw: []byte("x"), Headers: map[string]string{
			"Signature-Input": strings.ReplaceAll(input, `keyid="k"`, `keyid="`+key+`"`), "Signature": sum, "Content-Digest": digest, "X": "y", "Y": "z=1",
		}}
		caller, err := b.AuthenticateRequest(signatureProof, "x", q)
		if e, ok := isRefusal(err); !ok || e.Status != 401 {
			t.Fatalf("%+v, %v", caller, err)
		}
	})
}

func hmacSHA256(text, key string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
