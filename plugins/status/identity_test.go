package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestAnIdentityIsStoredWhenItsOwnerFirstAsksForIt(t *testing.T) {
	s := newScene(t)
	s.refused("ann", "GET", "/v1/identities/"+uuidOf("ann"), "", 404, "not_found", "uuid")
	r := s.ok("ann", "GET", "/v1/identities/me", "", 200)
	if got, want := r.String(), fmt.Sprintf(`200 {"created_at":"2026-01-01T00:00:00.000Z","display_name":null,"gid_name":"ann@example","gid_uuid":%q,"type":"individual"}`, uuidOf("ann")); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	s.Advance(1e9)
	for _, path := range []string{"me", uuidOf("ann"), strings.ToUpper(uuidOf("ann"))} {
		if again := s.ok("ann", "GET", "/v1/identities/"+path, "", 200); again.String() != r.String() {
			t.Errorf("%s: got %s, want %s", path, again, r)
		}
	}
	if other := s.ok("bob", "GET", "/v1/identities/"+uuidOf("ann"), "", 200); other.String() != r.String() {
		t.Errorf("another one gets %s, want %s", other, r)
	}
}

func TestAnIdentityFollowsTheNameOfItsAccount(t *testing.T) {
	s := newScene(t)
	s.ok("ann", "GET", "/v1/identities/me", "", 200)
	nameless := callerNamed("ann")
	nameless.Name = ""
	s.Do(guesttest.Request{Path: "/v1/identities/me", Caller: nameless})
	if r := s.ok("bob", "GET", "/v1/identities/"+uuidOf("ann"), "", 200); r.Field("gid_name") != nil {
		t.Error(r)
	}
}

func TestADisplayNameIsTextOfALimitedLengthOrNull(t *testing.T) {
	s := newScene(t)
	for json, want := range map[string]any{
		`{"display_name":"Ann"}`: "Ann", `{}`: nil, `{"display_name":null}`: nil,
		`{"display_name":"` + strings.Repeat("x", 150) + `"}`: strings.Repeat("x", 150),
	} {
		s.ok("ann", "PUT", "/v1/identities/me", `{"display_name":null}`, 200)
		if r := s.ok("ann", "PUT", "/v1/identities/me", json, 200); r.Field("display_name") != want || r.Text("gid_name") != "ann@example" {
			t.Errorf("%s: %s", json, r)
		}
	}
	s.ok("ann", "PUT", "/v1/identities/me", `{"display_name":"Ann"}`, 200)
	if r := s.ok("ann", "PUT", "/v1/identities/me", `{}`, 200); r.Text("display_name") != "Ann" {
		t.Errorf("a name that is not sent does not stay: %s", r)
	}
	for _, json := range []string{`{"display_name":1}`, `{"display_name":["x"]}`, `{"display_name":"` + strings.Repeat("x", 151) + `"}`} {
		s.refused("ann", "PUT", "/v1/identities/me", json, 400, "bad_field", "display_name")
	}
	for _, json := range []string{``, `[]`, `"x"`, `null`} {
		if r := s.as("ann", "PUT", "/v1/identities/me", json); r.Status != 400 || r.Text("error.code") != "bad_body" {
			t.Errorf("%s: %s", json, r)
		}
	}
}

func TestNobodyIsFoundUnderWhatIsNoUUID(t *testing.T) {
	s := newScene(t)
	for _, path := range []string{"identities/x", "identities/" + uuidOf("ann") + "0", "groups/x", "groups/x/members"} {
		s.refused("ann", "GET", "/v1/"+path, "", 404, "not_found", "uuid")
	}
	for _, path := range []string{"contacts/x", "blocks/x", "groups/x", "groups/x/members/y"} {
		s.refused("ann", "DELETE", "/v1/"+path, "", 404, "not_found", "uuid")
	}
	s.refused("ann", "DELETE", "/v1/groups/"+s.group("ann", "")+"/members/y", "", 404, "not_found", "member")
}

func TestAGroupIsAnIdentityToo(t *testing.T) {
	s := newScene(t)
	g := s.group("ann", "")
	r := s.ok("bob", "GET", "/v1/identities/"+g, "", 200)
	if r.Text("type") != "group" || r.Text("display_name") != "them" || r.Field("gid_name") != nil {
		t.Error(r)
	}
}

func TestAStoredRecordOfALaterVersionCanBeRead(t *testing.T) {
	var w abi.Writer
	w.FixedArray(7)
	w.Int(flagOpen | flagGroup)
	w.Text("")
	w.Text("them")
	w.Int(5)
	w.Bytes(make([]byte, 16))
	w.Int(3)
	w.Text("more")
	i, err := readIdentity(gid{1}, w.Value())
	if err != nil || !i.group || !i.open || i.display != "them" || i.created != 5 || i.members != 3 {
		t.Fatal(i, err)
	}
	if _, err := readIdentity(gid{1}, []byte{0x91, 0x01}); err == nil {
		t.Error("a record that is cut off is read")
	}
	if _, err := readPermissions(nil, []byte{0x92, 0x91}); err == nil {
		t.Error("permissions that are cut off are read")
	}
	s := newScene(t)
	s.within(func(r *guest.Request) error {
		r.KV().Put(contactsKey(gid{1}), []byte("short"))
		if _, err := loadRoster(r.KV(), contactsKey(gid{1})); err == nil {
			t.Error("a roster that is cut off is read")
		}
		return nil
	})
}
