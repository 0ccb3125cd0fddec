package guest

import (
	"slices"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// KV is the plugin's own key space in its deployment: ordered by key, and
// read and written within the transaction of the call. Nothing is kept if the
// handler returns an error.
//
// Keys have at most 1,000 bytes, values 1 MiB; a call writes at most 1,000
// entries and 8 MiB. Byte slices returned are valid until the handler returns.
type KV struct{ host abi.Host }

// Get returns the value under key, and whether there is one.
func (kv *KV) Get(key []byte) ([]byte, bool, error) { return kv.host.Get(key) }

// maxMany is how many keys the host takes at a time.
const maxMany = 1000

// GetMany returns a value for each key, nil where there is none: one crossing
// to the host for each thousand of them.
func (kv *KV) GetMany(keys [][]byte) ([][]byte, error) {
	if len(keys) <= maxMany {
		return kv.host.GetMany(keys)
	}
	values := make([][]byte, 0, len(keys))
	for some := range slices.Chunk(keys, maxMany) {
		list, err := kv.host.GetMany(some)
		if err != nil {
			return nil, err
		}
		values = append(values, list...)
	}
	return values, nil
}

// Put writes an entry for good.
func (kv *KV) Put(key, value []byte) error { return kv.host.Put(key, value, 0) }

// PutTTL writes an entry that vanishes after ttl, in whole seconds, rounded up.
func (kv *KV) PutTTL(key, value []byte, ttl time.Duration) error { return kv.host.Put(key, value, ttl) }

// PutStamped writes an entry under prefix + stamp + suffix. The host fills the
// stamp in when it commits: 8 bytes, big endian, strictly rising in the order
// in which commits become visible. A reader that goes on from the largest stamp
// it saw misses nothing. Stamps read as microseconds since the epoch.
func (kv *KV) PutStamped(prefix, suffix, value []byte) error {
	return kv.host.PutStamped(prefix, suffix, value, 0)
}

// PutStampedTTL is PutStamped for an entry that vanishes after ttl.
func (kv *KV) PutStampedTTL(prefix, suffix, value []byte, ttl time.Duration) error {
	return kv.host.PutStamped(prefix, suffix, value, ttl)
}

// Delete removes an entry; one that is not there is no error.
func (kv *KV) Delete(key []byte) error { return kv.host.Delete(key) }

// Scan reads a page of a range.
func (kv *KV) Scan(r abi.Range) (abi.Page, error) { return kv.host.Scan(r) }

// Prefix returns the range of all keys that begin with prefix.
func Prefix(prefix []byte) abi.Range { return abi.Range{Start: prefix, End: PrefixEnd(prefix)} }

// PrefixEnd returns the first key behind all that begin with prefix.
func PrefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
