package main

import (
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// listPosts answers GET /1.0/posts.FORMAT.
func listPosts(w *guest.Response, r *guest.Request) error {
	_, f, err := splitFormat(r.Path())
	if err != nil {
		return err
	}
	win, err := readWindow(r)
	if err != nil {
		return err
	}
	asked, some, err := readFilter(r)
	if err != nil {
		return err
	}
	modified, err := changed(r.KV(), shelfPosts)
	if err != nil {
		return err
	}
	var total int
	var posts []*post
	if some {
		var numbers []uint32
		if total, numbers, err = findPosts(r.KV(), asked, win.skip(), win.count); err != nil {
			return err
		}
		if posts, err = readPosts(r.KV(), numbers); err != nil {
			return err
		}
	}
	return answerPosts(w, r, f, win, total, posts, modified)
}

// readFilter returns which posts are asked for; some is false if there can be none.
func readFilter(r *guest.Request) (f *filter, some bool, err error) {
	f, some = &filter{}, true
	from, _, err := date(r, "sdate", false)
	if err != nil {
		return nil, false, err
	}
	to, until, err := date(r, "edate", true)
	if err != nil {
		return nil, false, err
	}
	// There are no posts from before 1970, and 0 is no bound to a filter.
	if until && (to < max(from, 1)) {
		some = false
	}
	f.from, f.to = max(from, 0), max(to, 0)

	if f.circle, err = readCircle(r); err != nil {
		return nil, false, err
	}
	if f.circle == nil { // coordinates override the address
		f.city, f.state, f.zip = filterText(r, "city"), filterText(r, "state"), filterText(r, "zip")
	}
	if f.search, _, err = text(r, "search", maxSearch); err != nil {
		return nil, false, err
	}
	// Commas alone are no filter.
	if f.tags = splitTags(filterText(r, "tags")); len(f.tags) > maxTags {
		return nil, false, badParameter("tags: there are %d; at most %d are taken.", len(f.tags), maxTags)
	}
	return f, some, nil
}

func filterText(r *guest.Request, name string) string {
	s, _ := r.Value(name)
	return strings.TrimSpace(s)
}

// readCircle returns around where posts are asked for; nil: anywhere.
func readCircle(r *guest.Request) (*circle, error) {
	l, err := readLocation(r)
	if err != nil {
		return nil, err
	}
	metres, there, err := readRadius(r)
	if err != nil {
		return nil, err
	}
	if !l.placed {
		if there {
			return nil, badParameter("miles and km tell how far from latitude and longitude: give these, too.")
		}
		return nil, nil
	}
	return &circle{centre: l.at, radius: metres}, nil
}

// visiblePost returns a post that everybody may see.
func visiblePost(r *guest.Request, number uint32) (*post, error) {
	p, err := findPost(r.KV(), number)
	if err == nil && (p == nil || p.hidden) {
		err = errNotFound
	}
	return p, err
}

// showPost answers GET /1.0/posts/ID.FORMAT.
func showPost(w *guest.Response, r *guest.Request) error {
	number, f, err := shownNumber(r)
	if err != nil {
		return err
	}
	p, err := visiblePost(r, number)
	if err != nil {
		return err
	}
	return answerPost(w, r, f, p)
}
