package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// routeCommentModeration adds what operators do about comments.
func routeCommentModeration(f *guest.Family) {
	f.GET("/comments/:id", inspectComment, operator)
	f.POST("/comments/:id/restore", restoreComment, operator)
	f.POST("/comments/:id/remove", expelComment, operator)
}

// anyComment returns the comment that the path names, hidden or not, and its post.
func anyComment(r *guest.Request) (*comment, *post, error) {
	n, ok := number(r.Param("id"))
	if !ok {
		return nil, nil, errNotFound
	}
	c, err := findComment(r.KV(), n)
	if err != nil {
		return nil, nil, err
	}
	if c == nil {
		return nil, nil, errNotFound
	}
	p, err := findPost(r.KV(), c.post)
	if err == nil && p == nil {
		err = errNotFound // deleted with its post
	}
	return c, p, err
}

// writeWholeComment writes all that is known of a comment.
func writeWholeComment(v *abi.Writer, base string, c *comment) {
	v.Map()
	v.Key("kind")
	v.Text("comment")
	writeCommentFields(v, base, c)
	writeFlags(v, c.flags, c.hidden)
	showText(v, "account", c.account)
	v.End()
}

// inspectComment: GET /comments/:id
func inspectComment(w *guest.Response, r *guest.Request) error {
	c, _, err := anyComment(r)
	if err != nil {
		return err
	}
	writeWholeComment(w.Value(), r.BaseURL(), c)
	return nil
}

// restoreComment: POST /comments/:id/restore
func restoreComment(w *guest.Response, r *guest.Request) error {
	c, p, err := anyComment(r)
	if err != nil {
		return err
	}
	kv := r.KV()
	if err := clearFlags(kv, shelfComments, c.number); err != nil {
		return err
	}
	if c.hidden {
		if err := thread(kv, c.post).add(c.number); err != nil {
			return err
		}
		if !p.hidden {
			if err := allComments(kv).add(c.number); err != nil {
				return err
			}
		}
	}
	c.flags, c.hidden = 0, false
	if err := c.put(kv); err != nil {
		return err
	}
	if err := changeComments(r); err != nil {
		return err
	}
	writeWholeComment(w.Value(), r.BaseURL(), c)
	return nil
}

// expelComment: POST /comments/:id/remove
func expelComment(w *guest.Response, r *guest.Request) error {
	c, _, err := anyComment(r)
	if err != nil {
		return err
	}
	w.Status(204)
	return removeComment(r, c)
}
