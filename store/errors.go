package store

import "errors"

// The errors of a Store and its transactions. Drivers wrap them with what was
// tried; callers test with errors.Is.
var (
	// ErrConflict: another transaction changed what this one read. Run it again.
	ErrConflict = errors.New("store: conflict with a concurrent transaction")

	// ErrCommitUnknown: the commit was begun and its outcome is not known.
	ErrCommitUnknown = errors.New("store: outcome of the commit is unknown")

	// ErrReadOnly: a write in a View.
	ErrReadOnly = errors.New("store: write in a read-only transaction")

	// ErrEmptyKey: a key of no bytes.
	ErrEmptyKey = errors.New("store: key is empty")

	// ErrKeyTooLarge: a key above MaxKeySize, its stamp included.
	ErrKeyTooLarge = errors.New("store: key is larger than 1 KiB")

	// ErrValueTooLarge: a value above MaxValueSize.
	ErrValueTooLarge = errors.New("store: value is larger than 1 MiB")

	// ErrTooLarge: a transaction above MaxTxnWrites, MaxTxnBytes, MaxTxnLarge or
	// MaxMessages.
	ErrTooLarge = errors.New("store: transaction is larger than 4,096 writes, 8 MiB or 32 MiB of large values, or publishes more than 4 MiB")

	// ErrBadSpace: a space name that is empty or longer than MaxSpaceSize.
	ErrBadSpace = errors.New("store: space name must have 1 to 255 bytes")

	// ErrFull: the store has no room for writes and refused the commit. Nothing
	// was written, and reading goes on.
	ErrFull = errors.New("store: no room for writes")

	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
)
