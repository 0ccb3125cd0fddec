package main

import (
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestOnlyOwnersChangeAPost(t *testing.T) {
	for _, c := range []struct {
		name  string
		owner abi.Caller
		may   []abi.Caller
		not   []abi.Caller
	}{
		{"a person", deskAnn, []abi.Caller{deskAnn, deskPhone}, []abi.Caller{deskBob, deskApp, deskOther}},
		{"a person through an application", deskPhone, []abi.Caller{deskAnn, deskPhone, deskApp}, []abi.Caller{deskBob, deskOther}},
		{"an application", deskApp, []abi.Caller{deskApp}, []abi.Caller{deskAnn, deskPhone, deskOther, deskBob}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			for _, who := range c.may {
				id := d.post(c.owner, "city", "Tulsa")
				r := d.wantStatus(d.call(who, "PUT", "/1.0/posts/"+id, "city", "Norman"), 200)
				if r.Text("city") != "Norman" || r.Text("id") != id {
					t.Fatal(r)
				}
				d.wantStatus(d.call(who, "POST", "/1.0/posts/"+id+"/update", "city", "Ada"), 200)
				d.wantStatus(d.call(who, "DELETE", "/1.0/posts/"+id), 204)
				d.wantRefusal(d.get("/1.0/posts/"+id+".json"), 404, "not_found")
			}
			id := d.post(c.owner, "city", "Tulsa")
			for _, who := range c.not {
				d.wantRefusal(d.call(who, "PUT", "/1.0/posts/"+id, "city", "Norman"), 403, "not_yours")
				d.wantRefusal(d.call(who, "POST", "/1.0/posts/"+id+"/update", "city", "Norman"), 403, "not_yours")
				d.wantRefusal(d.call(who, "DELETE", "/1.0/posts/"+id), 403, "not_yours")
				d.wantRefusal(d.call(who, "POST", "/1.0/posts/"+id+"/delete"), 403, "not_yours")
			}
			d.wantList(id, "city", "tulsa")
		})
	}
}

func TestNobodyOwnsWhatHasNoName(t *testing.T) {
	if nameless := (&abi.Caller{Proof: "token"}); owns(nameless, "", "") || owns(nameless, "ann", "") {
		t.Error("a caller without an account and an application owns something")
	}
	if owns(&abi.Caller{Account: "ann", App: "app"}, "", "app") {
		t.Error("an account owns what an application has posted for nobody")
	}
}
