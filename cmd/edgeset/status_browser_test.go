//go:build unix

package main_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A page of another origin listens with all libraries, and with the browser's own
// EventSource.
func TestStatusInABrowser(t *testing.T) {
	t.Parallel()
	program := needChromium(t)
	needStatusClients(t)
	s := newStatusServer(t)
	people := s.newPersons(2)
	ann, bob := people[0], people[1]
	ann.permits("*", "*", "all")

	said := make(chan []any, maxClientEvents)
	page := httptest.NewServer(pageHandler(said))
	t.Cleanup(page.Close)
	_, port, err := net.SplitHostPort(s.listen)
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{
		"url": {"http://" + s.listen}, "url2": {"http://localhost:" + port}, "access_token": {bob.token}, "gid_uuid": {bob.gid},
	}
	browse(t, program, page.URL+"/?"+query.Encode())

	names := []string{"client2", "client2 by polling", "client3", "client3 by polling", "client4", "client4 by polling", "EventSource"}
	heard := func(what string, ids ...string) {
		t.Helper()
		left := map[string][]string{}
		for _, name := range names {
			left[name] = ids
		}
		for late := time.After(callTime); len(left) > 0; {
			select {
			case line := <-said:
				r := reply{doc: line}
				name, want := r.text("0"), left[r.text("0")]
				if r.text("1") != what || len(want) == 0 || want[0] != r.text("2.uuid") {
					t.Fatalf("%v, want %s %v", line, what, want)
				}
				if left[name] = want[1:]; len(want) == 1 {
					delete(left, name)
				}
			case <-late:
				t.Fatalf("no %s of %v within %v", what, left, callTime)
			}
		}
	}
	heard("LISTENING", "")
	for range 3 {
		list := newUpdates(5, "location", "phone")
		ann.uploads(list...)
		heard("STATUS_UPDATE", idsOf(list)...)
	}
}

// pageHandler serves the page and its libraries, and takes what it tells.
func pageHandler(said chan<- []any) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /said", hears(said))
	mux.HandleFunc("GET /{file}", func(w http.ResponseWriter, r *http.Request) {
		if name, is := strings.CutSuffix(r.PathValue("file"), ".js"); is && slices.Contains([]string{"client2", "client3", "client4"}, name) {
			http.ServeFile(w, r, filepath.Join(statusClientsDir, "node_modules", name, "dist", "socket.io.js"))
			return
		}
		http.NotFound(w, r)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(statusClientsDir, "page.html"))
	})
	return mux
}
