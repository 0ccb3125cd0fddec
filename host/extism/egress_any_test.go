package extism

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

// What anybody may name leads nowhere but to the public network: not by an
// address, a name that has one, or a redirect to either.
func TestEgressToAnywhereIsToPublicAddresses(t *testing.T) {
	var target string
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target, http.StatusFound)
	}))
	defer outer.Close()
	_, port, _ := net.SplitHostPort(outer.Listener.Addr().String())

	for _, tt := range []struct{ url, resolved string }{
		{"http://api.example.com/", "127.0.0.1"},
		{"https://api.example.com/", "127.0.0.1"},
		{"http://api.example.com/", "10.0.0.1"},
		{"http://api.example.com/", "192.168.1.1"},
		{"http://api.example.com/", "169.254.169.254"},
		{"http://api.example.com/", "0.0.0.0"},
		{"http://localhost/", "127.0.0.1"},
		{"http://db/", "172.16.0.9"},
		{"http://127.0.0.1/", ""},
		{"http://[::1]/", ""},
		{"http://[::ffff:127.0.0.1]/", ""},
		{"http://[fd00::1]/", ""},
		{"http://169.254.169.254/latest/meta-data/", ""},
		{"http://10.0.0.1/", ""},
		{"http://0x7f.1/", "127.0.0.1"}, // a name, as far as this goes
		{"http://api.example.com:" + port + "/", "127.0.0.1"},
		{outer.URL, ""},
	} {
		resolved := tt.resolved
		if resolved == "" {
			resolved = "127.0.0.1"
		}
		e := newEgress(t, []string{"*", "private:outer.example:" + port}, resolved)
		if _, err := get(e, tt.url); !errors.Is(err, abi.ErrDenied) {
			t.Errorf("%s at %s: %v, want it denied", tt.url, tt.resolved, err)
		}
		if resolved != "127.0.0.1" { // where the server that redirects is
			continue
		}
		target = tt.url
		if _, err := get(e, "http://outer.example:"+port); !errors.Is(err, abi.ErrDenied) {
			t.Errorf("redirect to %s at %s: %v, want it denied", tt.url, tt.resolved, err)
		}
	}
}

// A name that is public when it is asked for first, and not when it is the next
// time.
func TestEgressToAnywhereChecksWhatIsDialled(t *testing.T) {
	e := newEgress(t, []string{"*"}, "0.0.0.0", "127.0.0.1", "10.0.0.1")
	for range 3 {
		if _, err := get(e, "http://api.example.com/"); !errors.Is(err, abi.ErrDenied) {
			t.Fatalf("%v, want it denied", err)
		}
	}
}

func TestEgressWithoutFollowing(t *testing.T) {
	hits := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits[r.URL.Path]++
		switch r.URL.Path {
		case "/end":
			fmt.Fprint(w, "end")
		case "/away":
			http.Redirect(w, r, "http://inner.example/", http.StatusSeeOther)
		default:
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	e := newEgress(t, []string{"private:a.example:" + port}, "127.0.0.1")
	url := "http://a.example:" + port
	ask := func(path string, noFollow bool) (*HTTPResponse, error) {
		return e.Do(t.Context(), &HTTPRequest{Method: "POST", URL: url + path, Body: []byte("secret"), NoFollow: noFollow})
	}

	r, err := ask("/", true)
	if err != nil || r.Status != 307 || r.Header.Get("Location") != "/end" || r.URL != url+"/" || hits["/end"] != 0 {
		t.Fatalf("%+v, %v, hits %v", r, err, hits)
	}
	// Where it leads does not matter then, and is not asked for.
	if r, err = ask("/away", true); err != nil || r.Status != 303 || r.Header.Get("Location") != "http://inner.example/" {
		t.Fatalf("%+v, %v", r, err)
	}
	// The next request follows again.
	if r, err = ask("/", false); err != nil || r.Status != 200 || string(r.Body) != "end" || r.URL != url+"/end" || hits["/end"] != 1 {
		t.Fatalf("%+v, %v, hits %v", r, err, hits)
	}
	if _, err = ask("/away", false); !errors.Is(err, abi.ErrDenied) {
		t.Fatalf("%v, want it denied", err)
	}
}

func TestEgressBoundsAReplyAsAsked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Repeat("x", 1000))
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	e := newEgress(t, []string{"private:a.example:" + port}, "127.0.0.1")
	for _, tt := range []struct {
		size, limit int64
		ok          bool
	}{{1500, 0, true}, {1500, 1000, true}, {1500, 999, false}, {1500, 1, false}, {999, 0, false}, {999, 5000, false}} {
		e.maxReply = tt.size
		r, err := e.Do(t.Context(), &HTTPRequest{Method: "GET", URL: "http://a.example:" + port, MaxReply: tt.limit})
		if tt.ok && (err != nil || len(r.Body) != 1000) || !tt.ok && (err == nil || !strings.Contains(err.Error(), "larger than")) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
