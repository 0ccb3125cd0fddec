package badgerstore

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/edgeset/edgeset/store"
)

// Durability says what an acknowledged commit survives.
type Durability uint8

const (
	// Power: a commit is acknowledged once it is on the disk, and survives the
	// loss of power. Commits that wait at the same time share one fsync. It is
	// the zero value: who does not choose loses nothing.
	//
	// It relies on a file system whose fsync of a new file also makes the
	// file's name durable, as that of ext4, XFS and Btrfs does.
	Power Durability = iota

	// Process: a commit is acknowledged once the kernel has it, and survives the
	// end of this process in any way, kill -9 included, but not that of the
	// machine. What a crash of the machine takes is the tail: of the commits in
	// their order some last ones are missing, none in between.
	Process
)

// ParseDurability reads "power" or "process".
func ParseDurability(text string) (Durability, error) {
	switch text {
	case "power":
		return Power, nil
	case "process":
		return Process, nil
	}
	return Power, fmt.Errorf("badgerstore: durability %q: must be %q or %q", text, Power, Process)
}

// String returns what ParseDurability reads.
func (d Durability) String() string {
	switch d {
	case Power:
		return "power"
	case Process:
		return "process"
	}
	return fmt.Sprintf("durability(%d)", uint8(d))
}

// Options say where a store is kept and how.
type Options struct {
	// Dir is the directory that holds the store. It is created with mode 0700
	// if it is not there, and belongs to one process at a time.
	Dir string

	// Durability is Power unless set.
	Durability Durability

	// MinFree is how many bytes the disk must have free for a commit to be
	// taken; below that commits fail with [store.ErrFull]. 0 means 256 MiB, and a
	// negative number that nothing is checked. See RATIONALE.md, "Why a store
	// stops writing before the disk is full".
	MinFree int64

	// Logger receives what the store and Badger have to say. Nil discards it.
	Logger *slog.Logger
}

const (
	defaultMinFree = 256 << 20

	// layoutVersion is written into Badger's manifest. A store with another
	// layout of keys (key.go) has another version and is not opened.
	layoutVersion = 1

	// maxEntryOverhead is more than Badger adds to the size of one entry when
	// it compares a batch with its limit: a version, two bytes of flags and 10
	// bytes of allowance.
	maxEntryOverhead = 32
	// maxBatchOverhead is more than the size of the entry that ends a batch.
	maxBatchOverhead = 128
)

func (o Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("badgerstore: open: Options.Dir is empty")
	case o.Durability > Process:
		return fmt.Errorf("badgerstore: open %q: unknown %v", o.Dir, o.Durability)
	}
	return nil
}

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// badger returns Badger's options. Its defaults are for a database server;
// these are for an edge node that shares a small machine with the WebAssembly
// runtime: memory goes to memtables only, and reading is left to the kernel's
// page cache, which gives memory back when it is wanted elsewhere.
func (o Options) badger(log badger.Logger) badger.Options {
	return badger.DefaultOptions(o.Dir).
		WithLogger(log).
		WithExternalMagic(layoutVersion).

		// A group of commits is one request to Badger, so SyncWrites costs one
		// fsync a group. DB.Sync after the write would not do: it syncs only
		// the current files, and misses those that the write, or value-log GC
		// beside it, has just rotated away.
		WithSyncWrites(o.Durability == Power).

		// Conflicts are found here, ranges included (recent.go).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).

		// A batch may take 15 % of a memtable, and the largest transaction
		// (8 MiB, 4,096 keys with the space before each) has to fit into one:
		// 61 MiB is the least. The arena is allocated whole but touched only as
		// it fills. One memtable is written, up to two wait to be flushed.
		WithMemTableSize(64 << 20).
		WithNumMemtables(2).

		// Two is the smallest number Badger takes; a node has few cores.
		WithNumCompactors(2).

		// Without compression a block is read in place from the mapped file, and
		// a block cache would only hold a second copy. Entries are small and
		// dense (MessagePack) or large and already compressed (images): there
		// is little to win for the time spent on every read. The table index is
		// mapped as well, and needs a cache only when it is encrypted.
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).

		// Documents stay in the tree, where compaction reclaims what they
		// overwrite. The value log is for pieces of blobs, which are written
		// once, read whole and would be copied at every level by compaction.
		// Its garbage is only known once compaction has met the old pointers,
		// so it is kept away from everything that is overwritten often, and
		// compaction does not wait for a fifth table as it does by default: it
		// runs after some 128 MiB of writes to the tree, and on Close.
		WithValueThreshold(store.LargeValue).
		WithNumLevelZeroTables(2).
		WithCompactL0OnClose(true).

		// GC works on files that are no longer written to: smaller files let it
		// start earlier.
		WithValueLogFileSize(128 << 20).

		// Global expvar counters, updated on every read. Store.Stats has ours.
		WithMetricsEnabled(false)
}
