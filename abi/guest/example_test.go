package guest_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A plugin that counts visits. In a plugin's main package, this is init, and
// ends with guest.Serve(p).
func ExampleNew() {
	p := guest.New("visits", "1.0.0")
	api := p.Family("/visits", nil)
	api.POST("/visits/:who", visit)
	api.GET("/visits/:who", visits)
	guest.Serve(p)
}

func visit(w *guest.Response, r *guest.Request) error {
	key := []byte(r.Param("who"))
	old, _, err := r.KV().Get(key)
	if err != nil {
		return err
	}
	if err := r.KV().Put(key, append(old, 'x')); err != nil {
		return err
	}
	if r.HasQuery("undo") {
		// Nothing of what was written is kept.
		return guest.Errorf(409, "undone", "%s asked to be left out", r.Param("who"))
	}
	if r.HasQuery("refuse") {
		// An error for the client, and what was written is kept.
		w.Fail(guest.Errorf(403, "refused", "counted, but not let in"))
		return nil
	}
	w.Status(201)
	return visits(w, r)
}

func visits(w *guest.Response, r *guest.Request) error {
	marks, _, err := r.KV().Get([]byte(r.Param("who")))
	if err != nil {
		return err
	}
	v := w.Value()
	v.Map()
	v.Key("visits")
	v.Int(int64(len(marks)))
	v.End()
	return nil
}

// A plugin whose records had a name alone at first, and now have the time behind it.
// The version before reads up to the line break, so it can still work with them.
func ExamplePlugin_Migrate() {
	p := guest.New("guests", "2.0.0")
	p.Schema(2, guest.Reads(1), guest.Keeps(1))
	p.Migrate(func(m *guest.Migration) error {
		return m.Each(guest.Prefix([]byte("guest/")), func(key, value []byte) error {
			if bytes.IndexByte(value, '\n') >= 0 {
				return nil // it has the time already
			}
			return m.KV().Put(key, m.Time().AppendFormat(append(value, '\n'), time.RFC3339))
		})
	})
}

// Errors of a family in a form of its own, and its own word for one that the
// host finds.
func ExamplePlugin_Family() {
	p := guest.New("songs", "1.0.0")
	form := func(w *abi.Writer) {
		w.Map()
		w.Key("ok")
		w.Bool(false)
		w.Key("fault")
		w.Text("$code")
		w.Key("why")
		w.Text("$message")
		w.End()
	}
	songs := p.Family("/songs", form).Code(abi.HostUnauthenticated, "log_in")
	songs.POST("/songs", addSong, guest.JSON, guest.Auth("token"), guest.MaxBody(64<<10))
}

func addSong(w *guest.Response, r *guest.Request) error {
	title, ok := r.Body().Get("title").Text()
	if !ok {
		return guest.Errorf(400, "no_title", "title: want a string, got %s", r.Body().Get("title").Kind())
	}
	// A feed that readers follow by the stamp misses nothing.
	return r.KV().PutStamped([]byte("songs/"+r.Caller().Account+"/"), nil, []byte(title))
}

func newVisits(t *testing.T) *guesttest.Client {
	p := guest.New("visits", "1.0.0")
	api := p.Family("/visits", nil)
	api.POST("/visits/:who", visit)
	api.GET("/visits/:who", visits)
	return guesttest.New(t, p)
}

func TestAnErrorKeepsNothingAndAFailureKeepsAll(t *testing.T) {
	c := newVisits(t)
	for _, step := range []struct {
		path   string
		status int
		code   string
		visits string
	}{
		{"/visits/ann", 201, "", "1"},
		{"/visits/ann?undo", 409, "undone", "1"},
		{"/visits/ann?refuse", 403, "refused", "2"},
		{"/visits/bob", 201, "", "1"},
		{"/visits/ann", 201, "", "3"},
	} {
		r := c.Do(guesttest.Request{Method: "POST", Path: step.path})
		if r.Status != step.status || r.Text("error.code") != step.code {
			t.Errorf("POST %s: %v, want %d %s", step.path, r, step.status, step.code)
		}
		who := step.path[:len("/visits/ann")]
		if got := c.Do(guesttest.Request{Path: who}).Text("visits"); got != step.visits {
			t.Errorf("after POST %s: %s visits, want %s", step.path, got, step.visits)
		}
	}
}

func TestARouteIsFoundByMethodAndPattern(t *testing.T) {
	c := newVisits(t)
	for path, status := range map[string]int{"/visits/ann": 200, "/visits": 404, "/visits/ann/x": 404} {
		if r := c.Do(guesttest.Request{Path: path}); r.Status != status {
			t.Errorf("GET %s: %v, want %d", path, r, status)
		}
	}
}
