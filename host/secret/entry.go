package secret

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/edgeset/edgeset/store"
)

// What is stored:
//
//	"secret" 0 deployment 0 plugin 0 name   the entry of a secret
//	"secret" 0 0 "check"                    nothing, encrypted: shows whether a key is the right one
//
// An entry is its head, and behind it nonce and ciphertext; of a secret that was
// deleted the head alone.
const (
	separator      = "\x00"
	afterSeparator = "\x01"
	keyPrefix      = "secret" + separator
	checkKey       = keyPrefix + separator + "check"
)

func keyOf(deployment, plugin, name string) []byte {
	return []byte(keyPrefix + deployment + separator + plugin + separator + name)
}

// errRecord does not say more than is known: a record that was changed, moved to
// another name or put back, and one of another key, look the same.
var errRecord = errors.New("what the store holds cannot be decrypted: it was changed there, or belongs to another name or key; set the secret again")

const (
	format   = 1
	headSize = 1 + 8 + 8
)

// An entry is the record of a secret.
type entry struct {
	revision int
	at       time.Time
	sealed   []byte // nil: it was deleted
}

// head returns format, revision, and time in microseconds.
func (e *entry) head() []byte {
	head := append(make([]byte, 0, headSize), format)
	head = binary.BigEndian.AppendUint64(head, uint64(e.revision))
	return binary.BigEndian.AppendUint64(head, uint64(e.at.UnixMicro()))
}

// context returns what the value is bound to: the key of its record, which no two
// secrets share, and the head. So a record can be read neither under another name
// nor as another revision.
func (e *entry) context(deployment, plugin, name string) []byte {
	return append(e.head(), keyOf(deployment, plugin, name)...)
}

func parseEntry(record []byte) (entry, error) {
	if len(record) < headSize || record[0] != format {
		return entry{}, errRecord
	}
	revision := binary.BigEndian.Uint64(record[1:])
	if revision == 0 || revision >= math.MaxInt32 {
		return entry{}, errRecord
	}
	e := entry{revision: int(revision), at: time.UnixMicro(int64(binary.BigEndian.Uint64(record[9:]))).UTC()}
	if len(record) > headSize {
		e.sealed = record[headSize:]
	}
	return e, nil
}

// get returns the entry of a secret, and whether it has a value. The entry of one
// that was deleted tells the revision.
func get(tx store.Txn, deployment, plugin, name string) (e entry, found bool, err error) {
	record, found, err := tx.Get(keyOf(deployment, plugin, name))
	if err != nil || !found {
		return entry{}, false, err
	}
	if e, err = parseEntry(record); err != nil {
		return entry{}, false, err
	}
	return e, e.sealed != nil, nil
}
