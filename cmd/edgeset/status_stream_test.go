package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// A statusStream is a connection to the stream of shared updates, by Server-Sent
// Events.
type statusStream struct {
	body  io.ReadCloser
	lines *bufio.Reader
	late  *time.Timer // closes the body when nothing comes
}

// A streamed update is an event of a stream.
type streamed struct {
	id     string
	update any
}

// openStream connects somebody to the stream, at an address that may be another than
// the server's, with the header Last-Event-ID unless it is "".
func (p *person) openStream(addr, lastEventID string, params ...string) (*statusStream, error) {
	query := url.Values{"oauth_token": {p.token}}
	for i := 0; i < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	req, err := http.NewRequest("GET", "http://"+addr+"/v1/status/stream?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: callTime}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("stream: %s, %s, %s, %v: want a stream", resp.Status, kind, text, err)
	}
	return &statusStream{
		body: resp.Body, lines: bufio.NewReader(resp.Body), late: time.AfterFunc(callTime, func() { resp.Body.Close() }),
	}, nil
}

// next returns the next update. An event that has not come whole does not count.
func (s *statusStream) next() (e streamed, err error) {
	s.late.Reset(callTime)
	var name, data string
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			name = value
		case "id":
			e.id = value
		case "data":
			data += value
		case "":
			if name == "" {
				continue // of a comment, or of a field that is no event
			}
			if name != "STATUS_UPDATE" {
				return e, fmt.Errorf("stream: event %q, want STATUS_UPDATE", name)
			}
			return e, json.Unmarshal([]byte(data), &e.update)
		}
	}
}

func (s *statusStream) close() {
	s.late.Stop()
	s.body.Close()
}

// stream connects somebody, until the end of the test.
func (p *person) stream(params ...string) *statusStream {
	p.t.Helper()
	s, err := p.openStream(p.server.listen, "", params...)
	if err != nil {
		p.fatalf("%v", err)
	}
	p.t.Cleanup(s.close)
	return s
}

// hears wants these updates to come, and nothing else.
func (s *statusStream) hears(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		e, err := s.next()
		if err != nil {
			t.Fatalf("stream: %v, want update %s", err, id)
		}
		if got := (reply{doc: e.update}).text("uuid"); e.id != id || got != id || fieldsOf(e.update) != sharedFields {
			t.Fatalf("stream: event %s with %v, want update %s", e.id, e.update, id)
		}
	}
}

// ends wants the stream to end without another update.
func (s *statusStream) ends(t testing.TB) {
	t.Helper()
	if e, err := s.next(); err == nil {
		t.Fatalf("stream: event %s, want the end", e.id)
	}
}

func TestStatusStream(t *testing.T) {
	t.Parallel()
	s := newStatusServer(t)
	people := s.newPersons(2)
	ann, bob := people[0], people[1]
	ann.permits("*", "*", "all")
	list := newUpdates(1200, "location", "phone")
	ids := idsOf(list)
	ann.uploads(list...)

	now := bob.stream()
	some := bob.stream("type", "heart rate", "source", "watch")
	more := newUpdates(3, "heart rate", "watch")
	more[1]["source"] = "phone"
	ann.uploads(more...)
	all := append(ids, idsOf(more)...)
	now.hears(t, all[1200:]...)
	some.hears(t, more[0].id(), more[2].id())

	// Who has missed much comes back for the rest.
	back := bob.stream("since_uuid", ids[100])
	back.hears(t, ids[101:601]...)
	back.ends(t)
	again, err := bob.openStream(s.listen, ids[600], "since_uuid", ids[100])
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	again.hears(t, all[601:1101]...)
	again.ends(t)
	last := bob.stream("since_uuid", all[1100])
	last.hears(t, all[1101:]...)
	u := newUpdate("location", "phone")
	ann.uploads(u)
	last.hears(t, u.id())
	now.hears(t, u.id())

	for code, params := range map[string][]string{"unknown_uuid": {"since_uuid", newUUID()}, "bad_parameter": {"since_uuid", "x"}} {
		bob.turnedDown(bob.do("GET", "/v1/status/stream", nil, params...), 400, code, "since_uuid")
	}
	if log, err := os.ReadFile(s.log); err != nil || strings.Contains(string(log), bob.token) {
		t.Errorf("%v, want a log without the token in the query", err)
	}
	bob.want(200, "POST", "/v2/account/logout", nil)
	ann.uploads(newUpdate("location", "phone"))
	for _, stream := range []*statusStream{now, last, some} {
		stream.ends(t)
	}
	if r := bob.do("GET", "/v1/status/stream", nil); r.status != 401 {
		t.Errorf("%v\nwant 401", r)
	}
}
