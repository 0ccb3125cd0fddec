package outbox

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

func TestADispatchThatNothingDeliversIsDenied(t *testing.T) {
	r := newRig(t)
	in := r.box.For("eu", Channels{"mail": newPost()}, Limits{})
	if added, err := r.add(in, hook("1")); added || err != abi.ErrDenied {
		t.Errorf("added %v, %v", added, err)
	}
}

func TestARecipientIsSentNoMoreThanTheLimit(t *testing.T) {
	r := newRig(t)
	in := r.box.For("eu", Channels{"mail": newPost()}, Limits{PerRecipient: 3})
	dispatch := func(key, to string) error {
		d := mail(key)
		d.To = to
		_, err := r.add(in, d)
		return err
	}
	for i := range 3 {
		check(t, dispatch(fmt.Sprint("k", i), "ann@example.org"))
	}
	if err := dispatch("k3", "ANN@example.org"); err != abi.ErrLimited {
		t.Errorf("a fourth: %v", err)
	}
	check(t, dispatch("k0", "ann@example.org")) // known
	check(t, dispatch("k4", "ben@example.org"))
	if n := r.keys("eu", entries); n != 4 {
		t.Errorf("%d entries", n)
	}
}

func TestAFullQueueTakesNoMoreUntilSomethingHasEnded(t *testing.T) {
	r, p := newRig(t), newPost()
	limits := Limits{Queue: 3}
	r.host.serve("eu", Channels{"mail": p}, limits)
	in := r.box.For("eu", Channels{"mail": p}, limits)
	for i := range 3 {
		r.must(in, mail(fmt.Sprint("k", i)))
	}
	if _, err := r.add(in, mail("k3")); err != abi.ErrLimited {
		t.Errorf("a fourth: %v", err)
	}
	other := r.box.For("us", Channels{"mail": p}, limits)
	r.must(other, mail("k3"))

	// Another process finds what is queued.
	p.fates(func(context.Context, *Message) error { return Failed("not yet") })
	r.config.Backoff = Backoff{First: time.Hour, Most: time.Hour}
	r.restart()
	in = r.box.For("eu", Channels{"mail": p}, limits)
	r.run()
	until(t, "what is queued is found", func() bool { return r.box.queued("eu") == 3 })
	if _, err := r.add(in, mail("k3")); err != abi.ErrLimited {
		t.Errorf("a fourth after a restart: %v", err)
	}
	check(t, r.box.Discard(context.Background(), "eu", makeID("eu", "sharing", "k0").String()))
	r.must(in, mail("k3"))
}

func TestOnlyDispatchesToOneRecipientConflict(t *testing.T) {
	r := newRig(t)
	in := r.box.For("eu", Channels{"mail": newPost()}, Limits{})
	ctx := context.Background()
	both := func(first, second *abi.Dispatch) error {
		return r.store.Update(ctx, "eu", func(txn store.Txn) error {
			if _, err := in.Add(txn, "sharing", first, time.Now()); err != nil {
				return err
			}
			return r.store.Update(ctx, "eu", func(txn store.Txn) error {
				_, err := in.Add(txn, "sharing", second, time.Now())
				return err
			})
		})
	}
	if err := both(mail("ann"), mail("ben")); err != nil {
		t.Errorf("dispatches to two recipients: %v", err)
	}
	one, two := mail("one"), mail("two")
	two.To = one.To
	if err := both(one, two); !errors.Is(err, store.ErrConflict) {
		t.Errorf("dispatches to one recipient: %v", err)
	}
}

func TestIdsTellDeploymentsPluginsAndKeysApart(t *testing.T) {
	seen := map[string]string{}
	for _, parts := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"b", "a", "c"}, {"a", "b", "d"}} {
		text := makeID(parts[0], parts[1], parts[2]).String()
		if before := seen[text]; before != "" {
			t.Errorf("%v and %v are both %s", before, parts, text)
		}
		seen[text] = fmt.Sprint(parts)
		if d, err := parseID(text); err != nil || d.String() != text || len(text) != 26 {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
}
