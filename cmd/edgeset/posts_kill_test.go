package main_test

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestPostsSurviveKills kills the server several times while many post, delete and
// read. What was acknowledged is there afterwards, whole; lists, totals and what is
// shown agree.
func TestPostsSurviveKills(t *testing.T) {
	t.Parallel()
	kills, posters := 5, 6
	if testing.Short() {
		kills, posters = 2, 3
	}
	s := newPostsServer(t, "")
	a := s.newSigner("")
	var photos [8][]byte
	for i := range photos {
		photos[i] = photo(t, 200+i, 150, uint8(i))
	}

	var lock sync.Mutex
	made, deleted := map[int64]string{}, map[int64]bool{} // acknowledged; deleted: it was tried
	stop := make(chan struct{})
	var all sync.WaitGroup
	for p := range posters {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				description := fmt.Sprintf("post %d of %d #w%d", i, p, i%7)
				contentType, body := multipartForm(a.fresh("udid", "x", "description", description, "tags", fmt.Sprint("t", i%5), "city", "Tulsa"), picture(photos[rand.N(len(photos))]))
				r, err := a.client.submit("POST", "/1.0/posts", contentType, body)
				if err != nil || r.status == 503 {
					time.Sleep(5 * time.Millisecond) // it is down
					continue
				}
				if r.status != 201 {
					t.Errorf("%v\nwant 201", r)
					return
				}
				id := r.int("id")
				lock.Lock()
				if other, twice := made[id]; twice {
					t.Errorf("the number %d is that of %q and of %q", id, other, description)
				}
				made[id] = description
				remove := i%4 == 3
				if remove {
					deleted[id] = true
				}
				lock.Unlock()
				if !remove {
					continue
				}
				r, err = a.client.submit("POST", fmt.Sprintf("/1.0/posts/%d/delete?%s", id, a.fresh("n", fmt.Sprint(id)).Encode()), "", nil)
				if err == nil && r.status == 204 {
					lock.Lock()
					delete(made, id)
					lock.Unlock()
				} else if err == nil && r.status != 503 {
					t.Errorf("%v\nwant 204", r)
				}
			}
		})
	}
	for range kills {
		time.Sleep(100*time.Millisecond + rand.N(900*time.Millisecond))
		s.kill()
		s.start()
	}
	time.Sleep(200 * time.Millisecond)
	close(stop)
	all.Wait()

	var ids []int64
	total := 0
	for page := 1; ; page++ {
		l := a.list("posts", "json", "count", "100", "page", fmt.Sprint(page))
		if len(l.ids) == 0 {
			break
		}
		ids, total = append(ids, l.ids...), l.total
	}
	t.Logf("%d posts after %d kills", len(ids), kills)
	if total != len(ids) || len(ids) == 0 {
		t.Errorf("the total is %d, and %d are listed", total, len(ids))
	}
	listed, images := map[int64]bool{}, map[string]bool{}
	for i, id := range ids {
		if i > 0 && id >= ids[i-1] {
			t.Errorf("%d is listed behind %d", id, ids[i-1])
		}
		listed[id] = true
		r := a.shown(fmt.Sprintf("/1.0/posts/%d.json", id))
		if want, known := made[id]; known && r.text("description") != want {
			t.Errorf("%v\nwant %q", r, want)
		}
		if _, known := made[id]; !known && deleted[id] {
			t.Errorf("%v\nwas deleted", r)
		}
		for _, size := range []string{"thumbnail", "large"} {
			images[r.text(size)] = true
		}
	}
	for image := range images {
		if _, err := jpeg.Decode(bytes.NewReader(a.shown(image).raw)); err != nil {
			t.Errorf("%s: %v", image, err)
		}
	}
	for id, description := range made {
		if !listed[id] && !deleted[id] {
			t.Errorf("post %d, %q, was acknowledged and is gone", id, description)
		}
	}
	// What is found by a filter is what is listed.
	for name, values := range map[string]int{"tags=t": 5, "search=%23w": 7} {
		found := 0
		for i := range values {
			l := a.readList(a.shown(fmt.Sprintf("/1.0/posts.json?%s%d&count=100", name, i)), "posts", "json")
			found += l.total
			for _, id := range l.ids {
				if !listed[id] {
					t.Errorf("%s%d finds %d, which is not listed", name, i, id)
				}
			}
		}
		if found != total {
			t.Errorf("%s finds %d in all, want %d", name, found, total)
		}
	}
	if l := a.list("posts", "json", "city", "tulsa"); l.total != total {
		t.Errorf("%d are of the city, want %d", l.total, total)
	}
	a.posts("description", "and on it goes")
	s.noUploads()
}
