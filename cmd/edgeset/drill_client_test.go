package main_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A task is what a client of a drill does again and again, over a line of its own. It
// knows what was acknowledged, and in the end looks whether all of it is there.
type task interface {
	// steps are what it does in turn, without a pause.
	steps() []drillStep
	// readBack gets everything, and returns how much is not there that was acknowledged.
	readBack() (missing int, err error)
}

// A drillStep is one request, or a few.
type drillStep struct {
	name string
	do   func() error
}

// A worker is a client at its task.
type worker struct {
	line *line
	task task
}

// work goes on until done is closed.
func (w *worker) work(done <-chan struct{}) {
	defer w.line.hangUp()
	steps := w.task.steps()
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
		}
		s := steps[n%len(steps)]
		w.line.kind = s.name
		if err := s.do(); err != nil {
			w.line.tally.note(failed, 1, fmt.Errorf("%s: %w", s.name, err))
			time.Sleep(10 * time.Millisecond) // a server that is down need not be asked without end
		}
	}
}

// unless tells what is wrong with a reply, unless it is as it should be.
func unless(ok bool, r reply, err error, want string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%v, %v\nwant %s", r, err, want)
}

// sharing uploads the points of a trail and views them.
type sharing struct {
	device *device
	viewer *viewer
	since  string
}

func (c *sharing) steps() []drillStep {
	upload := drillStep{"append", func() error {
		b := c.device.trail.draw(3)
		r, err := c.device.send(b)
		if err == nil && r.int("response.stored") != int64(len(b.times)) {
			err = fmt.Errorf("%v\nwant %d stored", r, len(b.times))
		}
		return err
	}}
	view := drillStep{"view", c.viewer.poll}
	invites := drillStep{"invites", func() error {
		r, err := c.device.client.call("GET", "/v2/users/self/invites", nil, "since", c.since)
		if err = errors.Join(err, r.failure()); err == nil {
			c.since = r.text("response.last_refresh")
		}
		return err
	}}
	return []drillStep{upload, view, upload, view, invites, view}
}

func (c *sharing) readBack() (missing int, err error) {
	v := newViewer(c.viewer.client, c.viewer.code, c.viewer.name+" at the end")
	if err := v.poll(); err != nil {
		return 0, err
	}
	tr := c.device.trail
	for t, b := range tr.of {
		if b.acknowledged && !v.seen[t] {
			missing++
		}
	}
	return missing, tr.check(v.seen)
}

// publishing shares updates with the next one, and reads those of the one before.
type publishing struct {
	*person
	from *publishing // who shares with it

	mine     []string        // uuids that were acknowledged, in order
	maybe    map[string]bool // that were not
	sent     atomic.Int64    // is len(mine)
	last     string          // uuid of what was read last of from
	received int64           // its number
}

func (c *publishing) steps() []drillStep {
	upload := drillStep{"update", c.upload}
	own := drillStep{"own", func() error {
		const page = 10 // the last one, as the oldest updates come first
		full := (len(c.mine) - 1) / page
		list, err := c.list("/v1/status", "per_page", fmt.Sprint(page), "page", fmt.Sprint(full+1))
		if err != nil || len(c.maybe) > 0 {
			return err
		}
		if got, want := idsOfReplies(list), c.mine[full*page:]; !slices.Equal(got, want) {
			return fmt.Errorf("GET /v1/status: %v, want %v", got, want)
		}
		return nil
	}}
	shared := drillStep{"shared", c.poll}
	return []drillStep{upload, own, shared, upload, shared, own, shared}
}

func (c *publishing) upload() error {
	u := newUpdate("location", "phone")
	u["payload"] = map[string]any{"n": len(c.mine) + 1}
	r, err := c.call("POST", "/v1/status", []update{u})
	if err := unless(err == nil && r.status == 201, r, err, "201"); err != nil {
		c.maybe[u.id()] = true
		return err
	}
	c.mine = append(c.mine, u.id())
	c.sent.Add(1)
	return nil
}

// begin reads the one update that is shared at first, to go on from there.
func (c *publishing) begin() error {
	list, err := c.list("/v1/status/shared")
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("GET /v1/status/shared: %v, want the one update", list)
	}
	if err == nil {
		c.received, c.last = 1, list[0].text("uuid")
	}
	return err
}

// poll reads what is new of the one who shares with it: all that was acknowledged
// before, up to what a page has, in order and nothing twice.
func (c *publishing) poll() error {
	const page = 50
	want := min(c.from.sent.Load(), c.received+page)
	list, err := c.list("/v1/status/shared", "since_uuid", c.last)
	if err != nil {
		return err
	}
	for _, u := range list {
		n := u.int("payload.n")
		if n != c.received+1 {
			return fmt.Errorf("GET /v1/status/shared: update %d comes after %d", n, c.received)
		}
		c.received, c.last = n, u.text("uuid")
	}
	if c.received < want {
		return fmt.Errorf("GET /v1/status/shared: up to update %d, want %d or more", c.received, want)
	}
	return nil
}

// list gets an array of updates, without the marks of the build.
func (c *publishing) list(path string, params ...string) ([]reply, error) {
	r, err := c.call("GET", path, nil, params...)
	elements, ok := r.doc.([]any)
	if err := unless(err == nil && r.status == 200 && ok, r, err, "an array"); err != nil {
		return nil, err
	}
	var list []reply
	for _, e := range elements {
		if u := (reply{doc: e}); u.at("build") == nil {
			list = append(list, u)
		}
	}
	return list, nil
}

func idsOfReplies(list []reply) []string {
	var ids []string
	for _, u := range list {
		ids = append(ids, u.text("uuid"))
	}
	return ids
}

func (c *publishing) readBack() (missing int, err error) {
	var got []string
	for page := 1; ; page++ {
		list, err := c.list("/v1/status", "per_page", "500", "page", fmt.Sprint(page))
		if err != nil {
			return 0, err
		}
		if len(list) == 0 {
			break
		}
		got = append(got, idsOfReplies(list)...)
	}
	got = slices.DeleteFunc(got, func(id string) bool { return c.maybe[id] })
	if slices.Equal(got, c.mine) {
		return 0, nil
	}
	for _, id := range c.mine {
		if !slices.Contains(got, id) {
			missing++
		}
	}
	return missing, fmt.Errorf("%d updates are there in their order, want %d", len(got), len(c.mine))
}

// posting makes posts with a photo, comments on them, and reads both.
type posting struct {
	*signer
	member *member // who comments
	name   string
	photo  []byte

	posts    map[int64]string // description, by id
	comments map[int64]string // content, by id
	last     int64            // post
}

func (c *posting) steps() []drillStep {
	n := 0
	create := drillStep{"post", func() error {
		n++
		text := fmt.Sprintf("post %d of %s", n, c.name)
		contentType, body := multipartForm(c.fresh("udid", "1234", "description", text, "city", "Tulsa", "tags", "drill"), picture(c.photo))
		r, err := c.client.submit("POST", "/1.0/posts", contentType, body)
		id := r.int("id")
		if err := unless(err == nil && r.status == 201 && id != 0 && c.posts[id] == "", r, err, "201 and a new id"); err != nil {
			return err
		}
		c.posts[id], c.last = text, id
		return nil
	}}
	comment := drillStep{"comment", func() error {
		n++
		text := fmt.Sprintf("comment %d of %s", n, c.name)
		form := url.Values{"postId": {fmt.Sprint(c.last)}, "content": {text}}
		r, err := c.member.submit("POST", "/1.0/comments", "application/x-www-form-urlencoded", []byte(form.Encode()), "Cookie", c.member.cookie)
		id := r.int("id")
		if err := unless(err == nil && r.status == 201 && id != 0 && c.comments[id] == "", r, err, "201 and a new id"); err != nil {
			return err
		}
		c.comments[id] = text
		return nil
	}}
	show := drillStep{"show", func() error {
		r, err := c.client.call("GET", fmt.Sprintf("/1.0/posts/%d.json", c.last), nil)
		return unless(err == nil && r.status == 200 && r.text("description") == c.posts[c.last], r, err, c.posts[c.last])
	}}
	list := drillStep{"posts", func() error {
		r, err := c.client.call("GET", "/1.0/posts.json", nil, "count", "10")
		items := r.items("posts")
		return unless(err == nil && r.status == 200 && len(items) > 0 && (reply{doc: items[0]}).int("id") >= c.last, r, err, "the last post, or later ones first")
	}}
	feed := drillStep{"feed", func() error {
		r, err := c.client.call("GET", "/1.0/posts.rss", nil, "count", "5", "tags", "drill")
		return unless(err == nil && r.status == 200 && strings.Contains(string(r.raw), "<item"), r, err, "a feed with items")
	}}
	return []drillStep{create, show, list, comment, list, feed, show, list}
}

func (c *posting) readBack() (missing int, err error) {
	for _, kind := range []struct {
		name, field string
		want        map[int64]string
	}{{"posts", "description", c.posts}, {"comments", "content", c.comments}} {
		seen := map[int64]bool{}
		for page := 1; ; page++ {
			r, err := c.client.call("GET", "/1.0/"+kind.name+".json", nil, "count", "100", "page", fmt.Sprint(page))
			if err := unless(err == nil && r.status == 200, r, err, "a list"); err != nil {
				return missing, err
			}
			items := r.items(kind.name)
			if len(items) == 0 {
				break
			}
			for _, item := range items {
				e := reply{doc: item}
				id := e.int("id")
				if want := kind.want[id]; seen[id] || want != "" && e.text(kind.field) != want {
					return missing, fmt.Errorf("%s: %v comes twice, or is not %q", kind.name, item, want)
				}
				seen[id] = true
			}
		}
		for id := range kind.want {
			if !seen[id] {
				missing++
			}
		}
	}
	return missing, nil
}

// signing proves who it is, by a token and by signatures, and logs in now and then: a
// login takes a tenth of a second of a processor, on purpose.
type signing struct {
	*signer
	user   *client
	of     account
	logged time.Time
	tokens []string     // that are good
	ended  []string     // that have logged out
	forms  []url.Values // the last ones that were taken, and so are not a second time
	taken  int
}

// loginEvery is how often somebody logs in, and maxLogins how many of the tokens are
// kept: an account has a hundred at most.
const (
	loginEvery = 10 * time.Second
	maxLogins  = 20
)

func (c *signing) steps() []drillStep {
	self := drillStep{"self", func() error { return c.isKnown(c.user) }}
	sign := drillStep{"signed", func() error {
		form := c.fresh("city", "oklahoma city")
		r, err := c.submit(whoami, form)
		if err := unless(err == nil && r.status == 200 && r.text("application") == c.id, r, err, "application "+c.id); err != nil {
			return err
		}
		c.forms = append(c.forms[max(0, len(c.forms)-99):], form)
		c.taken++
		return nil
	}}
	login := drillStep{"login", func() error {
		if time.Since(c.logged) < loginEvery {
			return nil
		}
		c.logged = time.Now()
		r, err := c.user.as("").call("POST", "/v2/account/login", nil, "api_key", c.of.key, "id", c.of.id, "password", c.of.password, "device", "phone")
		if err = errors.Join(err, r.failure()); err != nil {
			return err
		}
		c.user = c.user.as(r.text("response.access_token"))
		c.tokens = append(c.tokens, c.user.token)
		return nil
	}}
	logout := drillStep{"logout", func() error {
		if len(c.tokens) <= maxLogins {
			return nil
		}
		old := c.tokens[1] // the first one is what others use
		r, err := c.user.as(old).call("POST", "/v2/account/logout", nil)
		if err = errors.Join(err, r.failure()); err == nil {
			c.tokens, c.ended = slices.Delete(c.tokens, 1, 2), append(c.ended, old)
		}
		return err
	}}
	return []drillStep{self, sign, self, sign, login, logout}
}

func (c *signing) isKnown(user *client) error {
	r, err := user.call("GET", "/v2/users/self", nil)
	if err = errors.Join(err, r.failure()); err == nil && r.text("response.id") != c.of.id {
		err = fmt.Errorf("%v\nwant account %s", r, c.of.id)
	}
	return err
}

func (c *signing) readBack() (missing int, err error) {
	var errs []error
	for _, token := range c.tokens {
		if err := c.isKnown(c.user.as(token)); err != nil {
			missing++
			errs = append(errs, err)
		}
	}
	for _, token := range c.ended {
		r, err := c.user.as(token).call("GET", "/v2/users/self", nil)
		if err := unless(err == nil && r.status == 401, r, err, "a token that has ended to be refused"); err != nil {
			missing++
			errs = append(errs, err)
		}
	}
	for _, form := range c.forms {
		r, err := c.submit(whoami, form)
		if err := unless(err == nil && r.status == 401 && r.text("error.code") == "replayed", r, err, "a replay to be refused"); err != nil {
			missing++
			errs = append(errs, err)
		}
	}
	return missing, errors.Join(errs[:min(len(errs), 3)]...)
}
