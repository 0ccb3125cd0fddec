package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

var errNoApp = guest.Errorf(404, "not_found", "There is no application with this id.")

// findApp returns an application, also a revoked one.
func findApp(kv *guest.KV, id string) (a app, found bool, err error) {
	if !isRandom(id, appIDSize) {
		return a, false, nil
	}
	record, found, err := kv.Get(appKey(id))
	if err != nil || !found {
		return a, false, err
	}
	a, err = readApp(record)
	return a, err == nil, err
}

// callingApp returns the id of the application that the api_key is of.
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
	return id, nil
}

// createApp answers POST /apps {"name"}. It is the one time that the secret is
// shown.
func createApp(w *guest.Response, r *guest.Request) error {
	name, ok := r.Body().Get("name").Text()
	if !ok || name == "" {
		return guest.Errorf(400, "missing_parameter", `The body must be an object with "name", a text that is not empty.`)
	}
	if err := checkText("name", name, maxName); err != nil {
		return err
	}
	id := random(appIDSize)
	a := app{name: name, secret: random(secretSize), created: r.Time().UnixMicro()}
	if err := r.KV().Put(appKey(id), a.record()); err != nil {
		return err
	}
	w.Status(201)
	w.Header("Location", "/apps/"+id)
	v := w.Value()
	v.Map()
	entry(v, "id", id)
	entry(v, "secret", a.secret)
	entry(v, "name", a.name)
	entryTime(v, "created", a.created)
	v.End()
	return nil
}

const maxAppsPage = 500

// listApps answers GET /apps?limit=&after= in the order of the ids.
func listApps(w *guest.Response, r *guest.Request) error {
	limit, err := r.Int("limit", 100)
	if err != nil {
		return err
	}
	limit = min(max(limit, 1), maxAppsPage)
	all := guest.Prefix([]byte("a/"))
	all.Limit = int(limit)
	if after := r.Query("after"); after != "" {
		if !isRandom(after, appIDSize) {
			return guest.Errorf(400, "bad_parameter", "after is not the id of an application.")
		}
		all.Start = append(appKey(after), 0)
	}
	page, err := r.KV().Scan(all)
	if err != nil {
		return err
	}
	v := w.Value()
	v.Map()
	v.Key("items")
	v.Array()
	var last string
	for _, e := range page.Entries {
		a, err := readApp(e.Value)
		if err != nil {
			return err
		}
		last = string(e.Key[len("a/"):])
		appendApp(v, last, &a)
	}
	v.End()
	if page.More {
		entry(v, "next", last)
	}
	v.End()
	return nil
}

// showApp answers GET /apps/:id.
func showApp(w *guest.Response, r *guest.Request) error {
	id := r.Param("id")
	a, found, err := findApp(r.KV(), id)
	if err != nil {
		return err
	}
	if !found {
		return errNoApp
	}
	appendApp(w.Value(), id, &a)
	return nil
}

// revokeApp answers DELETE /apps/:id. The record stays, so that the holder of a
// token is told why it stopped working; the credential check reads it, so every
// token of the application stops at once, however many there are.
func revokeApp(w *guest.Response, r *guest.Request) error {
	id := r.Param("id")
	a, found, err := findApp(r.KV(), id)
	if err != nil {
		return err
	}
	if !found {
		return errNoApp
	}
	if a.revoked == 0 {
		a.revoked = r.Time().UnixMicro()
		if err := r.KV().Put(appKey(id), a.record()); err != nil {
			return err
		}
	}
	appendApp(w.Value(), id, &a)
	return nil
}

// appendApp writes what is shown of an application: never its secret.
func appendApp(v *abi.Writer, id string, a *app) {
	v.Map()
	entry(v, "id", id)
	entry(v, "name", a.name)
	entryTime(v, "created", a.created)
	if a.revoked != 0 {
		entryTime(v, "revoked", a.revoked)
	}
	v.End()
}
