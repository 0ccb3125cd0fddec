package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

const (
	defaultPerPage = 50
	maxPerPage     = 500
	// maxPageNumber keeps the product of the two a whole number.
	maxPageNumber = math.MaxInt64 / (2 * maxPerPage)
)

// fail makes an error for the client. Its detail names the field that it is about,
// unless that is "".
func fail(status int, code, field string, format string, args ...any) error {
	e := &guest.Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
	if field != "" {
		var w abi.Writer
		w.Map()
		w.Key("field")
		w.Text(field)
		w.End()
		e.Detail = w.Value()
	}
	return e
}

// fits turns what the store refuses for its size into an error that the client can act
// on.
func fits(err error) error {
	if errors.Is(err, abi.ErrTooLarge) {
		return fail(413, "too_large", "", "the updates are more than can be stored and told at once; send it in smaller parts")
	}
	return err
}

// numberOf reads a parameter between 1 and most.
func numberOf(r *guest.Request, name string, def, most int) (int, error) {
	text := r.Query(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fail(400, "bad_parameter", name, "%s: want a whole number from 1 to %d", name, most)
	}
	return n, nil
}

// pageOf reads which page of a list is wanted.
func pageOf(r *guest.Request, maxPerPage int) (skip, limit int, err error) {
	page, err := numberOf(r, "page", 1, maxPageNumber)
	if err != nil {
		return 0, 0, err
	}
	limit, err = numberOf(r, "per_page", min(defaultPerPage, maxPerPage), maxPerPage)
	return (page - 1) * limit, limit, err
}

// ownSelection reads which of their own updates somebody wants. start and end are not
// among them.
func ownSelection(r *guest.Request) (s selection, err error) {
	s = selection{kind: r.Query("type"), source: r.Query("source"), from: math.MinInt64, to: math.MaxInt64}
	if err = queryDate(r, "start", &s.from); err != nil {
		return s, err
	}
	if err = queryDate(r, "end", &s.to); err != nil {
		return s, err
	}
	if s.from != math.MinInt64 {
		s.from++
	}
	if s.to != math.MaxInt64 {
		s.to--
	}
	return s, nil
}

// getOwn: GET /v1/status
func getOwn(w *guest.Response, r *guest.Request) error {
	s, err := ownSelection(r)
	if err != nil {
		return err
	}
	if s.skip, s.limit, err = pageOf(r, maxPerPage); err != nil {
		return err
	}
	h, err := loadHead(r.KV(), me(r))
	if err != nil {
		return err
	}
	topics := h.topicsFor(s.kind, s.source)
	feeds := make([]feed, len(topics))
	for i, t := range topics {
		feeds[i] = feed{owner: h.owner, head: h, topic: t, from: math.MinInt64, to: math.MaxInt64}
	}
	list, err := collect(r.KV(), feeds, s)
	if err != nil {
		return err
	}
	writeOwn(w, list)
	return nil
}

// writeOwn answers with updates of the caller.
func writeOwn(w *guest.Response, list []*update) {
	v := w.Value()
	v.Array()
	var date [len("2006-01-02T15:04:05.000Z")]byte
	var text []byte
	var last instant
	for _, u := range list {
		// Those of a batch have the same.
		if text == nil || u.uploaded != last {
			text, last = appendDate(date[:0], u.uploaded), u.uploaded
		}
		u.appendOwn(v, text)
	}
	v.End()
}
