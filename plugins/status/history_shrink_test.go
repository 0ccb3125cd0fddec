//go:build !wasip1

package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// shrink drops steps, and elements of batches, for as long as a history fails
// without them.
func shrink(t testing.TB, gids map[string]string, steps []step) []step {
	end := time.Now().Add(30 * time.Second)
	fails := func(list []step) bool {
		if time.Now().After(end) {
			return false
		}
		_, err := play(t, gids, list)
		return err != nil
	}
	if failed, err := play(t, gids, steps); err != nil {
		steps = steps[:failed+1]
	}
	for before := -1; before != size(steps); {
		before = size(steps)
		for n := len(steps) / 2; n > 0; n /= 2 {
			for i := 0; i+n <= len(steps); {
				if less := slices.Delete(slices.Clone(steps), i, i+n); fails(less) {
					steps = less
				} else {
					i++
				}
			}
		}
		for i := range steps {
			steps = simplify(steps, i, fails)
		}
	}
	return steps
}

func size(steps []step) (n int) {
	for _, s := range steps {
		n += 1 + len(s.body) + s.bulk + s.kinds + len(s.path)
		if s.wait != 0 {
			n++
		}
	}
	return n
}

// simplify tries lesser forms of a step.
func simplify(steps []step, i int, fails func([]step) bool) []step {
	try := func(change func(s *step)) {
		less := slices.Clone(steps)
		if change(&less[i]); size(less) < size(steps) && fails(less) {
			steps = less
		}
	}
	try(func(s *step) { s.wait = 0 })
	for _, by := range []int{2, 4, 16, 128} {
		for range 8 {
			try(func(s *step) { s.bulk -= s.bulk / by })
		}
	}
	try(func(s *step) { s.kinds = 0 })
	if path, query, ok := strings.Cut(steps[i].path, "?"); ok {
		for _, drop := range strings.Split(query, "&") {
			try(func(s *step) {
				_, query, _ := strings.Cut(s.path, "?")
				left := slices.DeleteFunc(strings.Split(query, "&"), func(p string) bool { return p == drop })
				s.path = strings.TrimSuffix(path+"?"+strings.Join(left, "&"), "?")
			})
		}
	}
	for k := 0; ; k++ {
		var list []json.RawMessage
		if json.Unmarshal([]byte(steps[i].body), &list) != nil || k >= len(list) || len(list) < 2 {
			return steps
		}
		try(func(s *step) {
			less, _ := json.Marshal(slices.Delete(slices.Clone(list), k, k+1))
			s.body = string(less)
		})
	}
}
