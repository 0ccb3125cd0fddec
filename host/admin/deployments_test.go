package admin

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/secret"
)

func TestWhatIsDeployedIsTold(t *testing.T) {
	r := newRig(t, "secret", &fake{})
	for _, c := range []struct {
		path   string
		status int
		etag   string
		want   string // that the answer begins with
	}{
		{"/v1/deployments", 200, `"7"`, `{"deployments":[{"name":"eu","hosts":["*"],"revision":5,"current":3,"serving":[{"version":3,`},
		{"/v1/deployments/eu", 200, `"5"`, `{"name":"eu",`},
		{"/v1/deployments/us", 404, "", `{"error":{"code":"not_found"`},
		{"/v1/deployments/eu/versions", 200, "", `[{"deployment":"","version":3,`},
		{"/v1/deployments/us/versions", 404, "", `{"error":{"code":"not_found"`},
		{"/v1/deployments/eu/versions/2", 200, "", `{"deployment":"eu","version":2,"manifest":`},
		{"/v1/deployments/eu/versions/2?format=toml", 200, "", "[[deployment]]\nname = \"eu\"\n# 2\n"},
		{"/v1/deployments/eu/versions/2?format=xml", 400, "", `{"error":{"code":"bad_request"`},
		{"/v1/deployments/eu/versions/4", 404, "", `{"error":{"code":"not_found"`},
		{"/v1/deployments/eu/versions/0", 400, "", `{"error":{"code":"bad_request"`},
		{"/v1/deployments/eu/versions/02", 400, "", `{"error":{"code":"bad_request"`},
		{"/v1/deployments/eu/versions/99999999999999999999", 400, "", `{"error":{"code":"bad_request"`},
		{"/v1/deployments/eu/versions/1/diff", 200, "", "--- eu@1\n+++ eu@3\n"},
		{"/v1/deployments/eu/versions/1/diff?with=2", 200, "", "--- eu@1\n+++ eu@2\n"},
		{"/v1/deployments/eu/versions/3/diff", 200, "", ""},
		{"/v1/deployments/eu/versions/1/diff?with=9", 404, "", `{"error":{"code":"not_found"`},
		{"/v1/deployments/us/versions/1/diff?with=2", 404, "", `{"error":{"code":"not_found"`},
	} {
		status, header, body := r.ask("GET "+c.path, "")
		if status != c.status || header.Get("ETag") != c.etag || !strings.HasPrefix(body, c.want) || c.want == "" && body != "" {
			t.Errorf("%s: %d %q %s", c.path, status, header.Get("ETag"), body)
		}
		if header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", c.path, header)
		}
		if status, _, _ := r.do("GET "+c.path, ""); status != 401 {
			t.Errorf("%s, without the token: %d", c.path, status)
		}
	}
}

func TestADeployReachesTheHostWithAllThatItSays(t *testing.T) {
	f := &fake{}
	r := newRig(t, "secret", f)
	digest := string(artifact.DigestOf([]byte("x")))
	status, _, body := r.ask("POST /v1/deploy", `{"manifest":"m","file":"eu.toml","check":true,"uploads":{"a.wasm":{"digest":"`+digest+`","signature":"s\n"}},
		"canary":{"share":0.05,"steps":[0.25,1],"every":"10m"}}`)
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	got := f.request
	if got.Manifest != "m" || got.File != "eu.toml" || !got.Check || got.Uploads["a.wasm"] != (rollout.Upload{Digest: digest, Signature: "s\n"}) ||
		got.Canary.Share != 0.05 || len(got.Canary.Steps) != 2 || time.Duration(got.Canary.Every) != 10*time.Minute {
		t.Errorf("%+v", got)
	}
}

func TestPluginsAreTakenByTheirDigest(t *testing.T) {
	f := &fake{plugins: map[artifact.Digest][]byte{}}
	r := newRig(t, "secret", f)
	wasm := make([]byte, 9<<20) // more than other paths take
	rand.Read(wasm)
	path := " /v1/plugins/" + string(artifact.DigestOf(wasm))
	if status, _, _ := r.ask("HEAD"+path, ""); status != 404 {
		t.Errorf("before: %d", status)
	}
	if status, _, body := r.ask("PUT"+path, string(wasm[1:])); status != 422 || !strings.Contains(body, "digest_mismatch") {
		t.Errorf("other bytes: %d %s", status, body)
	}
	if status, _, body := r.ask("PUT"+path, string(wasm)); status != 201 || !strings.Contains(body, `"size":9437184`) {
		t.Errorf("%d %s", status, body)
	}
	if !bytes.Equal(f.plugins[artifact.DigestOf(wasm)], wasm) {
		t.Error("what is kept is not what was sent")
	}
	if status, _, _ := r.ask("HEAD"+path, ""); status != 200 {
		t.Errorf("after: %d", status)
	}
	if status, _, _ := r.ask("PUT"+path, string(wasm)); status != 200 {
		t.Errorf("again: %d", status)
	}
	for _, line := range []string{"PUT /v1/plugins/sha256:12", "HEAD /v1/plugins/x", "PUT /v1/plugins/" + strings.ToUpper(string(artifact.DigestOf(nil)))} {
		if status, _, body := r.ask(line, "x"); status != 400 {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	f.plugins = nil
	if status, _, body := r.ask("PUT /v1/plugins/"+string(artifact.DigestOf([]byte("x"))), "x"); status != 500 || !strings.Contains(body, "keep the plugin") {
		t.Errorf("a library that cannot: %d %s", status, body)
	}
}

// endless is a body without an end, and without a length that is told. It may be sent
// on when the answer is there.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read.Add(int64(len(p)))
	return len(p), nil
}

func TestBodiesAreBounded(t *testing.T) {
	r := newRig(t, "secret", &fake{plugins: map[artifact.Digest][]byte{}})
	for _, line := range []string{"PUT /v1/plugins/" + string(artifact.DigestOf(nil)), "POST /v1/deploy", "PUT /v1/deployments/eu/secrets/signing/x"} {
		body := &endless{}
		resp, err := r.try(t.Context(), line, body, "Authorization", "Bearer secret")
		if err == nil { // else the connection was closed on the client before it had read the answer
			if resp.StatusCode != 413 {
				t.Errorf("%s: %d", line, resp.StatusCode)
			}
			resp.Body.Close()
		}
		if sent := body.read.Load(); sent > 2*artifact.MaxSize {
			t.Errorf("%s: %d bytes were sent", line, sent)
		}
	}
	// A length that is too large is refused before anything is read.
	req, err := http.NewRequest("PUT", "http://"+r.addr+"/v1/plugins/"+string(artifact.DigestOf(nil)), io.LimitReader(&endless{}, artifact.MaxSize+1))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = artifact.MaxSize + 1
	req.Header.Set("Authorization", "Bearer secret")
	if resp, err := r.client.Do(req); err == nil {
		if resp.StatusCode != 413 {
			t.Errorf("%d", resp.StatusCode)
		}
		resp.Body.Close()
	}
	if status, _, _ := r.ask("GET /v1/deployments", ""); status != 200 {
		t.Errorf("after all of it: %d", status)
	}
}

// A body that nobody wants is not taken for the next request of the connection.
func TestABodyTooManyIsDropped(t *testing.T) {
	r := newRig(t, "secret", &fake{})
	next := "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, line := range []string{"GET /healthz", "POST /v1/nowhere", "DELETE /v1/audit", "POST /healthz"} {
		for _, size := range []int{1, 1000, 100_000} {
			for range 2 {
				if status, _, _ := r.ask(line, strings.Repeat(next, size)); status != 200 && status != 404 && status != 405 && status != 413 {
					t.Errorf("%s: %d", line, status)
				}
			}
			if status, _, body := r.do("GET /healthz", ""); status != 200 || body != "ok\n" {
				t.Errorf("after %s with %d: %d %s", line, size, status, body)
			}
		}
	}
}

func TestSecretsGoInAndDoNotComeOut(t *testing.T) {
	f := &fake{}
	r := newRig(t, "secret", f)
	const path = " /v1/deployments/eu/secrets/signing/smtp_password"
	status, _, body := r.ask("PUT"+path+"?by=ann&message=rotated", " hush\n", "If-Match", `"5"`)
	call, ch := f.asked()
	if status != 204 || body != "" || f.value != " hush\n" || call != "set eu signing smtp_password" || ch.By != "ann" || ch.Message != "rotated" || ch.Expect != 5 {
		t.Errorf("%d %q: %s %+v %q", status, body, call, ch, f.value)
	}
	if status, _, body := r.ask("GET /v1/deployments/eu/secrets", ""); status != 200 ||
		body != `{"secrets":[{"plugin":"signing","name":"smtp_password","revision":2,"at":"1970-01-01T00:00:01Z"}]}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := r.ask("GET /v1/deployments/us/secrets", ""); status != 200 || body != `{"secrets":[]}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := r.ask("DELETE"+path, ""); status != 204 {
		t.Errorf("%d", status)
	}
	if call, _ := f.asked(); call != "delete eu signing smtp_password" {
		t.Error(call)
	}
	for _, c := range []struct {
		value  string
		status int
	}{{strings.Repeat("hush", secret.MaxValue/4) + "h", 413}, {strings.Repeat("hush", secret.MaxValue/4), 204}} {
		if status, _, body := r.ask("PUT"+path, c.value); status != c.status || strings.Contains(body, "hush") {
			t.Errorf("%.10q: %d %s", c.value, status, body)
		}
	}
	f.err = rollout.ErrNotFound
	if status, _, body := r.ask("DELETE"+path, ""); status != 404 || !strings.Contains(body, "not_found") {
		t.Errorf("%d %s", status, body)
	}
}

func TestTheAuditLogHasPages(t *testing.T) {
	f := &fake{}
	r := newRig(t, "secret", f)
	if status, _, body := r.ask("GET /v1/audit", ""); status != 200 || body != `{"entries":[]}`+"\n" || f.audit != "/100" {
		t.Errorf("%d %s %s", status, body, f.audit)
	}
	status, _, body := r.ask("GET /v1/audit?before=10&limit=2", "")
	if status != 200 || f.audit != "10/2" || !strings.HasSuffix(body, `"next":"8"}`+"\n") {
		t.Errorf("%d %s %s", status, body, f.audit)
	}
	for _, query := range []string{"limit=0", "limit=-1", "limit=1001", "limit=x", "before=%00"} {
		if status, _, body := r.ask("GET /v1/audit?"+query, ""); status != 400 {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}
