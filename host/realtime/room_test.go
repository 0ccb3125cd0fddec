package realtime

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

// A model says what members get in the plainest way.
type model struct {
	members map[string]*modelMember
}

type modelMember struct {
	rooms   map[string]bool
	filters [][]string
	got     []string
	closed  bool
}

func (o *model) in(rooms []string) map[string]*modelMember {
	found := map[string]*modelMember{}
	for id, m := range o.members {
		for _, room := range rooms {
			if m.rooms[room] && !m.closed {
				found[id] = m
			}
		}
	}
	return found
}

func (o *model) apply(msg abi.Message) {
	out := o.in(msg.Except)
	for id, m := range o.in(msg.To) {
		switch msg.Op {
		case abi.OpEmit:
			for _, e := range msg.Events {
				if out[id] == nil && m.wants(e.Labels) {
					m.got = append(m.got, e.Name)
				}
			}
		case abi.OpJoin:
			for _, room := range msg.Rooms {
				m.rooms[room] = true
			}
		case abi.OpLeave:
			for _, room := range msg.Rooms {
				if room != id {
					delete(m.rooms, room)
				}
			}
		case abi.OpDisconnect:
			m.got = append(m.got, "closed: "+msg.Reason)
			m.closed = true
		case abi.OpSubscribe:
			if id != msg.To[0] {
				continue // it is but in a room of that name
			}
			m.rooms = map[string]bool{id: true}
			for _, room := range msg.Rooms {
				m.rooms[room] = true
			}
			m.filters = msg.Filters
		}
	}
}

func (m *modelMember) wants(labels []string) bool {
	if m.filters == nil || len(labels) == 0 {
		return true
	}
	return slices.ContainsFunc(m.filters, func(f []string) bool {
		return slices.EqualFunc(f, labels, func(f, l string) bool { return f == "*" || f == l })
	})
}

func TestEveryMemberGetsWhatAPlainModelSays(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := newRig(t, HubConfig{})
		truth := model{members: map[string]*modelMember{}}
		sinks := map[string]*recorder{}
		members := map[string]*Member{}
		names := func() []string {
			list := make([]string, 1+random.IntN(3))
			ids := slices.Sorted(maps.Keys(members))
			for i := range list {
				list[i] = fmt.Sprint("room", random.IntN(12))
				if len(ids) > 0 && random.IntN(5) == 0 {
					list[i] = ids[random.IntN(len(ids))]
				}
			}
			return list
		}
		label := func() string { return [...]string{"a", "b", "*"}[random.IntN(3)] }
		for step := range 800 {
			ids := slices.Sorted(maps.Keys(members))
			var msg abi.Message
			switch roll := random.IntN(20); {
			case len(ids) < 3 || roll == 0 && len(ids) < 40:
				sink := &recorder{}
				m := r.JoinAs("p", fmt.Sprint("member", step), sink)
				members[m.ID()], sinks[m.ID()] = m, sink
				truth.members[m.ID()] = &modelMember{rooms: map[string]bool{m.ID(): true}}
				continue
			case roll == 1:
				id := ids[random.IntN(len(ids))]
				r.settled() // leaving does not wait for what was published before
				members[id].Leave()
				truth.members[id].closed = true
				delete(members, id)
				continue
			case roll < 8:
				msg = abi.Message{Op: abi.OpEmit, To: names()}
				if random.IntN(2) == 0 {
					msg.Except = names()
				}
				for i := range 1 + random.IntN(3) {
					var labels []string
					for range random.IntN(3) {
						labels = append(labels, label())
					}
					msg.Events = append(msg.Events, event(fmt.Sprint("e", step, ".", i), labels...))
				}
			case roll < 12:
				msg = abi.Message{Op: abi.OpJoin, To: names(), Rooms: names()}
			case roll < 15:
				msg = abi.Message{Op: abi.OpLeave, To: names(), Rooms: names()}
			case roll == 15 && step%4 == 0:
				msg = abi.Message{Op: abi.OpDisconnect, To: []string{ids[random.IntN(len(ids))]}, Reason: "enough"}
			default:
				id := ids[random.IntN(len(ids))]
				msg = abi.Message{Op: abi.OpSubscribe, To: []string{id}, Rooms: names()}
				for range random.IntN(3) {
					msg.Filters = append(msg.Filters, []string{label(), label()}[:random.IntN(3)])
				}
				truth.apply(msg)
				r.Publish([][]byte{record("p", r.Offer(Credential{}), msg)})
				continue
			}
			truth.apply(msg)
			r.Publish([][]byte{record("p", "", msg)})
			maps.DeleteFunc(members, func(id string, _ *Member) bool { return truth.members[id].closed })
		}
		r.settled()
		seats, rooms := 0, map[string]bool{}
		for id, want := range truth.members {
			if got := sinks[id].list(); !slices.Equal(got, want.got) {
				t.Fatalf("seed %d: %s got\n%v\nwant\n%v", seed, id, got, want.got)
			}
			if want.closed {
				continue
			}
			for room := range want.rooms {
				if room != id {
					seats++
					rooms[room] = true
				}
			}
		}
		if s := r.Stats(); r.seats != seats || s.Rooms != len(rooms) || s.Members != len(members) {
			t.Fatalf("seed %d: %d seats, %d rooms, %d members: want %d, %d, %d", seed, r.seats, s.Rooms, s.Members, seats, len(rooms), len(members))
		}
		for _, m := range members {
			m.Leave()
		}
		r.settled()
		if s := r.Stats(); r.seats != 0 || s.Rooms != 0 || s.Members != 0 || s.Subscribed != 0 || len(r.spaces) != 0 {
			t.Fatalf("seed %d: all have left, but %d seats are taken, %+v", seed, r.seats, s)
		}
	}
}

func TestRoomsOfPluginsAreApart(t *testing.T) {
	r := newRig(t, HubConfig{})
	mine, sink := r.join()
	otherSink := &recorder{}
	other := r.Join("q", otherSink)
	r.publish(abi.Message{Op: abi.OpJoin, To: []string{mine.ID(), other.ID()}, Rooms: []string{"room"}})
	r.Publish([][]byte{record("q", "", abi.Message{Op: abi.OpJoin, To: []string{other.ID()}, Rooms: []string{"room"}})})
	r.publish(emit("hello", "room", other.ID()))
	if got := sink.list(); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("member of the plugin got %v: want hello", got)
	}
	if got := otherSink.list(); got != nil {
		t.Errorf("member of another plugin got %v", got)
	}
}

func TestAMemberInTooManyRoomsIsClosed(t *testing.T) {
	r := newRig(t, HubConfig{})
	m, sink := r.join()
	rooms := make([]string, abi.MaxMessageRooms)
	for i := range rooms {
		rooms[i] = fmt.Sprint(i)
	}
	r.publish(abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: rooms})
	if r.Stats().Rooms != maxRooms || sink.list() != nil {
		t.Fatal("the largest number of rooms was refused")
	}
	r.publish(abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: rooms[:10]}) // no change
	if got := sink.list(); got != nil {
		t.Fatalf("joining again ended with %v", got)
	}
	r.publish(abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: []string{"one more"}})
	if got := sink.list(); !slices.Equal(got, []string{"closed: too many rooms"}) {
		t.Fatalf("one room more: %v", got)
	}
	if s := r.Stats(); s.Rooms != 0 || s.Dropped["too_many_rooms"] != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestALargeRoomGivesItsMemoryBack(t *testing.T) {
	r := newRig(t, HubConfig{})
	var members []*Member
	for range 4096 {
		m, _ := r.join()
		members = append(members, m)
		r.Publish([][]byte{record("p", "", abi.Message{Op: abi.OpJoin, To: []string{m.ID()}, Rooms: []string{"all"}})})
	}
	for _, m := range members[10:] {
		m.Leave()
	}
	r.settled()
	all := r.spaces["p"].rooms["all"]
	if len(all.places) != 10 || cap(all.places) > 64 {
		t.Errorf("10 of 4,096 are left, in a list of %d with room for %d", len(all.places), cap(all.places))
	}
}
