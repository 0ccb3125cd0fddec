package main

import (
	"encoding/base64"
	"slices"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

var (
	errNoApp      = guest.Errorf(404, "not_found", "There is no application with this id.")
	errAppRevoked = guest.Errorf(409, "revoked", "The application was revoked, for good.")
)

// findApp returns an application, also a revoked one.
func findApp(kv *guest.KV, id string) (a app, found bool, err error) {
	found, err = a.find(kv, id, nil)
	return a, found, err
}

// find is findApp for an a that is nothing yet. The key takes the room of key.
func (a *app) find(kv *guest.KV, id string, key []byte) (found bool, err error) {
	if !isRandom(id, appIDSize) {
		return false, nil
	}
	record, found, err := kv.Get(append(append(key[:0], "a/"...), id...))
	if err != nil || !found {
		return false, err
	}
	err = a.read(record)
	return err == nil, err
}

// callingApp returns the id of the application that the api_key is of. Whoever
// gets a token through it will use it as one.
func callingApp(r *guest.Request) (string, error) {
	id, err := parameter(r, "api_key")
	if err != nil {
		return "", err
	}
	a, found, err := findApp(r.KV(), id)
	if err != nil {
		return "", err
	}
	if !found || a.revoked != 0 {
		return "", errKey
	}
	return id, a.admits(schemeToken, &abi.Credential{Kind: tokenProof, Family: "/v2", Origin: requestOrigin(r)})
}

// A manager is a side from which applications are managed: operators manage all
// of them, and developers those that their account owns.
type manager struct{ operator bool }

// find returns the application that the path names. To a developer, that of
// somebody else is one that is not there.
func (m manager) find(r *guest.Request) (id string, a app, err error) {
	id = r.Param("id")
	a, found, err := findApp(r.KV(), id)
	if err != nil {
		return id, a, err
	}
	if !found || !m.operator && (a.owner == "" || a.owner != r.Caller().Account) {
		return id, a, errNoApp
	}
	return id, a, nil
}

// create makes an application of what the body says; fn completes it. It is the
// one time that the secret is shown.
func (m manager) create(w *guest.Response, r *guest.Request, path string, fn func(a *app) error) error {
	list, err := fields(r)
	if err != nil {
		return err
	}
	id := random(appIDSize)
	a := app{secret: random(secretSize), created: r.Time().UnixMicro()}
	if a.schemes, err = defaultSchemes(r); err != nil {
		return err
	}
	if err := a.change(r, list, m.operator); err != nil {
		return err
	}
	if a.name == "" {
		return errNoName
	}
	if err := fn(&a); err != nil {
		return err
	}
	if a.owner != "" {
		if err := r.KV().Put(ownAppKey(a.owner, id), nil); err != nil {
			return err
		}
	}
	if err := r.KV().Put(appKey(id), a.record()); err != nil {
		return err
	}
	w.Status(201)
	w.Header("Location", path+"/"+id)
	m.showSecret(w, r, id, &a)
	return nil
}

// edit changes an application by fn.
func (m manager) edit(r *guest.Request, fn func(a *app) error) (id string, a app, err error) {
	if id, a, err = m.find(r); err != nil {
		return id, a, err
	}
	if a.revoked != 0 {
		return id, a, errAppRevoked
	}
	kv, owner := r.KV(), a.owner
	if err := fn(&a); err != nil {
		return id, a, err
	}
	if a.owner != owner {
		if owner != "" {
			if err := kv.Delete(ownAppKey(owner, id)); err != nil {
				return id, a, err
			}
		}
		if a.owner != "" {
			if err := kv.Put(ownAppKey(a.owner, id), nil); err != nil {
				return id, a, err
			}
		}
	}
	return id, a, kv.Put(appKey(id), a.record())
}

// show answers GET …/:id.
func (m manager) show(w *guest.Response, r *guest.Request) error {
	id, a, err := m.find(r)
	if err != nil {
		return err
	}
	m.append(w.Value(), r, id, "", &a)
	return nil
}

// update answers PUT …/:id.
func (m manager) update(w *guest.Response, r *guest.Request) error {
	list, err := fields(r)
	if err != nil {
		return err
	}
	id, a, err := m.edit(r, func(a *app) error { return a.change(r, list, m.operator) })
	if err != nil {
		return err
	}
	m.append(w.Value(), r, id, "", &a)
	return nil
}

// rotate answers POST …/:id/rotate {"grace"}, in seconds. It shows the new secret,
// this once.
func (m manager) rotate(w *guest.Response, r *guest.Request) error {
	grace, err := rotationGrace(r)
	if err != nil {
		return err
	}
	var list []field
	if r.BodyKind() != abi.BodyNone {
		if list, err = fields(r); err != nil {
			return err
		}
	}
	for i := range list {
		if list[i].name != "grace" {
			return list[i].unknown()
		}
		seconds, err := list[i].number(0, int64(maxGrace/time.Second))
		if err != nil {
			return err
		}
		grace = time.Duration(seconds) * time.Second
	}
	id, a, err := m.edit(r, func(a *app) error {
		a.rotate(r.Time().UnixMicro(), grace)
		return nil
	})
	if err != nil {
		return err
	}
	m.showSecret(w, r, id, &a)
	return nil
}

// revoke answers DELETE …/:id. The record stays, so that the holder of a token is
// told why it stopped working; the credential check reads it, so every token of
// the application stops at once, however many there are.
//
// Off its owner's list it goes only if the owner does it: otherwise the list is
// where they see what an operator has done.
func (m manager) revoke(w *guest.Response, r *guest.Request) error {
	id, a, err := m.find(r)
	if err != nil {
		return err
	}
	if a.revoked == 0 {
		a.revoked = r.Time().UnixMicro()
		if err := r.KV().Put(appKey(id), a.record()); err != nil {
			return err
		}
	}
	if !m.operator {
		if err := r.KV().Delete(ownAppKey(a.owner, id)); err != nil {
			return err
		}
	}
	m.append(w.Value(), r, id, "", &a)
	return nil
}

func (m manager) showSecret(w *guest.Response, r *guest.Request, id string, a *app) {
	w.Header("Cache-Control", "no-store")
	m.append(w.Value(), r, id, a.secret, a)
}

// append writes what is shown of an application: its secret only if it is given.
func (m manager) append(v *abi.Writer, r *guest.Request, id, secret string, a *app) {
	now := r.Time().UnixMicro()
	v.Map()
	entry(v, "id", id)
	if secret != "" {
		entry(v, "secret", secret)
	}
	entry(v, "name", a.name)
	entryTime(v, "created", a.created)
	entry(v, "state", a.state())
	if a.approved != 0 {
		entryTime(v, "approved", a.approved)
	}
	if a.revoked != 0 {
		entryTime(v, "revoked", a.revoked)
	}
	if a.owner != "" {
		entry(v, "owner", a.owner)
	}
	entryTexts(v, "schemes", a.schemes)
	entryTexts(v, "families", a.families)
	entryTexts(v, "origins", a.origins)
	entryTexts(v, "set_by_operator", a.fixed)
	// What each side calls rate is what it sets.
	own, other, otherName := a.rate, a.maxRate, "operator_rate"
	if m.operator {
		own, other, otherName = other, own, "owner_rate"
	}
	if own != 0 {
		entryInt(v, "rate", own)
	}
	if other != 0 {
		entryInt(v, otherName, other)
	}
	if len(a.key) > 0 {
		entry(v, "ed25519_key", base64.StdEncoding.EncodeToString(a.key))
	}
	if len(a.secrets(now)) > 1 {
		entryTime(v, "old_secret_until", a.secretUntil)
	}
	if len(a.keys(now)) > 1 {
		entryTime(v, "old_ed25519_key_until", a.keyUntil)
	}
	v.End()
}

func entryTexts(v *abi.Writer, key string, list []string) {
	if len(list) == 0 {
		return
	}
	v.Key(key)
	v.Array()
	for _, s := range list {
		v.Text(s)
	}
	v.End()
}

// createApp answers POST /apps. What an operator makes is approved.
func createApp(w *guest.Response, r *guest.Request) error {
	return operators.create(w, r, "/apps", func(a *app) error {
		a.approved = a.created
		return nil
	})
}

// approveApp answers POST /apps/:id/approve.
func approveApp(w *guest.Response, r *guest.Request) error {
	id, a, err := operators.edit(r, func(a *app) error {
		if a.approved == 0 {
			a.approved = r.Time().UnixMicro()
		}
		return nil
	})
	if err != nil {
		return err
	}
	operators.append(w.Value(), r, id, "", &a)
	return nil
}

// A page of applications has at most maxAppsPage; a request for one looks at
// maxAppsScans times as many where only some are asked for, and the page then has
// what it found.
const (
	maxAppsPage  = 500
	maxAppsScans = 10
)

// pageOfApps returns which part of the applications a request is for: how many of
// them at most, and the id to go on after.
func pageOfApps(r *guest.Request) (limit int, after string, err error) {
	n, err := r.Int("limit", 100)
	if err != nil {
		return 0, "", err
	}
	if after = r.Query("after"); after != "" && !isRandom(after, appIDSize) {
		return 0, "", guest.Errorf(400, "bad_parameter", "after is not the id of an application.")
	}
	return int(min(max(n, 1), maxAppsPage)), after, nil
}

// listApps answers GET /apps?state=&owner=&limit=&after= in the order of the ids.
func listApps(w *guest.Response, r *guest.Request) error {
	limit, after, err := pageOfApps(r)
	if err != nil {
		return err
	}
	state, owner := r.Query("state"), r.Query("owner")
	if state != "" && !slices.Contains([]string{"pending", "active", "revoked"}, state) {
		return guest.Errorf(400, "bad_parameter", "state: want pending, active or revoked.")
	}
	if owner != "" && !isRandom(owner, accountIDSize) {
		return guest.Errorf(400, "bad_parameter", "owner is not the id of an account.")
	}
	all := guest.Prefix(appKey(""))
	all.Limit = limit
	if state != "" || owner != "" {
		all.Limit = maxAppsPage
	}
	v := w.Value()
	v.Map()
	v.Key("items")
	v.Array()
	found, more := 0, true
	for scans := 0; more && found < limit && scans < maxAppsScans; scans++ {
		if after != "" {
			all.Start = append(appKey(after), 0)
		}
		page, err := r.KV().Scan(all)
		if err != nil {
			return err
		}
		more = page.More
		for i, e := range page.Entries {
			a, err := readApp(e.Value)
			if err != nil {
				return err
			}
			after = string(e.Key[len(appKey("")):])
			if state != "" && a.state() != state || owner != "" && a.owner != owner {
				continue
			}
			operators.append(v, r, after, "", &a)
			if found++; found == limit {
				more = more || i+1 < len(page.Entries)
				break
			}
		}
	}
	v.End()
	if more {
		entry(v, "next", after)
	}
	v.End()
	return nil
}

var operators = manager{operator: true}

func routeApps(apps *guest.Family) {
	operator, small := guest.Auth(operatorProof), guest.MaxBody(16<<10)
	apps.POST("/apps", createApp, operator, guest.JSON, small)
	apps.GET("/apps", listApps, operator)
	apps.GET("/apps/:id", operators.show, operator)
	apps.PUT("/apps/:id", operators.update, operator, guest.JSON, small)
	apps.POST("/apps/:id/approve", approveApp, operator)
	apps.POST("/apps/:id/rotate", operators.rotate, operator, guest.JSON, small)
	apps.DELETE("/apps/:id", operators.revoke, operator)
}
