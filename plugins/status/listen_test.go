package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
	"github.com/edgeset/edgeset/host/text"
)

func TestListenTellsWhatIsWrongWithIt(t *testing.T) {
	s := newScene(t)
	conn := s.Connect("/v1/socket/")
	own := uuidOf("ann")
	pair := `["a","b"]`
	for _, c := range []struct {
		args        string
		status      int
		code, field string
	}{
		{`[]`, 400, "bad_body", ""}, {`["t"]`, 400, "bad_body", ""}, {`[null]`, 400, "bad_body", ""},
		{`[{}]`, 400, "missing_field", "gid_uuid"}, {`[{"gid_uuid":"x"}]`, 400, "bad_uuid", "gid_uuid"},
		{`[{"gid_uuid":"` + uuidOf("bob") + `"}]`, 403, "forbidden", "gid_uuid"},
		{`[{"gid_uuid":"` + own + `","filters":null}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":"all"}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":{}}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":["*"]}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":[["a"]]}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":[["a","b","c"]]}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":[["a",5]]}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":[["a","` + strings.Repeat("b", 129) + `"]]}]`, 400, "bad_filters", "filters"},
		{`[{"gid_uuid":"` + own + `","filters":[` + strings.Repeat(pair+",", 128) + pair + `]}]`, 400, "bad_filters", "filters"},
	} {
		isRefused(t, conn.Emit("LISTEN", c.args, callerNamed("ann")), c.status, c.code, c.field)
	}
	if r := conn.Emit("LISTEN", `[{"gid_uuid":"`+own+`"}]`, &abi.Caller{}); r.Status != 401 {
		t.Error(r)
	}
	s.share("bob", toEveryone)
	s.upload("bob", "mood", "web")
	if len(conn.Received) != 0 {
		t.Errorf("who is refused is sent %v", conn.Received)
	}
}

func TestAListenerGetsWhatItsFiltersLetThrough(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	many := strings.Repeat(`["x","y"],`, 127) + `["mood","web"]`
	filters := []string{`"*"`, `[["mood","web"]]`, `[["mood","*"]]`, `[["*","app"]]`, `[["*","*"]]`, `[]`, `[["mood","app"],["place","web"]]`, `[["",""]]`, "[" + many + "]"}
	wants := func(i int, kind, source string) bool {
		switch i {
		case 0, 4:
			return true
		case 1, 8:
			return kind == "mood" && source == "web"
		case 2:
			return kind == "mood"
		case 3:
			return source == "app"
		case 6:
			return kind == "mood" && source == "app" || kind == "place" && source == "web"
		}
		return false
	}
	want := make([][]string, len(filters))
	conns := make([]*guesttest.Connection, len(filters))
	for i := range filters {
		conns[i] = s.listens("bob", filters[i])
	}
	for _, topic := range [][2]string{{"mood", "web"}, {"mood", "app"}, {"place", "web"}, {"place", "app"}, {listening, listening}, {"*", "*"}} {
		id := s.upload("ann", topic[0], topic[1])
		for i := range filters {
			if wants(i, topic[0], topic[1]) {
				want[i] = append(want[i], id)
			}
		}
	}
	for i, conn := range conns {
		heard(t, conn, want[i]...)
	}
}

func TestAbsentFiltersAreAll(t *testing.T) {
	s := newScene(t)
	conn := s.Connect("/v1/socket/")
	if r := conn.Emit("LISTEN", `[{"gid_uuid":"`+strings.ToUpper(uuidOf("bob"))+`"}]`, callerNamed("bob")); r.Status != 200 {
		t.Fatal(r)
	}
	conn.Received = nil
	s.share("ann", toEveryone)
	heard(t, conn)
	heard(t, conn, s.upload("ann", "mood", "web"))
}

func TestListeningAgainReplacesWhatWasListenedTo(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	conn := s.listens("bob", `[["place","web"]]`)
	again := func(name, filters string) {
		t.Helper()
		r := conn.Emit("LISTEN", fmt.Sprintf(`[{"gid_uuid":%q,"filters":%s}]`, uuidOf(name), filters), callerNamed(name))
		if r.Status != 200 || len(conn.Received) != 1 || conn.Received[0].Name != listening {
			t.Fatal(r, conn.Received)
		}
		conn.Received = nil
	}
	again("bob", `[["mood","web"]]`)
	id := s.upload("ann", "mood", "web")
	s.upload("ann", "place", "web")
	heard(t, conn, id)
	again("ann", `"*"`)
	s.upload("ann", "mood", "web")
	heard(t, conn)
	again("bob", `[]`)
	s.upload("ann", "mood", "web")
	heard(t, conn)
	// What is refused changes nothing.
	again("bob", `"*"`)
	conn.Emit("LISTEN", `[{"gid_uuid":"`+uuidOf("bob")+`","filters":5}]`, callerNamed("bob"))
	heard(t, conn)
	heard(t, conn, s.upload("ann", "mood", "web"))
}

func TestListenersHearOfWhatIsSharedWithThemFromThenOn(t *testing.T) {
	s := newScene(t)
	s.upload("ann", "mood", "web")
	ann, bob, cas := s.listens("ann", `"*"`), s.listens("bob", `"*"`), s.listens("cas", `"*"`)
	heard(t, bob)
	one := s.share("ann", toOne("bob"))
	u := s.upload("ann", "mood", "web")
	heard(t, ann)
	heard(t, bob, u)
	heard(t, cas)
	s.ok("ann", "PUT", permissions+"/"+one, `{"recipient_type":"contacts"}`, 202)
	s.upload("ann", "mood", "web")
	heard(t, bob)
	s.ok("ann", "POST", "/v1/contacts", gidUUID("cas"), 201)
	u = s.upload("ann", "mood", "web")
	heard(t, bob)
	heard(t, cas, u)
	s.ok("ann", "DELETE", "/v1/contacts/"+uuidOf("cas"), "", 204)
	s.upload("ann", "mood", "web")
	heard(t, cas)

	g := s.group("ann", `,"open":true`)
	s.ok("ann", "PUT", permissions+"/"+one, "{"+toMembers(g)+"}", 202)
	s.upload("ann", "mood", "web")
	heard(t, bob)
	s.ok("bob", "POST", "/v1/groups/"+g+"/join", "", 200)
	s.ok("ann", "POST", "/v1/groups/"+g+"/members", gidUUID("cas"), 201)
	u = s.upload("ann", "mood", "web")
	heard(t, bob, u)
	heard(t, cas, u)
	heard(t, ann)
	s.ok("bob", "POST", "/v1/groups/"+g+"/leave", "", 204)
	s.ok("ann", "DELETE", "/v1/groups/"+g+"/members/"+uuidOf("cas"), "", 204)
	s.upload("ann", "mood", "web")
	heard(t, bob)
	heard(t, cas)
	// Who is in several of the rooms hears of it once.
	s.ok("bob", "POST", "/v1/groups/"+g+"/join", "", 200)
	s.share("ann", toOne("bob"))
	s.share("ann", toFriends)
	s.ok("ann", "POST", "/v1/contacts", gidUUID("bob"), 201)
	u = s.upload("ann", "mood", "web")
	heard(t, bob, u)
	s.share("ann", toEveryone)
	u = s.upload("ann", "mood", "web")
	heard(t, bob, u)
	heard(t, cas, u)
	heard(t, ann)
}

func TestABatchIsAnnouncedInItsOrderAndRepeatsAreNot(t *testing.T) {
	s := newScene(t)
	s.share("ann", `"source":"*","type":"a","recipient_type":"all"`)
	s.share("ann", `"source":"*","type":"b","recipient_type":"individual","recipient_uuid":"`+uuidOf("bob")+`"`)
	s.share("ann", `"source":"*","type":"c","recipient_type":"all","valid_from":"2026-01-01"`)
	bob, cas := s.listens("bob", `"*"`), s.listens("cas", `"*"`)
	var batch, toBob, toCas []string
	for i, kind := range []string{"a", "a", "b", "d", "b", "c", "a", "c", "d", "d", "b"} {
		id := fmt.Sprintf("00000000-0000-4000-9000-%012d", i)
		created := []string{"2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"}[i/7]
		batch = append(batch, fmt.Sprintf(`{"uuid":%q,"type":%q,"source":"web","created_at":%q,"payload":{}}`, id, kind, created))
		if shared := kind == "a" || kind == "c" && i >= 7; shared {
			toCas = append(toCas, id)
			toBob = append(toBob, id)
		} else if kind == "b" {
			toBob = append(toBob, id)
		}
	}
	s.ok("ann", "POST", "/v1/status", "["+strings.Join(batch[:9], ",")+"]", 201)
	s.ok("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]", 201)
	s.ok("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]", 201)
	heard(t, bob, toBob...)
	heard(t, cas, toCas...)
	s.sees("bob", "", toBob...)
	s.sees("cas", "", toCas...)
}

func TestAnUpperCaseUUIDIsAnnouncedAsItWasSent(t *testing.T) {
	s := newScene(t)
	s.share("ann", toEveryone)
	conn := s.listens("bob", `"*"`)
	s.ok("ann", "POST", "/v1/status", `[{"uuid":"4470009D-CA3C-4819-AA3A-7FA04E9AF258","type":"mood","source":"web","created_at":"2026-01-01T10:00:00+02:00","payload":{"x":1}}]`, 201)
	got := fmt.Sprint(conn.Received)
	want := fmt.Sprintf("[{STATUS_UPDATE 4470009D-CA3C-4819-AA3A-7FA04E9AF258 [map[created_at:2026-01-01T10:00:00+02:00 gid_uuid:%s payload:map[x:1] source:web type:mood uuid:4470009D-CA3C-4819-AA3A-7FA04E9AF258]]}]", uuidOf("ann"))
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestManyGroupsAndBlocksFitASubscription(t *testing.T) {
	s := newScene(t)
	s.within(func(r *guest.Request) error {
		var blocks roster
		for i := range maxBlocks {
			blocks = blocks.with(gid{1, byte(i >> 8), byte(i)})
		}
		if err := blocks.save(r.KV(), blocksKey(identityOf("bob"))); err != nil {
			return err
		}
		for i := range maxGroups {
			g := &identity{id: gid{2, byte(i >> 8), byte(i)}, group: true}
			if err := g.save(r.KV()); err != nil {
				return err
			}
			if err := r.KV().Put(membershipKey(identityOf("bob"), g.id), nil); err != nil {
				return err
			}
		}
		return nil
	})
	conn := s.listens("bob", `"*"`)
	s.share("ann", toMembers(gid{2, 1, 200}.String()))
	s.share("ann", toMembers(gid{2, 1, 201}.String()))
	heard(t, conn, s.upload("ann", "mood", "web"))
	// One who has blocked as many is as well left alone by them.
	s.share("bob", toEveryone)
	ann := s.listens("ann", `"*"`)
	heard(t, ann, s.upload("bob", "mood", "web"))
}

func TestWhatDoesNotFitIsToBeSentInSmallerParts(t *testing.T) {
	s := newScene(t)
	s.share("ann", `"source":"*","type":"a","recipient_type":"all"`)
	s.share("ann", `"source":"*","type":"b","recipient_type":"individual","recipient_uuid":"`+uuidOf("bob")+`"`)
	var batch []string
	for i := range 1100 {
		batch = append(batch, fmt.Sprintf(`{"uuid":"00000000-0000-4000-9000-%012d","type":%q,"source":"web","created_at":"2026-01-01","payload":{}}`, i, []string{"a", "b"}[i%2]))
	}
	s.refused("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]", 413, "too_large", "")
	for part := range slices.Chunk(batch, 1000) {
		s.ok("ann", "POST", "/v1/status", "["+strings.Join(part, ",")+"]", 201)
	}
	s.sees("bob", "?per_page=1&page=1100", "00000000-0000-4000-9000-000000001099")
}

func FuzzFilters(f *testing.F) {
	for _, seed := range []string{`"*"`, `[]`, `[["a","b"]]`, `[["*",5]]`, `[[["a","b"],"c"]]`, `{"a":"b"}`, `null`, `7`} {
		value, err := text.ParseJSON(nil, []byte(seed), abi.MaxDepth)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if !abi.Value(frame).Valid() {
			return // the host checks it
		}
		filters, ok := readFilters(frame)
		if !ok {
			return
		}
		if len(filters) > abi.MaxFilters {
			t.Fatalf("%d filters", len(filters))
		}
		for _, filter := range filters {
			if len(filter) != 2 || len(filter[0]) > maxText || len(filter[1]) > maxText {
				t.Fatalf("filter %q", filter)
			}
		}
	})
}
