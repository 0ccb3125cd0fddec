package outbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// A record is an entry as it is kept.
type record struct {
	id       id // not in the record's value: it is its key
	plugin   string
	key      string
	via      string
	to       string
	subject  string
	state    State
	attempts int
	reason   string
	detail   string // of the reason, for operators; empty: there is no more to it
	created  int64  // microseconds since the epoch, like all times
	due      int64  // when it is looked at next, to be sent, or told
	until    int64
	ended    int64 // 0: it is queued
	tried    int64 // the last attempt; 0: there was none
	told     bool
	tellings int       // that failed
	message  abi.Value // the dispatch; none when it was sent
}

const recordFields = 17

var states = [...]State{StateQueued, StateSent, StateFailed}

// code is how a state stands in records and keys.
func (s State) code() byte {
	for i, state := range states {
		if s == state {
			return byte(i)
		}
	}
	return 0xff
}

func (r *record) append(w *abi.Writer) {
	w.FixedArray(recordFields)
	w.Text(r.plugin)
	w.Text(r.key)
	w.Text(r.via)
	w.Text(r.to)
	w.Text(r.subject)
	w.Int(int64(r.state.code()))
	w.Int(int64(r.attempts))
	w.Text(r.reason)
	w.Text(r.detail)
	w.Int(r.created)
	w.Int(r.due)
	w.Int(r.until)
	w.Int(r.ended)
	w.Int(r.tried)
	w.Bool(r.told)
	w.Int(int64(r.tellings))
	w.Raw(r.message)
}

var errDamaged = errors.New("the record is damaged")

// readRecord reads a record. Nothing of it shares the memory of v.
func readRecord(d id, v []byte) (*record, error) {
	value := abi.Value(bytes.Clone(v))
	if !value.Valid() {
		return nil, fmt.Errorf("entry %s: %w", d, errDamaged)
	}
	r := value.Read()
	n := r.Array()
	rec := &record{id: d, plugin: r.TextShared(), key: r.TextShared(), via: r.TextShared(), to: r.TextShared(), subject: r.TextShared()}
	code := r.Int()
	rec.attempts, rec.reason, rec.detail = int(r.Int()), r.TextShared(), r.TextShared()
	rec.created, rec.due, rec.until, rec.ended, rec.tried = r.Int(), r.Int(), r.Int(), r.Int(), r.Int()
	rec.told, rec.tellings = r.Bool(), int(r.Int())
	if !r.Nil() {
		rec.message = r.Value()
	}
	r.Skip(n - recordFields)
	if n < recordFields || !r.Done() || code < 0 || code >= int64(len(states)) {
		return nil, fmt.Errorf("entry %s: %w", d, errDamaged)
	}
	rec.state = states[code]
	return rec, nil
}

// dispatch returns the message, or, when its content is not kept any more, what is left.
func (r *record) dispatch() (*abi.Dispatch, error) {
	if len(r.message) == 0 {
		return &abi.Dispatch{Key: r.key, Via: r.via, To: r.to, Subject: r.subject}, nil
	}
	d, err := abi.ReadDispatch(r.message)
	if err != nil {
		return nil, fmt.Errorf("outbox: entry %s: %w", r.id, err)
	}
	return d, nil
}

// entry is the record as operators see it.
func (r *record) entry() Entry {
	e := Entry{
		ID: r.id.String(), Plugin: r.plugin, Key: r.key, Via: r.via, To: r.to, Subject: r.subject, State: r.state,
		Attempts: r.attempts, Reason: cmp.Or(r.detail, r.reason), Created: moment(r.created), Until: moment(r.until), Ended: moment(r.ended), Told: r.told,
	}
	if r.state == StateQueued {
		e.Due = moment(r.due)
	}
	return e
}

// outcome is what the plugin is told.
func (r *record) outcome() *abi.Outcome {
	o := &abi.Outcome{Key: r.key, Via: r.via, To: r.to, Sent: r.state == StateSent, Attempts: r.attempts, Time: r.tried}
	if !o.Sent {
		o.Reason = r.reason
	}
	return o
}

// end ends the entry. The plugin has to be told, from now on.
func (r *record) end(state State, reason, detail string, now int64) {
	r.state, r.reason, r.detail, r.ended, r.due, r.told, r.tellings = state, reason, detail, now, now, false, 0
	if state == StateSent {
		r.message = nil
	}
}

// messageID is what the entry is called by whom it is delivered to. A plugin may call
// another one the same when this one is not kept any more; that is another message.
func (r *record) messageID() string { return r.id.String() + "-" + strconv.FormatInt(r.created, 36) }

// moment is the time of so many microseconds; 0 is none.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros)
}

// load returns an entry, and nil if there is none.
func load(txn store.Txn, d id) (*record, error) {
	value, found, err := txn.Get(entryKey(d))
	if err != nil || !found {
		return nil, err
	}
	return readRecord(d, value)
}

// save writes an entry, and what finds it. before is what was there; nil: nothing. One
// that has ended goes by itself, so long after its end.
func (r *record) save(txn store.Txn, before *record, keep time.Duration) error {
	var ttl time.Duration
	if r.ended != 0 {
		if ttl = keep - time.Since(moment(r.ended)); ttl <= 0 {
			return before.remove(txn)
		}
	}
	var w abi.Writer
	r.append(&w)
	err := txn.Put(entryKey(r.id), w.Value(), ttl)
	moved := before == nil || before.state != r.state || before.ended != r.ended
	if waited := before != nil && !before.told; err == nil && waited && (r.told || before.due != r.due) {
		err = txn.Delete(dueKey(r.via, before.due, r.id))
	}
	if err == nil && !r.told && (moved || before.told || before.due != r.due || before.until != r.until) {
		err = txn.Put(dueKey(r.via, r.due, r.id), dueValue(r), ttl)
	}
	if err == nil && before != nil && before.state != r.state {
		err = txn.Delete(listKey(before.state, r.place()))
	}
	if err == nil && moved {
		err = txn.Put(listKey(r.state, r.place()), listValue(r), ttl)
	}
	return err
}

// remove deletes an entry, and what finds it.
func (r *record) remove(txn store.Txn) error {
	return errors.Join(txn.Delete(entryKey(r.id)), txn.Delete(dueKey(r.via, r.due, r.id)), txn.Delete(listKey(r.state, r.place())))
}
