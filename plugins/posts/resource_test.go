package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestPostsAreReadInAllSpellingsAndFormats(t *testing.T) {
	d := newDesk(t)
	id := d.post(deskAnn, "description", "Hello")
	kinds := map[string]abi.BodyKind{
		"rss": abi.BodyXML, "atom": abi.BodyXML, "json": abi.BodyValue, "plist": abi.BodyPlist,
	}
	for format, kind := range kinds {
		for _, path := range []string{"posts", "posts/index", "posts/" + id, "posts/" + id + "/show"} {
			r := d.wantStatus(d.get("/1.0/"+path+"."+format), 200)
			if r.Kind != kind {
				t.Errorf("%s.%s: kind %v, want %v", path, format, r.Kind, kind)
			}
		}
	}
}

func TestReadingWantsAFormatThatIsKnown(t *testing.T) {
	d := newDesk(t)
	d.post(deskAnn)
	for _, kind := range []string{"posts", "comments"} {
		for _, path := range []string{"", "/index", "/1", "/1/show", "/77", "/77/show", "/create"} {
			d.wantRefusal(d.get("/1.0/"+kind+path), 400, "format_missing", ".rss, .atom, .json or .plist", documentation)
			for _, ext := range []string{".xml", ".JSON", ".", ".html", ".jsonp"} {
				d.wantRefusal(d.get("/1.0/"+kind+path+ext), 400, "format_unknown", ".rss, .atom, .json and .plist", ext, documentation)
			}
		}
	}
}

func TestWritingTakesNoFormat(t *testing.T) {
	d := newDesk(t)
	id := d.post(deskAnn)
	for _, kind := range []string{"posts", "comments"} {
		for _, format := range formatNames {
			one := "/1.0/" + kind + "/" + id
			for _, call := range [][2]string{
				{"POST", "/1.0/" + kind}, {"POST", "/1.0/" + kind + "/create"}, {"PUT", one}, {"POST", one + "/update"},
				{"DELETE", one}, {"POST", one + "/delete"}, {"POST", one},
			} {
				d.wantRefusal(d.call(deskAnn, call[0], call[1]+"."+format, "udid", "1"), 400, "format_not_taken", documentation)
			}
		}
	}
	d.wantList(id)
}

func TestPathsThatLeadNowhere(t *testing.T) {
	d := newDesk(t)
	d.post(deskAnn)
	for _, id := range []string{"0", "01", "-1", "+1", "1e3", "x", "4294967296", "99999999999999999999", "2", "1.5", "%20", "%00", "١"} {
		d.wantRefusal(d.get("/1.0/posts/"+id+".json"), 404, "not_found")
		d.wantRefusal(d.get("/1.0/posts/"+id+"/show.json"), 404, "not_found")
		d.wantRefusal(d.call(deskAnn, "PUT", "/1.0/posts/"+id), 404, "not_found")
		d.wantRefusal(d.call(deskAnn, "POST", "/1.0/posts/"+id+"/delete"), 404, "not_found")
	}
	for _, path := range []string{"/1.0/nothing", "/1.0/nothing.json", "/1.0/posts/1/like", "/1.0/posts/1/like.json", "/1.0/posts/1.json/show.json"} {
		d.wantRefusal(d.get(path), 404, "not_found")
	}
	for _, path := range []string{"/1.0/posts/1", "/1.0/posts/1/like"} {
		d.wantRefusal(d.call(deskAnn, "POST", path), 404, "not_found", "/update")
	}
	d.wantList("1")
}

func TestWhoMayCall(t *testing.T) {
	d := newDesk(t)
	id := d.post(deskAnn)
	nobody := abi.Caller{}
	for _, call := range [][2]string{
		{"POST", "/1.0/posts"}, {"POST", "/1.0/posts/create"}, {"PUT", "/1.0/posts/" + id}, {"POST", "/1.0/posts/" + id + "/update"},
		{"DELETE", "/1.0/posts/" + id}, {"POST", "/1.0/posts/" + id + "/delete"},
	} {
		r := d.call(nobody, call[0], call[1])
		d.wantRefusal(r, 401, "unauthenticated")
	}
	for _, who := range []abi.Caller{deskAnn, deskPhone, deskApp} {
		d.post(who)
	}
	for _, path := range []string{"/queue", "/posts/1", "/images/x"} {
		for _, who := range []abi.Caller{nobody, deskAnn, deskApp} {
			d.wantRefusal(d.send(guesttest.Request{Path: path, Caller: &who}), 401, "unauthenticated")
		}
	}
}

// The host compares what is read with what a client has, and takes files where a post
// is created.
func TestWhatTheHostDoesForTheRoutes(t *testing.T) {
	for _, r := range plugin().Description().Routes {
		_, _, noFormat := splitFormat(r.Pattern)
		reads := r.Method == "GET" && (noFormat == nil || r.Pattern == "/1.0/posts/:id" || r.Pattern == "/1.0/comments/:id")
		if r.ETag != reads {
			t.Errorf("%s %s: ETag %v", r.Method, r.Pattern, r.ETag)
		}
		creates := r.Method == "POST" && (r.Pattern == "/1.0/posts" || r.Pattern == "/1.0/posts/create")
		if creates != (r.Body == abi.UploadBody) || r.Body == abi.UploadBody && r.MaxBody != maxUpload || r.Body == abi.FormBody && r.MaxBody != maxForm {
			t.Errorf("%s %s: takes a body %q of %d bytes", r.Method, r.Pattern, r.Body, r.MaxBody)
		}
		if operators := strings.Count(r.Pattern, "/1.0/") == 0; operators != slices.Equal(r.Auth, []string{"operator"}) {
			t.Errorf("%s %s: is open to %v", r.Method, r.Pattern, r.Auth)
		}
	}
}
