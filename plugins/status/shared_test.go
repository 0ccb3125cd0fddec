package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
)

func TestEachKindOfRecipientSeesWhatIsSharedWithIt(t *testing.T) {
	s := newScene(t)
	u := s.upload("ann", "mood", "web")
	s.sees("bob", "")

	all := s.share("ann", toEveryone)
	s.sees("bob", "", u)
	s.sees("ann", "")
	s.ok("ann", "DELETE", permissions+"/"+all, "", 204)
	s.sees("bob", "")

	one := s.share("ann", toOne("bob"))
	s.sees("bob", "", u)
	s.sees("cas", "")
	s.ok("ann", "PUT", permissions+"/"+one, `{"recipient_type":"contacts"}`, 202)
	s.sees("bob", "")
	s.ok("ann", "POST", "/v1/contacts", gidUUID("cas"), 201)
	s.sees("cas", "", u)
	// To name somebody as a contact does not mean to see what he shares with his.
	s.ok("bob", "POST", "/v1/contacts", gidUUID("ann"), 201)
	s.sees("bob", "")
	s.ok("ann", "DELETE", "/v1/contacts/"+uuidOf("cas"), "", 204)
	s.sees("cas", "")

	g := s.group("ann", `,"open":true`)
	s.ok("ann", "PUT", permissions+"/"+one, "{"+toMembers(g)+"}", 202)
	s.sees("bob", "")
	s.ok("bob", "POST", "/v1/groups/"+g+"/join", "", 200)
	s.sees("bob", "", u)
	s.ok("bob", "POST", "/v1/groups/"+g+"/leave", "", 204)
	s.sees("bob", "")
	s.ok("ann", "POST", "/v1/groups/"+g+"/members", gidUUID("bob"), 201)
	s.sees("bob", "", u)
	s.ok("ann", "DELETE", "/v1/groups/"+g, "", 204)
	s.sees("bob", "")
}

func TestASharedUpdateHasExactlyTheDocumentedFields(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	s.ok("ann", "POST", "/v1/status", `[{"uuid":"4470009D-CA3C-4819-AA3A-7FA04E9AF258","type":"mood","source":"web","created_at":"2026-01-01T10:00:00+02:00","payload":{"x":[1,null]}}]`, 201)
	r := s.ok("bob", "GET", "/v1/status/shared", "", 200)
	want := fmt.Sprintf(`200 [{"created_at":"2026-01-01T10:00:00+02:00","gid_uuid":%q,"payload":{"x":[1,null]},"source":"web","type":"mood","uuid":"4470009D-CA3C-4819-AA3A-7FA04E9AF258"}]`, uuidOf("ann"))
	if r.String() != want {
		t.Errorf("got %s, want %s", r, want)
	}
}

func TestAPermissionCoversItsTypeSourceAndTimeAlone(t *testing.T) {
	s := newScene(t)
	early := s.uploadAt("ann", "mood", "web", "2026-01-01T00:00:00Z")
	at := s.uploadAt("ann", "mood", "web", "2026-01-02T00:00:00Z")
	late := s.uploadAt("ann", "mood", "web", "2026-01-02T00:00:00.000001Z")
	app := s.uploadAt("ann", "mood", "app", "2026-01-03T00:00:00Z")
	place := s.uploadAt("ann", "place", "web", "2026-01-03T00:00:00Z")
	id := s.share("ann", toEveryone)
	for _, c := range []struct {
		fields string
		want   []string
	}{
		{`"type":"mood"`, []string{early, at, late, app}},
		{`"source":"web"`, []string{early, at, late}},
		{`"type":"*"`, []string{early, at, late, place}},
		{`"valid_from":"2026-01-02"`, []string{late, place}},
		{`"valid_to":"2026-01-03"`, []string{late}},
		{`"valid_from":null`, []string{early, at, late}},
		{`"valid_to":"2026-01-02","source":"*"`, []string{early}},
	} {
		s.ok("ann", "PUT", permissions+"/"+id, "{"+c.fields+"}", 202)
		s.sees("bob", "", c.want...)
	}
	// Several permissions cover what one of them does, and each update once.
	s.share("ann", `"source":"app","type":"*","recipient_type":"all"`)
	s.share("ann", toOne("bob"))
	s.share("ann", `"source":"web","type":"*","recipient_type":"all"`)
	s.sees("bob", "", early, at, late, app, place)
	s.sees("cas", "", early, at, late, app, place)
	s.sees("cas", "?type=place", place)
}

func TestManyTopicsAreSharedLikeFew(t *testing.T) {
	s := newScene(t)
	var web, some []string
	var batch []string
	for i := range 300 {
		source := [...]string{"web", "app"}[i%2]
		id := fmt.Sprintf("00000000-0000-4000-9000-%012d", i)
		batch = append(batch, fmt.Sprintf(`{"uuid":%q,"type":"type %d","source":%q,"created_at":"2026-01-01T00:00:%02dZ","payload":{}}`, id, i, source, i/10))
		if i%2 == 0 {
			web = append(web, id)
		}
		if i%2 == 0 && i >= 290 {
			some = append(some, id)
		}
	}
	s.ok("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]", 201)
	s.share("ann", `"source":"web","type":"*","recipient_type":"all"`)
	s.sees("bob", "?per_page=500", web...)
	s.sees("bob", "?per_page=100&page=2", web[100:]...)
	s.sees("bob", "?start=2026-01-01T00:00:29Z", some...)
	s.sees("bob", "?type=type+298", "00000000-0000-4000-9000-000000000298")
	s.sees("bob", "?type=type+299")
	s.sees("bob", "?type=type+298&source=app")
	s.share("ann", `"source":"app","type":"type 299","recipient_type":"all","valid_to":"2026-01-02"`)
	s.sees("bob", "?type=type+299", "00000000-0000-4000-9000-000000000299")
	s.share("ann", toEveryone)
	s.sees("bob", "?per_page=2&page=150", "00000000-0000-4000-9000-000000000298", "00000000-0000-4000-9000-000000000299")
}

func TestABlockEndsSharingInBothDirectionsUntilItIsTakenBack(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	s.share("bob", toOne("ann"))
	a, b := s.upload("ann", "mood", "web"), s.upload("bob", "mood", "web")
	ann, bob, cas := s.listens("ann", `"*"`), s.listens("bob", `"*"`), s.listens("cas", `"*"`)
	s.ok("bob", "POST", "/v1/blocks", gidUUID("ann"), 201)
	for _, query := range []string{"", "?shared_by=" + uuidOf("ann"), "?shared_by=" + uuidOf("bob")} {
		s.sees("ann", query)
		s.sees("bob", query)
	}
	s.sees("cas", "", a)
	a2 := s.upload("ann", "mood", "web")
	s.upload("bob", "mood", "web")
	heard(t, ann)
	heard(t, bob)
	heard(t, cas, a2)
	heard(t, s.listens("bob", `"*"`))

	s.ok("bob", "DELETE", "/v1/blocks/"+uuidOf("ann"), "", 204)
	s.sees("bob", "", a, a2)
	a3, b3 := s.upload("ann", "mood", "web"), s.upload("bob", "mood", "web")
	heard(t, bob, a3)
	heard(t, ann, b3)
	s.sees("ann", "?page=1&per_page=1", b)
}

func TestFiltersOfWhatIsSharedCombine(t *testing.T) {
	s := newScene(t)
	for _, name := range []string{"ann", "bob"} {
		s.share(name, toEveryone)
	}
	a1 := s.uploadAt("ann", "mood", "web", "2026-01-01T00:00:00Z")
	b1 := s.uploadAt("bob", "mood", "app", "2026-01-02T00:00:00Z")
	a2 := s.uploadAt("ann", "place", "web", "2026-01-03T00:00:00Z")
	b2 := s.uploadAt("bob", "place", "web", "2026-01-01T00:00:00Z")
	for query, want := range map[string][]string{
		"":                                         {a1, b1, a2, b2},
		"?type=mood":                               {a1, b1},
		"?source=web":                              {a1, a2, b2},
		"?source=web&type=place":                   {a2, b2},
		"?shared_by=" + uuidOf("ann"):              {a1, a2},
		"?shared_by=" + uuidOf("cas"):              nil,
		"?shared_by=" + uuidOf("dan"):              nil,
		"?start=2026-01-02T00:00:00Z":              {b1, a2},
		"?end=2026-01-02T00:00:00Z":                {a1, b1, b2},
		"?start=2026-01-02&end=20260102":           {b1},
		"?start=&end=&type=&source=":               {a1, b1, a2, b2},
		"?shared_by=&since_uuid=":                  {a1, b1, a2, b2},
		"?since_uuid=" + a1:                        {b1, a2, b2},
		"?since_uuid=" + b2:                        nil,
		"?since_uuid=" + a1 + "&type=mood":         {b1},
		"?per_page=3&page=2":                       {b2},
		"?per_page=3&page=3":                       nil,
		"?since_uuid=" + a1 + "&per_page=2&page=2": {b2},
		"?since_uuid=" + a1 + "&shared_by=" + uuidOf("bob") + "&end=2026-01-01&source=web&type=place":     {b2},
		"?since_uuid=" + strings.ToUpper(a2) + "&shared_by=" + strings.ToUpper(uuidOf("bob")) + "&page=1": {b2},
	} {
		s.sees("cas", query, want...)
	}
	for query, field := range map[string]string{
		"?page=0": "page", "?per_page=0": "per_page", "?per_page=501": "per_page", "?start=soon": "start", "?end=x": "end",
		"?shared_by=ann": "shared_by", "?since_uuid=x": "since_uuid",
	} {
		s.refused("cas", "GET", "/v1/status/shared"+query, "", 400, "bad_parameter", field)
	}
	s.refused("cas", "GET", "/v1/status/shared?since_uuid="+uuidOf("ann"), "", 400, "unknown_uuid", "since_uuid")
}

func TestACursorHoldsWhateverBecomesOfItsUpdate(t *testing.T) {
	s := newScene(t)
	id := s.share("ann", toEveryone)
	s.share("bob", toEveryone)
	own := s.upload("cas", "mood", "web")
	a := s.upload("ann", "mood", "web")
	b := s.upload("bob", "mood", "web")
	s.sees("cas", "?since_uuid="+own, a, b)
	s.sees("cas", "?since_uuid="+a, b)
	s.ok("ann", "PUT", permissions+"/"+id, `{"type":"other"}`, 202)
	s.sees("cas", "?since_uuid="+a, b)
	s.ok("ann", "DELETE", "/v1/status", "", 204)
	s.sees("cas", "?since_uuid="+a, b)
	s.ok("cas", "DELETE", "/v1/status", "", 204)
	s.sees("cas", "?since_uuid="+own, b)
}

func TestPollingGoesThroughAllInPartsOfFifty(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	first := s.upload("ann", "mood", "web")
	var batch, want []string
	for i := range 120 {
		id := fmt.Sprintf("00000000-0000-4000-9000-%012d", i)
		batch = append(batch, fmt.Sprintf(`{"uuid":%q,"type":"mood","source":"web","created_at":"2026-01-01","payload":{}}`, id))
		want = append(want, id)
	}
	s.ok("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]", 201)
	s.sees("bob", "?since_uuid="+first+"&per_page=500", want[:50]...)
	s.sees("bob", "?since_uuid="+first+"&per_page=500&page=2", want[50:100]...)
	s.sees("bob", "?since_uuid="+want[49], want[50:100]...)
	s.sees("bob", "?since_uuid="+want[99], want[100:]...)
	s.sees("bob", "?since_uuid="+want[119])
	s.sees("bob", "?since_uuid="+want[99]+"&per_page=5", want[100:105]...)
}

func TestOfTheSameUUIDByTwoUploadersTheFirstThatCanBeSeenIsTheCursor(t *testing.T) {
	s := newScene(t)
	const id = "4470009d-ca3c-4819-aa3a-7fa04e9af258"
	same := func(name string) {
		s.ok(name, "POST", "/v1/status", `[{"uuid":"`+id+`","type":"mood","source":"web","created_at":"2026-01-01","payload":{}}]`, 201)
	}
	s.share("ann", toEveryone)
	stranger := s.share("eve", toEveryone)
	same("eve")
	a := s.upload("ann", "mood", "web")
	same("ann")
	b := s.upload("ann", "mood", "web")
	same("mal")
	s.share("mal", toEveryone)
	s.sees("bob", "?since_uuid="+id, a, id, b, id)
	s.ok("eve", "DELETE", permissions+"/"+stranger, "", 204)
	s.sees("bob", "?since_uuid="+id, b, id)
	// Whom he can have it from does not depend on what he asks for now.
	s.sees("bob", "?since_uuid="+id+"&shared_by="+uuidOf("mal"), id)
	s.sees("bob", "?since_uuid="+id+"&type=other")
	s.ok("bob", "POST", "/v1/blocks", gidUUID("mal"), 201)
	s.sees("bob", "?since_uuid="+id, b)
	s.sees("bob", "?since_uuid="+id+"&shared_by="+uuidOf("ann"), b)
	s.ok("bob", "POST", "/v1/blocks", gidUUID("ann"), 201)
	s.sees("bob", "?since_uuid="+id)
	same("bob")
	c := s.upload("eve", "mood", "web")
	s.share("eve", toEveryone)
	s.ok("eve", "DELETE", "/v1/status?type=other", "", 204)
	begins(t, s.streams("bob", "", c), true)
}

func TestASharerWhoIsNamedIsFoundAmongAnyNumber(t *testing.T) {
	s := newScene(t)
	s.share("ann", toFriends)
	s.ok("ann", "POST", "/v1/contacts", gidUUID("bob"), 201)
	a := s.upload("ann", "mood", "web")
	for part := range 3 {
		s.within(func(r *guest.Request) error {
			for i := range maxSharers/3 + 1 {
				who := gid{byte(part), byte(i >> 8), byte(i)}
				if err := r.KV().Put(contactOfKey(identityOf("bob"), who), nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	s.refused("bob", "GET", "/v1/status/shared", "", 422, "too_many_sharers", "shared_by")
	s.sees("bob", "?shared_by="+uuidOf("ann"), a)
	s.sees("cas", "?shared_by="+uuidOf("ann"))
}

func TestManySharersAreReadInParts(t *testing.T) {
	s := newScene(t)
	names := make([]string, 2*sharersAtOnce+10)
	var want []string
	for i := range names {
		names[i] = fmt.Sprint("sharer ", i)
		s.share(names[i], toEveryone)
	}
	for i, name := range names {
		if i%40 == 0 || i == len(names)-1 {
			want = append(want, s.upload(name, "mood", "web"))
		}
	}
	s.sees("bob", "", want...)
	s.sees("bob", "?per_page=3&page=2", want[3:6]...)
}

// What many have stored about themselves must not keep others from reading: they are
// asked to name one.
func TestSharersWithHugeRecordsAreNotReadWithoutBound(t *testing.T) {
	s := newScene(t)
	var huge []permission
	for range maxPermissions {
		p := permission{id: newUUID(), source: strings.Repeat("s", maxText), kind: strings.Repeat("t", maxText), from: always, until: never}
		huge = append(huge, p)
	}
	s.share("ann", toEveryone)
	a := s.upload("ann", "mood", "web")
	for part := range 8 {
		s.within(func(r *guest.Request) error {
			for i := range 80 {
				owner := gid{byte(part), byte(i), 1}
				if err := savePermissions(r.KV(), owner, huge); err != nil {
					return err
				}
				if err := r.KV().Put(sharesWithAllKey(owner), nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	s.refused("bob", "GET", "/v1/status/shared", "", 422, "too_many_sharers", "shared_by")
	s.sees("bob", "?shared_by="+uuidOf("ann"), a)
}

func TestTheSameSharersInManyGroupsAreNotLookedAtWithoutBound(t *testing.T) {
	l := newLedger(t)
	const each = 9000
	for n := range maxIndexed/each + 1 {
		if a := l.do("bob", "GET", "/v1/status/shared", ""); a.status != 200 {
			t.Fatalf("in %d groups: %v", n, a)
		}
		a := l.do("bob", "POST", "/v1/groups", `{"name":"them"}`)
		id, _, ok := parseUUID(string(a.body[len(`{"gid_uuid":"`):][:uuidText]))
		if !ok {
			t.Fatal(a)
		}
		for i := range each {
			l.entries = append(l.entries, item{string(sharesWithGroupKey(id, gid{byte(i >> 8), byte(i)})), []byte{}})
		}
		slices.SortFunc(l.entries, func(a, b item) int { return strings.Compare(a.key, b.key) })
	}
	if a := l.do("bob", "GET", "/v1/status/shared", ""); a.code != "too_many_sharers" {
		t.Fatal(a)
	}
}
