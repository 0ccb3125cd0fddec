//go:build !wasip1

package main_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgeset/edgeset/abi/guesttest"
)

// flagging is what people have said against a post or a comment.
type flagging struct {
	flaggers map[string]bool // all that ever flagged it
	flags    int64           // since it was last restored
	hidden   bool
}

// flag has the caller flag something; gone is called when that hides it.
func (w *world) flag(q *request, number int64, f *flagging, gone func()) []outcome {
	flagger := "account " + q.caller.Account
	if q.caller.Account == "" {
		flagger = "application " + q.caller.App + " " + q.text("udid")
	}
	usual := outcome{status: 200, body: map[string]any{"id": number, "flagged": true}, apply: func() {
		if f.flaggers[flagger] {
			return
		}
		f.flaggers = maps.Clone(f.flaggers)
		if f.flaggers == nil {
			f.flaggers = map[string]bool{}
		}
		f.flaggers[flagger] = true
		f.flags++
		if w.hideAfter > 0 && f.flags >= int64(w.hideAfter) {
			gone()
			f.hidden = true
		}
		// A flag that hides nothing may count as a change of the list or not.
		for kind := range w.shelves {
			w.touch(kind, false)
		}
	}}
	return written(q, usual, true)
}

// moderate answers what an operator asks.
func (w *world) moderate(q *request, parts []string) []outcome {
	if q.caller.Proof != "operator" {
		return []outcome{refuse(401, "unauthenticated")}
	}
	if parts[0] == "queue" {
		return w.queue(q)
	}
	if parts[0] == "images" {
		return w.showPicture(parts[1], true)
	}
	number, ok := number(parts[1])
	p, c := w.post(number), w.comment(number)
	if !ok || parts[0] == "posts" && p == nil || parts[0] == "comments" && c == nil {
		return []outcome{notFound}
	}
	action := strings.Join(parts[2:], "")
	if parts[0] == "posts" {
		switch action {
		case "restore":
			next := *p
			next.flags, next.hidden = 0, false
			return []outcome{{status: 200, body: w.moderated(q.base, &next, nil), apply: func() {
				w.touchPost(p, p.hidden)
				*p = next
			}}}
		case "remove":
			return []outcome{{status: 204, apply: func() { w.removePost(p) }}}
		}
		return []outcome{{status: 200, body: w.moderated(q.base, p, nil)}}
	}
	switch action {
	case "restore":
		next := *c
		next.flags, next.hidden = 0, false
		return []outcome{{status: 200, body: w.moderated(q.base, nil, &next), apply: func() {
			w.touch("comments", c.hidden && w.visiblePost(c.post) != nil)
			*c = next
		}}}
	case "remove":
		return []outcome{{status: 204, apply: func() { w.removeComment(c) }}}
	}
	return []outcome{{status: 200, body: w.moderated(q.base, nil, c)}}
}

// moderated is a post or a comment as an operator sees it.
func (w *world) moderated(base string, p *post, c *comment) map[string]any {
	if c != nil {
		item := commentItem(base, c)
		item["kind"], item["flags"], item["hidden"] = "comment", c.flags, c.hidden
		set(item, "account", c.account)
		return item
	}
	item := w.item(base, p)
	item["kind"], item["flags"], item["hidden"] = "post", p.flags, p.hidden
	for name, text := range map[string]string{"udid": p.udid, "email": p.email, "account": p.account, "app": p.app} {
		set(item, name, text)
	}
	if w.keepOriginal {
		item["original"] = w.pictures[p.picture].names["original"]
	}
	return item
}

// queue lists what was flagged, the most flagged first, of these the oldest.
func (w *world) queue(q *request) []outcome {
	kind, _ := q.param("kind")
	page, count, wrong := window(q)
	type entry struct {
		flags, number int64
		item          any
	}
	var list []entry
	switch kind {
	case "", "posts":
		for _, p := range w.posts {
			if p.flags > 0 {
				list = append(list, entry{p.flags, p.number, w.moderated(q.base, p, nil)})
			}
		}
	case "comments":
		for _, c := range w.comments {
			if c.flags > 0 {
				list = append(list, entry{c.flags, c.number, w.moderated(q.base, nil, c)})
			}
		}
	default:
		wrong = append(wrong, refuse(400, "bad_parameter", "kind"))
	}
	if wrong != nil {
		return wrong
	}
	slices.SortStableFunc(list, func(a, b entry) int { return int(b.flags - a.flags) })
	items := []any{}
	for _, e := range cut(list, skip(page, count), count) {
		items = append(items, e.item)
	}
	return []outcome{{status: 200, any: true, check: func(got *guesttest.Response) error {
		if err := match("total", int64(len(list)), got.Field("total")); err != nil {
			return err
		}
		if err := match("items", items, got.Field("items")); err != nil {
			return fmt.Errorf("%w\nin %s", err, got)
		}
		return nil
	}}}
}
