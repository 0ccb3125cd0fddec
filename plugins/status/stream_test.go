package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi/guesttest"
)

// streams has somebody open a stream, showing the last update that he has.
func (s *scene) streams(name, query, last string) *guesttest.Response {
	s.t.Helper()
	q := guesttest.Request{Path: "/v1/status/stream" + query, Caller: callerNamed(name)}
	if last != "" {
		q.Headers = map[string]string{"Last-Event-ID": last}
	}
	return s.Do(q)
}

// begins checks what a stream begins with, and whether it goes on.
func begins(t testing.TB, r *guesttest.Response, on bool, want ...string) {
	t.Helper()
	if r.Status != 200 || (r.Stream != nil) != on || len(r.Events) != len(want) {
		t.Fatalf("got %d events, goes on: %t; want %d, %t: %s", len(r.Events), r.Stream != nil, len(want), on, r)
	}
	for i, e := range r.Events {
		if fields, _ := e.Args[0].(map[string]any); e.Name != statusUpdate || e.ID != want[i] || len(fields) != 6 || fields["uuid"] != e.ID {
			t.Fatalf("event %d is %v, want %s", i, e, want[i])
		}
	}
}

func TestAStreamSendsWhatIsSharedFromThenOn(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	s.upload("ann", "mood", "web")
	r := s.streams("bob", "", "")
	begins(t, r, true)
	u := s.upload("ann", "mood", "web")
	heard(t, r.Stream, u)
	s.ok("bob", "POST", "/v1/blocks", gidUUID("ann"), 201)
	s.upload("ann", "mood", "web")
	heard(t, r.Stream)
}

func TestAStreamCanBeOfOneTypeOrSource(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	first := s.upload("ann", "mood", "web")
	var streams []*guesttest.Connection
	queries := []string{"", "?type=mood", "?source=app", "?type=mood&source=app", "?type=*&source=web", "?type=&source="}
	for _, query := range queries {
		r := s.streams("bob", query, first)
		begins(t, r, true)
		streams = append(streams, r.Stream)
	}
	a, b, c := s.upload("ann", "mood", "web"), s.upload("ann", "mood", "app"), s.upload("ann", "place", "app")
	want := [][]string{{a, b, c}, {a, b}, {b, c}, {b}, {a}, {a, b, c}}
	for i := range queries {
		heard(t, streams[i], want[i]...)
		begins(t, s.streams("bob", queries[i], first), true, want[i]...)
	}
}

func TestAStreamBeginsWithWhatWasMissed(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	a, b := s.upload("ann", "mood", "web"), s.upload("ann", "mood", "web")
	c := s.upload("bob", "mood", "web")
	begins(t, s.streams("bob", "?since_uuid="+a, ""), true, b)
	// The header is of what the client has seen since it has the parameter.
	begins(t, s.streams("bob", "?since_uuid="+a, b), true)
	begins(t, s.streams("bob", "", a), true, b)
	begins(t, s.streams("bob", "", c), true)
	s.ok("ann", "DELETE", "/v1/status", "", 204)
	begins(t, s.streams("bob", "", a), true)
	d := s.upload("ann", "mood", "web")
	r := s.streams("bob", "", b)
	begins(t, r, true, d)
	heard(t, r.Stream)
	e := s.upload("ann", "mood", "web")
	heard(t, r.Stream, e)
}

func TestAStreamThatCannotGoOnFromThereIsRefused(t *testing.T) {
	s := newScene(t)
	isRefused(t, s.streams("bob", "?since_uuid="+uuidOf("ann"), ""), 400, "unknown_uuid", "since_uuid")
	isRefused(t, s.streams("bob", "", uuidOf("ann")), 400, "unknown_uuid", "Last-Event-ID")
	isRefused(t, s.streams("bob", "?since_uuid=x", ""), 400, "bad_parameter", "since_uuid")
	isRefused(t, s.streams("bob", "", "x"), 400, "bad_parameter", "Last-Event-ID")
}

func TestAStreamCatchesUpInPartsAndOnlyTheLastGoesOn(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	last := s.upload("ann", "mood", "web")
	var ids, batch []string
	for i := range 1100 {
		id := fmt.Sprintf("00000000-0000-4000-9000-%012d", i)
		ids = append(ids, id)
		batch = append(batch, fmt.Sprintf(`{"uuid":%q,"type":"mood","source":"web","created_at":"2026-01-01","payload":{}}`, id))
	}
	s.ok("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]", 201)
	begins(t, s.streams("bob", "", last), false, ids[:500]...)
	begins(t, s.streams("bob", "", ids[499]), false, ids[500:1000]...)
	begins(t, s.streams("bob", "", ids[599]), true, ids[600:]...)
	r := s.streams("bob", "", ids[999])
	begins(t, r, true, ids[1000:]...)
	u := s.upload("ann", "mood", "web")
	heard(t, r.Stream, u)
	begins(t, s.streams("bob", "", ids[1099]), true, u)
}

func TestAStreamOfLargeUpdatesCatchesUpInSmallerParts(t *testing.T) {
	s := newScene(t)
	last := s.upload("ann", "mood", "web")
	var ids []string
	for range 3 {
		var batch []string
		for range 100 {
			id := fmt.Sprintf("00000000-0000-4000-9000-%012d", len(ids))
			ids = append(ids, id)
			batch = append(batch, fmt.Sprintf(`{"uuid":%q,"type":"mood","source":"web","created_at":"2026-01-01","payload":{"x":%q}}`, id, strings.Repeat("x", 32000)))
		}
		s.ok("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]", 201)
	}
	s.share("ann", toEveryone)
	begins(t, s.streams("bob", "", last), false, ids[:largeCatchUp]...)
	begins(t, s.streams("bob", "", ids[99]), true, ids[100:]...)
}
