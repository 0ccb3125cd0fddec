package migrate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestPlans(t *testing.T) {
	one := abi.Schema{Version: 1, Reads: 1, Keeps: 1}
	adds := abi.Schema{Version: 2, Reads: 1, Keeps: 1, Migrates: true}
	breaks := abi.Schema{Version: 2, Reads: 1, Keeps: 2, Migrates: true}
	third := abi.Schema{Version: 3, Reads: 2, Keeps: 2, Migrates: true}
	lazy := abi.Schema{Version: 2, Reads: 1, Keeps: 1}
	none := abi.Schema{}
	fromNone := abi.Schema{Version: 1, Reads: 0, Keeps: 0, Migrates: true}
	for _, c := range []struct {
		name    string
		served  []abi.Schema // one after the other, on its own
		next    abi.Schema
		serving *abi.Schema
		insist  bool
		want    Plan
		err     error
		says    string
	}{
		{name: "a fresh deployment", next: third, want: Plan{From: 3, To: 3, Canary: true}},
		{name: "the same schema", served: []abi.Schema{one}, next: one, serving: &one, want: Plan{From: 1, To: 1, Canary: true}},
		{name: "one that the old version can read", served: []abi.Schema{one}, next: adds, serving: &one,
			want: Plan{From: 1, To: 2, Migrates: true, Before: true, Canary: true}},
		{name: "one that migrates nothing", served: []abi.Schema{one}, next: lazy, serving: &one, want: Plan{From: 1, To: 2, Canary: true}},
		{name: "a plugin that said nothing before", served: []abi.Schema{none}, next: fromNone, serving: &none,
			want: Plan{From: 0, To: 1, Migrates: true, Before: true, Canary: true}},
		{name: "a host that did not write down yet what serves", next: adds, serving: &one,
			want: Plan{From: 1, To: 2, Migrates: true, Before: true, Canary: true}},
		{name: "what cannot read what is there", served: []abi.Schema{one}, next: third, serving: &one, err: ErrUnreadable,
			says: `migrate: deployment "eu": plugin "ledger": it cannot work with the data that are there: they may be of schema 1, and it reads 2 and later`},
		{name: "that, insisted on", served: []abi.Schema{one}, next: third, serving: &one, insist: true, err: ErrUnreadable},
		{name: "one that the old version cannot read", served: []abi.Schema{one}, next: breaks, serving: &one, err: ErrIrreversible,
			says: "there would be no way back: plugins of schema 2 and later can work with what it writes, and the one that serves now is of schema 1"},
		{name: "that, insisted on, is migrated behind the swap", served: []abi.Schema{one}, next: breaks, serving: &one, insist: true,
			want: Plan{From: 1, To: 2, Migrates: true}},
		{name: "that, where nobody serves", served: []abi.Schema{one}, next: breaks, want: Plan{From: 1, To: 2, Migrates: true, Canary: true}},
		{name: "the way back", served: []abi.Schema{one, adds}, next: one, serving: &adds, want: Plan{From: 1, To: 1, Canary: true}},
		{name: "the way back from what it cannot read", served: []abi.Schema{one, breaks}, next: one, serving: &breaks, err: ErrUnreadable,
			says: "they may be of schema 2, which plugins of schema 2 and later can work with, and it is of schema 1"},
		{name: "that, insisted on", served: []abi.Schema{one, breaks}, next: one, serving: &breaks, insist: true, want: Plan{From: 1, To: 1}},
		{name: "a fix of the one that migrates", served: []abi.Schema{one, adds}, next: adds, serving: &adds,
			want: Plan{From: 1, To: 2, Migrates: true, Canary: true}},
		{name: "the next step before the last is through", served: []abi.Schema{one, adds}, next: third, serving: &adds, err: ErrUnreadable},
		{name: "forward after a way back that was insisted on", served: []abi.Schema{{Version: 3, Reads: 2, Keeps: 3}, adds}, next: third, serving: &adds, want: Plan{From: 2, To: 3, Migrates: true, Before: true, Canary: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			for _, s := range c.served {
				_, err := Serve(t.Context(), r.store, space, "ledger", s, true)
				check(t, err)
			}
			p, err := NewPlan(t.Context(), r.store, space, "ledger", c.next, c.serving, c.insist)
			if c.err != nil {
				if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %v: %s", err, c.err, c.says)
				}
				return
			}
			if err != nil || *p != c.want {
				t.Errorf("%+v, %v, want %+v", p, err, c.want)
			}
		})
	}
}

func TestWhatServesIsNoted(t *testing.T) {
	one := abi.Schema{Version: 1, Reads: 1, Keeps: 1}
	two := abi.Schema{Version: 2, Reads: 1, Keeps: 1, Migrates: true}
	three := abi.Schema{Version: 3, Reads: 1, Keeps: 2, Migrates: true}
	after := func(target int) state { return state{Phase: After, Target: target} }
	type step struct {
		schema abi.Schema
		alone  bool
		want   state
	}
	with := func(s state, low, high, readable int) state {
		s.Low, s.High, s.Readable = low, high, readable
		return s
	}
	for name, steps := range map[string][]step{
		"a first version": {{three, true, with(state{}, 3, 3, 2)}},
		"a swap and the way back": {
			{one, true, with(state{}, 1, 1, 1)}, {two, true, with(after(2), 1, 2, 1)}, {one, true, with(state{}, 1, 2, 1)}, {two, true, with(after(2), 1, 2, 1)}},
		"a canary that is taken back":  {{one, true, with(state{}, 1, 1, 1)}, {two, false, with(state{}, 1, 2, 1)}, {one, true, with(state{}, 1, 2, 1)}},
		"a canary that is promoted":    {{one, true, with(state{}, 1, 1, 1)}, {two, false, with(state{}, 1, 2, 1)}, {two, true, with(after(2), 1, 2, 1)}},
		"a restart beside a canary":    {{two, true, with(state{}, 2, 2, 1)}, {three, false, with(state{}, 2, 3, 2)}, {two, true, with(state{}, 2, 3, 2)}, {three, false, with(state{}, 2, 3, 2)}},
		"a canary of an older version": {{one, true, with(state{}, 1, 1, 1)}, {two, true, with(after(2), 1, 2, 1)}, {one, false, with(state{}, 1, 2, 1)}, {two, true, with(after(2), 1, 2, 1)}},
		"a canary of a newer one":      {{one, true, with(state{}, 1, 1, 1)}, {two, true, with(after(2), 1, 2, 1)}, {three, false, with(after(2), 1, 3, 2)}},
		"two steps at once":            {{one, true, with(state{}, 1, 1, 1)}, {two, true, with(after(2), 1, 2, 1)}, {three, true, with(after(3), 1, 3, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for i, s := range steps {
				for range 2 { // twice is as good as once
					due, err := Serve(t.Context(), r.store, space, "ledger", s.schema, s.alone)
					check(t, err)
					got := r.state()
					if got.Cursor != nil || got.Done != 0 || got.Build != "" {
						t.Errorf("step %d: %+v", i, got)
					}
					if got := with(state{Phase: got.Phase, Target: got.Target}, got.Low, got.High, got.Readable); got.Phase != s.want.Phase ||
						got.Target != s.want.Target || got.Low != s.want.Low || got.High != s.want.High || got.Readable != s.want.Readable {
						t.Errorf("step %d: %+v, want %+v", i, got, s.want)
					}
					if due != (s.alone && s.want.Phase == After) {
						t.Errorf("step %d: due %t", i, due)
					}
				}
			}
		})
	}
}

func TestWhatIsPendingIsListed(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	one := abi.Schema{Version: 1, Reads: 1, Keeps: 1}
	two := abi.Schema{Version: 2, Reads: 1, Keeps: 1, Migrates: true}
	for _, name := range []string{"a", "b", "c"} {
		_, err := Serve(ctx, r.store, space, name, one, true)
		check(t, err)
	}
	if list, err := Pending(ctx, r.store, space); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	for _, name := range []string{"c", "a"} {
		_, err := Serve(ctx, r.store, space, name, two, true)
		check(t, err)
	}
	list, err := Pending(ctx, r.store, space)
	if err != nil || len(list) != 2 || list[0] != (Status{Plugin: "a", From: 1, To: 2, Phase: After}) || list[1].Plugin != "c" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := Pending(ctx, r.store, "elsewhere"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
