package socketio_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/realtime/engineio"
	"github.com/edgeset/edgeset/host/realtime/socketio"
)

// newEcho starts a server that does what the official tests want.
func newEcho(t testing.TB, c socketio.Config) (*rig, *echo) {
	h := &echo{t: t}
	return newRig(t, c, h), h
}

// joined dials and joins "/".
func (r *rig) joined(eio int) *peer {
	r.t.Helper()
	p := r.dial(eio)
	if eio == 3 {
		p.wants("40", `42["auth",{}]`)
		return p
	}
	p.send("40")
	p.joins("/")
	p.wants(`42["auth",{}]`)
	return p
}

func TestAClientJoinsNamespaces(t *testing.T) {
	r, h := newEcho(t, socketio.Config{})
	for _, c := range []struct{ packet, namespace, auth string }{
		{`40`, "/", `42["auth",{}]`},
		{`40{"token":"123"}`, "/", `42["auth",{"token":"123"}]`},
		{`40/custom`, "/custom", `42/custom,["auth",{}]`},
		{`40/custom,`, "/custom", `42/custom,["auth",{}]`},
		{`40/custom,{"token":"abc","n":[1.5,null]}`, "/custom", `42/custom,["auth",{"token":"abc","n":[1.5,null]}]`},
	} {
		p := r.dial(4)
		p.send(c.packet)
		id := p.joins(c.namespace)
		p.wants(c.auth)
		h.mu.Lock()
		last := h.conns[len(h.conns)-1]
		h.mu.Unlock()
		if last.ID() != id || last.Namespace() != c.namespace || last.Peer() != "127.0.0.1" {
			t.Errorf("%s: the server knows it as %s in %s from %v", c.packet, last.ID(), last.Namespace(), last.Peer())
		}
	}
}

func TestAnUnknownNamespaceIsRefused(t *testing.T) {
	r, _ := newEcho(t, socketio.Config{})
	p := r.dial(4)
	p.send(`40/random`)
	p.wants(`44/random,{"message":"Invalid namespace"}`)
	p.send(`40/custom?a=b,{"c":1}`)
	p.wants(`44/custom?a=b,{"message":"Invalid namespace"}`)
	p.send("40")
	p.joins("/")

	old := r.joined(3)
	old.send(`40/random?a=b,`)
	old.wants(`44/random,"Invalid namespace"`)
	old.send(`42["message"]`)
	old.wants(`42["message-back"]`)
}

func TestAnOldClientIsInTheMainNamespaceUnasked(t *testing.T) {
	r, h := newEcho(t, socketio.Config{})
	p := r.joined(3)
	p.send(`40/custom?token=a%20b&x=1,`)
	p.wants(`40/custom,`, `42/custom,["auth",{"token":"a b","x":"1"}]`)
	p.send(`42/custom,7["message-with-ack",{"a":[]}]`, `42["message","main"]`)
	p.wants(`43/custom,7[{"a":[]}]`, `42["message-back","main"]`)
	p.send(`451-["message",{"_placeholder":true,"num":0}]`, []byte{1, 2, 3})
	p.wants(`451-["message-back",{"_placeholder":true,"num":0}]`, "bytes:\x01\x02\x03")
	p.send(`41/custom,`, `42["message","still"]`)
	p.wants(`42["message-back","still"]`)
	h.conn(0).Disconnect("enough")
	p.wants(`41`)
	p.isClosed()
	r.empty()
	r.eventually("both ends are told", func() bool { return len(h.ended()) == 2 })
	if ends := h.ended(); !slices.Equal(ends, []string{"/custom " + socketio.ClientLeft, "/ enough"}) {
		t.Errorf("ended: %q", ends)
	}
}

func TestAnOldClientWaitsForNothingWithoutAMainNamespace(t *testing.T) {
	r, _ := newEcho(t, socketio.Config{Namespaces: []string{"/only"}})
	p := r.dial(3)
	p.send(`40/only`)
	p.wants(`40/only,`, `42/only,["auth",{}]`)
}

func TestEventsAndAcknowledgementsGoBothWays(t *testing.T) {
	r, _ := newEcho(t, socketio.Config{})
	for _, eio := range []int{3, 4} {
		p := r.joined(eio)
		for _, c := range []struct{ in, out []any }{
			{[]any{`42["message",1,"2",{"3":[true]}]`}, []any{`42["message-back",1,"2",{"3":[true]}]`}},
			{[]any{`42["message"]`}, []any{`42["message-back"]`}},
			{[]any{`42["message","grüße 日本 😀","\u0000\u2028",1e400,-0.0]`}, []any{`42["message-back","grüße 日本 😀","\u0000\u2028",1e400,-0]`}},
			{[]any{`42["nobody listens"]`, `42["message",0]`}, []any{`42["message-back",0]`}},
			{[]any{`42456["message-with-ack",1,"2",{"3":[false]}]`}, []any{`43456[1,"2",{"3":[false]}]`}},
			{[]any{`420["message-with-ack"]`}, []any{`430[]`}},
			{[]any{`429007199254740991["message-with-ack"]`}, []any{`439007199254740991[]`}},
			{
				[]any{`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, []byte{1, 2, 3}, []byte{4, 5, 6}},
				[]any{`452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bytes:\x01\x02\x03", "bytes:\x04\x05\x06"},
			},
			{
				[]any{`452-789["message-with-ack",[{"_placeholder":true,"num":1}],{"_placeholder":true,"num":0}]`, []byte("first"), []byte{}},
				[]any{`462-789[[{"_placeholder":true,"num":0}],{"_placeholder":true,"num":1}]`, "bytes:", "bytes:first"},
			},
			{[]any{`43987["of what?"]`, `461-1[{"_placeholder":true,"num":0}]`, []byte("x"), `42["message",1]`}, []any{`42["message-back",1]`}},
			{[]any{`42["message",{"_placeholder":true,"num":5}]`}, []any{`42["message-back",{"_placeholder":true,"num":5}]`}},
		} {
			p.send(c.in...)
			for _, want := range c.out {
				p.wants(want.(string))
			}
		}
	}
}

func TestAPollingClientSpeaksTheSame(t *testing.T) {
	r, h := newEcho(t, socketio.Config{})
	p := r.poll()
	p.send(`40{"token":"123"}`, `40/custom,`)
	var got []string
	for range 4 {
		got = append(got, p.next())
	}
	if !strings.HasPrefix(got[0], `40{"sid":`) || got[1] != `42["auth",{"token":"123"}]` ||
		!strings.HasPrefix(got[2], `40/custom,{"sid":`) || got[3] != `42/custom,["auth",{}]` {
		t.Fatalf("got %q", got)
	}
	p.send(`42/custom,1["message-with-ack","a"]`, `451-["message",{"_placeholder":true,"num":0}]`, "bAQID", `42["message","last"]`)
	for _, want := range []string{`43/custom,1["a"]`, `451-["message-back",{"_placeholder":true,"num":0}]`, "bAQID", `42["message-back","last"]`} {
		if m := p.next(); m != want {
			t.Fatalf("got %q, want %q", m, want)
		}
	}
	p.send(`4nonsense`)
	r.eventually("both ends are told", func() bool { return len(h.ended()) == 2 })
	if ends := h.ended(); !slices.Contains(ends, "/ parse error") || !slices.Contains(ends, "/custom parse error") {
		t.Errorf("ended: %q", ends)
	}
}

func TestBadPacketsCloseTheConnection(t *testing.T) {
	r, h := newEcho(t, socketio.Config{MaxAttachments: 2, Engine: engineio.Config{MaxPayload: 10000}})
	for _, packets := range [][]any{
		{`4abc`}, {`4`}, {`42{}`}, {`42[]`}, {`42[1]`}, {`42["disconnect"]`},
		{`42abc["message-with-ack",1,"2",{"3":[false]}]`},
		{`41{}`}, {`43[]`}, {`44"x"`}, {`40[]`},
		{`42/custom,["message"]`}, // not joined
		{`41/custom,`}, {`42/unknown,["message"]`},
		{[]byte("unasked")},
		{`451-["message",{"_placeholder":true,"num":0}]`, `42["message"]`},
		{`451-["message",{"_placeholder":true,"num":1}]`, []byte("x")},
		{`451-["message"]`, []byte("x")},
		{`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, []byte("x"), []byte("y")},
		{`453-["message"]`},
		{`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, make([]byte, 6000), make([]byte, 6000)},
	} {
		before := len(h.ended())
		p := r.joined(4)
		p.send(packets...)
		p.isClosed()
		r.eventually("the end is told", func() bool { return len(h.ended()) > before })
		if ends := h.ended(); ends[len(ends)-1] != "/ "+socketio.BrokenPacket {
			t.Errorf("%.100q: ended with %q", packets, ends[len(ends)-1])
		}
	}
	r.empty()
}

func TestNothingButJoiningComesFirst(t *testing.T) {
	r, h := newEcho(t, socketio.Config{})
	for _, packet := range []any{`4abc`, `42["message"]`, `41`, `431[]`, []byte("x")} {
		p := r.dial(4)
		p.send(packet)
		p.isClosed()
	}
	r.empty()
	if len(h.ended()) != 0 {
		t.Errorf("ended: %q", h.ended())
	}
}

func TestAClientThatJoinsNothingIsClosed(t *testing.T) {
	t.Parallel()
	r, h := newEcho(t, socketio.Config{ConnectTimeout: 2 * time.Second})
	stays := r.joined(4)
	wrong := r.dial(4)
	wrong.send("40/random")
	wrong.wants(`44/random,{"message":"Invalid namespace"}`)
	left := r.joined(4)
	left.send("41") // its time begins again
	idle := r.dial(4)
	wrong.isClosed()
	left.isClosed()
	idle.isClosed()
	// Now the time is over for all, and only one was there in time.
	r.eventually("one is left", func() bool { return r.server.Len() == 1 })
	stays.send(`42["message"]`)
	stays.wants(`42["message-back"]`)
	if ends := h.ended(); !slices.Equal(ends, []string{"/ " + socketio.ClientLeft}) {
		t.Errorf("ended: %q", ends)
	}
}

func TestAClientLeavesNamespaces(t *testing.T) {
	r, h := newEcho(t, socketio.Config{})
	p := r.joined(4)
	p.send("40/custom")
	p.joins("/custom")
	p.wants(`42/custom,["auth",{}]`)
	p.send("40/custom", "40") // it is there already
	p.send("41/custom", `42["message","message to main namespace"]`)
	p.wants(`42["message-back","message to main namespace"]`)
	p.send("41", "40/custom") // it may go on after the last one
	p.joins("/custom")
	p.wants(`42/custom,["auth",{}]`)
	p.conn.Close()
	r.empty()
	r.eventually("all ends are told", func() bool { return len(h.ended()) == 3 })
	want := []string{"/custom " + socketio.ClientLeft, "/ " + socketio.ClientLeft, "/custom " + engineio.TransportClose}
	if ends := h.ended(); !slices.Equal(ends, want) {
		t.Errorf("ended: %q", ends)
	}
}
