// Package hammer finds races: it lets many goroutines do the same thing at once.
//
// A test that starts goroutines in a loop mostly tests the first of them: it is
// through before the last has begun. A hammer lets all of them wait until the
// last is ready, and lets them go together. Each then strikes again and again,
// so that the goroutines drift against each other and meet in all positions.
// What a strike finds wrong it returns as an error. The first error, or panic,
// stops all goroutines and fails the test in the goroutine of the test, where
// t.Fatal is allowed.
//
// A hammer proves nothing by ending well. Run it with -race, and let every strike
// check something that must hold whatever the others do.
package hammer

import (
	"fmt"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

// A Strike is what a goroutine does each time: goroutine counts the goroutines
// from 0, and round the strikes of this one.
type Strike func(goroutine, round int) error

// Rounds lets each of n goroutines strike a number of times.
func Rounds(t testing.TB, n, rounds int, strike Strike) {
	t.Helper()
	run(t, n, func(round int) bool { return round < rounds }, strike)
}

// For lets each of n goroutines strike until the time is over, and at least once.
func For(t testing.TB, n int, d time.Duration, strike Strike) {
	t.Helper()
	end := time.Now().Add(d)
	run(t, n, func(round int) bool { return round == 0 || time.Now().Before(end) }, strike)
}

func run(t testing.TB, n int, more func(round int) bool, strike Strike) {
	t.Helper()
	var (
		ready, ended sync.WaitGroup
		start        = make(chan struct{})
		stop         = make(chan struct{}) // closed at the first error
		once         sync.Once
		first        error
	)
	ready.Add(n)
	for g := range n {
		ended.Go(func() {
			ready.Done()
			<-start
			for round := 0; more(round); round++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := guard(strike, g, round); err != nil {
					once.Do(func() {
						first = fmt.Errorf("goroutine %d, round %d: %w", g, round, err)
						close(stop)
					})
					return
				}
			}
		})
	}
	ready.Wait()
	close(start)
	ended.Wait()
	if first != nil {
		t.Fatal(first)
	}
}

// guard turns a panic into an error.
func guard(strike Strike, goroutine, round int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return strike(goroutine, round)
}
