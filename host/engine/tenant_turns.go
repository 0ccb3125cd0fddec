package engine

import (
	"slices"
	"sync"
	"time"
)

// How long calls make way.
const (
	// longCall is how long a call computes until it is a long one, and briefCall
	// how long if its tenant has used up its credit.
	longCall  = 5 * time.Millisecond
	briefCall = time.Millisecond
	// creditBound is how much computing a tenant saves up for its long calls, and
	// how much it owes at most: what it did while nobody minded is forgotten soon.
	creditBound = 100 * time.Millisecond
	// creditShare, of all cores, flows into the credit of all tenants together.
	creditShare = 0.02
	// turnShare, of all cores, is for long calls beyond the credit of their tenants
	// while there are others who need the cores.
	turnShare = 0.02
	// busyShare, of all cores: if what makes no way takes more than that, it needs
	// the cores.
	busyShare = 0.125

	lookEvery  = 10 * time.Millisecond // at who needs the cores
	lightTime  = 50 * time.Millisecond // until it is measured again who does
	forgetTime = time.Second           // until a tenant that does nothing is as if it were not there
	// lateTime is how much later than it is due a timer wakes somebody if a core is
	// free.
	lateTime = 3 * time.Millisecond
	// lostTime is how long a guest may have the turn without being seen: it waits
	// for something else, and others need not wait for it.
	lostTime = 50 * time.Millisecond
)

// turns lets the long calls of tenants make way for everybody else.
//
// Go shares the cores among goroutines: who has more of them gets more, and one
// that always has something to do keeps Go from looking at the network but for
// every 10 ms. So a tenant whose plugin computes for ever in a few calls takes
// everything from one that answers a thousand small ones. A call is not held up
// for the first longCall of its computing, nor is a long one as long as its
// tenant has credit; if it has none, only for the first briefCall. Beyond that
// it needs a turn; there are as many turns as the pace says, and the next goes
// to the tenant that has used them least.
type turns struct {
	cores       int
	processTime func() time.Duration // that the process has computed; 0: not known

	mu     sync.Mutex
	member map[*Tenant]int // versions that it has

	pace    pace
	budget  bucket // of seconds of computing in turns
	holders []*callContext
	line    []*callContext
	clock   time.Duration // what the tenant had used that got the last turn

	looked    time.Time
	paced     time.Time     // when it was measured who needs the cores
	cpu, work time.Duration // of the process, and in turns, at that time
	worked    time.Duration // in turns, in all
	late      time.Time     // when somebody was last woken too late: another process has the cores
	modest    time.Time     // when a tenant with credit was last seen to have calls
}

// A turn is what turns knows of the call of a guest.
type turn struct {
	used  bool // by this call; the rest is guarded by the lock of turns
	held  bool
	began time.Time
	seen  time.Time
	ready chan struct{} // has room for one; it is called
}

// A pace says how much is computed in turns.
type pace int

const (
	paceFree  pace = iota // one tenant computes, and there is nobody else
	paceFair              // several, and nobody else: they share all cores
	paceLight             // others need little: all cores but one
	paceTight             // others need the cores
)

func newTurns(cores int) *turns {
	return &turns{cores: cores, processTime: processTime, member: make(map[*Tenant]int)}
}

// join counts a version of a tenant, and leave does so when it is closed.
func (s *turns) join(t *Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.turns == nil { // guests of another of its versions may look at it
		t.turns = s
	}
	s.member[t]++
	s.deal()
}

func (s *turns) leave(t *Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.member[t]--; s.member[t] == 0 {
		delete(s.member, t)
	}
	s.deal()
}

// deal shares the credit out.
func (s *turns) deal() {
	rate := creditShare * float64(s.cores) / float64(max(1, len(s.member)))
	now := time.Now()
	for t := range s.member {
		t.mu.Lock()
		t.credit.set(rate, creditBound.Seconds(), now)
		t.mu.Unlock()
	}
}

// slots returns how many turns there are at a time, and how long one is.
func (s *turns) slots() (n int, quantum time.Duration) {
	switch s.pace {
	case paceTight:
		return 1, 100 * time.Microsecond
	case paceLight:
		return max(1, s.cores-1), time.Millisecond
	default:
		return s.cores, time.Millisecond
	}
}

// look sets the pace.
func (s *turns) look(now time.Time) {
	if now.Sub(s.looked) < lookEvery {
		return
	}
	s.looked = now
	workers := 0
	for t := range s.member {
		if n := t.calls.Load(); n != t.seen {
			t.seen = n
			if t.isModest(now) {
				s.modest = now
			}
		}
		if now.Sub(t.worked) < forgetTime {
			workers++
		}
	}
	if now.Sub(s.modest) >= forgetTime {
		s.pace = paceFair
		if workers <= 1 {
			s.pace = paceFree
		}
		s.budget.set(0, 0, now)
		return
	}
	s.measure(now)
	share := turnShare * float64(s.cores)
	if s.pace == paceLight {
		share = max(float64(s.cores-1), 0.5)
	}
	s.budget.set(share, 0, now)
}

// measure finds out whether others need the cores. That can be told only while
// there is little computed in turns: that time is by the clock, in which the
// system may have had the core do something else.
func (s *turns) measure(now time.Time) {
	since := now.Sub(s.paced)
	if s.pace == paceLight && since < lightTime {
		return
	}
	cpu := s.processTime()
	others := cpu - s.cpu - (s.worked - s.work)
	wasTight := s.pace == paceTight
	s.pace = paceTight
	if wasTight && cpu > 0 && now.Sub(s.late) >= forgetTime && float64(others) < busyShare*float64(s.cores)*float64(since) {
		s.pace = paceLight
	}
	s.paced, s.cpu, s.work = now, cpu, s.worked
}

// pass is for a guest that makes way: it returns when it may compute on, or with
// an error when its call has ended meanwhile. d is what it has computed since it
// was here.
func (s *turns) pass(c *callContext, d time.Duration, now time.Time) (waited bool, err error) {
	c.turn.used = true
	s.mu.Lock()
	if t := c.tenant; now.Sub(t.worked) >= lostTime {
		// What it has not used while it had nothing to compute is not saved up.
		t.used = max(t.used, s.clock)
	}
	c.tenant.worked = now
	s.count(c, d, d, now)
	s.look(now)
	n, quantum := s.slots()
	if c.turn.held && len(s.holders) <= n && now.Sub(c.turn.began) < quantum {
		c.turn.seen = now
		s.mu.Unlock()
		return false, nil
	}
	s.drop(c)
	if s.pace != paceFree {
		s.stand(c)
	}
	s.call(now)
	free := s.pace == paceFree
	s.mu.Unlock()
	for !free {
		called, err := c.pause(lostTime, c.turn.ready)
		switch {
		case err != nil:
			return true, err
		case called:
			return true, s.afford(c)
		}
		s.revoke()
	}
	return false, nil
}

// note counts what was computed in a turn, and what its tenant owes for it.
func (s *turns) note(c *callContext, d, owed time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(c, d, owed, now)
}

func (s *turns) count(c *callContext, d, owed time.Duration, now time.Time) {
	if c.turn.held {
		s.worked += d
		c.tenant.used += owed
		s.budget.take(owed.Seconds(), now)
	}
}

// afford waits until the budget lets somebody compute, for one who has the turn.
func (s *turns) afford(c *callContext) error {
	for {
		now := time.Now()
		s.mu.Lock()
		c.turn.began, c.turn.seen = now, now
		d := s.budget.wait(now)
		s.mu.Unlock()
		if d == 0 {
			return nil
		}
		d = min(d, lostTime/2)
		if _, err := c.pause(d, nil); err != nil {
			return err
		}
		if end := time.Now(); end.Sub(now) > d+lateTime {
			s.mu.Lock()
			s.late = end
			s.mu.Unlock()
		}
	}
}

// revoke takes the turn from those who have not been seen for long.
func (s *turns) revoke() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look(now)
	for _, c := range slices.Clone(s.holders) {
		if now.Sub(c.turn.seen) >= lostTime {
			s.drop(c)
		}
	}
	s.call(now)
}

// release is for a guest whose call has ended.
func (s *turns) release(c *callContext) {
	c.turn.used = false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c)
	select {
	case <-c.turn.ready:
	default:
	}
	s.call(time.Now())
}

// stand puts a guest in line.
func (s *turns) stand(c *callContext) {
	if c.turn.ready == nil {
		c.turn.ready = make(chan struct{}, 1)
	}
	s.line = append(s.line, c)
}

// call gives turns to those in line, as many as there are.
func (s *turns) call(now time.Time) {
	n, _ := s.slots()
	if s.pace == paceFree {
		n = len(s.holders) + len(s.line)
	}
	for len(s.holders) < n && len(s.line) > 0 {
		first := 0
		for i, c := range s.line {
			if c.tenant.used < s.line[first].tenant.used {
				first = i
			}
		}
		c := s.line[first]
		s.line = slices.Delete(s.line, first, first+1)
		s.clock, c.tenant.worked = c.tenant.used, now
		c.turn.held, c.turn.began, c.turn.seen = true, now, now
		s.holders = append(s.holders, c)
		c.turn.ready <- struct{}{}
	}
}

// drop takes the turn, or the place in line, from a guest.
func (s *turns) drop(c *callContext) {
	if i := slices.Index(s.holders, c); i >= 0 {
		s.holders = slices.Delete(s.holders, i, i+1)
	}
	if i := slices.Index(s.line, c); i >= 0 {
		s.line = slices.Delete(s.line, i, i+1)
	}
	c.turn.held = false
}
