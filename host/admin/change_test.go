package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/valyala/fasthttp"
)

func TestChangesReachTheHostAsTheyWereAskedFor(t *testing.T) {
	f := &fake{}
	r := newRig(t, "secret", f)
	for _, c := range []struct {
		line, body string
		headers    []string
		call       string
		change     rollout.Change
	}{
		{"POST /v1/deploy", `{"manifest":"m","by":"ann@host","message":"two\nlines","insist":true}`, nil, "deploy",
			rollout.Change{By: "ann@host", Message: "two\nlines", Insist: true}},
		{"POST /v1/deploy", `{"manifest":"m"}`, []string{"If-Match", `"7"`}, "deploy", rollout.Change{Expect: 7}},
		{"POST /v1/deployments/eu/rollback", ``, []string{"If-Match", "*"}, "rollback eu 0", rollout.Change{}},
		{"POST /v1/deployments/eu/rollback", `{"version":2,"by":"bob"}`, []string{"If-Match", ` "12" `}, "rollback eu 2", rollout.Change{By: "bob", Expect: 12}},
		{"POST /v1/deployments/eu/promote", ``, nil, "promote eu 1", rollout.Change{}},
		{"POST /v1/deployments/eu/promote", `{"share":0.25}`, nil, "promote eu 0.25", rollout.Change{}},
		{"POST /v1/deployments/eu/abort", `{"message":"slow"}`, nil, "abort eu", rollout.Change{Message: "slow"}},
		{"DELETE /v1/deployments/eu?by=ann&message=no+more&insist=true", ``, nil, "remove eu", rollout.Change{By: "ann", Message: "no more", Insist: true}},
	} {
		status, header, body := r.ask(c.line, c.body, c.headers...)
		call, change := f.asked()
		c.change.Remote = "127.0.0.1"
		if fmt.Sprint(call, change) != fmt.Sprint(c.call, c.change) {
			t.Errorf("%s %s: the host was asked for %s %+v", c.line, c.body, call, change)
		}
		var got rollout.Result
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || fmt.Sprint(got) != fmt.Sprint(made) {
			t.Errorf("%s: %d %v %s", c.line, status, header, body)
		}
	}
}

func TestChangesThatMakeNoSenseDoNotReachTheHost(t *testing.T) {
	f := &fake{}
	r := newRig(t, "secret", f)
	for _, c := range []struct {
		line, body, header string
		status             int
		want               string
	}{
		{"POST /v1/deploy", ``, "", 400, "manifest"},
		{"POST /v1/deploy", `{`, "", 400, "unexpected EOF"},
		{"POST /v1/deploy", `[]`, "", 400, "one JSON object"},
		{"POST /v1/deploy", `{"manifest":"m","colour":"red"}`, "", 400, "colour"},
		{"POST /v1/deploy", `{"manifest":"m"}{}`, "", 400, "more behind"},
		{"POST /v1/deploy", `{"manifest":7}`, "", 400, "manifest"},
		{"POST /v1/deploy", `{"manifest":"m","file":"a\u0007"}`, "", 400, "file"},
		{"POST /v1/deploy", `{"manifest":"m","by":"a\nb"}`, "", 400, "by:"},
		{"POST /v1/deploy", `{"manifest":"m","by":"` + strings.Repeat("a", maxBy+1) + `"}`, "", 400, "by:"},
		{"POST /v1/deploy", `{"manifest":"m","message":"\u001b[2J"}`, "", 400, "message:"},
		{"POST /v1/deploy", `{"manifest":"m","uploads":{"x.wasm":{"digest":"sha256:12"}}}`, "", 400, "digest"},
		{"POST /v1/deploy", `{"manifest":"m","canary":{"share":0.1,"every":"soon"}}`, "", 400, "soon"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `7`, 400, "If-Match"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `"7`, 400, "If-Match"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `"7", "8"`, 400, "If-Match"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `W/"7"`, 412, "stale"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `"0"`, 412, "stale"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `"-1"`, 412, "stale"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `"07"`, 412, "stale"},
		{"POST /v1/deploy", `{"manifest":"m"}`, `"x"`, 412, "stale"},
		{"POST /v1/deployments/eu/rollback", `{"version":-1}`, "", 400, "version"},
		{"POST /v1/deployments/eu/rollback", `{"version":1.5}`, "", 400, "version"},
		{"POST /v1/deployments/eu/abort", `{"share":1}`, "", 400, "share"},
		{"DELETE /v1/deployments/eu?by=%00", ``, "", 400, "by:"},
		{"DELETE /v1/deployments/eu?message=%ff", ``, "", 400, "message:"},
		{"POST /v1/deployments/eu", ``, "", 405, "GET, DELETE"},
		{"GET /v1/deploy", ``, "", 405, "POST"},
		{"PUT /v1/deployments/eu/secrets", ``, "", 405, "GET"},
		{"POST /v1/deploy", strings.Repeat(" ", maxBody+1), "", 413, "too_large"},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{"If-Match", c.header}
		}
		status, _, body := r.ask(c.line, c.body, headers...)
		if status != c.status || !strings.Contains(body, c.want) || !strings.HasPrefix(body, `{"error":{"code":"`) {
			t.Errorf("%s %.100s %s: %d %.200s, want %d with %q", c.line, c.body, c.header, status, body, c.status, c.want)
		}
	}
	if call, _ := f.asked(); call != "" {
		t.Errorf("the host was asked for %q", call)
	}
}

func TestErrorsOfTheHostHaveTheirStatus(t *testing.T) {
	f := &fake{}
	r := newRig(t, "secret", f)
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("none such: %w", rollout.ErrNotFound), 404, "not_found"},
		{fmt.Errorf("too late: %w", rollout.ErrStale), 412, "stale"},
		{fmt.Errorf("no canary: %w", rollout.ErrRefused), 409, "refused"},
		{fmt.Errorf("a name: %w", secret.ErrInvalid), 422, "invalid"},
		{&rollout.InvalidError{Err: errors.New("deploy: a.toml:1: bad\ndeploy: a.toml:2: worse")}, 422, "invalid"},
		{errors.New("the disk is full"), 500, "internal"},
	} {
		f.err = c.err
		var answer struct {
			Error struct{ Code, Message string }
		}
		status, _, body := r.ask("POST /v1/deployments/eu/abort", "")
		if err := json.Unmarshal([]byte(body), &answer); err != nil || status != c.status || answer.Error.Code != c.code || answer.Error.Message != c.err.Error() {
			t.Errorf("%v: %d %s", c.err, status, body)
		}
		status, header, body := r.ask("POST /v1/deployments/eu/abort", "", "Accept", ndjson)
		var last line
		if err := json.Unmarshal([]byte(body), &last); err != nil || status != 200 || header.Get("Content-Type") != ndjson ||
			last.Error == nil || *last.Error != (lineError{c.status, c.code, c.err.Error()}) {
			t.Errorf("%v, as a stream: %d %s", c.err, status, body)
		}
	}
}

func TestEventsComeWhileTheChangeGoesOn(t *testing.T) {
	seen := make(chan struct{})
	f := &fake{during: func(ctx context.Context, progress func(rollout.Event)) error {
		progress(rollout.Event{Stage: "load", Plugin: "sharing"})
		select { // goes on when the client has seen the first
		case <-seen:
		case <-ctx.Done():
			return ctx.Err()
		}
		for i := range 3 {
			progress(rollout.Event{Stage: "swap", Done: int64(i)})
		}
		return nil
	}}
	r := newRig(t, "secret", f)
	resp := r.send(context.Background(), "POST /v1/deploy", strings.NewReader(`{"manifest":"m"}`), "Authorization", "Bearer secret", "Accept", ndjson)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	var got []string
	for lines.Scan() {
		if len(got) == 0 {
			close(seen)
		}
		got = append(got, lines.Text())
	}
	want := []string{`{"event":{"stage":"load","plugin":"sharing"}}`, `{"event":{"stage":"swap"}}`, `{"event":{"stage":"swap","done":1}}`,
		`{"event":{"stage":"swap","done":2}}`}
	if len(got) != 5 || fmt.Sprint(got[:4]) != fmt.Sprint(want) || !strings.HasPrefix(got[4], `{"result":{"deployments":[{"name":"eu","version":4,`) {
		t.Errorf("%v", strings.Join(got, "\n"))
	}
	// The connection goes on.
	if status, _, _ := r.ask("GET /v1/deployments", ""); status != 200 {
		t.Errorf("%d", status)
	}
}

func TestAClientThatTakesNothingDoesNotHoldAChangeUp(t *testing.T) {
	ended := make(chan struct{})
	f := &fake{during: func(_ context.Context, progress func(rollout.Event)) error {
		for range 10_000 { // far more than buffers take
			progress(rollout.Event{Stage: "pull", Text: strings.Repeat("x", 10_000)})
		}
		close(ended)
		return nil
	}}
	r := newRig(t, "secret", f)
	resp := r.send(context.Background(), "POST /v1/deploy", strings.NewReader(`{"manifest":"m"}`), "Authorization", "Bearer secret", "Accept", ndjson)
	defer resp.Body.Close()
	select {
	case <-ended:
	case <-time.After(writeTime):
		t.Fatal("the change waits for its client")
	}
	all, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(all[max(0, len(all)-300):]), `{"result":`) {
		t.Errorf("%v: %d bytes without the result", err, len(all))
	}
}

func TestAChangeEndsWhenItsClientGoes(t *testing.T) {
	for _, accept := range []string{"application/json", ndjson} {
		begun, ended := make(chan struct{}), make(chan error, 1)
		f := &fake{during: func(ctx context.Context, progress func(rollout.Event)) error {
			close(begun)
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
			ended <- context.Cause(ctx)
			return ctx.Err()
		}}
		r := newRig(t, "secret", f)
		ctx, leave := context.WithCancel(context.Background())
		go func() {
			<-begun
			leave()
		}()
		req := strings.NewReader(`{"manifest":"m"}`)
		if resp, err := r.try(ctx, "POST /v1/deploy", req, "Authorization", "Bearer secret", "Accept", accept); err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", accept, err)
			}
		}
		if err := <-ended; !errors.Is(err, errGone) {
			t.Errorf("%s: the change ended with %v", accept, err)
		}
	}
}

func TestShutdownEndsChanges(t *testing.T) {
	for _, accept := range []string{"application/json", ndjson} {
		begun := make(chan struct{})
		f := &fake{during: func(ctx context.Context, progress func(rollout.Event)) error {
			close(begun)
			<-ctx.Done()
			return fmt.Errorf("given up: %w", context.Cause(ctx))
		}}
		r := newRig(t, "secret", f)
		said := make(chan string, 1)
		go func() {
			_, _, body := r.ask("POST /v1/deployments/eu/rollback", "", "Accept", accept)
			said <- body
		}()
		<-begun
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := r.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		if body := <-said; !strings.Contains(body, "given up") {
			t.Errorf("%s: %s", accept, body)
		}
	}
}

func FuzzIfMatch(f *testing.F) {
	for _, header := range []string{"", "*", `"7"`, ` "12" `, `W/"7"`, `"07"`, `"-1"`, `"9223372036854775808"`, `"`, `""`, `"7", "8"`, `"7"x`, "\xff"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		n, err := expected(header)
		var refused *errBody
		switch trimmed := strings.TrimSpace(header); {
		case err != nil:
			if n != 0 || !errors.As(err, &refused) || refused.status != 400 && refused.status != 412 {
				t.Errorf("%q: %d %v", header, n, err)
			}
		case n == 0:
			if trimmed != "" && trimmed != "*" {
				t.Errorf("%q stands for any revision", header)
			}
		case trimmed != etag(n):
			t.Errorf("%q: %d", header, n)
		}
	})
}

func FuzzDeployRequest(f *testing.F) {
	for _, body := range []string{"", "{}", `{"manifest":"m"}`, `{"manifest":"m","canary":{"share":0.05,"steps":[0.25,1],"every":"10m"}}`,
		`{"manifest":"m","uploads":{"a":{"digest":"sha256:12"}}}`, `{"manifest":"m"}{`, `{"by":"\u0000"}`, `[`, "\xff"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var ctx fasthttp.RequestCtx
		ctx.Init(new(fasthttp.Request), nil, nil)
		ctx.Request.SetBodyString(body)
		r, err := deployRequest(&ctx)
		var refused *errBody
		if err != nil && (!errors.As(err, &refused) || refused.status != 400) {
			t.Errorf("%q: %v", body, err)
		}
		if err == nil && (r.Manifest == "" || r.File == "" || len(r.By) > maxBy || len(r.Message) > maxMessage) {
			t.Errorf("%q: %+v", body, r)
		}
	})
}
