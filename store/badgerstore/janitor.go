package badgerstore

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// collectEvery is how often the value log is looked at. A look that finds nothing
// costs microseconds.
const collectEvery = 5 * time.Minute

// collectRatio is the part of a value-log file that must be garbage for the rest
// to be written again elsewhere: at one half, what is kept is written twice at
// most on average, and at most half of the log is garbage that is known of.
const collectRatio = 0.5

// sweep runs until stop is closed.
func (s *Store) sweep(stop <-chan struct{}) {
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			// Readers may have gone since the last commit.
			s.db.SetDiscardTs(s.clock.horizon())
			s.collect(stop)
		}
	}
}

// collect reclaims value-log files, one after the other, until none is worth it.
func (s *Store) collect(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		err := s.db.RunValueLogGC(collectRatio)
		if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
			return
		}
		if err != nil {
			s.log.Error("badgerstore: value-log garbage collection", "err", err)
			return
		}
	}
}
