package badgerstore

import (
	"bytes"

	"github.com/tidwall/btree"
)

// recent is an ordered index of the keys that were committed lately, each with
// the version of its last commit. A transaction that read at readTs conflicts if
// a key that it read, or any key in a range that it read, is in here with a
// later version. Because the index holds what was written and not what was
// there, it notices a key that was added to a range, also to an empty one.
//
// It is complete for all commits behind floor; what lies before was forgotten,
// because no running transaction needed it or because there was too much of it.
// A transaction that reads at less than floor cannot be judged and conflicts.
//
// Only the committer's leader uses it.
type recent struct {
	keys  *btree.BTreeG[touch]
	log   []touch // what was added, in the order of commits; forgotten from head on
	head  int
	bytes int
	floor uint64
}

// A touch is one write of a key.
type touch struct {
	key []byte
	ts  uint64
}

// A span is a half-open range [start, end) of keys.
type span struct{ start, end []byte }

// maxRecentBytes bounds the memory of the index. A transaction that runs so long
// that its neighbours commit some 300,000 keys in the meantime conflicts.
const maxRecentBytes = 32 << 20

// touchOverhead is what a touch costs besides its key: twice the struct, for
// log and tree, and what the tree leaves unused.
const touchOverhead = 96

func newRecent(floor uint64) *recent {
	return &recent{
		keys: btree.NewBTreeGOptions(func(a, b touch) bool {
			return bytes.Compare(a.key, b.key) < 0
		}, btree.Options{NoLocks: true}),
		floor: floor,
	}
}

// add notes that key was committed at ts. It keeps key.
func (r *recent) add(key []byte, ts uint64) {
	r.keys.Set(touch{key, ts})
	r.log = append(r.log, touch{key, ts})
	r.bytes += len(key) + touchOverhead
	for r.bytes > maxRecentBytes {
		r.forgetFirst()
	}
}

// conflict returns a key that was committed after readTs and is among the keys
// or in one of the spans. An overrun of floor is a conflict without a key.
func (r *recent) conflict(readTs uint64, keys [][]byte, spans []span) (key []byte, found bool) {
	if len(keys) == 0 && len(spans) == 0 {
		return nil, false
	}
	if readTs < r.floor {
		return nil, true
	}
	if r.keys.Len() == 0 {
		return nil, false
	}
	for _, k := range keys {
		if t, ok := r.keys.Get(touch{key: k}); ok && t.ts > readTs {
			return t.key, true
		}
	}
	for _, s := range spans {
		r.keys.Ascend(touch{key: s.start}, func(t touch) bool {
			if bytes.Compare(t.key, s.end) >= 0 {
				return false
			}
			if t.ts > readTs {
				key, found = t.key, true
			}
			return !found
		})
		if found {
			return key, true
		}
	}
	return nil, false
}

// forget drops the commits up to ts.
func (r *recent) forget(ts uint64) {
	for r.head < len(r.log) && r.log[r.head].ts <= ts {
		r.forgetFirst()
	}
	r.floor = max(r.floor, ts)
}

// forgetAll drops all commits, of which ts is the last.
func (r *recent) forgetAll(ts uint64) {
	if r.keys.Len() > 0 {
		r.keys.Clear()
		clear(r.log)
		r.log, r.head, r.bytes = r.log[:0], 0, 0
	}
	r.floor = max(r.floor, ts)
}

func (r *recent) forgetFirst() {
	first := r.log[r.head]
	r.log[r.head] = touch{}
	r.head++
	r.bytes -= len(first.key) + touchOverhead
	r.floor = max(r.floor, first.ts)
	// A key that was committed again since belongs to a later entry of the log.
	if t, ok := r.keys.Get(first); ok && t.ts == first.ts {
		r.keys.Delete(first)
	}
	// Move the rest to the front when half of the log is used up: each entry is
	// moved once on average.
	if r.head >= len(r.log)-r.head {
		n := copy(r.log, r.log[r.head:])
		clear(r.log[n:])
		r.log, r.head = r.log[:n], 0
	}
}
