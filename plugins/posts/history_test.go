//go:build !wasip1

package main_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

var (
	historyTime = flag.Duration("history.time", 5*time.Second, "how long random histories are run")
	historySeed = flag.Uint64("history.seed", 1, "seed of the first history; those after it count on")
	historyOnly = flag.Bool("history.only", false, "run the first history alone")
)

// callers are who make the requests: accounts with a session, and with tokens of
// applications; applications alone; an operator; nobody.
var callers = map[string]abi.Caller{
	"ann":      {Account: "account-ann", Proof: "session", Name: "Ann"},
	"ann@one":  {Account: "account-ann", App: "app-one", Proof: "token", Name: "Ann"},
	"bob":      {Account: "account-bob", Proof: "session", Name: "Bob ☕ <b>"},
	"bob@two":  {Account: "account-bob", App: "app-two", Proof: "token"},
	"cyd":      {Account: "account-cyd", Proof: "session"},
	"one":      {App: "app-one", Proof: "signature"},
	"one@":     {App: "app-one", Proof: "token"},
	"two":      {App: "app-two", Proof: "signature"},
	"operator": {Proof: "operator"},
	"":         {},
}

// A history is a list of steps, and what they begin with.
type history struct {
	posts, comments int64 // the numbers that were last given
	hideAfter       int
	keepOriginal    bool
	maxImage        int // bytes
	steps           []step
}

// A step is one request of a history. In its texts "{#7}" stands for the number of
// what step 7 has made, and "{#7 large}" for the name of its picture.
type step struct {
	number  int
	wait    time.Duration
	who     string
	method  string
	path    string
	query   []string // parameters as name=value, not escaped
	form    []string
	picture int    // number of the picture that is uploaded, from 1; 0: none
	field   string // the field that it is in
	referer string
	base    string

	// Instead of one request, so many, which author makes up from number on.
	bulk   int
	author func(number int) step
}

func (s step) String() string {
	text := fmt.Sprintf("%3d %8s  %q %s %s %q %q", s.number, s.wait, s.who, s.method, s.path, s.query, s.form)
	if s.picture > 0 {
		text += fmt.Sprintf(" picture %d as %s", s.picture, s.field)
	}
	if s.referer != "" {
		text += fmt.Sprintf(" Referer: %q", s.referer)
	}
	if s.base != "" {
		text += " at " + s.base
	}
	if s.bulk > 0 {
		text += fmt.Sprintf(" %d times such as %s", s.bulk, s.author(0))
	}
	return text
}

// leftovers are how many entries may be kept when there is no post: counters.
const leftovers = 6

// A quiet test keeps what is logged, and has a failure end the history alone.
type quiet struct {
	testing.TB
	log []string
}

func (q *quiet) Helper()                           {}
func (q *quiet) Logf(format string, args ...any)   { q.log = append(q.log, fmt.Sprintf(format, args...)) }
func (q *quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A run is a history under way: the plugin and the world side by side.
type run struct {
	client *guesttest.Client
	world  *world
	made   map[int]int64 // numbers of what steps have made
	seen   map[string]seen
}

// seen is the answer to a read that had the latest Last-Modified so far.
type seen struct {
	modified int64
	body     string
}

// play runs a history and says what went wrong, and at which step.
func play(t testing.TB, pictures []picture, h *history) (failed int, err error) {
	log := &quiet{TB: t}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil && len(log.log) > 0 {
			err = fmt.Errorf("%w\n%s", err, strings.Join(log.log, "\n"))
		}
	}()
	r := &run{client: guesttest.New(log, guest.Served()), world: newWorld(h, pictures), made: map[int]int64{}, seen: map[string]seen{}}
	r.client.Host.Settings = map[string]string{"hide_after": fmt.Sprint(h.hideAfter), "keep_original": fmt.Sprint(h.keepOriginal), "max_image": fmt.Sprint(h.maxImage)}
	r.world.now = r.client.Host.Now
	if h.posts+h.comments > 0 {
		startAt(log, r.client, h.posts, h.comments)
	}
	for i, s := range h.steps {
		failed, log.log = i, nil
		if err := r.step(s); err != nil {
			return i, err
		}
		for k := range s.bulk {
			one := s.author(k)
			if err := r.step(one); err != nil {
				return i, fmt.Errorf("%s\n%w", one, err)
			}
		}
	}
	return failed, r.clear()
}

// clear removes all posts, after which hardly anything may be left.
func (r *run) clear() error {
	remove := func(number int64) error {
		return r.step(step{who: "operator", method: "POST", path: fmt.Sprintf("/posts/%d/remove", number)})
	}
	a := &author{Rand: rand.New(rand.NewPCG(uint64(len(r.world.posts)), 0)), now: r.world.now}
	for n := len(r.world.posts); n > 0; n-- {
		err := remove(pick(a, r.world.posts...).number)
		for k := 0; err == nil && n%40 == 1 && k < 5; k++ {
			err = r.step(a.find())
		}
		if err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	// What is much to erase is erased by the next writes.
	for range 4 {
		if err := r.step(step{who: "one", method: "POST", path: "/1.0/posts", form: []string{"udid=udid-1"}, picture: 1, field: "image"}); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
		if err := remove(r.world.posts[0].number); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	if n := r.client.Host.Len(); n > leftovers {
		return fmt.Errorf("%d entries are left when all posts are gone, want at most %d", n, leftovers)
	}
	return nil
}

// resolve puts in the numbers and pictures that a step speaks of.
func (r *run) resolve(text string) string {
	for strings.Contains(text, "{#") {
		i := strings.Index(text, "{#")
		end := i + strings.IndexByte(text[i:], '}')
		n, rendition := 0, ""
		fmt.Sscan(text[i+2:end], &n, &rendition)
		value := fmt.Sprint(cmp.Or(r.made[n], 4000000000))
		if rendition != "" {
			value = abi.BlobID{}.String() + ".jpg"
			if p := r.world.post(r.made[n]); p != nil {
				value = r.world.pictures[p.picture].names[rendition]
			}
		}
		text = text[:i] + value + text[end+1:]
	}
	return text
}

func (r *run) values(list []string) url.Values {
	values := url.Values{}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		values.Set(name, r.resolve(value))
	}
	return values
}

func (r *run) step(s step) error {
	r.world.now = r.world.now.Add(s.wait)
	r.client.Host.Now = r.world.now
	if s.method == "" {
		return nil
	}
	caller := callers[s.who]
	q := &request{
		caller: caller, base: s.base, method: s.method, path: r.resolve(s.path), query: r.values(s.query), form: r.values(s.form),
		picture: s.picture - 1, field: s.field, referer: s.referer,
	}
	if q.base == "" {
		q.base = "http://edge.test"
	}
	ask := guesttest.Request{Method: s.method, Path: q.path, BaseURL: q.base, Form: q.form, Caller: &caller, Headers: map[string]string{}}
	if len(q.query) > 0 {
		ask.Path += "?" + q.query.Encode()
	}
	if s.referer != "" {
		ask.Headers["Referer"] = s.referer
	}
	if s.picture > 0 {
		ask.Files = newUpload(&r.world.pictures[s.picture-1], s.field, caller, nil).Files
	}
	may := r.world.do(q)
	entries, blobs := r.client.Host.Len(), r.client.Host.Blobs()
	got := r.client.Do(ask)
	if (got.Status >= 400 || s.method == "GET") && (entries != r.client.Host.Len() || blobs != r.client.Host.Blobs()) {
		return fmt.Errorf("%s has changed what is stored", shown(got))
	}
	var wrong []string
	for _, o := range may {
		if err := o.matches(got); err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		if o.apply != nil {
			o.apply()
		}
		r.note(s, q, got)
		if err := r.after(q, ask.Path, &o, got); err != nil || s.method == "GET" || s.number <= 0 {
			return err
		}
		return r.shownPictures()
	}
	return fmt.Errorf("%s", strings.Join(slices.Compact(wrong), "\nor "))
}

// note keeps the number of what a step has made.
func (r *run) note(s step, q *request, got *guesttest.Response) {
	kind := strings.TrimSuffix(strings.TrimPrefix(q.path, "/1.0/"), "/create")
	if shelf := r.world.shelves[kind]; shelf != nil && q.method == "POST" && got.Status < 400 {
		r.made[s.number] = shelf.last
	}
}

// after looks at what holds after every request.
func (r *run) after(q *request, target string, o *outcome, got *guesttest.Response) error {
	if kept, n := len(r.world.kept()), r.client.Host.Blobs(); n != kept {
		return fmt.Errorf("%d blobs are kept, want %d", n, kept)
	}
	if q.caller.Proof != "operator" && got.Status < 300 {
		text := got.String()
		for _, secret := range []string{"udid", "@mail.example", "account-", "app-"} {
			if strings.Contains(text, secret) {
				return fmt.Errorf("%q is told in %s", secret, text)
			}
		}
	}
	if o.read == nil {
		return nil
	}
	if !tagged(q.path) {
		return fmt.Errorf("there is no entity tag of %s", q.path)
	}
	if err := r.modified(q.base+target, o.read, got); err != nil {
		return fmt.Errorf("%w in %s", err, shown(got))
	}
	return nil
}

// shownPictures reads all pictures that posts may show.
func (r *run) shownPictures() error {
	for _, p := range r.world.pictures {
		name := p.names["large"]
		if name == "" {
			continue
		}
		got := r.client.Do(guesttest.Request{Path: "/1.0/images/" + name})
		if err := r.world.showPicture(name, false)[0].matches(got); err != nil {
			return fmt.Errorf("picture %s: %w", name, err)
		}
	}
	return nil
}

// modified checks that who asks again with the Last-Modified that they were given
// never keeps an answer that has changed.
func (r *run) modified(target string, read *reading, got *guesttest.Response) error {
	text := header(got, "Last-Modified")
	now := r.world.now.Unix()
	if text == "" {
		if read.since > 0 && read.touched/1e6 < now {
			return fmt.Errorf("there is no Last-Modified, although the last change was at %s", httpDate(read.touched))
		}
		return nil
	}
	at, err := http.ParseTime(text)
	if err != nil || at.UTC().Format(http.TimeFormat) != text {
		return fmt.Errorf("got Last-Modified: %q", text)
	}
	if at := at.Unix(); at >= now || at < read.since/1e6 || at > read.touched/1e6 {
		return fmt.Errorf("got Last-Modified: %q, want it before %s, and from %s to %s", text,
			httpDate(now*1e6), httpDate(read.since), httpDate(read.touched))
	}
	before := r.seen[target]
	if body := string(got.Value); at.Unix() <= before.modified && body != before.body {
		return fmt.Errorf("an answer that was modified at %s has changed", httpDate(before.modified*1e6))
	} else if at.Unix() > before.modified {
		r.seen[target] = seen{at.Unix(), body}
	}
	return nil
}

func (o *outcome) matches(got *guesttest.Response) error {
	if got.Status != o.status {
		return fmt.Errorf("got %s, want %d %s", shown(got), o.status, o.code)
	}
	if got.Status >= 400 {
		return o.refused(got)
	}
	if o.check != nil {
		if err := o.check(got); err != nil {
			return err
		}
	}
	if o.any {
		return nil
	}
	if o.body == nil && (got.JSON != nil || len(got.Raw) > 0) {
		return fmt.Errorf("got %s, want no body", shown(got))
	}
	if o.body == nil {
		return nil
	}
	if err := match("body", o.body, got.JSON); err != nil {
		return fmt.Errorf("%w\nin %s", err, shown(got))
	}
	return nil
}

func (o *outcome) refused(got *guesttest.Response) error {
	message := got.Text("error.message")
	switch {
	case o.code != "" && got.Text("error.code") != o.code:
		return fmt.Errorf("got %s, want the code %s", shown(got), o.code)
	case got.Text("error.status") != fmt.Sprint(o.status) || message == "" || got.Text("error.documentation") != guide:
		return fmt.Errorf("got %s, want an error with its status, a message and the documentation", shown(got))
	}
	for _, word := range o.mention {
		if !strings.Contains(message, word) {
			return fmt.Errorf("got the message %q, want it to speak of %s", message, word)
		}
	}
	return nil
}

func shown(r *guesttest.Response) string {
	if len(r.Raw) > 0 {
		return fmt.Sprintf("%d and %d bytes", r.Status, len(r.Raw))
	}
	text := r.String()
	if len(text) > 2000 {
		text = text[:2000] + "…"
	}
	return text
}

func TestRandomHistoriesOfPostsAreWhatTheModelSays(t *testing.T) {
	pictures := newPictures(t)
	ok := func(seed uint64) bool {
		h := newHistory(seed)
		_, err := play(t, pictures, h)
		if err != nil {
			fail(t, pictures, seed, h)
		}
		return err == nil
	}
	if *historyOnly {
		ok(*historySeed)
		return
	}
	// Those with a crowd of posts take long: they get the last part of the time.
	begin := time.Now()
	short, long := *historySeed, *historySeed|crowd
	for next := &short; time.Since(begin) < *historyTime; {
		if !ok(*next) {
			return
		}
		if *next++; time.Since(begin) > *historyTime*2/3 {
			next = &long
		}
	}
	t.Logf("%d histories, and %d with a crowd of posts", short-*historySeed, long-(*historySeed|crowd))
}

// fail shows a history that fails, made short.
func fail(t *testing.T, pictures []picture, seed uint64, h *history) {
	h = shrink(t, pictures, h)
	_, err := play(t, pictures, h)
	var text strings.Builder
	for _, s := range h.steps {
		fmt.Fprintln(&text, s)
	}
	t.Errorf("history of seed %d (-history.seed=%d -history.only), from numbers %d and %d on, hidden after %d flags, originals kept: %v, pictures up to %d bytes\n%s%v",
		seed, seed, h.posts, h.comments, h.hideAfter, h.keepOriginal, h.maxImage, &text, err)
}
