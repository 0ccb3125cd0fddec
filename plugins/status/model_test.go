//go:build !wasip1

package main_test

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A world is the plugin's state and rules written down as plainly as can be: lists
// that are looked through from the start, and no keys, feeds or rooms. What the
// plugin answers and sends must be what the world says.
type world struct {
	now         time.Time
	names       map[string]string  // of identities by their gid, as their tokens say
	uploads     []*upload          // in the order of upload; deleted ones stay
	stored      map[string]*upload // the same by owner and id
	permissions []*permission      // in the order of creation
	identities  map[string]*identity
	contacts    map[string][]string
	blocks      map[string][]string
	groups      []*group
	listeners   []*listener
}

func newWorld(names map[string]string) *world {
	return &world{
		names: names, identities: map[string]*identity{}, stored: map[string]*upload{},
		contacts: map[string][]string{}, blocks: map[string][]string{},
	}
}

// An upload is an update that was ever uploaded.
type upload struct {
	id, text, owner, kind, source string
	created                       int64 // microseconds
	createdText                   string
	uploaded                      time.Time
	payload                       any
	deleted                       bool
}

// A request is what somebody asks of the plugin, taken apart.
type request struct {
	me     string // the caller's gid
	method string // LISTEN for the event of that name
	path   string
	query  url.Values
	body   any // as encoding/json decodes it
	last   string
	on     *listener // of LISTEN
}

// An outcome is one way in which a request may rightly end. Where the document
// leaves it open, there are several.
type outcome struct {
	status int
	codes  string         // of a refusal: those that are right, with blanks between; "" any
	detail map[string]any // of a refusal: what must stand in it
	body   any            // of a success, see match
	events []event        // that a stream begins with
	stream bool           // and it stays open
	apply  func(got any)  // what it changes
}

func refuse(status int, codes string, detail map[string]any) outcome {
	return outcome{status: status, codes: codes, detail: detail}
}

func field(name string) map[string]any { return map[string]any{"field": name} }

func (w *world) do(q *request) []outcome {
	parts := strings.Split(strings.TrimPrefix(q.path, "/v1/"), "/")
	switch call := q.method + " " + parts[0]; {
	case q.method == "LISTEN":
		return w.listen(q)
	case strings.HasPrefix(q.path, "/v1/status/permissions"):
		return w.permissionCall(q, parts[2:])
	case q.path == "/v1/status/shared":
		return w.listShared(q)
	case q.path == "/v1/status/stream":
		return w.stream(q)
	case call == "POST status":
		return w.upload(q)
	case call == "GET status":
		return w.listOwn(q)
	case call == "DELETE status":
		return w.erase(q)
	case parts[0] == "identities":
		return w.identityCall(q, parts[1])
	case parts[0] == "contacts":
		return w.listed(q, w.contacts, parts[1:])
	case parts[0] == "blocks":
		return w.listed(q, w.blocks, parts[1:])
	}
	return w.groupCall(q, parts[1:])
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func uuid(v any) (id string, ok bool) {
	text, _ := v.(string)
	return strings.ToLower(text), uuidForm.MatchString(text)
}

func name(v any, most int) bool {
	text, ok := v.(string)
	return ok && text != "" && len(text) <= most
}

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$`)

// layouts are the ways to write a date; a fraction may follow any seconds.
var layouts = func() (list []string) {
	for _, clock := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "20060102T150405"} {
		for _, zone := range []string{"Z07:00", "Z0700", "Z07", ""} {
			list = append(list, clock+zone)
		}
	}
	return append(list, "2006-01-02")
}()

// date reads what the document calls ISO-8601.
func date(v any) (micros int64, ok bool) {
	text, _ := v.(string)
	text = strings.Replace(strings.ToUpper(text), " ", "T", 1)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 0 {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}

func (w *world) upload(q *request) []outcome {
	list, ok := q.body.([]any)
	if !ok {
		return []outcome{refuse(400, "bad_body", nil)}
	}
	if len(list) > 2000 {
		return []outcome{refuse(413, "too_many", nil)}
	}
	var made, answer []*upload
	seen := map[string]bool{}
	for i, v := range list {
		e, ok := v.(map[string]any)
		if !ok {
			return []outcome{refuse(400, "", map[string]any{"index": number(i)})}
		}
		if codes, name := badElement(e); name != "" {
			return []outcome{refuse(400, codes, map[string]any{"index": number(i), "field": name})}
		}
		u := &upload{owner: q.me, kind: e["type"].(string), source: e["source"].(string), uploaded: w.now, payload: e["payload"]}
		u.id, _ = uuid(e["uuid"])
		u.text = u.id
		if text := e["uuid"].(string); text == strings.ToUpper(text) {
			u.text = text
		}
		u.createdText = e["created_at"].(string)
		u.created, _ = date(u.createdText)
		if seen[u.id] {
			continue
		}
		seen[u.id] = true
		if old := w.stored[u.owner+u.id]; old != nil {
			u = old
		} else {
			made = append(made, u)
		}
		if !u.deleted {
			answer = append(answer, u)
		}
	}
	done := outcome{status: 201, body: forms(answer, own), apply: func(any) {
		w.uploads = append(w.uploads, made...)
		for _, u := range made {
			w.stored[u.owner+u.id] = u
			for _, l := range w.listeners {
				if w.shared(u, l.who) && l.wants(u) {
					l.want = append(l.want, event{"STATUS_UPDATE", u.text, shared(u)})
				}
			}
		}
	}}
	// Many updates with many audiences may be more messages than fit.
	if len(made) > 1000 && slices.ContainsFunc(w.permissions, func(p *permission) bool { return p.owner == q.me }) {
		return []outcome{done, refuse(413, "too_large", nil)}
	}
	return []outcome{done}
}

// badElement says with which codes an element is refused, and for which field.
func badElement(e map[string]any) (codes, at string) {
	for _, f := range []string{"uuid", "source", "type", "created_at", "payload"} {
		if e[f] == nil {
			return "missing_field bad_field", f
		}
	}
	if _, ok := uuid(e["uuid"]); !ok {
		return "bad_uuid bad_field", "uuid"
	}
	for _, f := range []string{"source", "type"} {
		if !name(e[f], 128) {
			return "bad_field", f
		}
	}
	if _, ok := date(e["created_at"]); !ok {
		return "bad_date bad_field", "created_at"
	}
	payload, ok := e["payload"].(map[string]any)
	if !ok {
		return "bad_field", "payload"
	}
	if text, ok := payload["long"].(string); ok && len(text) > 32<<10 {
		return "too_large", "payload"
	}
	return "", ""
}

// own is the form in which an owner sees an update, shared that for others.
func own(u *upload) any {
	form := shared(u).(map[string]any)
	form["uploaded_at"] = moment(u.uploaded.UnixMicro())
	return form
}

func shared(u *upload) any {
	return map[string]any{
		"uuid": u.text, "gid_uuid": u.owner, "source": u.source, "type": u.kind,
		"created_at": echo{u.createdText, u.created}, "payload": u.payload,
	}
}

func forms(list []*upload, form func(*upload) any) []any {
	answer := []any{}
	for _, u := range list {
		answer = append(answer, form(u))
	}
	return answer
}

// A selection is what the parameters of a list say.
type selection struct {
	kind, source string
	start, end   *int64
	skip, limit  int
	by           string
	since        string
	bounds       int64 // 1: start and end are themselves left out
	malformed    []outcome
}

func selectionOf(q *request, exclusive bool) (s selection) {
	s.kind, s.source = q.query.Get("type"), q.query.Get("source")
	for name, to := range map[string]**int64{"start": &s.start, "end": &s.end} {
		if text := q.query.Get(name); text != "" {
			at, ok := date(text)
			if *to = &at; !ok {
				s.malformed = append(s.malformed, refuse(400, "bad_parameter", field(name)))
			}
		}
	}
	if exclusive {
		s.bounds = 1
	}
	s.skip, s.limit = pageOf(q, &s.malformed)
	for name, to := range map[string]*string{"shared_by": &s.by, "since_uuid": &s.since} {
		if q.query.Has(name) {
			var ok bool
			if *to, ok = uuid(q.query.Get(name)); !ok {
				s.malformed = append(s.malformed, refuse(400, "bad_parameter unknown_uuid bad_uuid", nil))
			}
		}
	}
	return s
}

func pageOf(q *request, malformed *[]outcome) (skip, limit int) {
	page, limit := 1, 50
	for name, to := range map[string]*int{"page": &page, "per_page": &limit} {
		if q.query.Has(name) {
			n, err := strconv.Atoi(q.query.Get(name))
			if *to = n; err != nil || n < 1 || name == "per_page" && n > 500 {
				*malformed = append(*malformed, refuse(400, "bad_parameter", field(name)))
			}
		}
	}
	return (page - 1) * limit, limit
}

func (s *selection) takes(u *upload) bool {
	return !u.deleted &&
		(s.kind == "" || s.kind == u.kind) && (s.source == "" || s.source == u.source) &&
		(s.start == nil || u.created >= *s.start+s.bounds) && (s.end == nil || u.created <= *s.end-s.bounds) &&
		(s.by == "" || s.by == u.owner)
}

func page[T any](list []T, skip, limit int) []T {
	list = list[min(skip, len(list)):]
	return list[:min(limit, len(list))]
}

func (w *world) listOwn(q *request) []outcome {
	s := selectionOf(q, true)
	s.by = q.me
	var list []*upload
	for _, u := range w.uploads {
		if s.takes(u) {
			list = append(list, u)
		}
	}
	if s.malformed != nil {
		return s.malformed
	}
	return []outcome{{status: 200, body: forms(page(list, s.skip, s.limit), own)}}
}

func (w *world) erase(q *request) []outcome {
	s := selectionOf(q, true)
	if s.malformed != nil {
		return s.malformed
	}
	s.by = q.me
	may := []outcome{{status: 204, apply: func(any) {
		for _, u := range w.uploads {
			u.deleted = u.deleted || s.takes(u)
		}
	}}}
	// Earlier deletions of very many may be under way.
	if len(w.uploads) > 1500 {
		may = append(may, refuse(503, "busy", nil))
	}
	return may
}

// after returns the places in the order of upload from which a reader may rightly
// go on who has seen an update of this uuid: several may have uploaded one. Nothing
// may be lost behind the first that the reader can see.
func (w *world) after(uuid, reader string) (places []int) {
	for i, u := range w.uploads {
		if u.id != uuid {
			continue
		}
		places = append(places, i+1)
		if !u.deleted && w.shared(u, reader) {
			break
		}
	}
	return places
}

func (w *world) sharedWith(reader string, s *selection, from int) (list []*upload) {
	for _, u := range w.uploads[from:] {
		if s.takes(u) && w.shared(u, reader) {
			list = append(list, u)
		}
	}
	return list
}

func (w *world) listShared(q *request) (may []outcome) {
	s := selectionOf(q, false)
	if s.malformed != nil {
		return s.malformed
	}
	if s.since == "" {
		return []outcome{{status: 200, body: forms(page(w.sharedWith(q.me, &s, 0), s.skip, s.limit), shared)}}
	}
	for _, from := range w.after(s.since, q.me) {
		may = append(may, outcome{status: 200, body: forms(page(w.sharedWith(q.me, &s, from), 0, min(s.limit, 50)), shared)})
	}
	if may == nil {
		return []outcome{refuse(400, "unknown_uuid", field("since_uuid"))}
	}
	return may
}
