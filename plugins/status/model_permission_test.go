//go:build !wasip1

package main_test

import (
	"slices"
	"time"
)

type permission struct {
	id, owner, kind, source, recipient, to string
	created, updated                       time.Time
	from, until                            *int64
}

// shared tells whether somebody may see an update of somebody else now.
func (w *world) shared(u *upload, reader string) bool {
	if u.owner == reader || slices.Contains(w.blocks[u.owner], reader) || slices.Contains(w.blocks[reader], u.owner) {
		return false
	}
	for _, p := range w.permissions {
		if p.owner != u.owner || p.kind != "*" && p.kind != u.kind || p.source != "*" && p.source != u.source ||
			p.from != nil && u.created <= *p.from || p.until != nil && u.created >= *p.until {
			continue
		}
		g := w.group(p.to)
		if p.recipient == "all" || p.recipient == "contacts" && slices.Contains(w.contacts[u.owner], reader) ||
			p.recipient == "group" && g != nil && slices.Contains(g.members, reader) || p.recipient == "individual" && p.to == reader {
			return true
		}
	}
	return false
}

func (w *world) permissionCall(q *request, rest []string) []outcome {
	if len(rest) == 0 && q.method == "POST" {
		p := &permission{owner: q.me, created: w.now, updated: w.now}
		if errors := w.readPermission(q.body, p, true); errors != nil {
			return errors
		}
		form := p.form()
		form["id"] = fresh(func(id string) bool {
			return !slices.ContainsFunc(w.permissions, func(p *permission) bool { return p.id == id })
		})
		return []outcome{{status: 201, body: form, apply: func(got any) {
			p.id = got.(map[string]any)["id"].(string)
			w.permissions = append(w.permissions, p)
		}}}
	}
	var mine []*permission
	for _, p := range w.permissions {
		if p.owner == q.me {
			mine = append(mine, p)
		}
	}
	if len(rest) == 0 {
		var malformed []outcome
		skip, limit := pageOf(q, &malformed)
		if malformed != nil {
			return malformed
		}
		list := []any{}
		for _, p := range page(mine, skip, limit) {
			list = append(list, p.form())
		}
		return []outcome{{status: 200, body: list}}
	}
	id, _ := uuid(rest[0])
	i := slices.IndexFunc(mine, func(p *permission) bool { return p.id == id })
	if i < 0 {
		return []outcome{refuse(404, "not_found", nil)}
	}
	p := mine[i]
	switch q.method {
	case "GET":
		return []outcome{{status: 200, body: p.form()}}
	case "DELETE":
		return []outcome{{status: 204, apply: func(any) {
			w.permissions = slices.DeleteFunc(w.permissions, func(other *permission) bool { return other == p })
		}}}
	}
	next := *p
	next.updated = w.now
	errors := w.readPermission(q.body, &next, false)
	// Whether other fields may be changed once the group is gone is left open.
	if errors != nil && !(next.recipient == p.recipient && next.to == p.to && len(errors) == 1 && errors[0].codes == "unknown_group") {
		return errors
	}
	return append(errors, outcome{status: 202, body: next.form(), apply: func(any) { *p = next }})
}

func (p *permission) named() bool { return p.recipient == "group" || p.recipient == "individual" }

func (p *permission) form() map[string]any {
	form := map[string]any{
		"id": p.id, "gid_uuid": p.owner, "source": p.source, "type": p.kind, "recipient_type": p.recipient, "recipient_uuid": nil,
		"created_at": moment(p.created.UnixMicro()), "updated_at": moment(p.updated.UnixMicro()), "valid_from": nil, "valid_to": nil,
	}
	if p.named() {
		form["recipient_uuid"] = p.to
	}
	for name, at := range map[string]*int64{"valid_from": p.from, "valid_to": p.until} {
		if at != nil {
			form[name] = moment(*at)
		}
	}
	return form
}

// readPermission reads the fields of a body over those of p and returns all that is
// wrong with them.
func (w *world) readPermission(v any, p *permission, all bool) (errors []outcome) {
	body, _ := v.(map[string]any)
	bad := func(codes, name string) { errors = append(errors, refuse(400, codes, field(name))) }
	for at, to := range map[string]*string{"source": &p.source, "type": &p.kind} {
		if v, given := body[at]; given || all {
			if *to, _ = v.(string); !name(v, 128) {
				bad("missing_field bad_field", at)
			}
		}
	}
	if v, given := body["recipient_type"]; given || all {
		p.recipient, _ = v.(string)
		if !slices.Contains([]string{"all", "contacts", "group", "individual"}, p.recipient) {
			bad("missing_field bad_field", "recipient_type")
		}
	}
	if !p.named() {
		p.to = ""
	} else {
		if v, given := body["recipient_uuid"]; given {
			p.to, _ = uuid(v)
			if _, ok := uuid(v); !ok {
				bad("missing_field bad_field bad_uuid", "recipient_uuid")
			}
		}
		switch {
		case p.to == "":
			bad("missing_field bad_field", "recipient_uuid")
		case p.recipient == "group" && w.group(p.to) == nil:
			bad("unknown_group", "recipient_uuid")
		case p.recipient == "individual" && p.to == p.owner:
			bad("bad_field", "recipient_uuid")
		}
	}
	for at, to := range map[string]**int64{"valid_from": &p.from, "valid_to": &p.until} {
		if v, given := body[at]; given {
			if *to = nil; v != nil && v != "" {
				t, ok := date(v)
				if *to = &t; !ok {
					bad("bad_date bad_field", at)
				}
			}
		}
	}
	if p.from != nil && p.until != nil && *p.from >= *p.until {
		errors = append(errors, refuse(400, "", nil))
	}
	return errors
}
