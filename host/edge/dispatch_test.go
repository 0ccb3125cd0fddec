package edge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store"
)

// An outboxRecord is an outbox that takes note of what it is given. Like a real one it
// reads the dispatch within Add, and keeps nothing of its memory.
type outboxRecord struct {
	plugin string
	at     time.Time
	keys   []string
	texts  []string
	err    error // what Add fails with
	added  []int // what Added was called with
}

func (o *outboxRecord) Add(txn store.Txn, plugin string, d *abi.Dispatch, at time.Time) (bool, error) {
	if o.err != nil {
		return false, o.err
	}
	known := slices.Contains(o.keys, d.Key)
	o.plugin, o.at = plugin, at
	o.keys, o.texts = append(o.keys, strings.Clone(d.Key)), append(o.texts, strings.Clone(d.Text))
	return !known, txn.Put([]byte("\x00outbox\x00"+d.Key), nil, 0)
}

func (o *outboxRecord) Added(n int) { o.added = append(o.added, n) }

func dispatched(d abi.Dispatch) abi.Value {
	var w abi.Writer
	d.Append(&w)
	return w.Value()
}

func mailTo(key string) abi.Value {
	return dispatched(abi.Dispatch{Key: key, Via: abi.GrantMail, To: "bob@example.org", Text: "Hello"})
}

// mailer is a plugin that may send mail, and call the webhook "sms".
func mailer(o Outbox) *Plugin {
	p := plugin("mailer")
	p.Grants, p.Outbox = append(p.Grants, abi.GrantMail, "webhook:sms"), o
	return p
}

func TestDispatchCarriesWhoseItIsAndWhen(t *testing.T) {
	s, o := open(t), new(outboxRecord)
	at := time.UnixMicro(1700000000000000)
	with(t, s, mailer(o), func(c *Call) {
		c.At = at
		must(t, c.Dispatch(mailTo("a")))
		if o.plugin != "mailer" || !o.at.Equal(at) || !slices.Equal(o.keys, []string{"a"}) {
			t.Errorf("%+v", o)
		}
		c.At = time.Time{}
		before := time.Now()
		must(t, c.Dispatch(dispatched(abi.Dispatch{Key: "b", Via: "webhook:sms", To: "1"})))
		if o.at.Before(before) || o.at.After(time.Now()) {
			t.Errorf("a call without a time dispatches at %v", o.at)
		}
	})
	// It is part of the transaction, and out of the plugin's reach.
	must(t, s.View(t.Context(), "space", func(txn store.Txn) error {
		if _, found, err := txn.Get([]byte("\x00outbox\x00a")); !found || err != nil {
			t.Errorf("the entry: %t %v", found, err)
		}
		return nil
	}))
	with(t, s, mailer(o), func(c *Call) {
		if page, err := c.Scan(abi.Range{}); err != nil || len(page.Entries) > 0 {
			t.Errorf("the plugin sees %q, %v", page.Entries, err)
		}
	})
}

func TestDispatchIsRefused(t *testing.T) {
	s := open(t)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		record abi.Value
		grants []string // instead of mail and the webhook
		outbox error
		change func(c *Call)
		want   error
		fails  bool // the call as a whole
	}{
		"of a mail without the grant":        {grants: []string{abi.GrantKV, "webhook:mail", "webhook:"}, want: abi.ErrDenied},
		"of a webhook without the grant":     {record: dispatched(abi.Dispatch{Key: "k", Via: "webhook:app", To: "1"}), want: abi.ErrDenied},
		"of a webhook whose grant is a part": {record: dispatched(abi.Dispatch{Key: "k", Via: "webhook:smss", To: "1"}), want: abi.ErrDenied},
		"by way of another grant":            {record: dispatched(abi.Dispatch{Key: "k", Via: abi.GrantKV, To: "1"}), want: abi.ErrArgument},
		"in a call that only reads":          {change: func(c *Call) { c.ReadOnly = true }, want: abi.ErrReadOnly},
		"outside of a transaction":           {change: func(c *Call) { c.Begin(nil) }, want: abi.ErrDenied},
		"where there is no outbox":           {change: func(c *Call) { c.plugin.Outbox = nil }, want: abi.ErrDenied},
		"of what is none":                    {record: abi.Value("\x01"), want: abi.ErrArgument},
		"of nothing":                         {record: abi.Value{}, want: abi.ErrArgument},
		"of a header in a subject":           {record: dispatched(abi.Dispatch{Key: "k", Via: "mail", To: "b", Text: "t", Subject: "a\r\nb"}), want: abi.ErrArgument},
		"of too large a one":                 {record: make(abi.Value, abi.MaxDispatchSize+1), want: abi.ErrArgument},
		"where there is no way":              {outbox: abi.ErrDenied, want: abi.ErrDenied},
		"to who has had enough":              {outbox: abi.ErrLimited, want: abi.ErrLimited},
		"that the outbox does not take":      {outbox: abi.ErrArgument, want: abi.ErrArgument},
		"in a view of the store":             {outbox: store.ErrReadOnly, want: abi.ErrReadOnly},
		"in a transaction that is full":      {outbox: store.ErrTooLarge, want: abi.ErrTooLarge},
		"by a store that fails":              {outbox: broken, want: abi.ErrHost, fails: true},
		"of too many": {want: abi.ErrTooLarge, change: func(c *Call) {
			for range abi.MaxDispatches {
				must(t, c.Dispatch(mailTo("again")))
			}
		}},
	} {
		p := mailer(&outboxRecord{err: c.outbox})
		if c.grants != nil {
			p.Grants = c.grants
		}
		if c.record == nil {
			c.record = mailTo("k")
		}
		var call Call
		call.Start(t.Context(), p, "test")
		err := s.Update(t.Context(), "space", func(txn store.Txn) error {
			call.Begin(txn)
			if c.change != nil {
				c.change(&call)
			}
			counted := call.Dispatched
			if err := call.Dispatch(c.record); !errors.Is(err, c.want) || call.Dispatched != counted {
				t.Errorf("%s: %v, and %d more are counted; want %v", name, err, call.Dispatched-counted, c.want)
			}
			return call.Failure()
		})
		if c.fails != errors.Is(err, broken) || !c.fails && err != nil {
			t.Errorf("%s: the call ends with %v", name, err)
		}
	}
}

func TestOnlyWhatTheLastRunHasDispatchedIsDelivered(t *testing.T) {
	s, o := open(t), new(outboxRecord)
	var c Call
	c.Start(t.Context(), mailer(o), "test")
	run := func(keys ...string) {
		must(t, s.Update(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			for _, key := range keys {
				must(t, c.Dispatch(mailTo(key)))
			}
			return nil
		}))
	}
	run("a", "b")           // met another transaction
	run("c", "c", "d", "e") // one of them is known
	if c.Dispatched != 3 {
		t.Errorf("%d are counted", c.Dispatched)
	}
	c.Delivered()
	c.Delivered()
	if !slices.Equal(o.added, []int{3}) {
		t.Errorf("the outbox is told %d", o.added)
	}
	run()
	c.Delivered() // nothing
	run("f")
	c.Start(t.Context(), mailer(o), "another request")
	c.Delivered() // that request was given up
	if !slices.Equal(o.added, []int{3}) {
		t.Errorf("the outbox is told %d", o.added)
	}
	// What a run has asked for in vain does not count against the next.
	for range 2 {
		must(t, s.Update(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			for range abi.MaxDispatches {
				must(t, c.Dispatch(mailTo("a")))
			}
			return nil
		}))
	}
}

func TestAWasmPluginDispatches(t *testing.T) {
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	v, err := e.Load(t.Context(), wasmtest.Build(t, "host/edge/testdata/liar"), engine.Options{
		Name: "liar", Modules: []engine.Module{Module{}, extism.Module()},
	})
	must(t, err)
	s := open(t)
	for _, c := range []struct {
		err  error
		code int32
	}{{nil, 0}, {abi.ErrLimited, abi.CodeLimited}, {abi.ErrDenied, abi.CodeDenied}} {
		o := &outboxRecord{err: c.err}
		var call Call
		call.Start(t.Context(), mailer(o), "test")
		must(t, s.Update(t.Context(), "space", func(txn store.Txn) error {
			call.Begin(txn)
			code, _, err := v.Invoke(t.Context(), &call, "dispatches")
			if code != c.code || err != nil {
				t.Errorf("%d %v, want %d", code, err, c.code)
			}
			return call.Failure()
		}))
		if c.err == nil && (!slices.Equal(o.texts, []string{"text"}) || call.Dispatched != 1) {
			t.Errorf("the outbox has %q, and %d are counted", o.texts, call.Dispatched)
		}
	}
}

// What a guest passes as a dispatch is refused, or reaches the outbox within the limits.
func FuzzCallDispatch(f *testing.F) {
	f.Add([]byte(mailTo("k")))
	f.Add([]byte(dispatched(abi.Dispatch{Key: "k", Via: "webhook:sms", To: "1", Body: abi.Value("\x80")})))
	f.Add([]byte("\x9a\xa1k\xa4mail"))
	f.Fuzz(func(t *testing.T, record []byte) {
		o := new(outboxRecord)
		var c Call
		c.Start(t.Context(), mailer(o), "test")
		c.Begin(written{})
		before := bytes.Clone(record)
		err := c.Dispatch(record)
		if !bytes.Equal(record, before) {
			t.Fatal("a record was changed by reading it")
		}
		switch {
		case err == nil && len(o.keys) == 1 && c.Failure() == nil:
		case (errors.Is(err, abi.ErrArgument) || errors.Is(err, abi.ErrDenied)) && len(o.keys) == 0 && c.Failure() == nil:
		default:
			t.Fatalf("% x: %v, %v, %d are in the outbox", record, err, c.Failure(), len(o.keys))
		}
	})
}

// A written is a transaction that takes what is put; nothing else of it is called.
type written struct{ store.Txn }

func (written) Put([]byte, []byte, time.Duration) error { return nil }
