//go:build !wasip1

package main_test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

type post struct {
	number, created                   int64
	modified                          []int64 // any of these: the rules leave some open
	account, app, author, udid, email string
	description, address              string
	city, state, zip                  string
	tags                              []string
	placed                            bool
	at                                place
	picture                           int
	flagging
}

// A place on earth in 1e-7 degrees.
type place struct{ lat, lon int64 }

// limits are how many characters a parameter may have.
var limits = map[string]int{
	"description": 2000, "content": 5000, "address": 200, "city": 200, "state": 200, "zip": 20, "email": 254, "udid": 200,
}

func tooLong(q *request, name string) []outcome {
	if limit := limits[name]; utf8.RuneCountInString(q.text(name)) > limit {
		return []outcome{refuse(400, "bad_parameter", name, strconv.Itoa(limit))}
	}
	return nil
}

// readFields reads what create and update have in common over the fields of p, and
// returns all that is wrong.
func readFields(q *request, p *post) (wrong []outcome) {
	for name, field := range map[string]*string{
		"description": &p.description, "address": &p.address, "city": &p.city, "state": &p.state, "zip": &p.zip, "email": &p.email,
	} {
		if s, found := q.param(name); found {
			*field = s
			wrong = append(wrong, tooLong(q, name)...)
		}
	}
	if before, after, ok := strings.Cut(q.text("email"), "@"); q.text("email") != "" && (!ok || before == "" || after == "") {
		wrong = append(wrong, refuse(400, "bad_parameter", "email"))
	}
	_, lat := q.param("latitude")
	_, lon := q.param("longitude")
	if lat || lon {
		at, placed, bad := coordinates(q)
		p.at, p.placed = at, placed
		wrong = append(wrong, bad...)
		if lat != lon {
			wrong = append(wrong, refuse(400, ""))
		}
	}
	return wrong
}

var decimal = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// coordinates reads latitude and longitude; both empty or absent is no place.
func coordinates(q *request) (at place, placed bool, wrong []outcome) {
	lat, lon := q.text("latitude"), q.text("longitude")
	if lat == "" && lon == "" {
		return at, false, nil
	}
	if lat == "" || lon == "" {
		return at, false, []outcome{refuse(400, "")}
	}
	read := func(name, text string, most float64) int64 {
		f, err := strconv.ParseFloat(text, 64)
		if !decimal.MatchString(text) || err != nil || math.Abs(f) > most {
			wrong = append(wrong, refuse(400, "bad_parameter", name))
		}
		return int64(math.Round(f * 1e7))
	}
	at = place{read("latitude", lat, 90), read("longitude", lon, 180)}
	if at.lon == 180e7 {
		at.lon = -180e7
	}
	return at, true, wrong
}

// splitTags reads a list of tags; each stands once.
func splitTags(text string) (tags []string) {
	for _, tag := range strings.Split(text, ",") {
		tag = strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(tag), "#")), " ")
		if tag != "" && !slices.ContainsFunc(tags, func(t string) bool { return lower(t) == lower(tag) }) {
			tags = append(tags, tag)
		}
	}
	return tags
}

func badTags(tags []string) []outcome {
	if len(tags) > 16 {
		return []outcome{refuse(400, "bad_parameter", "tag", "16")}
	}
	for _, tag := range tags {
		if utf8.RuneCountInString(tag) > 50 {
			return []outcome{refuse(400, "bad_parameter", "tag", "50")}
		}
	}
	return nil
}

func (w *world) createPost(q *request) []outcome {
	p := &post{account: q.caller.Account, app: q.caller.App, author: q.caller.Name, udid: q.text("udid"), picture: q.picture}
	wrong := append(readFields(q, p), tooLong(q, "udid")...)
	p.tags = splitTags(q.text("tags"))
	wrong = append(wrong, badTags(p.tags)...)
	if p.udid == "" {
		wrong = append(wrong, refuse(400, "missing_parameter", "udid"))
	}
	if q.picture < 0 || q.field != "image" {
		wrong = append(wrong, refuse(400, "missing_parameter", "image"))
	} else if code := w.pictures[q.picture].refused; code != "" {
		status := map[string]int{abi.ImageBad: 422, abi.ImageTooLarge: 413, abi.ImageUnsupported: 415}[code]
		wrong = append(wrong, refuse(status, code))
	}
	if q.picture >= 0 && len(w.pictures[q.picture].content) > w.maxImage {
		wrong = append(wrong, refuse(413, abi.ImageTooLarge))
	}
	if wrong != nil {
		return wrong
	}
	p.number, p.created = w.shelves["posts"].last+1, max(w.shelves["posts"].created, w.now.UnixMicro())
	p.modified = []int64{p.created}
	return written(q, outcome{status: 201, body: w.item(q.base, p), check: locationOf(q, "posts", p.number), apply: func() {
		w.take("posts")
		w.posts = append(w.posts, p)
		w.touch("posts", true)
	}}, false)
}

func (w *world) post(number int64) *post {
	for _, p := range w.posts {
		if p.number == number {
			return p
		}
	}
	return nil
}

func (w *world) visiblePost(number int64) *post {
	if p := w.post(number); p != nil && !p.hidden {
		return p
	}
	return nil
}

// mayChange tells whose posts somebody may edit and delete.
func mayChange(c *abi.Caller, account, app string) bool {
	if c.Account != "" {
		return c.Account == account
	}
	return c.App == app
}

func (w *world) changePost(q *request, number int64, action string) []outcome {
	p := w.visiblePost(number)
	if p == nil {
		return []outcome{notFound}
	}
	if action == "update" && q.yes("flag") {
		return w.flag(q, number, &p.flagging, func() { w.touchPost(p, true) })
	}
	var wrong []outcome
	if !mayChange(&q.caller, p.account, p.app) {
		wrong = append(wrong, refuse(403, "not_yours"))
	}
	if action == "delete" {
		if wrong != nil {
			return wrong
		}
		return written(q, outcome{status: 204, apply: func() { w.removePost(p) }}, false)
	}
	next := *p
	if wrong = append(wrong, readFields(q, &next)...); wrong != nil {
		return wrong
	}
	next.modified = w.modified(p.modified, fmt.Sprint(next) != fmt.Sprint(*p))
	return written(q, outcome{status: 200, body: w.item(q.base, &next), apply: func() {
		*p = next
		w.touch("posts", true)
	}}, false)
}

// modified returns when something was modified that is being updated now: in a second
// of its own. Whether an update that changes nothing counts is left open.
func (w *world) modified(before []int64, differs bool) (list []int64) {
	for _, m := range before {
		list = append(list, max(w.now.UnixMicro(), (m/1e6+1)*1e6))
		if !differs {
			list = append(list, m)
		}
	}
	return list
}

// touchPost notes that a post comes or goes, with its comments: seen by all or not.
func (w *world) touchPost(p *post, seen bool) {
	w.touch("posts", seen)
	w.touch("comments", seen && slices.ContainsFunc(w.comments, func(c *comment) bool { return c.post == p.number && !c.hidden }))
}

func (w *world) removePost(p *post) {
	w.touchPost(p, !p.hidden)
	w.posts = slices.DeleteFunc(w.posts, func(other *post) bool { return other == p })
	w.comments = slices.DeleteFunc(w.comments, func(c *comment) bool { return c.post == p.number })
}
