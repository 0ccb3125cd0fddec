package main_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/remitly-oss/httpsig-go"
)

// A post is taken from whoever holds a token, and with a signature over the whole of
// the request, the photo included.
func TestPostsByTokenAndMessage(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a, b := s.newSigner(""), s.newSigner("")
	ann := s.client().newAccount(a.id)
	phone, elsewhere, stranger := s.client().login(ann, "phone"), s.client(), s.client().newUser(a.id)
	elsewhere.token = phone.token
	contentType, body := multipartForm(values([]string{"udid", "x", "description", "by token"}), picture(photo(t, 40, 20, 0)))
	made, err := phone.submit("POST", "/1.0/posts", contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	phone.created(made)
	path := "/1.0/posts/" + made.text("id")
	change := values([]string{"description", "changed"})
	phone.declined(stranger.form("PUT", path, change), 403, "not_yours")
	phone.declined(b.sends("PUT", path, []string{"description", "x"}), 403, "not_yours")
	for _, r := range []reply{elsewhere.form("PUT", path, change), a.sends("PUT", path, []string{"description", "changed"})} {
		if r.status != 200 || r.text("description") != "changed" {
			t.Errorf("%v\nwant it changed by the account, or the application", r)
		}
	}
	phone.declined(phone.as("x").form("PUT", path, change), 401, "oauth_token")

	for _, alg := range []httpsig.Algorithm{httpsig.Algo_HMAC_SHA256, httpsig.Algo_ED25519} {
		// A signature that does not cover what is uploaded.
		req := a.message(alg, "POST", "/1.0/posts", "", "")
		req.Header.Set("Content-Type", contentType)
		req.Body = io.NopCloser(bytes.NewReader(body))
		a.declined(a.transmit(req), 401, "component_missing")
		for _, size := range []int{1000, 2 << 20} {
			contentType, body := multipartForm(values([]string{"udid", "x", "description", string(alg)}), picture(padded(t, size, 0)))
			req := a.message(alg, "POST", "/1.0/posts", contentType, string(body))
			r := a.transmit(req)
			a.created(r)
			a.declined(a.transmit(req), 401, "replayed")
			// In the photo, and in a field.
			for _, i := range []int{bytes.Index(body, []byte("\xff\xd8")) + 600, bytes.Index(body, []byte("\r\n\r\n"+string(alg))) + 4} {
				req := a.message(alg, "POST", "/1.0/posts", contentType, string(body))
				other := slices.Clone(body)
				other[i] ^= 1
				req.Body = io.NopCloser(bytes.NewReader(other))
				a.declined(a.transmit(req), 401, "digest_mismatch")
			}
			req = a.message(alg, "DELETE", "/1.0/posts/"+r.text("id"), "", "")
			if r := a.transmit(req); r.status != 204 {
				t.Errorf("%v\nwant 204", r)
			}
		}
	}
	a.has("posts", "json", []int64{made.int("id")})
	s.noUploads()
}

// A compressed form is not taken, nor one with files where there is to be none.
func TestUploadsAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	contentType, body := multipartForm(a.fresh("udid", "x"), picture(photo(t, 40, 20, 0)))
	r, err := a.client.submit("POST", "/1.0/posts", contentType, zipped(body), "Content-Encoding", "gzip")
	if err != nil || r.status != http.StatusUnsupportedMediaType {
		t.Errorf("%v, %v\nwant 415", r, err)
	}
	// The photo is the first file of its field. Other files are of no use.
	small := picture(photo(t, 40, 20, 0))
	extra := attachment{"extra", "x.bin", "application/octet-stream", make([]byte, 1<<20)}
	r = a.sends("POST", "/1.0/posts", []string{"udid", "x"}, extra, small, picture(photo(t, 80, 20, 0)), extra)
	if r.status != 400 {
		a.created(r)
		wants(t, r, map[string]string{"image_width": "40"})
	}
	a.posts()
	if r := a.sends("PUT", "/1.0/posts/1", []string{"description", "x"}, small); r.status != 400 && r.status != 415 && r.status != 413 {
		t.Errorf("%v\nwant 400: there is nothing to upload here", r)
	}
	many := make([]attachment, 1000)
	for i := range many {
		many[i] = attachment{"image", "x.jpg", "image/jpeg", nil}
	}
	if r := a.sends("POST", "/1.0/posts", []string{"udid", "x"}, many...); r.status != 400 {
		t.Errorf("%v\nwant 400", r)
	}
	var fields []string
	for range 1000 {
		fields = append(fields, "udid", "x")
	}
	if r := a.sends("POST", "/1.0/posts", fields, small); r.status != 400 {
		t.Errorf("%v\nwant 400", r)
	}
	s.noUploads()
}
