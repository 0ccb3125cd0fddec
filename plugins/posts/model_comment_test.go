//go:build !wasip1

package main_test

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/edgeset/edgeset/abi/guesttest"
)

type comment struct {
	number, post, created int64
	modified              []int64
	account, author       string
	content               string
	flagging
}

func (w *world) comment(number int64) *comment {
	for _, c := range w.comments {
		if c.number == number {
			return c
		}
	}
	return nil
}

// shown tells whether everybody sees a comment: it is hidden with its post.
func (w *world) shown(c *comment) bool { return c != nil && !c.hidden && w.visiblePost(c.post) != nil }

// readContent reads the text of a comment.
func readContent(q *request) (content string, wrong []outcome) {
	if content = q.text("content"); content == "" {
		return "", []outcome{refuse(400, "missing_parameter", "content"), refuse(400, "bad_parameter", "content")}
	}
	return content, tooLong(q, "content")
}

func (w *world) createComment(q *request) []outcome {
	c := &comment{account: q.caller.Account, author: q.caller.Name}
	var wrong []outcome
	c.content, wrong = readContent(q)
	if text := q.text("postId"); text == "" {
		wrong = append(wrong, refuse(400, "missing_parameter", "postId"))
	} else if n, err := strconv.ParseInt(text, 10, 64); err != nil {
		wrong = append(wrong, refuse(400, "bad_parameter", "postId"), notFound)
	} else if c.post = n; w.visiblePost(n) == nil {
		wrong = append(wrong, notFound)
	}
	if wrong != nil {
		return wrong
	}
	c.number, c.created = w.shelves["comments"].last+1, max(w.shelves["comments"].created, w.now.UnixMicro())
	c.modified = []int64{c.created}
	return written(q, outcome{status: 201, body: commentItem(q.base, c), check: locationOf(q, "comments", c.number), apply: func() {
		w.take("comments")
		w.comments = append(w.comments, c)
		w.touch("comments", true)
	}}, false)
}

func locationOf(q *request, kind string, number int64) func(*guesttest.Response) error {
	return func(got *guesttest.Response) error {
		return match("Location", fmt.Sprintf("%s/1.0/%s/%d.json", q.base, kind, number), header(got, "Location"))
	}
}

func (w *world) changeComment(q *request, number int64, action string) []outcome {
	c := w.comment(number)
	if !w.shown(c) {
		return []outcome{notFound}
	}
	if action == "update" && q.yes("flag") {
		return w.flag(q, number, &c.flagging, func() { w.touch("comments", true) })
	}
	var wrong []outcome
	if q.caller.Account == "" || q.caller.Account != c.account {
		wrong = append(wrong, refuse(403, "not_yours"))
	}
	if action == "delete" {
		if wrong != nil {
			return wrong
		}
		return written(q, outcome{status: 204, apply: func() { w.removeComment(c) }}, false)
	}
	next := *c
	var bad []outcome
	next.content, bad = readContent(q)
	if wrong = append(wrong, bad...); wrong != nil {
		return wrong
	}
	next.modified = w.modified(c.modified, next.content != c.content)
	return written(q, outcome{status: 200, body: commentItem(q.base, &next), apply: func() {
		*c = next
		w.touch("comments", true)
	}}, false)
}

func (w *world) removeComment(c *comment) {
	w.touch("comments", w.shown(c))
	w.comments = slices.DeleteFunc(w.comments, func(other *comment) bool { return other == c })
}
