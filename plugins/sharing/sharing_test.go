package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

var (
	ann = abi.Caller{Account: "ann", App: "app", Proof: "token"}
	bob = abi.Caller{Account: "bob", App: "app", Proof: "token"}
)

// A desk is a client and the words of the tests.
type desk struct {
	*guesttest.Client
	t testing.TB
}

func newDesk(t testing.TB) *desk {
	c := guesttest.New(t, plugin())
	c.Caller = ann
	return &desk{c, t}
}

func (d *desk) get(path string) *guesttest.Response {
	d.t.Helper()
	return d.Do(guesttest.Request{Path: "/v2/" + path})
}

func (d *desk) post(path, json string) *guesttest.Response {
	d.t.Helper()
	return d.Do(guesttest.Request{Method: "POST", Path: "/v2/" + path, JSON: json})
}

// nobody views without a token.
func (d *desk) nobody(path, remote string) *guesttest.Response {
	d.t.Helper()
	return d.Do(guesttest.Request{Path: "/v2/" + path, Caller: &abi.Caller{}, Remote: remote})
}

func (d *desk) as(c abi.Caller, method, path, json string) *guesttest.Response {
	d.t.Helper()
	return d.Do(guesttest.Request{Method: method, Path: "/v2/" + path, JSON: json, Caller: &c})
}

func (d *desk) ok(r *guesttest.Response) *guesttest.Response {
	d.t.Helper()
	if r.Status != 200 || r.Text("result") != "ok" || r.Text("meta.time") != fmt.Sprint(d.Host.Now.UnixMilli()) {
		d.t.Fatal(r)
	}
	return r
}

func (d *desk) refused(r *guesttest.Response, status int, code, detail string) {
	d.t.Helper()
	if r.Status != status || r.Text("meta.error") != code || !strings.Contains(r.Text("meta.error_detail"), detail) ||
		r.Text("result") != "failure" || r.Text("response") != "map[]" || r.Text("meta.time") == "" {
		d.t.Fatalf("want %d %s with %q, got %s", status, code, detail, r)
	}
}

func (d *desk) ticket() string {
	d.t.Helper()
	return d.ok(d.post("users/self/create_ticket?duration=3600000", "")).Text("response.id")
}

func (d *desk) invite(ticket string) string {
	d.t.Helper()
	return d.ok(d.post("tickets/"+ticket+"/create_invite?type=link", "")).Text("response.id")
}

func (d *desk) ms() int64 { return d.Host.Now.UnixMilli() }

// A ticket carries the name of its sharer's account, until the sharer says another.
func TestATicketHasTheNameOfItsSharer(t *testing.T) {
	d := newDesk(t)
	d.Caller.Name = "Änne O'Hara"
	id := d.ticket()
	shows := func(want string) {
		t.Helper()
		got := d.ok(d.nobody("invites/"+d.invite(id), "")).Text("response.properties")
		if !strings.Contains(got, "n:owner") || strings.Contains(got, "n:name") != (want != "") || !strings.Contains(got, "v:"+want) {
			t.Errorf("got %s, want the name %q", got, want)
		}
	}
	shows("Änne O'Hara")
	d.property(id, "name", "Ann")
	shows("Ann")
	d.Caller.Name = ""
	id = d.ticket()
	shows("")
}

func TestCreateTicket(t *testing.T) {
	d := newDesk(t)
	r := d.ok(d.Do(guesttest.Request{Method: "POST", Path: "/v2/users/self/create_ticket", Form: url.Values{"duration": {"60000"}}}))
	for field, want := range map[string]string{
		"type": "ticket", "state": "active", "owner": "ann",
		"start_time": fmt.Sprint(d.ms()), "end_time": fmt.Sprint(d.ms() + 60000),
	} {
		if got := r.Text("response." + field); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	if id := r.Text("response.id"); len(id) != 19 {
		t.Errorf("id %q", id)
	}
	for query, detail := range map[string]string{
		"": "duration", "?duration=0": "duration", "?duration=-5": "duration",
		"?duration=14400001": "1 to 14400000", "?duration=x": "whole number",
	} {
		d.refused(d.post("users/self/create_ticket"+query, ""), 400, "bad_parameter", detail)
	}
	d.Host.Settings["max_duration"] = "1000"
	d.refused(d.post("users/self/create_ticket?duration=1001", ""), 400, "bad_parameter", "1000")
	d.ok(d.post("users/self/create_ticket?duration=1000", ""))
	d.Host.Settings["max_duration"] = "nonsense"
	d.ok(d.post("users/self/create_ticket?duration=14400000", ""))
}

func TestAnAccountHasAtMostSoManyActiveTickets(t *testing.T) {
	d := newDesk(t)
	for range maxActive {
		d.ticket()
	}
	d.refused(d.post("users/self/create_ticket?duration=1000", ""), 409, "too_many", "100")
	d.ok(d.as(bob, "POST", "users/self/create_ticket?duration=1000", ""))
	d.Advance(2 * time.Hour)
	d.ticket()
}

func TestEveryOwnersCallTreatsAnothersTicketAsUnknown(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	calls := []struct{ method, path, json string }{
		{"GET", "tickets/%s", ""}, {"GET", "tickets/%s/invites", ""},
		{"POST", "tickets/%s/update?duration=1", ""}, {"POST", "tickets/%s/expire", ""}, {"POST", "tickets/%s/delete", ""},
		{"POST", "tickets/%s/set_visibility?location=hidden", ""}, {"POST", "tickets/%s/create_invite?type=link", ""},
		{"POST", "tickets/%s/append_location", "[]"}, {"POST", "tickets/%s/append_data", "[]"},
	}
	before := d.Host.Len()
	for _, c := range calls {
		theirs := d.as(bob, c.method, fmt.Sprintf(c.path, id), c.json)
		d.refused(theirs, 404, "ticket_id", "no such ticket")
		for _, unknown := range []string{"5000000000000000000", "1", "0", "-1", "x", "99999999999999999999999"} {
			if r := d.as(bob, c.method, fmt.Sprintf(c.path, unknown), c.json); r.String() != theirs.String() {
				t.Errorf("%s %s: %s tells %s from another's", c.method, c.path, r, unknown)
			}
		}
		d.Do(guesttest.Request{Method: c.method, Path: "/v2/" + fmt.Sprintf(c.path, id), Caller: &abi.Caller{}})
	}
	for _, path := range []string{"invites/%s/update?name=x", "invites/%s/delete"} {
		theirs := d.as(bob, "POST", fmt.Sprintf(path, code), "")
		d.refused(theirs, 404, "invite_code", "no such invite")
		for _, unknown := range []string{"2222-2222", "x", "0000-0000"} {
			if r := d.as(bob, "POST", fmt.Sprintf(path, unknown), ""); r.String() != theirs.String() {
				t.Error(r)
			}
		}
	}
	if d.Host.Len() != before {
		t.Error("a refused call left something")
	}
	for _, list := range []string{"users/self/tickets", "users/self/invites?expired=true"} {
		if r := d.ok(d.as(bob, "GET", list, "")); r.Field("response.items.0") != nil {
			t.Error(r)
		}
	}
}

func TestCallsNeedAToken(t *testing.T) {
	d := newDesk(t)
	for _, r := range plugin().Description().Routes {
		if !strings.HasPrefix(r.Pattern, "/v2/") {
			continue // a page, which asks the API
		}
		path := strings.NewReplacer(":id", "1", ":code", "2222-2222").Replace(r.Pattern)
		got := d.Do(guesttest.Request{Method: r.Method, Path: path, Caller: &abi.Caller{}})
		if want := map[bool]int{true: 404, false: 401}[r.Optional]; got.Status != want {
			t.Errorf("%s %s: %s", r.Method, path, got)
		}
	}
}

func TestUpdateTicketSetsTheRemainingLifetime(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	d.Advance(time.Minute)
	r := d.ok(d.post("tickets/"+id+"/update?duration=7200000", ""))
	if r.Text("response.end_time") != fmt.Sprint(d.ms()+7200000) || r.Text("response.state") != "active" {
		t.Error(r)
	}
	for _, query := range []string{"", "?duration=-1", "?duration=14400001", "?duration=x"} {
		d.refused(d.post("tickets/"+id+"/update"+query, ""), 400, "bad_parameter", "duration")
	}
	r = d.ok(d.post("tickets/"+id+"/update?duration=0", ""))
	if r.Text("response.end_time") != fmt.Sprint(d.ms()) || r.Text("response.state") != "expired" {
		t.Error(r)
	}
	d.refused(d.post("tickets/"+id+"/update?duration=1000", ""), 409, "ticket_expired", "")
}

func TestATicketCanBeExtendedUpToItsLifetime(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	for range 47 {
		d.ok(d.post("tickets/"+id+"/update?duration=14400000", ""))
		d.Advance(210 * time.Minute)
	}
	d.refused(d.post("tickets/"+id+"/update?duration=14400000", ""), 409, "ticket_lifetime", "604800000")
	d.ok(d.get("tickets/" + id))
}

func TestExpireTicket(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	for range 2 {
		if r := d.ok(d.post("tickets/"+id+"/expire", "")); r.Text("response.state") != "expired" || r.Text("response.end_time") != fmt.Sprint(d.ms()) {
			t.Error(r)
		}
	}
	for _, call := range []string{"update?duration=1", "set_visibility?location=hidden", "create_invite?type=link", "append_location", "append_data"} {
		d.refused(d.post("tickets/"+id+"/"+call, ""), 409, "ticket_expired", "expired")
	}
}

func TestDeleteTicket(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf("[[%d,1,2]]", d.ms())))
	d.ok(d.post("tickets/"+id+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"message","v":"x"}]`, d.ms())))
	d.ok(d.post("tickets/"+id+"/delete", ""))
	d.refused(d.post("tickets/"+id+"/delete", ""), 404, "ticket_id", "")
	d.refused(d.get("tickets/"+id), 404, "ticket_id", "")
	d.refused(d.get("invites/"+code), 404, "invite_code", "")
	d.refused(d.get("invites/"+code+"/properties"), 404, "invite_code", "")
	d.refused(d.post("invites/"+code+"/delete", ""), 404, "invite_code", "")
	if r := d.ok(d.get("users/self/tickets")); r.Text("response.items") != "[]" {
		t.Error(r)
	}
}

func TestListTickets(t *testing.T) {
	d := newDesk(t)
	var ids []string
	for i := range 7 {
		ids = append(ids, d.ok(d.post(fmt.Sprintf("users/self/create_ticket?duration=%d", (i+1)*60000), "")).Text("response.id"))
		d.Advance(time.Second)
	}
	var got []string
	query, pages := "limit=3", 0
	for {
		r := d.ok(d.get("users/self/tickets?" + query))
		items, _ := r.Field("response.items").([]any)
		for i := range items {
			got = append([]string{r.Text(fmt.Sprintf("response.items.%d.id", i))}, got...)
		}
		pages++
		next := r.Text("response.next")
		if next == "" {
			break
		}
		query = "limit=3&next=" + next
	}
	if fmt.Sprint(got) != fmt.Sprint(ids) || pages != 3 {
		t.Errorf("in %d pages got %v, want %v", pages, got, ids)
	}
	end := d.ok(d.get("tickets/" + ids[4])).Text("response.end_time")
	if r := d.ok(d.get("users/self/tickets?min_end_time=" + end)); r.Text("response.items.2.id") != ids[4] || r.Field("response.items.3") != nil {
		t.Error(r)
	}
	d.Advance(3 * time.Minute)
	if r := d.ok(d.get("users/self/tickets?state=active&limit=2")); r.Text("response.items.1.id") != ids[5] {
		t.Error(r)
	}
	if r := d.ok(d.get("users/self/tickets?state=expired")); r.Text("response.items.0.state") != "expired" || r.Field("response.items.7") != nil {
		t.Error(r)
	}
	code := d.invite(ids[6])
	r := d.ok(d.get("users/self/tickets?limit=1&invites=true&properties=true"))
	if r.Text("response.items.0.invites.0.id") != code || r.Text("response.items.0.properties.0.n") != "owner" {
		t.Error(r)
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "state=lost", "min_end_time=x", "next=x", "next=1", "next=1-x", "invites=x", "properties=x"} {
		d.refused(d.get("users/self/tickets?"+query), 400, "bad_parameter", strings.SplitN(query, "=", 2)[0])
	}
	d.Advance(49 * time.Hour)
	if r := d.ok(d.get("users/self/tickets")); r.Text("response.items") != "[]" {
		t.Error(r)
	}
}

func TestCreateInvite(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	r := d.ok(d.post("tickets/"+id+"/create_invite?type=sms&subtype=mobile&name=Bo&address=%2B15551234&text=Look:&visible=all", ""))
	code := r.Text("response.id")
	for field, want := range map[string]string{
		"type": "invite", "invite_type": "ticket_invite", "url": "http://edge.test/" + code, "created": fmt.Sprint(d.ms()),
		"send": "client", "recipient.type": "sms", "recipient.subtype": "mobile", "recipient.address": "+15551234",
		"recipient.name": "Bo", "status": "need_to_send", "viewers": "0", "viewing": "0", "last_view": "", "ticket_id": id,
		"owner": "ann", "text": "Look: http://edge.test/" + code, "visible": "all", "state": "active", "status_detail": "",
	} {
		if got := r.Text("response." + field); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	if len(code) != 9 || code[4] != '-' {
		t.Errorf("code %q", code)
	}
	d.Host.Settings["link_base"] = "https://go.example/"
	if r = d.ok(d.get("tickets/" + id + "/invites")); r.Text("response.items.0.url") != "https://go.example/"+code || r.Text("response.type") != "invites" {
		t.Error(r)
	}
	long := strings.Repeat("é", 2000)
	for query, detail := range map[string]string{
		"": "type", "?type=": "type", "?type=pigeon": "type", "?type=sms": "address", "?type=email&address=": "address",
		"?type=account": "address", "?type=app": "address", "?type=group": "address", "?type=share": "address",
		"?type=link&send=bird": "send", "?type=link&address=" + long[:2*257]: "address", "?type=link&name=" + long[:2*151]: "name",
		"?type=link&subtype=" + long[:2*51]: "subtype", "?type=link&text=" + long: "text", "?type=link&visible=" + long: "visible",
		"?type=link&request_id=" + long: "request_id",
	} {
		d.refused(d.post("tickets/"+id+"/create_invite"+query, ""), 400, "bad_parameter", detail)
	}
	d.ok(d.post("tickets/"+id+"/create_invite?type=link&address="+long[:2*256]+"&name="+long[:2*150]+"&subtype="+long[:2*50], ""))
}

func TestHowOftenATicketMayHaveAnInvite(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	make := func(query string) *guesttest.Response { return d.post("tickets/"+id+"/create_invite?"+query, "") }
	for range 3 {
		d.ok(make("type=link"))
	}
	for _, kind := range []string{"twitter", "facebook", "evernote", "clipboard"} {
		first := d.ok(make("type=" + kind)).Text("response.id")
		d.refused(make("type="+kind), 409, "invite_exists", kind)
		d.ok(d.post("invites/"+first+"/delete", ""))
		d.ok(make("type=" + kind))
	}
	first := d.ok(make("type=sms&address=%2B1+555-1234")).Text("response.id")
	d.refused(make("type=sms&address=%2B15551234"), 409, "invite_exists", "address")
	d.refused(make("type=app&address=%2B15551234"), 409, "invite_exists", "address")
	d.ok(make("type=email&address=Bo@Example.com"))
	d.refused(make("type=email&address=+bo@example.COM"), 409, "invite_exists", "address")
	d.ok(d.post("invites/"+first+"/delete", ""))
	d.ok(make("type=sms&address=%2B15551234"))
	other := d.ticket()
	d.ok(d.post("tickets/"+other+"/create_invite?type=sms&address=%2B15551234", ""))
}

func TestARepeatedRequestMakesOneInvite(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	path := "tickets/" + id + "/create_invite?type=sms&address=1&request_id=r1"
	first := d.ok(d.post(path, "")).Text("response.id")
	d.Advance(time.Second)
	if r := d.ok(d.post(path, "")); r.Text("response.id") != first {
		t.Error(r)
	}
	if r := d.ok(d.post("tickets/"+id+"/create_invite?type=link&request_id=r2", "")); r.Text("response.id") == first {
		t.Error(r)
	}
	d.ok(d.post("tickets/"+id+"/expire", ""))
	if r := d.ok(d.post(path, "")); r.Text("response.id") != first {
		t.Error(r)
	}
}

func TestATicketHasAtMostSoManyInvites(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	for range maxInvites {
		d.invite(id)
	}
	d.refused(d.post("tickets/"+id+"/create_invite?type=link", ""), 409, "too_many", "500")
}

func TestUpdateInvite(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.ok(d.post("tickets/"+id+"/create_invite?type=email&send=server&address=bo@example.com", "")).Text("response.id")
	since := d.ok(d.get("users/self/invites")).Text("response.last_refresh")
	d.Advance(time.Second)
	r := d.ok(d.post("invites/"+code+"/update?name=Cy&text=hi&visible=some&status=sent", ""))
	for field, want := range map[string]string{"recipient.name": "Cy", "text": "hi http://edge.test/" + code, "visible": "some", "status": "sent", "last_modified": fmt.Sprint(d.ms())} {
		if r.Text("response."+field) != want {
			t.Errorf("%s: %s", field, r)
		}
	}
	if r := d.ok(d.get("users/self/invites?since=" + since)); r.Text("response.items.0.recipient.name") != "Cy" || r.Field("response.full") != nil {
		t.Error(r)
	}
	d.refused(d.post("invites/"+code+"/update?status=deleted", ""), 400, "bad_parameter", "status")
	d.refused(d.post("invites/"+code+"/update?name="+strings.Repeat("x", 151), ""), 400, "bad_parameter", "name")
	d.refused(d.post("invites/"+code+"/update?text="+strings.Repeat("x", 1025), ""), 400, "bad_parameter", "text")
	d.ok(d.post("tickets/"+id+"/expire", ""))
	d.refused(d.post("invites/"+code+"/update?name=x", ""), 409, "ticket_expired", "")
}

func TestADeletedInviteOpensNothing(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code, other := d.invite(id), d.invite(id)
	since := d.ok(d.get("users/self/invites")).Text("response.last_refresh")
	d.ok(d.nobody("invites/"+code, "192.0.2.9"))
	d.ok(d.post("invites/"+code+"/delete", ""))
	d.refused(d.nobody("invites/"+code, ""), 404, "invite_code", "")
	d.refused(d.get("invites/"+code+"/properties"), 404, "invite_code", "")
	d.refused(d.post("invites/"+code+"/delete", ""), 404, "invite_code", "")
	if r := d.ok(d.get("tickets/" + id + "/invites")); r.Text("response.items.0.id") != other || r.Field("response.items.1") != nil {
		t.Error(r)
	}
	r := d.ok(d.get("users/self/invites?since=" + since))
	if r.Text("response.items.0.id") != code || r.Text("response.items.0.state") != "deleted" || r.Text("response.items.0.status") != "deleted" {
		t.Error(r)
	}
	// Neither that its viewer leaves nor that the ticket ends is told of it.
	since = r.Text("response.last_refresh")
	d.Advance(5 * time.Minute)
	d.ok(d.post("tickets/"+id+"/expire", ""))
	d.ok(d.get("users/self/invites?since=" + since))
	r = d.ok(d.get("users/self/invites?since=" + since))
	if r.Text("response.items.0.id") != other || r.Text("response.items.0.state") != "expired" || r.Field("response.items.1") != nil {
		t.Error(r)
	}
}

func TestCodesAreReadAsPeopleTypeThem(t *testing.T) {
	d := newDesk(t)
	code := d.invite(d.ticket())
	for _, typed := range []string{code, strings.ToLower(code), strings.ReplaceAll(code, "-", ""), strings.ToLower(strings.ReplaceAll(code, "-", ""))} {
		if r := d.ok(d.get("invites/" + typed)); r.Text("response.id") != code {
			t.Error(r)
		}
	}
	for _, wrong := range []string{code[:8], code + "2", "0" + code[1:], "OOOO-OOOO", "é222-2222"} {
		d.refused(d.get("invites/"+url.PathEscape(wrong)), 404, "invite_code", "")
	}
}

func TestNewCodesAndIDsAreDrawnAtRandom(t *testing.T) {
	d := newDesk(t)
	id, letters := d.ticket(), map[rune]bool{}
	seen := map[string]bool{}
	for range 200 {
		code := d.invite(id)
		if seen[code] {
			t.Fatal("repeated")
		}
		seen[code] = true
		for _, c := range code {
			letters[c] = true
		}
		if c, ok := parseCode(code); !ok || c.String() != code {
			t.Fatal(code)
		}
	}
	if len(letters) != 33 {
		t.Errorf("%d letters in use", len(letters))
	}
}
