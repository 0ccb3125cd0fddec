package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWhatViewersSeeOfTheEnd(t *testing.T) {
	for _, how := range []string{"by itself", "by hand"} {
		d := newDesk(t)
		id := d.ticket()
		code := d.invite(id)
		d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms(), 1, 3)))
		next := d.ok(d.get("invites/" + code)).Text("response.next")
		d.Advance(time.Minute)
		d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms(), 1, 2)))
		if how == "by hand" {
			d.ok(d.post("tickets/"+id+"/expire", ""))
		} else {
			d.Advance(time.Hour)
		}
		r := d.ok(d.get("invites/" + code + "?next=" + next))
		told := r.Text("response.data")
		if r.Field("response.location.1") == nil || !strings.Contains(told, "n:expired pid:0") || strings.Contains(told, "n:end_time") != (how == "by hand") {
			t.Error(how, r)
		}
		next = r.Text("response.next")
		for range 3 {
			d.Advance(time.Hour)
			r = d.ok(d.get("invites/" + code + "?next=" + next))
			if r.Text("response.data") != "[]" || r.Field("response.location") != nil || r.Text("response.next") != next {
				t.Error(how, r)
			}
		}
		for _, path := range []string{"invites/" + code, "invites/" + code + "?full_trail=true"} {
			r = d.ok(d.get(path))
			if r.Field("response.location.4") == nil || !strings.Contains(r.Text("response.properties"), "n:expired") || r.Text("response.next") != next {
				t.Error(how, r)
			}
		}
		if r = d.ok(d.get("invites/" + code + "/properties")); !strings.Contains(r.Text("response.properties"), "n:expired") {
			t.Error(how, r)
		}
		d.Advance(44 * time.Hour)
		d.ok(d.get("invites/" + code + "?next=" + next))
		d.Advance(2 * time.Hour)
		d.refused(d.get("invites/"+code), 404, "invite_code", "")
		d.refused(d.get("tickets/"+id), 404, "ticket_id", "")
		d.refused(d.post("invites/"+code+"/update?name=x", ""), 404, "invite_code", "")
		d.Advance(8 * 24 * time.Hour)
		if left := d.Host.Len(); left != 0 {
			t.Errorf("%d entries are left for ever", left)
		}
	}
}

func TestAnEndIsToldToWhomItIsNews(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	next := d.ok(d.get("invites/" + code)).Text("response.next")
	d.Advance(time.Minute)
	d.ok(d.post("tickets/"+id+"/update?duration=7200000", ""))
	r := d.ok(d.get("invites/" + code + "?next=" + next))
	if r.Text("response.data.0.v") != fmt.Sprint(d.ms()+7200000) || r.Text("response.data.0.n") != "end_time" || r.Field("response.data.1") != nil {
		t.Error(r)
	}
	same := r.Text("response.next")
	if r = d.ok(d.get("invites/" + code + "?next=" + same)); r.Text("response.data") != "[]" || r.Text("response.next") != same {
		t.Error(r)
	}
}

func TestRetentionIsTheOperatorsChoice(t *testing.T) {
	for setting, hours := range map[string]int{"3600000": 1, "1": 0, "": 48} {
		d := newDesk(t)
		d.Host.Settings["retention"] = setting
		id := d.ticket()
		code := d.invite(id)
		d.ok(d.post("tickets/"+id+"/expire", ""))
		d.Advance(time.Duration(hours)*time.Hour + 9*time.Minute - time.Duration(min(hours, 1))*10*time.Minute)
		d.ok(d.get("invites/" + code))
		d.Advance(2 * time.Minute)
		d.refused(d.get("invites/"+code), 404, "invite_code", "")
	}
}

func TestAnEndThatNobodyNoticedIsToldWhenTheTicketIsGone(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["retention"] = "600000"
	id := d.ticket()
	code := d.invite(id)
	since := d.ok(d.get("users/self/invites")).Text("response.last_refresh")
	d.Advance(2 * time.Hour)
	d.ok(d.get("users/self/invites?since=" + since))
	r := d.ok(d.get("users/self/invites?since=" + since))
	if r.Text("response.items.0.id") != code || r.Text("response.items.0.state") != "deleted" {
		t.Error(r)
	}
	for _, query := range []string{"?since=" + r.Text("response.last_refresh"), "", "?expired=true"} {
		if r := d.ok(d.get("users/self/invites" + query)); r.Field("response.items") != nil {
			t.Error(r)
		}
	}
	d.ticket()
}
