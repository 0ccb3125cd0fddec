package realtime

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
)

func TestAnOverloadClosesWhoMissesSomethingAndNobodyElse(t *testing.T) {
	r := newRig(t, HubConfig{MaxQueue: 4096})
	m, sink := r.join()
	r.publish(abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: []string{"room"}})
	gate := make(chan struct{})
	sink.gate = gate
	r.Publish([][]byte{record("p", "", emit("first", "room"))}) // holds the dispatcher up
	until(t, "the first event", func() bool { return r.Stats().QueueBytes == 0 })
	lost := r.Offer(r.shown("lost"))
	for range 100 {
		r.Publish([][]byte{record("p", "", emit(strings.Repeat("x", 100), "room"))})
	}
	// Who joins now has missed nothing.
	late, lateSink := r.join()
	offer := r.Offer(r.shown("late"))
	close(gate)
	r.settled()
	expect(t, sink, "first", "closed: the server is overloaded; catch up")
	r.Publish([][]byte{
		record("p", lost, abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"room"}}),
		record("p", offer, abi.Message{Op: abi.OpSubscribe, To: []string{late.ID()}, Rooms: []string{"room"}}),
		record("p", "", emit("next", "room")),
	})
	r.settled()
	expect(t, sink)
	if got := lateSink.list(); len(got) == 0 || got[len(got)-1] != "next" {
		t.Fatalf("member that joined after the overload was told %q: want the next event last", got)
	}
	if s := r.Stats(); s.Members != 1 || s.Dropped["overloaded"] != 1 || s.QueueBytes != 0 {
		t.Errorf("stats %+v", s)
	}
	if len(r.grants.ties) != 1 || len(r.grants.offers) != 0 {
		t.Errorf("%d keys and %d offers are kept: want 1 and 0", len(r.grants.ties), len(r.grants.offers))
	}
}

func TestALargeAudienceGetsEventsOnceAndInOrder(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	r := newRig(t, HubConfig{})
	const members, events = 1000, 200
	var wrong atomic.Int64
	next := make([]int, members) // each is used by one goroutine at a time
	for i := range members {
		m := r.Join("p", &recorder{ticker: func(e *Event) {
			if e.ID != fmt.Sprint(next[i]) {
				wrong.Add(1)
			}
			next[i]++
		}})
		r.Publish([][]byte{record("p", "", abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: []string{"all", fmt.Sprint(i % 3)}})})
	}
	for i := range events {
		e := event("e")
		e.ID = fmt.Sprint(i)
		r.Publish([][]byte{record("p", "", abi.Message{Op: abi.OpEmit, To: []string{"0", "all", "1"}, Events: []abi.Event{e}})})
	}
	r.settled()
	if wrong.Load() > 0 || slices.ContainsFunc(next, func(n int) bool { return n != events }) {
		t.Errorf("%d events were out of order; counts %v", wrong.Load(), next[:10])
	}
	if s := r.Stats(); s.Deliveries != members*events || s.Events != events {
		t.Errorf("%d events, %d deliveries: want %d, %d", s.Events, s.Deliveries, events, members*events)
	}
}

func TestNothingIsDeliveredToAMemberThatHasLeft(t *testing.T) {
	r := newRig(t, HubConfig{})
	m, sink := r.join()
	r.settled()
	m.Leave()
	m.Leave()
	r.publish(emit("e", m.ID()))
	expect(t, sink)
	// One that leaves while it is delivered to gets nothing behind that.
	var leaver *Member
	var got int
	leaver = r.Join("p", &recorder{ticker: func(*Event) { got++; leaver.Leave() }})
	r.settled()
	r.publish(abi.Message{Op: abi.OpEmit, To: []string{leaver.ID()}, Events: []abi.Event{event("one"), event("two")}})
	r.publish(abi.Message{Op: abi.OpEmit, To: []string{leaver.ID()}, Events: []abi.Event{event("three")}})
	if got != 2 {
		t.Errorf("member got %d events: want the two at which it left", got)
	}
}

func TestMembersHaveIdsThatNobodyGuesses(t *testing.T) {
	r := newRig(t, HubConfig{})
	seen := map[string]bool{}
	for range 1000 {
		m, _ := r.join()
		if len(m.ID()) != 20 || seen[m.ID()] {
			t.Fatalf("id %q", m.ID())
		}
		seen[m.ID()] = true
	}
	sink := &recorder{}
	first := r.JoinAs("p", "mine", sink)
	second := &recorder{}
	r.JoinAs("p", "mine", second)
	r.publish(emit("e", "mine"))
	expect(t, sink, "e")
	expect(t, second, "closed: the id of the connection is taken")
	if first.ID() != "mine" {
		t.Errorf("id %q: want mine", first.ID())
	}
}

func TestAPluginDisconnectsWithAReason(t *testing.T) {
	r := newRig(t, HubConfig{})
	m, sink := r.join()
	_, otherSink := r.join()
	r.publish(emit("bye", m.ID()), abi.Message{Op: abi.OpDisconnect, To: []string{m.ID()}, Reason: "banned"}, emit("e", m.ID()))
	expect(t, sink, "bye", "closed: banned")
	expect(t, otherSink)
}

func TestAHubThatIsClosedClosesAllWhoCome(t *testing.T) {
	r := newRig(t, HubConfig{})
	_, sink := r.join()
	r.settled()
	r.Close("the server is shutting down")
	expect(t, sink, "closed: the server is shutting down")
	m, late := r.join()
	r.publish(emit("e", m.ID()))
	expect(t, late, "closed: the server is shutting down")
	r.Close("again")
	if s := r.Stats(); s.Members != 0 || s.Dropped["closed"] != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestAPanicCostsOneConnectionOrOnePublication(t *testing.T) {
	r := newRig(t, HubConfig{})
	bad := r.Join("p", &recorder{ticker: func(*Event) { panic("sink") }})
	r.publish(abi.Message{Op: abi.OpJoin, To: []string{bad.ID()}, Rooms: []string{"room"}})
	var sinks []*recorder
	for range 3 {
		m, sink := r.join()
		r.publish(abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: []string{"room"}})
		sinks = append(sinks, sink)
	}
	r.publish(emit("one", "room"), emit("two", "room"))
	for _, sink := range sinks {
		expect(t, sink, "one", "two")
	}
	if s := r.Stats(); s.Members != 3 || s.Dropped["internal"] != 1 {
		t.Errorf("stats %+v", s)
	}
	r.post(func() { panic("order") })
	r.publish(emit("three", "room"))
	expect(t, sinks[0], "three")
}

func TestMembersComeAndGoWhileEventsAreDelivered(t *testing.T) {
	a := &authority{}
	r := newRig(t, HubConfig{Check: a.check})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				m, sink := r.join()
				c := r.shown(fmt.Sprint("key", rand.IntN(4)))
				if rand.IntN(3) == 0 {
					c.Caller.Expires = time.Now().Add(time.Duration(rand.IntN(4)) * time.Millisecond).UnixMicro()
				}
				offer := r.Offer(c)
				withdrawn := rand.IntN(8) == 0
				if withdrawn {
					r.Withdraw(offer)
				}
				r.Publish([][]byte{record("p", offer, abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"a", fmt.Sprint(i % 5)}})})
				if !withdrawn && rand.IntN(4) == 0 {
					until(t, "an event", func() bool { return sink.list() != nil })
				}
				m.Leave()
			}
		})
	}
	wg.Go(func() {
		for i := range 2000 {
			r.Publish([][]byte{record("p", "", emit("e", "a", "b", fmt.Sprint(i%5)))})
			switch i % 50 {
			case 0:
				r.Written([][]byte{[]byte(fmt.Sprint("key", rand.IntN(4)))})
			case 10:
				a.set(fmt.Sprint("key", rand.IntN(4)), errRevoked)
			case 20:
				for k := range 4 {
					a.set(fmt.Sprint("key", k), nil)
				}
			case 30:
				r.Stats()
				r.Publish([][]byte{record("p", "", abi.Message{Op: abi.OpJoin, To: []string{"a"}, Rooms: []string{"b", "c"}})})
			case 40:
				r.Publish([][]byte{record("p", "", abi.Message{Op: abi.OpLeave, To: []string{"b"}, Rooms: []string{"a", "c"}})})
			case 45:
				r.Publish([][]byte{record("p", "", abi.Message{Op: abi.OpDisconnect, To: []string{"3"}, Reason: "enough"})})
			}
			time.Sleep(50 * time.Microsecond)
		}
		close(stop)
	})
	// Those who wait for an event get one while somebody publishes.
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				r.Publish([][]byte{record("p", "", emit("e", "a", "0", "1", "2", "3", "4"))})
			}
		}
	})
	<-stop
	time.AfterFunc(time.Second, func() { close(done) })
	wg.Wait()
	r.settled()
	s := r.Stats()
	if s.Members != 0 || s.Subscribed != 0 || s.Rooms != 0 || r.seats != 0 || len(r.expiries) != 0 || len(r.grants.ties) != 0 || len(r.grants.offers) != 0 {
		t.Errorf("all have left: %+v, %d seats, %d expiries, %d keys, %d offers", s, r.seats, len(r.expiries), len(r.grants.ties), len(r.grants.offers))
	}
}

func TestNoGoroutineIsLeftWhenThereIsNothingToDo(t *testing.T) {
	before := runtime.NumGoroutine()
	r := newRig(t, HubConfig{})
	for range 100 {
		m, _ := r.join()
		r.subscribe(m, r.shown("key"), "room")
	}
	r.publish(emit("e", "room"))
	until(t, "the end of the goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

// FuzzPublication has the hub take any bytes as a publication.
func FuzzPublication(f *testing.F) {
	for _, m := range []abi.Message{
		emit("e", "room", "m1"),
		{Op: abi.OpEmit, To: []string{"room"}, Except: []string{"m1"}, Events: []abi.Event{event("e", "a", "b"), event("f")}},
		{Op: abi.OpJoin, To: []string{"m1"}, Rooms: []string{"room", "m2"}},
		{Op: abi.OpLeave, To: []string{"m1"}, Rooms: []string{"room", "m1"}},
		{Op: abi.OpDisconnect, To: []string{"m2"}, Reason: "enough"},
		{Op: abi.OpSubscribe, To: []string{"m1"}, Rooms: []string{"room"}, Filters: [][]string{{"a", "*"}, {}}},
	} {
		f.Add(record("p", "1", m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := NewHub(HubConfig{})
		defer h.Close("")
		for _, id := range []string{"m1", "m2"} {
			h.JoinAs("p", id, &recorder{ticker: func(e *Event) { e.AppendStream(nil) }})
		}
		h.Offer(Credential{})
		r := rig{h, t}
		r.settled()
		h.apply(b) // a panic is not caught here; the dispatcher rests
		h.apply(record("p", "", emit("e", "room", "m1", "m2")))
	})
}

type nowhere struct{ n int }

func (s *nowhere) Deliver(b *Bundle) { s.n += len(b.Events) }
func (s *nowhere) Refuse(*abi.Error) {}
func (s *nowhere) Close(string)      {}
func (s *nowhere) Dismiss(string)    {}

func BenchmarkFanOut(b *testing.B) {
	for _, members := range []int{1, 200, 2000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			r := newRig(b, HubConfig{MaxQueue: 1 << 30})
			for i := range members {
				m := r.Join("p", &nowhere{})
				c := r.shown(fmt.Sprint("key", i))
				c.Caller.Expires = time.Now().Add(time.Hour).UnixMicro()
				r.Publish([][]byte{record("p", r.Offer(c), abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"all", fmt.Sprint(i), fmt.Sprint(i % 7)}, Filters: [][]string{{"a", "*"}, {"b", "c"}}})})
			}
			r.settled()
			list := [][]byte{record("p", "", abi.Message{Op: abi.OpEmit, To: []string{"all"}, Events: []abi.Event{event("e", "b", "c")}})}
			before := r.Stats().Deliveries
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				r.Publish(list)
			}
			r.settled()
			delivered := r.Stats().Deliveries - before
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(delivered), "ns/delivery")
		})
	}
}

func BenchmarkWritten(b *testing.B) {
	r := newRig(b, HubConfig{})
	for i := range 2000 {
		m := r.Join("p", &nowhere{})
		r.Publish([][]byte{record("p", r.Offer(r.shown(fmt.Sprint("key", i))), abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"all"}})})
	}
	r.settled()
	keys := [][]byte{[]byte("some key of a plugin"), []byte("another key of a plugin")}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		r.Written(keys)
	}
}

// BenchmarkIdle reports the memory of a member in three rooms, one of which is its
// own account's.
func BenchmarkIdle(b *testing.B) {
	for _, shown := range []bool{false, true} {
		b.Run(fmt.Sprint("credential=", shown), func(b *testing.B) {
			const members = 20000
			for range b.N {
				h := NewHub(HubConfig{})
				r := rig{h, b}
				heap := func() uint64 {
					runtime.GC()
					var s runtime.MemStats
					runtime.ReadMemStats(&s)
					return s.HeapAlloc
				}
				before := heap()
				sink := &nowhere{}
				for i := range members {
					m := h.Join("p", sink)
					msg := abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: []string{"all", fmt.Sprint("account/", i), fmt.Sprint("group/", i/10)}}
					offer := ""
					if shown {
						c := r.shown(fmt.Sprint("key", i))
						c.Keys = append(c.Keys, []byte("app"))
						c.Caller.Expires = time.Now().Add(time.Hour).UnixMicro()
						offer, msg.Op = h.Offer(c), abi.OpSubscribe
					}
					h.Publish([][]byte{record("p", offer, msg)})
				}
				r.settled()
				b.ReportMetric(float64(heap()-before)/members, "B/member")
				h.Close("")
			}
		})
	}
}
