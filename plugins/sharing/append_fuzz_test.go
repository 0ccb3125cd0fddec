package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// FuzzAppendLocation sends bodies of any kind. A batch is taken whole or not at
// all; what is taken comes back in range, in whole numbers, once a time, and the
// same in both forms.
func FuzzAppendLocation(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC).UnixMilli()
	for _, seed := range []string{
		"[]", "null", "{}", "[[]]", "[[$,1,2]]", "[[$,1,2,null,90,null,3]]", "[[$,1.5e6,-2,13,359.6,1e2,4,5],[$,1,2]]",
		"[[$,1,2],[$,90000001,2]]", "[[$,47.6,-122.3]]", "[[$.4,1,2,-1,-1,-1,-1,-1]]", "[[1e999,1,2]]", `[["$",1,2]]`,
		"[[$,1,2,3,4,5,6,7,8]]", "[[-0,0,0]]", "[[9007199254740993,1,2]]", "[[[$,1,2]]]", "[[$,1,18446744073709551616]]",
	} {
		f.Add(strings.ReplaceAll(seed, "$", fmt.Sprint(now)))
	}
	f.Fuzz(func(t *testing.T, body string) {
		if d := json.NewDecoder(strings.NewReader(body)); !json.Valid([]byte(body)) || d.Decode(new(any)) != nil || len(body) > 1<<16 {
			t.Skip()
		}
		d := newDesk(t)
		id := d.ticket()
		code := d.invite(id)
		d.Advance(10 * time.Minute)
		r := d.post("tickets/"+id+"/append_location", body)
		plain := d.ok(d.get("invites/" + code + "?uncompressed=true&full_trail=true"))
		list, _ := plain.Field("response.location").([]any)
		switch {
		case r.Status == 400 && r.Text("meta.error") == "bad_point":
			if len(list) > 0 {
				t.Fatalf("refused, and stored %d points", len(list))
			}
			return
		case r.Status != 200 || r.Text("response.stored") != fmt.Sprint(len(list)):
			t.Fatalf("%s, and %d points are there", r, len(list))
		}
		last := int64(math.MinInt64)
		for _, row := range rowsOf(t, decode(plain.Value.Get("response")).(map[string]any)) {
			if at := row[0].(int64); at <= last || at > d.ms()+maxAhead || at < d.ms()-20*minute {
				t.Fatalf("time %d after %d", at, last)
			} else {
				last = at
			}
			for col := 1; col < columns; col++ {
				if v, ok := row[col].(int64); ok && (v < columnRange[col][0] || v > columnRange[col][1]) || !ok && (row[col] != nil || col < required) {
					t.Fatalf("column %d of %v", col, row)
				}
			}
		}
		if packed := d.ok(d.get("invites/" + code + "?full_trail=true")); location(t, packed) != location(t, plain) {
			t.Fatalf("%s is not %s", location(t, packed), location(t, plain))
		}
		if again := d.ok(d.post("tickets/"+id+"/append_location", body)); again.Text("response.stored") != "0" {
			t.Fatalf("the same again: %s", again)
		}
	})
}
