package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func (i *identity) writeGroup(w *abi.Writer) {
	w.Map()
	writeText(w, "gid_uuid", i.id.String())
	writeText(w, "name", i.display)
	w.Key("open")
	w.Bool(i.open)
	writeText(w, "owner", i.owner.String())
	w.Key("members")
	w.Int(i.members)
	writeText(w, "created_at", formatDate(i.created))
	w.End()
}

// visibleGroup returns the group that the path names, and whether the caller is a
// member. One who is not finds only open ones.
func visibleGroup(r *guest.Request) (g *identity, member bool, err error) {
	id, err := pathUUID(r, "uuid")
	if err != nil {
		return nil, false, err
	}
	if g, err = loadGroup(r.KV(), id); err != nil {
		return nil, false, err
	}
	if g == nil {
		return nil, false, notFound("uuid")
	}
	if member, err = isMember(r.KV(), id, me(r)); err != nil {
		return nil, false, err
	}
	if !member && !g.open {
		return nil, false, notFound("uuid")
	}
	return g, member, nil
}

// ownGroup returns the group that the path names, if the caller is its owner.
func ownGroup(r *guest.Request) (*identity, error) {
	g, _, err := visibleGroup(r)
	if err == nil && g.owner != me(r) {
		return nil, fail(403, "forbidden", "uuid", "group: only its owner may do that")
	}
	return g, err
}

// createGroup: POST /v1/groups
func createGroup(w *guest.Response, r *guest.Request) error {
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	g := &identity{id: newUUID(), group: true, owner: me(r), created: r.Time().UnixMicro()}
	if g.display, err = body.text("name", maxName); err != nil {
		return err
	}
	if g.open, err = body.bool("open", false); err != nil {
		return err
	}
	if err := tidy(r.KV()); err != nil {
		return err
	}
	if err := g.add(r, g.owner); err != nil {
		return err
	}
	w.Status(201)
	g.writeGroup(w.Value())
	return nil
}

// listGroups: GET /v1/groups
func listGroups(w *guest.Response, r *guest.Request) error {
	skip, limit, err := pageOf(r, maxPerPage)
	if err != nil {
		return err
	}
	groups, err := groupsOf(r.KV(), me(r))
	if err != nil {
		return err
	}
	groups = groups[min(skip, len(groups)):]
	v := w.Value()
	v.Array()
	for _, g := range groups[:min(limit, len(groups))] {
		g.writeGroup(v)
	}
	v.End()
	return nil
}

// getGroup: GET /v1/groups/:uuid
func getGroup(w *guest.Response, r *guest.Request) error {
	g, _, err := visibleGroup(r)
	if err != nil {
		return err
	}
	g.writeGroup(w.Value())
	return nil
}

// putGroup: PUT /v1/groups/:uuid
func putGroup(w *guest.Response, r *guest.Request) error {
	g, err := ownGroup(r)
	if err != nil {
		return err
	}
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	if body.value("name").Exists() {
		if g.display, err = body.text("name", maxName); err != nil {
			return err
		}
	}
	if g.open, err = body.bool("open", g.open); err != nil {
		return err
	}
	if err := g.save(r.KV()); err != nil {
		return err
	}
	g.writeGroup(w.Value())
	return nil
}

// deleteGroup: DELETE /v1/groups/:uuid
func deleteGroup(w *guest.Response, r *guest.Request) error {
	g, err := ownGroup(r)
	if err != nil {
		return err
	}
	w.Status(204)
	return g.delete(r)
}

func (i *identity) writeMember(w *abi.Writer, id gid, person *identity) {
	display := ""
	if person != nil {
		display = person.display
	}
	w.Map()
	writeText(w, "gid_uuid", id.String())
	writeTextOrNull(w, "display_name", display)
	w.Key("owner")
	w.Bool(id == i.owner)
	w.End()
}

// listMembers: GET /v1/groups/:uuid/members
func listMembers(w *guest.Response, r *guest.Request) error {
	g, member, err := visibleGroup(r)
	if err != nil {
		return err
	}
	if !member {
		return fail(403, "forbidden", "uuid", "group: only its members may see who they are")
	}
	skip, limit, err := pageOf(r, maxPerPage)
	if err != nil {
		return err
	}
	keys, err := keysUnder(r.KV(), membersKey(g.id), skip, limit)
	if err != nil {
		return err
	}
	ids := make([]gid, len(keys))
	for n, k := range keys {
		ids[n] = lastGID(k)
	}
	people, err := loadIdentities(r.KV(), ids)
	if err != nil {
		return err
	}
	v := w.Value()
	v.Array()
	for n, id := range ids {
		g.writeMember(v, id, people[n])
	}
	v.End()
	return nil
}

// addMember: POST /v1/groups/:uuid/members
func addMember(w *guest.Response, r *guest.Request) error {
	kv := r.KV()
	g, err := ownGroup(r)
	if err != nil {
		return err
	}
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	id, err := body.uuid("gid_uuid")
	if err != nil {
		return err
	}
	member, err := isMember(kv, g.id, id)
	if err != nil {
		return err
	}
	if !member {
		blocks, err := loadRoster(kv, blocksKey(id))
		if err != nil {
			return err
		}
		if blocks.has(g.owner) {
			return fail(403, "blocked", "gid_uuid", "gid_uuid: has blocked you")
		}
		if err := tidy(kv); err != nil {
			return err
		}
		if err := g.add(r, id); err != nil {
			return err
		}
		w.Status(201)
	}
	person, err := loadIdentity(kv, id)
	if err != nil {
		return err
	}
	g.writeMember(w.Value(), id, person)
	return nil
}

// removeMember: DELETE /v1/groups/:uuid/members/:member
func removeMember(w *guest.Response, r *guest.Request) error {
	g, _, err := visibleGroup(r)
	if err != nil {
		return err
	}
	id, err := pathUUID(r, "member")
	if err != nil {
		return err
	}
	self := me(r)
	switch {
	case self != g.owner && self != id:
		return fail(403, "forbidden", "member", "group: only its owner may remove others")
	case id == g.owner:
		return fail(400, "owner", "member", "group: its owner cannot leave it, only delete it")
	}
	member, err := isMember(r.KV(), g.id, id)
	if err != nil {
		return err
	}
	if !member {
		return notFound("member")
	}
	if err := tidy(r.KV()); err != nil {
		return err
	}
	w.Status(204)
	return g.remove(r, id)
}

// joinGroup: POST /v1/groups/:uuid/join
func joinGroup(w *guest.Response, r *guest.Request) error {
	kv, self := r.KV(), me(r)
	id, err := pathUUID(r, "uuid")
	if err != nil {
		return err
	}
	g, err := loadGroup(kv, id)
	if err != nil {
		return err
	}
	if g == nil {
		return notFound("uuid")
	}
	member, err := isMember(kv, id, self)
	if err != nil {
		return err
	}
	if !member {
		if !g.open {
			return fail(403, "closed", "uuid", "group: is closed: its owner adds its members")
		}
		if err := tidy(kv); err != nil {
			return err
		}
		if err := g.add(r, self); err != nil {
			return err
		}
	}
	g.writeGroup(w.Value())
	return nil
}

// leaveGroup: POST /v1/groups/:uuid/leave
func leaveGroup(w *guest.Response, r *guest.Request) error {
	g, member, err := visibleGroup(r)
	if err != nil {
		return err
	}
	switch {
	case !member:
		return notFound("uuid")
	case g.owner == me(r):
		return fail(409, "owner", "uuid", "group: its owner cannot leave it, only delete it")
	}
	if err := tidy(r.KV()); err != nil {
		return err
	}
	w.Status(204)
	return g.remove(r, me(r))
}
