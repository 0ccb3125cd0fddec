package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// ownAppKey is where an application stands on its owner's list.
func ownAppKey(account, id string) []byte { return []byte("o/" + account + "/" + id) }

var developers manager

// createOwnApp answers POST /1.0/apps: a developer asks for an application.
func createOwnApp(w *guest.Response, r *guest.Request) error {
	return developers.create(w, r, "/1.0/apps", func(a *app) error {
		a.owner = r.Caller().Account
		if err := haveRoom(r, a.owner); err != nil {
			return err
		}
		all, err := approvesAll(r)
		if all {
			a.approved = a.created
		}
		return err
	})
}

// haveRoom refuses a developer who has as many applications as one may. It reads
// the whole list, so of two requests at once one meets the other's application.
func haveRoom(r *guest.Request, account string) error {
	most, err := countSetting(r, "apps_per_account", 20)
	if err != nil {
		return err
	}
	live, list, more := 0, ownApps(account), true
	for more {
		var items []ownApp
		if items, more, err = readOwnApps(r.KV(), list); err != nil {
			return err
		}
		for _, item := range items {
			if item.revoked == 0 {
				live++
			}
		}
		if live >= most {
			return guest.Errorf(409, "too_many", "An account has at most %d applications; delete one first.", most)
		}
		if more {
			list.Start = append(ownAppKey(account, items[len(items)-1].id), 0)
		}
	}
	return nil
}

func ownApps(account string) abi.Range { return guest.Prefix(ownAppKey(account, "")) }

// An ownApp is an application on its owner's list.
type ownApp struct {
	id string
	app
}

// readOwnApps returns a part of a list, and whether there is more of it.
func readOwnApps(kv *guest.KV, part abi.Range) (list []ownApp, more bool, err error) {
	page, err := kv.Scan(part)
	if err != nil {
		return nil, false, err
	}
	list = make([]ownApp, len(page.Entries))
	keys := make([][]byte, len(list))
	for i, e := range page.Entries {
		list[i].id = string(e.Key[len(e.Key)-appIDSize:])
		keys[i] = appKey(list[i].id)
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return nil, false, err
	}
	for i, record := range records {
		if list[i].app, err = readApp(record); err != nil {
			return nil, false, err
		}
	}
	return list, page.More, nil
}

// listOwnApps answers GET /1.0/apps?limit=&after= in the order of the ids: the
// applications of the account but those that it has revoked itself.
func listOwnApps(w *guest.Response, r *guest.Request) error {
	limit, after, err := pageOfApps(r)
	if err != nil {
		return err
	}
	account := r.Caller().Account
	part := ownApps(account)
	part.Limit = limit
	if after != "" {
		part.Start = append(ownAppKey(account, after), 0)
	}
	list, more, err := readOwnApps(r.KV(), part)
	if err != nil {
		return err
	}
	v := w.Value()
	v.Map()
	v.Key("items")
	v.Array()
	for i := range list {
		developers.append(v, r, list[i].id, "", &list[i].app)
	}
	v.End()
	if more {
		entry(v, "next", list[len(list)-1].id)
	}
	v.End()
	return nil
}

// routeOwnApps is for developers. A browser's form can neither PUT nor DELETE, so
// there is a POST for both, as this family has it.
func routeOwnApps(f *guest.Family) {
	user, small := guest.Auth(tokenProof, sessionProof), guest.MaxBody(16<<10)
	f.POST("/1.0/apps", createOwnApp, user, guest.Any, small)
	f.GET("/1.0/apps", listOwnApps, user)
	f.GET("/1.0/apps/:id", developers.show, user)
	f.PUT("/1.0/apps/:id", developers.update, user, guest.Any, small)
	f.POST("/1.0/apps/:id/update", developers.update, user, guest.Any, small)
	f.POST("/1.0/apps/:id/rotate", developers.rotate, user, guest.Any, small)
	f.DELETE("/1.0/apps/:id", developers.revoke, user)
	f.POST("/1.0/apps/:id/delete", developers.revoke, user)
}
