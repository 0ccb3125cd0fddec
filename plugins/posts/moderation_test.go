package main

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestTheQueueHasThoseWithTheMostFlagsFirst(t *testing.T) {
	d := newDesk(t)
	for range 5 {
		d.post(deskAnn)
	}
	if got := d.queue("kind=posts"); got != "0:" {
		t.Fatal(got)
	}
	flaggers := []abi.Caller{deskAnn, deskBob, deskApp}
	for id, n := range map[string]int{"1": 1, "2": 2, "4": 3, "5": 1} {
		for _, who := range flaggers[:n] {
			d.flag(who, id)
		}
	}
	for query, want := range map[string]string{
		"":                           "4: 4x3h 2x2 1x1 5x1",
		"kind=posts":                 "4: 4x3h 2x2 1x1 5x1",
		"kind=posts&count=3":         "4: 4x3h 2x2 1x1",
		"kind=posts&count=3&page=2":  "4: 5x1",
		"kind=posts&count=3&page=3":  "4:",
		"kind=posts&page=9999999999": "4:",
		"kind=comments":              "0:",
	} {
		if got := d.queue(query); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	d.wantRefusal(d.operate("GET", "/queue?kind=people"), 400, "bad_parameter", "kind")
	d.wantRefusal(d.operate("GET", "/queue?count=0"), 400, "bad_parameter", "count")

	d.wantStatus(d.operate("POST", "/posts/2/restore"), 200)
	d.wantStatus(d.operate("POST", "/posts/1/remove"), 204)
	d.wantStatus(d.call(deskAnn, "DELETE", "/1.0/posts/5"), 204)
	if got := d.queue(""); got != "1: 4x3h" {
		t.Error(got)
	}
}

func TestALongQueueIsReadPageByPage(t *testing.T) {
	d := newDesk(t)
	for first := uint32(1); first <= 2500; first += 500 {
		inCall(t, d, func(kv kvOf) error {
			for n := first; n < first+500; n++ {
				if err := moveInQueue(kv, shelfPosts, n, 0, 1+int(n%2)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	inCall(t, d, func(kv kvOf) error {
		seen := 0
		for skip := 0; ; skip += 100 {
			total, numbers, err := readQueue(kv, shelfPosts, skip, 100)
			if err != nil || total != 2500 {
				return fmt.Errorf("total %d: %w", total, err)
			}
			if len(numbers) == 0 {
				break
			}
			for _, n := range numbers {
				want := uint32(2*seen + 1) // those with two flags
				if seen >= 1250 {
					want = uint32(2 * (seen - 1249))
				}
				if n != want {
					return fmt.Errorf("at %d: got %d, want %d", seen, n, want)
				}
				seen++
			}
		}
		if seen != 2500 {
			return fmt.Errorf("seen are %d", seen)
		}
		return nil
	})
}

func TestARestoredPostIsVisibleAndItsFlaggersDoNotCountAgain(t *testing.T) {
	d := newDesk(t)
	id := d.post(deskAnn, "city", "Tulsa", "email", "ann@example.org")
	for _, said := range []string{"a", "b"} {
		d.wantStatus(d.call(deskBob, "POST", "/1.0/comments", "postId", id, "content", said), 201)
	}
	for _, who := range []abi.Caller{deskBob, deskApp, deskOther} {
		d.flag(who, id)
	}
	d.wantList("")
	whole := d.wantStatus(d.operate("GET", "/posts/"+id), 200)
	for field, want := range map[string]string{
		"kind": "post", "flags": "3", "hidden": "true", "udid": "u-1234", "email": "ann@example.org", "account": "ann-account", "city": "Tulsa",
	} {
		if whole.Text(field) != want {
			t.Errorf("%s: %q, want %q", field, whole.Text(field), want)
		}
	}
	r := d.wantStatus(d.operate("POST", "/posts/"+id+"/restore"), 200)
	if r.Text("flags") != "0" || r.Field("hidden") != false {
		t.Error(r)
	}
	d.wantList(id, "city", "tulsa")
	if r := d.get("/1.0/comments.json"); r.Text("total") != "2" {
		t.Error(r)
	}
	for i, c := range []struct {
		who   abi.Caller
		count string
	}{{deskBob, "0"}, {deskApp, "0"}, {deskOther, "0"}, {deskAnn, "1"}} {
		if got := d.flag(c.who, id); got != c.count {
			t.Fatalf("%d: %s flags, want %s", i, got, c.count)
		}
	}
	if got := d.queue(""); got != "1: 1x1" {
		t.Error(got)
	}
	for i := range 2 {
		d.flag(deskOther, id, "udid", strconv.Itoa(i))
	}
	d.wantList("")
	if got := d.queue(""); got != "1: 1x3h" {
		t.Error(got)
	}
	d.neverShown("u-1234", "ann@example.org")
}

func TestOperatorsRemoveWhatIsHiddenOrNot(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["hide_after"] = "1"
	d.post(deskAnn)
	d.post(deskApp)
	d.flag(deskBob, "1")
	for _, id := range []string{"1", "2"} {
		d.wantStatus(d.operate("POST", "/posts/"+id+"/remove"), 204)
		d.wantRefusal(d.operate("GET", "/posts/"+id), 404, "not_found")
		d.wantRefusal(d.operate("POST", "/posts/"+id+"/remove"), 404, "not_found")
		d.wantRefusal(d.operate("POST", "/posts/"+id+"/restore"), 404, "not_found")
	}
	d.wantList("")
	if got := d.queue(""); got != "0:" || d.Host.Blobs() != 0 {
		t.Errorf("queue %q, %d blobs", got, d.Host.Blobs())
	}
}
