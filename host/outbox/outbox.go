package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/edgeset/edgeset/store"
)

// Config is what an Outbox works with.
type Config struct {
	Store       store.Store
	Deployments Deployments
	Log         *slog.Logger  // nil: what it has to say is discarded
	Backoff     Backoff       // between attempts, and between tellings
	Attempt     time.Duration // how long one may take that its transport does not bound; 0: five minutes
	Parallel    int           // attempts of a deployment at a time in one way; 0: 4
	Scan        time.Duration // how often it looks for what it was not told of; 0: 30 s
	Drain       time.Duration // how long Run waits for attempts that run; 0: 5 s

	commit time.Duration       // after which an entry that was written is committed, mostly; 0: 5 s
	keep   time.Duration       // how long an entry is kept that has ended
	random func(n int64) int64 // from 0 up to, and without, n
}

// A Backoff says how long to wait after something has failed: a random part of First,
// doubled with each time, and of no more than Most. What is 0 has its default, 5 s and
// an hour.
type Backoff struct{ First, Most time.Duration }

// An Outbox delivers what was dispatched in all deployments of a store.
type Outbox struct {
	config Config

	mu      sync.Mutex
	spaces  map[string]*space // by deployment
	courier *courier          // nil unless Run runs
}

// A space is what is known of a deployment.
type space struct {
	name    string
	queued  atomic.Int64 // entries, about: what may have been committed counts until it is looked for
	limiter *rate.Limiter
	lanes   map[string]*lane // by Via; guarded by Outbox.mu
}

// A courier is a Run.
type courier struct {
	ctx   context.Context // ends when nothing is begun any more
	work  context.Context // ends when what was begun is cut off
	lanes sync.WaitGroup
}

const defaultKeep = 7 * 24 * time.Hour

// New returns an Outbox, which takes dispatches. Run delivers them.
func New(config Config) *Outbox {
	c := &config
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{{&c.Attempt, 5 * time.Minute}, {&c.Scan, 30 * time.Second}, {&c.Drain, 5 * time.Second}, {&c.commit, 5 * time.Second}, {&c.keep, defaultKeep}} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	if c.Parallel <= 0 {
		c.Parallel = 4
	}
	if c.random == nil {
		c.random = rand.Int64N
	}
	c.Backoff = c.Backoff.withDefaults()
	return &Outbox{config: config, spaces: map[string]*space{}}
}

// Run delivers until ctx ends. It then waits a moment for attempts that run, and cuts
// off those that take longer: they are made again by the next Run.
func (o *Outbox) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	c := &courier{ctx: ctx, work: work}
	o.mu.Lock()
	if o.courier != nil {
		o.mu.Unlock()
		return errors.New("outbox: it is run already")
	}
	o.courier = c
	o.mu.Unlock()

	look := time.NewTicker(o.config.Scan)
	defer look.Stop()
	for ctx.Err() == nil {
		if err := o.scan(ctx); err != nil && ctx.Err() == nil {
			o.config.Log.Warn("outbox: looking for what is to be delivered", "err", err)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}

	o.mu.Lock()
	o.courier = nil // no lane is begun behind this
	o.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		c.lanes.Wait()
		close(ended)
	}()
	for range 2 {
		select {
		case <-ended:
			return nil
		case <-time.After(o.config.Drain):
			cut()
		}
	}
	return fmt.Errorf("outbox: an attempt goes on %v after it was cut off", o.config.Drain)
}

// scan looks for what is queued in all spaces, and wakes its lanes.
func (o *Outbox) scan(ctx context.Context) error {
	names, err := o.config.Store.Spaces(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, name := range names {
		if name == store.HostSpace {
			continue
		}
		there[name] = true
		if err := o.scanSpace(ctx, name); err != nil {
			return fmt.Errorf("deployment %q: %w", name, err)
		}
	}
	o.rouse()
	o.forget(there)
	return nil
}

// rouse has all lanes that run look at all they have: they may wait for what is gone.
func (o *Outbox) rouse() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.spaces {
		for _, l := range s.lanes {
			if l.running {
				l.wake(true)
			}
		}
	}
}

func (o *Outbox) scanSpace(ctx context.Context, name string) error {
	vias, err := o.vias(ctx, name)
	if err != nil {
		return err
	}
	before, sum := o.queued(name), 0
	for _, via := range vias {
		n, _, err := o.waiting(ctx, name, via)
		if err != nil {
			return err
		}
		sum += n
		o.wake(name, via, true)
	}
	o.count(name, int64(sum)-before)
	return nil
}

// forget drops deployments that have neither keys nor anything that is served.
func (o *Outbox) forget(there map[string]bool) {
	o.mu.Lock()
	var gone []string
	for name := range o.spaces {
		if !there[name] {
			gone = append(gone, name)
		}
	}
	o.mu.Unlock()
	for _, name := range gone {
		if served, _ := o.serves(name, ""); served {
			continue
		}
		o.mu.Lock()
		if s := o.spaces[name]; s != nil && !s.busy() {
			delete(o.spaces, name)
		}
		o.mu.Unlock()
	}
}

// busy tells whether a lane runs. The caller holds Outbox.mu.
func (s *space) busy() bool {
	for _, l := range s.lanes {
		if l.running {
			return true
		}
	}
	return false
}

// serves tells whether a deployment is served, and delivers in a way.
func (o *Outbox) serves(deployment, via string) (served, has bool) {
	ways, _, done, served := o.config.Deployments.Channels(deployment)
	if !served {
		return false, false
	}
	defer done()
	return true, ways[via] != nil
}

// space returns what is known of a deployment. The caller holds mu.
func (o *Outbox) space(deployment string) *space {
	s := o.spaces[deployment]
	if s == nil {
		s = &space{name: deployment, limiter: rate.NewLimiter(defaultRate, defaultRate), lanes: map[string]*lane{}}
		o.spaces[deployment] = s
	}
	return s
}

// lane returns a lane of a deployment. The caller holds mu.
func (o *Outbox) lane(deployment, via string) *lane {
	s := o.space(deployment)
	l := s.lanes[via]
	if l == nil {
		l = &lane{outbox: o, space: s, via: via, woken: make(chan struct{}, 1)}
		s.lanes[via] = l
	}
	return l
}

// wake has a lane look for entries: for those that are new, or, in a rescan, for all.
func (o *Outbox) wake(deployment, via string, rescan bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lane(deployment, via)
	l.wake(rescan)
	if c := o.courier; c != nil && !l.running {
		l.running = true
		c.lanes.Go(func() { l.run(c) })
	}
}

// rest ends a lane that has nothing to do, unless it was woken meanwhile.
func (o *Outbox) rest(l *lane) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(l.woken) > 0 && o.courier != nil && o.courier.ctx.Err() == nil {
		return false
	}
	l.running = false
	return true
}

// queued returns how many entries of a deployment wait, about.
func (o *Outbox) queued(deployment string) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.space(deployment).queued.Load()
}

// count notes that more, or fewer, entries of a deployment wait.
func (o *Outbox) count(deployment string, n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.space(deployment).queued.Add(n)
}

// pace sets how many attempts a deployment may make.
func (s *space) pace(l Limits) {
	if limit := rate.Limit(l.Rate); s.limiter.Limit() != limit {
		s.limiter.SetLimit(limit)
		s.limiter.SetBurst(int(math.Ceil(min(l.Rate, math.MaxInt32))))
	}
}
