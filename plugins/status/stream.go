package main

import (
	"errors"
	"math"

	"github.com/edgeset/edgeset/abi/guest"
)

// A stream begins with so many updates at most, or with so few if those are too large
// to be read at once.
const (
	maxCatchUp   = 500
	largeCatchUp = 100
)

// stream: GET /v1/status/stream
//
// A client that was away shows the last update that it has got. It is sent what was
// shared since; and only if that is all, its stream goes on with what comes. If there
// is more, the stream ends there: the client comes back at once and goes on behind
// what it has then got.
func stream(w *guest.Response, r *guest.Request) error {
	kind, source := topicParameter(r, "type"), topicParameter(r, "source")
	list, more, err := missed(r, kind, source)
	if err != nil {
		return err
	}
	for _, u := range list {
		u.appendShared(w.Event(statusUpdate, u.text()))
	}
	if more {
		return nil
	}
	rooms, err := roomsOf(r.KV(), me(r))
	if err != nil {
		return err
	}
	return r.Subscribe(rooms, streamFilters(kind, source))
}

// topicParameter returns a type or a source, "" for any.
func topicParameter(r *guest.Request, name string) string {
	if text := r.Query(name); text != anything {
		return text
	}
	return ""
}

func streamFilters(kind, source string) [][]string {
	if kind == "" && source == "" {
		return nil
	}
	filter := []string{kind, source}
	for i := range filter {
		if filter[i] == "" {
			filter[i] = anything
		}
	}
	return [][]string{filter}
}

// missed returns what was shared with the caller since the update that he shows, and
// whether there is more. A browser that comes back shows it in the header, and its
// first one still in the parameter.
func missed(r *guest.Request, kind, source string) (list []*update, more bool, err error) {
	name, text := "Last-Event-ID", r.Header("Last-Event-ID")
	if text == "" {
		name, text = "since_uuid", r.Query("since_uuid")
	}
	since, err := uuidParameter(name, text)
	if err != nil || since == nil {
		return nil, false, err
	}
	rd, err := newReader(r)
	if err != nil {
		return nil, false, err
	}
	s := selection{kind: kind, source: source, from: math.MinInt64, to: math.MaxInt64}
	if s.after, err = rd.stampOf(*since, name); err != nil {
		return nil, false, err
	}
	feeds, err := rd.feeds(kind, source)
	if err != nil {
		return nil, false, err
	}
	for _, limit := range [...]int{maxCatchUp, largeCatchUp} {
		s.limit = limit + 1
		list, err = collect(r.KV(), feeds, s)
		if err == nil {
			n := min(len(list), limit)
			return list[:n], len(list) > n, nil
		}
		var e *guest.Error
		if !errors.As(err, &e) || e.Status != 413 {
			break
		}
	}
	return nil, false, err
}
