package main

import (
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// operator lets in only operators.
var operator = guest.Auth("operator")

// routeModeration adds what operators do about posts. The admin API serves it, below
// /v1/deployments/NAME/plugins/posts.
func routeModeration(f *guest.Family) {
	f.GET("/queue", showQueue, operator)
	f.GET("/posts/:id", inspectPost, operator)
	f.POST("/posts/:id/restore", restorePost, operator)
	f.POST("/posts/:id/remove", erasePost, operator)
	f.GET("/images/:name", inspectPicture, operator)
}

// showQueue answers GET /queue: the posts, or the comments, that were flagged, those
// with the most flags first, of these the oldest.
func showQueue(w *guest.Response, r *guest.Request) error {
	win, err := readWindow(r)
	if err != nil {
		return err
	}
	var shelf shelf
	switch kind := strings.TrimSpace(r.Query("kind")); kind {
	case "posts", "":
		shelf = shelfPosts
	case "comments":
		shelf = shelfComments
	default:
		return badParameter("kind: %q is neither posts nor comments.", kind)
	}
	total, numbers, err := readQueue(r.KV(), shelf, win.skip(), win.count)
	if err != nil {
		return err
	}
	v := w.Value()
	v.Map()
	v.Key("total")
	v.Int(int64(total))
	v.Key("items")
	v.Array()
	if shelf == shelfPosts {
		posts, err := readPosts(r.KV(), numbers)
		if err != nil {
			return err
		}
		for _, p := range posts {
			writeWholePost(v, r.BaseURL(), p)
		}
	} else {
		comments, err := readComments(r.KV(), numbers)
		if err != nil {
			return err
		}
		for _, c := range comments {
			writeWholeComment(v, r.BaseURL(), c)
		}
	}
	v.EndAll()
	return nil
}

// writeWholePost writes all that is known of a post.
func writeWholePost(v *abi.Writer, base string, p *post) {
	v.Map()
	v.Key("kind")
	v.Text("post")
	writePostFields(v, base, p)
	writeFlags(v, p.flags, p.hidden)
	if original := &p.picture.original; original.size > 0 {
		v.Key("original")
		v.TextBytes(original.appendName(nil, p.picture.format))
	}
	showText(v, "udid", p.udid)
	showText(v, "email", p.email)
	showText(v, "account", p.account)
	showText(v, "app", p.app)
	v.End()
}

func writeFlags(v *abi.Writer, flags int, hidden bool) {
	v.Key("flags")
	v.Int(int64(flags))
	v.Key("hidden")
	v.Bool(hidden)
}

// moderatedPost returns the post that an operator names, hidden or not.
func moderatedPost(r *guest.Request) (*post, error) {
	n, err := namedNumber(r)
	if err != nil {
		return nil, err
	}
	p, err := findPost(r.KV(), n)
	if err == nil && p == nil {
		err = errNotFound
	}
	return p, err
}

// inspectPost answers GET /posts/:id.
func inspectPost(w *guest.Response, r *guest.Request) error {
	p, err := moderatedPost(r)
	if err != nil {
		return err
	}
	writeWholePost(w.Value(), r.BaseURL(), p)
	return nil
}

// restorePost answers POST /posts/:id/restore: the post is all right.
func restorePost(w *guest.Response, r *guest.Request) error {
	p, err := moderatedPost(r)
	if err != nil {
		return err
	}
	if err := clearFlags(r.KV(), shelfPosts, p.number); err != nil {
		return err
	}
	p.flags = 0
	if p.hidden {
		if err := unhidePost(r, p); err != nil {
			return err
		}
	}
	if err := savePost(r.KV(), p); err != nil {
		return err
	}
	writeWholePost(w.Value(), r.BaseURL(), p)
	return nil
}

// erasePost answers POST /posts/:id/remove.
func erasePost(w *guest.Response, r *guest.Request) error {
	p, err := moderatedPost(r)
	if err != nil {
		return err
	}
	w.Status(204)
	return removePost(r, p)
}

// inspectPicture answers GET /images/:name, any picture of any post.
func inspectPicture(w *guest.Response, r *guest.Request) error {
	id, u, err := namedPicture(r)
	if err != nil {
		return err
	}
	w.Header("Cache-Control", "private, no-store")
	w.Blob("image/"+u.format, id)
	return nil
}
