package artifact

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const tiny = "\x00asm\x01\x00\x00\x00"

// impatience has a test wait for a hostile registry no longer than it must.
func impatience() patience {
	return patience{total: time.Minute, stall: 20 * time.Second, wait: 10 * time.Millisecond}
}

// A fake is a registry with one plugin, edgeset/tiny:1, that a test can make worse:
// an answer for "METHOD /path" comes in place of the good one.
type fake struct {
	*httptest.Server
	answers  map[string]http.HandlerFunc
	manifest []byte
	requests atomic.Int32
}

const (
	manifestPath = "/v2/edgeset/tiny/manifests/1"
	blobsPath    = "/v2/edgeset/tiny/blobs/"
)

func layerPath() string { return blobsPath + string(DigestOf([]byte(tiny))) }

func newFake(t *testing.T, answers map[string]http.HandlerFunc) *fake {
	t.Helper()
	manifest, _, _, err := pack([]byte(tiny), PushOptions{Signature: "signed"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{manifest: manifest.data, answers: map[string]http.HandlerFunc{}}
	f.answers["GET "+manifestPath] = sends(ocispec.MediaTypeImageManifest, f.manifest)
	f.answers["GET "+layerPath()] = sends("application/octet-stream", []byte(tiny))
	maps.Copy(f.answers, answers)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		if h := f.answers[r.Method+" "+r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// sends answers with bytes.
func sends(mediaType string, data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data) // the other side may have had enough
	}
}

// fails answers with an error of the form that registries have.
func fails(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
	}
}

func (f *fake) host() string { return strings.TrimPrefix(f.URL, "http://") }

func (f *fake) ref(t *testing.T, version string) Reference {
	t.Helper()
	r, err := ParseReference(Scheme + f.host() + "/edgeset/tiny" + version)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *fake) pull(t *testing.T) (Pulled, error) {
	t.Helper()
	return pull(t.Context(), f.ref(t, ":1"), PullOptions{}, impatience())
}

// manifestOf answers with a manifest of these layers.
func manifestOf(layers ...ocispec.Descriptor) http.HandlerFunc {
	text, err := json.Marshal(ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: layers})
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return sends(ocispec.MediaTypeImageManifest, text)
}

func layerOf(mediaType string, size int64) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(DigestOf([]byte(tiny))), Size: size}
}

func TestPullFindsTheWasmOfOthersToo(t *testing.T) {
	size := int64(len(tiny))
	for name, layers := range map[string][]ocispec.Descriptor{
		"this layout":    {layerOf("application/wasm", size)},
		"of wasm-to-oci": {layerOf("application/vnd.wasm.content.layer.v1+wasm", size)},
		"of Envoy":       {layerOf("application/vnd.module.wasm.content.layer.v1+wasm", size)},
		"with a readme":  {layerOf("text/markdown", 3), layerOf("application/wasm", size), layerOf("application/json", 2)},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"GET " + manifestPath: manifestOf(layers...)})
		p, err := f.pull(t)
		if err != nil || string(p.Wasm) != tiny || p.Signature != "" {
			t.Errorf("%s: %q, %q, %v", name, p.Wasm, p.Signature, err)
		}
	}
}

func TestPullTellsTheDigestThatATagStandsFor(t *testing.T) {
	f := newFake(t, nil)
	pinned := DigestOf(f.manifest)
	p, err := f.pull(t)
	if want := fmt.Sprintf("oci://%s/edgeset/tiny:1@%s", f.host(), pinned); err != nil || p.Reference != want || p.Signature != "signed" {
		t.Fatalf("%q, %q, %v; want %s", p.Reference, p.Signature, err, want)
	}
	f.answers["GET /v2/edgeset/tiny/manifests/"+string(pinned)] = f.answers["GET "+manifestPath]
	f.answers["GET "+manifestPath] = nil
	ref, err := ParseReference(p.Reference)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := pull(t.Context(), ref, PullOptions{}, impatience()); err != nil || again.Reference != p.Reference || string(again.Wasm) != tiny {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestAHostileRegistryIsToldApart(t *testing.T) {
	size := int64(len(tiny))
	drop := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = w.Write([]byte(tiny)[:3])
		panic(http.ErrAbortHandler)
	}
	for _, c := range []struct {
		name string
		at   string
		h    http.HandlerFunc
		want string
	}{
		{"no such tag", manifestPath, http.NotFound, "HOST does not have it (404); want a repository and a tag"},
		{"no repository", manifestPath, fails(404, "NAME_UNKNOWN", "unknown"), "HOST does not have it (404)"},
		{"no such plugin", layerPath(), http.NotFound, "the plugin, sha256:"},
		{"not let in", manifestPath, fails(401, "UNAUTHORIZED", "authentication required"), `HOST refuses it (401: unauthorized: authentication required); want credentials for HOST in docker's config.json: "docker login HOST"`},
		{"forbidden", manifestPath, fails(403, "DENIED", "not yours"), "HOST refuses it (403: denied: not yours)"},
		{"with a password", manifestPath, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
		}, "HOST wants to know who asks; want credentials for it in docker's config.json"},
		{"an error of its own", manifestPath, fails(500, "UNKNOWN", "disk full"), "HOST answers 500: unknown: disk full"},
		{"an error for a terminal", manifestPath, fails(400, "X", "\x1b[2J\u202eboom\r\n"+strings.Repeat("x", 5000)), "HOST answers 400: x:"},
		{"HTML", manifestPath, sends("text/html", []byte("<!doctype html>")), `HOST answers with "text/html", which is no manifest`},
		{"an index", manifestPath, sends(ocispec.MediaTypeImageIndex, []byte(`{"manifests":[]}`)), "an index of several artifacts: want the manifest of one plugin"},
		{"no JSON", manifestPath, sends(ocispec.MediaTypeImageManifest, []byte("{")), "its manifest is no JSON of a manifest"},
		{"a huge manifest", manifestPath, sends(ocispec.MediaTypeImageManifest, make([]byte, maxManifest+1)), "its manifest has 1048577 bytes: want at most 1048576"},
		{"a manifest of another digest", manifestPath, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Docker-Content-Digest", emptyDigest)
			manifestOf(layerOf(layerType, size))(w, r)
		}, "its manifest: HOST sends other bytes than those of that digest"},
		{"a digest that is none", manifestPath, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Docker-Content-Digest", "sha256:\x1b")
			manifestOf(layerOf(layerType, size))(w, r)
		}, "HOST"},
		{"no layers", manifestPath, manifestOf(), "its manifest has no layers: want one of type application/wasm"},
		{"no Wasm", manifestPath, manifestOf(layerOf("application/vnd.oci.image.layer.v1.tar+gzip", 1)), "none of its layers is Wasm, but they are application/vnd.oci.image.layer.v1.tar+gzip"},
		{"two plugins", manifestPath, manifestOf(layerOf(layerType, size), layerOf(layerType, size)), "2 of its layers are Wasm: want one"},
		{"a plugin that is too large", manifestPath, manifestOf(layerOf(layerType, MaxSize+1)), "the plugin is said to have 67108865 bytes: want at most 67108864"},
		{"a plugin of less than nothing", manifestPath, manifestOf(layerOf(layerType, -1)), "the plugin is said to have -1 bytes"},
		{"a plugin of another kind of digest", manifestPath, manifestOf(ocispec.Descriptor{MediaType: layerType, Digest: "md5:d41d8cd98f00b204e9800998ecf8427e"}), `the plugin: digest "md5:`},
		{"a plugin of a digest that is a path", manifestPath, manifestOf(ocispec.Descriptor{MediaType: layerType, Digest: "sha256:../../x"}), `the plugin: digest "sha256:../`},
		{"a huge signature", manifestPath, manifestOf(ocispec.Descriptor{
			MediaType: layerType, Digest: digest.Digest(DigestOf([]byte(tiny))), Size: size,
			Annotations: map[string]string{SignatureAnnotation: strings.Repeat("x", maxSignature+1)},
		}), "its signature has 16385 bytes"},
		{"other bytes", layerPath(), sends("", []byte("\x00asm\x02\x00\x00\x00")), "HOST sends other bytes than those of that digest"},
		{"more bytes than it says", layerPath(), func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush() // so that it does not say how many
			_, _ = w.Write([]byte(tiny + "more"))
		}, "HOST sends more bytes than it has said"},
		{"another size", layerPath(), sends("", []byte(tiny+"more")), "mismatch Content-Length"},
		{"bytes without an end", layerPath(), func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "HOST sends more bytes than it has said"},
		{"cut off", layerPath(), drop, "HOST ends the connection in the middle"},
		{"no answer", manifestPath, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "HOST ends the connection in the middle"},
		{"a circle", manifestPath, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, "HOST cannot be asked: more than 5 redirects"},
		{"a way out of TLS", layerPath(), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://registry.example/x", http.StatusTemporaryRedirect)
		}, "HOST cannot be asked: it leads to registry.example over http: want https"},
		{"a token from elsewhere", manifestPath, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://169.254.169.254/latest",service="x"`)
			w.WriteHeader(401)
		}, "it leads to 169.254.169.254 over http: want https"},
		{"a token that is none", manifestPath, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="x"`)
			w.WriteHeader(401)
		}, "HOST answers 404"},
		{"a huge header", manifestPath, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "HOST cannot be asked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{"GET " + c.at: c.h})
			p, err := f.pull(t)
			if p.Wasm != nil || p.Reference != "" {
				t.Errorf("got %+v", p)
			}
			want := strings.ReplaceAll(c.want, "HOST", f.host())
			if err == nil || !strings.HasPrefix(err.Error(), "artifact: pull oci://"+f.host()+"/edgeset/tiny:1: ") || !strings.Contains(err.Error(), want) {
				t.Fatalf("got  %v\nwant %s", err, want)
			}
			if strings.IndexFunc(err.Error(), unicode.IsControl) >= 0 || len(err.Error()) > 800 || strings.Contains(err.Error(), "\u202e") {
				t.Errorf("that is nothing to print: %q", err)
			}
		})
	}
}

func TestAPinnedPluginIsThatOne(t *testing.T) {
	f := newFake(t, nil)
	other := "/v2/edgeset/tiny/manifests/" + emptyDigest
	f.answers["GET "+other] = f.answers["GET "+manifestPath]
	_, err := pull(t.Context(), f.ref(t, ":1@"+emptyDigest), PullOptions{}, impatience())
	if err == nil || !strings.Contains(err.Error(), string(DigestOf(f.manifest))) {
		t.Errorf("%v; want the digest that it has instead", err)
	}
	f.answers["GET "+other] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Content-Digest", emptyDigest)
		sends(ocispec.MediaTypeImageManifest, f.manifest)(w, r)
	}
	_, err = pull(t.Context(), f.ref(t, "@"+emptyDigest), PullOptions{}, impatience())
	if err == nil || !strings.Contains(err.Error(), "sends other bytes than those of that digest") {
		t.Errorf("with the right header: %v", err)
	}
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"busy": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"limited": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		},
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "8")
			_, _ = w.Write([]byte("\x00as"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		var calls atomic.Int32
		f := newFake(t, map[string]http.HandlerFunc{"GET " + layerPath(): func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) < attempts {
				bad(w, r)
				return
			}
			sends("", []byte(tiny))(w, r)
		}})
		if p, err := f.pull(t); err != nil || string(p.Wasm) != tiny {
			t.Errorf("%s: %v", name, err)
		}
		calls.Store(-100)
		_, err := f.pull(t)
		// A connection that was used before, and is closed, is no attempt.
		if n := calls.Load() + 100; err == nil || n < attempts || n > attempts+1 {
			t.Errorf("%s: %v after %d attempts; want an error after %d", name, err, n, attempts)
		}
	}
}

func TestARegistryThatSendsNothingIsLeft(t *testing.T) {
	p := impatience()
	p.stall = 100 * time.Millisecond
	release := make(chan struct{})
	for at, h := range map[string]http.HandlerFunc{
		manifestPath: func(http.ResponseWriter, *http.Request) { <-release },
		layerPath(): func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "8")
			_, _ = w.Write([]byte("\x00as"))
			w.(http.Flusher).Flush()
			<-release
		},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"GET " + at: h})
		_, err := pull(t.Context(), f.ref(t, ":1"), PullOptions{}, p)
		if err == nil || !strings.Contains(err.Error(), "timeout awaiting response headers") && !strings.Contains(err.Error(), f.host()+" has sent nothing for 100ms") {
			t.Errorf("%s: %v", at, err)
		}
	}
	p = impatience()
	p.total = 100 * time.Millisecond
	f := newFake(t, map[string]http.HandlerFunc{"GET " + manifestPath: func(http.ResponseWriter, *http.Request) { <-release }})
	if _, err := pull(t.Context(), f.ref(t, ":1"), PullOptions{}, p); err == nil || !strings.Contains(err.Error(), "takes more than 100ms") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	if _, err := pull(ctx, f.ref(t, ":1"), PullOptions{}, p); err == nil || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
		t.Error(err)
	}
	close(release)
}

func TestARegistryElsewhereDoesNotLeadHere(t *testing.T) {
	g := guard{base: http.DefaultTransport}
	for _, url := range []string{"https://127.0.0.1:1/x", "https://localhost/x", "https://[::1]/x", "http://example.org/x",
		"https://0.0.0.0:1/x", "https://[::]:1/x", "https://localhost.:1/x", "https://a.localhost:1/x", "https://[::ffff:127.0.0.1]:1/x"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "it leads to ") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestPushRefusesWhatIsNoPlugin(t *testing.T) {
	f := newFake(t, nil)
	for _, c := range []struct {
		name, version, wasm string
		o                   PushOptions
		want                string
	}{
		{"a text", ":1", "hello", PushOptions{}, "not a WebAssembly module"},
		{"a component", ":1", "\x00asm\x0d\x00\x01\x00", PushOptions{}, "not a WebAssembly module"},
		{"too large", ":1", tiny + strings.Repeat("x", MaxSize), PushOptions{}, "want at most 67108864"},
		{"to a digest", ":1@" + emptyDigest, tiny, PushOptions{}, "want a tag"},
		{"a huge signature", ":1", tiny, PushOptions{Signature: strings.Repeat("x", maxSignature+1)}, "a signature of 16385 bytes"},
		{"huge annotations", ":1", tiny, PushOptions{Annotations: map[string]string{"x": strings.Repeat("x", maxManifest)}}, "want fewer annotations"},
	} {
		_, err := push(t.Context(), f.ref(t, c.version), []byte(c.wasm), c.o, impatience())
		if err == nil || !strings.HasPrefix(err.Error(), "artifact: push to oci://") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got  %v\nwant %s", c.name, err, c.want)
		}
	}
	if n := f.requests.Load(); n != 0 {
		t.Errorf("the registry was asked %d times", n)
	}
	// One that refuses is told of.
	_, err := push(t.Context(), f.ref(t, ":1"), []byte(tiny), PushOptions{}, impatience())
	if err == nil || !strings.Contains(err.Error(), f.host()+" answers 404") {
		t.Error(err)
	}
}

func TestAnUploadStaysWithinTLS(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"POST /v2/edgeset/tiny/blobs/uploads/": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://registry.example/upload")
		w.WriteHeader(202)
	}})
	_, err := push(t.Context(), f.ref(t, ":1"), []byte(tiny), PushOptions{}, impatience())
	if want := "application/wasm of 8 bytes: " + f.host() + " cannot be asked: it leads to registry.example over http: want https"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
