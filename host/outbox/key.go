package outbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"golang.org/x/net/idna"

	"github.com/edgeset/edgeset/abi"
)

// prefix is that of all keys of the outbox. No key of a plugin begins like that, nor
// anything else that a plugin reaches: those begin with the plugin's name.
const prefix = "\x00outbox\x00"

// What follows prefix: entries by id; ids of those that wait for an attempt, or for the
// plugin to be told, of each way by when they are due; ids by state, newest first; and
// what recipients have been sent lately.
const (
	entries    = prefix + "e"
	dues       = prefix + "d"
	lists      = prefix + "l"
	recipients = prefix + "r"
)

const timeSize, idSize = 8, len(id{})

func appendTime(b []byte, micros int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(max(micros, 0)))
}

func readTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

func entryKey(d id) []byte { return append([]byte(entries), d[:]...) }

// laneKey is the beginning of the keys of what is due in one way.
func laneKey(via string) []byte { return append([]byte(dues+via), 0) }

// dueKey is where an entry waits. Who comes first is first.
func dueKey(via string, due int64, d id) []byte {
	return append(appendTime(laneKey(via), due), d[:]...)
}

// readDue reads what follows the laneKey in a dueKey.
func readDue(rest []byte) (due int64, d id, ok bool) {
	if len(rest) != timeSize+idSize {
		return 0, d, false
	}
	return readTime(rest), id(rest[timeSize:]), true
}

// dueValue tells those that are to be sent, with when they were dispatched and when they
// are given up, from those whose plugin is to be told: these have no value.
func dueValue(r *record) []byte {
	if r.state != StateQueued {
		return nil
	}
	return appendTime(appendTime(nil, r.created), r.until)
}

func readDueValue(v []byte) (created, until int64, queued bool) {
	if len(v) != 2*timeSize {
		return 0, 0, false
	}
	return readTime(v), readTime(v[timeSize:]), true
}

// A place is where an entry stands in the list of a state: newest first.
type place [timeSize + idSize]byte

func (r *record) place() (p place) {
	binary.BigEndian.PutUint64(p[:], ^uint64(max(r.created, 0)))
	copy(p[timeSize:], r.id[:])
	return p
}

func (p place) id() id { return id(p[timeSize:]) }

func listKey(s State, p place) []byte {
	return append(append([]byte(lists), s.code()), p[:]...)
}

// listValue has what lists are searched by.
func listValue(r *record) []byte {
	var w abi.Writer
	w.FixedArray(2)
	w.Text(r.via)
	w.Text(r.to)
	return w.Value()
}

func readListValue(v []byte) (via, to string) {
	r := abi.Value(v).Read()
	if r.Array() < 2 {
		return "", ""
	}
	return r.Text(), r.Text()
}

// recipientKey does not tell who it is. Of mail addresses some write the same in
// different ways: in small and in large letters, and domains in more letters than there
// are.
func recipientKey(via, to string) []byte {
	if via == abi.GrantMail {
		to = strings.ToLower(to)
		at := strings.LastIndexByte(to, '@') + 1
		if domain, err := idna.Lookup.ToASCII(to[at:]); err == nil {
			to = to[:at] + domain
		}
	}
	h := sha256.Sum256([]byte(via + "\x00" + to))
	return append([]byte(recipients), h[:idSize]...)
}

// after is the first key behind all that begin with p.
func after(p []byte) []byte {
	end := bytes.Clone(p)
	end[len(end)-1]++ // none of ours ends with 0xff
	return end
}
