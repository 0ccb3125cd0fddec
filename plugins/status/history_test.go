//go:build !wasip1

package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
	_ "github.com/edgeset/edgeset/plugins/status"
)

var (
	historyTime = flag.Duration("history.time", 5*time.Second, "how long random histories are run")
	historySeed = flag.Uint64("history.seed", 1, "seed of the first history; those after it count on")
	historyOnly = flag.Bool("history.only", false, "run the first history alone")
)

// The people of the histories, and the names that their tokens have for them.
var (
	accounts = []string{"ann", "bob", "cyd", "dan", "eve"}
	nameOf   = map[string]string{"ann": "Ann", "bob": "Bob", "cyd": "", "dan": "Dan", "eve": "Eve"}
)

func callerOf(account string) *abi.Caller {
	return &abi.Caller{Account: account, App: "app", Proof: "token", Name: nameOf[account]}
}

// A step is one request of a history. In its path and body "@ann" stands for the
// gid of an account and "{#7}" for the id of what step 7 has made.
type step struct {
	number int
	wait   time.Duration
	who    string
	method string // or LISTEN, or HANGUP
	path   string
	body   string
	last   string // the header Last-Event-ID
	socket int    // of LISTEN and HANGUP
	bulk   int    // so many updates instead of the body
	from   int    // with numbers from this one on
	kinds  int    // of so many types
}

func (s step) String() string {
	text := fmt.Sprintf("%3d %8s  %s %s %s %s", s.number, s.wait, s.who, s.method, s.path, s.body)
	if s.bulk > 0 {
		text += fmt.Sprintf(" %d updates from %d on, of %d types", s.bulk, s.from, s.kinds)
	}
	if s.last != "" {
		text += " Last-Event-ID: " + s.last
	}
	if s.path == "" {
		text += fmt.Sprintf(" at socket %d", s.socket)
	}
	return text
}

// bulkBody writes many updates.
func (s step) bulkBody(now time.Time) string {
	var b strings.Builder
	for i := range s.bulk {
		// Neighbours are alike, so that few messages tell of them all.
		block := i * len(types) * len(sources) / s.bulk
		kind, source := types[block%len(types)], sources[block/len(types)]
		if s.kinds > 0 {
			kind = fmt.Sprintf("type %d", i%s.kinds)
		}
		created := now.Add(time.Duration(i*i%1009-500) * time.Second)
		fmt.Fprintf(&b, `,{"uuid":"bbbbbbbb-0000-4000-8000-%012x","type":%q,"source":%q,"created_at":%q,"payload":{"n":%d}}`,
			s.from+i, kind, source, created.Format(time.RFC3339Nano), i)
	}
	return "[" + b.String()[1:] + "]"
}

// A quiet test keeps what is logged, and has a failure end the history alone.
type quiet struct {
	testing.TB
	log []string
}

func (q *quiet) Helper()                           {}
func (q *quiet) Logf(format string, args ...any)   { q.log = append(q.log, fmt.Sprintf(format, args...)) }
func (q *quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

const sockets = 6

// A run is a history under way: the plugin and the world side by side.
type run struct {
	client  *guesttest.Client
	world   *world
	gids    map[string]string // by account
	made    map[int]string    // ids by the number of the step
	sockets [sockets]*guesttest.Connection
	ears    [sockets]*listener
	streams map[*listener]*guesttest.Connection
}

// play runs a history and says what went wrong, and at which step.
func play(t testing.TB, gids map[string]string, steps []step) (failed int, err error) {
	log := &quiet{TB: t}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil && len(log.log) > 0 {
			err = fmt.Errorf("%w\n%s", err, strings.Join(log.log, "\n"))
		}
	}()
	names := map[string]string{}
	for account, gid := range gids {
		names[gid] = nameOf[account]
	}
	r := &run{
		client: guesttest.New(log, guest.Served()), world: newWorld(names), gids: gids,
		made: map[int]string{}, streams: map[*listener]*guesttest.Connection{},
	}
	for i := range sockets {
		r.hangUp(i)
	}
	r.world.now = r.client.Host.Now
	for i, s := range steps {
		failed, log.log = i, nil
		if err := r.step(s); err != nil {
			return i, err
		}
	}
	return 0, nil
}

// hangUp has a socket closed, and opened anew.
func (r *run) hangUp(i int) {
	if r.sockets[i] != nil {
		r.sockets[i].Close()
	}
	r.world.listeners = slices.DeleteFunc(r.world.listeners, func(l *listener) bool { return l == r.ears[i] })
	r.sockets[i], r.ears[i] = r.client.Connect("/v1/socket/"), &listener{}
}

// resolve puts in the ids that a step speaks of.
func (r *run) resolve(text string) string {
	for account, gid := range r.gids {
		text = strings.ReplaceAll(text, "@"+account, gid)
	}
	for strings.Contains(text, "{#") {
		i := strings.Index(text, "{#")
		end := i + strings.IndexByte(text[i:], '}')
		var n int
		fmt.Sscan(text[i+2:end], &n)
		id := r.made[n]
		if id == "" {
			id = fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
		}
		text = text[:i] + id + text[end+1:]
	}
	return text
}

func (r *run) step(s step) error {
	r.world.now = r.world.now.Add(s.wait)
	r.client.Host.Now = r.world.now
	if s.method == "HANGUP" {
		r.hangUp(s.socket)
		return nil
	}
	target, body := r.resolve(s.path), r.resolve(s.body)
	if s.bulk > 0 {
		body = s.bulkBody(r.world.now)
	}
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	q := &request{
		me: r.gids[s.who], method: s.method, path: u.Path, query: u.Query(), body: decodeJSON(body),
		last: s.last, on: r.ears[s.socket],
	}
	may := r.world.do(q)
	var got *guesttest.Response
	if s.method == "LISTEN" {
		got = r.sockets[s.socket].Emit("LISTEN", body, callerOf(s.who))
	} else {
		headers := map[string]string{}
		if s.last != "" {
			headers["last-event-id"] = s.last
		}
		got = r.client.Do(guesttest.Request{Method: s.method, Path: target, JSON: body, Caller: callerOf(s.who), Headers: headers})
	}
	var wrong []string
	for _, o := range may {
		if err := o.check(got); err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		r.take(s, &o, got)
		return r.delivered()
	}
	return fmt.Errorf("%s", strings.Join(slices.Compact(wrong), "\nor "))
}

func decodeJSON(text string) (v any) {
	if text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			panic(err)
		}
	}
	return v
}

func (o *outcome) check(got *guesttest.Response) error {
	if got.Status != o.status {
		return fmt.Errorf("got %s, want %d %s %v", shown(got), o.status, o.codes, o.detail)
	}
	if got.Status >= 400 {
		if o.codes != "" && !slices.Contains(strings.Fields(o.codes), got.Err.Code) {
			return fmt.Errorf("got %s, want the code %s", shown(got), o.codes)
		}
		if got.Text("error.message") == "" {
			return fmt.Errorf("got %s, want a message", shown(got))
		}
		return match("detail", any(part(o.detail)), got.Field("error.detail"))
	}
	if o.body == nil && got.JSON != nil {
		return fmt.Errorf("got %s, want no body", shown(got))
	}
	if err := match("body", o.body, got.JSON); err != nil {
		return err
	}
	if o.stream != (got.Stream != nil) {
		return fmt.Errorf("the stream goes on: %v, want %v", got.Stream != nil, o.stream)
	}
	return matchEvents("stream", o.events, got.Events)
}

func shown(r *guesttest.Response) string {
	text := r.String()
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return text
}

func matchEvents(at string, want []event, got []guesttest.Event) error {
	for i := range max(len(want), len(got)) {
		switch at := fmt.Sprintf("%s: event %d of %d, want %d", at, i, len(got), len(want)); {
		case i >= len(got):
			return fmt.Errorf("%s: %v %v is missing", at, want[i].name, want[i].id)
		case i >= len(want):
			return fmt.Errorf("%s: got %v", at, got[i])
		case len(got[i].Args) != 1 || got[i].Name != want[i].name || want[i].id != "" && got[i].ID != want[i].id:
			return fmt.Errorf("%s: got %v, want %v", at, got[i], want[i])
		default:
			if err := match(at, want[i].data, got[i].Args[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// take has the outcome that the plugin chose happen in the world, too.
func (r *run) take(s step, o *outcome, got *guesttest.Response) {
	if o.apply != nil {
		o.apply(got.JSON)
	}
	if got.Status == 201 {
		if id := got.Text("id"); id != "" {
			r.made[s.number] = id
		} else {
			r.made[s.number] = got.Text("gid_uuid")
		}
	}
	if got.Stream != nil {
		r.streams[r.world.listeners[len(r.world.listeners)-1]] = got.Stream
	}
}

// delivered compares what listeners were sent.
func (r *run) delivered() error {
	check := func(at string, l *listener, c *guesttest.Connection) error {
		err := matchEvents(at, l.want, c.Received)
		if c.Closed != "" && err == nil {
			err = fmt.Errorf("%s was closed: %s", at, c.Closed)
		}
		l.want, c.Received = nil, nil
		return err
	}
	for i, c := range r.sockets {
		if err := check(fmt.Sprintf("socket %d", i), r.ears[i], c); err != nil {
			return err
		}
	}
	for l, c := range r.streams {
		if err := check("stream "+c.ID, l, c); err != nil {
			return err
		}
	}
	return nil
}

// gidsOf asks a plugin of its own who the accounts are.
func gidsOf(t testing.TB, accounts []string) map[string]string {
	c := guesttest.New(t, guest.Served())
	gids := map[string]string{}
	for _, account := range accounts {
		r := c.Do(guesttest.Request{Path: "/v1/identities/me", Caller: callerOf(account)})
		gid, ok := uuid(r.Field("gid_uuid"))
		if r.Status != 200 || !ok || gid[14] != '5' || !strings.ContainsRune("89ab", rune(gid[19])) {
			t.Fatalf("%s: %s, want an identity with a UUID of version 5", account, r)
		}
		gids[account] = gid
	}
	return gids
}

func TestRandomHistoriesAreWhatTheModelSays(t *testing.T) {
	gids := gidsOf(t, accounts)
	ok := func(seed uint64) bool {
		steps := newHistory(seed)
		_, err := play(t, gids, steps)
		if err != nil {
			fail(t, gids, seed, steps)
		}
		return err == nil
	}
	if *historyOnly {
		ok(*historySeed)
		return
	}
	// Those with many updates take long: they get the last part of the time.
	begin := time.Now()
	short, long := *historySeed, *historySeed|manyUpdates
	for next := &short; time.Since(begin) < *historyTime; {
		if !ok(*next) {
			return
		}
		if *next++; time.Since(begin) > *historyTime*3/4 {
			next = &long
		}
	}
	t.Logf("%d histories, and %d with many updates", short-*historySeed, long-(*historySeed|manyUpdates))
}

// fail shows a history that fails, made short.
func fail(t *testing.T, gids map[string]string, seed uint64, steps []step) {
	steps = shrink(t, gids, steps)
	_, err := play(t, gids, steps)
	var text strings.Builder
	for _, s := range steps {
		fmt.Fprintln(&text, s)
	}
	t.Errorf("history of seed %d (-history.seed=%d -history.only):\n%s%v\nwith %v", seed, seed, &text, err, gids)
}
