package badgerstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// The index must find what a plain list of all commits finds.
func TestRecentAgreesWithAList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	key := func() []byte { return fmt.Appendf(nil, "%02d", random.IntN(40)) }
	r := newRecent(0)
	var list []touch
	floor := uint64(0)
	for ts := uint64(1); ts < 5000; ts++ {
		for range random.IntN(4) {
			k := key()
			r.add(k, ts)
			list = append(list, touch{k, ts})
		}
		switch random.IntN(20) {
		case 0:
			floor = ts - uint64(random.IntN(30))%(ts-floor+1)
			r.forget(floor)
		case 1:
			floor = ts
			r.forgetAll(ts)
		}
		readTs := floor + uint64(random.IntN(int(ts-floor)+1))
		k, s := key(), span{key(), key()}
		want := false
		for _, l := range list {
			inside := bytes.Compare(l.key, s.start) >= 0 && bytes.Compare(l.key, s.end) < 0
			want = want || l.ts > readTs && (inside || bytes.Equal(l.key, k))
		}
		if _, got := r.conflict(readTs, [][]byte{k}, []span{s}); got != want {
			t.Fatalf("at %d, read at %d: key %s, span %s: got conflict %v, want %v", ts, readTs, k, s, got, want)
		}
		if floor > 0 {
			if _, got := r.conflict(floor-1, [][]byte{k}, nil); !got {
				t.Fatalf("a transaction older than the index passes")
			}
			if _, got := r.conflict(floor-1, nil, nil); got {
				t.Fatalf("a transaction that has read nothing conflicts")
			}
		}
	}
	r.forgetAll(5000)
	if r.bytes != 0 || r.keys.Len() != 0 || len(r.log) != 0 {
		t.Errorf("after forgetting all there are %d bytes, %d keys, %d touches", r.bytes, r.keys.Len(), len(r.log))
	}
}

func TestRecentIsBounded(t *testing.T) {
	r := newRecent(0)
	most := 0
	n := uint64(2 * maxRecentBytes / touchOverhead)
	for ts := uint64(1); ts <= n; ts++ {
		r.add(fmt.Appendf(nil, "%016d", ts), ts)
		most = max(most, r.bytes)
	}
	if most > maxRecentBytes {
		t.Errorf("index grew to %d bytes", most)
	}
	if _, found := r.conflict(r.floor, [][]byte{[]byte("other")}, nil); found {
		t.Error("a transaction that the index covers conflicts")
	}
	if _, found := r.conflict(r.floor-1, [][]byte{[]byte("other")}, nil); !found {
		t.Error("a transaction that the index no longer covers passes")
	}
	if r.floor == 0 || r.floor >= n {
		t.Errorf("floor is %d of %d", r.floor, n)
	}
	r.forget(n)
	if r.bytes != 0 || r.keys.Len() != 0 {
		t.Errorf("after forgetting all there are %d bytes, %d keys", r.bytes, r.keys.Len())
	}
}
