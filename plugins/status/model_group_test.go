//go:build !wasip1

package main_test

import (
	"slices"
	"strings"
	"time"
)

type group struct {
	id, name, owner string
	open            bool
	members         []string
	created         time.Time
}

func (w *world) group(id string) *group {
	for _, g := range w.groups {
		if g.id == id {
			return g
		}
	}
	return nil
}

func (g *group) form() any {
	return map[string]any{
		"gid_uuid": g.id, "name": g.name, "open": g.open, "owner": g.owner,
		"members": number(len(g.members)), "created_at": moment(g.created.UnixMicro()),
	}
}

func (g *group) leave(gid string) {
	g.members = slices.DeleteFunc(g.members, func(other string) bool { return other == gid })
}

// groupBody reads name and open over those of g, and says what is wrong.
func groupBody(v any, g *group) []outcome {
	body, _ := v.(map[string]any)
	if title, given := body["name"]; given || g.name == "" {
		if !name(title, 150) {
			return []outcome{refuse(400, "missing_field bad_field", field("name"))}
		}
		g.name = title.(string)
	}
	if open, given := body["open"]; given {
		var ok bool
		if g.open, ok = open.(bool); !ok {
			return []outcome{refuse(400, "bad_field", field("open"))}
		}
	}
	return nil
}

func (w *world) groupCall(q *request, rest []string) []outcome {
	if len(rest) == 0 {
		if q.method == "POST" {
			g := &group{owner: q.me, members: []string{q.me}, created: w.now}
			if errors := groupBody(q.body, g); errors != nil {
				return errors
			}
			form := g.form().(map[string]any)
			form["gid_uuid"] = fresh(func(id string) bool { return w.group(id) == nil })
			return []outcome{{status: 201, body: form, apply: func(got any) {
				g.id = got.(map[string]any)["gid_uuid"].(string)
				w.groups = append(w.groups, g)
			}}}
		}
		mine := []any{}
		for _, g := range w.groups {
			if slices.Contains(g.members, q.me) {
				mine = append(mine, g.form())
			}
		}
		return anyPage(q, mine)
	}
	id, _ := uuid(rest[0])
	unknown := []outcome{refuse(404, "not_found", nil)}
	g := w.group(id)
	if g == nil {
		return unknown
	}
	member := slices.Contains(g.members, q.me)
	owner := g.owner == q.me
	call := q.method + " " + strings.Join(rest[1:], "/")
	if call == "POST join" {
		switch {
		case member:
			return []outcome{{status: 200, body: anything}, refuse(403, "closed", nil)}
		case !g.open:
			return []outcome{refuse(403, "closed", nil)}
		}
		return []outcome{{status: 200, body: anything, apply: func(any) { g.members = append(g.members, q.me) }}}
	}
	if !member && !g.open {
		return unknown
	}
	forbidden := []outcome{refuse(403, "forbidden", nil)}
	switch {
	case call == "GET ":
		return []outcome{{status: 200, body: g.form()}}
	case call == "PUT ":
		if !owner {
			return forbidden
		}
		next := *g
		if errors := groupBody(q.body, &next); errors != nil {
			return errors
		}
		return []outcome{{status: 200, body: next.form(), apply: func(any) { *g = next }}}
	case call == "DELETE ":
		if !owner {
			return forbidden
		}
		return []outcome{{status: 204, apply: func(any) {
			w.groups = slices.DeleteFunc(w.groups, func(other *group) bool { return other == g })
		}}}
	case call == "POST leave":
		if !member {
			return append(unknown, forbidden...)
		}
		if owner {
			return []outcome{refuse(409, "owner", nil)}
		}
		return []outcome{{status: 204, apply: func(any) { g.leave(q.me) }}}
	case call == "GET members":
		if !member {
			return append(unknown, forbidden...)
		}
		forms := []any{}
		for _, gid := range g.members {
			forms = append(forms, map[string]any{"gid_uuid": gid, "display_name": w.display(gid), "owner": gid == g.owner})
		}
		return anyPage(q, forms)
	case call == "POST members":
		return w.addMember(q, g)
	}
	who, _ := uuid(rest[2])
	switch there := slices.Contains(g.members, who); {
	case !owner && who != q.me:
		return forbidden
	case owner && who == q.me:
		return []outcome{refuse(400, "", nil)}
	case !there && !owner:
		return append(unknown, forbidden...)
	case !there:
		return unknown
	}
	return []outcome{{status: 204, apply: func(any) { g.leave(who) }}}
}

func (w *world) addMember(q *request, g *group) []outcome {
	who, ok := uuid(q.body.(map[string]any)["gid_uuid"])
	blocked := refuse(403, "blocked", nil)
	switch {
	case g.owner != q.me:
		return []outcome{refuse(403, "forbidden", nil)}
	case !ok:
		return []outcome{refuse(400, "missing_field bad_field bad_uuid", field("gid_uuid"))}
	case slices.Contains(g.members, who):
		may := []outcome{{status: 200, body: anything}}
		if slices.Contains(w.blocks[who], q.me) {
			may = append(may, blocked)
		}
		return may
	case slices.Contains(w.blocks[who], q.me):
		return []outcome{blocked}
	}
	return []outcome{{status: 201, body: anything, apply: func(any) { g.members = append(g.members, who) }}}
}

// anyPage is a page of a list whose order nobody has promised.
func anyPage(q *request, list []any) []outcome {
	var malformed []outcome
	skip, limit := pageOf(q, &malformed)
	if malformed != nil {
		return malformed
	}
	return []outcome{{status: 200, body: some{list, len(page(list, skip, limit))}}}
}
