//go:build !wasip1

package main_test

import (
	"slices"
	"time"
)

type identity struct {
	display any
	created time.Time
}

func (w *world) identityCall(q *request, which string) []outcome {
	if which == "me" {
		body, _ := q.body.(map[string]any)
		display, given := body["display_name"]
		if text, ok := display.(string); display != nil && (!ok || len(text) > 150) {
			return []outcome{refuse(400, "bad_field", field("display_name"))}
		}
		is := identity{created: w.now}
		if old := w.identities[q.me]; old != nil {
			is = *old
		}
		if given {
			is.display = display
		}
		return []outcome{{status: 200, body: w.identityForm(q.me, &is), apply: func(any) { w.identities[q.me] = &is }}}
	}
	id, _ := uuid(which)
	if g := w.group(id); g != nil {
		open := outcome{status: 200, body: part{"gid_uuid": g.id, "display_name": g.name, "type": "group", "created_at": moment(g.created.UnixMicro())}}
		if g.open || slices.Contains(g.members, q.me) {
			return []outcome{open}
		}
		return []outcome{open, refuse(404, "not_found", nil)}
	}
	if is := w.identities[id]; is != nil {
		return []outcome{{status: 200, body: w.identityForm(id, is)}}
	}
	return []outcome{refuse(404, "not_found", nil)}
}

func (w *world) identityForm(gid string, is *identity) any {
	form := map[string]any{
		"gid_uuid": gid, "gid_name": nil, "display_name": is.display, "type": "individual", "created_at": moment(is.created.UnixMicro()),
	}
	if w.names[gid] != "" {
		form["gid_name"] = w.names[gid]
	}
	return form
}

func (w *world) display(gid string) any {
	if is := w.identities[gid]; is != nil {
		return is.display
	}
	return nil
}

// listed answers calls on contacts and on blocks, which are alike.
func (w *world) listed(q *request, lists map[string][]string, rest []string) []outcome {
	list := lists[q.me]
	switch q.method {
	case "GET":
		var malformed []outcome
		skip, limit := pageOf(q, &malformed)
		if malformed != nil {
			return malformed
		}
		forms := []any{}
		for _, gid := range page(list, skip, limit) {
			forms = append(forms, map[string]any{"gid_uuid": gid, "display_name": w.display(gid)})
		}
		return []outcome{{status: 200, body: forms}}
	case "POST":
		gid, ok := uuid(q.body.(map[string]any)["gid_uuid"])
		switch {
		case !ok:
			return []outcome{refuse(400, "missing_field bad_field bad_uuid", field("gid_uuid"))}
		case gid == q.me:
			return []outcome{refuse(400, "bad_field", field("gid_uuid"))}
		case slices.Contains(list, gid):
			return []outcome{{status: 200, body: part{"gid_uuid": gid}}}
		}
		return []outcome{{status: 201, body: part{"gid_uuid": gid}, apply: func(any) { lists[q.me] = append(list, gid) }}}
	}
	gid, _ := uuid(rest[0])
	if !slices.Contains(list, gid) {
		return []outcome{refuse(404, "not_found", nil)}
	}
	return []outcome{{status: 204, apply: func(any) {
		lists[q.me] = slices.DeleteFunc(slices.Clone(list), func(other string) bool { return other == gid })
	}}}
}
