package main_test

import (
	"errors"
	"sync"
	"time"
)

// A load is devices that upload and viewers that poll, all at once, until it is
// stopped. That the server is down now and then is no error.
type load struct {
	done chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	err  error // the first few
	errs int
}

// startLoad has each device upload batches of a few points, and each viewer
// poll, with a pause between two requests.
func startLoad(devices []*device, viewers []*viewer, pause time.Duration) *load {
	l := &load{done: make(chan struct{})}
	for i, d := range devices {
		size := 1 + i%4
		l.repeat(pause, func() error { return d.upload(size) })
	}
	for _, v := range viewers {
		l.repeat(pause, v.poll)
	}
	return l
}

func (l *load) repeat(pause time.Duration, work func() error) {
	l.wg.Go(func() {
		for {
			if err := work(); err != nil && !errors.Is(err, errOffline) {
				l.fail(err)
				return
			}
			select {
			case <-l.done:
				return
			case <-time.After(pause):
			}
		}
	})
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.errs++; l.errs <= 3 {
		l.err = errors.Join(l.err, err)
	}
}

// stop ends the load, when the requests that run are answered. The server must
// be up: devices want their last upload acknowledged.
func (l *load) stop() error {
	close(l.done)
	l.wg.Wait()
	return l.err
}
