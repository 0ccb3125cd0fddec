package main

import (
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

func routeComments(f *guest.Family) {
	person := guest.Auth("session")
	resource{
		name: "comments", list: listComments, show: showComment,
		create: createComment, update: updateComment, remove: deleteComment,
		creates: []guest.RouteOption{person, guest.Form, guest.MaxBody(maxForm)},
		writes:  []guest.RouteOption{person, guest.Form, guest.MaxBody(maxForm)},
	}.route(f)
}

// listComments: GET /1.0/comments.FORMAT
func listComments(w *guest.Response, r *guest.Request) error {
	_, f, err := splitFormat(r.Path())
	if err != nil {
		return err
	}
	win, err := readWindow(r)
	if err != nil {
		return err
	}
	listed, err := askedComments(r)
	if err != nil {
		return err
	}
	kv := r.KV()
	total, comments := 0, []*comment(nil)
	if listed != nil {
		if total, err = listed.count(); err != nil {
			return err
		}
		numbers, err := listed.page(win.skip(), win.count)
		if err != nil {
			return err
		}
		if comments, err = readComments(kv, numbers); err != nil {
			return err
		}
	}
	modified, err := changed(kv, shelfComments)
	if err != nil {
		return err
	}
	return answerComments(w, r, f, win, total, comments, modified)
}

// askedComments returns the comments that a list is of: all, or those of the post
// that the request names; nil if nobody sees that post.
func askedComments(r *guest.Request) (*set, error) {
	name := filterText(r, "postId")
	if name == "" {
		return allComments(r.KV()), nil
	}
	post, ok := number(name)
	if !ok {
		if strings.Trim(name, "0123456789") == "" {
			return nil, nil // the number of no post
		}
		return nil, badParameter("postId: %q is not the number of a post.", name)
	}
	seen, err := isSeen(r.KV(), post)
	if err != nil || !seen {
		return nil, err
	}
	return thread(r.KV(), post), nil
}

// isSeen tells whether there is a post that is not hidden.
func isSeen(kv *guest.KV, number uint32) (bool, error) {
	p, err := findPost(kv, number)
	return p != nil && !p.hidden, err
}

// seenComment returns a comment that people see: it is not hidden, and neither is
// its post.
func seenComment(kv *guest.KV, number uint32) (*comment, error) {
	c, err := findComment(kv, number)
	if err != nil {
		return nil, err
	}
	if c == nil || c.hidden {
		return nil, errNotFound
	}
	seen, err := isSeen(kv, c.post)
	if err != nil {
		return nil, err
	}
	if !seen {
		return nil, errNotFound
	}
	return c, nil
}

// showComment: GET /1.0/comments/ID.FORMAT
func showComment(w *guest.Response, r *guest.Request) error {
	number, f, err := shownNumber(r)
	if err != nil {
		return err
	}
	c, err := seenComment(r.KV(), number)
	if err != nil {
		return err
	}
	return answerComment(w, r, f, c)
}
