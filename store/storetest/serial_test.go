package storetest

import (
	"strings"
	"testing"
)

// A checker that finds nothing is worth nothing: each history here is one that a
// driver must not produce, except for the first.
func TestHistoriesAreJudged(t *testing.T) {
	type lists = map[int][]uint32
	for _, c := range []struct {
		name  string
		txns  map[uint32]*observation
		final lists
		want  string
	}{
		{"one after the other", map[uint32]*observation{
			1: {began: 1, ended: 2, read: lists{0: nil}, appended: []int{0}},
			2: {began: 3, ended: 4, read: lists{0: {1}}, appended: []int{0}},
		}, lists{0: {1, 2}}, ""},
		{"lost update", map[uint32]*observation{
			1: {began: 1, ended: 3, read: lists{0: nil}, appended: []int{0}},
			2: {began: 2, ended: 4, read: lists{0: nil}, appended: []int{0}},
		}, lists{0: {2}}, "lost"},
		{"write skew", map[uint32]*observation{
			1: {began: 1, ended: 3, read: lists{0: nil, 1: nil}, appended: []int{0}},
			2: {began: 2, ended: 4, read: lists{0: nil, 1: nil}, appended: []int{1}},
		}, lists{0: {1}, 1: {2}}, "cycle"},
		{"read of what was never there", map[uint32]*observation{
			1: {began: 1, ended: 2, read: lists{0: {7}}},
		}, lists{}, "never was"},
		{"stale read", map[uint32]*observation{
			1: {began: 1, ended: 2, appended: []int{0}},
			2: {began: 3, ended: 4, read: lists{0: nil}},
		}, lists{0: {1}}, "cycle"},
		{"write of a transaction that was refused", map[uint32]*observation{}, lists{0: {1}}, "not committed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := history{txns: c.txns}
			h.clock.Store(4)
			err := h.check(c.final)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}
