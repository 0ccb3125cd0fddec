package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/wasmtest"
)

func TestPostsTakePicturesOfEveryFormat(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	for _, c := range []struct {
		name    string
		content []byte
		large   [2]int
		turned  bool
	}{
		{"JPEG of a camera", cameraPhoto(t, 2400, 1200), [2]int{800, 1600}, true},
		{"small JPEG of a camera", cameraPhoto(t, 96, 48), [2]int{48, 96}, true},
		{"JPEG", photo(t, 1601, 400, 0), [2]int{1600, 400}, false},
		{"PNG", pngPhoto(t, 900, 450), [2]int{900, 450}, false},
		{"GIF", gifPhoto(t, 300, 150), [2]int{300, 150}, false},
		{"WebP without losses", webpPhoto(t, webpLossless), [2]int{40, 20}, false},
		{"WebP", webpPhoto(t, webpLossy), [2]int{40, 20}, false},
	} {
		// Neither the name nor the type that is given counts.
		r := a.sends("POST", "/1.0/posts", []string{"udid", "x"}, attachment{"image", `../../"<evil>.html`, "text/html", c.content})
		a.created(r)
		wants(t, r, map[string]string{"image_width": fmt.Sprint(c.large[0]), "image_height": fmt.Sprint(c.large[1])})
		for size, box := range map[string]int{"thumbnail": 160, "medium": 640, "large": 1600} {
			picture := a.shown(r.text(size))
			m := servedPhoto(t, picture)
			width, height := m.Bounds().Dx(), m.Bounds().Dy()
			longest := min(box, max(c.large[0], c.large[1]))
			if max(width, height) != longest || width > box || height > box || (width-c.large[0]*longest/max(c.large[0], c.large[1]))/2 != 0 {
				t.Errorf("%s, %s: %d by %d", c.name, size, width, height)
			}
			first, second := [2]int{2, 4}, [2]int{6, 4}
			if c.turned {
				first, second = [2]int{4, 2}, [2]int{4, 6}
			}
			if !isRed(m, first[0], first[1]) || !isBlue(m, second[0], second[1]) {
				t.Errorf("%s, %s: it is not the picture, or not the right way up", c.name, size)
			}
		}
	}
}

// The picture as it was uploaded, with all that the camera has written into it, is
// for operators, if it is kept at all.
func TestOriginalPictureIsKeptWhenConfigured(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, `keep_original = "true"`)
	a := s.newSigner("")
	for kind, content := range map[string][]byte{
		"image/jpeg": cameraPhoto(t, 700, 300), "image/png": pngPhoto(t, 70, 30), "image/gif": gifPhoto(t, 70, 30), "image/webp": webpPhoto(t, webpLossy),
	} {
		made := a.postsPhoto(content)
		original := s.original(made)
		r := s.moderate("GET", "/images/"+original)
		if !bytes.Equal(r.raw, content) || r.header.Get("Content-Type") != kind || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %d bytes %v, want what was uploaded", kind, r.status, len(r.raw), r.header)
		}
		a.declined(a.fetch("/1.0/images/"+original), 404, "not_found")
		for _, format := range postFormats {
			if r := a.shown("/1.0/posts/" + made.text("id") + "." + format); strings.Contains(string(r.raw), original) {
				t.Errorf("%v\nshows the original", r)
			}
		}
		if r := a.sends("POST", "/1.0/posts/"+made.text("id")+"/delete", nil); r.status != 204 {
			t.Fatal(r)
		}
		if r := s.moderate("GET", "/images/"+original); r.status != 404 {
			t.Errorf("%v\nwant 404", r)
		}
	}
}

// original is the name of the picture of a post as it was uploaded.
func (s *server) original(post reply) string {
	s.t.Helper()
	r := s.moderate("GET", "/posts/"+post.text("id"))
	if r.status != 200 || r.text("original") == "" || post.text("original") != "" {
		s.fatalf("%v\n%v\nwant the original to be shown to operators alone", post, r)
	}
	return r.text("original")
}

func TestPicturesAreServedInParts(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	made := a.postsPhoto(photo(t, 1600, 1200, 3))
	at := made.text("large")
	whole := a.shown(at)
	size, etag := len(whole.raw), whole.header.Get("ETag")
	if etag == "" || etag[0] != '"' || whole.header.Get("Accept-Ranges") != "bytes" || whole.header.Get("X-Content-Type-Options") != "nosniff" ||
		whole.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || whole.header.Get("Content-Length") != fmt.Sprint(size) {
		t.Errorf("%v", whole.header)
	}
	for _, c := range []struct {
		header string
		from   int
		to     int // after the last one
	}{
		{"bytes=0-0", 0, 1}, {"bytes=0-99", 0, 100}, {"bytes=100-", 100, size}, {"bytes=-100", size - 100, size}, {"bytes=-99999999", 0, size},
		{"bytes=10-99999999", 10, size}, {fmt.Sprintf("bytes=%d-", size-1), size - 1, size},
	} {
		r := a.fetch(at, "Range", c.header)
		if r.status != 206 || !bytes.Equal(r.raw, whole.raw[c.from:c.to]) || r.header.Get("Content-Type") != "image/jpeg" || r.header.Get("ETag") != etag ||
			r.header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size) {
			t.Errorf("%s: %d, %d bytes, %v", c.header, r.status, len(r.raw), r.header)
		}
	}
	for _, header := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=99999999-999999999", "bytes=-0"} {
		r := a.fetch(at, "Range", header)
		if r.status != 416 || r.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
			t.Errorf("%s: %d %v, want 416", header, r.status, r.header)
		}
	}
	for _, header := range []string{"bytes=5-1", "bytes=x", "lines=0-1", "bytes", "bytes=1-2,5-6"} {
		if r := a.fetch(at, "Range", header); (r.status != 200 || !bytes.Equal(r.raw, whole.raw)) && r.status != 416 && (r.status != 206 || !strings.Contains(header, ",")) {
			t.Errorf("%s: %d, %d bytes, want all, or 416", header, r.status, len(r.raw))
		}
	}
	// A part of what it no longer is would be no use.
	if r := a.fetch(at, "Range", "bytes=0-9", "If-Range", etag); r.status != 206 {
		t.Errorf("%d %v", r.status, r.header)
	}
	if r := a.fetch(at, "Range", "bytes=0-9", "If-Range", `"x"`); r.status != 200 || len(r.raw) != size {
		t.Errorf("%d %v", r.status, r.header)
	}
	for header, status := range map[string]int{etag: 304, "W/" + etag: 304, "*": 304, `"x", ` + etag: 304, `"x"`: 200, "": 200} {
		r := a.fetch(at, "If-None-Match", header)
		if r.status != status || status == 304 && (len(r.raw) != 0 || r.header.Get("ETag") != etag || r.header.Get("Cache-Control") == "") {
			t.Errorf("If-None-Match %q: %d %v", header, r.status, r.header)
		}
	}
	r, err := a.client.submit("HEAD", a.path(at), "", nil)
	if err != nil || r.status != 200 || len(r.raw) != 0 || r.header.Get("Content-Length") != fmt.Sprint(size) || r.header.Get("Content-Type") != "image/jpeg" || r.header.Get("ETag") != etag {
		t.Errorf("HEAD: %v, %v %v", r, err, r.header)
	}
	// A range is for GET alone.
	if r, err := a.client.submit("HEAD", a.path(at), "", nil, "Range", "bytes=0-9"); err != nil || r.status != 200 || r.header.Get("Content-Length") != fmt.Sprint(size) {
		t.Errorf("HEAD of a range: %v, %v %v", r, err, r.header)
	}
	for _, path := range []string{
		strings.TrimSuffix(at, ".jpg") + ".png", strings.TrimSuffix(at, ".jpg") + ".html", strings.TrimSuffix(at, ".jpg"), at + "/x", at[:len(at)-6] + "A.jpg",
		strings.ToLower(at),
	} {
		if r := a.fetch(path); r.status == 200 && r.header.Get("Content-Type") != "image/jpeg" || r.status != 200 && r.status != 404 && r.status != 400 {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
	}
	if r := a.form("POST", a.path(at), nil); r.status != 405 {
		t.Errorf("%v\nwant 405", r)
	}
}

// A picture that goes while somebody reads it breaks off, and does no harm.
func TestPictureIsDeletedWhileItIsRead(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, `keep_original = "true"`)
	a := s.newSigner("")
	content := padded(t, 12<<20, 0)
	made := a.postsPhoto(content)
	image := "/v1/deployments/default/plugins/posts/images/" + s.original(made)
	u := newUpload(t, s.admin, "GET", image, "Authorization: Bearer "+s.adminToken())
	resp, err := http.ReadResponse(u.in, nil)
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len(content)) {
		t.Fatalf("%v, %v", resp, err)
	}
	if r := a.sends("POST", "/1.0/posts/"+made.text("id")+"/delete", nil); r.status != 204 {
		t.Fatal(r)
	}
	got, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Equal(got, content) || err != nil && !bytes.HasPrefix(content, got) {
		t.Errorf("%d bytes, %v: they are not the picture's", len(got), err)
	}
	t.Logf("%d of %d bytes were read, %v", len(got), len(content), err)
	a.posts()
}

func TestPicturesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	good := photo(t, 400, 300, 0)
	gifBomb := append([]byte("GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff\x2c\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02\x44\x01\x00"), 0x3b)
	webp := webpPhoto(t, webpLossless)
	for _, c := range []struct {
		name    string
		content []byte
		status  int
		codes   string
	}{
		{"nothing", nil, 0, "missing_parameter bad_image unsupported_image"},
		{"a text", []byte("a text"), 415, "unsupported_image"},
		{"HTML", []byte("<!doctype html><script>alert(1)</script>"), 415, "unsupported_image"},
		{"SVG", []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)" width="10" height="10"/>`), 415, "unsupported_image"},
		{"PDF", []byte("%PDF-1.4\n"), 415, "unsupported_image"},
		{"BMP", append([]byte("BM"), make([]byte, 100)...), 415, "unsupported_image"},
		{"TIFF", append([]byte("II*\x00\x08\x00\x00\x00"), make([]byte, 100)...), 415, "unsupported_image"},
		{"HEIC", append([]byte("\x00\x00\x00\x18ftypheic"), make([]byte, 100)...), 415, "unsupported_image"},
		{"zeros", make([]byte, 1000), 415, "unsupported_image"},
		{"half of a JPEG", good[:len(good)/2], 422, "bad_image"},
		{"a JPEG without its end", good[:len(good)-2], 422, "bad_image"},
		{"the head of a JPEG", good[:3], 0, "bad_image unsupported_image"},
		{"a JPEG in which something is missing", slices.Concat(good[:200], good[400:]), 422, "bad_image"},
		{"a JPEG with HTML behind it", slices.Concat(good, []byte("<script>alert(1)</script>")), 422, "bad_image"},
		{"a JPEG with an archive behind it", slices.Concat(good, []byte("PK\x03\x04"), make([]byte, 100)), 422, "bad_image"},
		{"HTML with a JPEG behind it", slices.Concat([]byte("<script>"), good), 415, "unsupported_image"},
		{"half of a PNG", pngPhoto(t, 200, 100)[:200], 422, "bad_image"},
		{"a PNG with a wrong sum", bytes.Replace(pngPhoto(t, 20, 10), []byte("IDAT"), []byte("IDAU"), 1), 422, "bad_image"},
		{"a PNG of 2.5 gigapixels", hugePNG(50000, 50000), 413, "image_too_large"},
		{"a PNG of 4 exapixels", hugePNG(0x7fffffff, 0x7fffffff), 0, "image_too_large bad_image"},
		{"a PNG of no height", hugePNG(10, 0), 422, "bad_image"},
		{"a long PNG", hugePNG(0x7fffffff, 1), 0, "image_too_large bad_image"},
		{"a GIF of 4 gigapixels", gifBomb, 413, "image_too_large"},
		{"half of a WebP", webp[:len(webp)/2], 422, "bad_image"},
		{"a RIFF of sound", append([]byte("RIFF\x24\x00\x00\x00WAVEfmt "), make([]byte, 28)...), 415, "unsupported_image"},
	} {
		r := a.sends("POST", "/1.0/posts", []string{"udid", "x"}, picture(c.content))
		status := c.status
		if status == 0 {
			status = r.status
		}
		if code := r.text("error.code"); !strings.Contains(" "+c.codes+" ", " "+code+" ") {
			t.Errorf("%s: %v\nwant %s", c.name, r, c.codes)
		} else if a.declined(r, status, code); t.Failed() {
			t.Errorf("this was %s", c.name)
		}
	}
	a.has("posts", "json", nil)
	if n := a.posts().int("id"); n != 1 {
		t.Errorf("the first post has the number %d", n)
	}
}

// The same picture is stored once, and goes with the last post that shows it.
func TestOnePictureOfTwoPosts(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a, b := s.newSigner(""), s.newSigner("")
	one, two := a.postsPhoto(photo(t, 800, 600, 7)), b.postsPhoto(photo(t, 800, 600, 7))
	other := a.postsPhoto(photo(t, 800, 600, 8))
	for _, size := range []string{"thumbnail", "medium", "large"} {
		if one.text(size) != two.text(size) || one.text(size) == other.text(size) {
			t.Errorf("%v\n%v\n%v\nwant the same %s of the first two", one, two, other, size)
		}
	}
	gone := func(status int, posts ...reply) {
		t.Helper()
		for _, post := range posts {
			for _, size := range []string{"thumbnail", "medium", "large"} {
				for _, headers := range [][]string{nil, {"If-None-Match", "*"}, {"Range", "bytes=0-1"}} {
					r := a.fetch(post.text(size), headers...)
					if (r.status == 404) != (status == 404) {
						t.Errorf("%s: %d, want %d", r.what, r.status, status)
					}
				}
			}
		}
	}
	remove := func(a *signer, post reply) {
		t.Helper()
		if r := a.sends("POST", "/1.0/posts/"+post.text("id")+"/delete", nil); r.status != 204 {
			a.fatalf("%v", r)
		}
	}
	gone(200, one, other)
	remove(a, one)
	gone(200, two, other)
	s.restart()
	gone(200, two, other)
	remove(b, two)
	gone(404, one)
	gone(200, other)
	s.restart()
	gone(404, one)
	// It can be posted again.
	gone(200, a.postsPhoto(photo(t, 800, 600, 7)))
}

// What belongs to one deployment is not known in another one.
func TestPostsOfTwoDeployments(t *testing.T) {
	t.Parallel()
	s := newServer(t, postsDeployment("default", "one.test", "")+postsDeployment("two", "two.test", `title = "Second"`), "--cache", wasmtest.CacheDir(t))
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := s.newSigner("")
	a.host = "one.test"
	two := s.client()
	two.host = "two.test"
	b := s.newSignerOf("two")
	b.host = "two.test"
	made := a.postsPhoto(photo(t, 300, 200, 9), "description", "of one")
	if !strings.HasPrefix(made.text("url"), "http://one.test/1.0/posts/1.") {
		t.Errorf("%v\nwant its URL to be of one.test", made)
	}
	a.shown(made.text("large"))
	image := a.path(made.text("large"))
	for _, path := range []string{image, a.path(made.text("thumbnail")), "/1.0/posts/1.json", "/1.0/posts/1.rss"} {
		two.declined(two.fetch(path), 404, "not_found")
		if r := two.fetch(path, "If-None-Match", "*"); r.status != 404 {
			t.Errorf("%v\nwant 404", r)
		}
	}
	two.has("posts", "json", nil)
	two.has("posts", "rss", nil)
	if r := two.shown("/1.0/posts.rss"); !strings.Contains(string(r.raw), "<title>Second</title>") {
		t.Errorf("%v\nwant the title of the feed", r)
	}
	// An application is known in its own deployment.
	stranger := &signer{two, a.id, a.secret, a.key}
	r := stranger.sends("POST", "/1.0/posts", []string{"udid", "x"}, picture(photo(t, 8, 8, 0)))
	two.declined(r, 401, "unknown_key")
	r = stranger.sends("POST", "/1.0/posts/1/delete", nil)
	two.declined(r, 401, "unknown_key")

	// The same picture in both is two: neither goes with the other.
	same := b.postsPhoto(photo(t, 300, 200, 9), "description", "of two")
	if same.int("id") != 1 || two.path(same.text("large")) != image {
		t.Errorf("%v\nwant the first post, with the picture %s", same, image)
	}
	if r := a.sends("POST", "/1.0/posts/1/delete", nil); r.status != 204 {
		t.Fatal(r)
	}
	a.declined(a.fetch(image), 404, "not_found")
	two.shown(image)
	two.has("posts", "json", []int64{1}, "search", "two")
}
