//go:build !wasip1

package main_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi/guesttest"
)

func moment(micros int64) string { return time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05") }

func set(item map[string]any, name, text string) {
	if text != "" {
		item[name] = text
	}
}

// anyMoment matches one of several moments, and the others are then none any more.
func anyMoment(list *[]int64) func(any) error {
	return func(got any) error {
		var left []int64
		for _, m := range *list {
			if moment(m) == got {
				left = append(left, m)
			}
		}
		if left == nil {
			return fmt.Errorf("got %v, want %s", got, moment((*list)[0]))
		}
		*list = left
		return nil
	}
}

// item is a post as everybody sees it.
func (w *world) item(base string, p *post) map[string]any {
	item := map[string]any{
		"id": p.number, "created": moment(p.created), "modified": anyMoment(&p.modified), "url": fmt.Sprintf("%s/1.0/posts/%d.json", base, p.number),
	}
	for name, text := range map[string]string{
		"description": p.description, "address": p.address, "city": p.city, "state": p.state, "zip": p.zip, "author": p.author,
	} {
		set(item, name, text)
	}
	if p.placed {
		item["latitude"], item["longitude"] = float64(p.at.lat)/1e7, float64(p.at.lon)/1e7
	}
	if p.tags != nil {
		list := []any{}
		for _, tag := range p.tags {
			list = append(list, tag)
		}
		item["tags"] = list
	}
	width, height := within(1600, w.pictures[p.picture])
	item["image_width"], item["image_height"] = oneOf(width, width+1, width-1), oneOf(height, height+1, height-1)
	for name, rendition := range map[string]string{"image": "large", "thumbnail": "thumbnail", "medium": "medium", "large": "large"} {
		item[name] = w.pictureURL(base, p.picture, rendition)
	}
	return item
}

// within returns the size of a picture that fits into a box.
func within(box int64, p picture) (width, height int64) {
	width, height = int64(p.width), int64(p.height)
	if m := max(width, height); m > box {
		width, height = max(1, width*box/m), max(1, height*box/m)
	}
	return width, height
}

// pictureURL is where a rendition is: whenever a picture comes up, at the same.
func (w *world) pictureURL(base string, number int, rendition string) string {
	return base + "/1.0/images/" + w.pictures[number].names[rendition]
}

var renditions = map[string]int64{"thumbnail": 160, "medium": 640, "large": 1600, "original": 1 << 20}

// kept returns the blobs that must be kept.
func (w *world) kept() map[string]bool {
	all := map[string]bool{}
	for _, p := range w.posts {
		for rendition := range renditions {
			if rendition != "original" || w.keepOriginal {
				id, _, _ := strings.Cut(w.pictures[p.picture].names[rendition], ".")
				all[id] = true
			}
		}
	}
	return all
}

// showPicture answers for a picture as long as a post shows it.
func (w *world) showPicture(name string, operator bool) []outcome {
	for _, p := range w.posts {
		for rendition, box := range renditions {
			if w.pictures[p.picture].names[rendition] != name || p.hidden && !operator || rendition == "original" && !(w.keepOriginal && operator) {
				continue
			}
			return []outcome{{status: 200, any: true, check: func(got *guesttest.Response) error {
				if rendition == "original" {
					if string(got.Raw) != string(w.pictures[p.picture].content) {
						return fmt.Errorf("the original is not what was uploaded")
					}
					return nil
				}
				if control := header(got, "Cache-Control"); !operator && control != "public, max-age=31536000, immutable" {
					return fmt.Errorf("got Cache-Control: %q", control)
				}
				return w.pictures[p.picture].resembles(got.Raw, box)
			}}}
		}
	}
	return []outcome{notFound}
}

func commentItem(base string, c *comment) map[string]any {
	item := map[string]any{
		"id": c.number, "postId": c.post, "created": moment(c.created), "modified": anyMoment(&c.modified), "content": c.content,
		"url": fmt.Sprintf("%s/1.0/comments/%d.json", base, c.number),
	}
	set(item, "author", c.author)
	return item
}

// list answers a list in one of the formats.
func (w *world) list(q *request, kind, format string, wrong []outcome) []outcome {
	page, count, bad := window(q)
	wrong = append(wrong, bad...)
	var items []any
	var entries []entry
	doubtful := false
	total := int64(0)
	if kind == "posts" {
		found, doubt, bad := w.find(q)
		wrong, doubtful, total = append(wrong, bad...), doubt, int64(len(found))
		if wrong != nil {
			return wrong
		}
		for _, p := range cut(found, skip(page, count), count) {
			items, entries = append(items, w.item(q.base, p)), append(entries, w.postEntry(p))
		}
	} else {
		found, bad := w.findComments(q)
		wrong, total = append(wrong, bad...), int64(len(found))
		if wrong != nil {
			return wrong
		}
		for _, c := range cut(found, skip(page, count), count) {
			items, entries = append(items, commentItem(q.base, c)), append(entries, commentEntry(c))
		}
	}
	if doubtful {
		return []outcome{anything}
	}
	s := w.shelves[kind]
	o := outcome{status: 200, read: &reading{s.visible, s.touched}}
	if format == "json" || format == "plist" {
		if items == nil {
			items = []any{}
		}
		o.body = map[string]any{"total": total, "page": page, "count": count, kind: items}
	}
	o.check = inFormat(q, kind, format, total, entries, true)
	o.any = o.body == nil
	// Whether an empty coordinate alone is no filter, or half of one, is left open.
	if q.query.Has("latitude") != q.query.Has("longitude") {
		return []outcome{o, refuse(400, "bad_parameter", "latitude")}
	}
	return []outcome{o}
}

func (w *world) findComments(q *request) (found []*comment, wrong []outcome) {
	of := int64(0)
	if text := q.text("postId"); text != "" {
		var err error
		for _, r := range text {
			if r < '0' || r > '9' {
				err = fmt.Errorf("%q is no number", text)
			}
		}
		if fmt.Sscan(text, &of); err != nil {
			wrong = append(wrong, refuse(400, "bad_parameter", "postId"))
		}
	}
	for _, c := range slices.Backward(w.comments) {
		if w.shown(c) && (of == 0 || c.post == of) {
			found = append(found, c)
		}
	}
	return found, wrong
}

func (w *world) show(q *request, kind, format string, number int64) []outcome {
	var item any
	var e entry
	var modified []int64
	if kind == "posts" {
		p := w.visiblePost(number)
		if p == nil {
			return []outcome{notFound}
		}
		item, e, modified = w.item(q.base, p), w.postEntry(p), p.modified
	} else {
		c := w.comment(number)
		if !w.shown(c) {
			return []outcome{notFound}
		}
		item, e, modified = commentItem(q.base, c), commentEntry(c), c.modified
	}
	o := outcome{status: 200, read: &reading{slices.Min(modified), w.shelves[kind].touched}}
	if format == "json" || format == "plist" {
		o.body = item
	}
	o.check = inFormat(q, kind, format, 1, []entry{e}, false)
	o.any = o.body == nil
	return []outcome{o}
}
