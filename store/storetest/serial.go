package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/storetest/hammer"
)

// Whether a history of concurrent transactions could have happened one after the
// other can be read from it if every key holds a list, and a write appends its
// transaction's number to it. The lists at the end tell the order of all writes
// of a key, and a list that was read tells between which writes it was read. Each
// of these says that one transaction comes before another, as does the clock when
// one was acknowledged before the other began. If they contradict each other,
// they form a cycle. (The method is that of Elle, by Kingsbury and Alvaro.)

// An observation is one transaction of a history that was committed.
type observation struct {
	began, ended int64            // ticks of the history's clock
	read         map[int][]uint32 // key: the list as it was seen, without own appends
	appended     []int            // keys
}

type history struct {
	mu     sync.Mutex
	clock  atomic.Int64
	number atomic.Uint32
	txns   map[uint32]*observation
}

const listKeys = 8

func testSerializable(t *testing.T, open Open) {
	s := start(t, open)
	histories := 12
	if testing.Short() {
		histories = 3
	}
	for i := range histories {
		space := fmt.Sprintf("history %d", i)
		h := history{txns: map[uint32]*observation{}}
		hammer.Rounds(t, 8, 60, func(int, int) error { return h.transact(s, space) })
		final := map[int][]uint32{}
		must(t, view(s, space, func(tx store.Txn) error { return readLists(tx, final, true) }))
		if err := h.check(final); err != nil {
			t.Fatal(err)
		}
	}
}

func listKey(key int) []byte { return fmt.Appendf(nil, "list/%d", key) }

// transact runs one random transaction, without trying again.
func (h *history) transact(s store.Store, space string) error {
	number := h.number.Add(1)
	o := &observation{began: h.clock.Add(1), read: map[int][]uint32{}}
	run := s.Update
	if number%8 == 0 {
		run = s.View
	}
	err := run(context.Background(), space, func(tx store.Txn) error {
		if rand.IntN(3) == 0 {
			if err := readLists(tx, o.read, rand.IntN(2) == 0); err != nil {
				return err
			}
		}
		for range 1 + rand.IntN(3) {
			key := rand.IntN(listKeys)
			list, err := readList(tx, key, o.read)
			if err != nil {
				return err
			}
			if number%8 == 0 || rand.IntN(2) == 0 || slices.Contains(o.appended, key) {
				continue
			}
			o.appended = append(o.appended, key)
			if err := tx.Put(listKey(key), binary.BigEndian.AppendUint32(list, number), 0); err != nil {
				return err
			}
		}
		return nil
	})
	o.ended = h.clock.Add(1)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err == nil {
		h.mu.Lock()
		h.txns[number] = o
		h.mu.Unlock()
	}
	return err
}

// readList returns the list as it is now, and notes it if it is the first look.
func readList(tx store.Txn, key int, seen map[int][]uint32) ([]byte, error) {
	value, _, err := tx.Get(listKey(key))
	if err != nil {
		return nil, err
	}
	if _, ok := seen[key]; !ok {
		seen[key] = parseList(value)
	}
	return clone(value), nil
}

// readLists notes all lists by a scan: those that are not found are empty.
func readLists(tx store.Txn, seen map[int][]uint32, reverse bool) error {
	entries, err := all(tx, store.Range{Reverse: reverse, Limit: 3})
	if err != nil {
		return err
	}
	found := map[int][]uint32{}
	for _, e := range entries {
		var key int
		if _, err := fmt.Sscanf(string(e.Key), "list/%d", &key); err != nil {
			return err
		}
		found[key] = parseList(e.Value)
	}
	for key := range listKeys {
		if _, ok := seen[key]; !ok {
			seen[key] = found[key]
		}
	}
	return nil
}

func parseList(value []byte) []uint32 {
	var list []uint32
	for ; len(value) >= 4; value = value[4:] {
		list = append(list, binary.BigEndian.Uint32(value))
	}
	return list
}

// check looks for a contradiction. Nodes of the graph are transactions, by their
// number, and instants of the clock, as negative numbers.
func (h *history) check(final map[int][]uint32) error {
	after := map[int64][]int64{} // node: nodes that come later
	edge := func(from, to uint32) {
		if from != to {
			after[int64(from)] = append(after[int64(from)], int64(to))
		}
	}
	for key, list := range final {
		for i, writer := range list {
			o := h.txns[writer]
			if o == nil || !slices.Contains(o.appended, key) {
				return fmt.Errorf("key %d holds the write of transaction %d, which was not committed", key, writer)
			}
			if i > 0 {
				edge(list[i-1], writer)
			}
		}
	}
	for number, o := range h.txns {
		for _, key := range o.appended {
			if !slices.Contains(final[key], number) {
				return fmt.Errorf("the write of transaction %d to key %d is lost", number, key)
			}
		}
		for key, seen := range o.read {
			n := len(seen)
			if n > len(final[key]) || !slices.Equal(seen, final[key][:n]) {
				return fmt.Errorf("transaction %d saw key %d as %v, which it never was: at the end it is %v", number, key, seen, final[key])
			}
			if n > 0 {
				edge(seen[n-1], number)
			}
			if n < len(final[key]) {
				edge(number, final[key][n])
			}
		}
		after[-o.began] = append(after[-o.began], int64(number))
		after[int64(number)] = append(after[int64(number)], -o.ended)
	}
	for tick := int64(1); tick < h.clock.Load(); tick++ {
		after[-tick] = append(after[-tick], -tick-1)
	}
	if cycle := findCycle(after); cycle != nil {
		text := fmt.Sprintf("no serial order explains this cycle (negative numbers are instants): %v", cycle)
		for _, node := range cycle {
			if o := h.txns[uint32(node)]; node > 0 && o != nil {
				text += fmt.Sprintf("\n%d: %+v", node, *o)
			}
		}
		return errors.New(text)
	}
	return nil
}

// findCycle returns the nodes of a cycle, or nil.
func findCycle(after map[int64][]int64) []int64 {
	const (
		open   = 1 // on the path
		closed = 2 // leads to no cycle
	)
	state := map[int64]int{}
	type step struct {
		node int64
		next int
	}
	for root := range after {
		if state[root] != 0 {
			continue
		}
		path := []step{{root, 0}}
		state[root] = open
		for len(path) > 0 {
			at := &path[len(path)-1]
			if at.next == len(after[at.node]) {
				state[at.node] = closed
				path = path[:len(path)-1]
				continue
			}
			to := after[at.node][at.next]
			at.next++
			switch state[to] {
			case 0:
				state[to] = open
				path = append(path, step{to, 0})
			case open:
				var cycle []int64
				for _, s := range path {
					if len(cycle) > 0 || s.node == to {
						cycle = append(cycle, s.node)
					}
				}
				return cycle
			}
		}
	}
	return nil
}
