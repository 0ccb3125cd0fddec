package programs

import (
	"context"
	"runtime"
	"strconv"
	"sync"
)

// sieve is a chain of goroutines, each of which waits in the midst of a loop.
func sieve() uint64 {
	var s sum
	numbers := make(chan int)
	done := make(chan struct{})
	go func() {
		defer close(numbers)
		for n := 2; ; n++ {
			select {
			case numbers <- n:
			case <-done:
				return
			}
		}
	}()
	from := numbers
	for range 60 {
		prime := <-from
		s.add(prime)
		to := make(chan int)
		go func(from <-chan int) {
			for n := range from {
				if n%prime != 0 {
					select {
					case to <- n:
					case <-done:
						return
					}
				}
			}
		}(from)
		from = to
	}
	close(done)
	return uint64(s)
}

// yields gives way in the midst of nested loops, so that they are entered again
// in the middle.
func yields() uint64 {
	var s sum
	var wg sync.WaitGroup
	results := make([]int, 8)
	for id := range results {
		wg.Add(1)
		go func() {
			defer wg.Done()
			total := id
			for i := range 20 {
				for k := i; k > 0; k-- {
					if (i+k+id)%7 == 3 {
						runtime.Gosched()
						continue
					}
					total = total*31 + pause(i, k)
					if total%11 == 0 {
						break
					}
				}
			}
			results[id] = total
		}()
	}
	wg.Wait()
	for _, r := range results {
		s.add(r)
	}
	return uint64(s)
}

//go:noinline
func pause(i, k int) int {
	if (i^k)&3 == 0 {
		runtime.Gosched()
	}
	return i*k + 1
}

func selects() uint64 {
	var s sum
	a, b, quit := make(chan int), make(chan string, 2), make(chan bool)
	go func() {
		for i := range 50 {
			a <- i
			if i%3 == 0 {
				b <- strconv.Itoa(i)
			}
		}
		close(quit)
	}()
	total, words, idle := 0, 0, 0
	for {
		select {
		case n := <-a:
			total += n
			continue
		case w := <-b:
			words += len(w)
			continue
		default:
			idle = 1
		}
		select {
		case n := <-a:
			total += n
		case w := <-b:
			words += len(w)
		case <-quit:
			for len(b) > 0 {
				words += len(<-b)
			}
			s.add(total)
			s.add(words)
			s.add(idle)
			return uint64(s)
		}
	}
}

func locks() uint64 {
	var s sum
	var mu sync.Mutex
	ready := sync.NewCond(&mu)
	turn, total := 0, 0
	var wg sync.WaitGroup
	for id := range 5 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for round := range 20 {
				mu.Lock()
				for turn%5 != id {
					ready.Wait()
				}
				turn++
				total = total*7 + id + round
				ready.Broadcast()
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	s.add(total)
	return uint64(s)
}

func cancel() uint64 {
	var s sum
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	ticks := make(chan int)
	go func() {
		defer close(ticks)
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case ticks <- i:
			}
		}
	}()
	for n := range ticks {
		s.add(n)
		if n == 30 {
			stop(errDeep)
			break
		}
	}
	<-ctx.Done()
	s.say(context.Cause(ctx).Error())
	return uint64(s)
}
