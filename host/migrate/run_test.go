package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/store"
)

// errCrash ends a pass between two batches.
var errCrash = errors.New("the host ends here")

// A story is a migration at random, and what the records have to say at its end.
type story struct {
	*rig
	rand *rand.Rand
	want map[string]int
}

func (s *story) write(p *deploy.Plugin) {
	name := fmt.Sprintf("%03d", s.rand.IntN(400))
	s.add(p, name)
	s.want[name]++
}

// pass makes a pass beside the writers, with crashes of the host in it.
func (s *story) pass(p *deploy.Plugin, phase string, writers ...*deploy.Plugin) {
	s.t.Helper()
	for {
		ctx, crash := context.WithCancelCause(context.Background())
		j := s.job(p, phase)
		j.Progress = func(uint64) {
			for range s.rand.IntN(8) {
				s.write(writers[s.rand.IntN(len(writers))])
			}
			if s.rand.IntN(2) == 0 {
				crash(errCrash)
			}
		}
		err := Run(ctx, j)
		crash(nil)
		if err == nil {
			return
		}
		if !errors.Is(err, errCrash) {
			s.t.Fatal(err)
		}
		before := s.state()
		s.reopen()
		if after := s.state(); !bytes.Equal(before.Cursor, after.Cursor) || after.Phase != phase || after.Cursor == nil {
			s.t.Fatalf("the cursor is %+v after the crash, and was %+v", after, before)
		}
	}
}

func TestEveryRecordEndsInTheNewFormat(t *testing.T) {
	stories := 8
	if testing.Short() {
		stories = 2
	}
	for seed := range uint64(stories) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := story{newRig(t), rand.New(rand.NewPCG(seed, 1)), map[string]int{}}
			first, second := compiled(1, nil), compiled(2, nil)
			s.serve(first, true)
			for range 400 {
				s.write(first)
			}
			for range s.rand.IntN(3) { // there and back again
				if s.rand.IntN(2) == 0 {
					s.pass(second, Before, first)
				}
				s.serve(second, s.rand.IntN(2) == 0)
				for range s.rand.IntN(50) {
					s.write([]*deploy.Plugin{first, second}[s.rand.IntN(2)])
				}
				s.serve(first, true)
				for range s.rand.IntN(50) {
					s.write(first)
				}
			}
			s.pass(second, Before, first)
			if !s.serve(second, true) {
				t.Fatal("no pass is due")
			}
			for range 50 { // while the first one is drained
				s.write([]*deploy.Plugin{first, second}[s.rand.IntN(2)])
			}
			if formats, _ := s.records(); formats[1] == 0 || formats[2] == 0 {
				t.Errorf("formats %v: the test tests nothing", formats)
			}
			s.pass(second, After, second)
			formats, values := s.records()
			if formats[1] != 0 || formats[2] != len(s.want) {
				t.Errorf("formats %v of %d records", formats, len(s.want))
			}
			if !maps.Equal(values, s.want) {
				t.Errorf("records %v\nwant    %v", values, s.want)
			}
			if got := s.state(); got.Low != 2 || got.High != 2 || got.Readable != 1 || got.Phase != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestRequestsGoOnBesideAMigration(t *testing.T) {
	r := newRig(t)
	first, second := compiled(1, nil), compiled(2, nil)
	r.serve(first, true)
	for i := range 300 {
		r.add(first, fmt.Sprintf("%03d", i))
	}
	var added atomic.Int64
	// beside runs fn while writers write as fast as they can.
	beside := func(p *deploy.Plugin, fn func()) {
		var writers sync.WaitGroup
		stop := make(chan struct{})
		for w := range 2 {
			writers.Go(func() {
				for i := w; ; i += 7 {
					select {
					case <-stop:
						return
					default:
						r.add(p, fmt.Sprintf("%03d", i%300))
						added.Add(1)
					}
				}
			})
		}
		fn()
		close(stop)
		writers.Wait()
	}
	beside(first, func() { check(t, r.run(r.job(second, Before))) })
	const late = 50
	for i := range late { // that no request reads
		r.add(first, fmt.Sprintf("late%d", i))
	}
	r.serve(second, true)
	var written int
	j := r.job(second, After)
	j.Written = func(keys [][]byte) {
		written += len(keys)
		if !bytes.HasPrefix(keys[0], []byte("ledger\x00record/")) {
			t.Errorf("written %q", keys[0])
		}
	}
	var done uint64
	j.Progress = func(n uint64) {
		if n < done {
			t.Errorf("progress from %d to %d", done, n)
		}
		done = n
	}
	beside(second, func() { check(t, r.run(j)) })
	if written < late || done != 300+late {
		t.Errorf("%d entries written, %d looked at", written, done)
	}
	formats, values := r.records()
	sum := 0
	for _, n := range values {
		sum += n
	}
	if formats[1] != 0 || sum != 300+late+int(added.Load()) {
		t.Errorf("formats %v, a sum of %d, want %d", formats, sum, 300+late+added.Load())
	}
}

// begun returns a rig with 200 records of the first schema, of which a pass of the
// second is due.
func begun(t *testing.T) *rig {
	r := newRig(t)
	first := compiled(1, nil)
	r.serve(first, true)
	for i := range 200 {
		r.add(first, fmt.Sprintf("%03d", i))
	}
	if !r.serve(compiled(2, nil), true) {
		t.Fatal("no pass is due")
	}
	return r
}

func TestWhatAMigrationMustNotEndsIt(t *testing.T) {
	for fault, c := range map[string]struct {
		want error
		says string
	}{
		"stuck": {ErrStuck, `batch behind cursor ""`},
		"back":  {ErrStuck, `batch behind cursor "z"`},
		"far":   {nil, "cursor of 2000 bytes: want at most 1024"},
		"error": {nil, `the plugin gives up: "a record that nobody can read"`},
		"huge":  {ErrTooLarge, `schema 1 to 2: batch behind cursor "record/099\x00"`},
	} {
		t.Run(fault, func(t *testing.T) {
			r := begun(t)
			err := r.run(r.job(compiled(2, map[string]string{"fault": fault, "at": "100"}), After))
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) ||
				!strings.HasPrefix(err.Error(), `migrate: deployment "eu": plugin "ledger": schema 1 to 2: `) {
				t.Errorf("%v, want %v: %s", err, c.want, c.says)
			}
			formats, values := r.records()
			if len(values) != 200 || formats[2] > 101 {
				t.Errorf("formats %v", formats)
			}
			mended := r.job(compiled(2, nil), After)
			mended.Build = "sha256:2"
			check(t, r.run(mended))
			if formats, _ := r.records(); formats[2] != 200 {
				t.Errorf("formats %v after the mended one", formats)
			}
		})
	}
}

func TestBatchesShrinkUntilTheyFit(t *testing.T) {
	r := begun(t)
	p := compiled(2, map[string]string{"fault": "heavy"})
	check(t, r.run(r.job(p, After)))
	if formats, _ := r.records(); formats[2] != 200 {
		t.Errorf("formats %v", formats)
	}
	words := 0
	check(t, r.store.View(t.Context(), space, func(txn store.Txn) error {
		keys := store.Range{Start: []byte("ledger\x00word/"), End: []byte("ledger\x00word0"), KeysOnly: true}
		for {
			page, err := txn.Scan(keys)
			words += len(page.Entries)
			if err != nil || !page.More {
				return err
			}
			keys.Start = append(bytes.Clone(page.Entries[len(page.Entries)-1].Key), 0)
		}
	}))
	if words != 200*100 {
		t.Errorf("%d entries of the index, want %d: what did not fit is lost", words, 200*100)
	}
}

func TestAPassIsOvertakenByWhatServes(t *testing.T) {
	r := begun(t)
	first, second := compiled(1, nil), compiled(2, nil)
	j := r.job(second, After)
	batches := 0
	j.Progress = func(uint64) {
		if batches++; batches == 1 {
			r.serve(first, true) // the way back
		}
	}
	if err := r.run(j); !errors.Is(err, ErrOvertaken) {
		t.Error(err)
	}
	if s := r.state(); s.Low != 1 || s.Phase != "" {
		t.Errorf("%+v", s)
	}
	// Nor does one begin that is not due.
	if err := r.run(r.job(second, After)); !errors.Is(err, ErrOvertaken) {
		t.Error(err)
	}
	if err := r.run(r.job(first, After)); err == nil || !strings.Contains(err.Error(), "it has no migration") {
		t.Error(err)
	}
	unknown := r.job(second, Before)
	unknown.Space = "elsewhere"
	if err := r.run(unknown); err == nil || !strings.Contains(err.Error(), "nothing is known of its data") {
		t.Error(err)
	}
}

func TestAPassThatIsThroughIsNotMadeAgain(t *testing.T) {
	r := begun(t)
	j := r.job(compiled(2, nil), After)
	check(t, r.run(j))
	j.Written = func([][]byte) { t.Error("something was written") }
	check(t, r.run(j))
	if s := r.state(); s.Low != 2 || s.Phase != "" {
		t.Errorf("%+v", s)
	}
}

func TestNoBuildGoesOnWithTheCursorOfAnother(t *testing.T) {
	r := begun(t)
	broken := compiled(2, map[string]string{"fault": "error", "at": "150"})
	if err := r.run(r.job(broken, After)); err == nil {
		t.Fatal("no error")
	}
	s := r.state()
	if s.Cursor == nil || s.Done == 0 {
		t.Fatalf("%+v: nothing was done", s)
	}
	for build, want := range map[string]uint64{"sha256:1": s.Done, "sha256:2": 0} {
		ctx, cancel := context.WithCancelCause(t.Context())
		var first uint64
		j := r.job(compiled(2, nil), After)
		j.Build = build
		j.Progress = func(done uint64) {
			first = done
			cancel(errCrash)
		}
		if err := Run(ctx, j); err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		if from := first - min(first, 64); want == 0 && from != 0 || want > 0 && first <= want {
			t.Errorf("%s: the first batch ends at %d; it was %d of the build before", build, first, want)
		}
		cancel(nil)
		check(t, r.store.Update(t.Context(), space, func(txn store.Txn) error { return s.write(txn, "ledger") }))
	}
}

// interrupted makes a batch of a pass, and ends it there.
func (r *rig) interrupted(p *deploy.Plugin, phase string) {
	r.t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	j := r.job(p, phase)
	j.Progress = func(uint64) { cancel(errCrash) }
	if err := Run(ctx, j); !errors.Is(err, errCrash) {
		r.t.Fatal(err)
	}
	if s := r.state(); s.Phase != phase || s.Cursor == nil {
		r.t.Fatalf("%+v: nothing was interrupted", s)
	}
}

func TestWhatIsWrittenBehindTheCursorIsMigrated(t *testing.T) {
	first, second := compiled(1, nil), compiled(2, nil)
	for name, change := range map[string]func(r *rig){
		"a swap in the middle of the pass before": func(r *rig) {
			r.serve(first, true)
			r.interrupted(second, Before)
			r.add(first, "000")
			r.serve(second, true)
		},
		"the way back and forth in the pass after": func(r *rig) {
			r.interrupted(second, After)
			r.serve(first, true)
			r.add(first, "000")
			r.serve(second, true)
		},
		"a canary of the old version in the pass after": func(r *rig) {
			r.interrupted(second, After)
			r.serve(first, false)
			r.add(first, "000")
			r.serve(second, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := begun(t)
			change(r)
			if _, values := r.records(); values["000"] != 2 {
				t.Fatalf("the record is %d", values["000"])
			}
			check(t, r.run(r.job(second, After)))
			if formats, _ := r.records(); formats[1] != 0 || formats[2] != 200 {
				t.Errorf("formats %v", formats)
			}
		})
	}
}

func TestAPassThatIsNotServedLeavesItsMark(t *testing.T) {
	r := begun(t)
	first, second := compiled(1, nil), compiled(2, nil)
	second.Desc.Schema.Keeps = 2
	r.serve(first, true)
	r.interrupted(second, Before)
	if s := r.state(); s.Low != 1 || s.High != 2 || s.Readable != 2 {
		t.Errorf("%+v", s)
	}
	_, err := NewPlan(t.Context(), r.store, space, "ledger", first.Desc.Schema, nil, false)
	if !errors.Is(err, ErrUnreadable) {
		t.Errorf("a plugin that cannot read what was migrated: %v", err)
	}
}
