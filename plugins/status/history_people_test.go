//go:build !wasip1

package main_test

import (
	"fmt"
	"strings"
)

// permissionBody writes fields of a permission, on POST all that it must have.
func (a *author) permissionBody(all bool) string {
	body := map[string]any{}
	if all || a.IntN(4) == 0 {
		body["source"], body["type"] = pick(a, "*", "*", a.source()), pick(a, "*", "*", a.kind())
	}
	if all || a.IntN(3) == 0 {
		body["recipient_type"] = pick(a, "all", "contacts", "group", "individual")
		body["recipient_uuid"] = a.gid()
		if body["recipient_type"] == "group" {
			body["recipient_uuid"] = a.ref(a.groups).String()
		}
	}
	if a.IntN(20) == 0 {
		body["recipient_type"] = pick[any](a, "friends", 7, nil, "group", "individual", "all")
	}
	if a.IntN(10) == 0 {
		delete(body, "recipient_uuid")
	}
	for _, name := range []string{"valid_from", "valid_to"} {
		switch a.IntN(16) {
		case 0, 1:
			body[name] = a.date()
		case 2:
			body[name] = pick[any](a, nil, "")
		}
	}
	return encode(body)
}

func (m made) String() string { return fmt.Sprintf("{#%d}", m.number) }

// ref picks something that a step may have made.
func (a *author) ref(list []made) made {
	if len(list) == 0 || a.IntN(25) == 0 {
		return made{who: "ann", number: 0}
	}
	return pick(a, list...)
}

func (a *author) permit(who string) step {
	a.permissions = append(a.permissions, made{who, a.number + 1})
	return step{who: who, method: "POST", path: "/v1/status/permissions", body: a.permissionBody(true)}
}

// change changes, ends or reads a permission.
func (a *author) change(who string) step {
	p := a.ref(a.permissions)
	if a.IntN(10) > 0 {
		who = p.who
	}
	path := "/v1/status/permissions/" + p.String()
	switch a.IntN(10) {
	case 0:
		return step{who: who, method: "GET", path: path}
	case 1:
		return step{who: who, method: "GET", path: "/v1/status/permissions" + a.filters(2, "page", "per_page")}
	case 2, 3, 4:
		return step{who: who, method: "DELETE", path: path}
	}
	return step{who: who, method: "PUT", path: path, body: a.permissionBody(false)}
}

func (a *author) people(who string) step {
	list := pick(a, "/v1/contacts", "/v1/contacts", "/v1/blocks")
	switch n := a.IntN(20); {
	case n < 9 || n < 14 && len(a.listed) == 0:
		gid := a.gid()
		a.listed = append(a.listed, who+" "+list+"/"+gid)
		return step{who: who, method: "POST", path: list, body: encode(map[string]any{"gid_uuid": gid})}
	case n < 14:
		who, path, _ := strings.Cut(pick(a, a.listed...), " ")
		return step{who: who, method: "DELETE", path: path}
	case n < 16:
		return step{who: who, method: "GET", path: list + a.filters(2, "page", "per_page")}
	case n < 17:
		return step{who: who, method: "GET", path: "/v1/identities/me"}
	case n < 18:
		name := pick[any](a, "Somebody", nil, strings.Repeat("n", 150), strings.Repeat("n", 151), 7)
		return step{who: who, method: "PUT", path: "/v1/identities/me", body: encode(map[string]any{"display_name": name})}
	case n < 19:
		return step{who: who, method: "GET", path: "/v1/identities/" + a.ref(a.groups).String()}
	}
	return step{who: who, method: "GET", path: "/v1/identities/" + a.gid()}
}

func (a *author) group(who string) step {
	if len(a.groups) == 0 || a.IntN(5) == 0 {
		a.groups = append(a.groups, made{who, a.number + 1})
		body := pick(a, `{"name":"team"}`, `{"name":"team","open":true}`, `{"name":"tëam","open":false}`, `{"name":"team","open":true}`)
		if a.IntN(15) == 0 {
			body = pick(a, `{}`, `{"name":""}`, `{"name":7}`, `{"name":"x","open":"yes"}`)
		}
		return step{who: who, method: "POST", path: "/v1/groups", body: body}
	}
	g := a.ref(a.groups)
	owner := who
	if a.IntN(6) > 0 {
		owner = g.who
	}
	path := "/v1/groups/" + g.String()
	switch n := a.IntN(24); {
	case n < 8:
		return step{who: owner, method: "POST", path: path + "/members", body: encode(map[string]any{"gid_uuid": a.gid()})}
	case n < 11:
		return step{who: who, method: "POST", path: path + "/join"}
	case n < 14:
		return step{who: who, method: "POST", path: path + "/leave"}
	case n < 16:
		return step{who: pick(a, who, owner), method: "DELETE", path: path + "/members/" + pick(a, a.gid(), "@"+who)}
	case n < 17:
		return step{who: owner, method: "DELETE", path: path}
	case n < 19:
		body := pick(a, `{"name":"crew","open":true}`, `{"name":"crew","open":false}`)
		return step{who: owner, method: "PUT", path: path, body: body}
	case n < 20:
		return step{who: who, method: "GET", path: "/v1/groups" + a.filters(2, "page", "per_page")}
	case n < 22:
		return step{who: who, method: "GET", path: path + "/members" + a.filters(3, "page", "per_page")}
	}
	return step{who: who, method: "GET", path: path}
}
