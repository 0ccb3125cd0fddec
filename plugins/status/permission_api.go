package main

import (
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func (p *permission) write(w *abi.Writer, owner gid) {
	w.Map()
	writeText(w, "id", p.id.String())
	writeText(w, "gid_uuid", owner.String())
	writeText(w, "source", p.source)
	writeText(w, "type", p.kind)
	writeText(w, "recipient_type", audienceNames[p.audience])
	w.Key("recipient_uuid")
	if p.audience.named() {
		w.Text(p.recipient.String())
	} else {
		w.Nil()
	}
	writeText(w, "created_at", formatDate(p.created))
	writeText(w, "updated_at", formatDate(p.updated))
	writeTextOrNull(w, "valid_from", p.fromText)
	writeTextOrNull(w, "valid_to", p.untilText)
	w.End()
}

// change sets the fields that a client has sent; those that are absent stay.
func (p *permission) change(r *guest.Request, body object, owner gid) (err error) {
	if body.value("source").Exists() {
		if p.source, err = body.text("source", maxText); err != nil {
			return err
		}
	}
	if body.value("type").Exists() {
		if p.kind, err = body.text("type", maxText); err != nil {
			return err
		}
	}
	if err := p.changeRecipient(r, body, owner); err != nil {
		return err
	}
	if err := body.bound("valid_from", &p.from, &p.fromText, always); err != nil {
		return err
	}
	if err := body.bound("valid_to", &p.until, &p.untilText, never); err != nil {
		return err
	}
	if p.from >= p.until {
		return fail(400, "bad_field", "valid_to", "valid_to: want a time after valid_from, or there is nothing to share")
	}
	return nil
}

func (p *permission) changeRecipient(r *guest.Request, body object, owner gid) error {
	given := body.value("recipient_uuid")
	if v := body.value("recipient_type"); v.Exists() {
		name, _ := v.TextBytes()
		index := slices.IndexFunc(audienceNames[:], func(known string) bool { return known == string(name) })
		if index < 0 {
			return fail(400, "bad_field", "recipient_type", "recipient_type: want all, contacts, group or individual")
		}
		p.audience = audience(index)
	} else if !given.Exists() {
		return nil
	}
	if !p.audience.named() {
		p.recipient = gid{}
		return nil
	}
	if given.Exists() || p.recipient == (gid{}) {
		id, err := body.uuid("recipient_uuid")
		if err != nil {
			return err
		}
		p.recipient = id
	}
	if p.audience == toIndividual {
		if p.recipient == owner {
			return fail(400, "bad_field", "recipient_uuid", "recipient_uuid: is your own")
		}
		return nil
	}
	g, err := loadGroup(r.KV(), p.recipient)
	if err == nil && g == nil {
		return fail(400, "unknown_group", "recipient_uuid", "recipient_uuid: there is no such group")
	}
	return err
}

// bound reads a date that may be blank, which is none.
func (o object) bound(field string, at *instant, shown *string, none instant) error {
	v := o.value(field)
	if !v.Exists() {
		return nil
	}
	text, ok := v.Text()
	if v.IsNil() || ok && text == "" {
		*at, *shown = none, ""
		return nil
	}
	date, standard, valid := parseDate(text)
	if !ok || !valid {
		return fail(400, "bad_date", field, "%s: want an ISO-8601 date and time, such as 2026-11-21T10:15:00Z, or null", field)
	}
	if *at, *shown = date, text; !standard || len(text) > maxDateText {
		*shown = exactDate(date)
	}
	return nil
}

// createPermission: POST /v1/status/permissions
func createPermission(w *guest.Response, r *guest.Request) error {
	kv, owner, now := r.KV(), me(r), r.Time().UnixMicro()
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	for _, field := range []string{"source", "type", "recipient_type"} {
		if _, err := body.required(field); err != nil {
			return err
		}
	}
	p := permission{id: newUUID(), from: always, until: never, created: now, updated: now}
	if err := p.change(r, body, owner); err != nil {
		return err
	}
	list, err := loadPermissions(kv, owner)
	if err != nil {
		return err
	}
	if len(list) >= maxPermissions {
		return fail(409, "too_many", "", "permissions: you have %d, which is as many as there can be", maxPermissions)
	}
	list = append(list, p)
	if err := savePermissions(kv, owner, list); err != nil {
		return err
	}
	if err := reindex(kv, owner, nil, &p, list); err != nil {
		return err
	}
	w.Status(201)
	p.write(w.Value(), owner)
	return nil
}

// listPermissions: GET /v1/status/permissions
func listPermissions(w *guest.Response, r *guest.Request) error {
	skip, limit, err := pageOf(r, maxPerPage)
	if err != nil {
		return err
	}
	owner := me(r)
	list, err := loadPermissions(r.KV(), owner)
	if err != nil {
		return err
	}
	list = list[min(skip, len(list)):]
	list = list[:min(limit, len(list))]
	v := w.Value()
	v.Array()
	for i := range list {
		list[i].write(v, owner)
	}
	v.End()
	return nil
}

// ownPermission returns the caller's permissions, and where the one that the path
// names stands among them.
func ownPermission(r *guest.Request) (list []permission, index int, err error) {
	id, err := pathUUID(r, "id")
	if err != nil {
		return nil, 0, err
	}
	if list, err = loadPermissions(r.KV(), me(r)); err != nil {
		return nil, 0, err
	}
	index = slices.IndexFunc(list, func(p permission) bool { return p.id == id })
	if index < 0 {
		return nil, 0, notFound("id")
	}
	return list, index, nil
}

// getPermission: GET /v1/status/permissions/:id
func getPermission(w *guest.Response, r *guest.Request) error {
	list, index, err := ownPermission(r)
	if err != nil {
		return err
	}
	list[index].write(w.Value(), me(r))
	return nil
}

// putPermission: PUT /v1/status/permissions/:id
func putPermission(w *guest.Response, r *guest.Request) error {
	kv, owner := r.KV(), me(r)
	list, index, err := ownPermission(r)
	if err != nil {
		return err
	}
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	before, p := list[index], &list[index]
	if err := p.change(r, body, owner); err != nil {
		return err
	}
	p.updated = r.Time().UnixMicro()
	if err := savePermissions(kv, owner, list); err != nil {
		return err
	}
	if err := reindex(kv, owner, &before, p, list); err != nil {
		return err
	}
	w.Status(202)
	p.write(w.Value(), owner)
	return nil
}

// deletePermission: DELETE /v1/status/permissions/:id
func deletePermission(w *guest.Response, r *guest.Request) error {
	kv, owner := r.KV(), me(r)
	list, index, err := ownPermission(r)
	if err != nil {
		return err
	}
	before := list[index]
	list = slices.Delete(list, index, index+1)
	if err := savePermissions(kv, owner, list); err != nil {
		return err
	}
	if err := reindex(kv, owner, &before, nil, list); err != nil {
		return err
	}
	w.Status(204)
	return nil
}
