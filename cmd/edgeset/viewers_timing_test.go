//go:build linux

package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// A gallery is all who look at one ticket by one code: some follow its stream, some
// poll. Points say themselves when they were sent, so whoever gets one knows how long
// it took: column 1 has the microseconds of that time, and column 2 the point's number.
type gallery struct {
	s      *server
	sharer *client
	ticket string
	code   string
	points int64 // sent
	last   int64 // time of the last one, in milliseconds

	mu     sync.Mutex
	all    []*onlooker
	delays []time.Duration // from upload to arrival, of each point at each viewer
	failed error
}

// An onlooker is one viewer of a gallery.
type onlooker struct {
	g    *gallery
	name string
	conn net.Conn // of the stream; nil: polls

	polling sync.Mutex
	next    int64

	// What follows is guarded by the gallery.
	seen   map[int64]bool // numbers of points
	events map[string]int
	closed bool // the stream has ended
}

func newGallery(sharer *client) *gallery {
	ticket := sharer.newTicket()
	return &gallery{s: sharer.server, sharer: sharer, ticket: ticket, code: sharer.newInvite(ticket)}
}

// enter lets viewers in, a few at a time. Each has been told all there is when it returns.
func (g *gallery) enter(n int, stream bool) {
	g.sharer.t.Helper()
	var wg sync.WaitGroup
	places := make(chan bool, 16)
	for i := range n {
		o := &onlooker{g: g, name: fmt.Sprintf("%t-%d", stream, i), seen: map[int64]bool{}, events: map[string]int{}}
		g.all = append(g.all, o)
		places <- true
		wg.Go(func() {
			defer func() { <-places }()
			if stream {
				g.fail(o.follow())
			} else {
				g.fail(o.poll())
			}
		})
	}
	wg.Wait()
	g.check()
}

// fail keeps the first error, which check ends the test with.
func (g *gallery) fail(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = err
	}
}

func (g *gallery) check() {
	g.sharer.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed != nil {
		g.sharer.fatalf("%v", g.failed)
	}
}

// leave ends all connections.
func (g *gallery) leave() {
	for _, o := range g.all {
		if o.conn != nil {
			o.conn.Close()
		}
	}
}

// send uploads a point.
func (g *gallery) send() {
	g.sharer.t.Helper()
	at := time.Now().UnixMicro()
	for ; at/1000 == g.last; at = time.Now().UnixMicro() { // of a time there is one point
		time.Sleep(100 * time.Microsecond)
	}
	g.last = at / 1000
	g.points++
	g.sharer.upload("/v2/tickets/"+g.ticket+"/append_location", fmt.Sprintf("[[%d,%d,%d,450,270,12,5,8]]", at/1000, at%1000, g.points))
}

// await waits until something is so of all viewers.
func (g *gallery) await(what string, so func(o *onlooker) bool) {
	g.sharer.t.Helper()
	for deadline := time.Now().Add(callTime); ; time.Sleep(5 * time.Millisecond) {
		g.check()
		g.mu.Lock()
		missing := slices.IndexFunc(g.all, func(o *onlooker) bool { return !so(o) })
		g.mu.Unlock()
		if missing < 0 {
			return
		}
		if time.Now().After(deadline) {
			o := g.all[missing]
			g.sharer.fatalf("%s: not so of viewer %s after %v, which has seen %d of %d points and the events %v", what, o.name, callTime, len(o.seen), g.points, o.events)
		}
	}
}

func (g *gallery) awaitPoints() {
	g.sharer.t.Helper()
	g.await("every point has come", func(o *onlooker) bool { return int64(len(o.seen)) == g.points })
}

// sight is what a viewer reads of a view.
type sight struct {
	Next     int64
	Location [][]*int64
}

func (o *onlooker) take(v *sight) error {
	now := time.Now()
	o.g.mu.Lock()
	defer o.g.mu.Unlock()
	for _, row := range v.Location {
		if len(row) != 8 || row[0] == nil || row[1] == nil || row[2] == nil {
			return fmt.Errorf("viewer %s: a row of %d columns", o.name, len(row))
		}
		if number := *row[2]; !o.seen[number] {
			o.seen[number] = true
			o.g.delays = append(o.g.delays, now.Sub(time.UnixMicro(*row[0]*1000+*row[1])))
		}
	}
	return nil
}

// poll asks for what is new.
func (o *onlooker) poll() error {
	o.polling.Lock()
	defer o.polling.Unlock()
	r, err := o.g.s.client().call("GET", "/v2/invites/"+o.g.code, nil, "uncompressed", "true", "viewer", o.name, "next", strconv.FormatInt(o.next, 10))
	if err != nil {
		return err
	}
	var v struct{ Response sight }
	if err := errors.Join(r.failure(), json.Unmarshal(r.raw, &v)); err != nil {
		return err
	}
	o.next = v.Response.Next
	return o.take(&v.Response)
}

// follow opens a stream, and returns when the view that it begins with is there.
func (o *onlooker) follow() (err error) {
	if o.conn, err = net.DialTimeout("tcp", o.g.s.listen, callTime); err != nil {
		return err
	}
	if err := o.conn.SetDeadline(time.Now().Add(callTime)); err != nil {
		return err
	}
	// It is the same client that polls, by its name, too.
	const agent = "Go-http-client/1.1"
	if _, err := fmt.Fprintf(o.conn, "GET /v2/invites/%s/stream?viewer=%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n", o.g.code, o.name, o.g.s.listen, agent); err != nil {
		return err
	}
	in := bufio.NewReader(o.conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("viewer %s: %w", o.name, err)
		}
		if strings.HasPrefix(line, "HTTP/") && !strings.Contains(line, " 200 ") {
			return fmt.Errorf("viewer %s: %s: want a stream", o.name, line)
		}
		if line == "\r\n" {
			break
		}
	}
	if err := o.hear(in); err != nil {
		return err
	}
	if err := o.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	go func() {
		for {
			err := o.hear(in)
			switch {
			case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
				o.g.mu.Lock()
				o.closed = true
				o.g.mu.Unlock()
				return
			case err != nil:
				o.g.fail(err)
				return
			}
		}
	}()
	return nil
}

// hear reads the next event.
func (o *onlooker) hear(in *bufio.Reader) error {
	for name := ""; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case field == "event":
			name = value
		case field != "data":
		case name == "view":
			var v sight
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return fmt.Errorf("viewer %s: %q: %w", o.name, value, err)
			}
			if v.Next != 0 {
				o.next = v.Next // of the first, which comes before anybody polls
			}
			return o.take(&v)
		default:
			o.g.mu.Lock()
			o.events[name]++
			o.g.mu.Unlock()
			if name == "refresh" {
				return o.poll()
			}
			return nil
		}
	}
}

// Many viewers of one ticket all see all of it, however they look, and nothing that is
// withheld; and the sharer sees them come and go.
func TestManyViewersOfOneTicket(t *testing.T) {
	t.Parallel()
	const half = 25
	s := newServer(t, "")
	sharer := s.client().newUser(s.newApp())
	streams := newGallery(sharer)
	polls := &gallery{s: s, sharer: sharer, ticket: streams.ticket, code: streams.code}
	viewing := func(want int64) {
		t.Helper()
		if r := sharer.get("/v2/tickets/" + streams.ticket + "/invites"); r.int("response.items.0.viewing") != want {
			t.Errorf("%v\nwant %d viewing", r, want)
		}
	}
	streams.send()
	polls.points++
	streams.enter(half, true)
	polls.enter(half, false)
	t.Cleanup(streams.leave)
	viewing(2 * half)
	again := func() {
		t.Helper()
		for _, o := range polls.all {
			polls.fail(o.poll())
		}
		polls.awaitPoints()
	}
	for i := range 20 {
		streams.send()
		polls.points++
		if i%5 == 4 {
			again()
		}
	}
	streams.awaitPoints()
	again()

	sharer.post("/v2/tickets/"+streams.ticket+"/set_visibility", "location", "hidden")
	streams.await("the trail is hidden", func(o *onlooker) bool { return o.events["refresh"] == 1 })
	at := time.Now().UnixMilli()
	sharer.upload("/v2/tickets/"+streams.ticket+"/append_location", fmt.Sprintf("[[%d,0,-1]]", at))
	again()
	sharer.post("/v2/tickets/"+streams.ticket+"/set_visibility", "location", "visible")
	streams.await("the trail is visible", func(o *onlooker) bool { return o.events["refresh"] == 2 })
	streams.last = at
	streams.send()
	polls.points++
	streams.awaitPoints()
	again()
	for _, o := range slices.Concat(streams.all, polls.all) {
		if o.seen[-1] {
			t.Errorf("viewer %s has seen what is hidden", o.name)
		}
	}

	viewing(2 * half)
	for i, o := range slices.Concat(streams.all, polls.all) {
		s.client().post("/v2/invites/"+streams.code+"/leave", "viewer", o.name)
		if i == half {
			viewing(half - 1)
		}
	}
	viewing(0)
	if n := s.metric("edgeset_realtime_members"); n != half {
		t.Errorf("%v connections are open, want %d", n, half)
	}
	sharer.post("/v2/invites/" + streams.code + "/delete")
	streams.await("the code is gone", func(o *onlooker) bool { return o.events["gone"] == 1 && o.closed })
	for deadline := time.Now().Add(callTime); s.metric("edgeset_realtime_members") != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("connections are open still after %v", callTime)
		}
	}
}

// pollEvery is how often a viewer without a stream polls; and who has one, to be seen
// to look.
const (
	pollEvery     = 2 * time.Second
	presenceEvery = 20 * time.Second
)

// BenchmarkViewers measures how long it takes from the sharer's upload until a point
// is at each of many viewers, and what the server takes of the processors for that: of
// a second of the clock, with a point a second. Half of the time they follow streams,
// and poll now and then to be seen to look, and half of the time as many others poll.
func BenchmarkViewers(b *testing.B) {
	viewers, blocks, points := 1000, 3, 6
	if testing.Short() {
		viewers, blocks, points = 200, 1, 4
	}
	s := newServer(b, "", "--cache", wasmtest.CacheDir(b))
	sharer := s.client().newUser(s.newApp())
	sides := [2]*gallery{newGallery(sharer), newGallery(sharer)}
	names := [2]string{"stream", "poll"}
	for i, g := range sides {
		start := time.Now()
		g.enter(viewers, i == 0)
		b.Cleanup(g.leave)
		b.Logf("%s: %d viewers came within %v", names[i], viewers, time.Since(start).Round(time.Millisecond))
	}
	var cpu [2][]float64 // milliseconds a second, of each block
	clock := &fanOut{b: b, pid: s.process.Process.Pid}
	for block := range blocks + 1 { // the first one is until everything is warm
		for i, g := range sides {
			g.awaitPoints()
			clock.cpu = nil
			start := time.Now()
			clock.mark()
			every := [2]time.Duration{presenceEvery, pollEvery}[i]
			n := points
			if block == 0 {
				n, g.delays = 2, nil
			}
			g.run(n, every)
			clock.mark()
			if block == 0 {
				g.delays = nil
				continue
			}
			cpu[i] = append(cpu[i], (clock.cpu[1]-clock.cpu[0]).Seconds()*1000/time.Since(start).Seconds())
		}
	}
	var delay [2][2]float64
	for i, g := range sides {
		slices.Sort(g.delays)
		n := len(g.delays)
		if n != blocks*points*viewers {
			b.Fatalf("%s: %d points came, want %d", names[i], n, blocks*points*viewers)
		}
		delay[i] = [2]float64{milliseconds(g.delays[n/2]), milliseconds(g.delays[n*99/100])}
		b.Logf("%s: %d viewers, delay p50 %.1f ms, p99 %.1f ms, max %.1f ms; CPU %.0f ms a second", names[i], viewers,
			delay[i][0], delay[i][1], milliseconds(g.delays[n-1]), bench.Median(cpu[i]))
	}
	const peer = "polling every 2 s"
	bench.Report(b, "viewers/delay_p50", peer, "ms", delay[0][0], delay[1][0], bench.Smaller)
	bench.Report(b, "viewers/delay_p99", peer, "ms", delay[0][1], delay[1][1], bench.Smaller)
	bench.Report(b, "viewers/cpu", peer, "ms/s", bench.Median(cpu[0]), bench.Median(cpu[1]), bench.Smaller)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// run sends points, one a second, while all viewers poll, evenly spread over the time
// that each lets pass, until all have all points. It takes whole seconds.
func (g *gallery) run(points int, every time.Duration) {
	g.sharer.t.Helper()
	stop := make(chan bool)
	var wg sync.WaitGroup
	begin := time.Now()
	for i, o := range g.all {
		wg.Go(func() {
			due := time.Duration(i) * every / time.Duration(len(g.all))
			for ; ; due += every {
				select {
				case <-stop:
					return
				case <-time.After(time.Until(begin.Add(due))):
					g.fail(o.poll())
				}
			}
		})
	}
	for i := range points {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second)))
		g.send()
	}
	g.awaitPoints()
	time.Sleep(time.Until(begin.Add(time.Since(begin).Truncate(time.Second) + time.Second)))
	close(stop)
	wg.Wait()
	g.check()
}
