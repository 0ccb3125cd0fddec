package main

import (
	"bytes"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi/guesttest"
)

// The document's example of a form, with a sum that md5sum made.
func TestMD5AsDocumented(t *testing.T) {
	list := []string{"udid", "1234", "identity", "myPublicId", "description", "Traffic on I-40", "timestamp", "1246406400000", "city", "oklahoma city"}
	const secret = "asreLKJL22340ask2lazz09q4ri"
	var p parameters
	for i := 0; i < len(list); i += 2 {
		p.add([]byte(list[i]), []byte(list[i+1]))
	}
	p.sort()
	// printf '%s' 'oklahoma cityTraffic on I-40myPublicId12464064000001234asreLKJL22340ask2lazz09q4ri' | md5sum
	got := p.sum(secret, "")
	if hex.EncodeToString(got[:]) != "29f241747076822bc2348651a9d8fdfc" {
		t.Fatalf("got %x", got)
	}
}

func TestEitherNameOfTheSignature(t *testing.T) {
	b := newBench(t)
	f := b.signed("city", "a")
	f["authtoken"] = f["hash"]
	delete(f, "hash")
	b.wants(b.try(f), "")

	f = b.signed("city", "b")
	f.Set("authtoken", f.Get("hash"))
	b.wants(b.try(f), "")
	f = b.signed("city", "c")
	f.Set("authtoken", strings.ToUpper(f.Get("hash")))
	b.wants(b.try(f), "")
	f = b.signed("city", "d")
	f.Set("authtoken", "") // a field of the form that nobody filled in
	b.wants(b.try(f), "")

	f = b.signed("city", "e")
	f.Set("authtoken", strings.Repeat("0", 32))
	err := b.try(f)
	b.wants(err, "bad_signature", f.Get("hash"))
	if !strings.Contains(err.Error(), "differ") {
		t.Errorf("%v\nwant it to say that the two differ", err)
	}
	f = b.signed("city", "f")
	f.Add("hash", strings.Repeat("0", 32))
	b.wants(b.try(f), "bad_signature")
}

func TestEitherUnitOfTheTime(t *testing.T) {
	b := newBench(t)
	b.wants(b.try(b.signed("timestamp", b.millis())), "")
	b.wants(b.try(b.signed("timestamp", b.millis()[:10])), "")
	for n, unit := range map[int64]int64{1: 1e6, 1e11 - 1: 1e6, 1e11: 1e3, 1767225600000: 1e3} {
		if timeUnit(n) != unit {
			t.Errorf("%d is in units of %d µs, want %d", n, timeUnit(n), unit)
		}
	}
	// What the PHP sample sends in February at minute 59: the month in place of
	// the minutes, so 57 minutes off. It is not made up for.
	b.wants(b.try(b.signed("timestamp", "1767222180")), "stale")
}

func TestReferrerIsSignedOrLeftOut(t *testing.T) {
	b := newBench(t)
	sign := func(without ...string) url.Values {
		f := b.signed("city", "x", "referrer", "yes", "udid", random(8))
		f.Set("hash", hash(f, b.secret, without...))
		return f
	}
	b.wants(b.try(sign()), "")
	left := sign("referrer")
	b.wants(b.try(left), "")
	left.Set("referrer", "no")
	b.wants(b.try(left), "replayed")
	for _, name := range []string{"city", "udid", "identity", "timestamp"} {
		b.wants(b.try(sign(name)), "bad_signature")
		b.wants(b.try(sign("referrer", name)), "bad_signature")
	}
}

func TestEveryParameterIsSigned(t *testing.T) {
	b := newBench(t)
	for name, params := range map[string][]string{
		"a submit button with a name": {"submit", "Send"},
		"an empty value":              {"description", "", "city", "x"},
		"non-ASCII":                   {"description", "Überfall – 東京 🚓", "städt", "ö", "z", "é"},
		"what is escaped":             {"description", "100% + 1&2=3;4/5?6#7", "a b", "c+d", "e%20f", "%2B"},
		"control characters":          {"description", "one\r\ntwo\tthree\x00four"},
		"upper and lower case":        {"Zip", "1", "abc", "2", "ZIP", "3", "zip", "4", "_", "5"},
		"a long value":                {"description", strings.Repeat("long ", 20000)},
	} {
		f := b.signed(params...)
		if err := b.try(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Values of one name, in their order, those of the query first.
	f := url.Values{"tag": {"b", "a", "", "c"}, "identity": {b.app}, "timestamp": {b.millis()}}
	f.Set("hash", hash(f, b.secret))
	b.wants(b.try(f), "")
	f["tag"] = []string{"a", "b", "", "c"}
	b.wants(b.try(f), "bad_signature")

	both := url.Values{"tag": {"q1", "q2", "f1"}, "identity": {b.app}, "timestamp": {b.millis()}}
	sum := hash(both, b.secret)
	send := func(path string, form url.Values) error {
		_, err := b.AuthenticateRequest(signatureProof, sum, guesttest.Request{Method: "POST", Path: path, Form: form})
		return err
	}
	rest := url.Values{"tag": {"f1"}, "timestamp": {b.millis()}, "hash": {sum}}
	b.wants(send("/1.0/posts?tag=q2&tag=q1&identity="+b.app, rest), "bad_signature")
	b.wants(send("/1.0/posts?tag=q1&identity="+b.app+"&tag=q2", rest), "")
}

func TestBodyThatIsNoFormIsNotSigned(t *testing.T) {
	b := newBench(t)
	send := func(q guesttest.Request) error {
		q.Method, q.Path = "POST", "/1.0/posts?"+b.signed("udid", random(8)).Encode()
		_, err := b.AuthenticateRequest(signatureProof, "x", q)
		return err
	}
	b.wants(send(guesttest.Request{JSON: `{"city":"x"}`}), "body_not_covered")
	b.wants(send(guesttest.Request{Raw: []byte("x")}), "body_not_covered")
	b.wants(send(guesttest.Request{Raw: []byte{}}), "")
	b.wants(send(guesttest.Request{}), "")
	b.wants(send(guesttest.Request{Form: url.Values{}}), "")
}

// FuzzParameters: the sum never depends on the order of parameters with different
// names, and always on every value.
func FuzzParameters(f *testing.F) {
	f.Add("a\x00b\x00c\x00d\x00hash\x00x", "secret", uint8(1))
	f.Add("referrer\x00yes\x00timestamp\x0012\x00identity\x00\x00authtoken\x00", "", uint8(7))
	f.Add(strings.Repeat("b\x00x\x00a\x00y\x00", 20)+"c\x00z", "secret", uint8(2))
	f.Fuzz(func(t *testing.T, text, secret string, turn uint8) {
		fields := strings.Split(text, "\x00")
		if len(fields) > 100 {
			fields = fields[:100]
		}
		var pairs [][2]string
		seen := map[string]bool{}
		for i := 0; i+1 < len(fields); i += 2 {
			if !seen[fields[i]] {
				seen[fields[i]] = true
				pairs = append(pairs, [2]string{fields[i], fields[i+1]})
			}
		}
		read := func(pairs [][2]string) *parameters {
			p := &parameters{}
			for _, pair := range pairs {
				p.add([]byte(pair[0]), []byte(pair[1]))
			}
			p.sort()
			return p
		}
		var all [][2]string // also of one name
		var sorted []param
		for i := 0; i+1 < len(fields); i += 2 {
			all = append(all, [2]string{fields[i], fields[i+1]})
			if fields[i] != hashParam && fields[i] != authtokenParam {
				sorted = append(sorted, param{[]byte(fields[i]), []byte(fields[i+1])})
			}
		}
		slices.SortStableFunc(sorted, byName)
		if !slices.EqualFunc(read(all).list, sorted, func(a, b param) bool {
			return bytes.Equal(a.name, b.name) && bytes.Equal(a.value, b.value)
		}) {
			t.Fatal("parameters are not in the order of their names")
		}
		want := read(pairs).sum(secret, "")
		if len(pairs) == 0 {
			return
		}
		n := int(turn) % len(pairs)
		other := read(append(slices.Clone(pairs[n:]), pairs[:n]...))
		if got := other.sum(secret, ""); got != want || secret != "" && !other.signedWith(secret, want[:]) {
			t.Fatalf("another order: %x, want %x", got, want)
		}
		if name := pairs[n][0]; name != hashParam && name != authtokenParam {
			pairs[n][1] += "x"
			if got := read(pairs).sum(secret, ""); bytes.Equal(got[:], want[:]) {
				t.Fatalf("another value of %q, and the same sum", name)
			}
		}
	})
}
