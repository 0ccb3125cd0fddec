package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// Several share updates with somebody whose clients lose their connections all the
// time, while the server is killed now and then. Each client comes to know of each
// update once, in the order of their upload: by socket and since_uuid, or by a stream
// and Last-Event-ID.
func TestStatusWithoutAGap(t *testing.T) {
	t.Parallel()
	cs, s := newStatusClients(t), newStatusServer(t)
	people := s.newPersons(5)
	reader, sharers := people[0], people[1:]
	sharers[0].permits("*", "*", "all")
	sharers[1].permits("*", "*", "individual", reader.gid)
	sharers[2].permits("*", "*", "contacts")
	sharers[2].adds("contacts", reader)
	sharers[3].permits("*", "*", "group", sharers[3].newGroup(reader))

	often, seldom := newCutter(t, s.listen, 1<<10, 24<<10), newCutter(t, s.listen, 16<<10, 64<<10)
	var followers []*follower
	for _, f := range []struct {
		version int
		options map[string]any
	}{{4, nil}, {4, byWebSocket}, {3, byPolling}, {2, nil}} {
		followers = append(followers, followBySocket(cs, f.version, reader, often, f.options))
	}
	for range 2 {
		followers = append(followers, followByStream(t, reader, often))
	}
	// This one waits for seconds before it comes back, as the server asks it to.
	followers = append(followers, followByEventSource(cs, reader, seldom))

	total := 0
	share := func(n int, meanwhile func()) {
		t.Helper()
		total += n * len(sharers)
		var group sync.WaitGroup
		for _, p := range sharers {
			group.Go(func() { p.keepSharing(n) })
		}
		meanwhile()
		group.Wait()
		often.steady.Store(true)
		seldom.steady.Store(true)
		want := reader.allPages("/v1/status/shared", "500")
		if len(want) != total {
			t.Fatalf("%d updates are shared, want the %d that were acknowledged", len(want), total)
		}
		for _, f := range followers {
			f.knows(t, want)
		}
		t.Logf("%d updates, %d connections were cut off", len(want), often.cuts.Load()+seldom.cuts.Load())
	}
	share(1, func() {})
	often.steady.Store(false)
	seldom.steady.Store(false)
	share(100, func() {})
	if often.cuts.Load() < 10 || seldom.cuts.Load() < 1 {
		t.Errorf("%d and %d connections were cut off, want more", often.cuts.Load(), seldom.cuts.Load())
	}
	often.steady.Store(false)
	share(100, func() {
		for range 2 {
			time.Sleep(100*time.Millisecond + rand.N(200*time.Millisecond))
			s.kill()
			s.start()
		}
	})
}

// keepSharing uploads n updates in small batches, each until it is acknowledged.
func (p *person) keepSharing(n int) {
	list := newUpdates(n, "location", "phone")
	for len(list) > 0 {
		batch := list[:min(len(list), 1+rand.IntN(4))]
		list = list[len(batch):]
		for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			r, err := p.call("POST", "/v1/status", batch)
			if err == nil && r.status == 201 {
				if stored, _ := r.doc.([]any); len(stored) != len(batch) {
					p.t.Errorf("%v\nwant %d updates", r, len(batch))
				}
				break
			}
			if err == nil && r.status != 503 || time.Since(begin) > startTime {
				p.t.Errorf("%v, %v\nwant 201", r, err)
				return
			}
		}
		time.Sleep(rand.N(8 * time.Millisecond))
	}
}

// A follower is a client that misses nothing.
type follower struct {
	name string
	// next waits for the next update that it comes to know of, and returns its id.
	next func() (string, error)
	ids  []string
}

// knows waits until the follower knows of so many updates, which are to be these.
func (f *follower) knows(t *testing.T, want []string) {
	t.Helper()
	for len(f.ids) < len(want) {
		id, err := f.next()
		if err != nil {
			t.Fatalf("%s: %v, after %d of %d updates", f.name, err, len(f.ids), len(want))
		}
		f.ids = append(f.ids, id)
		if n := len(f.ids); id != want[n-1] {
			t.Fatalf("%s: number %d is update %s (%d), want %s", f.name, n, id, slices.Index(want, id), want[n-1])
		}
	}
}

var errSilent = errors.New("nothing has come for too long")

// updates are those that a client in the process of the clients tells of.
func (c *statusClient) updates() func() (string, error) {
	return func() (string, error) {
		for late := time.After(callTime); ; {
			select {
			case e := <-c.events:
				switch e.what {
				case "STATUS_UPDATE":
					return (reply{doc: e.values}).text("0.uuid"), nil
				case "error":
					// Also what a client of version 2 calls a lost connection.
					if (reply{doc: e.values}).text("0.error.code") != "" || c.name == "an EventSource" {
						return "", fmt.Errorf("%v", e)
					}
				}
			case <-late:
				return "", errSilent
			}
		}
	}
}

func followBySocket(cs *statusClients, version int, p *person, through *cutter, options map[string]any) *follower {
	cs.t.Helper()
	all := map[string]any{"reconnectionDelay": 10, "reconnectionDelayMax": 100}
	for key, value := range options {
		all[key] = value
	}
	name := fmt.Sprintf("socket.io-client %d %v", version, options)
	c := cs.open("follow", name, map[string]any{
		"version": version, "url": "http://" + through.addr(), "options": all, "access_token": p.token, "gid_uuid": p.gid,
	})
	for c.next().what != "caught up" { // with nothing
	}
	return &follower{name: name, next: c.updates()}
}

func followByEventSource(cs *statusClients, p *person, through *cutter) *follower {
	cs.t.Helper()
	c := cs.open("stream", "an EventSource", map[string]any{
		"url": "http://" + through.addr() + "/v1/status/stream?oauth_token=" + p.token,
	})
	c.wants("open")
	return &follower{name: c.name, next: c.updates()}
}

// followByStream comes back whenever its connection is lost, and shows what it has
// got last. It lets nothing pass twice.
func followByStream(t *testing.T, p *person, through *cutter) *follower {
	t.Helper()
	ids := make(chan string, maxClientEvents)
	failed := make(chan error, 1)
	done := make(chan struct{})
	s, err := p.openStream(through.addr(), "")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		last := ""
		for {
			for {
				e, err := s.next()
				if err != nil {
					break
				}
				last = e.id
				ids <- last
			}
			s.close()
			for begin := time.Now(); ; {
				select {
				case <-done:
					return
				case <-time.After(10 * time.Millisecond):
				}
				var err error
				if s, err = p.openStream(through.addr(), last); err == nil {
					break
				}
				if time.Since(begin) > startTime {
					failed <- err
					return
				}
			}
		}
	})
	t.Cleanup(func() {
		close(done)
		through.close()
		group.Wait()
	})
	return &follower{name: "a stream", next: func() (string, error) {
		select {
		case id := <-ids:
			return id, nil
		case err := <-failed:
			return "", err
		case <-time.After(callTime):
			return "", errSilent
		}
	}}
}
