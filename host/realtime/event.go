package realtime

import (
	"bytes"
	"strings"
	"sync"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// An Event is encoded once for all members that it goes to. It is immutable and
// safe for concurrent use.
type Event struct {
	Name   string
	ID     string
	Labels []string
	Args   abi.Value // an array

	number int // in the round of the dispatcher that it belongs to

	aloneOnce sync.Once
	alone     *Bundle
}

// NewEvent returns the event that e describes, whose memory it shares.
func NewEvent(e *abi.Event) *Event {
	return &Event{Name: e.Name, ID: e.ID, Labels: e.Labels, Args: e.Args}
}

// detached returns an event that shares no memory with what e was read from.
func detached(e *abi.Event) *Event {
	labels := make([]string, len(e.Labels))
	for i, l := range e.Labels {
		labels[i] = strings.Clone(l)
	}
	return &Event{Name: strings.Clone(e.Name), ID: strings.Clone(e.ID), Labels: labels, Args: bytes.Clone(e.Args)}
}

// weight is about how many bytes the event takes.
func (e *Event) weight() int { return 128 + len(e.Name) + len(e.ID) + len(e.Args) }

// Alone returns the bundle of this event and no other.
func (e *Event) Alone() *Bundle {
	e.aloneOnce.Do(func() { e.alone = newBundle([]*Event{e}) })
	return e.alone
}

// AppendStream appends the event as a stream of Server-Sent Events carries it: its
// name, its id unless that is empty, and the first of its arguments as JSON, which has
// no line breaks.
func (e *Event) AppendStream(dst []byte) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, e.Name...)
	if e.ID != "" {
		dst = append(dst, "\nid: "...)
		dst = append(dst, e.ID...)
	}
	dst = append(dst, "\ndata: "...)
	argument := abi.Value{0xc0} // nil
	if it := e.Args.Items(); it.Next() {
		argument = it.Value()
	}
	rendered, err := text.AppendJSON(dst, argument)
	if err != nil {
		// Values of plugins are checked when they are published.
		rendered = append(dst, "null"...)
	}
	return append(rendered, "\n\n"...)
}
