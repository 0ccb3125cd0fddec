package main_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestConcurrentKill kills the server several times while many upload and view.
// What was acknowledged is there, once; what was not is there as a whole or not
// at all.
func TestConcurrentKill(t *testing.T) {
	t.Parallel()
	kills, tickets := 5, 8
	if testing.Short() {
		kills, tickets = 2, 4
	}
	s := newServer(t, "")
	nobody := s.client()
	key := s.newApp()
	var devices []*device
	var viewers, late []*viewer
	var trails []*trail
	for i := range tickets {
		user := nobody.newUser(key)
		ticket := user.newTicket()
		code := user.newInvite(ticket)
		tr := newTrail()
		trails = append(trails, tr)
		// One gives up an upload whose answer is lost; another one, if there is
		// one, sends it again.
		devices = append(devices, &device{client: user, ticket: ticket, trail: tr, leaves: i%2 == 0})
		if i%4 > 1 {
			devices = append(devices, &device{client: user, ticket: ticket, trail: tr})
		}
		v := newViewer(nobody, code, "all along")
		v.uncompressed = i%2 == 1
		viewers = append(viewers, v)
		late = append(late, newViewer(nobody, code, "late"))
	}

	l := startLoad(devices, viewers, 2*time.Millisecond)
	for range kills {
		time.Sleep(100*time.Millisecond + rand.N(900*time.Millisecond))
		s.kill()
		s.start()
	}
	time.Sleep(200 * time.Millisecond)
	if err := l.stop(); err != nil {
		s.fatalf("%v", err)
	}

	points := 0
	for _, tr := range trails {
		points += tr.points()
		if tr.points() == 0 {
			t.Error("nothing was uploaded to a ticket")
		}
	}
	t.Logf("%d kills, %d points acknowledged on %d tickets", kills, points, len(trails))
	check := func() {
		for i, v := range append(viewers, late...) {
			if err := v.poll(); err != nil {
				s.fatalf("%v", err)
			}
			if err := trails[i%tickets].check(v.seen); err != nil {
				s.errorf("viewer %s: %v", v.name, err)
			}
		}
	}
	check()
	s.restart()
	check()
}
