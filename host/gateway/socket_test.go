package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
)

func said(n int, text string) string { return fmt.Sprintf(`{"n":%d,"text":%q}`, n, text) }

func (r *rig) say(room, text string, more ...string) reply {
	r.t.Helper()
	return r.do("POST /chat/"+room+"/say", "text="+text+strings.Join(more, ""), "Content-Type", formType)
}

func TestASocketHearsWhatIsSaidInItsRooms(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	r.do("POST /g/grant/bob", "").wants(204)
	ann, bob := r.connect("/chat/socket/"), r.connect("/chat/socket")
	ann.ask("join", `{"room":"tea","token":"ann"}`)
	ann.wants("ack", `[{"room":"tea","who":"ann"}]`)
	bob.ask("join", `{"room":"tea","token":"bob","words":["hot"]}`)
	bob.wants("ack", `[{"room":"tea","who":"bob"}]`)

	r.say("tea", "hot+water").wants(200)
	r.say("coffee", "beans").wants(200)
	r.say("tea", "milk").wants(200)
	r.say("tea", "never", "&fail=1").wants(409)
	r.say("tea", "hot+again", "&except=ann").wants(200)
	ann.wants("said", said(1, "hot water"))
	ann.wants("said", said(2, "milk"))
	bob.wants("said", said(1, "hot water"))
	bob.wants("said", said(3, "hot again"))
	ann.silent()
	bob.silent()

	// A room that others bring one into, and out of.
	r.do("POST /chat/coffee/take", "who=ann", "Content-Type", formType).wants(200)
	r.say("coffee", "cup")
	r.do("POST /chat/coffee/take", "who=ann&out=1", "Content-Type", formType).wants(200)
	r.say("coffee", "pot")
	ann.wants("said", said(2, "cup"))
	ann.silent()

	// Joining again takes the place of what was joined before.
	ann.emit("join", `{"room":"coffee","token":"ann"}`)
	ann.silent()
	r.say("tea", "more")
	r.say("coffee", "more")
	ann.wants("said", said(4, "more"))
	ann.silent()
}

func TestAnEventThatIsRefusedSaysWhy(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	c := r.connect("/chat/socket/")
	form := func(code, message string) string {
		return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message)
	}
	for _, test := range []struct{ name, event, args, want string }{
		{"a refusal of the plugin", "refuse", `1`, form("no", "Not today.")},
		{"a trap", "trap", `1`, form("internal", internalMessage)},
		{"an event that the plugin does not take", "dance", `1`, form("not_found", `No event "dance" is taken here.`)},
		{"no credential", "join", `{"room":"tea"}`, form("unauthenticated", `This event needs a token in the field "token" of its first argument.`)},
		{"no argument", "join", `"tea"`, form("unauthenticated", `This event needs a token in the field "token" of its first argument.`)},
		{"a wrong credential", "join", `{"room":"tea","token":"eve"}`, form("unknown", "This token was not granted.")},
		{"a wrong argument", "join", `{"token":"ann"}`, form("bad_room", "room is missing.")},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.t = t
			c.ask(test.event, test.args)
			c.wants("error", test.want)
			c.wants("ack", "["+test.want+"]")
			c.emit(test.event, test.args)
			c.wants("error", test.want)
		})
	}
	c.t = t
	r.say("tea", "hello").wants(200)
	c.ask("greet", `"all"`)
	if got := c.next(); got.name == "note" {
		c.wants("ack", `["hello, all"]`)
	} else if got.name != "ack" || got.args != `["hello, all"]` {
		t.Fatalf("heard %v", got)
	}
	// Nobody else's connection can be subscribed.
	r.do("POST /chat/tea/late", "who="+c.id, "Content-Type", formType).wants(403)
	if n := r.metric("edgeset_requests_total", "route", "EVENT /chat/socket/ refuse", "code", "4xx"); n != 2 {
		t.Errorf("%v refusals are counted", n)
	}
}

func TestAnEventWithALongNameEndsTheConnection(t *testing.T) {
	r := start(t, Config{}, chat())
	c := r.connect("/chat/socket/")
	c.emit(strings.Repeat("n", 128), `1`)
	if got := c.next(); got.name != "error" {
		t.Errorf("heard %v", got)
	}
	c.emit(strings.Repeat("n", 129), `1`)
	if got := c.next(); !strings.HasPrefix(got.name, "end") {
		t.Errorf("heard %v", got)
	}
}

func TestARefusalThatIsNestedDeepIsToldAllTheSame(t *testing.T) {
	r := start(t, Config{}, chat())
	c := r.connect("/chat/socket/")
	for depth := 55; depth < 66; depth++ {
		c.ask("deep", fmt.Sprint(depth))
		refusal := c.next()
		if refusal.name != "error" || !strings.Contains(refusal.args, `"message"`) {
			t.Fatalf("depth %d: heard %v", depth, refusal)
		}
		c.wants("ack", "["+refusal.args+"]")
	}
	c.silent()
}

func TestACredentialThatIsWithdrawnEndsItsSubscription(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	r.do("POST /g/grant/bob", "").wants(204)
	ann, bob := r.connect("/chat/socket/"), r.connect("/chat/socket/")
	ann.ask("join", `{"room":"tea","token":"ann"}`)
	ann.wants("ack", `[{"room":"tea","who":"ann"}]`)
	bob.ask("join", `{"room":"tea","token":"bob"}`)
	bob.wants("ack", `[{"room":"tea","who":"bob"}]`)
	stream := r.tail("/chat/tea/stream?token=ann")
	r.say("tea", "one")
	ann.wants("said", said(1, "one"))
	stream.wants("said 1 " + said(1, "one"))
	r.do("POST /g/revoke/ann", "").wants(204)
	r.say("tea", "two")
	ann.wants("error", `{"error":{"code":"unknown","message":"This token was not granted."}}`)
	bob.wants("said", said(1, "one"))
	bob.wants("said", said(2, "two"))
	stream.wants("end")
	// The connection is still good for another credential.
	ann.ask("join", `{"room":"tea","token":"bob"}`)
	ann.wants("ack", `[{"room":"tea","who":"bob"}]`)
	r.say("tea", "three")
	ann.wants("said", said(3, "three"))
}

func TestAStreamGoesOnWhereItsClientWas(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	auth := []string{"Authorization", "Bearer ann"}
	now := r.tail("/chat/tea/stream", auth...)
	for n := 1; n <= 5; n++ {
		r.say("tea", fmt.Sprintf("t%d", n)).wants(200)
	}
	for n := 1; n <= 5; n++ {
		now.wants(fmt.Sprintf("said %d %s", n, said(n, fmt.Sprintf("t%d", n))))
	}
	if got := now.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %s", got)
	}
	// More than is sent at once: the stream ends, and the client comes back.
	back := r.tail("/chat/tea/stream", append(auth, "Last-Event-ID", "1")...)
	back.wants("said 2 " + said(2, "t2"))
	back.wants("said 3 " + said(3, "t3"))
	back.wants("end")
	back = r.tail("/chat/tea/stream", append(auth, "Last-Event-ID", "3")...)
	back.wants("said 4 " + said(4, "t4"))
	back.wants("said 5 " + said(5, "t5"))
	r.say("tea", "t6").wants(200)
	back.wants("said 6 " + said(6, "t6"))
	r.do("POST /chat/tea/close", "").wants(200)
	back.wants("end")
	now.wants("said 6 " + said(6, "t6"))
	now.wants("end")

	r.do("GET /chat/tea/stream", "").wants(401)
	r.do("GET /chat/tea/stream", "", "Authorization", "Bearer ann", "Last-Event-ID", "x").wants(400)
	eventually(t, "no stream is left", func() bool { return r.metric("edgeset_realtime_members") == 0 })
}

// What is said while clients come and go reaches each from the moment that its
// stream began, in order, without a gap or a repetition.
func TestNoEventIsMissedOrRepeated(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	const total = 60
	var group sync.WaitGroup
	group.Go(func() {
		for n := 1; n <= total; n++ {
			if got, err := r.try("POST /chat/tea/say", "text=t", "Content-Type", formType); err != nil || got.status != 200 {
				t.Error(got.status, got.body, err)
				return
			}
		}
	})
	for range 4 {
		group.Go(func() {
			seen := 0
			for end := time.Now().Add(20 * time.Second); seen < total && time.Now().Before(end); {
				s := r.tail("/chat/tea/stream", "Authorization", "Bearer ann", "Last-Event-ID", fmt.Sprint(seen))
				for part := 0; part < 7 && seen < total; part++ {
					got := s.next()
					if got == "end" {
						break
					}
					seen++
					if want := fmt.Sprintf("said %d %s", seen, said(seen, "t")); got != want {
						t.Errorf("got %s, want %s", got, want)
						return
					}
				}
				s.body.Close()
			}
			if seen < total {
				t.Errorf("%d of %d were heard", seen, total)
			}
		})
	}
	group.Wait()
}

func TestAPluginCanEndConnections(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	tea, coffee := r.connect("/chat/socket/"), r.connect("/chat/socket/")
	tea.ask("join", `{"room":"tea","token":"ann"}`)
	tea.wants("ack", `[{"room":"tea","who":"ann"}]`)
	coffee.ask("join", `{"room":"coffee","token":"ann"}`)
	coffee.wants("ack", `[{"room":"coffee","who":"ann"}]`)
	r.do("POST /chat/tea/close", "").wants(200)
	if got := tea.packet(); got != "41" {
		t.Errorf("the client is told %q, want that it is to stay away", got)
	}
	if got := tea.packet(); got != "" {
		t.Errorf("then comes %q", got)
	}
	coffee.silent()
}

func TestASwapDropsNoSocket(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	c := r.connect("/chat/socket/")
	c.ask("join", `{"room":"tea","token":"ann"}`)
	c.wants("ack", `[{"room":"tea","who":"ann"}]`)
	s := r.tail("/chat/tea/stream?token=ann")
	for n := 1; n <= 2; n++ {
		if err := r.gateway.Set([]*deploy.Deployment{load(t, chat())}); err != nil {
			t.Fatal(err)
		}
		r.say("tea", "on").wants(200)
		c.wants("said", said(n, "on"))
		s.wants(fmt.Sprintf("said %d %s", n, said(n, "on")))
		c.silent()
	}
	// A version without the plugin ends its connections.
	spec := chat()
	spec.Plugins = spec.Plugins[:1]
	if err := r.gateway.Set([]*deploy.Deployment{load(t, spec)}); err != nil {
		t.Fatal(err)
	}
	if got := c.next(); !strings.HasPrefix(got.name, "end") {
		t.Errorf("heard %v", got)
	}
	s.wants("end")
	r.do("GET /chat/socket/?EIO=4&transport=polling", "").wants(404)
}

func TestSocketsEndWithTheGateway(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	c := r.connect("/chat/socket/")
	c.silent()
	s := r.tail("/chat/tea/stream?token=ann")
	open := r.do("GET /chat/socket/?EIO=4&transport=polling", "").wants(200)
	if !strings.HasPrefix(open.body, "0{") {
		t.Fatal(open.body)
	}
	// Shutdown, at the end of the test, must not wait for any of them.
	_ = s
}

func TestPagesOfOtherOriginsMayPoll(t *testing.T) {
	spec := chat()
	spec.Origins = []string{"https://app.example"}
	r := start(t, Config{}, spec)
	const path = "/chat/socket/?EIO=4&transport=polling"
	for _, line := range []string{"GET " + path, "OPTIONS " + path} {
		got := r.do(line, "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
		if got.status/100 != 2 || got.header.Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Errorf("%s: %d %v %s", line, got.status, got.header, got.body)
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "true" || got.header.Get("Vary") != "Origin" {
			t.Errorf("%s: clients 2.x of a page cannot read the answer: %v", line, got.header)
		}
		got = r.do(line, "", "Origin", "https://other.example", "Access-Control-Request-Method", "POST")
		if got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v %s", line, got.status, got.header, got.body)
		}
	}
}

func TestAnEventThatRunsDoesNotHoldUpTheEnd(t *testing.T) {
	r := start(t, Config{}, chat())
	c := r.connect("/chat/socket/")
	c.ask("spin", `1`)
	for end := time.Now().Add(patience5s); r.gateway.running.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the event does not run")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	began := time.Now()
	if err := r.gateway.Shutdown(ctx); err != nil {
		t.Log(err) // that the event still runs, if it does
	}
	if took := time.Since(began); took > patience5s {
		t.Errorf("it took %v", took)
	}
}

func TestAStreamWhoseClientIsGoneBeforeItBeginsIsNotLeft(t *testing.T) {
	r := start(t, Config{}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	// The answer to the first request waits for that to the second, which is a stream.
	const two = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /chat/tea/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\n\r\n"
	for i := range 200 {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, two); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); time.Since(began) < time.Duration(i)*3*time.Microsecond; {
		}
		conn.Close()
	}
	hub := r.gateway.table.Load().services[0].live.hub
	for end := time.Now().Add(20 * time.Second); hub.Stats().Members > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", hub.Stats())
		}
	}
}

// Connections that are counted by the address of their client end while they are written
// to, and nobody else's are met.
func TestConnectionsOfAnAddressAreCountedUntilTheyEnd(t *testing.T) {
	const limit = 8
	r := start(t, Config{MaxConnsIP: limit}, chat())
	r.do("POST /g/grant/ann", "").wants(204)
	var talk, listen sync.WaitGroup
	var quiet atomic.Bool
	talk.Go(func() {
		for !quiet.Load() {
			if got, err := r.try("POST /chat/tea/say", "text="+strings.Repeat("x", 20000), "Content-Type", formType); err != nil || got.status != 200 {
				t.Error(got.status, err)
				return
			}
		}
	})
	for i := range 3 {
		listen.Go(func() {
			for range 15 {
				if i == 0 {
					s := r.tail("/chat/tea/stream", "Authorization", "Bearer ann")
					s.next()
					s.body.Close()
					continue
				}
				c := r.connect("/chat/socket/")
				c.emit("join", `{"room":"tea","token":"ann"}`)
				c.next()
				c.conn.Close()
			}
		})
	}
	listen.Wait()
	quiet.Store(true)
	talk.Wait()
	r.client.CloseIdleConnections()
	counted := func() (n int) {
		r.gateway.conns.mu.Lock()
		defer r.gateway.conns.mu.Unlock()
		for _, of := range r.gateway.conns.from {
			n += of
		}
		return n
	}
	for end := time.Now().Add(20 * time.Second); counted() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are counted of none", counted())
		}
	}
	for range limit { // they are closed with the test
		r.connect("/chat/socket/")
	}
	if got := r.raw(""); !strings.HasPrefix(got, "HTTP/1.1 429") {
		t.Errorf("beyond the limit there is %q", got)
	}
}

func TestAPluginNeedsTheGrantForSockets(t *testing.T) {
	spec := chat()
	spec.Plugins[1].Grants = []string{"kv"}
	_, err := loadErr(t, spec)
	if err == nil || !strings.Contains(err.Error(), `needs grant "events"`) {
		t.Fatal(err)
	}
}
