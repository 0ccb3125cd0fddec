package realtime

import "strings"

// A space holds what belongs to one plugin. It is used by the dispatcher alone,
// as all of this file.
type space struct {
	plugin  string
	members map[string]*Member // each is a room of its own
	rooms   map[string]*room   // none is empty
}

// A room is a list of members. A member knows its place in the list, so that it
// leaves without a search.
type room struct {
	name   string
	places []place
	mark   uint64 // see Hub.sequence
}

// A place is where a room has a member, a seat where a member has a room. Each
// says where the other is.
type place struct {
	member *Member
	seat   int32
}

type seat struct {
	room  *room
	place int32
}

const (
	maxRooms = 8192    // that one member is in
	maxSeats = 8 << 20 // of all members of a hub, about 256 MB
)

// enter has a member enter rooms, unless it is in them. It returns false if there
// are too many.
func (h *Hub) enter(m *Member, rooms []string) bool {
	h.sequence++
	for _, s := range m.seats {
		s.room.mark = h.sequence
	}
	for _, name := range rooms {
		if name == m.id {
			continue // always
		}
		r := m.space.rooms[name]
		switch {
		case r != nil && r.mark == h.sequence:
			continue
		case len(m.seats) == maxRooms || h.seats == maxSeats:
			return false
		case r == nil:
			// The name shares the memory of a whole message.
			r = &room{name: strings.Clone(name)}
			m.space.rooms[r.name] = r
			h.stats.rooms.Add(1)
		}
		r.mark = h.sequence
		r.places = append(r.places, place{m, int32(len(m.seats))})
		m.seats = append(m.seats, seat{r, int32(len(r.places) - 1)})
		h.seats++
	}
	return true
}

// markRooms puts a new mark on the rooms of these names.
func (h *Hub) markRooms(s *space, names []string) {
	h.sequence++
	for _, name := range names {
		if r := s.rooms[name]; r != nil {
			r.mark = h.sequence
		}
	}
}

// leaveMarked has a member leave the rooms with the last mark.
func (h *Hub) leaveMarked(m *Member) {
	for i := len(m.seats) - 1; i >= 0; i-- {
		if m.seats[i].room.mark == h.sequence {
			h.leave(m, i)
		}
	}
}

// leaveAll has a member leave all rooms but its own.
func (h *Hub) leaveAll(m *Member) {
	for i := len(m.seats) - 1; i >= 0; i-- {
		h.leave(m, i)
	}
	m.seats = nil
}

// leave gives up a seat. The last seat and the last place move into the gaps.
func (h *Hub) leave(m *Member, i int) {
	r, at := m.seats[i].room, m.seats[i].place
	last := len(r.places) - 1
	if moved := r.places[last]; int(at) != last {
		r.places[at] = moved
		moved.member.seats[moved.seat].place = at
	}
	r.places[last] = place{}
	r.places = r.places[:last]

	last = len(m.seats) - 1
	if moved := m.seats[last]; i != last {
		m.seats[i] = moved
		moved.room.places[moved.place].seat = int32(i)
	}
	m.seats[last] = seat{}
	m.seats = m.seats[:last]
	h.seats--

	switch n := len(r.places); {
	case n == 0:
		delete(m.space.rooms, r.name)
		h.stats.rooms.Add(-1)
	case cap(r.places) > 64 && n < cap(r.places)/4:
		r.places = append(make([]place, 0, 2*n), r.places...)
	}
}

// collect returns all who are in one of the rooms to and in none of except, once
// each. The list is good until the next call.
func (h *Hub) collect(s *space, to, except []string) []*Member {
	h.sequence++
	h.audience = h.audience[:0]
	for _, name := range except {
		h.add(s, name)
	}
	marked := len(h.audience)
	for _, name := range to {
		h.add(s, name)
	}
	return h.audience[marked:]
}

// add puts the members of a room that are not marked yet into the audience.
func (h *Hub) add(s *space, name string) {
	list, mark := h.audience, h.sequence
	if m := s.members[name]; m != nil && m.mark != mark {
		m.mark = mark
		list = append(list, m)
	}
	if r := s.rooms[name]; r != nil {
		for i := range r.places {
			if m := r.places[i].member; m.mark != mark {
				m.mark = mark
				list = append(list, m)
			}
		}
	}
	h.audience = list
}

// maxAudience bounds the room that is kept for audiences.
const maxAudience = 1 << 16

// dismiss lets go of the members of the audience.
func (h *Hub) dismiss() {
	clear(h.audience)
	if cap(h.audience) > maxAudience {
		h.audience = nil
	}
}
