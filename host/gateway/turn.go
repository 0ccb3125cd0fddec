package gateway

import (
	"context"
	"hash/maphash"
	"math"

	"golang.org/x/sync/semaphore"
)

// turns see to it that of those who change the same thing everybody gets a
// turn. Requests run side by side and find out when they commit whether they
// met; the one that lost runs again, and can lose for ever against clients that
// send one request after the other. So a request that has met others for the
// second time asks for a turn of its own: it waits until those under way on the
// same path are through, and has the path to itself.
//
// The path stands for what a request changes, since the host does not know it.
// Requests of different paths that share a lock wait for each other at times,
// and such that meet in the store without sharing one back off instead.
//
// A turn is taken before the transaction and before the instance, and never
// while one of these is held.
type turns struct {
	seed  maphash.Seed
	locks [256]*semaphore.Weighted // unlike an RWMutex, it can be waited for until a deadline
}

// patience is how many runs a request makes beside others.
const patience = 2

// Shares of a lock: what a run beside others takes, and one that is alone.
const (
	beside = 1
	alone  = math.MaxInt64
)

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.locks {
		t.locks[i] = semaphore.NewWeighted(alone)
	}
	return t
}

// try takes a turn on a path, if there is no need to wait for it.
func (t *turns) try(path []byte, share int64) (turn, bool) {
	lock := t.of(path)
	return turn{lock, share}, lock.TryAcquire(share)
}

// take waits for a turn on a path until ctx ends. done gives it back.
func (t *turns) take(ctx context.Context, path []byte, share int64) (turn, error) {
	lock := t.of(path)
	return turn{lock, share}, lock.Acquire(ctx, share)
}

func (t *turns) of(path []byte) *semaphore.Weighted {
	return t.locks[maphash.Bytes(t.seed, path)%uint64(len(t.locks))]
}

// A turn is a share of a lock.
type turn struct {
	lock  *semaphore.Weighted
	share int64
}

func (t turn) done() { t.lock.Release(t.share) }
