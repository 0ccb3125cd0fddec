package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// callers keep calling until stop, which returns how many requests were answered.
func (r *rig) callers(n int, name string, wants func(mark string) bool) (stop func() int64) {
	var stopped atomic.Bool
	var answered atomic.Int64
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for k := 0; !stopped.Load(); k++ {
				a, err := r.call("GET /p/mark", name+".test", "Authorization", fmt.Sprintf("Bearer account%d.%d", i, k%10))
				if err == nil {
					var mark string
					if mark, err = a.whole(); err == nil && !wants(mark) {
						err = fmt.Errorf("an answer of %q", mark)
					}
				}
				if err != nil {
					r.t.Errorf("%s: %v", name, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	return func() int64 {
		stopped.Store(true)
		all.Wait()
		return answered.Load()
	}
}

func TestConcurrentChangesLoseNoRequest(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"}, spec{name: "us", mark: "a"})
	known := func(mark string) bool { return mark == "a" || mark == "b" || mark == "c" }
	var stops []func() int64
	for _, name := range []string{"eu", "us"} {
		stops = append(stops, r.callers(3, name, known))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var made atomic.Int64
	var all sync.WaitGroup
	change := func(n int, fn func(i int) error) {
		all.Go(func() {
			for i := range n {
				err := fn(i)
				if err == nil {
					made.Add(1)
				} else if !errors.Is(err, ErrRefused) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrStale) {
					t.Error(err)
				}
			}
		})
	}
	marks := []string{"a", "b", "c"}
	change(15, func(i int) error {
		_, err := r.c.Deploy(ctx, request(spec{name: "eu", mark: marks[i%3]}, spec{name: "us", mark: marks[(i+1)%3]}))
		return err
	})
	change(15, func(int) error { _, err := r.c.Rollback(ctx, "eu", 0, Change{}); return err })
	change(10, func(i int) error {
		q := request(spec{name: "us", mark: marks[i%3]})
		q.Canary = &Canary{Share: 0.5}
		_, err := r.c.Deploy(ctx, q)
		return err
	})
	change(15, func(i int) error {
		var err error
		if i%2 == 0 {
			_, err = r.c.Promote(ctx, "us", 1, Change{})
		} else {
			_, err = r.c.Abort(ctx, "us", Change{})
		}
		return err
	})
	change(15, func(int) error {
		s, _ := r.c.Status("eu")
		_, err := r.c.Rollback(ctx, "eu", 1, Change{Expect: s.Revision})
		return err
	})
	change(15, func(int) error {
		list, _ := r.c.List()
		for _, s := range list {
			if s.Current == 0 || len(s.Serving) == 0 || s.Serving[0].Version != s.Current {
				return fmt.Errorf("%+v", s)
			}
		}
		_, err := r.c.Versions(ctx, "eu")
		return err
	})
	all.Wait()
	for _, stop := range stops {
		if n := stop(); n < 10 {
			t.Errorf("%d requests were answered", n)
		}
	}
	// Each change that was made has a number of its own.
	_, revision := r.c.List()
	if made.Load() < 5 || revision < 3 { // while one is tried of "us", most are refused
		t.Errorf("%d changes, revision %d", made.Load(), revision)
	}
	for _, name := range []string{"eu", "us"} {
		list, err := r.c.Versions(ctx, name)
		must(t, err)
		for i, v := range list {
			if v.Number != len(list)-i {
				t.Errorf("%s: version %d is the one before %d", name, v.Number, len(list)-i)
			}
		}
	}
	eventually(t, "old versions are closed", func() bool {
		r.c.mu.RLock()
		defer r.c.mu.RUnlock()
		return r.c.retiring["eu"] == 0 && r.c.retiring["us"] == 0
	})
	before, _ := r.c.List()
	r.restart()
	after, _ := r.c.List()
	for i := range before {
		if before[i].Current != after[i].Current || before[i].Revision != after[i].Revision {
			t.Errorf("%+v, and after a restart %+v", before[i], after[i])
		}
	}
}
