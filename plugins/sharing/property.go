package main

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A property is a row {t, pid, n, v}: the value v of the name n in the name
// space pid, as of t. Of each only the latest value is kept. Rows are stored as
// the objects that viewers get, so that nothing of a value is ever taken apart.

// Bounds of properties.
const (
	maxRows       = 500      // in a request
	maxProperties = 256      // of a ticket
	maxName       = 64       // characters
	maxValue      = 16 << 10 // bytes of MessagePack
	maxLogged     = 128 << 10
)

// The properties that the server writes itself, in the name space 0.
const (
	propOwner      = "owner"
	propStart      = "start_time"
	propEnd        = "end_time"
	propExpired    = "expired"
	propVisibility = "visibility"
)

func reserved(pid int64, name string) bool {
	if pid != 0 {
		return false
	}
	switch name {
	case propOwner, propStart, propEnd, propExpired, propVisibility:
		return true
	}
	return false
}

func writeRowHead(w *abi.Writer, t, pid int64, name string) {
	w.Map()
	intField(w, "t", t)
	intField(w, "pid", pid)
	textField(w, "n", name)
	w.Key("v")
}

func (t *ticket) writeEndRow(w *abi.Writer) {
	writeRowHead(w, t.endSet, 0, propEnd)
	w.Int(t.end)
	w.End()
}

func (t *ticket) writeExpiredRow(w *abi.Writer) {
	writeRowHead(w, t.end, 0, propExpired)
	w.Bool(true)
	w.End()
}

func (t *ticket) writeVisibilityRow(w *abi.Writer) {
	writeRowHead(w, t.shownSet, 0, propVisibility)
	w.Map()
	textField(w, "location", t.visibility())
	w.End()
	w.End()
}

// writeProperties writes all properties of a ticket as they stand.
func (t *ticket) writeProperties(w *abi.Writer, kv *guest.KV, now int64) error {
	w.Array()
	writeRowHead(w, t.start, 0, propOwner)
	w.Text(t.owner)
	w.End()
	writeRowHead(w, t.start, 0, propStart)
	w.Int(t.start)
	w.End()
	t.writeEndRow(w)
	if t.hiddenFrom != 0 {
		t.writeVisibilityRow(w)
	}
	err := each(kv, guest.Prefix(ticketKey(nil, keyProperty, t.id)), func(e abi.Entry) error {
		w.Raw(abi.Value(e.Value))
		return nil
	})
	if t.expired(now) {
		t.writeExpiredRow(w)
	}
	w.End()
	return err
}

// readRows takes the rows of a log entry apart.
func readRows(rows []abi.Value, b []byte) ([]abi.Value, error) {
	r := abi.Value(b).Read()
	for !r.Done() {
		row := r.Value()
		if r.Failed() {
			return nil, abi.ErrFrame
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// A row is a property as it came.
type row struct {
	t, pid int64
	name   string
	value  abi.Value
}

func (p *row) key(id uint64) []byte {
	return append(number(ticketKey(nil, keyProperty, id), uint64(p.pid)), p.name...)
}

func badProperty(index int, what string) error {
	return guest.Errorf(400, "bad_property", "index %d: %s", index, what)
}

// readRowsOf reads the rows of the body; like points, all or none are taken.
func readRowsOf(r *guest.Request, now int64) ([]row, error) {
	body := r.Body()
	if !body.Exists() {
		return nil, nil
	}
	if body.Kind() != abi.Array {
		return nil, guest.Errorf(400, "bad_property", "want an array of properties, got %s", body.Kind())
	}
	n := body.Len()
	if n > maxRows {
		return nil, guest.Errorf(400, "bad_property", "%d properties in one request, want at most %d", n, maxRows)
	}
	rows := make([]row, 0, n)
	for it := body.Items(); it.Next(); {
		p, what := readRow(it.Value(), now)
		if what != "" {
			return nil, badProperty(len(rows), what)
		}
		rows = append(rows, p)
	}
	return rows, nil
}

func readRow(v abi.Value, now int64) (p row, what string) {
	if v.Kind() != abi.Map {
		return p, "want an object with t, n and v"
	}
	var timed bool
	for f := v.Entries(); f.Next(); {
		switch string(f.Key()) {
		case "t":
			r := f.Value().Read()
			if p.t, _, timed = readWhole(&r); !timed {
				return p, "t: want milliseconds since 1970"
			}
		case "pid":
			pid, ok := f.Value().Int()
			if !ok || pid < 0 {
				return p, "pid: want a whole number from 0"
			}
			p.pid = pid
		case "n":
			p.name, _ = f.Value().Text()
		case "v":
			p.value = f.Value()
		}
	}
	switch length := utf8.RuneCountInString(p.name); {
	case !timed:
		return p, "t is missing: want milliseconds since 1970"
	case p.t < 0 || p.t > now+maxAhead:
		return p, "t: more than a minute ahead of the server's clock, or negative (want milliseconds since 1970)"
	case length == 0 || length > maxName:
		return p, "n: want a name of 1 to 64 characters"
	case reserved(p.pid, p.name):
		return p, "n: the server writes this property itself"
	case !p.value.Exists():
		return p, "v is missing"
	case len(p.value) > maxValue:
		return p, "v: larger than 16 KiB"
	}
	return p, ""
}

// storeRows keeps of the rows those that are the latest of their property: the
// larger t wins, and of equal ones the later upload.
func (t *ticket) storeRows(r *guest.Request, rows []row) (stored int, err error) {
	kv, now := r.KV(), r.Time().UnixMilli()
	rows = winners(rows)
	if len(rows) == 0 {
		return 0, nil
	}
	keys := make([][]byte, len(rows))
	for i := range rows {
		keys[i] = rows[i].key(t.id)
	}
	old, err := kv.GetMany(keys)
	if err != nil {
		return 0, err
	}
	var w abi.Writer
	var log []byte
	added, split := int64(0), false
	for i := range rows {
		p := &rows[i]
		if old[i] == nil {
			added++
		} else if at, _ := abi.Value(old[i]).Get("t").Int(); at > p.t {
			continue
		}
		w.Reset(w.Value())
		writeRowHead(&w, p.t, p.pid, p.name)
		w.Raw(p.value)
		w.End()
		if err := kv.PutTTL(keys[i], w.Value(), t.keepAll(now)); err != nil {
			return 0, err
		}
		stored++
		if len(log)+w.Len() > maxLogged {
			if err := t.log(kv, now, logRows, log); err != nil {
				return 0, err
			}
			log, split = log[:0], true
		}
		log = append(log, w.Value()...)
	}
	if len(log) > 0 {
		if err := t.log(kv, now, logRows, log); err != nil {
			return 0, err
		}
		if split {
			err = t.publishRefresh(r)
		} else {
			err = t.publishRows(r, log)
		}
		if err != nil {
			return 0, err
		}
	}
	if added > 0 {
		if t.props += added; t.props > maxProperties {
			return 0, guest.Errorf(409, "too_many", "a ticket has at most %d properties", maxProperties)
		}
		return stored, t.save(kv, now)
	}
	return stored, nil
}

// winners leaves of the rows of one request the one that counts for each
// property.
func winners(rows []row) []row {
	if len(rows) < 2 {
		return rows
	}
	at := make(map[string]int, len(rows))
	list := make([]row, 0, len(rows))
	var key []byte
	for _, p := range rows {
		key = append(binary.BigEndian.AppendUint64(key[:0], uint64(p.pid)), p.name...)
		i, seen := at[string(key)]
		switch {
		case !seen:
			at[string(key)] = len(list)
			list = append(list, p)
		case p.t >= list[i].t:
			list[i] = p
		}
	}
	return list
}

// appendData: POST tickets/:id/append_data
func appendData(w *guest.Response, r *guest.Request) error {
	t, err := ownActiveTicket(r)
	if err != nil {
		return err
	}
	return storeData(w, r, []*ticket{t})
}

// appendDataToAll: POST tickets/append_data
func appendDataToAll(w *guest.Response, r *guest.Request) error {
	tickets, err := uploadTickets(r)
	if err != nil {
		return err
	}
	return storeData(w, r, tickets)
}

func storeData(w *guest.Response, r *guest.Request, tickets []*ticket) error {
	now := r.Time().UnixMilli()
	rows, err := readRowsOf(r, now)
	if err != nil {
		return err
	}
	stored := 0
	for _, t := range tickets {
		n, err := t.storeRows(r, rows)
		if err != nil {
			return err
		}
		stored += n
	}
	v := succeed(w, "stored")
	intField(v, "stored", int64(stored))
	return finish(v, r)
}
