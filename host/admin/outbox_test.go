package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/valyala/fasthttp"
)

// A fakeOutbox is that of the deployment "eu", with one entry, "abc".
type fakeOutbox struct {
	mu    sync.Mutex
	calls []string
	notes []rollout.Entry
	err   error // what calls end with

	entry outbox.Entry
	next  string
	stats []outbox.Stat
}

func (f *fakeOutbox) called(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

// said returns the calls and notes since the last time.
func (f *fakeOutbox) said() (calls []string, notes []rollout.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls, notes = f.calls, f.notes
	f.calls, f.notes = nil, nil
	return calls, notes
}

func (f *fakeOutbox) note(e rollout.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = append(f.notes, e)
}

func (f *fakeOutbox) List(_ context.Context, deployment string, q outbox.Query) (outbox.Listing, error) {
	return outbox.Listing{Entries: []outbox.Entry{f.entry}, Next: f.next}, f.called("list %s %+v", deployment, q)
}

func (f *fakeOutbox) Get(_ context.Context, deployment, id string) (*outbox.Entry, error) {
	if id != f.entry.ID {
		return nil, fmt.Errorf("outbox: entry %q: %w", id, outbox.ErrUnknown)
	}
	return &f.entry, f.called("get %s %s", deployment, id)
}

func (f *fakeOutbox) Retry(_ context.Context, deployment, id string) error {
	return f.called("retry %s %s", deployment, id)
}

func (f *fakeOutbox) RetryAll(_ context.Context, deployment string, q outbox.Query) (int, error) {
	return 7, f.called("retry all %s %+v", deployment, q)
}

func (f *fakeOutbox) Discard(_ context.Context, deployment, id string) error {
	return f.called("discard %s %s", deployment, id)
}

func (f *fakeOutbox) Collect(fn func(outbox.Stat)) {
	for _, s := range f.stats {
		fn(s)
	}
}

func newOutboxRig(t *testing.T, o Outbox, note func(rollout.Entry)) *rig {
	t.Helper()
	f := &fake{}
	return newRigOf(t, Config{Deployments: f, Library: f, Outbox: o, Note: note, Token: "secret"})
}

func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

func queued() outbox.Entry {
	return outbox.Entry{ID: "abc", Plugin: "sharing", Key: "ABC-DEF", Via: "mail", To: "bob@example.org", Subject: "<Hi>", State: outbox.StateQueued,
		Attempts: 2, Reason: "451 later", Created: at(1), Due: at(2), Until: at(3)}
}

func TestTheOutboxIsListed(t *testing.T) {
	f := &fakeOutbox{entry: queued(), next: "def", stats: []outbox.Stat{
		{Deployment: "us", Via: "mail", Queued: 9}, {Deployment: "eu", Via: "webhook:sms", Sent: 4},
		{Deployment: "eu", Via: "mail", Queued: 1, Oldest: at(1), Attempts: 5, Sent: 2, Failed: 1, Retried: 2},
	}}
	r := newOutboxRig(t, f, f.note)
	status, header, body := r.ask("GET /v1/deployments/eu/outbox?state=queued&via=mail&to=bob%2Bx@example.org&after=xyz&limit=500", "")
	want := `{"ways":[{"via":"mail","queued":1,"oldest":"1970-01-01T00:00:01Z","attempts":5,"retried":2,"sent":2,"failed":1},` +
		`{"via":"webhook:sms","queued":0,"attempts":0,"retried":0,"sent":4,"failed":0}],` +
		`"entries":[{"id":"abc","plugin":"sharing","key":"ABC-DEF","via":"mail","to":"bob@example.org","subject":"\u003cHi\u003e","state":"queued","attempts":2,"reason":"451 later",` +
		`"created":"1970-01-01T00:00:01Z","due":"1970-01-01T00:00:02Z","until":"1970-01-01T00:00:03Z","told":false}],"next":"def"}` + "\n"
	if status != 200 || body != want || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v\n%s\nwant\n%s", status, header, body, want)
	}
	if calls, _ := f.said(); !slices.Equal(calls, []string{"list eu {State:queued Via:mail To:bob+x@example.org After:xyz Limit:500}"}) {
		t.Errorf("%q", calls)
	}
	if status, _, _ := r.ask("GET /v1/deployments/eu/outbox", ""); status != 200 {
		t.Errorf("%d", status)
	}
	if calls, notes := f.said(); !slices.Equal(calls, []string{"list eu {State: Via: To: After: Limit:0}"}) || notes != nil {
		t.Errorf("%q %v", calls, notes)
	}
	for _, query := range []string{"state=lost", "state=queued%00", "limit=0", "limit=-1", "limit=501", "limit=x", "limit=1e2", "via=a%1b", "via=" + strings.Repeat("x", 101),
		"to=%E2%80%AE", "to=" + strings.Repeat("x", abi.MaxRecipient+1), "after=%0a"} {
		if status, _, body := r.ask("GET /v1/deployments/eu/outbox?"+query, ""); status != 400 || !strings.Contains(body, `"bad_request"`) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if calls, _ := f.said(); calls != nil {
		t.Errorf("what is refused was asked: %q", calls)
	}
}

func TestAnEntryOfTheOutboxIsShownWithItsMessage(t *testing.T) {
	f := &fakeOutbox{entry: queued()}
	r := newOutboxRig(t, f, f.note)
	var sms abi.Writer
	sms.Map()
	sms.Key("text")
	sms.Text("Look: \x00\xff")
	sms.End()
	for _, c := range []struct {
		message *abi.Dispatch
		want    string // how the answer ends
	}{
		{nil, `"told":false}`},
		{&abi.Dispatch{Via: "mail", Sender: "Ann", Text: "Look\n", HTML: "<p>", Locale: "de", Body: abi.Value("\xc0")},
			`"told":false,"message":{"sender":"Ann","text":"Look\n","html":"\u003cp\u003e","locale":"de"}}`},
		{&abi.Dispatch{Via: "webhook:sms", Body: sms.Value()}, `"told":false,"message":{"body":{"text":"Look: \u0000` + "\ufffd" + `"}}}`},
		{&abi.Dispatch{Via: "webhook:sms"}, `"told":false,"message":{}}`},
	} {
		f.entry.Message = c.message
		status, _, body := r.ask("GET /v1/deployments/eu/outbox/abc", "")
		if status != 200 || !strings.HasPrefix(body, `{"id":"abc","plugin":"sharing",`) || !strings.HasSuffix(body, c.want+"\n") || !json.Valid([]byte(body)) {
			t.Errorf("%d %s, want %s", status, body, c.want)
		}
	}
	f.entry.Message = &abi.Dispatch{Via: "webhook:sms", Body: abi.Value("\x91")}
	if status, _, body := r.ask("GET /v1/deployments/eu/outbox/abc", ""); status != 500 || !strings.Contains(body, "the body of entry abc") {
		t.Errorf("a body that is none: %d %s", status, body)
	}
	if status, _, body := r.ask("GET /v1/deployments/eu/outbox/def", ""); status != 404 || !strings.Contains(body, "no such entry") {
		t.Errorf("%d %s", status, body)
	}
}

func TestWhatOperatorsChangeOfTheOutboxIsRecorded(t *testing.T) {
	f := &fakeOutbox{entry: queued()}
	r := newOutboxRig(t, f, f.note)
	for _, c := range []struct {
		line   string
		status int
		body   string
		call   string
		note   string // action and message
	}{
		{"POST /v1/deployments/eu/outbox/abc/retry?by=ann&message=it+is+back", 204, "", "retry eu abc", "outbox retry, abc: it is back"},
		{"DELETE /v1/deployments/eu/outbox/abc?by=ann", 204, "", "discard eu abc", "outbox discard, abc"},
		{"POST /v1/deployments/eu/outbox/retry?by=ann", 200, `{"retried":7}` + "\n", "retry all eu {State:failed Via: To: After: Limit:0}", "outbox retry, all"},
		{"POST /v1/deployments/eu/outbox/retry?state=failed&via=mail&to=bob@example.org&by=ann&message=why", 200, `{"retried":7}` + "\n",
			"retry all eu {State:failed Via:mail To:bob@example.org After: Limit:0}", "outbox retry, all by mail to bob@example.org: why"},
	} {
		status, _, body := r.ask(c.line, "")
		calls, notes := f.said()
		if status != c.status || body != c.body || !slices.Equal(calls, []string{c.call}) || len(notes) != 1 {
			t.Errorf("%s: %d %q: %q %+v", c.line, status, body, calls, notes)
			continue
		}
		n := notes[0]
		if n.Action+", "+n.Message != c.note || n.By != "ann" || n.Deployment != "eu" || n.Remote != "127.0.0.1" || n.Error != "" || time.Since(n.At) > time.Minute {
			t.Errorf("%s: recorded as %+v", c.line, n)
		}
		// Without the token nothing is done.
		if status, _, _ := r.do(c.line, ""); status != 401 {
			t.Errorf("%s, without the token: %d", c.line, status)
		}
		if calls, notes := f.said(); calls != nil || notes != nil {
			t.Errorf("%s, without the token: %q %v", c.line, calls, notes)
		}
		// What cannot be done is recorded, too.
		for err, want := range map[error]string{
			fmt.Errorf("outbox: entry: %w", outbox.ErrUnknown): "404 not_found", fmt.Errorf("outbox: entry: %w", outbox.ErrState): "409 refused",
			errors.New("the store fails"): "500 internal",
		} {
			f.err = err
			status, _, body := r.ask(c.line, "")
			if got, code, _ := strings.Cut(want, " "); fmt.Sprint(status) != got || !strings.Contains(body, `"code":"`+code+`"`) || !strings.Contains(body, err.Error()) {
				t.Errorf("%s: %v: %d %s", c.line, err, status, body)
			}
			if _, notes := f.said(); len(notes) != 1 || notes[0].Error != err.Error() {
				t.Errorf("%s: %v is recorded as %+v", c.line, err, notes)
			}
			f.err = nil
		}
	}
	for _, c := range []struct {
		line, header string
		status       int
	}{
		{"POST /v1/deployments/eu/outbox/abc/retry?by=a%1b", "", 400},
		{"DELETE /v1/deployments/eu/outbox/abc?message=" + strings.Repeat("x", maxMessage+1), "", 400},
		{"DELETE /v1/deployments/eu/outbox/abc", `"5"`, 400},
		{"POST /v1/deployments/eu/outbox/retry?state=queued", "", 400},
		{"POST /v1/deployments/eu/outbox/retry?limit=5", "", 400},
		{"POST /v1/deployments/eu/outbox/retry?after=x", "", 400},
		{"POST /v1/deployments/eu/outbox/retry?via=%00", "", 400},
		{"POST /v1/deployments/eu/outbox", "", 405},
		{"DELETE /v1/deployments/eu/outbox", "", 405},
		{"PUT /v1/deployments/eu/outbox/abc", "", 405},
		{"DELETE /v1/deployments/eu/outbox/", "", 404},
	} {
		status, _, body := r.ask(c.line, "", "If-Match", c.header)
		if calls, notes := f.said(); status != c.status || calls != nil || notes != nil {
			t.Errorf("%s: %d %s: %q %v", c.line, status, body, calls, notes)
		}
	}
}

func TestWithoutAnOutboxOrADeploymentNothingIsShown(t *testing.T) {
	f := &fakeOutbox{entry: queued(), stats: []outbox.Stat{{Deployment: "us", Via: "mail"}}}
	none, some := newOutboxRig(t, nil, nil), newOutboxRig(t, f, f.note)
	for _, line := range []string{"GET /v1/deployments/%s/outbox", "GET /v1/deployments/%s/outbox/abc", "DELETE /v1/deployments/%s/outbox/abc",
		"POST /v1/deployments/%s/outbox/abc/retry", "POST /v1/deployments/%s/outbox/retry"} {
		if status, _, body := none.ask(fmt.Sprintf(line, "eu"), ""); status != 501 || !strings.Contains(body, `"not_implemented"`) {
			t.Errorf("%s: %d %s", line, status, body)
		}
		for _, name := range []string{"us", "@edgeset"} {
			if status, _, body := some.ask(fmt.Sprintf(line, name), ""); status != 404 || !strings.Contains(body, "There is no deployment") {
				t.Errorf("%s: %d %s", line, status, body)
			}
		}
	}
	if calls, notes := f.said(); calls != nil || notes != nil {
		t.Errorf("%q %v", calls, notes)
	}
	if status, _, body := none.do("GET /metrics", ""); status != 200 || strings.Contains(body, "edgeset_outbox") || !strings.Contains(body, "edgeset_unmatched_requests_total") {
		t.Errorf("%d %s", status, body)
	}
}

func TestWhatIsDeliveredIsCounted(t *testing.T) {
	f := &fakeOutbox{stats: []outbox.Stat{
		{Deployment: "eu", Via: "mail", Queued: 3, Oldest: time.Now().Add(-time.Hour), Attempts: 9, Sent: 5, Failed: 1, Retried: 2},
		{Deployment: "eu", Via: "webhook:sms", Oldest: time.Now().Add(time.Hour)}, // the clock was put back
		{Deployment: "us", Via: "mail", Sent: 1},
	}}
	r := newOutboxRig(t, f, f.note)
	status, header, body := r.do("GET /metrics", "")
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %v", status, header)
	}
	for _, want := range []string{
		"edgeset_unmatched_requests_total 0\n", "# TYPE edgeset_outbox_queued gauge\n", "# TYPE edgeset_outbox_sent_total counter\n",
		`edgeset_outbox_queued{deployment="eu",via="mail"} 3` + "\n", `edgeset_outbox_oldest_seconds{deployment="eu",via="mail"} 36`,
		`edgeset_outbox_oldest_seconds{deployment="eu",via="webhook:sms"} 0` + "\n", `edgeset_outbox_oldest_seconds{deployment="us",via="mail"} 0` + "\n",
		`edgeset_outbox_attempts_total{deployment="eu",via="mail"} 9` + "\n", `edgeset_outbox_retries_total{deployment="eu",via="mail"} 2` + "\n",
		`edgeset_outbox_sent_total{deployment="eu",via="mail"} 5` + "\n", `edgeset_outbox_failed_total{deployment="eu",via="mail"} 1` + "\n",
		`edgeset_outbox_sent_total{deployment="us",via="mail"} 1` + "\n",
	} {
		if strings.Count(body, want) != 1 {
			t.Errorf("want %q once in\n%s", want, body)
		}
	}
}

// A query comes from outside, and what it says goes into the audit log.
func FuzzOutboxQuery(f *testing.F) {
	for _, query := range []string{"", "state=failed&via=mail&to=bob%2Bx@example.org&after=abc&limit=500", "limit=0x10", "to=%ff", "state=%66ailed&state=sent", "via=%E2%80%AE&&=&%"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		var ctx fasthttp.RequestCtx
		ctx.Request.SetRequestURI("/v1/deployments/eu/outbox")
		ctx.Request.URI().SetQueryString(query)
		q, err := outboxQuery(&ctx)
		if err != nil {
			if status, code, _ := explain(err); status != 400 || code != "bad_request" {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if !slices.Contains([]outbox.State{"", "queued", "sent", "failed"}, q.State) || q.Limit < 0 || q.Limit > maxOutboxEntries ||
			!printable(q.Via+q.After, 300, "") || !printable(q.To, abi.MaxRecipient, "") {
			t.Fatalf("%q is read as %+v", query, q)
		}
	})
}
