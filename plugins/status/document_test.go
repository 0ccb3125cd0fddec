//go:build !wasip1

package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A reader goes through the document from top to bottom.
type reader struct {
	*guesttest.Client
	t testing.TB
}

func (d *reader) ask(who, method, path, body string, status int) *guesttest.Response {
	d.t.Helper()
	d.Advance(time.Second)
	r := d.Do(guesttest.Request{Method: method, Path: path, JSON: body, Caller: callerOf(who)})
	if r.Status != status {
		d.t.Fatalf("%s %s %s: %s, want %d", method, path, body, r, status)
	}
	return r
}

// fields wants exactly these fields, written with blanks between, of each element of
// a list or of an object.
func (d *reader) fields(v any, names string) {
	d.t.Helper()
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	want := strings.Fields(names)
	slices.Sort(want)
	for _, e := range list {
		m, _ := e.(map[string]any)
		if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
			d.t.Errorf("fields %v, want %v", got, want)
		}
	}
}

// uuids wants a list of these updates.
func (d *reader) uuids(r *guesttest.Response, want ...string) {
	d.t.Helper()
	got := []string{}
	list, ok := r.JSON.([]any)
	for _, e := range list {
		got = append(got, e.(map[string]any)["uuid"].(string))
	}
	if !ok || !slices.Equal(got, want) {
		d.t.Errorf("got the updates %v, want %v", got, want)
	}
}

const (
	ownFields        = "uuid gid_uuid created_at uploaded_at type source payload"
	sharedFields     = "uuid gid_uuid source type created_at payload"
	permissionFields = "id gid_uuid source type recipient_type recipient_uuid created_at updated_at valid_from valid_to"
)

func updateID(n int) string { return fmt.Sprintf("4470009d-ca3c-4819-aa3a-%012d", n) }

func updateBody(n int, kind, source, created, payload string) string {
	return fmt.Sprintf(`{"uuid":%q,"source":%q,"type":%q,"created_at":%q,"payload":%s}`, updateID(n), source, kind, created, payload)
}

func TestTheDocumentFromTopToBottom(t *testing.T) {
	gids := gidsOf(t, accounts)
	d := &reader{guesttest.New(t, guest.Served()), t}
	section := func(name string, read func(*testing.T)) {
		t.Helper()
		t.Run(name, func(sub *testing.T) {
			d.t = sub
			read(sub)
		})
	}
	first := updateBody(1, "available for work", "web", "2025-12-31T20:00:00Z", `{"available":false}`)
	second := updateBody(2, "heart rate", "watch", "2025-12-31T21:00:00+01:00", `{"rate":61,"at":{"lat":47.61,"lng":-122.33}}`)
	third := updateBody(3, "heart rate", "phone", "2025-12-31T22:30:00.250Z", `{"rate":64}`)

	section("uploading status updates", func(t *testing.T) {
		r := d.ask("ann", "POST", "/v1/status", "["+first+","+second+"]", 201)
		d.uuids(r, updateID(1), updateID(2))
		d.fields(r.JSON, ownFields)
		for at, want := range map[string]string{
			"0.uuid": updateID(1), "0.gid_uuid": gids["ann"], "0.type": "available for work", "0.source": "web",
			"0.created_at": "2025-12-31T20:00:00Z", "0.payload.available": "false", "1.payload.at.lat": "47.61",
		} {
			if got := r.Text(at); got != want {
				t.Errorf("%s: got %q, want %q", at, got, want)
			}
		}
		// The connection was lost half way through: the same again, and what follows.
		again := d.ask("ann", "POST", "/v1/status", "["+first+","+second+","+third+"]", 201)
		d.uuids(again, updateID(1), updateID(2), updateID(3))
		if again.Text("0.uploaded_at") != r.Text("0.uploaded_at") {
			t.Error("an update that came again was stored again")
		}
		var whole map[string]any
		if err := json.Unmarshal([]byte(first), &whole); err != nil {
			t.Fatal(err)
		}
		for name := range whole {
			less := maps.Clone(whole)
			delete(less, name)
			r := d.ask("ann", "POST", "/v1/status", "["+third+","+encode(less)+"]", 400)
			if r.Err.Code != "missing_field" || r.Text("error.detail.index") != "1" || r.Text("error.detail.field") != name || r.Text("error.message") == "" {
				t.Errorf("without %s: %s", name, r)
			}
			d.fields(r.JSON, "error")
			d.fields(r.Field("error"), "code message detail")
		}
	})

	section("retrieving status updates", func(t *testing.T) {
		r := d.ask("ann", "GET", "/v1/status", "", 200)
		d.fields(r.JSON, ownFields)
		for query, want := range map[string][]int{
			"":                                {1, 2, 3},
			"?per_page=100&page=1":            {1, 2, 3},
			"?per_page=100&page=2":            {},
			"?per_page=2&page=1":              {1, 2},
			"?per_page=2&page=2":              {3},
			"?per_page=2&page=3":              {},
			"?per_page=500&page=400000000000": {},
			"?source=watch":                   {2},
			"?type=heart+rate":                {2, 3},
			"?type=heart%20rate&source=phone": {3},
			"?type=heart+rate&source=web":     {},
			// After, and before.
			"?start=2025-12-31T20:00:00Z":                              {3},
			"?end=2025-12-31T20:00:00Z":                                {},
			"?start=2025-12-31T19:59:59Z&end=2025-12-31T22:30:00.250Z": {1, 2},
			"?start=20251231T200000Z":                                  {3},
			"?start=2025-12-31&end=2026-01-01":                         {1, 2, 3},
			"?source=&type=&start=&end=":                               {1, 2, 3},
		} {
			ids := []string{}
			for _, n := range want {
				ids = append(ids, updateID(n))
			}
			t.Run(query, func(t *testing.T) {
				d := reader{d.Client, t}
				d.uuids(d.ask("ann", "GET", "/v1/status"+query, "", 200), ids...)
			})
		}
		for query, name := range map[string]string{
			"page=0": "page", "page=x": "page", "per_page=0": "per_page", "per_page=501": "per_page", "start=now": "start", "end=2026-13-01": "end",
		} {
			r := d.ask("ann", "GET", "/v1/status?"+query, "", 400)
			if r.Err.Code != "bad_parameter" || r.Text("error.detail.field") != name {
				t.Errorf("%s: %s", query, r)
			}
		}
		d.uuids(d.ask("bob", "GET", "/v1/status", "", 200))
	})

	section("deleting status updates", func(t *testing.T) {
		for _, step := range []struct {
			query string
			left  []string
		}{
			{"?type=heart+rate&source=web", []string{updateID(1), updateID(2), updateID(3)}},
			{"?start=2025-12-31T20:00:00Z&end=2025-12-31T22:30:00.250Z", []string{updateID(1), updateID(2), updateID(3)}},
			{"?source=phone", []string{updateID(1), updateID(2)}},
			{"?start=2025-12-31T19:59:59.999Z&end=2025-12-31T20:00:00.001Z&type=available+for+work", []string{updateID(2)}},
			{"", nil},
		} {
			if r := d.ask("ann", "DELETE", "/v1/status"+step.query, "", 204); r.JSON != nil || r.Raw != nil {
				t.Errorf("a body: %s", r)
			}
			d.uuids(d.ask("ann", "GET", "/v1/status", "", 200), step.left...)
		}
		// What was deleted does not come back by being uploaded again.
		d.uuids(d.ask("ann", "POST", "/v1/status", "["+first+"]", 201))
		d.uuids(d.ask("ann", "GET", "/v1/status", "", 200))
	})

	var id string
	section("creating permissions", func(t *testing.T) {
		body := fmt.Sprintf(`{"source":"web","type":"*","recipient_type":"individual","recipient_uuid":%q}`, gids["bob"])
		r := d.ask("ann", "POST", "/v1/status/permissions", body, 201)
		d.fields(r.JSON, permissionFields)
		id = r.Text("id")
		for at, want := range map[string]any{
			"gid_uuid": gids["ann"], "source": "web", "type": "*", "recipient_type": "individual", "recipient_uuid": gids["bob"],
			"valid_from": nil, "valid_to": nil, "updated_at": r.Field("created_at"),
		} {
			if got := r.Field(at); got != want {
				t.Errorf("%s: got %v, want %v", at, got, want)
			}
		}
		// The recipient is ignored where there is none, and blanks are no bounds.
		for _, kind := range []string{"all", "contacts"} {
			body := fmt.Sprintf(`{"source":"*","type":"mood","recipient_type":%q,"recipient_uuid":"whatever","valid_from":"","valid_to":null}`, kind)
			r := d.ask("ann", "POST", "/v1/status/permissions", body, 201)
			d.fields(r.JSON, permissionFields)
			if r.Text("recipient_type") != kind || r.Field("recipient_uuid") != nil || r.Field("valid_from") != nil || r.Field("valid_to") != nil {
				t.Error(r)
			}
		}
		team := d.ask("ann", "POST", "/v1/groups", `{"name":"team"}`, 201).Text("gid_uuid")
		body = fmt.Sprintf(`{"source":"*","type":"*","recipient_type":"group","recipient_uuid":%q,"valid_from":"2026-01-01T00:00:00Z","valid_to":"2026-02-01"}`, team)
		r = d.ask("ann", "POST", "/v1/status/permissions", body, 201)
		if r.Text("recipient_uuid") != team || !sameMoment(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), r.Field("valid_to")) {
			t.Error(r)
		}
	})

	section("retrieving permissions", func(t *testing.T) {
		r := d.ask("ann", "GET", "/v1/status/permissions", "", 200)
		d.fields(r.JSON, permissionFields)
		if list, _ := r.JSON.([]any); len(list) != 4 || r.Text("0.id") != id {
			t.Errorf("%s, want four permissions, %s first", r, id)
		}
		last := d.ask("ann", "GET", "/v1/status/permissions?per_page=3&page=2", "", 200)
		if list, _ := last.JSON.([]any); len(list) != 1 || last.Text("0.id") != r.Text("3.id") {
			t.Error(last)
		}
		for _, past := range []string{"?per_page=100&page=2", "?per_page=3&page=3"} {
			d.uuids(d.ask("ann", "GET", "/v1/status/permissions"+past, "", 200))
		}
		d.uuids(d.ask("bob", "GET", "/v1/status/permissions", "", 200))
	})

	section("updating permissions", func(t *testing.T) {
		path := "/v1/status/permissions/" + id
		before := d.ask("ann", "GET", path, "", 200)
		r := d.ask("ann", "PUT", path, `{"type":"heart rate","source":"*","valid_from":"2025-06-01T00:00:00Z"}`, 202)
		d.fields(r.JSON, permissionFields)
		if r.Text("type") != "heart rate" || r.Text("source") != "*" || r.Field("valid_to") != nil || r.Text("recipient_uuid") != gids["bob"] ||
			r.Text("created_at") != before.Text("created_at") || r.Text("updated_at") == before.Text("updated_at") {
			t.Error(r)
		}
		if got := d.ask("ann", "GET", path, "", 200); encode(got.JSON) != encode(r.JSON) {
			t.Errorf("%s, want %s", got, r)
		}
		r = d.ask("ann", "PUT", path, fmt.Sprintf(`{"recipient_type":"individual","recipient_uuid":%q,"valid_from":""}`, gids["cyd"]), 202)
		if r.Text("recipient_uuid") != gids["cyd"] || r.Field("valid_from") != nil {
			t.Error(r)
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			d.ask("bob", method, path, `{}`, 404)
		}
	})

	section("deleting permissions", func(t *testing.T) {
		list := d.ask("ann", "GET", "/v1/status/permissions", "", 200)
		for _, e := range list.JSON.([]any) {
			path := "/v1/status/permissions/" + e.(map[string]any)["id"].(string)
			d.ask("ann", "DELETE", path, "", 204)
			d.ask("ann", "DELETE", path, "", 404)
		}
		d.uuids(d.ask("ann", "GET", "/v1/status/permissions", "", 200))
	})

	section("retrieving shared status updates", func(t *testing.T) {
		d.ask("ann", "POST", "/v1/status", "["+updateBody(11, "mood", "web", "2026-01-01T10:00:00Z", "{}")+","+
			updateBody(12, "mood", "phone", "2026-01-01T11:00:00Z", "{}")+","+updateBody(13, "diary", "web", "2026-01-01T12:00:00Z", "{}")+"]", 201)
		d.uuids(d.ask("bob", "GET", "/v1/status/shared", "", 200))
		d.ask("ann", "POST", "/v1/status/permissions", `{"source":"*","type":"mood","recipient_type":"all"}`, 201)
		d.ask("cyd", "POST", "/v1/contacts", fmt.Sprintf(`{"gid_uuid":%q}`, gids["bob"]), 201)
		d.ask("cyd", "POST", "/v1/status/permissions", `{"source":"*","type":"*","recipient_type":"contacts"}`, 201)
		d.ask("cyd", "POST", "/v1/status", "["+updateBody(14, "mood", "web", "2026-01-01T09:00:00Z", "{}")+"]", 201)
		r := d.ask("bob", "GET", "/v1/status/shared", "", 200)
		d.fields(r.JSON, sharedFields)
		if r.Text("2.gid_uuid") != gids["cyd"] || r.Text("2.payload") != "map[]" {
			t.Error(r)
		}
		for query, want := range map[string][]int{
			"":              {11, 12, 14},
			"?per_page=100": {11, 12, 14},
			"?page=2":       {},
			"?per_page=2":   {11, 12}, "?per_page=2&page=2": {14}, "?per_page=2&page=3": {},
			// On or after, and on or before.
			"?start=2026-01-01T10:00:00Z": {11, 12}, "?end=2026-01-01T10:00:00Z": {11, 14},
			"?source=web": {11, 14}, "?type=mood": {11, 12, 14}, "?type=diary": {},
			"?shared_by=" + gids["cyd"]:                     {14},
			"?shared_by=" + gids["ann"] + "&source=web":     {11},
			"?shared_by=" + gids["bob"]:                     {},
			"?since_uuid=" + updateID(11):                   {12, 14},
			"?since_uuid=" + updateID(13):                   {14},
			"?since_uuid=" + updateID(14):                   {},
			"?since_uuid=" + updateID(11) + "&source=web":   {14},
			"?since_uuid=" + updateID(11) + "&per_page=1":   {12},
			"?since_uuid=" + updateID(2) + "&per_page=500":  {11, 12, 14},
			"?since_uuid=" + strings.ToUpper(updateID(11)):  {12, 14},
			"?since_uuid=" + updateID(11) + "&start=&type=": {12, 14},
		} {
			ids := []string{}
			for _, n := range want {
				ids = append(ids, updateID(n))
			}
			t.Run(query, func(t *testing.T) {
				d := reader{d.Client, t}
				d.uuids(d.ask("bob", "GET", "/v1/status/shared"+query, "", 200), ids...)
			})
		}
		if r := d.ask("bob", "GET", "/v1/status/shared?since_uuid=4470009d-ca3c-4819-aa3a-7fa04e9af258", "", 400); r.Err.Code != "unknown_uuid" {
			t.Error(r)
		}
	})

	section("polling gives at most fifty", func(t *testing.T) {
		var list []string
		for n := range 120 {
			list = append(list, updateBody(100+n, "mood", "app", "2026-01-01T13:00:00Z", "{}"))
		}
		d.ask("ann", "POST", "/v1/status", "["+strings.Join(list, ",")+"]", 201)
		since, seen := updateID(14), 0
		for _, want := range []int{50, 50, 20, 0} {
			page, _ := d.ask("bob", "GET", "/v1/status/shared?per_page=500&since_uuid="+since, "", 200).JSON.([]any)
			if len(page) != want {
				t.Fatalf("%d updates since %s, want %d", len(page), since, want)
			}
			for _, e := range page {
				if since = e.(map[string]any)["uuid"].(string); since != updateID(100+seen) {
					t.Fatalf("got %s, want %s", since, updateID(100+seen))
				}
				seen++
			}
		}
	})

	section("using websockets", func(t *testing.T) {
		listen := func(who, filters string) *guesttest.Connection {
			socket := d.Connect("/v1/socket/")
			argument := fmt.Sprintf(`[{"access_token":"secret","gid_uuid":%q,"filters":%s}]`, gids[who], filters)
			if r := socket.Emit("LISTEN", argument, callerOf(who)); r.Status != 200 || r.Text("gid_uuid") != gids[who] {
				t.Fatal(r)
			}
			if len(socket.Received) != 1 || socket.Received[0].Name != "LISTENING" {
				t.Fatalf("received %v, want LISTENING", socket.Received)
			}
			socket.Received = nil
			return socket
		}
		all := listen("bob", `"*"`)
		some := listen("bob", `[["mood","phone"],["diary","*"]]`)
		stranger := listen("dan", `[["*","web"]]`)
		self := listen("ann", `"*"`)
		d.ask("ann", "POST", "/v1/status", "["+updateBody(31, "mood", "web", "2026-01-01T14:00:00Z", `{"smile":true}`)+","+
			updateBody(32, "mood", "phone", "2026-01-01T14:00:01Z", "{}")+","+updateBody(33, "diary", "web", "2026-01-01T14:00:02Z", "{}")+"]", 201)
		d.ask("ann", "POST", "/v1/status", "["+updateBody(31, "mood", "web", "2026-01-01T14:00:00Z", "{}")+"]", 201)
		for _, c := range []struct {
			name   string
			socket *guesttest.Connection
			want   []string
		}{
			{"all", all, []string{updateID(31), updateID(32)}},
			{"some", some, []string{updateID(32)}},
			{"a stranger", stranger, []string{updateID(31)}},
			{"oneself", self, nil},
		} {
			var got []string
			for _, e := range c.socket.Received {
				if e.Name != "STATUS_UPDATE" || len(e.Args) != 1 {
					t.Fatalf("%s: received %v", c.name, e)
				}
				d.fields(e.Args[0], sharedFields)
				got = append(got, e.Args[0].(map[string]any)["uuid"].(string))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: received %v, want %v", c.name, got, c.want)
			}
		}
		if r := d.Connect("/v1/socket/").Emit("LISTEN", fmt.Sprintf(`[{"access_token":"secret","gid_uuid":%q,"filters":"*"}]`, gids["ann"]), callerOf("dan")); r.Status != 403 {
			t.Errorf("listening as somebody else: %s", r)
		}
	})
}

func TestEveryRouteAndEventTakesATokenAlone(t *testing.T) {
	c := guesttest.New(t, guest.Served())
	description := guest.Served().Description()
	for _, r := range description.Routes {
		if !slices.Equal(r.Auth, []string{"token"}) || r.Optional {
			t.Errorf("%s %s: takes %v, optional %v", r.Method, r.Pattern, r.Auth, r.Optional)
		}
		path := strings.NewReplacer(":id", updateID(1), ":uuid", updateID(1), ":member", updateID(1)).Replace(r.Pattern)
		if got := c.Do(guesttest.Request{Method: r.Method, Path: path, Caller: &abi.Caller{}}); got.Status != 401 {
			t.Errorf("%s %s: %s", r.Method, r.Pattern, got)
		}
	}
	for _, s := range description.Sockets {
		for _, e := range s.Events {
			if s.Path != "/v1/socket/" || e.Name != "LISTEN" || e.Field != "access_token" || !slices.Equal(e.Auth, []string{"token"}) {
				t.Errorf("event %+v at %s", e, s.Path)
			}
		}
	}
	if len(description.Sockets) != 1 || len(description.Sockets[0].Events) != 1 {
		t.Errorf("sockets %+v", description.Sockets)
	}
}
