package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestAppendData(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code, now := d.invite(id), d.ms()
	next := d.ok(d.get("invites/" + code)).Text("response.next")
	rows := fmt.Sprintf(`[
		{"t":%[1]d,"pid":0,"n":"message","v":"Heading home!"},
		{"t":%[1]d,"n":"destination","v":{"lat":47.1,"lng":-122.5,"name":"Home","x":[null,true,1e400]},"more":1},
		{"t":%[1]d,"pid":7,"n":"message","v":null},
		{"t":%[2]d,"n":"eta","v":1}, {"t":%[1]d,"n":"eta","v":2}, {"t":%[2]d,"n":"eta","v":3}]`, now, now+1)
	if r := d.ok(d.post("tickets/"+id+"/append_data", rows)); r.Text("response.stored") != "4" {
		t.Error(r)
	}
	r := d.ok(d.get("invites/" + code + "?next=" + next))
	next = r.Text("response.next")
	for i, want := range []string{"v:Heading home!", "v:map[lat:47.1 lng:-122.5 name:Home x:[<nil> true 1e400]]", "pid:7", "v:3"} {
		if got := r.Text(fmt.Sprintf("response.data.%d", i)); !strings.Contains(got, want) {
			t.Errorf("row %d: %s", i, got)
		}
	}
	// An older one does not count, one of the same time does.
	if r := d.ok(d.post("tickets/"+id+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"eta","v":4},{"t":%d,"n":"message","v":"5"}]`, now, now))); r.Text("response.stored") != "1" {
		t.Error(r)
	}
	r = d.ok(d.get("invites/" + code + "?next=" + next))
	if r.Text("response.data.0.v") != "5" || r.Field("response.data.1") != nil {
		t.Error(r)
	}
	for _, path := range []string{"invites/" + code + "/properties", "tickets/" + id + "?properties=true", "invites/" + code} {
		r = d.ok(d.get(path))
		got := r.Text("response.properties")
		for _, want := range []string{"n:owner pid:0", "v:ann", fmt.Sprintf("n:start_time pid:0 t:%d v:%d", now, now), fmt.Sprintf("n:end_time pid:0 t:%d v:%d", now, now+3600000), "v:5", "v:3"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", path, want, got)
			}
		}
		if strings.Contains(got, "expired") || strings.Contains(got, "v:4") {
			t.Error(got)
		}
	}
	for _, body := range []string{"", "[]"} {
		if r := d.ok(d.post("tickets/"+id+"/append_data", body)); r.Text("response.stored") != "0" {
			t.Error(r)
		}
	}
}

func TestABadPropertyRefusesItsBatch(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	before := d.Host.Len()
	long := strings.Repeat("é", 65)
	for row, detail := range map[string]string{
		`7`:                                 "want an object",
		`{"n":"x","v":1}`:                   "t is missing",
		`{"t":"1","n":"x","v":1}`:           "t: want",
		`{"t":-1,"n":"x","v":1}`:            "negative",
		`{"t":$F,"n":"x","v":1}`:            "ahead",
		`{"t":1,"v":1}`:                     "n: want",
		`{"t":1,"n":"","v":1}`:              "n: want",
		`{"t":1,"n":5,"v":1}`:               "n: want",
		`{"t":1,"n":"` + long + `","v":1}`:  "n: want",
		`{"t":1,"n":"x"}`:                   "v is missing",
		`{"t":1,"n":"x","pid":-1,"v":1}`:    "pid",
		`{"t":1,"n":"x","pid":"a","v":1}`:   "pid",
		`{"t":1,"n":"expired","v":1}`:       "server writes",
		`{"t":1,"n":"owner","pid":0,"v":1}`: "server writes",
		`{"t":1,"n":"x","v":"` + strings.Repeat("x", maxValue) + `"}`: "16 KiB",
	} {
		row = strings.ReplaceAll(row, "$F", fmt.Sprint(d.ms()+60001))
		d.refused(d.post("tickets/"+id+"/append_data", `[{"t":1,"n":"ok","v":1},`+row+`]`), 400, "bad_property", "index 1: ")
		d.refused(d.post("tickets/"+id+"/append_data", `[{"t":1,"n":"ok","v":1},`+row+`]`), 400, "bad_property", detail)
	}
	d.refused(d.post("tickets/"+id+"/append_data", `{}`), 400, "bad_property", "got an object")
	d.refused(d.post("tickets/"+id+"/append_data", "["+strings.Repeat(`{"t":1,"n":"x","v":1},`, 500)+`1]`), 400, "bad_property", "501")
	if d.Host.Len() != before {
		t.Error("a refused batch left something")
	}
	d.ok(d.post("tickets/"+id+"/append_data", `[{"t":1,"n":"owner","pid":3,"v":1},{"t":1,"n":"`+long[:128]+`","v":1}]`))
	many := func(from, n int) string {
		var rows []string
		for i := range n {
			rows = append(rows, fmt.Sprintf(`{"t":1,"pid":1,"n":"p%d","v":"%s"}`, from+i, strings.Repeat("x", 3000)))
		}
		return "[" + strings.Join(rows, ",") + "]"
	}
	d.ok(d.post("tickets/"+id+"/append_data", many(0, 254)))
	d.refused(d.post("tickets/"+id+"/append_data", many(254, 1)), 409, "too_many", "256")
	d.ok(d.post("tickets/"+id+"/append_data", many(0, 254)))
	code := d.invite(id)
	if r := d.ok(d.get("invites/" + code)); r.Field("response.properties.258") == nil {
		t.Error("properties are missing")
	}
}
