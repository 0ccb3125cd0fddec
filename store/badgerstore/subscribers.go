package badgerstore

import (
	"slices"
	"sync"
)

// subscribers are who wants the messages of a space. The leader of a commit calls
// them, one transaction behind the other, so they see the order of the commits.
type subscribers struct {
	mu     sync.RWMutex // held while they are called: none is after its cancel has returned
	spaces map[string][]*subscriber
}

type subscriber struct{ fn func([][]byte) }

func (s *subscribers) add(space string, fn func([][]byte)) (cancel func()) {
	mine := &subscriber{fn}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spaces == nil {
		s.spaces = map[string][]*subscriber{}
	}
	s.spaces[space] = append(s.spaces[space], mine)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spaces[space] = slices.DeleteFunc(s.spaces[space], func(other *subscriber) bool { return other == mine })
		if len(s.spaces[space]) == 0 {
			delete(s.spaces, space)
		}
	}
}

// tell hands the messages of a transaction to who wants them.
func (s *subscribers) tell(t *txn) {
	if len(t.messages) == 0 {
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, sub := range s.spaces[t.space] {
		sub.fn(t.messages)
	}
}

// Subscribe is part of store.Store.
func (s *Store) Subscribe(space string, fn func(messages [][]byte)) (cancel func()) {
	return s.subscribers.add(space, fn)
}
