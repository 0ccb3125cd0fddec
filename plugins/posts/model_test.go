//go:build !wasip1

package main_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A world is the plugin's state and rules written down as plainly as can be: lists
// that are looked through from the start, and no sets, cells or containers. What
// the plugin answers must be what the world says.
type world struct {
	now          time.Time
	hideAfter    int
	keepOriginal bool
	maxImage     int
	posts        []*post // in the order of creation; deleted ones are gone
	comments     []*comment
	shelves      map[string]*shelf // "posts", "comments"
	pictures     []picture
}

// A shelf is what a world knows of all posts, or of all comments.
type shelf struct {
	last    int64 // number of the newest
	created int64 // when it was created, in microseconds
	visible int64 // when lists were last changed
	touched int64 // when anything was
}

func newWorld(h *history, pictures []picture) *world {
	return &world{
		hideAfter: h.hideAfter, keepOriginal: h.keepOriginal, maxImage: h.maxImage, pictures: pictures,
		shelves: map[string]*shelf{"posts": {last: h.posts}, "comments": {last: h.comments}},
	}
}

// A request is what somebody asks of the plugin, taken apart.
type request struct {
	caller      abi.Caller
	base        string
	method      string
	path        string
	query, form url.Values
	picture     int    // number of the picture that is uploaded, -1 none
	field       string // the field that it is in
	referer     string
}

// param returns a parameter, trimmed, and whether it is there.
func (q *request) param(name string) (string, bool) {
	values := q.query
	if !values.Has(name) {
		values = q.form
	}
	return strings.TrimSpace(values.Get(name)), values.Has(name)
}

func (q *request) text(name string) string {
	s, _ := q.param(name)
	return s
}

// yes tells whether a boolean parameter is there and true.
func (q *request) yes(name string, no ...string) bool {
	s, found := q.param(name)
	return found && !slices.Contains(append(no, "", "0", "false", "no"), strings.ToLower(s))
}

// An outcome is one way in which a request may rightly end. Where the rules leave
// it open, there are several.
type outcome struct {
	status  int
	code    string   // of a refusal; "" any
	mention []string // what its message must speak of
	body    any      // of a success, see match; nil: none
	check   func(got *guesttest.Response) error
	any     bool // the body is not looked at
	read    *reading
	apply   func()
}

// A reading is what is known of an answer that Last-Modified may stand in.
type reading struct {
	since   int64 // there was no change of it later than this, in microseconds
	touched int64 // nothing at all was changed later than this
}

func refuse(status int, code string, mention ...string) outcome {
	return outcome{status: status, code: code, mention: mention}
}

var (
	notFound = refuse(404, "not_found")
	anything = outcome{status: 200, any: true}
)

const guide = "/1.0/documentation"

func (w *world) do(q *request) []outcome {
	rest, public := strings.CutPrefix(q.path, "/1.0/")
	if !public {
		return w.moderate(q, strings.Split(q.path, "/")[1:])
	}
	kind := "posts"
	rest, ok := strings.CutPrefix(rest, kind)
	if !ok {
		if name, ok := strings.CutPrefix(rest, "images/"); ok {
			return w.showPicture(name, false)
		}
		kind = "comments"
		rest = strings.TrimPrefix(rest, kind)
	}
	if q.method == "GET" {
		return w.read(q, kind, rest)
	}
	return w.write(q, kind, strings.TrimPrefix(rest, "/"))
}

// read answers a GET of a kind; rest is what follows that in the path.
func (w *world) read(q *request, kind, rest string) []outcome {
	var wrong []outcome
	name, format := rest, ""
	if dot := strings.LastIndex(rest, "."); dot > strings.LastIndex(rest, "/") {
		name, format = rest[:dot], rest[dot+1:]
		if !slices.Contains(formats, format) {
			wrong = append(wrong, refuse(400, "format_unknown", append(formats, guide)...))
		}
	} else {
		wrong = append(wrong, refuse(400, "format_missing", append(formats, guide)...))
	}
	name = strings.TrimPrefix(name, "/")
	if name == "" || name == "index" {
		return w.list(q, kind, format, wrong)
	}
	number, ok := number(strings.TrimSuffix(name, "/show"))
	if wrong != nil {
		return append(wrong, notFound)
	}
	if !ok {
		return []outcome{notFound}
	}
	return w.show(q, kind, format, number)
}

var formats = []string{"rss", "atom", "json", "plist"}

func number(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 1 && n <= 1<<32-1 && strconv.FormatInt(n, 10) == text
}

func (w *world) write(q *request, kind, rest string) []outcome {
	proofs := []string{"session"}
	if kind == "posts" {
		proofs = []string{"token", "signature", "session"}
	}
	var unsigned []outcome
	if !slices.Contains(proofs, q.caller.Proof) {
		unsigned = []outcome{refuse(401, "unauthenticated")}
	}
	if strings.Contains(rest, ".") || strings.HasPrefix(q.path[len("/1.0/"):], kind+".") {
		return append(unsigned, refuse(400, "format_not_taken"))
	}
	if unsigned != nil {
		return unsigned
	}
	if rest == "" || rest == "create" {
		if kind == "posts" {
			return w.createPost(q)
		}
		return w.createComment(q)
	}
	id, action, _ := strings.Cut(rest, "/")
	if action == "" {
		action = map[string]string{"PUT": "update", "DELETE": "delete"}[q.method]
	}
	number, ok := number(id)
	if !ok {
		return []outcome{notFound}
	}
	if kind == "posts" {
		return w.changePost(q, number, action)
	}
	return w.changeComment(q, number, action)
}

// touch notes that posts or comments were changed, to be seen in lists or not.
func (w *world) touch(kind string, visible bool) {
	s := w.shelves[kind]
	s.touched = max(w.now.UnixMicro(), (s.touched/1e6+1)*1e6)
	if visible {
		s.visible = max(s.visible, w.now.UnixMicro())
	}
}

// take returns the number and the time of a new post or comment.
func (w *world) take(kind string) (number, created int64) {
	s := w.shelves[kind]
	s.last++
	s.created = max(s.created, w.now.UnixMicro())
	return s.last, s.created
}

// written returns the outcomes of a successful write, which may be a redirect.
func written(q *request, usual outcome, flagged bool) []outcome {
	target, err := url.Parse(q.referer)
	if !q.yes("referrer", "off") || err != nil || target.Host == "" || target.User != nil || target.Scheme != "http" && target.Scheme != "https" {
		return []outcome{usual}
	}
	redirect := outcome{status: 303, apply: usual.apply, check: func(got *guesttest.Response) error {
		return match("Location", q.referer, header(got, "Location"))
	}}
	// Whether that goes for a flag, too, is left open.
	if flagged {
		return []outcome{redirect, usual}
	}
	return []outcome{redirect}
}

func header(r *guesttest.Response, name string) string {
	for n, value := range r.Headers {
		if strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

// match compares an answer with what it must be: maps have the same keys, numbers
// the same value; a function looks for itself.
func match(at string, want, got any) error {
	switch want := want.(type) {
	case func(any) error:
		if err := want(got); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		return nil
	case map[string]any:
		got, ok := got.(map[string]any)
		for name := range got {
			if _, known := want[name]; !known {
				return fmt.Errorf("%s.%s: got %v, want no such field", at, name, got[name])
			}
		}
		for name, value := range want {
			g, found := got[name]
			if !ok || !found {
				return fmt.Errorf("%s.%s is missing", at, name)
			}
			if err := match(at+"."+name, value, g); err != nil {
				return err
			}
		}
		return nil
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return fmt.Errorf("%s: got %d elements, want %d: %.300q", at, len(got), len(want), fmt.Sprint(want))
		}
		for i := range want {
			if err := match(fmt.Sprintf("%s.%d", at, i), want[i], got[i]); err != nil {
				return err
			}
		}
		return nil
	case int64:
		if n, ok := got.(json.Number); ok && n.String() == strconv.FormatInt(want, 10) {
			return nil
		}
	case float64:
		if n, ok := got.(json.Number); ok {
			if f, err := n.Float64(); err == nil && f == want {
				return nil
			}
		}
	default:
		if want == got {
			return nil
		}
	}
	return fmt.Errorf("%s: got %#v, want %#v", at, got, want)
}

// oneOf matches any of the values.
func oneOf(values ...any) func(any) error {
	return func(got any) error {
		for _, v := range values {
			if match("", v, got) == nil {
				return nil
			}
		}
		return fmt.Errorf("got %#v, want one of %v", got, values)
	}
}

func cut[T any](list []T, skip, limit int64) []T {
	list = list[min(skip, int64(len(list))):]
	return list[:min(limit, int64(len(list)))]
}
