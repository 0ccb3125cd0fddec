package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

var _ edge.Outbox = (*Intake)(nil)

// patience is how long a test waits for what has to happen.
const patience = 2 * time.Minute

// A rig is a store with an outbox, and what that works with.
type rig struct {
	t       testing.TB
	store   store.Store
	config  Config
	box     *Outbox
	process *process // what the outbox has of the store
	host    *hosting
	stop    func()
	rough   bool // attempts may go on for longer than Run waits
}

func newRig(t testing.TB) *rig {
	t.Helper()
	st, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Durability: badgerstore.Process, MinFree: -1})
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	r := &rig{t: t, store: st, host: &hosting{served: map[string]*deployment{}}, stop: func() {}}
	r.config = Config{
		Deployments: r.host, Log: slog.New(slog.DiscardHandler),
		Backoff: Backoff{First: time.Millisecond, Most: 20 * time.Millisecond}, Scan: time.Hour, Drain: 5 * time.Second,
	}
	t.Cleanup(func() { r.stop() })
	r.restart()
	return r
}

// restart has another outbox on the same store, as another process would.
func (r *rig) restart() {
	r.process = &process{Store: r.store}
	r.host.use(r.process)
	r.config.Store = r.process
	r.box = New(r.config)
}

// kill is what kill -9 does to what has yet to be noted: nothing is, from now on.
func (r *rig) kill() {
	r.process.dead.Store(true)
	r.stop()
}

// A process is what a process has of a store.
type process struct {
	store.Store
	dead  atomic.Bool
	doubt func() (before, after bool) // whether the outcome of a commit that was not, or was, made is unknown
}

var errDead = errors.New("the process was killed")

func (p *process) Update(ctx context.Context, space string, fn func(store.Txn) error) error {
	var before, after bool
	if p.doubt != nil {
		before, after = p.doubt()
	}
	switch {
	case p.dead.Load():
		return errDead
	case before:
		return store.ErrCommitUnknown
	}
	err := p.Store.Update(ctx, space, func(txn store.Txn) error {
		err := fn(txn)
		if p.dead.Load() {
			return errDead
		}
		return err
	})
	if err == nil && after {
		return store.ErrCommitUnknown
	}
	return err
}

func (p *process) View(ctx context.Context, space string, fn func(store.Txn) error) error {
	if p.dead.Load() {
		return errDead
	}
	return p.Store.View(ctx, space, fn)
}

// run has the outbox deliver. stop ends it.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	box := r.box
	go func() { ended <- box.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil && !r.rough {
			r.t.Errorf("run: %v", err)
		}
		r.stop = func() {}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for something to become true.
func until(t testing.TB, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !fn(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for: %s", patience, what)
		}
	}
}

// add dispatches in a transaction of its own.
func (r *rig) add(in *Intake, d *abi.Dispatch) (added bool, err error) {
	r.t.Helper()
	for {
		err = r.store.Update(context.Background(), in.deployment, func(txn store.Txn) (err error) {
			added, err = in.Add(txn, "sharing", d, time.Now())
			return err
		})
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if added && err == nil {
			in.Added(1)
		}
		return added, err
	}
}

// must is add of what is new.
func (r *rig) must(in *Intake, d *abi.Dispatch) string {
	r.t.Helper()
	added, err := r.add(in, d)
	check(r.t, err)
	if !added {
		r.t.Fatalf("dispatch %q is not new", d.Key)
	}
	return makeID(in.deployment, "sharing", d.Key).String()
}

func mail(key string) *abi.Dispatch {
	return &abi.Dispatch{Key: key, Via: "mail", To: key + "@example.org", Subject: "about " + key, Text: "text of " + key}
}

func hook(key string) *abi.Dispatch {
	var w abi.Writer
	w.Text("body of " + key)
	return &abi.Dispatch{Key: key, Via: "webhook:sms", To: "+43" + key, Body: w.Value()}
}

// get returns an entry, which is there.
func (r *rig) get(deployment, id string) *Entry {
	r.t.Helper()
	e, err := r.box.Get(context.Background(), deployment, id)
	check(r.t, err)
	return e
}

// told waits until the plugin knows how an entry has ended.
func (r *rig) told(deployment, id string) *Entry {
	r.t.Helper()
	until(r.t, "the plugin is told of "+id, func() bool { return r.get(deployment, id).Told })
	return r.get(deployment, id)
}

// keys counts the keys of the outbox in a space.
func (r *rig) keys(deployment, front string) (n int) {
	r.t.Helper()
	ctx := context.Background()
	check(r.t, r.store.View(ctx, deployment, func(txn store.Txn) error {
		return each(ctx, txn, store.Range{Start: []byte(front), End: after([]byte(front)), KeysOnly: true}, func(store.Entry) bool {
			n++
			return true
		})
	}))
	return n
}

// A hosting is what hosts deployments, as the gateway does.
type hosting struct {
	mu     sync.Mutex
	store  store.Store
	served map[string]*deployment
	refuse func(o *abi.Outcome) error // of a plugin; nil: it takes all
	lose   func(o *abi.Outcome) bool  // whether the answer to a telling that was committed is lost
	leases int
	asked  int // how often for channels
}

type deployment struct {
	ways   Channels
	limits Limits
}

func (h *hosting) use(s store.Store) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.store = s
}

func (h *hosting) serve(name string, ways Channels, limits Limits) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.served[name] = &deployment{ways, limits}
}

func (h *hosting) remove(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.served, name)
}

// asks waits until it was asked for channels some times more.
func (h *hosting) asks(t testing.TB) {
	t.Helper()
	count := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.asked
	}
	before := count()
	until(t, "channels are asked for", func() bool { return count() > before+3 })
}

func (h *hosting) Channels(name string) (ways Channels, limits Limits, done func(), served bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.served[name]
	h.asked++
	if d == nil {
		return nil, Limits{}, nil, false
	}
	h.leases++
	return d.ways, d.limits, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.leases--
	}, true
}

// The plugin keeps a line for each outcome that it was told, below this key.
const diary = "sharing\x00told/"

func (h *hosting) Tell(ctx context.Context, name, plugin string, o *abi.Outcome, settle func(store.Txn) error) error {
	h.mu.Lock()
	st, d, refuse, lose := h.store, h.served[name], h.refuse, h.lose
	h.mu.Unlock()
	if d == nil {
		return fmt.Errorf("deployment %q is not served", name)
	}
	for {
		err := st.Update(ctx, name, func(txn store.Txn) error {
			if err := settle(txn); err != nil {
				return err
			}
			key := []byte(diary + o.Key)
			before, _, err := txn.Get(key)
			if err != nil {
				return err
			}
			word := string(StateFailed)
			if o.Sent {
				word = string(StateSent)
			}
			if err := txn.Put(key, append(append([]byte(nil), before...), word+","+strconv.Itoa(o.Attempts)+","+o.Reason+"\n"...), 0); err != nil {
				return err
			}
			if refuse != nil {
				return refuse(o)
			}
			return nil
		})
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err == nil && lose != nil && lose(o) {
			return store.ErrCommitUnknown
		}
		return err
	}
}

// heard is what the plugin was told of a dispatch.
func (r *rig) heard(deployment, key string) (text string) {
	r.t.Helper()
	check(r.t, r.store.View(context.Background(), deployment, func(txn store.Txn) error {
		v, _, err := txn.Get([]byte(diary + key))
		text = string(v)
		return err
	}))
	return text
}

// A post is a transport that keeps what it is given.
type post struct {
	mu   sync.Mutex
	came map[string][]Message // by id
	fate func(ctx context.Context, m *Message) error
}

func newPost() *post { return &post{came: map[string][]Message{}} }

func (p *post) Deliver(ctx context.Context, m *Message) error {
	p.mu.Lock()
	entry, _, _ := strings.Cut(m.ID, "-")
	p.came[entry] = append(p.came[entry], *m)
	fate := p.fate
	p.mu.Unlock()
	if fate == nil {
		return nil
	}
	return fate(ctx, m)
}

func (p *post) Close() error { return nil }

func (p *post) messages(id string) []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Message(nil), p.came[id]...)
}

func (p *post) total() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.came {
		n += len(list)
	}
	return n
}

// fates has fn decide what becomes of messages from now on.
func (p *post) fates(fn func(ctx context.Context, m *Message) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate = fn
}
