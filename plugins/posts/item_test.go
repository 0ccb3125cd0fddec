package main

import (
	"encoding/json"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

const (
	sampleJSON = `{"id":42,"created":"2026-11-21 10:15:00","modified":"2026-11-21 11:15:00",` +
		`"description":"Ice & <b>snow</b>\nall over #traffic","latitude":35.4675602,"longitude":-97.5164276,` +
		`"address":"1 Main St","city":"Oklahoma City","state":"OK","zip":"73102","tags":["ice","a \"b\" & c"],"author":"ann",` +
		`"image":"http://edge.test/1.0/images/AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"thumbnail":"http://edge.test/1.0/images/AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"medium":"http://edge.test/1.0/images/AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"large":"http://edge.test/1.0/images/AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"image_width":1600,"image_height":1200,"url":"http://edge.test/1.0/posts/42.json"}`
	bareJSON = `{"id":41,"created":"1970-01-01 00:00:01","modified":"1970-01-01 00:00:01",` +
		`"image":"http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"thumbnail":"http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"medium":"http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"large":"http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg",` +
		`"image_width":3,"image_height":2,"url":"http://edge.test/1.0/posts/41.json"}`
	commentJSON = `{"id":7,"postId":42,"created":"2026-11-21 10:15:00","modified":"2026-11-21 10:15:00",` +
		`"content":"so <i>cold</i>\n\nindeed","author":"bob","url":"http://edge.test/1.0/comments/7.json"}`
)

func TestItemsAsJSON(t *testing.T) {
	for want, handle := range map[string]guest.Handler{
		sampleJSON: func(w *guest.Response, r *guest.Request) error { return answerPost(w, r, formatJSON, samplePost()) },
		bareJSON:   func(w *guest.Response, r *guest.Request) error { return answerPost(w, r, formatJSON, barePost()) },
		`{"total":7,"page":3,"count":2,"posts":[` + sampleJSON + `,` + bareJSON + `]}`: list(formatJSON, window{3, 2}, 7, samplePost(), barePost()),
		`{"total":0,"page":1,"count":20,"posts":[]}`:                                   list(formatJSON, window{1, 20}, 0),
		commentJSON: func(w *guest.Response, r *guest.Request) error {
			return answerComment(w, r, formatJSON, sampleComment())
		},
		`{"total":1,"page":1,"count":20,"comments":[` + commentJSON + `]}`: func(w *guest.Response, r *guest.Request) error {
			return answerComments(w, r, formatJSON, window{1, 20}, 1, []*comment{sampleComment()}, 1)
		},
	} {
		if got := shows(t, handle).document("/1.0/posts.x"); !equalJSON(t, got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func equalJSON(t *testing.T, a, b string) bool {
	t.Helper()
	return normalJSON(t, a) == normalJSON(t, b)
}

func normalJSON(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A property list is the same value.
func TestItemsAsPropertyLists(t *testing.T) {
	values := func(f format) (all []abi.Value) {
		for _, handle := range []guest.Handler{
			func(w *guest.Response, r *guest.Request) error { return answerPost(w, r, f, samplePost()) },
			list(f, window{1, 20}, 2, samplePost(), barePost()),
			func(w *guest.Response, r *guest.Request) error { return answerComment(w, r, f, sampleComment()) },
			func(w *guest.Response, r *guest.Request) error {
				return answerComments(w, r, f, window{1, 20}, 1, []*comment{sampleComment()}, 1)
			},
		} {
			r := shows(t, handle).get("/1.0/posts.x")
			if want := map[format]abi.BodyKind{formatJSON: abi.BodyValue, formatPlist: abi.BodyPlist}[f]; r.Kind != want {
				t.Errorf("%s: the body is of kind %d, want %d", formatNames[f-1], r.Kind, want)
			}
			all = append(all, r.Value)
		}
		return all
	}
	plists := values(formatPlist)
	for i, v := range values(formatJSON) {
		if string(v) != string(plists[i]) {
			t.Errorf("%d: as JSON %x, as a property list %x", i, v, plists[i])
		}
	}
}

func TestNamesOfPictures(t *testing.T) {
	i := image{id: abi.BlobID{0xff, 0xfe}}
	for format, end := range map[string]string{"jpeg": ".jpg", "png": ".png", "gif": ".gif", "webp": ".webp"} {
		if got, want := string(i.appendName(nil, format)), i.id.String()+end; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
