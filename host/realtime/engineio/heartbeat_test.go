package engineio

import (
	"fmt"
	"testing"
	"time"
)

// A beat is a heartbeat that a busy machine can keep.
var beat = Config{PingInterval: 100 * time.Millisecond, PingTimeout: 5 * time.Second}

// brief is a heartbeat for clients that do not keep it.
var brief = Config{PingInterval: 60 * time.Millisecond, PingTimeout: 40 * time.Millisecond}

func TestTheServerPingsInRevision4(t *testing.T) {
	r := start(t, beat)
	c, _ := r.open(4)
	query, _ := r.poll(4)
	begin := time.Now()
	for range 3 {
		c.expect("2")
		c.send("3")
		r.expect(r.request("GET", query, ""), 200, "2")
		r.expect(r.request("POST", query, "3"), 200, "ok")
	}
	if d := time.Since(begin); d < 280*time.Millisecond {
		t.Errorf("three pings came within %v", d)
	}
}

func TestTheClientPingsInRevision3(t *testing.T) {
	r := start(t, Config{PingInterval: time.Second, PingTimeout: time.Second})
	c, socketID := r.open(3)
	query, pollID := r.poll(3)
	for begin := time.Now(); time.Since(begin) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
		c.send("2")
		c.expect("3")
		r.expect(r.request("POST", query, "1:2"), 200, "ok")
		r.expect(r.request("GET", query, ""), 200, "1:3")
	}
	for _, id := range []string{socketID, pollID} {
		if r.reason(id) != "" {
			t.Errorf("a session that is alive ended: %s", r.reason(id))
		}
	}
}

func TestASilentClientEnds(t *testing.T) {
	for _, version := range []int{3, 4} {
		t.Run(fmt.Sprint("revision ", version), func(t *testing.T) {
			r := start(t, brief)
			begin := time.Now()
			c, socketID := r.open(version)
			query, pollID := r.poll(version)
			c.closed(1000)
			if d := time.Since(begin); d < 100*time.Millisecond {
				t.Errorf("it ended after %v", d)
			}
			r.ended(socketID, PingTimeout)
			r.ended(pollID, PingTimeout)
			if res := r.request("GET", query, ""); res.status != 400 {
				t.Errorf("a poll was answered with %d", res.status)
			}
		})
	}
}

func TestAPollThatWaitsIsToldOfTheEnd(t *testing.T) {
	r := start(t, Config{PingInterval: time.Second, PingTimeout: time.Second})
	query, id := r.poll(3)
	r.expect(r.request("GET", query, ""), 200, "1:1")
	r.ended(id, PingTimeout)
}

func TestARequestFindsOutThatTheTimeIsOver(t *testing.T) {
	r := start(t, Config{})
	query, id := r.poll(4)
	s := r.session(id)
	s.mu.Lock()
	s.expires = r.server.clock()
	s.mu.Unlock()
	if res := r.request("POST", query, "4late"); res.status != 400 {
		t.Errorf("a POST was answered with %d", res.status)
	}
	r.ended(id, PingTimeout)
}

func TestAPongInRevision3EndsTheSession(t *testing.T) {
	r := start(t, Config{})
	c, id := r.open(3)
	c.send("3")
	c.closed(1002)
	c.Close()
	r.ended(id, TransportError)
}

func TestTheWheelCallsOnTimeAndOnce(t *testing.T) {
	w := newWheel(10 * time.Millisecond)
	sessions := make([]*Session, 300)
	for i := range sessions {
		sessions[i] = &Session{}
		w.set(sessions[i], time.Duration(i)*7*time.Millisecond)
	}
	w.set(sessions[5], 3*time.Second) // is moved
	w.remove(sessions[6])
	w.remove(sessions[6])
	called := map[*Session]time.Duration{}
	for now := time.Duration(0); now < 4*time.Second; now += 3 * time.Millisecond {
		for _, s := range w.due(nil, now) {
			if called[s] != 0 {
				t.Fatal("a session was called twice")
			}
			called[s] = now
		}
	}
	for i, s := range sessions {
		due := time.Duration(i) * 7 * time.Millisecond
		switch at := called[s]; {
		case i == 5:
			due = 3 * time.Second
			fallthrough
		default:
			if at < due || at > due+20*time.Millisecond {
				t.Errorf("what was due at %v was called at %v", due, at)
			}
		case i == 6:
			if at != 0 {
				t.Error("what was removed was called")
			}
		}
	}
}

func TestTheWheelReachesAllAfterAPause(t *testing.T) {
	w := newWheel(time.Millisecond)
	var far Session
	w.set(&far, time.Hour) // farther than the wheel goes: it is called early
	for i := range 2000 {
		w.set(&Session{}, time.Duration(i)*time.Millisecond)
	}
	if n := len(w.due(nil, time.Minute)); n != 2001 {
		t.Errorf("%d were called", n)
	}
	w.set(&far, time.Minute) // is over: it is called at the next tick
	if n := len(w.due(nil, time.Minute+time.Millisecond)); n != 1 {
		t.Errorf("%d were called", n)
	}
}
