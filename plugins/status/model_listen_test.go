//go:build !wasip1

package main_test

import (
	"slices"
	"strings"
)

// A listener is a socket or a stream that somebody listens with.
type listener struct {
	who     string
	filters [][2]string // type and source
	all     bool
	want    []event
}

// An event is one that a listener must be sent.
type event struct {
	name, id string
	data     any
}

func (w *world) stream(q *request) (may []outcome) {
	s := selectionOf(q, false)
	// Here "*" is any, as it is in the filters of LISTEN.
	s.kind, s.source = strings.TrimPrefix(s.kind, "*"), strings.TrimPrefix(s.source, "*")
	listens := &listener{who: q.me, filters: [][2]string{{orAny(s.kind), orAny(s.source)}}}
	begin := func(any) { w.listeners = append(w.listeners, listens) }
	if q.last != "" {
		s.since = strings.ToLower(q.last)
	}
	if s.since == "" {
		return []outcome{{status: 200, stream: true, apply: begin}}
	}
	for _, from := range w.after(s.since, q.me) {
		list := w.sharedWith(q.me, &s, from)
		o := outcome{status: 200, stream: len(list) <= 500}
		for _, u := range page(list, 0, 500) {
			o.events = append(o.events, event{"STATUS_UPDATE", u.text, shared(u)})
		}
		if o.stream {
			o.apply = begin
		}
		may = append(may, o)
	}
	if may == nil {
		return []outcome{refuse(400, "unknown_uuid", nil)}
	}
	return may
}

func orAny(text string) string {
	if text == "" {
		return "*"
	}
	return text
}

func (l *listener) wants(u *upload) bool {
	return l.all || slices.ContainsFunc(l.filters, func(f [2]string) bool {
		return (f[0] == "*" || f[0] == u.kind) && (f[1] == "*" || f[1] == u.source)
	})
}

func (w *world) listen(q *request) []outcome {
	args, _ := q.body.([]any)
	arg, _ := args[0].(map[string]any)
	next := listener{who: q.me}
	var errors []outcome
	switch id, ok := uuid(arg["gid_uuid"]); {
	case !ok:
		errors = append(errors, refuse(400, "missing_field bad_field bad_uuid", field("gid_uuid")))
	case id != q.me:
		errors = append(errors, refuse(403, "forbidden", field("gid_uuid")))
	}
	if filters, ok := filtersOf(arg["filters"]); !ok {
		errors = append(errors, refuse(400, "bad_filters", nil))
	} else {
		next.filters, next.all = filters, filters == nil
	}
	if errors != nil {
		return errors
	}
	is := map[string]any{"gid_uuid": q.me}
	return []outcome{{status: 200, body: is, apply: func(any) {
		next.want = append(q.on.want, event{name: "LISTENING", data: is})
		if *q.on = next; !slices.Contains(w.listeners, q.on) {
			w.listeners = append(w.listeners, q.on)
		}
	}}}
}

// filtersOf reads filters; nil is every update.
func filtersOf(v any) (filters [][2]string, ok bool) {
	if v == nil || v == "*" {
		return nil, true
	}
	list, ok := v.([]any)
	filters = [][2]string{}
	for _, e := range list {
		pair, _ := e.([]any)
		if len(pair) != 2 {
			return nil, false
		}
		kind, a := pair[0].(string)
		source, b := pair[1].(string)
		if !a || !b {
			return nil, false
		}
		filters = append(filters, [2]string{kind, source})
	}
	return filters, ok && len(list) <= 128
}
