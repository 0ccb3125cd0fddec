package main

import (
	"bytes"
	pixels "image"
	"net/url"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestPicturesFitIntoTheirBoxes(t *testing.T) {
	d := newDesk(t)
	r := d.wantStatus(d.upload(deskAnn, photo(1, 1700, 20), "udid", "1"), 201)
	for field, want := range map[string][2]int{"thumbnail": {160, 1}, "medium": {640, 7}, "large": {1600, 18}, "image": {1600, 18}} {
		shown := d.wantStatus(d.get(d.picturePath(r, field)), 200)
		if shown.Headers["Content-Type"] != "image/jpeg" || shown.Headers["Cache-Control"] != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %v", field, shown.Headers)
		}
		m, format, err := pixels.DecodeConfig(bytes.NewReader(shown.Raw))
		if err != nil || format != "jpeg" || m.Width != want[0] || m.Height != want[1] {
			t.Errorf("%s: %s of %d x %d, want %v: %v", field, format, m.Width, m.Height, want, err)
		}
	}
	if r.Text("image_width") != "1600" || r.Text("image_height") != "18" || r.Field("original") != nil || d.Host.Blobs() != 3 {
		t.Errorf("%d blobs: %v", d.Host.Blobs(), r)
	}
}

func TestASmallPictureIsKeptOnce(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["keep_original"] = "true"
	r := d.wantStatus(d.upload(deskAnn, photo(1, 20, 10), "udid", "1"), 201)
	if d.Host.Blobs() != 2 || r.Text("thumbnail") != r.Text("large") { // and the upload
		t.Fatalf("%d blobs: %v", d.Host.Blobs(), r)
	}
	d.wantStatus(d.call(deskAnn, "DELETE", "/1.0/posts/1"), 204)
	if d.Host.Blobs() != 0 {
		t.Fatalf("%d blobs are left", d.Host.Blobs())
	}
}

func TestTheOriginalIsKeptOnRequestOfTheOperator(t *testing.T) {
	for _, content := range [][]byte{photo(1, 300, 8), photoJPEG(1, 300, 8)} {
		d := newDesk(t)
		d.Host.Settings["keep_original"] = "true"
		r := d.wantStatus(d.upload(deskAnn, content, "udid", "1"), 201)
		kind, ext := "image/png", ".png"
		if bytes.HasPrefix(content, []byte{0xff, 0xd8}) {
			kind, ext = "image/jpeg", ".jpg"
		}
		// It has all that the camera wrote, so it is for operators alone.
		if r.Field("original") != nil {
			t.Errorf("everybody is told of it: %v", r)
		}
		name := d.wantStatus(d.call(deskBoss, "GET", "/posts/1"), 200).Text("original")
		shown := d.wantStatus(d.call(deskBoss, "GET", "/images/"+name), 200)
		if !bytes.Equal(shown.Raw, content) || shown.Headers["Content-Type"] != kind || !strings.HasSuffix(name, ext) {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(shown.Raw), len(content), shown.Headers)
		}
		d.wantRefusal(d.get("/1.0/images/"+name), 404, "not_found")
		d.wantStatus(d.call(deskAnn, "DELETE", "/1.0/posts/1"), 204)
		d.wantRefusal(d.call(deskBoss, "GET", "/images/"+name), 404, "not_found")
	}
}

func TestThePictureOfTwoPostsGoesWithTheLast(t *testing.T) {
	d := newDesk(t)
	first := d.wantStatus(d.upload(deskAnn, photo(1, 200, 8), "udid", "1"), 201)
	blobs := d.Host.Blobs()
	second := d.wantStatus(d.upload(deskBob, photo(1, 200, 8), "udid", "1"), 201)
	path := d.picturePath(first, "medium")
	if d.Host.Blobs() != blobs || d.picturePath(second, "medium") != path {
		t.Fatalf("%d blobs, of one picture %d", d.Host.Blobs(), blobs)
	}
	d.wantStatus(d.call(deskAnn, "DELETE", "/1.0/posts/1"), 204)
	d.wantStatus(d.get(path), 200)
	d.wantStatus(d.call(deskBob, "DELETE", "/1.0/posts/2"), 204)
	d.wantRefusal(d.get(path), 404, "not_found")
	if d.Host.Blobs() != 0 {
		t.Fatalf("%d blobs are left", d.Host.Blobs())
	}
}

func TestAPictureIsShownAsLongAsAVisiblePostShowsIt(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["hide_after"] = "1"
	path := d.picturePath(d.wantStatus(d.upload(deskAnn, photo(1, 200, 8), "udid", "1"), 201), "thumbnail")
	d.wantStatus(d.upload(deskBob, photo(1, 200, 8), "udid", "1"), 201)
	flag := func(id string) { d.wantStatus(d.call(deskApp, "PUT", "/1.0/posts/"+id, "flag", "1"), 200) }
	byOperator := func(method, path string) *guesttest.Response {
		return d.send(guesttest.Request{Method: method, Path: path, Caller: &deskBoss})
	}
	flag("1")
	d.wantStatus(d.get(path), 200)
	flag("2")
	d.wantRefusal(d.get(path), 404, "not_found")
	shown := d.wantStatus(byOperator("GET", strings.TrimPrefix(path, "/1.0")), 200)
	if len(shown.Raw) == 0 || shown.Headers["Cache-Control"] != "private, no-store" {
		t.Fatal(shown.Headers)
	}
	d.wantStatus(byOperator("POST", "/posts/1/restore"), 200)
	d.wantStatus(d.get(path), 200)
	d.wantStatus(byOperator("POST", "/posts/1/remove"), 204)
	d.wantRefusal(d.get(path), 404, "not_found")
	d.wantStatus(byOperator("POST", "/posts/2/remove"), 204)
	d.wantRefusal(byOperator("GET", strings.TrimPrefix(path, "/1.0")), 404, "not_found")
	if d.Host.Blobs() != 0 {
		t.Fatalf("%d blobs are left", d.Host.Blobs())
	}
}

func TestNamesThatAreOfNoPicture(t *testing.T) {
	d := newDesk(t)
	r := d.wantStatus(d.upload(deskAnn, photo(1, 200, 8), "udid", "1"), 201)
	id := strings.TrimSuffix(strings.TrimPrefix(d.picturePath(r, "large"), "/1.0/images/"), ".jpg")
	d.wantStatus(d.get("/1.0/images/"+id+".jpg"), 200)
	for _, name := range []string{
		id, id + ".", id + ".png", id + ".html", id + ".jpg.html", id + ".JPG", id + ".svg", id + "A.jpg", id[1:] + ".jpg", ".jpg", "x.jpg",
		abi.BlobID{}.String() + ".jpg", url.PathEscape(id[:42]+"\x00") + ".jpg",
	} {
		d.wantRefusal(d.get("/1.0/images/"+name), 404, "not_found")
	}
}

func TestPicturesThatAreNoneAreRefused(t *testing.T) {
	d := newDesk(t)
	whole := photo(1, 40, 40)
	d.wantRefusal(d.upload(deskAnn, []byte("<svg/>"), "udid", "1"), 415, "unsupported_image")
	d.wantRefusal(d.upload(deskAnn, whole[:len(whole)/2], "udid", "1"), 422, "bad_image")
	d.Host.Settings["max_image"] = "100"
	d.wantRefusal(d.upload(deskAnn, whole, "udid", "1"), 413, "image_too_large", "100")
	if refusalStatus(abi.ImageTooLarge) != 413 {
		t.Error("a picture of too many pixels is not 413")
	}
}

func TestTheFileOfTheFieldImageIsTaken(t *testing.T) {
	d := newDesk(t)
	r := d.wantStatus(d.send(guesttest.Request{
		Method: "POST", Path: "/1.0/posts", Caller: &deskAnn, Form: fieldsOf([]string{"udid", "1"}),
		Files: []guesttest.File{
			{Field: "other", Content: []byte("x")}, {Field: "image", Content: photo(1, 30, 20)}, {Field: "image", Content: photo(1, 50, 40)},
		},
	}), 201)
	if r.Text("image_width") != "30" {
		t.Fatal(r)
	}
}
