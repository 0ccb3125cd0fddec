package realtime

import (
	"bufio"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/valyala/fasthttp"
)

const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

// pipe returns the two ends of a connection over loopback.
func pipe(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// endings keeps why streams have ended.
type endings struct {
	mu   sync.Mutex
	list []string
}

func (e *endings) add(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, reason)
}

func (e *endings) get() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// stream returns a stream that has joined the hub, and why it has ended.
func (r rig) stream() (*Stream, *Member, *endings) {
	ended := &endings{}
	s := r.NewStream(ended.add)
	return s, r.Join("p", s), ended
}

func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("read to the end: %v, after %q", err, b)
	}
	return string(b)
}

func sent(name string) string { return "event: " + name + "\ndata: \"" + name + "\"\n\n" }

func TestAStreamSendsHeadThenWhatCameBeforeThenTheRest(t *testing.T) {
	r := newRig(t, HubConfig{})
	server, client := pipe(t)
	s, m, ended := r.stream()
	r.subscribe(m, r.shown("key"), "room")
	r.publish(emit("before", "room"))
	s.Start(server, []byte(head+sent("first")))
	r.publish(emit("one", "room"))
	long := event("long")
	long.Args = array(strings.Repeat("x", 3*maxWrite))
	r.publish(abi.Message{Op: abi.OpEmit, To: []string{"room"}, Events: []abi.Event{event("two"), long, event("three")}},
		abi.Message{Op: abi.OpDisconnect, To: []string{m.ID()}, Reason: "enough"}, emit("four", "room"))
	want := head + sent("first") + sent("before") + sent("one") + sent("two") +
		"event: long\ndata: \"" + strings.Repeat("x", 3*maxWrite) + "\"\n\n" + sent("three")
	if got := readAll(t, client); got != want {
		t.Errorf("client got\n%.2000q\nwant\n%.2000q", got, want)
	}
	if got := ended.get(); !slices.Equal(got, []string{"enough"}) {
		t.Errorf("stream ended with %q: want the plugin's reason, once", got)
	}
}

func TestAStreamTakesOverAConnectionOfFasthttp(t *testing.T) {
	r := newRig(t, HubConfig{})
	s, m, _ := r.stream()
	server := &fasthttp.Server{KeepHijackedConns: true, ReadTimeout: 20 * time.Millisecond, Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(c net.Conn) { s.Start(c, []byte(head)) })
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(30 * time.Second))
	b := make([]byte, len(head))
	if _, err := io.ReadFull(client, b); err != nil || string(b) != head {
		t.Fatalf("client got %q, %v", b, err)
	}
	time.Sleep(50 * time.Millisecond) // the server's deadline for reading passes
	r.publish(emit("e", m.ID()), abi.Message{Op: abi.OpDisconnect, To: []string{m.ID()}})
	if got := readAll(t, client); got != sent("e") {
		t.Errorf("client got %q", got)
	}
	if err := server.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestAStreamThatEndsBeforeItStartsStillAnswers(t *testing.T) {
	r := newRig(t, HubConfig{})
	server, client := pipe(t)
	s, m, ended := r.stream()
	r.publish(emit("before", m.ID()), abi.Message{Op: abi.OpDisconnect, To: []string{m.ID()}, Reason: "enough"})
	s.Start(server, []byte(head))
	if got := readAll(t, client); got != head+sent("before") {
		t.Errorf("client got %q", got)
	}
	if got := ended.get(); !slices.Equal(got, []string{"enough"}) {
		t.Errorf("stream ended with %q", got)
	}
	until(t, "the end of the heartbeats", func() bool { return r.pulses() == 0 })
}

func (r rig) pulses() int {
	r.pulse.mu.Lock()
	defer r.pulse.mu.Unlock()
	if (r.pulse.timer == nil) != (r.pulse.count == 0) {
		r.t.Errorf("%d streams, timer %v", r.pulse.count, r.pulse.timer)
	}
	return r.pulse.count
}

func TestARefusedCredentialEndsTheStream(t *testing.T) {
	a := &authority{}
	a.set("key", errRevoked)
	r := newRig(t, HubConfig{Check: a.check})
	server, client := pipe(t)
	s, m, ended := r.stream()
	r.subscribe(m, r.shown("key"), "room")
	s.Start(server, []byte(head))
	r.Written([][]byte{[]byte("key")})
	if got := readAll(t, client); got != head {
		t.Errorf("client got %q", got)
	}
	r.settled()
	if got := ended.get(); !slices.Equal(got, []string{"revoked"}) || r.Stats().Members != 0 {
		t.Errorf("stream ended with %q; %d members are left", got, r.Stats().Members)
	}
}

func TestAStreamShowsThatItIsAlive(t *testing.T) {
	r := newRig(t, HubConfig{Heartbeat: 30 * time.Millisecond})
	server, client := pipe(t)
	s, m, _ := r.stream()
	s.Start(server, []byte(head))
	b := make([]byte, len(head)+5*len(heartbeat))
	if _, err := io.ReadFull(client, b); err != nil {
		t.Fatal(err)
	}
	if string(b) != head+strings.Repeat(":\n\n", 5) {
		t.Errorf("client got %q", b)
	}
	r.publish(emit("e", m.ID()))
	for in := bufio.NewReader(client); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "event: e\n" {
			break
		}
	}
}

func TestAClientThatGoesIsNoticed(t *testing.T) {
	r := newRig(t, HubConfig{})
	server, client := pipe(t)
	s, _, ended := r.stream()
	s.Start(server, []byte(head))
	client.Close()
	until(t, "the end", func() bool { return len(ended.get()) > 0 && r.Stats().Members == 0 })
	if got := ended.get(); !slices.Equal(got, []string{reasonGone}) && !slices.Equal(got, []string{reasonFailed}) {
		t.Errorf("stream ended with %q", got)
	}
	if n := r.pulses(); n != 0 {
		t.Errorf("%d streams have a pulse", n)
	}
}

func TestAClientThatTalksTooMuchIsCutOff(t *testing.T) {
	r := newRig(t, HubConfig{})
	server, client := pipe(t)
	s, m, ended := r.stream()
	s.Start(server, []byte(head))
	if _, err := client.Write([]byte("\r\n")); err != nil {
		t.Fatal(err)
	}
	r.publish(emit("e", m.ID()))
	b := make([]byte, len(head+sent("e")))
	if _, err := io.ReadFull(client, b); err != nil || string(b) != head+sent("e") {
		t.Fatalf("client got %q, %v", b, err)
	}
	_, _ = client.Write(make([]byte, 2*maxRead)) // fails if it is cut off meanwhile
	until(t, "the end", func() bool { return slices.Equal(ended.get(), []string{reasonFailed}) })
}

func TestASlowClientIsCutOffAndComesBack(t *testing.T) {
	r := newRig(t, HubConfig{})
	server, client := pipe(t)
	s, m, ended := r.stream()
	r.subscribe(m, r.shown("key"), "room")
	s.Start(server, []byte(head))
	large := event("large")
	large.Args = array(strings.Repeat("x", 1<<20))
	for range 64 { // much more than the sockets of both sides hold
		r.publish(abi.Message{Op: abi.OpEmit, To: []string{"room"}, Events: []abi.Event{large}})
		if len(ended.get()) > 0 {
			break
		}
	}
	if got := ended.get(); !slices.Equal(got, []string{reasonTooSlow}) {
		t.Fatalf("stream ended with %q", got)
	}
	if n, err := io.Copy(io.Discard, client); err == nil && n > 64<<20 {
		t.Errorf("client has got all %d bytes", n)
	}
	r.settled()
	if r.Stats().Members != 0 {
		t.Error("it is still a member")
	}
	server, client = pipe(t)
	s, m, _ = r.stream()
	r.subscribe(m, r.shown("key"), "room")
	s.Start(server, []byte(head))
	r.publish(emit("e", "room"))
	b := make([]byte, len(head+sent("e")))
	if _, err := io.ReadFull(client, b); err != nil || string(b) != head+sent("e") {
		t.Errorf("client that came back got %q, %v", b, err)
	}
}

func TestAStreamThatIsNeverStartedIsBounded(t *testing.T) {
	r := newRig(t, HubConfig{})
	_, m, ended := r.stream()
	large := event("large")
	large.Args = array(strings.Repeat("x", 1<<20))
	for range 10 {
		r.publish(abi.Message{Op: abi.OpEmit, To: []string{m.ID()}, Events: []abi.Event{large}})
	}
	if got := ended.get(); !slices.Equal(got, []string{reasonTooSlow}) || r.Stats().Members != 0 {
		t.Errorf("stream ended with %q, %d members", got, r.Stats().Members)
	}
}

func TestStreamsThatEndLeaveNothing(t *testing.T) {
	r := newRig(t, HubConfig{Heartbeat: 15 * time.Millisecond})
	before := runtime.NumGoroutine()
	var clients []net.Conn
	for i := range 100 {
		server, client := pipe(t)
		s, m, _ := r.stream()
		r.subscribe(m, r.shown("key"), "room")
		s.Start(server, []byte(head))
		clients = append(clients, client)
		if i%3 == 0 {
			client.Close()
		}
	}
	for range 50 {
		r.publish(emit("e", "room"))
	}
	for i, c := range clients {
		if i%3 == 1 {
			c.Close()
		}
	}
	r.Close("the server is shutting down")
	for i, c := range clients {
		if i%3 == 2 && !strings.HasSuffix(strings.TrimRight(readAll(t, c), ":\n"), "data: \"e\"") {
			t.Error("a stream ended before its last event")
		}
	}
	until(t, "the end of goroutines and heartbeats", func() bool { return runtime.NumGoroutine() <= before && r.pulses() == 0 })
}

func TestRetainEndsConnectionsToOtherPlugins(t *testing.T) {
	r := newRig(t, HubConfig{})
	_, kept := r.join()
	gone := &recorder{}
	r.Join("q", gone)
	r.Retain(func(plugin string) bool { return plugin == "p" }, "its plugin is gone")
	r.settled()
	expect(t, kept)
	expect(t, gone, "closed: its plugin is gone")
}
