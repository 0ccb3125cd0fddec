package main

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// owned is a bench whose application belongs to the account that calls.
func owned(t *testing.T) (*bench, abi.Caller) {
	b := newBench(t)
	owner := b.create("ann", "correct horse")
	_, ann := b.session("ann", "correct horse", "phone")
	b.change(func(a *app) { a.owner = owner })
	return b, ann
}

// verify sends a form to be looked at. What is told has neither the secret nor a
// signature that was not sent.
func (b *bench) verify(caller abi.Caller, form url.Values) *guesttest.Response {
	b.t.Helper()
	entries := b.dump()
	r := b.send(guesttest.Request{Method: "POST", Path: "/1.0/signing/verify", Form: form, Caller: &caller})
	b.tellsNoSecret(r, hash(form, b.secret), form.Get("hash")+form.Get("authtoken"))
	if b.dump() != entries {
		b.t.Errorf("%v\nwrote something", r)
	}
	return r
}

func (b *bench) tellsNoSecret(r *guesttest.Response, right, sent string) {
	b.t.Helper()
	if strings.Contains(r.String(), b.secret) {
		b.t.Fatalf("%v\ntells the secret", r)
	}
	if !strings.Contains(sent, right) && strings.Contains(r.String(), right) {
		b.t.Fatalf("%v\ntells what the signature should be", r)
	}
}

// step returns the number of a step in a reply.
func step(name string) string {
	for i, s := range steps {
		if s.name == name {
			return "steps." + string(rune('0'+i)) + "."
		}
	}
	return "none"
}

func TestVerifyTellsOfEveryStep(t *testing.T) {
	b, ann := owned(t)
	f := b.signed("city", "oklahoma city", "tag", "a")
	f["tag"] = []string{"b", "a"}
	f.Set("hash", hash(f, b.secret))
	r := b.verify(ann, f)
	if r.Status != 200 || r.Field("valid") != true || r.Text("scheme") != "md5" || r.Field("failed") != nil ||
		len(r.Field("steps").([]any)) != len(steps) || len(r.Field("hints").([]any)) != 0 ||
		r.Text(step("identity")+"received") != b.app ||
		r.Text(step("application")+"name") != "Test app" || r.Text(step("application")+"state") != "active" ||
		r.Text(step("timestamp")+"received") != b.millis() || r.Text(step("timestamp")+"unit") != "ms" ||
		r.Text(step("timestamp")+"server_time") != b.millis() || r.Text(step("timestamp")+"age") != "0" || r.Text(step("timestamp")+"window") != "600" ||
		r.Text(step("coverage")+"body") != "form" ||
		r.Text(step("signature")+"signed") != "oklahoma city"+b.app+"ba"+b.millis()+"{secret}" ||
		r.Text(step("signature")+"parameters.2.name") != "tag" || r.Text(step("signature")+"parameters.2.value") != "b" ||
		r.Text(step("signature")+"received") != f.Get("hash") {
		t.Fatal(r)
	}
	for i, s := range steps {
		if at := "steps." + string(rune('0'+i)) + "."; r.Text(at+"step") != s.name || r.Field(at+"ok") != true {
			t.Errorf("%v\nwant step %s to be fine", r, s.name)
		}
	}
	// It was not used up; when it is, that is told.
	b.wants(b.try(f), "")
	r = b.verify(ann, f)
	if r.Field("valid") != false || r.Text("failed") != "replay" || r.Text(step("replay")+"code") != "replayed" || r.Field(step("signature")+"ok") != true {
		t.Fatal(r)
	}
}

func TestVerifyGoesOnAfterWhatFails(t *testing.T) {
	b, ann := owned(t)
	b.change(func(a *app) {
		a.schemes, a.families, a.origins = []string{schemeHMAC}, []string{"/1.0"}, []string{"https://example.org"}
	})
	f := b.signed("city", "x", "timestamp", b.millis()[:9])
	f.Set("hash", strings.Repeat("0", 32))
	r := b.verify(ann, f)
	if r.Field("valid") != false || r.Text("failed") != "application" || r.Text(step("application")+"code") != "scheme_denied" ||
		r.Text(step("application")+"schemes.0") != schemeHMAC || r.Text(step("application")+"families.0") != "/1.0" ||
		r.Text(step("application")+"origins.0") != "https://example.org" ||
		r.Text(step("timestamp")+"code") != "stale" || r.Text(step("timestamp")+"unit") != "s" ||
		r.Text(step("signature")+"code") != "bad_signature" {
		t.Fatal(r)
	}
	b.change(func(a *app) { a.schemes, a.revoked = nil, 1 })
	if r = b.verify(ann, f); r.Text(step("application")+"code") != "key_revoked" || r.Text(step("application")+"state") != "revoked" {
		t.Fatal(r)
	}
	f.Del("identity")
	if r = b.verify(ann, f); r.Text("failed") != "identity" || r.Text("steps.0.code") != "unknown_key" || len(r.Field("steps").([]any)) != 1 {
		t.Fatal(r)
	}
	r = b.send(guesttest.Request{Method: "POST", Path: "/1.0/signing/verify?" + b.signed().Encode(), JSON: `{"a":1}`, Caller: &ann})
	if r.Text(step("coverage")+"code") != "body_not_covered" || r.Text(step("coverage")+"body") != "JSON" {
		t.Fatal(r)
	}
}

func TestVerifyIsForTheOwnerAlone(t *testing.T) {
	b, ann := owned(t)
	b.create("bob", "correct horse")
	_, bob := b.session("bob", "correct horse", "phone")
	f := b.signed("city", "x")
	unknown := b.verify(bob, b.signed("city", "x", "identity", random(appIDSize)))
	foreign := b.verify(bob, f)
	b.refused(foreign, 404, "not_found")
	if foreign.String() != unknown.String() {
		t.Errorf("%v\nis told from\n%v", foreign, unknown)
	}
	// Also if the headers of RFC 9421 are wrong in all ways.
	for _, input := range []string{`a=("@method");created=1`, `a=("@method")`, `a=("@status" "X");alg="x"`, `a=()`} {
		var answers []string
		for _, id := range []string{b.app, random(appIDSize)} {
			r := b.send(guesttest.Request{Method: "POST", Path: "/1.0/signing/verify", Caller: &bob,
				Headers: map[string]string{"Signature-Input": input + `;keyid="` + id + `"`, "Signature": "a=:AAAA:"}})
			answers = append(answers, r.String())
		}
		if answers[0] != answers[1] {
			t.Errorf("%s is told from\n%s", answers[0], answers[1])
		}
	}
	b.refused(b.verify(nobody, f), 401, "unauthenticated")
	b.refused(b.verify(abi.Caller{App: b.app, Proof: signatureProof}, f), 401, "unauthenticated")
	b.change(func(a *app) { a.owner = "" })
	b.refused(b.verify(ann, f), 404, "not_found")
	b.refused(b.verify(abi.Caller{Proof: tokenProof}, f), 404, "not_found")
}

func TestVerifyFindsTheMistake(t *testing.T) {
	b, ann := owned(t)
	b.change(func(a *app) { a.oldSecret = random(secretSize) })
	var old string
	b.change(func(a *app) { old = a.oldSecret })
	md5of := func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }
	f := url.Values{"identity": {b.app}, "timestamp": {b.millis()}, "Zip": {"73100"}, "city": {"ölahoma & city"}, "note": {"one\r\ntwo "}, "referrer": {"yes"}}
	// In the order of the names: Zip city identity note referrer timestamp.
	id, at := b.app, b.millis()
	escaped := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	for hint, sum := range map[string]string{
		"without regard to case":      md5of("ölahoma & city" + id + "one\r\ntwo yes" + at + "73100" + b.secret),
		"joined by &; only":           md5of("Zip=73100&city=ölahoma & city&identity=" + id + "&note=one\r\ntwo &referrer=yes&timestamp=" + at + b.secret),
		"name=value run together":     md5of("Zip=73100city=ölahoma & cityidentity=" + id + "note=one\r\ntwo referrer=yestimestamp=" + at + b.secret),
		"run together with":           md5of("Zip73100cityölahoma & cityidentity" + id + "noteone\r\ntwo referreryestimestamp" + at + b.secret),
		"joined by &; nothing":        md5of("73100&ölahoma & city&" + id + "&one\r\ntwo &yes&" + at + b.secret),
		"+ for a space":               md5of("73100" + url.QueryEscape("ölahoma & city") + id + url.QueryEscape("one\r\ntwo ") + "yes" + at + b.secret),
		"%20 for a space":             md5of("73100" + escaped("ölahoma & city") + id + escaped("one\r\ntwo ") + "yes" + at + b.secret),
		"Latin-1":                     md5of("73100\xf6lahoma & city" + id + "one\r\ntwo yes" + at + b.secret),
		"line ends":                   md5of("73100ölahoma & city" + id + "one\ntwo yes" + at + b.secret),
		"without the space":           md5of("73100ölahoma & city" + id + "one\r\ntwoyes" + at + b.secret),
		"secret stands in front":      md5of(b.secret + "73100ölahoma & city" + id + "one\r\ntwo yes" + at),
		"secret is left out":          md5of("73100ölahoma & city" + id + "one\r\ntwo yes" + at),
		"public id is taken":          md5of("73100ölahoma & city" + id + "one\r\ntwo yes" + at + id),
		"last rotation":               md5of("73100ölahoma & city" + id + "one\r\ntwo yes" + at + old),
		`"city" is left out`:          md5of("73100" + id + "one\r\ntwo yes" + at + b.secret),
		`"note" is left out, and`:     md5of("73100ölahoma & city" + id + at + b.secret),
		"HMAC":                        hmacMD5("73100ölahoma & city"+id+"one\r\ntwo yes"+at, b.secret),
		"HMAC; it must just":          hmacMD5("73100ölahoma & city"+id+"one\r\ntwo yes"+at, b.secret),
		"signature itself is signed":  md5of("Zip=73100&city=ölahoma & city&hash=&identity=" + id + "&note=one\r\ntwo &referrer=yes&timestamp=" + at + b.secret),
		"None of the common mistakes": md5of("x"),
		"as long as a SHA-1":          strings.Repeat("0", 40),
		"as long as a SHA-256":        strings.Repeat("0", 64),
		"MD5 in base64":               base64.StdEncoding.EncodeToString(make([]byte, 16)),
	} {
		f.Set("hash", sum)
		r := b.verify(ann, f)
		if r.Text("failed") != "signature" || !strings.Contains(r.Text("hints.0"), hint) || strings.Contains(r.String(), old) {
			t.Errorf("%q: got %v", hint, r.Field("hints"))
		}
	}
	// In the order in which they were sent.
	send := func(query string) *guesttest.Response {
		return b.send(guesttest.Request{Method: "POST", Path: "/1.0/signing/verify?" + query, Caller: &ann})
	}
	r := send("udid=1&timestamp=" + at + "&identity=" + id + "&hash=" + md5of("1"+at+id+b.secret))
	if !strings.Contains(r.Text("hints.0"), "in the order in which they were sent") {
		t.Error(r)
	}
	// The token of who asks is not a part of what they ask about.
	r = send("udid=1&oauth_token=A_token&timestamp=" + at + "&identity=" + id + "&hash=" + md5of(id+at+"1"+b.secret))
	if r.Field("valid") != true || strings.Contains(r.String(), "A_token") {
		t.Error(r)
	}
	r = send("udid=1&oauth_token=A_token&timestamp=" + at + "&identity=" + id + "&hash=" + md5of("1"+at+id+b.secret))
	if !strings.Contains(r.Text("hints.0"), "in the order in which they were sent") || strings.Contains(r.String(), "A_token") {
		t.Error(r)
	}
	// Two mistakes at once are not looked for among many parameters.
	many := url.Values{"identity": {id}, "timestamp": {at}}
	for i := range maxPairNames {
		many.Set(fmt.Sprintf("p%03d", i), "")
	}
	many.Set("hash", hmacMD5(id, b.secret))
	if r := b.verify(ann, many); r.Text("failed") != "signature" || r.Text("hints.0") != "" {
		t.Error(r)
	}
	r = b.send(guesttest.Request{Method: "POST", Path: "/1.0/signing/verify?token=1", Caller: &ann, Form: url.Values{
		"identity": {id}, "timestamp": {at}, "hash": {md5of(id + at + b.secret)}}})
	if !strings.Contains(r.Text("hints.0"), `parameters of the query are left out`) && !strings.Contains(r.Text("hints.0"), `"token" is left out`) {
		t.Error(r)
	}
}

func hmacMD5(text, key string) string {
	mac := hmac.New(md5.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestVerifyHidesASecretThatIsSent(t *testing.T) {
	b, ann := owned(t)
	f := b.signed("secret", b.secret, b.secret, "x")
	r := b.verify(ann, f)
	if !strings.Contains(r.String(), "{secret}") {
		t.Error(r)
	}
	f.Set("hash", b.secret)
	f.Set("identity", b.app)
	r = b.verify(ann, f)
	if r.Text("failed") != "signature" || !strings.Contains(r.Text("hints.0"), "Nobody must see it") {
		t.Error(r)
	}
	f.Set("timestamp", b.secret)
	b.verify(ann, f)
}

func TestVerifyBoundsWhatItShows(t *testing.T) {
	b, ann := owned(t)
	f := b.signed()
	for range 3 * maxShownParams {
		f.Add(random(4), strings.Repeat("ö", maxShown))
	}
	r := b.verify(ann, f)
	if n := len(r.String()); r.Text("failed") != "signature" || n > (maxShownParams+4)*(maxShown+100)*3 {
		t.Errorf("%d bytes: %.300s", n, r)
	}
}

func (b *bench) verifyMessage(caller abi.Caller, q guesttest.Request) *guesttest.Response {
	b.t.Helper()
	q.Caller = &caller
	r := b.send(q)
	if strings.Contains(r.String(), b.secret) {
		b.t.Fatalf("%v\ntells the secret", r)
	}
	return r
}

// verifiable is a message that is sent to be looked at.
func (b *bench) verifiable(body []byte) *messageRequest {
	r := b.message("POST", "/1.0/signing/verify", body)
	r.lines[3] = "http://edge.test/1.0/signing/verify"
	return r
}

func TestVerifyOfMessages(t *testing.T) {
	b, ann := owned(t)
	b.register()
	for _, scheme := range []string{schemeHMAC, schemeEd25519} {
		r := b.verifyMessage(ann, b.verifiable([]byte("body")).by(scheme, nil))
		if r.Field("valid") != true || r.Text("scheme") != scheme || r.Text(step("identity")+"label") != "sig1" ||
			r.Text(step("coverage")+"components.0") != `"@method"` ||
			!strings.HasPrefix(r.Text(step("coverage")+"computed_digest"), r.Text(step("coverage")+"content_digest")) ||
			!strings.HasPrefix(r.Text(step("signature")+"signed"), `"@method": POST`+"\n"+`"@target-uri": http://edge.test/1.0/signing/verify`+"\n") {
			t.Fatal(r)
		}
	}
	q := b.verifiable([]byte("body")).by(schemeHMAC, nil)
	q.Raw = []byte("another")
	r := b.verifyMessage(ann, q)
	if r.Text("failed") != "coverage" || r.Text(step("coverage")+"code") != "digest_mismatch" || r.Field(step("signature")+"ok") != true {
		t.Fatal(r)
	}
	m := b.verifiable(nil)
	m.lines = []string{`"@method"`, "POST", `"@status"`, "200"}
	if r = b.verifyMessage(ann, m.by(schemeHMAC, nil)); r.Text("failed") != "coverage" || r.Text(step("signature")+"code") != "unsupported_component" {
		t.Fatal(r)
	}
	m = b.verifiable(nil)
	m.params = ";expires=1"
	if r = b.verifyMessage(ann, m.by(schemeHMAC, nil)); r.Text("failed") != "timestamp" || r.Text(step("timestamp")+"expires") != "1" {
		t.Fatal(r)
	}
	r = b.send(guesttest.Request{Method: "POST", Path: "/1.0/signing/verify", Caller: &ann, Headers: map[string]string{"Signature-Input": "x"}})
	if r.Text("failed") != "identity" || r.Text("steps.0.code") != "bad_signature_input" {
		t.Fatal(r)
	}
	// The secret in a header that is signed.
	m = b.verifiable(nil)
	m.lines = append(m.lines, `"x"`, b.secret)
	q = m.by(schemeHMAC, nil)
	q.Headers["X"] = b.secret
	if r = b.verifyMessage(ann, q); r.Field("valid") != true {
		t.Fatal(r)
	}
}

func TestVerifyFindsTheMistakeOfAMessage(t *testing.T) {
	b, ann := owned(t)
	for hint, change := range map[string]func(m *messageRequest){
		"small letters":     func(m *messageRequest) { m.lines[1] = "post" },
		"scheme of the URL": func(m *messageRequest) { m.lines[3] = strings.Replace(m.lines[3], "http", "https", 1) },
		"line by line":      func(m *messageRequest) { m.lines[3] += "x" },
		"question mark": func(m *messageRequest) {
			m.lines = append(m.lines, `"@query"`, "a=b")
			m.q.Path, m.lines[3] = m.q.Path+"?a=b", m.lines[3]+"?a=b"
		},
	} {
		m := b.verifiable(nil)
		change(m)
		r := b.verifyMessage(ann, m.by(schemeHMAC, nil))
		if r.Text("failed") != "signature" || !strings.Contains(r.Text("hints.0"), hint) {
			t.Errorf("%s: %v", hint, r)
		}
	}
	sign := func(edit func(base string) string, encode func(sum []byte) []byte, input string) guesttest.Request {
		q := b.verifiable(nil).by(schemeHMAC, nil)
		if input != "" {
			q.Headers["Signature-Input"] = strings.Replace(q.Headers["Signature-Input"], ";created", input, 1)
		}
		base := `"@method": POST` + "\n" + `"@target-uri": http://edge.test/1.0/signing/verify` + "\n" +
			`"@signature-params": ` + strings.TrimPrefix(q.Headers["Signature-Input"], "sig1=")
		q.Headers["Signature"] = "sig1=:" + base64.StdEncoding.EncodeToString(encode(hmacSHA256(edit(base), b.secret))) + ":"
		return q
	}
	same := func(b string) string { return b }
	raw := func(b []byte) []byte { return b }
	for hint, q := range map[string]guesttest.Request{
		"line end follows": sign(func(s string) string { return s + "\n" }, raw, ""),
		"CR and LF":        sign(func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }, raw, ""),
		"as it was sent":   sign(same, raw, "; created"),
		"hexadecimal":      sign(same, func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }, ""),
		"left out": sign(func(s string) string {
			return s[:strings.Index(s, "\n\"@signature-params")]
		}, raw, ""),
	} {
		r := b.verifyMessage(ann, q)
		if r.Text("failed") != "signature" || !strings.Contains(r.Text("hints.0"), hint) {
			t.Errorf("%s: %v", hint, r)
		}
	}
	m := b.verifiable(nil)
	key, err := base64.StdEncoding.DecodeString(b.secret)
	if err != nil {
		t.Fatal(err)
	}
	if r := b.verifyMessage(ann, m.by(schemeHMAC, key)); !strings.Contains(r.Text("hints.0"), "decoded as base64") {
		t.Error(r)
	}
}
