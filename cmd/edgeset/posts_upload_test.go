package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A slowUpload is the connection of a client that sends a body bit by bit.
type slowUpload struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// newUpload sends the head of a request.
func (s *server) newUpload(t testing.TB, method, path string, headers ...string) *slowUpload {
	t.Helper()
	return newUpload(t, s.listen, method, path, headers...)
}

func newUpload(t testing.TB, addr, method, path string, headers ...string) *slowUpload {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(callTime)); err != nil {
		t.Fatal(err)
	}
	u := &slowUpload{t, conn, bufio.NewReader(conn)}
	u.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", method, path, addr, strings.Join(headers, "\r\n")))
	return u
}

func (u *slowUpload) send(text string) {
	u.t.Helper()
	if _, err := io.WriteString(u.conn, text); err != nil {
		u.t.Fatal(err)
	}
}

// answer reads an answer.
func (u *slowUpload) answer() reply {
	u.t.Helper()
	resp, err := http.ReadResponse(u.in, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	r := reply{what: "upload", status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode == http.StatusContinue {
		return r
	}
	if r.raw, err = io.ReadAll(resp.Body); err != nil {
		u.t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(r.raw))
	d.UseNumber()
	if d.Decode(&r.doc) != nil {
		r.doc = nil
	}
	return r
}

// padded is a photo that is larger than it has to be.
func padded(t testing.TB, size int, seed uint8) []byte {
	t.Helper()
	content := make([]byte, size)
	copy(content, photo(t, 64, 64, seed))
	return content
}

// uploads returns the files that the server has open for uploads, and those in its
// folder that look like it.
func (s *server) uploads() (found []string) {
	folder := fmt.Sprintf("/proc/%d/fd/", s.process.Process.Pid)
	entries, _ := os.ReadDir(folder) // there is no /proc everywhere
	for _, e := range entries {
		if place, err := os.Readlink(folder + e.Name()); err == nil && strings.HasSuffix(place, "(deleted)") && strings.Contains(place, "upload") {
			found = append(found, place)
		}
	}
	err := filepath.WalkDir(s.data, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), "upload") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	return found
}

// noUploads waits until nothing is left of uploads.
func (s *server) noUploads() {
	s.t.Helper()
	for begin := time.Now(); len(s.uploads()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > callTime {
			s.fatalf("%q is left of uploads", s.uploads())
		}
	}
}

func TestUploadsThatAreTooLargeAreRefusedEarly(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	const kind = "Content-Type: multipart/form-data; boundary=xyz"
	for _, headers := range [][]string{
		{kind, "Content-Length: 104857600"},
		{kind, "Content-Length: 104857600", "Expect: 100-continue"},
		{kind, "Content-Length: 99999999999999", "Expect: 100-continue"},
		{"Content-Length: 104857600", "Content-Type: image/jpeg"},
	} {
		// Nothing of the body is ever sent.
		a.declined(s.newUpload(t, "POST", "/1.0/posts", headers...).answer(), 413, "too_large")
	}

	t.Run("in chunks", func(t *testing.T) {
		u := s.newUpload(t, "POST", "/1.0/posts", kind, "Transfer-Encoding: chunked")
		sent := make(chan int)
		go func() {
			n, part := 0, strings.Repeat("x", 1<<20)
			_, err := io.WriteString(u.conn, chunk("--xyz\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n\r\n"))
			for ; err == nil && n < 200<<20; n += len(part) {
				_, err = io.WriteString(u.conn, chunk(part))
			}
			sent <- n
		}()
		a.in(t).declined(u.answer(), 413, "too_large")
		u.conn.Close()
		// Some is on its way in the buffers of the connection.
		if n := <-sent; n > 64<<20 {
			t.Errorf("the server has taken %d MiB", n>>20)
		}
	})
	t.Run("whoever asks first may send what is taken", func(t *testing.T) {
		contentType, body := multipartForm(a.fresh("udid", "x"), picture(padded(t, 1<<20, 0)))
		u := s.newUpload(t, "POST", "/1.0/posts", "Content-Type: "+contentType, fmt.Sprintf("Content-Length: %d", len(body)), "Expect: 100-continue")
		if r := u.answer(); r.status != 100 {
			t.Fatalf("%v\nwant 100", r)
		}
		u.send(string(body))
		a.in(t).created(u.answer())
	})
	t.Run("a picture larger than the setting", func(t *testing.T) {
		a := a.within(t)
		a.created(a.sends("POST", "/1.0/posts", []string{"udid", "x"}, picture(padded(t, 16<<20, 1))))
		a.declined(a.sends("POST", "/1.0/posts", []string{"udid", "x"}, picture(padded(t, 16<<20+1, 1))), 413, "image_too_large")
		a.declined(a.sends("POST", "/1.0/posts", []string{"udid", "x"}, picture(padded(t, 24<<20, 1))), 413, "too_large")
	})
	t.Run("a form", func(t *testing.T) {
		a := a.within(t)
		a.declined(a.sends("PUT", "/1.0/posts/1", []string{"description", strings.Repeat("x", 2<<20)}), 413, "too_large")
		a.declined(a.sends("POST", "/1.0/comments", []string{"content", strings.Repeat("x", 2<<20)}), 413, "too_large")
		if r := a.sends("POST", "/1.0/posts", []string{"udid", "x", "description", strings.Repeat("x", 2<<20)}, picture(padded(t, 1000, 0))); r.status != 413 && r.status != 400 {
			t.Errorf("%v\nwant it refused", r)
		}
	})
	s.noUploads()
	if l := a.list("posts", "json"); l.total != 2 {
		t.Errorf("%v, want the two posts that were taken", l)
	}
}

// chunk writes a part of a chunked body.
func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

func TestBrokenUploadsLeaveNothing(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	contentType, body := multipartForm(a.fresh("udid", "x"), picture(padded(t, 1<<20, 0)))
	head := []string{"Content-Type: " + contentType, fmt.Sprintf("Content-Length: %d", len(body))}
	for i, sent := range []int{0, 1, 50, 200, 1000, 100_000, 300_000, 1 << 20, len(body) - 500, len(body) - 60, len(body) - 1} {
		for _, reset := range []bool{false, true} {
			u := s.newUpload(t, "POST", "/1.0/posts", head...)
			u.send(string(body[:sent]))
			if i%3 == 0 {
				time.Sleep(10 * time.Millisecond) // else the server may not have begun
			}
			if reset {
				_ = u.conn.(*net.TCPConn).SetLinger(0) // on a connection of our own
			}
			u.conn.Close()
		}
		u := s.newUpload(t, "POST", "/1.0/posts", "Content-Type: "+contentType, "Transfer-Encoding: chunked")
		u.send(chunk(string(body[:max(1, sent)])))
		u.conn.Close()
	}
	s.noUploads()
	a.has("posts", "json", nil)
	// Forms that end too early, or are none.
	end := bytes.LastIndex(body, []byte("\r\n--"))
	for _, sent := range [][]byte{body[:end], body[:300], {}, []byte("x"), bytes.ReplaceAll(body, []byte("name="), []byte("eman=")), bytes.Replace(body, []byte("\r\n\r\n"), []byte("\r\n"), 1)} {
		r, err := a.client.submit("POST", "/1.0/posts", contentType, sent)
		if err != nil || r.status != 400 && r.status != 401 {
			t.Errorf("%d bytes: %v, %v\nwant 400", len(sent), r, err)
		}
	}
	for _, contentType := range []string{"multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"} {
		r, err := a.client.submit("POST", "/1.0/posts", contentType, body)
		if err != nil || r.status != 400 && r.status != 401 && r.status != 415 {
			t.Errorf("%s: %v, %v\nwant 400", contentType, r, err)
		}
	}
	s.noUploads()
	a.has("posts", "json", nil)
	// Whatever came before has used up neither the signature nor a number.
	r, err := a.client.submit("POST", "/1.0/posts", contentType, body)
	if err != nil || r.status != 201 || r.int("id") != 1 {
		t.Errorf("%v, %v\nwant the first post", r, err)
	}
	s.noUploads()
}

// Many who upload slowly at a time take room on the disk, and not in memory; nobody
// else has to wait for them.
func TestSlowUploadsTakeNoMemory(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	const many, size, held = 50, 4 << 20, 1000
	a.posts() // everything is warm
	before := s.usage().rss
	if before == 0 {
		t.Skip("there is no /proc")
	}
	var all []*slowUpload
	var rest [][]byte
	for i := range many {
		contentType, body := multipartForm(a.fresh("udid", fmt.Sprint("user ", i)), picture(padded(t, size, uint8(i))))
		u := s.newUpload(t, "POST", "/1.0/posts", "Content-Type: "+contentType, fmt.Sprintf("Content-Length: %d", len(body)))
		u.send(string(body[:len(body)-held]))
		all, rest = append(all, u), append(rest, body[len(body)-held:])
		begin := time.Now()
		a.has("posts", "json", []int64{1})
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("a request took %v while %d uploaded", took, i+1)
		}
	}
	// All of it has arrived, as nothing is left in buffers of this size.
	if n := len(s.uploads()); n != many {
		t.Errorf("%d uploads are kept in files, want %d: %q", n, many, s.uploads())
	}
	if grown := s.usage().rss - before; grown > many*size/4 {
		t.Errorf("%d uploads of %d MiB took %d MiB of memory", many, size>>20, grown>>20)
	} else {
		t.Logf("%d uploads of %d MiB took %d MiB of memory", many, size>>20, grown>>20)
	}
	var ids []int64
	for i, u := range all {
		if i%5 != 0 {
			u.conn.Close()
			continue
		}
		u.send(string(rest[i]))
		r := u.answer()
		a.created(r)
		ids = append([]int64{r.int("id")}, ids...)
	}
	a.has("posts", "json", append(ids, 1))
	s.noUploads()
	if !slices.Equal(ids, []int64{11, 10, 9, 8, 7, 6, 5, 4, 3, 2}) {
		t.Errorf("got the numbers %v", ids)
	}
}
