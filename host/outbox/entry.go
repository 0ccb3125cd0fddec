package outbox

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// A State is what has become of an entry so far.
type State string

// The states of an entry.
const (
	StateQueued State = "queued" // it waits for an attempt, or is being tried
	StateSent   State = "sent"   // the transport has taken it
	StateFailed State = "failed" // it was refused, or given up
)

// An Entry is what operators see of what a plugin has dispatched.
type Entry struct {
	ID       string
	Plugin   string
	Key      string // what the plugin calls it
	Via      string
	To       string
	Subject  string
	State    State
	Attempts int       // whose end is known
	Reason   string    // why the last attempt failed, or the entry
	Created  time.Time // when it was dispatched
	Due      time.Time // when it is tried next; of a queued one
	Until    time.Time // when it is given up
	Ended    time.Time // zero: it is queued
	Told     bool      // the plugin knows how it ended
	// Message is what is delivered, from Get. Of one that was sent, its content is not
	// kept.
	Message *abi.Dispatch
}

// Errors of operators' calls.
var (
	ErrUnknown = errors.New("no such entry in the outbox")
	ErrState   = errors.New("the entry is not in a state for that")
)

// An id is what an entry is called, by all who see it: a hash of what the plugin calls
// it, so that what is dispatched twice is one entry.
type id [16]byte

var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func makeID(deployment, plugin, key string) (d id) {
	h := sha256.New()
	for _, part := range []string{deployment, plugin, key} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	copy(d[:], h.Sum(nil))
	return d
}

func (d id) String() string { return alphabet.EncodeToString(d[:]) }

// parseID reads what String has written. What is no id is no entry either.
func parseID(text string) (d id, err error) {
	raw, err := alphabet.DecodeString(text)
	if err != nil || len(raw) != len(d) {
		return d, fmt.Errorf("outbox: entry %.64q: %w", text, ErrUnknown)
	}
	return id(raw), nil
}

func errUnknown(d id) error { return fmt.Errorf("outbox: entry %s: %w", d, ErrUnknown) }
