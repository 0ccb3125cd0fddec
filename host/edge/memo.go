package edge

import (
	"bytes"

	"github.com/edgeset/edgeset/abi"
)

// A memo keeps what a request did that must not happen twice, or costs too much
// to be done twice: outbound requests, password hashes. When a conflict runs
// the handler again, the same question in the same place gets the recorded
// answer; from the first question that differs, the rest is forgotten.
type memo struct {
	entries []memoEntry
	next    int
}

type memoEntry struct {
	question []byte
	answer   any
	err      error
}

func (m *memo) rewind() { m.next = 0 }

func (m *memo) forget() { m.entries, m.next = nil, 0 }

// maxEffects bounds how much of that one run can ask for: each takes a core or a
// connection for a while.
const maxEffects = 64

// once returns the recorded answer to a question, or records what ask returns.
func once[T any](m *memo, question []byte, ask func() (T, error)) (T, error) {
	if m.next < len(m.entries) {
		if e := m.entries[m.next]; bytes.Equal(e.question, question) {
			m.next++
			answer, _ := e.answer.(T)
			return answer, e.err
		}
		m.entries = m.entries[:m.next]
	}
	if m.next == maxEffects {
		var none T
		return none, abi.ErrTooLarge
	}
	answer, err := ask()
	m.entries = append(m.entries, memoEntry{bytes.Clone(question), answer, err})
	m.next++
	return answer, err
}
