package main

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

type kvOf = *guest.KV

// inCall runs a function in a call that writes.
func inCall(t *testing.T, d *desk, fn func(kv kvOf) error) {
	t.Helper()
	p := guest.New("inside", "1.0.0")
	p.Family("/", nil).GET("/inside", func(w *guest.Response, r *guest.Request) error { return fn(r.KV()) }, guest.Writes)
	c := guesttest.New(t, p)
	c.Host = d.Host
	if r := c.Do(guesttest.Request{Path: "/inside"}); r.Status != 200 {
		t.Fatal(r)
	}
}

func somePost() *post {
	return &post{
		number: 7, created: 1246385107000001, modified: math.MaxInt64, account: "a", app: "b", author: "c", udid: "d", email: "e",
		description: "f", address: "g", city: "h", state: "i", zip: "j", tags: []string{"k", "l"}, placed: true, at: place{-900000000, 1799999999},
		picture: picture{
			format: "png", thumbnail: image{abi.BlobID{1}, 2, 3, 4}, medium: image{abi.BlobID{5}, 6, 7, 8}, large: image{abi.BlobID{9}, 10, 11, 12},
			original: image{abi.BlobID{13}, 1 << 40, 15, 16},
		},
		flags: 17, hidden: true,
	}
}

func TestARecordOfAPostTellsAllOfIt(t *testing.T) {
	bare := &post{number: 7, picture: picture{thumbnail: image{size: 1}}}
	for _, p := range []*post{somePost(), bare} {
		got, err := decodePost(7, p.record())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("got %+v, want %+v: %v", got, p, err)
		}
	}
}

func TestASheetThatIsReadIsTheOneThatIsMade(t *testing.T) {
	bare := &post{number: 7, picture: picture{thumbnail: image{size: 1}}}
	for _, p := range []*post{somePost(), samplePost(), bare} {
		var got post
		tags, err := got.decode(p.number, p.record(), []string{"of another"})
		if err != nil || len(tags) != 1+len(p.tags) {
			t.Fatalf("%q, %v", tags, err)
		}
		if made := sheetOf(p); got.sheet != *made {
			t.Errorf("got %+v, want %+v", got.sheet, *made)
		}
		if !abi.Value(newLinks("http://" + strings.Repeat("long.", 50)).item(&got)).Valid() {
			t.Errorf("post %d is shown as no value", p.number)
		}
	}
}

func TestARecordOfANewerVersionIsRead(t *testing.T) {
	var w abi.Writer
	w.FixedArray(postFields + 2)
	record := somePost().record()
	w.Splice(string(record[1:])) // less the head
	w.Text("new")
	w.FixedArray(0)
	got, err := decodePost(7, w.Value())
	if err != nil || !reflect.DeepEqual(got, somePost()) {
		t.Errorf("got %+v: %v", got, err)
	}
}

func FuzzARecordNeverPanics(f *testing.F) {
	f.Add(somePost().record())
	f.Add((&usage{format: "png", posts: 2, visible: 1}).record())
	f.Fuzz(func(t *testing.T, record []byte) {
		if p, err := decodePost(7, record); err == nil {
			again, err := decodePost(7, p.record())
			if err != nil || !bytes.Equal(again.record(), p.record()) {
				t.Fatalf("%+v comes back as %+v: %v", p, again, err)
			}
		}
		if record == nil {
			t.Skip()
		}
		if _, err := readUsage(record); err != nil && err.Error() == "" {
			t.Fatal(err)
		}
	})
}

func TestNumbersEndWhereTheyEnd(t *testing.T) {
	d := newDesk(t)
	inCall(t, d, func(kv kvOf) error {
		var w abi.Writer
		w.FixedArray(2)
		w.Int(math.MaxUint32 - 1)
		w.Int(1)
		return kv.Put(shelfKey(keyCounter, shelfPosts), w.Value())
	})
	if id := d.post(deskAnn); id != "4294967295" {
		t.Fatal(id)
	}
	d.wantStatus(d.get("/1.0/posts/4294967295.json"), 200)
	d.wantStatus(d.upload(deskAnn, photo(1, 4, 4), "udid", "1"), 500)
	d.wantList("4294967295")
}

func TestDamagedRecordsFailTheCall(t *testing.T) {
	for _, key := range [][]byte{
		postKey(1), shelfKey(keyCounter, shelfPosts), shelfKey(keyChanged, shelfPosts), flagsKey(shelfPosts, 1), shelfKey(keyQueue, shelfPosts),
	} {
		d := newDesk(t)
		d.post(deskAnn)
		inCall(t, d, func(kv kvOf) error { return kv.Put(key, []byte{0xc1}) })
		worst := max(
			d.get("/1.0/posts.json").Status, d.upload(deskAnn, photo(1, 4, 4), "udid", "1").Status,
			d.call(deskAnn, "PUT", "/1.0/posts/1", "flag", "1").Status,
		)
		if worst != 500 {
			t.Errorf("%q: the worst status is %d", key, worst)
		}
	}
}

func TestAPostThatIsListedHasARecord(t *testing.T) {
	inCall(t, newDesk(t), func(kv kvOf) error {
		if posts, err := readPosts(kv, nil); len(posts) != 0 || err != nil {
			return errors.New("no numbers, and not no posts")
		}
		if _, err := readPosts(kv, []uint32{3}); err == nil {
			return errors.New("a post without a record is read")
		}
		return nil
	})
}
