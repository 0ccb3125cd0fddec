package artifact

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCredentialsAreThoseOfDocker(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString([]byte("ann:open sesame"))
	var f *fake
	withPassword := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Basic "+secret {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(401)
				return
			}
			h(w, r)
		}
	}
	f = newFake(t, nil)
	for at, h := range f.answers {
		f.answers[at] = withPassword(h)
	}
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	if _, err := f.pull(t); err == nil || !strings.Contains(err.Error(), "wants to know who asks") {
		t.Errorf("without: %v", err)
	}
	config := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config(fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, f.host(), secret))
	if _, err := f.pull(t); err != nil {
		t.Errorf("with: %v", err)
	}
	config(fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, f.host(), base64.StdEncoding.EncodeToString([]byte("ann:wrong"))))
	_, err := f.pull(t)
	if err == nil || !strings.Contains(err.Error(), "refuses it (401") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: %v", err)
	}
	config("{")
	if _, err := f.pull(t); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "config.json")) {
		t.Errorf("with a broken file: %v", err)
	}
}

func TestATokenIsFetchedWithThePassword(t *testing.T) {
	f := newFake(t, nil)
	for at, h := range f.answers {
		f.answers[at] = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer good" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="x",scope="repository:edgeset/tiny:pull"`)
				w.WriteHeader(401)
				return
			}
			h(w, r)
		}
	}
	f.answers["GET /token"] = func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "open sesame" {
			fails(401, "UNAUTHORIZED", "who is that?")(w, r)
			return
		}
		sends("application/json", []byte(`{"token":"good"}`))(w, r)
	}
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	_, err := f.pull(t)
	if err == nil || !strings.Contains(err.Error(), "refuses it (401: unauthorized: who is that?)") {
		t.Errorf("without: %v", err)
	}
	auth := base64.StdEncoding.EncodeToString([]byte("ann:open sesame"))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, f.host(), auth), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := f.pull(t); err != nil || string(p.Wasm) != tiny {
		t.Errorf("with: %v", err)
	}
}
