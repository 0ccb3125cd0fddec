package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

// A hand is a clock that the test sets.
type hand struct{ time.Time }

func (h *hand) now() time.Time { return h.Time }

func TestExpiryIsJudgedAtTheBeginning(t *testing.T) {
	clock := &hand{time.Now().Truncate(time.Second).Add(900 * time.Millisecond)}
	s := openTest(t, Options{}, clock.now)
	err := s.Update(ctx, "a", func(tx store.Txn) error { return tx.Put([]byte("k"), nil, time.Second) })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second - 1, true}, {2 * time.Second, false}} {
		clock.Time = clock.Add(c.after)
		if got := has(t, s, "a", "k"); got != c.want {
			t.Errorf("%v after a put with a ttl of 1 s: there is %v, want %v", c.after, got, c.want)
		}
		clock.Time = clock.Add(-c.after)
	}
	err = s.View(ctx, "a", func(tx store.Txn) error {
		clock.Time = clock.Add(time.Hour)
		_, found, err := tx.Get([]byte("k"))
		if err == nil && !found {
			err = errors.New("an entry is gone that was there when the view began")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStampsRiseWhenTheClockStandsStill(t *testing.T) {
	clock := &hand{time.Now()}
	s := openTest(t, Options{}, clock.now)
	const commits, each = 20, 7
	for range commits {
		err := s.Update(ctx, "a", func(tx store.Txn) (err error) {
			for range each {
				err = errors.Join(err, tx.PutStamped(nil, nil, nil, 0))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := s.View(ctx, "a", func(tx store.Txn) error {
		page, err := tx.Scan(store.Range{})
		if len(page.Entries) != commits*each {
			t.Errorf("got %d stamps, want %d: some were given out twice", len(page.Entries), commits*each)
		}
		last := page.Entries[len(page.Entries)-1].Key
		if stamp := binary.BigEndian.Uint64(last); stamp >= s.clock.visible {
			t.Errorf("stamp %d is not below the version %d that shows it", stamp, s.clock.visible)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Each session ends with the deletion of all that there is, and a compaction by
// Close that would drop a deletion that hides nothing. The store must know all
// the same how far its stamps have come, when the clock has been set back.
func TestStampsRiseWhenTheClockIsSetBack(t *testing.T) {
	dir := t.TempDir()
	clock := &hand{time.Now()}
	last := uint64(0)
	for opening := range 4 {
		s := openTest(t, Options{Dir: dir, Durability: Process}, clock.now)
		for range 3 {
			err := s.Update(ctx, "a", func(tx store.Txn) error { return tx.PutStamped(nil, nil, nil, 0) })
			if err != nil {
				t.Fatal(err)
			}
			err = s.Update(ctx, "a", func(tx store.Txn) error {
				page, err := tx.Scan(store.Range{})
				if err != nil || len(page.Entries) != 1 {
					return fmt.Errorf("got %d entries, want 1: %w", len(page.Entries), err)
				}
				stamp := binary.BigEndian.Uint64(page.Entries[0].Key)
				if stamp <= last {
					t.Errorf("opening %d: stamp %d after %d", opening, stamp, last)
				}
				last = stamp
				return tx.Delete(page.Entries[0].Key)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		clock.Time = clock.Add(-time.Hour)
	}
}

func TestHorizonStaysBehindReaders(t *testing.T) {
	s := openTest(t, Options{}, time.Now)
	for range 3 {
		if err := s.Update(ctx, "a", putting("k")); err != nil {
			t.Fatal(err)
		}
	}
	if got, visible := s.clock.horizon(), s.clock.visible; got != visible-1 {
		t.Errorf("without readers: got horizon %d, visible is %d", got, visible)
	}
	err := s.View(ctx, "a", func(store.Txn) error {
		at := s.clock.visible
		if err := s.Update(ctx, "a", putting("k")); err != nil {
			return err
		}
		return s.Update(ctx, "a", func(store.Txn) error {
			if got := s.clock.horizon(); got != at {
				t.Errorf("with a view at %d: got horizon %d", at, got)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
	err = s.Update(ctx, "a", func(store.Txn) error {
		at := s.clock.visible
		if err := s.Update(ctx, "a", putting("k")); err != nil {
			return err
		}
		return s.View(ctx, "a", func(store.Txn) error {
			if got := s.clock.horizon(); got != at {
				t.Errorf("with an update at %d: got horizon %d", at, got)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
	if s.clock.views.first != nil || s.clock.updates.first != nil || s.Stats().Running != 0 {
		t.Error("transactions that have ended are still listed")
	}
}

func TestATransactionIsDeadAfterItsEnd(t *testing.T) {
	s := openTest(t, Options{}, time.Now)
	var dead store.Txn
	if err := s.Update(ctx, "a", func(tx store.Txn) error { dead = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	_, _, getErr := dead.Get([]byte("k"))
	_, scanErr := dead.Scan(store.Range{})
	for what, err := range map[string]error{
		"get": getErr, "scan": scanErr,
		"put":         dead.Put([]byte("k"), nil, 0),
		"put stamped": dead.PutStamped(nil, nil, nil, 0),
		"delete":      dead.Delete([]byte("k")),
	} {
		if !errors.Is(err, errEnded) {
			t.Errorf("%s: got error %v", what, err)
		}
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	openTest(t, Options{Dir: dir}, time.Now)
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("open twice: got error %v", err)
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("open without a directory passes")
	}
	if _, err := Open(Options{Dir: dir, Durability: 7}); err == nil {
		t.Error("open with a durability that there is none of passes")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("open of a file: got error %v", err)
	}
}

func TestDurabilityReadsAsItIsWritten(t *testing.T) {
	for _, d := range []Durability{Power, Process} {
		if got, err := ParseDurability(d.String()); err != nil || got != d {
			t.Errorf("%v: got %v, %v", d, got, err)
		}
	}
	for _, text := range []string{"", "Power", "durability(7)"} {
		if _, err := ParseDurability(text); err == nil {
			t.Errorf("%q is a durability", text)
		}
	}
}

// Value-log files of which most was deleted are given back, while what is left
// of them stays readable, also in a view that began before.
func TestValueLogIsCollected(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 300 MiB")
	}
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, Durability: Process}, time.Now)
	const blobs = 260 // 1 MiB each: two files are filled
	key := func(i int) []byte { return fmt.Appendf(nil, "blob/%03d", i) }
	value := make([]byte, store.MaxValueSize)
	for i := range blobs {
		value[0] = byte(i)
		if err := s.Update(ctx, "a", func(tx store.Txn) error { return tx.Put(key(i), value, 0) }); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(i int) bool { return i%10 == 0 }
	err := s.Update(ctx, "a", func(tx store.Txn) (err error) {
		for i := range blobs {
			if !kept(i) {
				err = errors.Join(err, tx.Delete(key(i)))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// The newest commit is kept with all that it hides.
	if err := s.Update(ctx, "a", putting("later")); err != nil {
		t.Fatal(err)
	}
	// Badger learns of garbage when compaction meets it, as Close makes it do.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, Options{Dir: dir, Durability: Process}, time.Now)
	files := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	check := func(tx store.Txn) error {
		for i := range blobs {
			value, found, err := tx.Get(key(i))
			if err != nil {
				return err
			}
			if found != kept(i) || found && (len(value) != store.MaxValueSize || value[0] != byte(i)) {
				return fmt.Errorf("blob %d: there is %v with %d bytes", i, found, len(value))
			}
		}
		return nil
	}
	before := files()
	err = s.View(ctx, "a", func(tx store.Txn) error {
		s.collect(s.stop)
		return check(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.View(ctx, "a", check); err != nil {
		t.Fatal(err)
	}
	if after := files(); after >= before {
		t.Errorf("there were %d value-log files, now %d", before, after)
	}
}

func TestFilesThatAKillHasLeftEmptyDoNotKeepAStoreFromOpening(t *testing.T) {
	options := Options{Dir: t.TempDir(), Durability: Process}
	s := openTest(t, options, time.Now)
	if err := s.Update(ctx, "a", putting("k")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"00097.mem", "00099.mem", "000098.vlog", "000099.vlog"} {
		if err := os.WriteFile(filepath.Join(options.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	if !has(t, s, "a", "k") {
		t.Error("what was written is gone")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("a start after a kill alarms its operator:\n%s", &log)
	}
}
