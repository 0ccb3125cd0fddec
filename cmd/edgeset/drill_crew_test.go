package main_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// A crew is all clients of a drill.
type crew struct {
	tally   *tally
	server  *server
	workers []*worker // go on without a pause
	sharers []*sharer
	ears    []*ear
	lines   []*line
	hearing sync.WaitGroup

	done chan struct{}
	wg   sync.WaitGroup
}

// A crewSize says how many there are: people who share, publish and sign without a
// pause, applications that post, sharers of updates, and open sockets.
type crewSize struct{ people, posters, sharers, ears int }

// shareEach is how long a sharer waits before its next update, and listenEach how long
// it takes until one of the sockets listens once more.
const (
	shareEach  = 100 * time.Millisecond
	listenEach = 50 * time.Millisecond
)

// newCrew makes accounts, logs them in, and opens their sockets.
func newCrew(t testing.TB, s *server, y *tally, provider string, size crewSize) *crew {
	t.Helper()
	c := &crew{tally: y, server: s, done: make(chan struct{})}
	app := s.newApp()
	all := make([]*person, size.people+2*size.sharers)
	s.inParallel(len(all), func(i int) { all[i] = s.newPerson(app) })
	people, listeners, sharers := all[:size.people], all[size.people:size.people+size.sharers], all[size.people+size.sharers:]

	for i, p := range people {
		c.shares(p, fmt.Sprint(i))
		c.signs(p, s.newSigner(""))
	}
	c.publish(people)
	content := photo(t, 64, 48, 0)
	for i := range size.posters {
		c.posts(s.newSigner(""), s.newMember(provider, "ann"), fmt.Sprint(i), content)
	}
	of := map[*person][]*sharer{}
	for i, p := range sharers {
		p.permits("*", "*", "individual", listeners[i].gid)
		l := c.line()
		l.kind = "share"
		sh := &sharer{person: p.on(s.over(l))}
		c.sharers = append(c.sharers, sh)
		of[listeners[i]] = []*sharer{sh}
	}
	c.ears = openEars(t, y, s, size.ears, listeners, of)
	for _, e := range c.ears {
		c.hearing.Go(e.hear)
	}
	return c
}

func (c *crew) line() *line {
	l := &line{tally: c.tally, addr: c.server.listen}
	c.lines = append(c.lines, l)
	return l
}

func (c *crew) add(l *line, t task) { c.workers = append(c.workers, &worker{l, t}) }

// on returns the person as a client of another server.
func (p *person) on(s *server) *person {
	other := *p
	other.client = p.client.on(s)
	return &other
}

func (c *client) on(s *server) *client {
	other := *c
	other.server = s
	return &other
}

func (c *crew) shares(p *person, name string) {
	ticket := p.newTicket()
	code := p.newInvite(ticket)
	l := c.line()
	s := c.server.over(l)
	c.add(l, &sharing{
		device: &device{client: p.client.on(s), ticket: ticket, trail: newTrail()},
		viewer: newViewer(s.client(), code, name), since: "0",
	})
}

func (c *crew) signs(p *person, a *signer) {
	l := c.line()
	s := c.server.over(l)
	c.add(l, &signing{
		signer: &signer{a.client.on(s), a.id, a.secret, a.key}, user: p.client.on(s), of: p.account, tokens: []string{p.token},
		logged: time.Now().Add(-rand.N(loginEvery)), // not all at the same time
	})
}

func (c *crew) posts(a *signer, m *member, name string, content []byte) {
	l := c.line()
	s := c.server.over(l)
	c.add(l, &posting{
		signer: &signer{a.client.on(s), a.id, a.secret, a.key}, member: &member{m.client.on(s), m.name, m.account, m.cookie},
		name: name, photo: content, posts: map[int64]string{}, comments: map[int64]string{},
	})
}

// publish has each of them share with the next one.
func (c *crew) publish(people []*person) {
	t := c.server.t
	t.Helper()
	list := make([]*publishing, len(people))
	for i, p := range people {
		p.permits("*", "*", "individual", people[(i+1)%len(people)].gid)
		l := c.line()
		l.kind = "begin"
		list[i] = &publishing{person: p.on(c.server.over(l)), maybe: map[string]bool{}}
		c.add(l, list[i])
		if err := list[i].upload(); err != nil {
			c.server.fatalf("%v", err)
		}
	}
	for i, p := range list {
		p.from = list[(i+len(list)-1)%len(list)]
		if err := p.begin(); err != nil {
			c.server.fatalf("%v", err)
		}
	}
}

// start sets all of them to work.
func (c *crew) start() {
	for _, w := range c.workers {
		c.wg.Go(func() { w.work(c.done) })
	}
	for _, s := range c.sharers {
		c.every(shareEach, s.upload)
	}
	c.every(listenEach, func() error { return c.ears[rand.IntN(len(c.ears))].listen() })
}

// every does something again and again, with a pause.
func (c *crew) every(pause time.Duration, do func() error) {
	c.wg.Go(func() {
		for {
			select {
			case <-c.done:
				return
			case <-time.After(pause):
			}
			if err := do(); err != nil {
				c.tally.note(failed, 1, err)
			}
		}
	})
}

// stop returns when each has the answer to its last request, and each socket all that
// was shared with it.
func (c *crew) stop() {
	close(c.done)
	c.wg.Wait()
	var finishing sync.WaitGroup
	for _, e := range c.ears {
		finishing.Go(func() { e.finish(c.sharers) })
	}
	finishing.Wait()
	c.hearing.Wait()
}

// readBack has each look for what was acknowledged, and hang up.
func (c *crew) readBack() {
	for _, w := range c.workers {
		w.line.kind = "read back"
		if missing, err := w.task.readBack(); err != nil || missing > 0 {
			c.tally.note(lost, max(missing, 1), fmt.Errorf("%T: %d are missing: %w", w.task, missing, err))
		}
	}
	for _, l := range c.lines {
		l.hangUp()
	}
}

// writes are how many were acknowledged.
func (c *crew) writes() (n int) {
	for _, w := range c.workers {
		switch k := w.task.(type) {
		case *sharing:
			n += k.device.trail.points()
		case *publishing:
			n += len(k.mine)
		case *posting:
			n += len(k.posts) + len(k.comments)
		case *signing:
			n += k.taken + len(k.tokens) - 1 + 2*len(k.ended)
		}
	}
	for _, s := range c.sharers {
		n += int(s.sent.Load())
	}
	return n
}

// events are how many have come to the sockets.
func (c *crew) events() (n int64) {
	for _, e := range c.ears {
		for _, last := range e.heard {
			n += last
		}
	}
	return n
}
