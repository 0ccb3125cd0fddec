package socketio_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/realtime/engineio"
	"github.com/edgeset/edgeset/host/realtime/socketio"
)

// handler is a socketio.Handler of functions.
type handler struct {
	connect    func(c *socketio.Conn)
	event      func(c *socketio.Conn, name string, args abi.Value, ack *socketio.Ack)
	disconnect func(c *socketio.Conn, reason string)
}

func (h handler) Connect(c *socketio.Conn, _ abi.Value) {
	if h.connect != nil {
		h.connect(c)
	}
}

func (h handler) Event(c *socketio.Conn, name string, args abi.Value, ack *socketio.Ack) {
	if h.event != nil {
		h.event(c, name, args, ack)
	}
}

func (h handler) Disconnect(c *socketio.Conn, reason string) {
	if h.disconnect != nil {
		h.disconnect(c, reason)
	}
}

func TestTheServerEndsANamespace(t *testing.T) {
	r, h := newEcho(t, socketio.Config{})
	p := r.joined(4)
	p.send("40/custom")
	p.joins("/custom")
	p.wants(`42/custom,["auth",{}]`)
	custom := h.conn(1)
	custom.Disconnect("first")
	custom.Disconnect("second") // does nothing
	p.wants("41/custom,")
	// What the client has sent before it knew is dropped, and the rest goes on.
	p.send(`42/custom,["message"]`, `43/custom,1[]`, `42["message"]`)
	p.wants(`42["message-back"]`)
	custom.Emit(newEvent(t, "late", array()))
	p.send("40/custom")
	p.joins("/custom")
	p.wants(`42/custom,["auth",{}]`)
	if again := h.conn(2); again == custom || again.ID() == custom.ID() {
		t.Error("it is the connection that has ended")
	}
	r.eventually("the end is told", func() bool { return len(h.ended()) == 1 })

	p.send(`42/custom,["expel"]`) // from inside of the Handler
	p.wants("41/custom,")
	r.eventually("that is told", func() bool { return len(h.ended()) == 2 })
	h.conn(0).Disconnect("")
	p.wants("41")
	p.isClosed()
	r.empty()
	r.eventually("all ends are told", func() bool { return len(h.ended()) == 3 })
	if ends := h.ended(); !slices.Equal(ends, []string{"/custom first", "/custom expelled", "/ " + socketio.ServerLeft}) {
		t.Errorf("ended: %q", ends)
	}
}

func TestTheServerCutsAConnectionOff(t *testing.T) {
	r, h := newEcho(t, socketio.Config{})
	p := r.joined(4)
	p.send("40/custom")
	p.joins("/custom")
	p.wants(`42/custom,["auth",{}]`)
	p.send(`42["cut"]`, `42["message"]`)
	p.isClosed()
	r.empty()
	r.eventually("both ends are told", func() bool { return len(h.ended()) == 2 })
	ends := h.ended()
	slices.Sort(ends)
	if !slices.Equal(ends, []string{"/ cut", "/custom cut"}) {
		t.Errorf("ended: %q", ends)
	}
	h.conn(0).Close("again")
	h.conn(0).Disconnect("again")
	h.conn(0).Emit(newEvent(t, "late", array()))
	if len(h.ended()) != 2 {
		t.Errorf("ended: %q", h.ended())
	}
}

func TestTheServerMayEndAConnectionAsItIsMade(t *testing.T) {
	for name, end := range map[string]func(*socketio.Conn){
		"disconnect": func(c *socketio.Conn) { c.Disconnect("unwanted") },
		"close":      func(c *socketio.Conn) { c.Close("unwanted") },
	} {
		var ends atomic.Int64
		r := newRig(t, socketio.Config{}, handler{
			connect: end,
			disconnect: func(_ *socketio.Conn, reason string) {
				if reason != "unwanted" {
					t.Errorf("%s: ended with %q", name, reason)
				}
				ends.Add(1)
			},
		})
		old, young, polling := r.dial(3), r.dial(4), r.poll()
		young.send("40")
		polling.send("40")
		if name == "disconnect" {
			old.wants("40", "41")
			young.joins("/")
			young.wants("41")
			if m := polling.next(); !strings.HasPrefix(m, "40{") {
				t.Errorf("got %q", m)
			}
			if m := polling.next(); m != "41" {
				t.Errorf("got %q", m)
			}
		}
		r.eventually("all ends are told", func() bool { return ends.Load() == 3 })
		old.conn.Close()
		young.conn.Close()
		polling.request("GET", "") // takes what is left for it
		r.empty()
	}
}

func TestAnEndMayBeWantedUnderALockThatTheHandlerTakes(t *testing.T) {
	var mu sync.Mutex
	conns := map[*socketio.Conn]bool{}
	r := newRig(t, socketio.Config{}, handler{
		connect: func(c *socketio.Conn) {
			mu.Lock()
			defer mu.Unlock()
			conns[c] = true
		},
		disconnect: func(c *socketio.Conn, _ string) {
			mu.Lock()
			defer mu.Unlock()
			delete(conns, c)
		},
	})
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(conns)
	}
	for range 20 {
		p := r.dial(4)
		p.send("40", "40/custom")
	}
	r.eventually("all are there", func() bool { return count() == 40 })
	mu.Lock()
	for c := range conns {
		if c.Namespace() == "/" {
			c.Disconnect("enough")
		} else {
			c.Close("enough")
		}
	}
	mu.Unlock()
	r.eventually("all are gone", func() bool { return count() == 0 })
}

func TestShutdownTellsOfAllEnds(t *testing.T) {
	h := &echo{t: t}
	r := newRig(t, socketio.Config{}, h)
	var left sync.WaitGroup
	for i := range 20 {
		p := r.joined(3 + i%2)
		left.Go(func() {
			defer p.conn.Close()
			for {
				if _, err := p.read(); err != nil {
					return
				}
			}
		})
	}
	for i := range 5 {
		h.conn(i).Disconnect("expelled")
	}
	r.server.Shutdown()
	left.Wait()
	counts := map[string]int{}
	for _, end := range h.ended() {
		counts[end]++
	}
	if counts["/ expelled"] != 5 || counts["/ "+engineio.ShuttingDown] != 15 {
		t.Errorf("ended: %v", counts)
	}
}

func TestAnEventIsAcknowledgedOnce(t *testing.T) {
	acks := make(chan *socketio.Ack, 10)
	r := newRig(t, socketio.Config{}, handler{
		event: func(_ *socketio.Conn, name string, _ abi.Value, ack *socketio.Ack) {
			if (ack != nil) != (name == "wants one") {
				t.Errorf("event %q: ack %v", name, ack)
			}
			if ack != nil {
				acks <- ack
			}
		},
	})
	p := r.dial(4)
	p.send("40")
	p.joins("/")
	p.send(`42["wants none"]`, `4212["wants one"]`, `4213["wants one"]`)
	ack, late := <-acks, <-acks
	for _, bad := range []abi.Value{nil, {0x80}, {0x92, 1}} {
		if err := ack.Send(bad); err == nil {
			t.Errorf("%x is sent", []byte(bad))
		}
	}
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			if err := ack.Send(array(number(1))); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	p.wants("4312[1]")
	p.send("41", "40")
	p.joins("/")
	if err := late.Send(array()); err != nil { // the client has forgotten what it asked
		t.Error(err)
	}
	p.send(`4214["wants one"]`)
	if err := (<-acks).Send(array()); err != nil {
		t.Error(err)
	}
	p.wants("4314[]")
}

func TestArgumentsWithAttachmentsAreByteStrings(t *testing.T) {
	got := make(chan abi.Value, 1)
	r := newRig(t, socketio.Config{}, handler{
		event: func(_ *socketio.Conn, _ string, args abi.Value, _ *socketio.Ack) {
			got <- append(abi.Value{}, args...)
		},
	})
	p := r.dial(4)
	p.send("40", `451-["file",{"name":"a","data":{"_placeholder":true,"num":0}}]`, []byte("content"))
	args := <-got
	items := args.Items()
	items.Next()
	data, ok := items.Value().Get("data").Bytes()
	if !args.Valid() || args.Len() != 1 || !ok || string(data) != "content" {
		t.Errorf("got %x", []byte(args))
	}
}

// A ledger checks that the calls for each Conn come one at a time and in order.
type ledger struct {
	t testing.TB

	mu    sync.Mutex
	conns map[*socketio.Conn]bool // those that are there
	calls atomic.Int64
}

type entry struct {
	busy  atomic.Bool
	ended atomic.Bool
	last  int64
}

func (l *ledger) enter(c *socketio.Conn) *entry {
	e, ok := c.Value().(*entry)
	if !ok {
		l.t.Error("a call came before Connect")
		return &entry{}
	}
	if e.busy.Swap(true) {
		l.t.Error("two calls at a time")
	}
	if e.ended.Load() {
		l.t.Error("a call came after Disconnect")
	}
	l.calls.Add(1)
	return e
}

func (l *ledger) Connect(c *socketio.Conn, _ abi.Value) {
	if c.Value() != nil {
		l.t.Error("connected twice")
	}
	c.SetValue(new(entry))
	e := l.enter(c)
	defer e.busy.Store(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
}

func (l *ledger) Event(c *socketio.Conn, name string, args abi.Value, ack *socketio.Ack) {
	e := l.enter(c)
	defer e.busy.Store(false)
	items := args.Items()
	items.Next()
	n, _ := items.Value().Int()
	if n <= e.last {
		l.t.Errorf("event %d came behind %d", n, e.last)
	}
	e.last = n
	if ack != nil {
		if err := ack.Send(args); err != nil {
			l.t.Error(err)
		}
	}
	switch name {
	case "leave":
		c.Disconnect("left")
	case "close":
		c.Close("closed")
	}
}

func (l *ledger) Disconnect(c *socketio.Conn, reason string) {
	e := l.enter(c)
	defer e.busy.Store(false)
	if e.ended.Swap(true) || reason == "" {
		l.t.Errorf("ended again, with %q", reason)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// any returns a Conn that is there.
func (l *ledger) any() *socketio.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		return c
	}
	return nil
}

func TestCallsForAConnectionComeOneAtATimeAndInOrder(t *testing.T) {
	before := runtime.NumGoroutine()
	l := &ledger{t: t, conns: map[*socketio.Conn]bool{}}
	r := newRig(t, socketio.Config{}, l)
	end := time.Now().Add(2 * time.Second)
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for time.Now().Before(end) {
				l.visit(r, random)
			}
		})
	}
	done.Go(func() { // the server ends what it finds
		event := newEvent(t, "all", array())
		for time.Now().Before(end) {
			switch c := l.any(); {
			case c == nil:
			case len(c.ID())%2 == 0 && rand.N(8) == 0:
				c.Close("at random")
			case rand.N(4) == 0:
				c.Disconnect("at random")
			default:
				c.Emit(event)
			}
			time.Sleep(time.Millisecond)
		}
	})
	done.Wait()
	r.empty()
	r.eventually("all ends are told", func() bool { return l.any() == nil })
	if l.calls.Load() < 100 {
		t.Errorf("only %d calls", l.calls.Load())
	}
	r.server.Shutdown()
	// What is left belongs to the HTTP server.
	r.eventually("no goroutine of a connection is left", func() bool { return runtime.NumGoroutine() <= before+10 })
}

// visit is a client that does something at random and goes.
func (l *ledger) visit(r *rig, random *rand.Rand) {
	p := r.dial(3 + random.IntN(2))
	defer p.conn.Close()
	packets := []any{}
	if p.eio == 4 {
		packets = append(packets, "40")
	}
	packets = append(packets, "40/custom,")
	for n := range 1 + random.IntN(20) {
		namespace := []string{"", "/custom,"}[random.IntN(2)]
		name := "message"
		switch random.IntN(20) {
		case 0:
			name = "leave"
		case 1:
			name = "close"
		case 2:
			packets = append(packets, "41"+namespace)
			continue
		case 3:
			packets = append(packets, "4nonsense")
		}
		packets = append(packets, fmt.Sprintf(`42%s%d["%s",%d]`, namespace, n, name, n+1))
	}
	for _, m := range packets {
		if err := p.write(m.(string)); err != nil {
			return // it has been closed
		}
	}
	for range random.IntN(5) {
		if _, err := p.read(); err != nil {
			return
		}
	}
}

func TestEventsToManyComeInOrder(t *testing.T) {
	h := &echo{t: t}
	r := newRig(t, socketio.Config{}, h)
	const peers, events = 20, 200
	var all []*peer
	for i := range peers {
		p := r.joined(3 + i%2)
		if i%4 == 1 {
			p.send("40/custom")
			p.joins("/custom")
			p.wants(`42/custom,["auth",{}]`)
		}
		all = append(all, p)
	}
	h.mu.Lock()
	conns := slices.Clone(h.conns)
	h.mu.Unlock()
	for i := range events {
		e := newEvent(t, "tick", array(number(int64(i))))
		for _, c := range conns {
			c.Emit(e)
		}
	}
	for i, p := range all {
		for n := range events {
			want := fmt.Sprintf(`42["tick",%d]`, n)
			p.wants(want)
			if i%4 == 1 {
				p.wants(strings.Replace(want, "42", "42/custom,", 1))
			}
		}
	}
}
