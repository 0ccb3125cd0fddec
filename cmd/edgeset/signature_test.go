package main_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remitly-oss/httpsig-go"
)

const whoami = "/1.0/signing/whoami"

// A signer is an application that signs requests.
type signer struct {
	*client
	id, secret string
	key        ed25519.PrivateKey
}

// newSigner makes an application; owner is the account that may see to it, "" for
// nobody.
func (s *server) newSigner(owner string) *signer {
	s.t.Helper()
	key := ed25519.NewKeyFromSeed([]byte("thirty-two bytes for a test key."))
	r := s.manage("create", "--name", "Signer", "--owner", owner,
		"--ed25519-key", base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
	a := &signer{client: s.client(), id: r.text("id"), secret: r.text("secret"), key: key}
	if a.id == "" || a.secret == "" {
		s.fatalf("%v\nwant an id and a secret", r)
	}
	return a
}

// signed returns parameters, given as name and value in turn, with a signature as
// the document has it.
func (a *signer) signed(params ...string) url.Values {
	f := url.Values{"identity": {a.id}, "timestamp": {strconv.FormatInt(time.Now().UnixMilli(), 10)}}
	for i := 0; i < len(params); i += 2 {
		f.Add(params[i], params[i+1])
	}
	var names []string
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	var text string
	for _, name := range names {
		text += strings.Join(f[name], "")
	}
	sum := md5.Sum([]byte(text + a.secret))
	f.Set("hash", hex.EncodeToString(sum[:]))
	return f
}

// submit posts a form.
func (a *signer) submit(path string, form url.Values) (reply, error) {
	req, err := http.NewRequest("POST", "http://"+a.server.listen+path, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.send(req)
}

func (a *signer) post(path string, form url.Values) reply {
	a.t.Helper()
	r, err := a.submit(path, form)
	if err != nil {
		a.fatalf("%v", err)
	}
	return r
}

// accepted wants the server to know the application.
func (a *signer) accepted(r reply, scheme string) {
	a.t.Helper()
	if r.status != 200 || r.text("proof") != "signature" || r.text("scheme") != scheme || r.text("application") != a.id || r.at("account") != nil {
		a.fatalf("%v\nwant %s by %s", r, scheme, a.id)
	}
}

// refused wants a refusal in the form of /1.0.
func (a *signer) refused(r reply, status int, code string) {
	a.t.Helper()
	if r.status != status || r.int("error.status") != int64(status) || r.text("error.code") != code || r.text("error.message") == "" ||
		r.text("error.documentation") != "/1.0/signing" {
		a.fatalf("%v\nwant %d %s", r, status, code)
	}
}

// sample has a sample of the document sign and send a form, and returns the fields
// it has sent and the answer.
func (a *signer) sample(t *testing.T, encoding string, fields map[string]string, program ...string) (url.Values, reply) {
	t.Helper()
	if _, err := exec.LookPath(program[0]); err != nil {
		if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed, and EDGESET_REQUIRE_TOOLS is not set", program[0])
	}
	in, err := json.Marshal(map[string]any{"fields": fields, "secret": a.secret, "identity": a.id, "udid": "1234 é"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program[0], append(program[1:], "http://"+a.server.listen+whoami, encoding)...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(append(in, '\n')), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	var answer struct {
		Fields map[string]string
		Status int
		Body   string
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	sent := url.Values{}
	for name, value := range answer.Fields {
		sent.Set(name, value)
	}
	r := reply{what: cmd.String(), status: answer.Status, raw: []byte(answer.Body)}
	if err := json.Unmarshal(r.raw, &r.doc); err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return sent, r
}

func TestSamplesOfTheDocument(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	a := s.newSigner("")
	for name, program := range map[string][]string{
		"JavaScript": {"node", "testdata/samples/form.js"},
		"PHP":        {"php", "testdata/samples/myFormHandler.php"},
	} {
		for _, encoding := range []string{"urlencoded", "multipart"} {
			t.Run(name+" "+encoding, func(t *testing.T) {
				a := &signer{a.in(t), a.id, a.secret, a.key}
				for _, fields := range []map[string]string{
					// In PHP, two equal ones of the same second would have the same
					// signature.
					{"city": "oklahoma city", "description": "An accident, " + encoding},
					{"city": "", "description": "100% + Überfall & 東京 🚓 " + encoding, "referrer": "yes"},
				} {
					if name == "JavaScript" {
						fields["identity"], fields["udid"] = a.id, "1234"
					}
					sent, r := a.sample(t, encoding, fields, program...)
					a.accepted(r, "md5")
					a.refused(a.post(whoami, sent), 401, "replayed")
					sent.Set("city", "another")
					a.refused(a.post(whoami, sent), 401, "bad_signature")
				}
			})
		}
	}
}

func TestSignedParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	a := s.newSigner("")
	a.accepted(a.post(whoami, a.signed("city", "oklahoma city", "tag", "b", "tag", "a", "empty", "")), "md5")
	// In the query, of a request that only reads.
	f := a.signed("q", "%23 + 東京")
	a.accepted(a.do("GET", whoami+"?"+f.Encode(), nil), "md5")
	a.refused(a.do("GET", whoami+"?"+f.Encode(), nil), 401, "replayed")
	// With a body that is not signed.
	a.refused(a.do("POST", whoami+"?"+a.signed().Encode(), `{"city":"x"}`), 401, "body_not_covered")

	a.accepted(a.post(whoami, a.signed("identity", "x")), "md5") // the first one counts, both are signed
	f = a.signed("city", "x")
	f.Set("hash", strings.Repeat("0", 32))
	a.refused(a.post(whoami, f), 401, "bad_signature")
	f.Set("timestamp", "1246406400000")
	a.refused(a.post(whoami, f), 401, "stale")
	f.Set("identity", "nobody")
	a.refused(a.post(whoami, f), 401, "unknown_key")

	// After a rotation both secrets are good, and with no grace the new one alone.
	old := a.secret
	a.secret = s.manage("rotate", "--id", a.id).text("secret")
	before := &signer{a.client, a.id, old, a.key}
	a.accepted(a.post(whoami, a.signed("n", "1")), "md5")
	a.accepted(a.post(whoami, before.signed("n", "2")), "md5")
	before.secret = a.secret
	a.secret = s.manage("rotate", "--id", a.id, "--grace", "0").text("secret")
	a.accepted(a.post(whoami, a.signed("n", "3")), "md5")
	a.refused(a.post(whoami, before.signed("n", "4")), 401, "bad_signature")
	f = a.signed("n", "5")
	s.manage("revoke", "--id", a.id)
	a.refused(a.post(whoami, f), 401, "key_revoked")
}

// message returns a request that another implementation of RFC 9421 has signed.
func (a *signer) message(alg httpsig.Algorithm, method, path, contentType, body string) *http.Request {
	a.t.Helper()
	req, err := http.NewRequest(method, "http://"+a.server.listen+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	fields := []string{"@method", "@authority", "@path", "@query"}
	if body != "" {
		req.Header.Set("Content-Type", contentType)
		fields = append(fields, "content-digest", "content-type")
	}
	err = httpsig.Sign(req, httpsig.SigningProfile{
		Algorithm: alg, Digest: httpsig.DigestSHA512, Fields: httpsig.Fields(fields...),
		Metadata: []httpsig.Metadata{httpsig.MetaCreated, httpsig.MetaKeyID, httpsig.MetaNonce, httpsig.MetaAlgorithm},
	}, httpsig.SigningKey{Key: a.key, Secret: []byte(a.secret), MetaKeyID: a.id})
	if err != nil {
		a.t.Fatal(err)
	}
	return req
}

// transmit sends a request that can be sent again.
func (a *signer) transmit(req *http.Request) reply {
	a.t.Helper()
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			a.t.Fatal(err)
		}
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r, err := a.send(req)
	if err != nil {
		a.fatalf("%v", err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

func TestSignedMessages(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	a := s.newSigner("")
	for _, alg := range []httpsig.Algorithm{httpsig.Algo_HMAC_SHA256, httpsig.Algo_ED25519} {
		for _, c := range []struct{ method, path, contentType, body string }{
			{"GET", whoami, "", ""},
			{"GET", whoami + "?a=b&c=%20d+e", "", ""},
			{"POST", whoami, "", ""},
			{"POST", whoami, "application/json", `{"city": "oklahoma city"}`},
			{"POST", whoami + "?q=1", "application/x-www-form-urlencoded", "city=oklahoma+city&hash=x"},
			{"POST", whoami, "application/octet-stream", "\x00\xff"},
		} {
			req := a.message(alg, c.method, c.path, c.contentType, c.body)
			a.accepted(a.transmit(req), string(alg))
			a.refused(a.transmit(req), 401, "replayed")

			req = a.message(alg, c.method, c.path, c.contentType, c.body)
			req.URL.RawQuery = "another"
			a.refused(a.transmit(req), 401, "bad_signature")
			if c.body != "" {
				req = a.message(alg, c.method, c.path, c.contentType, c.body)
				req.Body, req.ContentLength = io.NopCloser(strings.NewReader(c.body+" ")), int64(len(c.body)+1)
				if c.contentType == "application/json" || c.contentType == "application/octet-stream" {
					a.refused(a.transmit(req), 401, "digest_mismatch")
				}
			}
		}
		// As HEAD, which the plugin answers as GET.
		req := a.message(alg, "HEAD", whoami, "", "")
		if r := a.transmit(req); r.status != 200 {
			t.Errorf("%v\nwant 200", r)
		}
		req = a.message(alg, "GET", whoami, "", "")
		req.Method = "HEAD"
		if r := a.transmit(req); r.status != 401 {
			t.Errorf("%v\nwant 401", r)
		}
	}
	s.manage("update", "--id", a.id, "--schemes", "ed25519")
	a.refused(a.transmit(a.message(httpsig.Algo_HMAC_SHA256, "GET", whoami, "", "")), 403, "scheme_denied")
	a.refused(a.post(whoami, a.signed()), 403, "scheme_denied")
	a.accepted(a.transmit(a.message(httpsig.Algo_ED25519, "GET", whoami, "", "")), "ed25519")
}

func TestReplayIsRefusedAfterAKill(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	a := s.newSigner("")
	form := a.signed("city", "oklahoma city")
	req := a.message(httpsig.Algo_HMAC_SHA256, "POST", whoami, "text/plain", "body")
	a.accepted(a.post(whoami, form), "md5")
	a.accepted(a.transmit(req), "hmac-sha256")
	for range 2 {
		s.kill()
		s.start()
		a.refused(a.post(whoami, form), 401, "replayed")
		a.refused(a.transmit(req), 401, "replayed")
	}
	a.accepted(a.post(whoami, a.signed("city", "another")), "md5")
}

func TestOneOfManyAtOnceIsAccepted(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	a := s.newSigner("")
	const many = 16
	for round := range 20 {
		form := a.signed("round", strconv.Itoa(round))
		var replies [many]reply
		var errs [many]error
		var wait sync.WaitGroup
		for i := range many {
			wait.Go(func() { replies[i], errs[i] = a.submit(whoami, form) })
		}
		wait.Wait()
		accepted := 0
		for i, r := range replies {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			if r.status == 200 {
				accepted++
			} else {
				a.refused(r, 401, "replayed")
			}
		}
		if accepted != 1 {
			t.Fatalf("round %d: %d of %d were accepted, want 1", round, accepted, many)
		}
	}
}

func TestVerifyExplains(t *testing.T) {
	t.Parallel()
	const verify = "/1.0/signing/verify"
	s := newServer(t, "")
	key := s.newApp()
	account := s.client().newAccount(key)
	a := s.newSigner(account.id)
	owner := &signer{s.client().login(account, "phone"), a.id, a.secret, a.key}
	stranger := &signer{s.client().newUser(key), a.id, a.secret, a.key}

	form := a.signed("city", "oklahoma city", "udid", "1234")
	for range 2 {
		if r := owner.post(verify, form); r.status != 200 || r.at("valid") != true || r.text("scheme") != "md5" {
			t.Errorf("%v\nwant it to be valid", r)
		}
	}
	a.accepted(a.post(whoami, form), "md5")
	if r := owner.post(verify, form); r.at("valid") != false || r.text("failed") != "replay" {
		t.Errorf("%v\nwant a replay", r)
	}
	form = a.signed("city", "oklahoma city")
	sum := md5.Sum([]byte("oklahoma city" + a.id + form.Get("timestamp")))
	form.Set("hash", hex.EncodeToString(sum[:]))
	r := owner.post(verify, form)
	if r.at("valid") != false || r.text("failed") != "signature" || !strings.Contains(r.text("hints.0"), "secret is left out") ||
		!strings.Contains(string(r.raw), `"oklahoma city`+a.id+form.Get("timestamp")+`{secret}"`) || strings.Contains(string(r.raw), a.secret) {
		t.Errorf("%v\nwant it explained, and no secret", r)
	}
	a.refused(stranger.post(verify, form), 404, "not_found")
	if r := a.post(verify, form); r.status != 401 {
		t.Errorf("%v\nwant 401: it takes somebody's token", r)
	}

	for _, alg := range []httpsig.Algorithm{httpsig.Algo_HMAC_SHA256, httpsig.Algo_ED25519} {
		for _, path := range []string{verify, verify + "?a=b&c=d+e"} {
			r := owner.transmit(owner.message(alg, "POST", path, "application/json", `{"city":"x"}`))
			if r.status != 200 || r.at("valid") != true || r.text("scheme") != string(alg) {
				t.Errorf("%v\nwant it to be valid", r)
			}
		}
		req := owner.message(alg, "POST", verify, "application/json", `{"city":"x"}`)
		req.Header.Set("Content-Digest", "sha-256=:AAAA:")
		if r := owner.transmit(req); r.text("failed") != "coverage" || !strings.Contains(string(r.raw), "digest_mismatch") {
			t.Errorf("%v\nwant a wrong digest", r)
		}
	}
}
