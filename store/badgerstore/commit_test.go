package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

var ctx = context.Background()

func openTest(t testing.TB, options Options, now func() time.Time) *Store {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
		options.Durability = Process
	}
	s, err := open(options, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func putting(key string) func(store.Txn) error {
	return func(tx store.Txn) error { return tx.Put([]byte(key), []byte("v"), 0) }
}

func has(t *testing.T, s *Store, space, key string) (found bool) {
	t.Helper()
	err := s.View(ctx, space, func(tx store.Txn) (err error) {
		_, found, err = tx.Get([]byte(key))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A gate holds writes back, so that transactions queue up behind one. It lets one
// pass for each send to leave, and all once leave is closed.
type gate struct {
	entered, leave chan bool
	groups         atomic.Int32
}

func holdWrites(s *Store) *gate {
	g := &gate{entered: make(chan bool, 100), leave: make(chan bool)}
	inner := s.committer.write
	s.committer.write = func(writes []write, ts uint64) error {
		g.groups.Add(1)
		g.entered <- true
		<-g.leave
		return inner(writes, ts)
	}
	return g
}

// queue starts transactions one after the other and waits until each waits to be
// committed. The returned channels give their outcomes.
func queue(s *Store, fns ...func(store.Txn) error) []chan error {
	var outcomes []chan error
	for i, fn := range fns {
		outcome := make(chan error, 1)
		outcomes = append(outcomes, outcome)
		go func() { outcome <- s.Update(ctx, "a", fn) }()
		for waiting := 0; waiting <= i; time.Sleep(time.Millisecond) {
			s.committer.mu.Lock()
			waiting = len(s.committer.queue)
			s.committer.mu.Unlock()
		}
	}
	return outcomes
}

func TestTransactionsThatWaitAreOneGroup(t *testing.T) {
	s := openTest(t, Options{}, time.Now)
	g := holdWrites(s)
	first := make(chan error, 1)
	go func() { first <- s.Update(ctx, "a", putting("first")) }()
	<-g.entered

	readAndPut := func(read, key string) func(store.Txn) error {
		return func(tx store.Txn) error {
			_, _, err := tx.Get([]byte(read))
			return errors.Join(err, putting(key)(tx))
		}
	}
	outcomes := queue(s,
		readAndPut("x", "x"),     // passes
		readAndPut("x", "y"),     // has read what the one before writes
		readAndPut("y", "z"),     // has read what was refused, so passes
		readAndPut("first", "w"), // has read what is being written now
		putting("x"),             // reads nothing, so passes
	)
	g.leave <- true
	<-g.entered
	// Those that lost are told at once, while the others are being written.
	for i, outcome := range outcomes {
		if i == 1 || i == 3 {
			if err := <-outcome; !errors.Is(err, store.ErrConflict) {
				t.Errorf("transaction %d: got error %v, want a conflict", i, err)
			}
		}
	}
	if has(t, s, "a", "x") {
		t.Error("a commit is visible before it was written")
	}
	g.leave <- true
	for _, i := range []int{0, 2, 4} {
		if err := <-outcomes[i]; err != nil {
			t.Errorf("transaction %d: %v", i, err)
		}
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n := g.groups.Load(); n != 2 {
		t.Errorf("got %d groups, want 2", n)
	}
	if stats := s.Stats(); stats.Commits != 4 || stats.Groups != 2 || stats.Conflicts != 2 {
		t.Errorf("got %+v", stats)
	}
	for key, want := range map[string]bool{"x": true, "y": false, "z": true, "w": false} {
		if has(t, s, "a", key) != want {
			t.Errorf("key %q: there is %v, want %v", key, !want, want)
		}
	}
}

func TestGroupsAreCutToWhatBadgerTakes(t *testing.T) {
	s := openTest(t, Options{}, time.Now)
	g := holdWrites(s)
	first := make(chan error, 1)
	go func() { first <- s.Update(ctx, "a", putting("first")) }()
	<-g.entered
	var fns []func(store.Txn) error
	for i := range 4 {
		fns = append(fns, func(tx store.Txn) error {
			for j := range 7 {
				// Below the threshold of the value log, so that all of it counts.
				for k := range 18 {
					if err := tx.Put(fmt.Appendf(nil, "%d/%d/%d", i, j, k), make([]byte, 60_000), 0); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	outcomes := queue(s, fns...)
	close(g.leave)
	for i, outcome := range append(outcomes, first) {
		if err := <-outcome; err != nil {
			t.Errorf("transaction %d: %v", i, err)
		}
	}
	// Each has more than 7 MiB, and two of them are more than one write takes.
	if n := int(g.groups.Load()); n != 1+len(fns) {
		t.Errorf("got %d groups, want %d", n, 1+len(fns))
	}
}

func TestWhatWasNotReadDoesNotConflict(t *testing.T) {
	s := openTest(t, Options{}, time.Now)
	for _, key := range []string{"r/1", "r/3", "r/5", "r/7"} {
		if err := s.Update(ctx, "a", putting(key)); err != nil {
			t.Fatal(err)
		}
	}
	page := store.Range{Start: []byte("r/"), End: []byte("r0"), Limit: 2}
	back := page
	back.Reverse = true
	scan := func(r store.Range) func(store.Txn) error {
		return func(tx store.Txn) error { _, err := tx.Scan(r); return err }
	}
	for _, c := range []struct {
		name  string
		read  func(store.Txn) error
		other string
	}{
		{"a blind write of the same key", func(store.Txn) error { return nil }, "x"},
		{"a key behind the page that was read", scan(page), "r/6"},
		{"a key before the page that was read backwards", scan(back), "r/2"},
		{"the end of the range, which is outside", scan(page), "r0"},
		{"an own write that was read", func(tx store.Txn) error {
			_, _, err := tx.Get([]byte("x"))
			return err
		}, "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.Update(ctx, "a", func(tx store.Txn) error {
				if err := putting("x")(tx); err != nil {
					return err
				}
				return errors.Join(c.read(tx), s.Update(ctx, "a", putting(c.other)))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAFailedWriteStopsTheStore(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir}, time.Now)
	if err := s.Update(ctx, "a", putting("before")); err != nil {
		t.Fatal(err)
	}
	inner := s.committer.write
	cause := errors.New("input/output error")
	s.committer.write = func(writes []write, ts uint64) error {
		return errors.Join(inner(writes, ts), cause) // it was written, but who knows
	}
	err := s.Update(ctx, "a", putting("during"))
	if !errors.Is(err, store.ErrCommitUnknown) || !errors.Is(err, cause) {
		t.Errorf("commit that failed: got error %v", err)
	}
	if has(t, s, "a", "during") {
		t.Error("a commit whose outcome is not known is visible")
	}
	s.committer.write = inner
	err = s.Update(ctx, "a", putting("after"))
	if err == nil || errors.Is(err, store.ErrCommitUnknown) || !errors.Is(err, cause) {
		t.Errorf("commit after one that failed: got error %v", err)
	}
	if !has(t, s, "a", "before") {
		t.Error("reading has stopped as well")
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: dir}, time.Now)
	if err := again.Update(ctx, "a", putting("after")); err != nil {
		t.Errorf("commit after opening again: %v", err)
	}
	if !has(t, again, "a", "during") {
		t.Error("what had been written is not there after opening again")
	}
}

func TestAWriteThatLeftNothingBehindStopsNothing(t *testing.T) {
	s := openTest(t, Options{}, time.Now)
	inner := s.committer.write
	s.committer.write = func([]write, uint64) error { return fmt.Errorf("%w: test", errUnwritten) }
	err := s.Update(ctx, "a", putting("k"))
	if !errors.Is(err, errUnwritten) || errors.Is(err, store.ErrCommitUnknown) {
		t.Errorf("got error %v", err)
	}
	s.committer.write = inner
	if err := s.Update(ctx, "a", putting("k")); err != nil {
		t.Error(err)
	}
}

func TestASyncThatBadgerOnlyLogsIsACommitUnknown(t *testing.T) {
	s := openTest(t, Options{}, time.Now)
	inner := s.committer.write
	sink := logSink{log: s.log, unsynced: func() { s.committer.unsynced.Store(true) }}
	s.committer.write = func(writes []write, ts uint64) error {
		sink.Errorf(valueLogUnsynced, errors.New("input/output error"))
		return inner(writes, ts)
	}
	if err := s.Update(ctx, "a", putting("k")); !errors.Is(err, store.ErrCommitUnknown) {
		t.Errorf("got error %v", err)
	}
}

func TestADiskThatIsNearlyFullIsNotWrittenTo(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir(), MinFree: 1000}, time.Now)
	left := int64(999)
	s.disk.free = func(string) (int64, error) { return left, nil }
	for range 2 {
		if err := s.Update(ctx, "a", putting("k")); !errors.Is(err, store.ErrFull) {
			t.Errorf("got error %v, want %v", err, store.ErrFull)
		}
	}
	left = 1000
	if err := s.Update(ctx, "a", putting("k")); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

func TestDiskFree(t *testing.T) {
	if diskFree == nil {
		t.Skip("not known on this system")
	}
	if free, err := diskFree(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("got %d, %v", free, err)
	}
}
