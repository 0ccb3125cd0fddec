//go:build !wasip1

package main_test

import (
	"slices"
	"testing"
	"time"
)

// shrink drops steps and parameters for as long as a history fails without them.
func shrink(t testing.TB, pictures []picture, h *history) *history {
	end := time.Now().Add(30 * time.Second)
	best := *h
	try := func(steps []step) bool {
		less := best
		less.steps = steps
		if time.Now().After(end) {
			return false
		}
		failed, err := play(t, pictures, &less)
		if err != nil {
			best.steps = steps[:failed+1]
		}
		return err != nil
	}
	try(best.steps)
	for _, start := range []bool{true, false} {
		less := best
		if start {
			less.posts, less.comments = 0, 0
		} else {
			less.keepOriginal = false
		}
		if _, err := play(t, pictures, &less); err != nil {
			best = less
		}
	}
	for before := -1; before != size(best.steps); {
		before = size(best.steps)
		for n := max(1, len(best.steps)/2); n > 0; n /= 2 {
			for i := 0; i+n <= len(best.steps); {
				if !try(slices.Delete(slices.Clone(best.steps), i, i+n)) {
					i++
				}
			}
		}
		for i := range best.steps {
			if i < len(best.steps) {
				simplify(&best, i, try)
			}
		}
	}
	return &best
}

func size(steps []step) (n int) {
	for _, s := range steps {
		n += 1 + len(s.query) + len(s.form) + s.bulk + len(s.base) + len(s.referer)
		if s.wait != 0 {
			n++
		}
	}
	return n
}

// simplify tries lesser forms of a step.
func simplify(h *history, i int, try func([]step) bool) {
	change := func(change func(s *step)) {
		less := slices.Clone(h.steps)
		if i >= len(less) {
			return
		}
		if change(&less[i]); size(less) < size(h.steps) {
			try(less)
		}
	}
	change(func(s *step) { s.wait = 0 })
	change(func(s *step) { s.base = "" })
	change(func(s *step) { s.referer = "" })
	for _, by := range []int{2, 4, 16, 128} {
		for range 6 {
			change(func(s *step) { s.bulk -= s.bulk / by })
		}
	}
	for k := len(h.steps[i].query) - 1; k >= 0; k-- {
		change(func(s *step) { s.query = slices.Delete(slices.Clone(s.query), k, k+1) })
	}
	if i >= len(h.steps) {
		return
	}
	for k := len(h.steps[i].form) - 1; k >= 0; k-- {
		change(func(s *step) { s.form = slices.Delete(slices.Clone(s.form), k, k+1) })
	}
}
