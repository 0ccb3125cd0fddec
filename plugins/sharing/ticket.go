package main

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A ticket is a share: one account's trail and properties from start to end.
// Its record also keeps what every upload needs to know, so that one read is
// enough for that.
type ticket struct {
	id        uint64
	owner     string
	start     int64
	end       int64
	endSet    int64 // when end was last chosen
	until     int64 // when everything about it but the points is gone from the store
	retention int64
	first     int64 // time of its oldest point, 0 if there is none
	last      int64 // time of its newest
	invites   int64 // made so far, deleted ones included
	props     int64 // distinct properties

	hidden bool
	// The trail between these two is withheld, or from the first one on while
	// the ticket is hidden. Hiding again keeps the earlier beginning: of a
	// point that arrives late it is then not told when it was safe to show.
	hiddenFrom  int64
	visibleFrom int64
	shownSet    int64 // when hidden was last changed

	// closed says that the end has been written down: see ticket.close. The log
	// is final then, and sealed is its largest stamp.
	closed bool
	sealed int64

	// streamed says that somebody has followed it live: see publish.
	streamed bool
}

const (
	flagHidden = 1 << iota
	flagClosed
	flagStreamed
)

func (t *ticket) append(w *abi.Writer) {
	var flags int64
	if t.hidden {
		flags |= flagHidden
	}
	if t.closed {
		flags |= flagClosed
	}
	if t.streamed {
		flags |= flagStreamed
	}
	w.FixedArray(2)
	w.Text(t.owner)
	w.Row([]int64{
		t.start, t.end, t.endSet, t.until, t.retention, t.first, t.last, t.invites, t.props,
		flags, t.hiddenFrom, t.visibleFrom, t.shownSet, t.sealed,
	}, 0)
}

// ticketNumbers is how many numbers stand in a record. A newer version may add
// more.
const ticketNumbers = 14

// read is on the way of every upload and every poll: the numbers of the record
// are a row, which is read in one go.
func (t *ticket) read(id uint64, record []byte) error {
	r := abi.Value(record).Read()
	n := r.Array()
	t.id, t.owner = id, r.Text()
	var row [abi.MaxRow]int64
	if m, _, _ := r.Row(row[:]); m < ticketNumbers {
		return abi.ErrFrame
	}
	r.Skip(n - 2)
	if !r.Done() {
		return abi.ErrFrame
	}
	t.start, t.end, t.endSet, t.until, t.retention = row[0], row[1], row[2], row[3], row[4]
	t.first, t.last, t.invites, t.props = row[5], row[6], row[7], row[8]
	t.hidden, t.closed, t.streamed = row[9]&flagHidden != 0, row[9]&flagClosed != 0, row[9]&flagStreamed != 0
	t.hiddenFrom, t.visibleFrom, t.shownSet, t.sealed = row[10], row[11], row[12], row[13]
	return nil
}

// expired tells whether the ticket is over: by the clock, or because somebody
// whose clock was ahead has already written that down.
func (t *ticket) expired(now int64) bool { return t.closed || now >= t.end }

func (t *ticket) state(now int64) string {
	if t.expired(now) {
		return "expired"
	}
	return "active"
}

func (t *ticket) visibility() string {
	if t.hidden {
		return "hidden"
	}
	return "visible"
}

// withheld tells whether a point of that time falls into a hidden stretch.
func (t *ticket) withheld(at int64) bool {
	return t.hiddenFrom != 0 && at >= t.hiddenFrom && (t.hidden || at < t.visibleFrom)
}

// keep returns how long what is written now about the trail stays.
func (t *ticket) keep(now int64) time.Duration { return span(t.end + t.retention - now) }

// keepAll returns how long what is written now about the ticket itself stays:
// long enough that no extension has to write it again.
func (t *ticket) keepAll(now int64) time.Duration { return span(t.until - now) }

// span makes a duration of milliseconds; entries are kept a second at least, as
// no time at all would mean for ever.
func span(ms int64) time.Duration { return time.Duration(max(ms, second)) * time.Millisecond }

func (t *ticket) save(kv *guest.KV, now int64) error {
	var w abi.Writer
	t.append(&w)
	return kv.PutTTL(ticketKey(nil, keyTicket, t.id), w.Value(), t.keep(now))
}

// log writes a row into the log that viewers follow.
func (t *ticket) log(kv *guest.KV, now int64, kind byte, content []byte) error {
	return kv.PutStampedTTL(ticketKey(nil, keyLog, t.id), nil, append([]byte{kind}, content...), t.keep(now))
}

// activate puts the ticket among the account's active ones. The entry outlives
// the ticket, so that even one whose end nobody noticed for so long is told.
func (t *ticket) activate(kv *guest.KV, now int64) error {
	return kv.PutTTL(t.activeKey(), number(nil, uint64(t.end)), t.keepAll(now))
}

func (t *ticket) activeKey() []byte { return number(accountKey(nil, keyActive, t.owner), t.id) }

// listedKey sorts the account's tickets with the latest start first.
func (t *ticket) listedKey() []byte {
	return number(number(accountKey(nil, keyListed, t.owner), ^uint64(t.start)), t.id)
}

// close writes down that the ticket is over. Time alone ends most tickets, and
// nobody writes then; so whoever comes across such a ticket first, viewer or
// sharer, closes it. Every upload reads the record that this writes: one that
// is under way meets it and is refused. The log is final from here on, which
// lets a viewer's cursor say whether it was told of the end: it is then above
// the last stamp.
func (t *ticket) close(kv *guest.KV, now int64) error {
	last, err := lastStamp(kv, ticketKey(nil, keyLog, t.id))
	if err != nil {
		return err
	}
	t.closed, t.sealed, t.end = true, max(last, 1), min(t.end, now)
	if err := t.save(kv, now); err != nil {
		return err
	}
	if err := kv.Delete(t.activeKey()); err != nil {
		return err
	}
	return logTicketChange(kv, t.owner, t.id)
}

// loadTicket reads a ticket, and fails as for an unknown one if it is gone.
func loadTicket(kv *guest.KV, id uint64) (*ticket, error) {
	record, ok, err := kv.Get(ticketKey(nil, keyTicket, id))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknownTicket()
	}
	t := new(ticket)
	return t, t.read(id, record)
}

// parseID reads a ticket's id: decimal digits, no more than a uint64 holds.
func parseID(text []byte) (id uint64, ok bool) {
	if len(text) == 0 || len(text) > 19 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + uint64(c-'0')
	}
	return id, true
}

// ownTicket returns the ticket that the path names, if it is the caller's.
func ownTicket(r *guest.Request) (*ticket, error) {
	id, ok := parseID(r.ParamBytes("id"))
	if !ok {
		return nil, unknownTicket()
	}
	t, err := loadTicket(r.KV(), id)
	if err != nil {
		return nil, err
	}
	if t.owner != r.Caller().Account {
		return nil, unknownTicket()
	}
	return t, nil
}

// ownActiveTicket is ownTicket for what only an active one takes.
func ownActiveTicket(r *guest.Request) (*ticket, error) {
	t, err := ownTicket(r)
	if err == nil && t.expired(r.Time().UnixMilli()) {
		return nil, ticketExpired()
	}
	return t, err
}

// newTicketID draws an id that no ticket has: 62 random bits below a one, so
// that all ids have 19 digits and fit a signed integer.
func newTicketID(kv *guest.KV) (uint64, error) {
	for {
		var b [8]byte
		rand.Read(b[:])
		id := binary.BigEndian.Uint64(b[:])&(1<<62-1) | 1<<62
		if _, taken, err := kv.Get(ticketKey(nil, keyTicket, id)); !taken || err != nil {
			return id, err
		}
	}
}

// activeTickets returns the account's active tickets as they are indexed; one
// that ran out is still among them until somebody closes it.
func activeTickets(kv *guest.KV, account string) (ids []uint64, ends []int64, err error) {
	prefix := accountKey(nil, keyActive, account)
	err = each(kv, guest.Prefix(prefix), func(e abi.Entry) error {
		ids = append(ids, binary.BigEndian.Uint64(e.Key[len(prefix):]))
		ends = append(ends, int64(binary.BigEndian.Uint64(e.Value)))
		return nil
	})
	return ids, ends, err
}

// loadTickets reads many tickets; those that are gone are nil.
func loadTickets(kv *guest.KV, ids []uint64) ([]*ticket, error) {
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = ticketKey(nil, keyTicket, id)
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return nil, err
	}
	list := make([]*ticket, len(ids))
	for i, record := range records {
		if record == nil {
			continue
		}
		list[i] = new(ticket)
		if err := list[i].read(ids[i], record); err != nil {
			return nil, err
		}
	}
	return list, nil
}
