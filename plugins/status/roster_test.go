package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
)

func TestARosterIsWhatAListWouldBe(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var roster roster
	var list []gid
	for range 500 {
		id := gid{0: byte(random.IntN(3)), 15: byte(random.IntN(5))}
		index := slices.Index(list, id)
		if roster.index(id) != index || roster.has(id) != (index >= 0) {
			t.Fatalf("%v stands at %d, want %d", id, roster.index(id), index)
		}
		before := slices.Clone(roster)
		if old := roster; index < 0 {
			roster, list = roster.with(id), append(list, id)
			if !slices.Equal(old, before) {
				t.Fatal("the longer roster has changed the shorter one")
			}
		} else {
			roster, list = roster.without(index), slices.Delete(list, index, index+1)
			if !slices.Equal(old, before) {
				t.Fatal("the shorter roster has changed the longer one")
			}
		}
		if got := slices.Collect(roster.all()); !slices.Equal(got, list) || roster.len() != len(list) {
			t.Fatalf("got %v, want %v", got, list)
		}
	}
}

// Contacts and blocks have the same way of being listed, added and removed.
func TestContactsAndBlocksAreNamedOnceAndListedInTheirOrder(t *testing.T) {
	for _, kind := range []string{"/v1/contacts", "/v1/blocks"} {
		s := newScene(t)
		before := s.Host.Len()
		s.ok("bob", "PUT", "/v1/identities/me", `{"display_name":"Bob"}`, 200)
		for _, name := range []string{"zoe", "bob", "cas"} {
			json := fmt.Sprintf(`{"gid_uuid":%q}`, uuidOf(name))
			r := s.ok("ann", "POST", kind, json, 201)
			again := s.ok("ann", "POST", kind, json, 200)
			if r.Text("gid_uuid") != uuidOf(name) || again.JSON == nil || again.Text("gid_uuid") != uuidOf(name) {
				t.Error(r, again)
			}
		}
		want := fmt.Sprintf(`200 [{"display_name":null,"gid_uuid":%q},{"display_name":"Bob","gid_uuid":%q},{"display_name":null,"gid_uuid":%q}]`,
			uuidOf("zoe"), uuidOf("bob"), uuidOf("cas"))
		if r := s.ok("ann", "GET", kind, "", 200); r.String() != want {
			t.Errorf("%s: got %s, want %s", kind, r, want)
		}
		if r := s.ok("ann", "GET", kind+"?per_page=2&page=2", "", 200); r.Text("0.gid_uuid") != uuidOf("cas") || r.Field("1") != nil {
			t.Error(r)
		}
		for _, page := range []string{"?page=4", "?per_page=500&page=2", "?page=999999999999"} {
			if r := s.ok("ann", "GET", kind+page, "", 200); r.String() != "200 []" {
				t.Errorf("%s: %s", page, r)
			}
		}
		for parameter, query := range map[string]string{"page": "?page=0", "per_page": "?per_page=501"} {
			s.refused("ann", "GET", kind+query, "", 400, "bad_parameter", parameter)
		}
		if r := s.ok("bob", "GET", kind, "", 200); r.String() != "200 []" {
			t.Errorf("to be named is to name: %s", r)
		}
		for _, name := range []string{"zoe", "bob", "cas"} {
			s.ok("ann", "DELETE", kind+"/"+uuidOf(name), "", 204)
			s.refused("ann", "DELETE", kind+"/"+uuidOf(name), "", 404, "not_found", "uuid")
		}
		if s.Host.Len() != before+1 {
			t.Errorf("%s: %d entries are left behind the identity", kind, s.Host.Len()-before-1)
		}
	}
}

func TestWhatNamesNobodyElseIsRefused(t *testing.T) {
	s := newScene(t)
	for _, kind := range []string{"/v1/contacts", "/v1/blocks"} {
		s.refused("ann", "POST", kind, `{}`, 400, "missing_field", "gid_uuid")
		s.refused("ann", "POST", kind, `{"gid_uuid":null}`, 400, "missing_field", "gid_uuid")
		s.refused("ann", "POST", kind, `{"gid_uuid":"x"}`, 400, "bad_uuid", "gid_uuid")
		s.refused("ann", "POST", kind, `{"gid_uuid":5}`, 400, "bad_uuid", "gid_uuid")
		s.refused("ann", "POST", kind, fmt.Sprintf(`{"gid_uuid":%q}`, uuidOf("ann")), 400, "bad_field", "gid_uuid")
		if r := s.as("ann", "POST", kind, `[]`); r.Status != 400 || r.Text("error.code") != "bad_body" {
			t.Error(r)
		}
	}
}

func TestContactsAndBlocksHaveABound(t *testing.T) {
	s := newScene(t)
	s.within(func(r *guest.Request) error {
		for key, n := range map[string]int{string(contactsKey(identityOf("ann"))): maxContacts, string(blocksKey(identityOf("ann"))): maxBlocks} {
			var full roster
			for i := range n {
				full = full.with(gid{byte(i >> 8), byte(i)})
			}
			if err := full.save(r.KV(), []byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, kind := range []string{"/v1/contacts", "/v1/blocks"} {
		bob := fmt.Sprintf(`{"gid_uuid":%q}`, uuidOf("bob"))
		s.refused("ann", "POST", kind, bob, 409, "too_many", "gid_uuid")
		s.ok("ann", "POST", kind, fmt.Sprintf(`{"gid_uuid":%q}`, gid{}), 200)
		s.ok("ann", "DELETE", kind+"/"+gid{}.String(), "", 204)
		s.ok("ann", "POST", kind, bob, 201)
	}
}
