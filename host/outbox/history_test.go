package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// A witness is a transport that sees to it that nothing is delivered that should not be.
type witness struct {
	t  testing.TB
	mu sync.Mutex
	// By id.
	seen map[string]*sight

	calm   bool // everything works
	random *rand.Rand
	life   int // the process that runs is the how many'th
}

// A sight is what was seen of an entry.
type sight struct {
	here     int  // attempts that run in this life
	life     int  // the last in which there was an attempt
	accepted int  // how often it arrived
	known    bool // the transport has said so, in this life
}

func (w *witness) Close() error { return nil }

func (w *witness) Deliver(_ context.Context, m *Message) error {
	w.mu.Lock()
	entry, _, _ := strings.Cut(m.ID, "-")
	s := w.seen[entry]
	if s == nil {
		s = &sight{}
		w.seen[entry] = s
	}
	life := w.life
	if s.life != life {
		s.life, s.here, s.known = life, 0, false
	}
	if s.here > 0 {
		w.t.Errorf("%s is tried twice at a time", m.Key)
	}
	if s.known {
		w.t.Errorf("%s is tried again after it has arrived, and nothing was cut off", m.Key)
	}
	s.here++
	fate := w.random.IntN(12)
	if w.calm {
		fate = 11
	}
	nap := time.Duration(w.random.IntN(2000)) * time.Microsecond
	w.mu.Unlock()

	time.Sleep(nap)

	w.mu.Lock()
	defer w.mu.Unlock()
	if s.life == life {
		s.here--
	}
	switch fate {
	case 0, 1, 2, 3:
		return Failed("try later")
	case 4:
		return Refused("never")
	case 5:
		return errors.New("the line was cut")
	case 6:
		panic("a fault")
	case 7:
		return &Failure{Reason: "slower", After: 3 * time.Millisecond}
	}
	s.accepted++
	s.known = s.life == life
	return nil
}

// A story is a random history of some deployments.
type story struct {
	*rig
	*witness
	random *rand.Rand
	intake map[string]*Intake
	added  map[string]*abi.Dispatch // by deployment + "/" + key
	meddle map[string]int           // by how often operators have changed it, or may have
	starts int
}

var ways = []string{"mail", "webhook:sms"}

// start begins another life.
func (s *story) start() {
	s.restart()
	s.starts++
	s.witness.mu.Lock()
	s.life = s.starts
	s.witness.mu.Unlock()
	var mu sync.Mutex
	doubt := rand.New(rand.NewPCG(uint64(s.starts), s.random.Uint64()))
	s.process.doubt = func() (before, after bool) {
		mu.Lock()
		defer mu.Unlock()
		n := doubt.IntN(200)
		return n == 0, n == 1
	}
	for name := range s.intake {
		s.intake[name] = s.box.For(name, Channels{"mail": s.witness, "webhook:sms": s.witness}, Limits{Rate: 1e6})
	}
	s.run()
}

func (s *story) serve(name string, via ...string) {
	c := Channels{}
	for _, v := range via {
		c[v] = s.witness
	}
	s.host.serve(name, c, Limits{Rate: 1e6, GiveUp: time.Hour})
}

// step does one thing.
func (s *story) step() {
	name := []string{"eu", "us"}[s.random.IntN(2)]
	switch n := s.random.IntN(100); {
	case n < 60:
		d := mail(fmt.Sprint("k", s.random.IntN(60)))
		if s.random.IntN(2) == 0 {
			d = hook(fmt.Sprint("h", s.random.IntN(60)))
		}
		added, err := s.add(s.intake[name], d)
		check(s.rig.t, err)
		if known := s.added[name+"/"+d.Key] != nil; known == added {
			s.rig.t.Errorf("%s of %s: added %v, known %v", d.Key, name, added, known)
		}
		s.added[name+"/"+d.Key] = d
	case n < 75:
		s.operate(name)
	case n < 78:
		s.kill()
		s.start()
	case n < 80:
		s.stop()
		s.start()
	case n < 83:
		s.serve(name, ways[s.random.IntN(2)])
	case n < 90:
		s.serve(name, ways...)
	default:
		time.Sleep(time.Duration(s.random.IntN(8)) * time.Millisecond)
	}
}

// operate does what an operator may do.
func (s *story) operate(name string) {
	ctx := context.Background()
	l, err := s.box.List(ctx, name, Query{Limit: 500})
	check(s.rig.t, err)
	if len(l.Entries) == 0 {
		return
	}
	e := l.Entries[s.random.IntN(len(l.Entries))]
	switch s.random.IntN(4) {
	case 0, 1:
		err = s.box.Retry(ctx, name, e.ID)
	case 2:
		err = s.box.Discard(ctx, name, e.ID)
	case 3:
		q := Query{Via: ways[s.random.IntN(2)]}
		for key, d := range s.added { // each may be meant
			if strings.HasPrefix(key, name) && d.Via == q.Via {
				s.meddle[key]++
			}
		}
		_, err = s.box.RetryAll(ctx, name, q)
		e.Key = ""
	}
	if err != nil && !errors.Is(err, ErrState) && !strings.Contains(err.Error(), "outcome of the commit is unknown") {
		s.rig.t.Errorf("an operator's change: %v", err)
	}
	if !errors.Is(err, ErrState) && e.Key != "" {
		s.meddle[name+"/"+e.Key]++
	}
}

func TestRandomHistoriesEndWell(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := &story{
				rig: newRig(t), random: rand.New(rand.NewPCG(seed, 1)), added: map[string]*abi.Dispatch{}, meddle: map[string]int{},
				witness: &witness{t: t, seen: map[string]*sight{}, random: rand.New(rand.NewPCG(seed, 2))},
				intake:  map[string]*Intake{"eu": nil, "us": nil},
			}
			s.config.Scan, s.config.Drain, s.rough = 50*time.Millisecond, 100*time.Millisecond, true
			refusal := rand.New(rand.NewPCG(seed, 3))
			var mu sync.Mutex
			s.host.refuse = func(*abi.Outcome) error {
				mu.Lock()
				defer mu.Unlock()
				if refusal.IntN(5) == 0 {
					return errors.New("the plugin has failed")
				}
				return nil
			}
			s.serve("eu", ways...)
			s.serve("us", ways...)
			s.start()
			for range 400 {
				s.step()
			}
			s.witness.mu.Lock()
			s.calm = true
			s.witness.mu.Unlock()
			s.serve("eu", ways...)
			s.serve("us", ways...)
			s.settle()
		})
	}
}

// settle waits until all is done, and checks what has come of it.
func (s *story) settle() {
	t := s.rig.t
	for _, name := range []string{"eu", "us"} {
		until(t, "all of "+name+" has ended", func() bool { return s.keys(name, dues) == 0 })
	}
	s.stop()
	listed := map[string]bool{}
	for _, name := range []string{"eu", "us"} {
		for _, e := range s.all(name, Query{Limit: 7}) {
			key := name + "/" + e.Key
			d := s.added[key]
			switch {
			case d == nil || e.ID != makeID(name, "sharing", e.Key).String() || listed[key]:
				t.Errorf("%s is listed, and should not be, or twice", key)
				continue
			case e.State == StateQueued, !e.Told, e.Via != d.Via, e.To != d.To:
				t.Errorf("%s has not ended: %+v", key, e)
			}
			listed[key] = true
			s.checkEntry(key, name, e)
		}
		for _, state := range states {
			for _, e := range s.all(name, Query{State: state}) {
				if e.State != state {
					t.Errorf("%s/%s is listed as %s, and is %s", name, e.Key, state, e.State)
				}
			}
		}
		if n, m := s.keys(name, entries), s.keys(name, lists); n != m {
			t.Errorf("%d entries of %s have %d places in lists", n, name, m)
		}
	}
	if len(listed) != len(s.added) {
		t.Errorf("%d of %d entries are listed", len(listed), len(s.added))
	}
	s.box.Collect(func(st Stat) {
		if st.Queued != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// checkEntry compares how an entry has ended with what was seen and heard of it.
func (s *story) checkEntry(key, name string, e Entry) {
	t := s.rig.t
	arrived := 0
	if seen := s.seen[e.ID]; seen != nil {
		arrived = seen.accepted
	}
	heard := strings.Split(strings.TrimSuffix(s.heard(name, e.Key), "\n"), "\n")
	word := func(line string) State { return State(strings.SplitN(line, ",", 2)[0]) }
	switch {
	case e.State == StateSent && arrived == 0:
		t.Errorf("%s is sent, and has not arrived", key)
	case arrived > s.starts:
		t.Errorf("%s has arrived %d times in %d lives", key, arrived, s.starts)
	case word(heard[len(heard)-1]) != e.State:
		t.Errorf("%s is %s, and the plugin heard %q", key, e.State, heard)
	case len(heard) > 1+s.meddle[key]:
		t.Errorf("the plugin heard %q of %s, which operators have changed %d times", heard, key, s.meddle[key])
	case slices.ContainsFunc(heard[:len(heard)-1], func(line string) bool { return word(line) == StateSent }):
		t.Errorf("%s goes on after it was sent: %q", key, heard)
	}
}

// all returns what is listed, page by page.
func (r *rig) all(name string, q Query) (list []Entry) {
	r.t.Helper()
	for {
		l, err := r.box.List(context.Background(), name, q)
		check(r.t, err)
		list = append(list, l.Entries...)
		if l.Next == "" {
			return list
		}
		q.After = l.Next
	}
}
