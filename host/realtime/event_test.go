package realtime

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestAnEventOfAStreamIsItsFirstArgument(t *testing.T) {
	var two, object abi.Writer
	two.FixedArray(2)
	two.Text("line\nbreak\r\n")
	two.Int(7)
	object.FixedArray(1)
	object.Map()
	object.Key("uuid")
	object.Text("1")
	object.EndAll()
	for want, e := range map[string]abi.Event{
		"event: e\ndata: \"line\\nbreak\\r\\n\"\n\n":  {Name: "e", Args: two.Value()},
		"event: e\nid: 7\ndata: {\"uuid\":\"1\"}\n\n": {Name: "e", ID: "7", Args: object.Value()},
		"event: e\ndata: null\n\n":                    {Name: "e", Args: abi.Value{0x90}},
		"event: f\ndata: null\n\n":                    {Name: "f", Args: abi.Value{0x91}},
		"event: g\ndata: null\n\n":                    {Name: "g"},
	} {
		if got := string(NewEvent(&e).AppendStream(nil)); got != want {
			t.Errorf("event is %q: want %q", got, want)
		}
		if got := string(detached(&e).Alone().Stream()); got != want {
			t.Errorf("detached event is %q: want %q", got, want)
		}
	}
}

func TestAnEventIsEncodedOnce(t *testing.T) {
	e := NewEvent(&abi.Event{Name: "e", Args: array("x")})
	var encoded atomic.Int64
	encode := func([]*Event) any { return encoded.Add(1) }
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if b := e.Alone(); b.Socket(encode) != any(int64(1)) || string(b.Stream()) != "event: e\ndata: \"x\"\n\n" {
				t.Error("the event is another")
			}
		})
	}
	wg.Wait()
	if n := testing.AllocsPerRun(100, func() { e.Alone().Socket(encode); e.Alone().Stream() }); n > 0 {
		t.Errorf("an event that is encoded already costs %v allocations", n)
	}
}

// Publications that wait at the same time are delivered together: each member gets its
// own of them in one piece, in their order, and those who get the same share it.
func TestEventsThatWaitAreDeliveredTogether(t *testing.T) {
	r := newRig(t, HubConfig{})
	first, second, third := &keeper{}, &keeper{}, &keeper{}
	for i, s := range []*keeper{first, second, third} {
		m := r.JoinAs("p", fmt.Sprint("m", i), s)
		r.Publish([][]byte{record("p", r.Offer(Credential{}), abi.Message{Op: abi.OpSubscribe, To: []string{m.ID()}, Rooms: []string{"all"}})})
	}
	r.settled()
	// As one transaction, so that all of it waits.
	r.Publish([][]byte{
		record("p", "", emit("a", "all")),
		record("p", "", emit("b", "m2")),
		record("p", "", emit("c", "all")),
		record("p", "", abi.Message{Op: abi.OpLeave, To: []string{"m1"}, Rooms: []string{"all"}}),
		record("p", "", emit("d", "all")),
		record("p", "", emit("e", "all")),
	})
	r.settled()
	for _, c := range []struct {
		s    *keeper
		want string
	}{{first, "a c; d e;"}, {second, "a c;"}, {third, "a b c; d e;"}} {
		var got []string
		for _, b := range c.s.bundles {
			var names []string
			for _, e := range b.Events {
				names = append(names, e.Name)
			}
			got = append(got, strings.Join(names, " ")+";")
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if first.bundles[1] != third.bundles[1] {
		t.Error("what two members get alike is encoded for each of them")
	}
}

// A keeper is a Sink that keeps what it is given.
type keeper struct{ bundles []*Bundle }

func (k *keeper) Deliver(b *Bundle)   { k.bundles = append(k.bundles, b) }
func (k *keeper) Refuse(*abi.Error)   {}
func (k *keeper) Close(reason string) {}
func (k *keeper) Dismiss(string)      {}

// A round is bounded, however much waits.
func TestARoundIsBounded(t *testing.T) {
	r := newRig(t, HubConfig{})
	k := &keeper{}
	r.JoinAs("p", "m", k)
	r.settled()
	const n = 3*maxRoundEvents + 7
	var list [][]byte
	for i := range n {
		list = append(list, record("p", "", emit(fmt.Sprint(i), "m")))
	}
	r.Publish(list)
	r.settled()
	i := 0
	for _, b := range k.bundles {
		if len(b.Events) > maxRoundEvents {
			t.Errorf("%d events at once", len(b.Events))
		}
		for _, e := range b.Events {
			if e.Name != fmt.Sprint(i) {
				t.Fatalf("event %d is %s", i, e.Name)
			}
			i++
		}
	}
	if i != n || len(k.bundles) > n/10 {
		t.Errorf("%d events in %d bundles", i, len(k.bundles))
	}
}
