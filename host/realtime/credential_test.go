package realtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// An authority checks credentials in a test. Its answers are found in the key that
// is named like the credential's value.
type authority struct {
	mu      sync.Mutex
	answers map[string]error
	expires int64
	asked   int
	gate    chan struct{} // if not nil, a check waits for it
	during  func()        // called by a check once it has found its answer
}

func (a *authority) check(c Credential) (Credential, error) {
	a.mu.Lock()
	a.asked++
	err, gate, during := a.answers[c.Value], a.gate, a.during
	c.Caller.Expires = a.expires
	a.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if during != nil {
		during()
	}
	c.Keys = [][]byte{[]byte(c.Value)}
	return c, err
}

func (a *authority) set(value string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answers == nil {
		a.answers = map[string]error{}
	}
	a.answers[value] = err
}

func (a *authority) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// shown is a credential as the gateway has just found it to count.
func (r rig) shown(value string) Credential {
	return Credential{Value: value, Keys: [][]byte{[]byte(value)}, Generation: r.Generation()}
}

var errRevoked = &abi.Error{Status: 401, Code: "revoked", Message: "no longer"}

func expect(t *testing.T, sink *recorder, want ...string) {
	t.Helper()
	if got := sink.list(); !slices.Equal(got, want) {
		t.Fatalf("member was told %q: want %q", got, want)
	}
}

func TestARevokedCredentialEndsTheSubscriptionBeforeTheNextEvent(t *testing.T) {
	a := &authority{}
	r := newRig(t, HubConfig{Check: a.check})
	m, sink := r.join()
	other, otherSink := r.join()
	r.subscribe(m, r.shown("mine"), "room")
	r.subscribe(other, r.shown("other"), "room")
	r.publish(emit("one", "room"))
	a.set("mine", errRevoked)
	r.Written([][]byte{[]byte("mine"), []byte("unrelated")})
	r.publish(emit("two", "room"), emit("three", m.ID()))
	expect(t, otherSink, "one", "two")
	// What came while it was not known whether the credential counts is lost with it.
	if got := sink.list(); len(got) < 2 || got[0] != "one" || got[1] != "refused: revoked" {
		t.Fatalf("member was told %q: want one event and the refusal", got)
	}
	r.publish(emit("four", "room"), emit("five", m.ID()))
	expect(t, sink, "five") // it is still there
	expect(t, otherSink, "four")
	if a.count() != 1 {
		t.Errorf("%d checks: want that of the credential whose key was written", a.count())
	}
	if s := r.Stats(); s.Subscribed != 1 || s.Members != 2 || s.Checks != 1 || s.Dropped["refused"] != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestEventsWaitInOrderWhileACredentialIsChecked(t *testing.T) {
	a := &authority{gate: make(chan struct{})}
	r := newRig(t, HubConfig{Check: a.check})
	m, sink := r.join()
	bystander, bystanderSink := r.join()
	r.subscribe(m, r.shown("mine"), "room")
	r.subscribe(bystander, r.shown("other"), "room")
	r.Written([][]byte{[]byte("mine")})
	until(t, "the check without an event", func() bool { return a.count() == 1 })
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
		r.Publish([][]byte{record("p", "", emit(want[i], "room"))})
	}
	var others []string
	until(t, "the events of the other member", func() bool {
		others = append(others, bystanderSink.list()...)
		return slices.Equal(others, want)
	})
	expect(t, sink)
	close(a.gate)
	r.settled()
	r.publish(emit("last", "room"))
	expect(t, sink, append(want, "last")...)
}

func TestAMemberThatWaitsTooLongForItsCheckIsClosed(t *testing.T) {
	a := &authority{gate: make(chan struct{})}
	r := newRig(t, HubConfig{Check: a.check})
	m, sink := r.join()
	r.subscribe(m, r.shown("mine"), "room")
	r.Written([][]byte{[]byte("mine")})
	for range maxParked + 1 {
		r.Publish([][]byte{record("p", "", emit("e", "room"))})
	}
	until(t, "the member's end", func() bool { return r.Stats().Members == 0 })
	close(a.gate)
	r.settled()
	expect(t, sink, "closed: too slow")
}

func TestAnExpiredCredentialIsCheckedAgain(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().UnixMicro())
	a := &authority{}
	r := newRig(t, HubConfig{Check: a.check, Now: func() time.Time { return time.UnixMicro(now.Load()) }})
	m, sink := r.join()
	c := r.shown("mine")
	c.Caller.Expires = now.Load() + 60e6
	r.subscribe(m, c, "room")
	r.publish(emit("one", "room"))
	if a.count() != 0 {
		t.Fatal("checked before it has expired")
	}
	now.Add(60e6)
	a.expires = now.Load() + 60e6 // it was renewed
	r.publish(emit("two", "room"))
	expect(t, sink, "one", "two")
	if a.count() != 1 {
		t.Fatalf("%d checks: want 1", a.count())
	}
	now.Add(60e6)
	a.set("mine", errRevoked)
	r.publish(emit("three", "room"))
	expect(t, sink, "refused: revoked")
}

func TestACredentialExpiresWithoutAnEvent(t *testing.T) {
	a := &authority{}
	a.set("mine", errRevoked)
	r := newRig(t, HubConfig{Check: a.check})
	m, sink := r.join()
	keeper, keeperSink := r.join()
	c := r.shown("mine")
	c.Caller.Expires = time.Now().Add(200 * time.Millisecond).UnixMicro()
	later := r.shown("later")
	later.Caller.Expires = time.Now().Add(time.Hour).UnixMicro()
	r.subscribe(keeper, later, "room")
	r.subscribe(m, c, "room")
	until(t, "the refusal", func() bool { return r.Stats().Subscribed == 1 })
	r.settled()
	expect(t, sink, "refused: revoked")
	expect(t, keeperSink)
	keeper.Leave()
	r.settled()
	if len(r.expiries) != 0 {
		t.Errorf("%d expiries are kept: nobody is subscribed", len(r.expiries))
	}
}

func TestAnAnswerThatHasExpiredAlreadyClosesTheMember(t *testing.T) {
	a := &authority{expires: 1}
	r := newRig(t, HubConfig{Check: a.check})
	m, sink := r.join()
	r.subscribe(m, r.shown("mine"), "room")
	r.Written([][]byte{[]byte("mine")})
	r.settled()
	expect(t, sink, "closed: the credential could not be checked; come back")
}

func TestACheckThatFailsClosesTheMember(t *testing.T) {
	for name, check := range map[string]func(Credential) (Credential, error){
		"error":   func(Credential) (Credential, error) { return Credential{}, errors.New("no store") },
		"panic":   func(Credential) (Credential, error) { panic("check") },
		"nothing": nil,
	} {
		r := newRig(t, HubConfig{Check: check})
		m, sink := r.join()
		r.subscribe(m, r.shown("mine"), "room")
		r.Written([][]byte{[]byte("mine")})
		r.settled()
		if got := sink.list(); !slices.Equal(got, []string{"closed: the credential could not be checked; come back"}) {
			t.Errorf("%s: member was told %q", name, got)
		}
	}
}

func TestAKeyThatIsWrittenBeforeTheSubscriptionCountsToo(t *testing.T) {
	write := func(r rig) { r.Written([][]byte{[]byte("mine")}) }
	for name, run := range map[string]func(r rig, m *Member) (offer string){
		"between the check and the offer": func(r rig, m *Member) string {
			c := r.shown("mine")
			write(r)
			return r.Offer(c)
		},
		"between the offer and the subscription": func(r rig, m *Member) string {
			offer := r.Offer(r.shown("mine"))
			write(r)
			return offer
		},
		"so long ago that it is not remembered": func(r rig, m *Member) string {
			c := r.shown("mine")
			write(r)
			for i := range remembered {
				r.Written([][]byte{fmt.Append(nil, i)})
			}
			return r.Offer(c)
		},
		"and the credential has no generation": func(r rig, m *Member) string {
			write(r)
			c := r.shown("mine")
			c.Generation = 0
			return r.Offer(c)
		},
	} {
		a := &authority{}
		a.set("mine", errRevoked)
		r := newRig(t, HubConfig{Check: a.check})
		m, sink := r.join()
		offer := run(r, m)
		r.Publish([][]byte{record("p", offer, abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"room"}})})
		r.publish(emit("secret", "room"))
		if got := sink.list(); !slices.Equal(got, []string{"refused: revoked"}) {
			t.Errorf("written %s: member was told %q: want the refusal", name, got)
		}
	}
}

func TestAKeyThatIsWrittenDuringTheCheckHasItMadeAgain(t *testing.T) {
	a := &authority{}
	r := newRig(t, HubConfig{Check: a.check})
	var once sync.Once
	a.during = func() {
		once.Do(func() {
			// The answer is that it counts, and is out of date.
			a.set("mine", errRevoked)
			r.Written([][]byte{[]byte("mine")})
		})
	}
	m, sink := r.join()
	r.subscribe(m, r.shown("mine"), "room")
	r.Written([][]byte{[]byte("mine")})
	r.publish(emit("secret", "room"))
	expect(t, sink, "refused: revoked")
	if a.count() != 2 {
		t.Errorf("%d checks: want 2", a.count())
	}
}

func TestASubscriptionReplacesTheLast(t *testing.T) {
	a := &authority{}
	r := newRig(t, HubConfig{Check: a.check})
	m, sink := r.join()
	r.subscribe(m, r.shown("first"), "a", "b")
	r.subscribe(m, r.shown("second"), "b", "c", "c")
	r.publish(emit("a", "a"), emit("b", "b"), emit("c", "c"))
	expect(t, sink, "b", "c")
	a.set("first", errRevoked)
	r.Written([][]byte{[]byte("first")})
	r.publish(emit("c", "c"))
	expect(t, sink, "c")
	if a.count() != 0 {
		t.Error("a credential was checked that nothing rests on")
	}
	if len(r.grants.ties) != 1 || len(r.grants.offers) != 0 {
		t.Errorf("%d keys and %d offers are kept: want 1 and 0", len(r.grants.ties), len(r.grants.offers))
	}
}

func TestASubscriptionDuringACheckKeepsWhatWasHeld(t *testing.T) {
	for _, revoked := range []bool{false, true} {
		a := &authority{gate: make(chan struct{})}
		r := newRig(t, HubConfig{Check: a.check})
		m, sink := r.join()
		r.subscribe(m, r.shown("old"), "a")
		if revoked {
			a.set("old", errRevoked)
		}
		r.Written([][]byte{[]byte("old")})
		until(t, "the check", func() bool { return a.count() == 1 })
		r.Publish([][]byte{
			record("p", "", emit("before", "a")),
			record("p", r.Offer(r.shown("new")), abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"b"}}),
			record("p", "", emit("lost", "a")),
			record("p", "", emit("after", "b")),
		})
		until(t, "the subscription", func() bool { return r.Stats().QueueBytes == 0 })
		close(a.gate)
		r.settled()
		want := []string{"before", "after"}
		if revoked {
			want = want[1:]
		}
		expect(t, sink, want...)
		r.publish(emit("later", "b"))
		expect(t, sink, "later")
		if m.parked != nil {
			t.Error("the member is still parked")
		}
	}
}

func TestOffersAreTakenOnce(t *testing.T) {
	r := newRig(t, HubConfig{})
	m, sink := r.join()
	subscribe := func(offer, to string) {
		r.Publish([][]byte{record("p", offer, abi.Message{Op: abi.OpSubscribe, To: []string{to}, Rooms: []string{"room"}})})
		r.settled()
	}
	withdrawn := r.Offer(r.shown("mine"))
	r.Withdraw(withdrawn)
	r.Withdraw(withdrawn)
	subscribe(withdrawn, m.ID())
	subscribe("", m.ID())
	subscribe("unknown", m.ID())
	subscribe(r.Offer(r.shown("mine")), "nobody")
	r.publish(emit("no", "room"))
	expect(t, sink)
	taken := r.Offer(r.shown("mine"))
	subscribe(taken, m.ID())
	r.Withdraw(taken)
	r.publish(emit("yes", "room"))
	expect(t, sink, "yes")
	m.Leave()
	r.settled()
	if len(r.grants.ties)+len(r.grants.offers) != 0 {
		t.Errorf("%d keys and %d offers are kept", len(r.grants.ties), len(r.grants.offers))
	}
}

func TestChecksAreBounded(t *testing.T) {
	var running, most, total atomic.Int64
	r := newRig(t, HubConfig{Check: func(c Credential) (Credential, error) {
		n := running.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond)
		running.Add(-1)
		total.Add(1)
		return c, nil
	}})
	var sinks []*recorder
	for range 200 {
		m, sink := r.join()
		r.subscribe(m, r.shown("shared"), "room")
		sinks = append(sinks, sink)
	}
	r.Written([][]byte{[]byte("shared")})
	r.publish(emit("e", "room"))
	if most.Load() > maxChecks || total.Load() != 200 {
		t.Errorf("%d checks, %d at a time: want 200, at most %d", total.Load(), most.Load(), maxChecks)
	}
	for _, sink := range sinks {
		expect(t, sink, "e")
	}
}

// A credential is revoked at any time from its check to long after the subscription.
// From the revocation on nothing that is published is delivered.
func TestNothingIsDeliveredOnARevokedCredential(t *testing.T) {
	for round := range 300 {
		var revoked atomic.Bool
		r := newRig(t, HubConfig{Check: func(c Credential) (Credential, error) {
			if revoked.Load() {
				return Credential{}, errRevoked
			}
			c.Keys = [][]byte{[]byte("key")}
			return c, nil
		}})
		m, sink := r.join()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range round % 7 {
				r.Written([][]byte{[]byte("something else")})
			}
			revoked.Store(true)
			r.Written([][]byte{[]byte("key")})
			r.Publish([][]byte{record("p", "", emit("after", "room"))})
		})
		wg.Go(func() {
			c := Credential{Value: "key", Keys: [][]byte{[]byte("key")}, Generation: r.Generation()}
			if revoked.Load() {
				return
			}
			offer := r.Offer(c)
			r.Publish([][]byte{record("p", offer, abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"room"}})})
			r.Publish([][]byte{record("p", "", emit("perhaps", "room"))})
		})
		wg.Wait()
		r.publish(emit("after", "room"))
		if got := sink.list(); slices.Contains(got, "after") {
			t.Fatalf("round %d: member was told %q: the credential was revoked before", round, got)
		}
		r.Close("")
	}
}

func TestReasonsOfPluginsAreClipped(t *testing.T) {
	for _, reason := range []string{"", "enough", strings.Repeat("é", 100), strings.Repeat("x", 1000), "a\xffb", strings.Repeat("x", 122) + "é"} {
		got := clip(reason)
		if len(got) > maxReason || strings.ToValidUTF8(got, "?") != got || !strings.HasPrefix(strings.ToValidUTF8(reason, ""), got) {
			t.Errorf("clip(%q) = %q", reason, got)
		}
	}
}
