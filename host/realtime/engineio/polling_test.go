package engineio

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAPollingHandshakeGreets(t *testing.T) {
	r := start(t, Config{PingInterval: 300 * time.Second, PingTimeout: 200 * time.Second})
	res := r.request("GET", "EIO=4&transport=polling&t=abc", "")
	h := parseHello(t, res.body)
	if res.status != 200 || len(h.ID) != 20 || fmt.Sprint(h.Upgrades) != "[websocket]" ||
		h.PingInterval != 300_000 || h.PingTimeout != 200_000 || h.MaxPayload != 1_000_000 {
		t.Fatalf("answered with %d %q", res.status, res.body)
	}
	if got := res.header.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
		t.Errorf("the content type is %q", got)
	}
	if got := res.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	s := r.session(h.ID)
	if s.Version() != 4 || s.Peer() != "127.0.0.1" || r.server.Len() != 1 {
		t.Errorf("the session has version %d, peer %v; there are %d", s.Version(), s.Peer(), r.server.Len())
	}
	s.SetValue(7)
	if s.Value() != 7 {
		t.Errorf("the session's value is %v", s.Value())
	}

	res = r.request("GET", "EIO=3&transport=polling", "")
	length, packet, _ := strings.Cut(res.body, ":")
	if parseHello(t, packet); length != fmt.Sprint(len(packet)) {
		t.Errorf("revision 3 was answered with %q", res.body)
	}
}

func TestABadRequestIsRefusedWithTheCodeOfTheProtocol(t *testing.T) {
	r := start(t, Config{})
	query4, _ := r.poll(4)
	_, id := r.poll(3)
	for _, c := range []struct {
		method, query string
		code          int
	}{
		{"GET", "EIO=4", 0},
		{"GET", "EIO=4&transport=abc", 0},
		{"GET", "transport=polling", 5},
		{"GET", "EIO=abc&transport=polling", 5},
		{"GET", "EIO=5&transport=websocket", 5},
		{"POST", "EIO=4&transport=polling", 2},
		{"PUT", "EIO=4&transport=polling", 2},
		{"PUT", query4, 2},
		{"GET", "EIO=4&transport=polling&sid=nobody", 1},
		{"POST", "EIO=3&transport=polling&sid=nobody", 1},
		{"GET", "EIO=4&transport=polling&sid=" + id, 3},
		{"GET", "EIO=3&transport=polling&j=0", 3},
		{"GET", "EIO=4&transport=websocket", 3},
	} {
		res := r.request(c.method, c.query, "")
		if want := fmt.Sprintf(`{"code":%d,"message":"`, c.code); res.status != 400 || !strings.HasPrefix(res.body, want) {
			t.Errorf("%s ?%s was answered with %d %s, want code %d", c.method, c.query, res.status, res.body, c.code)
		}
	}
	res := r.request("GET", "EIO=4&transport=websocket", "", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "8")
	if res.status != http.StatusUpgradeRequired || res.header.Get("Sec-WebSocket-Version") != "13" {
		t.Errorf("version 8 of WebSocket was answered with %d", res.status)
	}
}

func TestPacketsGoBothWaysByPolling(t *testing.T) {
	for _, c := range []struct {
		name    string
		version int
		extra   string
		payload string
		kind    string // content type of the request
		want    string
	}{
		{"one text", 4, "", "4hello", "", "4hello"},
		{"several texts", 4, "", "4test1\x1e4test2\x1e4€", "", "4test1\x1e4test2\x1e4€"},
		{"text and binary", 4, "", "4hello\x1ebAQIDBA==", "", "4hello\x1ebAQIDBA=="},
		{"an empty text", 4, "", "4", "", "4"},
		{"one text in revision 3", 3, "&b64=1", "6:4hello", "", "6:4hello"},
		{"several texts in revision 3", 3, "", "6:4test12:4€3:4😀", "", "6:4test12:4€3:4😀"},
		{"base64 in revision 3", 3, "&b64=1", "6:4hello10:b4AQIDBA==", "", "6:4hello10:b4AQIDBA=="},
		{"base64 in, binary out in revision 3", 3, "", "2:4€10:b4AQIDBA==", "",
			"\x00\x04\xff4€\x01\x05\xff\x04\x01\x02\x03\x04"},
		{"binary in revision 3", 3, "", "\x00\x04\xff4€\x01\x01\x02\xff\x040123456789x", "application/octet-stream",
			"\x00\x04\xff4€\x01\x01\x02\xff\x040123456789x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, Config{})
			query, id := r.poll(c.version, c.extra)
			r.expect(r.request("POST", query, c.payload, "Content-Type", c.kind), 200, "ok")
			res := r.request("GET", query, "")
			r.expect(res, 200, c.want)
			want := "text/plain; charset=UTF-8"
			if c.want[0] == 0 {
				want = "application/octet-stream"
			}
			if got := res.header.Get("Content-Type"); got != want {
				t.Errorf("the content type is %q, want %q", got, want)
			}
			if r.reason(id) != "" {
				t.Errorf("the session has ended: %s", r.reason(id))
			}
		})
	}
}

func TestAPollWaitsForAMessage(t *testing.T) {
	r := start(t, Config{})
	query, id := r.poll(4)
	poll := r.pending(query, id)
	r.session(id).Send(Sequence(Text([]byte("a")), Binary([]byte{1}), Text([]byte("b"))))
	r.expect(<-poll, 200, "4a\x1ebAQ==\x1e4b")
}

func TestWhatIsSentWhileOpeningComesWithTheOpenPacket(t *testing.T) {
	r := startWith(t, Config{}, func(r *rig) {
		r.onOpen = func(s *Session) { s.Send(Text([]byte("0"))) }
	})
	res := r.request("GET", "EIO=3&transport=polling", "")
	if !strings.HasSuffix(res.body, "2:40") {
		t.Errorf("answered with %q", res.body)
	}
	c := r.dial("EIO=4&transport=websocket")
	parseHello(t, c.text())
	c.expect("40")
}

func TestASessionThatIsClosedWhileOpeningEnds(t *testing.T) {
	r := startWith(t, Config{}, func(r *rig) {
		r.onOpen = func(s *Session) { s.Close("enough") }
	})
	res := r.request("GET", "EIO=4&transport=polling", "")
	open, end, _ := strings.Cut(res.body, "\x1e")
	if end != "1" {
		t.Errorf("answered with %q", res.body)
	}
	r.ended(parseHello(t, open).ID, "enough")
	c, id := r.open(4)
	c.closed(1000)
	r.ended(id, "enough")
}

func TestABadPayloadClosesTheSession(t *testing.T) {
	for _, c := range []struct {
		version int
		payload string
		kind    string
	}{
		{4, "abc", ""}, {4, "", ""}, {4, "7", ""}, {4, "4a\x1e", ""}, {4, "b*", ""}, {4, "4\xff", ""}, {4, "2", ""},
		{3, "abc", ""}, {3, "", ""}, {3, "9:4a", ""}, {3, "1:9", ""}, {3, ":4", ""}, {3, "99999999999:4", ""},
		{3, "2:b4", ""}, {3, "2:4😀", ""}, {3, "1:3", ""}, {3, "3:bAA", ""},
		{3, "\x01\x02\xff\x04", "application/octet-stream"}, {3, "\x02\x01\xff4", "application/octet-stream"},
		{3, "\x00\x0a\xff4", "application/octet-stream"}, {3, "\x00\x02\xff4\xff", "application/octet-stream"},
		{3, "\x01\x01\xff\x02", "application/octet-stream"}, {3, "\x00", "application/octet-stream"},
	} {
		t.Run(fmt.Sprintf("%d %q", c.version, c.payload), func(t *testing.T) {
			r := start(t, Config{})
			query, id := r.poll(c.version)
			if c.payload == "2:b4" { // an empty binary message is one
				r.expect(r.request("POST", query, c.payload, "Content-Type", c.kind), 200, "ok")
				return
			}
			if res := r.request("POST", query, c.payload, "Content-Type", c.kind); res.status != 400 {
				t.Fatalf("answered with %d %q", res.status, res.body)
			}
			r.ended(id, TransportError)
			r.expect(r.request("GET", query, ""), 400, `{"code":1,"message":"Session ID unknown"}`)
		})
	}
}

func TestASecondPollEndsTheSession(t *testing.T) {
	for version, packet := range map[int]string{4: "1", 3: "1:1"} {
		t.Run(fmt.Sprint("revision ", version), func(t *testing.T) {
			r := start(t, Config{})
			query, id := r.poll(version)
			first := r.pending(query, id)
			if res := r.request("GET", query, ""); res.status != 400 {
				t.Errorf("the second poll was answered with %d", res.status)
			}
			r.expect(<-first, 200, packet)
			r.ended(id, TransportError)
			if res := r.request("GET", query, ""); res.status != 400 {
				t.Errorf("the third poll was answered with %d", res.status)
			}
		})
	}
}

func TestASecondPostAtTheSameTimeEndsTheSession(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	r := startWith(t, Config{}, func(r *rig) {
		r.onMessage = func(*Session, []byte, bool) { entered <- true; <-leave }
	})
	query, id := r.poll(4)
	first := r.background("POST", query, "4a")
	<-entered
	if res := r.request("POST", query, "4b"); res.status != 400 {
		t.Errorf("the second POST was answered with %d", res.status)
	}
	if got := r.reason(id); got != "" {
		t.Errorf("the handler heard %q while it handled a message", got)
	}
	close(leave)
	<-first
	r.ended(id, TransportError)
}

func TestAClientThatLeavesItsPollEndsTheSession(t *testing.T) {
	var gone atomic.Bool
	r := startWith(t, Config{}, func(r *rig) { r.gone = gone.Load })
	query, id := r.poll(4)
	poll := r.pending(query, id)
	gone.Store(true)
	r.ended(id, TransportClose)
	<-poll
	if r.server.Len() != 0 {
		t.Error("the session is still there")
	}
}

func TestAClientClosesByPolling(t *testing.T) {
	for version, c := range map[int]struct{ close, noop string }{4: {"1", "6"}, 3: {"1:1", "1:6"}} {
		t.Run(fmt.Sprint("revision ", version), func(t *testing.T) {
			r := start(t, Config{})
			query, id := r.poll(version)
			poll := r.pending(query, id)
			r.expect(r.request("POST", query, c.close), 200, "ok")
			r.expect(<-poll, 200, c.noop)
			r.ended(id, TransportClose)
			if res := r.request("GET", query, ""); res.status != 400 {
				t.Errorf("a poll after the end was answered with %d", res.status)
			}

			// The poll may also be overtaken.
			query, id = r.poll(version)
			r.expect(r.request("POST", query, c.close), 200, "ok")
			r.ended(id, TransportClose)
			if res := r.request("POST", query, c.close); res.status != 400 {
				t.Errorf("a POST after the end was answered with %d", res.status)
			}
			r.expect(r.request("GET", query, ""), 200, c.noop)
			if res := r.request("GET", query, ""); res.status != 400 {
				t.Errorf("a poll after the end was answered with %d", res.status)
			}
		})
	}
}

func TestTheServerClosesASessionThatPolls(t *testing.T) {
	r := start(t, Config{})
	query, id := r.poll(4)
	poll := r.pending(query, id)
	r.session(id).Close("")
	r.expect(<-poll, 200, "1")
	r.ended(id, ForcedClose)

	query, id = r.poll(4)
	r.session(id).Send(Text([]byte("lost")))
	r.session(id).Close("banned")
	r.ended(id, "banned")
	r.session(id).Send(Text([]byte("late")))
	r.expect(r.request("GET", query, ""), 200, "1")

	query, id = r.poll(4)
	r.session(id).Send(Text([]byte("kept")))
	r.session(id).Finish("done")
	r.ended(id, "done")
	r.expect(r.request("GET", query, ""), 200, "4kept\x1e1")
	until(t, "all are gone", func() bool { return r.server.Len() == 0 })
}

func TestAnEndThatNobodyFetchesIsForgotten(t *testing.T) {
	r := start(t, Config{})
	_, id := r.poll(4)
	r.session(id).Close("")
	if r.server.Len() != 1 {
		t.Fatal("the end is not kept for the next poll")
	}
	until(t, "it is forgotten", func() bool { return r.server.Len() == 0 })
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	r := start(t, Config{MaxPayload: 100})
	query, id := r.poll(4)
	r.expect(r.request("POST", query, "4"+strings.Repeat("a", 99)), 200, "ok")
	if res := r.request("POST", query, "4"+strings.Repeat("a", 100)); res.status != 413 {
		t.Errorf("answered with %d", res.status)
	}
	if n := len(r.heard(id)); n != 1 {
		t.Errorf("%d messages came", n)
	}
}

func TestAClientThatDoesNotPollIsTooSlow(t *testing.T) {
	r := start(t, Config{MaxBuffered: 1000})
	query, id := r.poll(4)
	s := r.session(id)
	s.Send(Text(make([]byte, 5000))) // alone, it may be larger
	if r.reason(id) != "" {
		t.Fatal("one large message has closed the session")
	}
	if res := r.request("GET", query, ""); len(res.body) != 5001 {
		t.Fatalf("got %d bytes", len(res.body))
	}
	for range 20 {
		s.Send(Text(make([]byte, 100)))
	}
	r.ended(id, TooSlow)
	if res := r.request("GET", query, ""); res.status != 400 {
		t.Errorf("a poll was answered with %d", res.status)
	}
}

func TestNoMoreSessionsThanAllowedAreOpened(t *testing.T) {
	r := start(t, Config{MaxSessions: 2})
	r.poll(4)
	c, _ := r.open(4)
	if res := r.request("GET", "EIO=4&transport=polling", ""); res.status != 503 || res.header.Get("Retry-After") == "" {
		t.Errorf("polling was answered with %d", res.status)
	}
	if _, err := dialSocket(r.addr, "EIO=4&transport=websocket"); err == nil {
		t.Error("a third session was opened")
	}
	c.Close()
	until(t, "there is room", func() bool { return r.server.Len() == 1 })
	r.open(4)
}

func TestASessionWhoseClientDoesNotComeBackIsNotKept(t *testing.T) {
	r := start(t, Config{})
	_, id := r.poll(4)
	s := r.session(id)
	s.mu.Lock()
	left := s.expires - s.server.clock()
	s.mu.Unlock()
	if left > claimTime {
		t.Errorf("it is kept for %v, want at most %v", left, claimTime)
	}
	r.request("POST", "EIO=4&transport=polling&sid="+id, "4hello")
	s.mu.Lock()
	left = s.expires - s.server.clock()
	s.mu.Unlock()
	if left < s.server.config.PingInterval {
		t.Errorf("its client has come, and it is kept for %v", left)
	}
}

func TestAPollIsAnsweredWithABoundedPartOfWhatWaits(t *testing.T) {
	const messages, size = 30, 50 << 10
	r := start(t, Config{MaxBuffered: 8 << 20})
	query, id := r.poll(4)
	s := r.session(id)
	for i := range messages {
		s.Send(Text([]byte(fmt.Sprint(i, strings.Repeat("x", size)))))
	}
	next := 0
	for polls := 0; next < messages; polls++ {
		if polls > messages {
			t.Fatal("polls are answered with nothing")
		}
		body := r.request("GET", query, "").body
		if len(body) > maxAnswer+2*size {
			t.Fatalf("an answer of %d bytes", len(body))
		}
		for packet := range strings.SplitSeq(body, "\x1e") {
			if want := fmt.Sprint("4", next, "x"); !strings.HasPrefix(packet, want) {
				t.Fatalf("packet %.20q, want %q…", packet, want)
			}
			next++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size != 0 || s.queue != nil {
		t.Errorf("%d bytes are left of nothing", s.size)
	}
}
