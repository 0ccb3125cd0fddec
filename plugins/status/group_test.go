package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
)

func gidUUID(name string) string { return fmt.Sprintf(`{"gid_uuid":%q}`, uuidOf(name)) }

func TestAGroupIsMadeChangedAndDeletedByItsOwner(t *testing.T) {
	s := newScene(t)
	r := s.ok("ann", "POST", "/v1/groups", `{"name":"riders"}`, 201)
	g := r.Text("gid_uuid")
	want := fmt.Sprintf(`{"created_at":"2026-01-01T00:00:00.000Z","gid_uuid":%q,"members":1,"name":"riders","open":false,"owner":%q}`, g, uuidOf("ann"))
	if r.String() != "201 "+want {
		t.Fatalf("got %s, want %s", r, want)
	}
	if r := s.ok("ann", "GET", "/v1/groups/"+strings.ToUpper(g), "", 200); r.String() != "200 "+want {
		t.Error(r)
	}
	if r := s.ok("ann", "GET", "/v1/groups", "", 200); r.String() != "200 ["+want+"]" {
		t.Error(r)
	}
	s.ok("ann", "PUT", "/v1/groups/"+g, `{"open":true}`, 200)
	if r := s.ok("ann", "PUT", "/v1/groups/"+g, `{"name":"runners"}`, 200); r.Text("name") != "runners" || r.Text("open") != "true" {
		t.Error(r)
	}
	s.refused("bob", "PUT", "/v1/groups/"+g, `{"name":"mine"}`, 403, "forbidden", "uuid")
	s.refused("bob", "DELETE", "/v1/groups/"+g, "", 403, "forbidden", "uuid")
	s.ok("ann", "PUT", "/v1/groups/"+g, `{"open":false}`, 200)
	s.refused("bob", "PUT", "/v1/groups/"+g, `{"name":"mine"}`, 404, "not_found", "uuid")
	s.refused("bob", "DELETE", "/v1/groups/"+g, "", 404, "not_found", "uuid")
	s.ok("ann", "DELETE", "/v1/groups/"+g, "", 204)
	s.refused("ann", "GET", "/v1/groups/"+g, "", 404, "not_found", "uuid")
	if s.Host.Len() != 0 {
		t.Errorf("%d entries are left of the group", s.Host.Len())
	}
}

func TestAGroupWithoutAProperNameIsRefused(t *testing.T) {
	s := newScene(t)
	g := s.group("ann", "")
	s.refused("ann", "POST", "/v1/groups", `{}`, 400, "missing_field", "name")
	s.refused("ann", "POST", "/v1/groups", `{"name":"x","open":1}`, 400, "bad_field", "open")
	for _, name := range []string{`""`, `5`, `"` + strings.Repeat("x", 151) + `"`} {
		s.refused("ann", "POST", "/v1/groups", `{"name":`+name+`}`, 400, "bad_field", "name")
		s.refused("ann", "PUT", "/v1/groups/"+g, `{"name":`+name+`}`, 400, "bad_field", "name")
	}
	s.refused("ann", "PUT", "/v1/groups/"+g, `{"open":"yes"}`, 400, "bad_field", "open")
	for _, call := range []string{"POST /v1/groups", "PUT /v1/groups/" + g, "POST /v1/groups/" + g + "/members"} {
		method, path, _ := strings.Cut(call, " ")
		s.refused("ann", method, path, `[]`, 400, "bad_body", "")
	}
}

func TestWhoMaySeeAGroupDependsOnWhetherItIsOpen(t *testing.T) {
	s := newScene(t)
	closed, open := s.group("ann", ""), s.group("ann", `,"open":true`)
	for _, call := range []struct {
		method, path, json string
	}{
		{"GET", "", ""}, {"PUT", "", "{}"}, {"DELETE", "", ""}, {"GET", "/members", ""}, {"POST", "/members", gidUUID("cas")},
		{"DELETE", "/members/" + uuidOf("ann"), ""}, {"DELETE", "/members/" + uuidOf("bob"), ""}, {"POST", "/leave", ""},
	} {
		s.refused("bob", call.method, "/v1/groups/"+closed+call.path, call.json, 404, "not_found", "uuid")
		s.refused("bob", call.method, "/v1/groups/"+uuidOf("bob")+call.path, call.json, 404, "not_found", "uuid")
	}
	s.refused("bob", "POST", "/v1/groups/"+closed+"/join", "", 403, "closed", "uuid")
	s.refused("bob", "POST", "/v1/groups/"+uuidOf("bob")+"/join", "", 404, "not_found", "uuid")
	s.ok("bob", "GET", "/v1/groups/"+open, "", 200)
	s.refused("bob", "GET", "/v1/groups/"+open+"/members", "", 403, "forbidden", "uuid")
	s.refused("bob", "POST", "/v1/groups/"+open+"/leave", "", 404, "not_found", "uuid")
	s.refused("bob", "POST", "/v1/groups/"+open+"/members", gidUUID("bob"), 403, "forbidden", "uuid")
	if r := s.ok("bob", "POST", "/v1/groups/"+open+"/join", "", 200); r.Text("members") != "2" {
		t.Error(r)
	}
	if r := s.ok("bob", "POST", "/v1/groups/"+open+"/join", "", 200); r.Text("members") != "2" {
		t.Error(r)
	}
	s.ok("bob", "GET", "/v1/groups/"+open+"/members", "", 200)
	s.ok("bob", "POST", "/v1/groups/"+open+"/leave", "", 204)
	if r := s.ok("ann", "GET", "/v1/groups/"+open, "", 200); r.Text("members") != "1" {
		t.Error(r)
	}
}

func TestMembersAreAddedAndRemovedByTheOwnerAndLeaveByThemselves(t *testing.T) {
	s := newScene(t)
	g := s.group("ann", "")
	members := "/v1/groups/" + g + "/members"
	s.ok("bob", "PUT", "/v1/identities/me", `{"display_name":"Bob"}`, 200)
	r := s.ok("ann", "POST", members, gidUUID("bob"), 201)
	if want := fmt.Sprintf(`201 {"display_name":"Bob","gid_uuid":%q,"owner":false}`, uuidOf("bob")); r.String() != want {
		t.Errorf("got %s, want %s", r, want)
	}
	s.ok("ann", "POST", members, gidUUID("bob"), 200)
	s.ok("ann", "POST", members, gidUUID("cas"), 201)
	if r := s.ok("ann", "POST", members, gidUUID("ann"), 200); r.Text("owner") != "true" {
		t.Error(r)
	}
	s.refused("ann", "POST", members, `{}`, 400, "missing_field", "gid_uuid")
	s.refused("ann", "POST", members, `{"gid_uuid":"x"}`, 400, "bad_uuid", "gid_uuid")
	s.refused("bob", "POST", members, gidUUID("dan"), 403, "forbidden", "uuid")

	seen := map[string]bool{}
	for page := 1; ; page++ {
		r := s.ok("bob", "GET", fmt.Sprint(members, "?per_page=2&page=", page), "", 200)
		if r.Field("0") == nil {
			break
		}
		for i := 0; r.Field(fmt.Sprint(i)) != nil; i++ {
			id := r.Text(fmt.Sprint(i, ".gid_uuid"))
			if seen[id] || (r.Text(fmt.Sprint(i, ".owner")) == "true") != (id == uuidOf("ann")) {
				t.Error(r)
			}
			seen[id] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d members, want 3", len(seen))
	}

	s.refused("bob", "DELETE", members+"/"+uuidOf("cas"), "", 403, "forbidden", "member")
	s.refused("bob", "DELETE", members+"/"+uuidOf("ann"), "", 403, "forbidden", "member")
	s.refused("ann", "DELETE", members+"/"+uuidOf("ann"), "", 400, "owner", "member")
	s.refused("ann", "DELETE", members+"/"+uuidOf("dan"), "", 404, "not_found", "member")
	s.refused("ann", "POST", "/v1/groups/"+g+"/leave", "", 409, "owner", "uuid")
	s.ok("ann", "DELETE", members+"/"+uuidOf("bob"), "", 204)
	s.ok("cas", "DELETE", members+"/"+uuidOf("cas"), "", 204)
	s.refused("cas", "DELETE", members+"/"+uuidOf("cas"), "", 404, "not_found", "uuid")
	if r := s.ok("ann", "GET", members, "", 200); r.Field("1") != nil {
		t.Error(r)
	}
}

func TestWhoHasBlockedTheOwnerCannotBeAddedButMayJoin(t *testing.T) {
	s := newScene(t)
	g := s.group("ann", `,"open":true`)
	s.ok("bob", "POST", "/v1/blocks", gidUUID("ann"), 201)
	s.refused("ann", "POST", "/v1/groups/"+g+"/members", gidUUID("bob"), 403, "blocked", "gid_uuid")
	s.ok("bob", "POST", "/v1/groups/"+g+"/join", "", 200)
	s.ok("ann", "POST", "/v1/groups/"+g+"/members", gidUUID("bob"), 200)
}

func TestGroupsHaveBounds(t *testing.T) {
	s := newScene(t)
	g := s.group("ann", `,"open":true`)
	s.within(func(r *guest.Request) error {
		id, _, _ := parseUUID(g)
		full, err := loadGroup(r.KV(), id)
		if err != nil {
			return err
		}
		full.members = maxMembers
		if err := full.save(r.KV()); err != nil {
			return err
		}
		for i := range maxGroups {
			crowd := &identity{id: gid{byte(i >> 8), byte(i)}, group: true}
			if err := crowd.save(r.KV()); err != nil {
				return err
			}
			if err := r.KV().Put(membershipKey(identityOf("bob"), crowd.id), nil); err != nil {
				return err
			}
		}
		return nil
	})
	s.refused("cas", "POST", "/v1/groups/"+g+"/join", "", 409, "too_many", "uuid")
	s.refused("ann", "POST", "/v1/groups/"+g+"/members", gidUUID("cas"), 409, "too_many", "uuid")
	s.refused("bob", "POST", "/v1/groups", `{"name":"one more"}`, 409, "too_many", "gid_uuid")
	if r := s.ok("bob", "GET", "/v1/groups?per_page=500", "", 200); r.Field("499") == nil || r.Field("500") != nil {
		t.Error("not all groups are listed")
	}
	if r := s.ok("bob", "GET", "/v1/groups?per_page=300&page=2", "", 200); r.Field("199") == nil || r.Field("200") != nil {
		t.Error("the second page is not what is left")
	}
}

func TestAGroupOfManyIsGoneAtOnceAndItsMembershipsBitByBit(t *testing.T) {
	s := newScene(t)
	g := s.group("ann", `,"open":true`)
	id, _, _ := parseUUID(g)
	for part := range 2 {
		s.within(func(r *guest.Request) error {
			for i := range 1000 {
				who := gid{byte(part), byte(i >> 8), byte(i), 1}
				if err := r.KV().Put(memberKey(id, who), nil); err != nil {
					return err
				}
				if err := r.KV().Put(membershipKey(who, id), nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	s.ok("bob", "POST", "/v1/groups/"+g+"/join", "", 200)
	conn := s.listens("bob", `"*"`)
	s.share("ann", toMembers(g))
	before := s.upload("ann", "mood", "web")
	heard(t, conn, before)
	s.sees("bob", "", before)
	s.ok("ann", "DELETE", "/v1/groups/"+g, "", 204)
	s.sees("bob", "")
	s.upload("ann", "mood", "web")
	heard(t, conn)
	heard(t, s.listens("bob", `"*"`))
	if r := s.ok("bob", "GET", "/v1/groups", "", 200); r.String() != "200 []" {
		t.Error(r)
	}
	other := s.group("cas", `,"open":true`)
	for range 3 {
		s.ok("dan", "POST", "/v1/groups/"+other+"/join", "", 200)
		s.ok("dan", "POST", "/v1/groups/"+other+"/leave", "", 204)
	}
	s.within(func(r *guest.Request) error {
		for _, prefix := range [][]byte{membersKey(id), buriedGroupsKey()} {
			if keys, err := keysUnder(r.KV(), prefix, 0, everything); err != nil || len(keys) > 0 {
				t.Errorf("%d keys are left under %q, %v", len(keys), prefix, err)
			}
		}
		return nil
	})
}

func TestKeysAreListedFromAnywhereToAnywhere(t *testing.T) {
	s := newScene(t)
	s.within(func(r *guest.Request) error {
		for i := range 2500 {
			if err := r.KV().Put(memberKey(gid{1}, gid{byte(i >> 8), byte(i)}), nil); err != nil {
				return err
			}
		}
		for _, q := range []struct{ skip, limit, first, n int }{
			{0, everything, 0, 2500}, {0, 10, 0, 10}, {999, 2, 999, 2}, {1000, 1, 1000, 1}, {1500, 1000, 1500, 1000},
			{2499, 500, 2499, 1}, {2500, 500, 0, 0}, {everything, 500, 0, 0}, {0, 2500, 0, 2500}, {0, 1000, 0, 1000},
		} {
			keys, err := keysUnder(r.KV(), membersKey(gid{1}), q.skip, q.limit)
			if err != nil || len(keys) != q.n || q.n > 0 && lastGID(keys[0]) != (gid{byte(q.first >> 8), byte(q.first)}) {
				t.Errorf("%+v: %d keys, %v", q, len(keys), err)
			}
		}
		return nil
	})
}
