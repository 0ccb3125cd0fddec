package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Many who post at a time get numbers of their own, without a gap, and all of their
// posts are found.
func TestManyPostAtOnce(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	const many, each = 12, 5
	ids := make([][]int64, many)
	var all sync.WaitGroup
	for i := range many {
		content := photo(t, 300, 200, uint8(i%3))
		all.Go(func() {
			for j := range each {
				contentType, body := multipartForm(a.fresh("udid", "x", "description", fmt.Sprintf("%d #rush", j), "city", "Tulsa", "tags", "a,b"), picture(content))
				r, err := a.insists(contentType, body)
				if err != nil || r.status != 201 {
					s.errorf("%v, %v\nwant 201", r, err)
					return
				}
				ids[i] = append(ids[i], r.int("id"))
			}
		})
	}
	all.Wait()
	var got, want []int64
	for i := range many {
		if !slices.IsSorted(ids[i]) {
			t.Errorf("one after the other got the numbers %v", ids[i])
		}
		got = append(got, ids[i]...)
	}
	slices.Sort(got)
	for i := range many * each {
		want = append(want, int64(i+1))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got the numbers %v", got)
	}
	slices.Reverse(want)
	for _, params := range [][]string{nil, {"city", "tulsa"}, {"tags", "b"}, {"search", "#rush"}, {"tags", "a", "city", "tulsa", "search", "rush"}} {
		a.has("posts", "json", want, append(params, "count", "100")...)
	}
	// All of them flag one at once, and all of them delete.
	for i := range many {
		all.Go(func() {
			r, err := a.client.submit("POST", "/1.0/posts/1/update?"+a.fresh("flag", "1", "udid", fmt.Sprint("user ", i%2)).Encode(), "", nil)
			if err != nil || r.status != 200 && r.status != 503 {
				t.Errorf("%v, %v\nwant 200", r, err)
			}
		})
	}
	all.Wait()
	if r := s.moderate("GET", "/posts/1"); r.int("flags") != 2 {
		t.Errorf("%v\nwant 2 flags", r)
	}
	statuses := make([]int, many)
	for i := range many {
		all.Go(func() {
			r, err := a.client.submit("POST", "/1.0/posts/1/delete?"+a.fresh().Encode(), "", nil)
			if err != nil {
				t.Error(err)
			}
			statuses[i] = r.status
		})
	}
	all.Wait()
	done := 0
	for _, status := range statuses {
		if status == 204 {
			done++
		} else if status != 404 && status != 503 {
			t.Errorf("got %d, want 204 or 404", status)
		}
	}
	if done != 1 {
		t.Errorf("%v: %d have deleted it, want one", statuses, done)
	}
	a.has("posts", "json", want[:len(want)-1], "count", "100")
}

// insists sends a post again, as it is, for as long as it is told to come back later:
// nothing of it was done, and its signature is not used up.
func (a *signer) insists(contentType string, body []byte) (reply, error) {
	for begin := time.Now(); ; {
		r, err := a.client.submit("POST", "/1.0/posts", contentType, body)
		if err != nil || r.status != 503 || time.Since(begin) > callTime {
			return r, err
		}
		seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			return r, fmt.Errorf("Retry-After: %q", r.header.Get("Retry-After"))
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

// What is in a body that nobody reads is never taken for a request.
func TestBodiesAreNotTakenForRequests(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	inner := "GET /1.0/posts.json HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, size := range []int{0, 100, 9000, 300_000} {
		body := "--xyz\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n" + strings.Repeat("x", size) + "\r\n\r\n" + strings.Repeat(inner, 50)
		for _, framing := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)), "Transfer-Encoding: chunked\r\n\r\n"} {
			for _, path := range []string{"/1.0/posts", "/1.0/nothing", "/1.0/posts.json", "/1.0/images/x.jpg", "/1.0/comments"} {
				u := s.newUpload(t, "POST", path, "Content-Type: multipart/form-data; boundary=xyz", framing[:len(framing)-4])
				sent := body
				if strings.HasPrefix(framing, "Transfer") {
					sent = chunk(body) + "0\r\n\r\n"
				}
				// The server may have closed the connection by now.
				_, _ = io.WriteString(u.conn, sent+"GET /1.0/documentation HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				if r := u.answer(); r.status < 400 || r.status > 499 {
					t.Errorf("%s: %v\nwant it refused", path, r)
				}
				if resp, err := http.ReadResponse(bufio.NewReader(u.in), nil); err == nil && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
					text, _ := io.ReadAll(resp.Body)
					t.Errorf("%s with %s: the body was answered with %s %s", path, framing, resp.Status, text)
				}
				u.conn.Close()
			}
		}
	}
}

// Where a photo was taken, and by whom, is kept nowhere: no operator, no backup and no
// thief of a disk has it.
func TestMetadataOfPhotosIsNotStored(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		s := newPostsServer(t, fmt.Sprintf("keep_original = %q", fmt.Sprint(kept)))
		a := s.newSigner("")
		made := a.postsPhoto(cameraPhoto(t, 300, 200))
		if kept {
			s.original(made)
		}
		s.stop()
		found := false
		err := filepath.Walk(s.data, func(path string, info os.FileInfo, err error) error {
			if err != nil || !info.Mode().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			found = found || strings.Contains(string(text), privateText)
			return err
		})
		if err != nil || found != kept {
			t.Errorf("with keep_original %v: the metadata is on the disk: %v, %v", kept, found, err)
		}
	}
}

// A picture is as quick to get while others are made.
func TestPicturesAreServedWhileOthersAreMade(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	made := a.postsPhoto(photo(t, 300, 200, 1))
	large := photo(t, 4000, 3000, 2)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			contentType, body := multipartForm(a.fresh("udid", fmt.Sprint(i)), picture(large))
			if r, err := a.insists(contentType, body); err != nil || r.status != 201 {
				t.Errorf("%v, %v\nwant 201", r, err)
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	var slowest time.Duration
	for n := 0; ; n++ {
		select {
		case <-ended:
			if slowest > 5*time.Second {
				t.Errorf("a picture took %v", slowest)
			}
			t.Logf("%d pictures meanwhile, the slowest took %v", n, slowest)
			return
		default:
		}
		begin := time.Now()
		a.shown(made.text("thumbnail"))
		a.shown("/1.0/posts/1.json")
		slowest = max(slowest, time.Since(begin))
		time.Sleep(5 * time.Millisecond)
	}
}
