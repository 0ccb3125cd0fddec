package gateway

import (
	"context"
	"errors"
	"testing"

	"github.com/edgeset/edgeset/store"
)

// A stuckStore fails to begin a transaction as often as it is told to.
type stuckStore struct {
	store.Store
	failures int
}

func (s *stuckStore) Update(ctx context.Context, space string, fn func(store.Txn) error) error {
	if s.failures > 0 {
		s.failures--
		return errors.New("no space left on device")
	}
	return s.Store.Update(ctx, space, fn)
}

func TestAnOperatorsRequestThatFailsGivesItsInstanceBack(t *testing.T) {
	spec := trial()
	spec.Plugins[1].Instances, spec.Plugins[1].Waiting = 1, 1
	r := start(t, Config{}, spec)
	r.gateway.store = &stuckStore{r.gateway.store, 2}
	r.operate("POST", "trial", "/t/operated", "").wants(500)
	r.operate("POST", "trial", "/t/operated", "").wants(500)
	// What is used again of a request must not have the instance of another plugin.
	if word := r.operate("GET", "guard", "/g/words/tea", "").wants(200).field("word"); word != "tea" {
		t.Errorf("word %q", word)
	}
	r.operate("POST", "trial", "/t/operated", "").wants(200)
}
