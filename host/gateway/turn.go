package gateway

import (
	"hash/maphash"
	"sync"
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
	locks [256]sync.RWMutex
}

// patience is how many runs a request makes beside others.
const patience = 2

// of returns the lock of a path.
func (t *turns) of(path []byte) *sync.RWMutex {
	return &t.locks[maphash.Bytes(t.seed, path)%uint64(len(t.locks))]
}
