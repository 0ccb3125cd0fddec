package realtime

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// record is what edge.Call.Publish hands to the store.
func record(plugin, offer string, m abi.Message) []byte {
	var w abi.Writer
	w.FixedArray(3)
	w.Text(plugin)
	w.Text(offer)
	var message abi.Writer
	m.Append(&message)
	w.Raw(message.Value())
	return w.Value()
}

// array is a MessagePack array of one text.
func array(s string) abi.Value {
	var w abi.Writer
	w.FixedArray(1)
	w.Text(s)
	return w.Value()
}

func event(name string, labels ...string) abi.Event {
	return abi.Event{Name: name, Labels: labels, Args: array(name)}
}

// A recorder is a Sink that keeps what it is told.
type recorder struct {
	mu     sync.Mutex
	told   []string
	leave  func() // called when it is closed
	gate   chan struct{}
	ticker func(*Event)
}

func (r *recorder) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *recorder) Deliver(b *Bundle) {
	if r.gate != nil {
		<-r.gate
	}
	for _, e := range b.Events {
		if r.ticker != nil {
			r.ticker(e)
			continue
		}
		r.tell("%s", e.Name)
	}
}

func (r *recorder) Refuse(e *abi.Error) { r.tell("refused: %s", e.Code) }

func (r *recorder) Dismiss(reason string) { r.Close(reason) }

func (r *recorder) Close(reason string) {
	r.tell("closed: %s", reason)
	r.mu.Lock()
	leave := r.leave
	r.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// list returns what was told since the last time.
func (r *recorder) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.told
	r.told = nil
	return list
}

// A rig is a hub under test.
type rig struct {
	*Hub
	t testing.TB
}

func newRig(t testing.TB, c HubConfig) rig {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h := NewHub(c)
	t.Cleanup(func() { h.Close("the test is over") })
	return rig{h, t}
}

// settled waits until the hub has nothing to do.
func (r rig) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest()
}

// publish publishes messages of a plugin named p and waits for what they do.
func (r rig) publish(messages ...abi.Message) {
	list := make([][]byte, len(messages))
	for i, m := range messages {
		list[i] = record("p", "", m)
	}
	r.Publish(list)
	r.settled()
}

func (r rig) join() (*Member, *recorder) {
	sink := &recorder{}
	m := r.Join("p", sink)
	sink.mu.Lock()
	defer sink.mu.Unlock()
	sink.leave = m.Leave
	return m, sink
}

// subscribe has a member subscribe on a credential and waits for it.
func (r rig) subscribe(m *Member, c Credential, rooms ...string) {
	r.Publish([][]byte{record("p", r.Offer(c), abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: rooms})})
	r.settled()
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for: %s", what)
		}
	}
}

func emit(name string, rooms ...string) abi.Message {
	return abi.Message{Op: abi.OpEmit, To: rooms, Events: []abi.Event{event(name)}}
}
