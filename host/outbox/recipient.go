package outbox

import (
	"encoding/binary"
	"time"

	"github.com/edgeset/edgeset/store"
)

// What a recipient is sent is counted by slices of an hour. All in which something of
// the last hour was counted count, so that in no hour there are more than the limit.
const (
	sliceTime  = 10 * time.Minute
	sliceCount = int64(time.Hour/sliceTime) + 1
)

// admit counts a dispatch to a recipient, unless that would be more than most within an
// hour. Nobody but those who dispatch to the same one meets at its key.
func admit(txn store.Txn, via, to string, most int, at time.Time) (bool, error) {
	key := recipientKey(via, to)
	value, _, err := txn.Get(key)
	if err != nil {
		return false, err
	}
	counts, newest := readCounts(value, at.UnixMicro()/sliceTime.Microseconds())
	var sum uint64
	for _, n := range counts {
		sum += uint64(n)
	}
	if sum >= uint64(most) {
		return false, nil
	}
	counts[newest%sliceCount]++
	value = appendTime(nil, newest)
	for _, n := range counts {
		value = binary.BigEndian.AppendUint32(value, n)
	}
	return true, txn.Put(key, value, time.Duration(sliceCount)*sliceTime)
}

// readCounts reads what was counted, and forgets what is too old at the slice now. The
// newest slice is now, or, when the clock was set back, the last that was counted.
func readCounts(value []byte, now int64) (counts [sliceCount]uint32, newest int64) {
	now = max(now, 0)
	if int64(len(value)) != 8+4*sliceCount {
		return counts, now
	}
	last := readTime(value)
	if last < 0 || last > now+sliceCount {
		return counts, now // the clock was wrong
	}
	for i := range counts {
		counts[i] = binary.BigEndian.Uint32(value[8+4*i:])
	}
	for s := last + 1; s <= min(now, last+sliceCount); s++ {
		counts[s%sliceCount] = 0
	}
	return counts, max(now, last)
}
