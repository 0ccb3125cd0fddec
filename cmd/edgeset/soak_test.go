package main_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	soak        = flag.Bool("soak", false, "run TestSoak")
	soakSharers = flag.Int("soak.sharers", 200, "sharers of TestSoak")
	soakViewers = flag.Int("soak.viewers", 1000, "viewers of TestSoak")
	soakTime    = flag.Duration("soak.time", time.Minute, "how long they are at it in TestSoak")
)

// What sharers and viewers do.
const (
	shareEvery = time.Second
	sharePoint = 3 // points in an upload
	statsEvery = 5 // uploads, one of which also asks for viewing stats
	viewEvery  = 5 * time.Second
	soakKey    = 10 // sharers of one application
)

// TestSoak has many share and view at the same time, at a steady rate, and looks
// at what the server needs for it. Nobody misses a point or sees one twice, no
// request fails, and the server's memory is flat: see memory.check.
//
// Requests have times at which they are due. How long one took counts from
// there, so that a server that is stuck is charged for all who would have come
// meanwhile.
func TestSoak(t *testing.T) {
	if !*soak {
		t.Skip("takes a minute; run with -soak")
	}
	s := newServer(t, "")
	fresh := s.usage()
	devices := soakDevices(s, *soakSharers)
	viewers := soakUsers(s, devices, *soakViewers)
	idle := s.usage()
	if t.Failed() {
		return
	}

	begin := time.Now()
	run := &soakRun{server: s, begin: begin, end: begin.Add(*soakTime)}
	var sampling sync.WaitGroup
	var mem memory
	sampling.Go(func() { mem.sample(s, begin, run.end) })
	for _, d := range devices {
		run.repeat(&run.shares, shareEvery, run.share(d))
	}
	for _, v := range viewers {
		run.repeat(&run.views, viewEvery, v.poll)
	}
	run.wg.Wait()
	took := time.Since(begin)
	busy := s.usage()
	sampling.Wait()

	// Everybody comes to the end.
	lost, points := 0, 0
	for i, v := range viewers {
		err := v.poll()
		if err == nil {
			err = devices[i%len(devices)].trail.check(v.seen)
		}
		if err != nil {
			if lost++; lost <= 3 {
				s.errorf("viewer %s: %v", v.name, err)
			}
		}
		points += len(v.seen)
	}
	if run.failed > 0 || lost > 0 {
		t.Errorf("%d requests failed, the first ones: %v; %d viewers missed points", run.failed, run.err, lost)
	}
	run.report(t, took, fresh, idle, busy, &mem, points)
	if err := mem.check(); err != nil {
		t.Error(err)
	}
}

// A soakRun counts.
type soakRun struct {
	server        *server
	begin, end    time.Time
	wg            sync.WaitGroup
	shares, views latencies
	mu            sync.Mutex
	failed        int
	err           error
}

// repeat does work again and again, at times that are due whether the last one
// is done or not; who is late catches up.
func (run *soakRun) repeat(l *latencies, every time.Duration, work func() error) {
	run.wg.Go(func() {
		for due := run.begin.Add(rand.N(every)); due.Before(run.end); due = due.Add(every) {
			time.Sleep(time.Until(due))
			err := work()
			l.add(time.Since(due))
			if err != nil {
				run.mu.Lock()
				if run.failed++; run.failed <= 3 {
					run.err = errors.Join(run.err, err)
				}
				run.mu.Unlock()
			}
		}
	})
}

// share returns what a sharer does: it uploads what its receiver gave, and now
// and then asks who is viewing.
func (run *soakRun) share(d *device) func() error {
	uploads, since := rand.IntN(statsEvery), "0"
	return func() error {
		b := d.trail.draw(sharePoint)
		if uploads++; uploads%statsEvery != 0 {
			_, err := d.send(b)
			return err
		}
		r, err := d.send(b, "since", since)
		since = r.text("response.last_refresh")
		return err
	}
}

// soakDevices makes sharers, each with an account, a ticket and a device.
func soakDevices(s *server, n int) []*device {
	devices := make([]*device, n)
	var keys []string
	for range (n + soakKey - 1) / soakKey {
		keys = append(keys, s.newApp())
	}
	s.inParallel(n, func(i int) {
		c := s.client().newUser(keys[i/soakKey])
		devices[i] = &device{client: c, ticket: c.newTicket(), trail: newTrail()}
	})
	return devices
}

// soakUsers spreads viewers over the tickets: some with an account, most
// without, half of them uncompressed.
func soakUsers(s *server, devices []*device, n int) []*viewer {
	viewers := make([]*viewer, n)
	codes := make([]string, len(devices))
	s.inParallel(len(devices), func(i int) { codes[i] = devices[i].client.newInvite(devices[i].ticket) })
	for i := range viewers {
		to := i % len(devices)
		c := s.client()
		if i/len(devices) == 0 { // the account of the next sharer
			c = devices[(to+1)%len(devices)].client
		}
		viewers[i] = newViewer(c, codes[to], strconv.Itoa(i))
		viewers[i].uncompressed = i%2 == 0
	}
	return viewers
}

// inParallel is for what takes a server's time and is not measured.
func (s *server) inParallel(n int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// latencies are how long requests took.
type latencies struct {
	mu   sync.Mutex
	list []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, d)
}

func (l *latencies) at(share float64) time.Duration {
	if len(l.list) == 0 {
		return 0
	}
	slices.Sort(l.list)
	return l.list[min(len(l.list)-1, int(share*float64(len(l.list))))].Round(10 * time.Microsecond)
}

func (run *soakRun) report(t *testing.T, took time.Duration, fresh, idle, busy usage, mem *memory, points int) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%d sharers, %d viewers, %v; access log on, durability power", *soakSharers, *soakViewers, *soakTime)
	line("%-8s %9s %11s %10s %10s %10s %10s", "", "requests", "requests/s", "p50", "p99", "p99.9", "max")
	for _, kind := range []struct {
		name string
		l    *latencies
	}{{"append", &run.shares}, {"view", &run.views}} {
		line("%-8s %9d %11.1f %10v %10v %10v %10v", kind.name, len(kind.l.list), float64(len(kind.l.list))/took.Seconds(),
			kind.l.at(0.5), kind.l.at(0.99), kind.l.at(0.999), kind.l.at(1))
	}
	line("by the server's own log:")
	log := run.server.accessLog(run.begin)
	for _, kind := range [][2]string{{"append", "/v2/tickets/:id/append_location"}, {"view", "/v2/invites/:code"}} {
		var l latencies
		for _, r := range log {
			if r.route == kind[1] && r.status == 200 {
				l.add(r.took)
			}
		}
		line("%-8s %9d %11s %10v %10v %10v %10v", kind[0], len(l.list), "", l.at(0.5), l.at(0.99), l.at(0.999), l.at(1))
	}
	line("worst:%s", worstSeconds(log, run.begin))
	line("points uploaded %d, seen %d; requests that failed %d", pointsOf(run.shares.list), points, run.failed)
	line("RSS of the server, MiB: started %.1f, accounts made %.1f, after warm-up %.1f, end %.1f, largest %.1f",
		mib(fresh.rss), mib(idle.rss), mib(mem.warm()), mib(mem.end()), mib(mem.largest()))
	line("RSS in its course:%s", mem.course())
	cpu := busy.cpu - idle.cpu
	line("CPU of the server %.1f s, %.0f µs a request", cpu.Seconds(),
		float64(cpu.Microseconds())/float64(len(run.shares.list)+len(run.views.list)))
	line("at the end: %s", run.server.gauges())
	t.Log("\n" + b.String())
}

func pointsOf(uploads []time.Duration) int { return len(uploads) * sharePoint }

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
