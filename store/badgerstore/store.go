// Package badgerstore keeps a store in a directory of the local disk, with
// Badger underneath.
//
// Badger keeps versions of keys and makes a batch of writes atomic and durable.
// Everything else that the contract asks for is here: who sees which version
// (clock.go), conflicts with ranges included (recent.go), stamps, and commits in
// groups (commit.go). RATIONALE.md tells why.
//
// A disk that fails to write stops the store from writing: see
// [store.ErrCommitUnknown] and [store.ErrFull]. Reading goes on.
package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/edgeset/edgeset/store"
)

// A Store is a store.Store in a directory.
type Store struct {
	db        *badger.DB
	log       *slog.Logger
	clock     clock
	committer committer
	subscribers
	disk      disk
	now       func() time.Time
	entries   []badger.Entry // the leader's, see writeBatch
	scratches sync.Pool      // of *scratch

	stop  chan struct{}  // closed to end the janitor
	swept sync.WaitGroup // done when it has ended
}

var _ store.Store = (*Store)(nil)

// ErrLocked is wrapped by Open when another process, or this one, has the store
// open already.
var ErrLocked = errors.New("badgerstore: store is open already")

// Open opens the store in options.Dir, or creates it there.
func Open(options Options) (*Store, error) {
	return open(options, time.Now)
}

// maxBegun bounds the files that a kill can have left behind as they were begun: a
// memtable and a value log at a time, which several kills may have done.
const maxBegun = 16

// openBadger opens Badger's files. It makes new ones in two steps, and one that was
// killed in between finds an empty file, of which it says that it is new, and gives up;
// it has completed it by then, so that the next try comes further. Badger puts that
// into the text of its error alone.
func openBadger(o badger.Options) (db *badger.DB, err error) {
	for range maxBegun {
		if db, err = badger.OpenManaged(o); err == nil || !strings.Contains(err.Error(), z.NewFile.Error()) {
			break
		}
	}
	return db, err
}

func open(options Options, now func() time.Time) (*Store, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	s := &Store{log: options.logger(), now: now, stop: make(chan struct{})}
	s.scratches.New = newScratch
	sink := logSink{log: s.log, unsynced: func() { s.committer.unsynced.Store(true) }}
	db, err := openBadger(options.badger(sink))
	if err != nil {
		return nil, openError(options.Dir, err)
	}
	s.db = db
	s.disk = disk{dir: options.Dir, min: options.MinFree, free: diskFree}
	if options.MinFree == 0 {
		s.disk.min = defaultMinFree
	}

	// The newest version is never discarded (clock.horizon), so nothing that was
	// ever given out lies above it, also if the clock was set back meanwhile.
	last := db.MaxVersion()
	s.clock.visible = last
	s.committer = committer{
		clock:     &s.clock,
		log:       s.log,
		write:     s.writeBatch,
		admit:     func(bytes int) error { return s.disk.admit(bytes, s.now().UnixMicro()) },
		now:       func() int64 { return s.now().UnixMicro() },
		published: func() { db.SetDiscardTs(s.clock.horizon()) },
		tell:      s.subscribers.tell,
		maxBytes:  int(db.MaxBatchSize()) - 1,
		maxCount:  int(db.MaxBatchCount()) - 1,
		recent:    newRecent(last),
		last:      last,
	}
	if largest := store.MaxTxnBytes + store.MaxTxnWrites*(maxPrefix+maxEntryOverhead) + maxBatchOverhead; largest > s.committer.maxBytes {
		return nil, errors.Join(fmt.Errorf("badgerstore: open %q: Badger takes batches of %d bytes, a transaction may need %d",
			options.Dir, s.committer.maxBytes, largest), db.Close())
	}
	db.SetDiscardTs(s.clock.horizon())
	s.swept.Go(func() { s.sweep(s.stop) })
	return s, nil
}

// openError puts Badger's errors into our words. Badger does not wrap the cause.
func openError(dir string, err error) error {
	if !strings.Contains(err.Error(), "Cannot acquire directory lock") {
		return fmt.Errorf("badgerstore: open %q: %w", dir, err)
	}
	holder := "another process"
	if pid, err := os.ReadFile(filepath.Join(dir, "LOCK")); err == nil {
		holder = "process " + strings.TrimSpace(string(pid))
	}
	return fmt.Errorf("open %q: %w by %s", dir, ErrLocked, holder)
}

// writeBatch writes as one Badger transaction at version ts. Later writes of a
// key replace earlier ones. Only the leader calls it.
func (s *Store) writeBatch(writes []write, ts uint64) error {
	if cap(s.entries) < len(writes) {
		s.entries = make([]badger.Entry, max(len(writes), 64))
	}
	entries := s.entries[:len(writes)]
	defer clear(entries) // Badger is through with them when it has returned

	batch := s.db.NewTransactionAt(ts, true)
	defer batch.Discard()
	for i := range writes {
		w := &writes[i]
		var err error
		if w.deleted {
			err = batch.Delete(w.key)
		} else {
			entries[i] = badger.Entry{Key: w.key, Value: w.value}
			if w.expires != 0 {
				entries[i].ExpiresAt = uint64(w.expires + expiryGrace)
			}
			err = batch.SetEntry(&entries[i])
		}
		if err != nil {
			return fmt.Errorf("%w: write of key %q: %w", errUnwritten, w.key, err)
		}
	}
	err := batch.CommitAt(ts, nil)
	if errors.Is(err, badger.ErrTxnTooBig) || errors.Is(err, badger.ErrBlockedWrites) {
		return fmt.Errorf("%w: %w", errUnwritten, err)
	}
	return err
}

// View is part of store.Store.
func (s *Store) View(ctx context.Context, space string, fn func(store.Txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, err := s.begin(space, false)
	if err != nil {
		return err
	}
	defer t.end()
	return fn(t)
}

// Update is part of store.Store. A context that ends before the commit is begun
// ends the transaction; from then on the outcome is waited for.
func (s *Store) Update(ctx context.Context, space string, fn func(store.Txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, err := s.begin(space, true)
	if err != nil {
		return err
	}
	defer t.end()
	if err := fn(t); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.overlay.len() == 0 && len(t.messages) == 0 {
		return nil // a snapshot needs no validation
	}
	return s.committer.commit(t)
}

// Spaces is part of store.Store. It seeks from space to space, whatever they hold.
func (s *Store) Spaces(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := s.beginAnywhere(false)
	if err != nil {
		return nil, fmt.Errorf("badgerstore: list spaces: %w", err)
	}
	defer t.end()
	t.prefix = append(t.prefix[:0], kindEntry)
	it := t.open(false)
	var spaces []string
	for it.Seek(t.prefix); it.Valid(); {
		if t.expired(it.Item()) {
			it.Next()
			continue
		}
		name, _, ok := splitKey(it.Item().Key())
		if !ok {
			return nil, fmt.Errorf("badgerstore: list spaces: key %q is damaged", it.Item().Key())
		}
		spaces = append(spaces, string(name))
		t.key = appendSpace(t.key[:0], string(name))
		it.Seek(appendAfter(nil, t.key))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return spaces, nil
}

// Stats counts what has happened since the store was opened.
type Stats struct {
	Commits   uint64 // transactions committed
	Conflicts uint64 // transactions refused with store.ErrConflict
	Groups    uint64 // writes to the log: Commits/Groups shared one
	Running   int    // transactions that run now
}

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	s.clock.mu.Lock()
	running := s.clock.running
	s.clock.mu.Unlock()
	c := &s.committer
	return Stats{Commits: c.commits.Load(), Conflicts: c.conflicts.Load(), Groups: c.groups.Load(), Running: running}
}

// Close is part of store.Store. It must not be called within a transaction, which
// it would wait for. Closing again waits as well and returns nil.
func (s *Store) Close() error {
	if !s.clock.close() {
		return nil
	}
	close(s.stop)
	s.swept.Wait()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("badgerstore: close: %w", err)
	}
	return nil
}
