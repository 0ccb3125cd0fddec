package main_test

import (
	"testing"
	"time"
)

// Of connections that have ended nothing is left, however they have: neither
// goroutines nor files.
func TestStatusLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newStatusServer(t)
	people := s.newPersons(2)
	ann, bob := people[0], people[1]
	ann.permits("*", "*", "all")
	round := func(n int) {
		t.Helper()
		var sockets, streams []*slowListener
		for range n {
			sockets, streams = append(sockets, bob.slowSocket()), append(streams, bob.slowStream())
		}
		ann.uploads(newUpdates(20, "location", "phone")...)
		for i := range n {
			if i%2 == 0 { // else they are reset, as there is something to read
				if err := sockets[i].conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if _, err := sockets[i].rest(); err != nil {
					t.Error(err)
				}
			}
			sockets[i].conn.Close()
			streams[i].conn.Close()
		}
		for begin := time.Now(); s.metric("edgeset_realtime_members") > 0; time.Sleep(20 * time.Millisecond) {
			if time.Since(begin) > callTime {
				s.fatalf("%v connections are left", s.metric("edgeset_realtime_members"))
			}
		}
	}
	round(50)
	goroutines, files := s.metric("go_goroutines"), s.metric("process_open_fds")
	for range 4 {
		round(100)
	}
	// A few come and go with other work of the server.
	const slack = 20
	for begin := time.Now(); s.metric("go_goroutines") > goroutines+slack || s.metric("process_open_fds") > files+slack; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > callTime {
			s.fatalf("%v goroutines, %v files after 800 connections: want about %v and %v, as before",
				s.metric("go_goroutines"), s.metric("process_open_fds"), goroutines, files)
		}
	}
	if got := s.metric("edgeset_realtime_rooms"); got != 0 {
		t.Errorf("%v rooms are left", got)
	}
}
