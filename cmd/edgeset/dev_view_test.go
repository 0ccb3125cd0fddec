package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
)

// noon is when all happens in the tests of the view.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// shown returns a view, and what is in it.
func shown(colours bool) (*view, *bytes.Buffer) {
	var out bytes.Buffer
	v := viewOn(&out, colours)
	v.now, v.patience = func() time.Time { return noon }, time.Hour
	return v, &out
}

// tell logs a record with the time of the tests.
func tell(log *slog.Logger, level slog.Level, message string, attrs ...slog.Attr) {
	r := slog.NewRecord(noon, level, message, 0)
	r.AddAttrs(attrs...)
	if err := log.Handler().Handle(context.Background(), r); err != nil {
		panic(err)
	}
}

// answered is what the access log says of a request.
func answered(id, method, path string, status int, took time.Duration, route string, fuel uint64, retries int) []slog.Attr {
	plugin := ""
	if route != "" {
		plugin = "greeter"
	}
	return []slog.Attr{
		slog.String("id", id), slog.String("method", method), slog.String("path", path), slog.Int("status", status), slog.Duration("took", took),
		slog.String("plugin", plugin), slog.String("route", route), slog.Uint64("fuel", fuel), slog.Int("retries", retries),
	}
}

func TestTheViewShowsRequestsWithWhatBelongsToThem(t *testing.T) {
	t.Parallel()
	v, out := shown(false)
	access, log := v.access(), v.logs()
	of := func(id string) []slog.Attr {
		return []slog.Attr{slog.String("plugin", "greeter"), slog.String("request", id)}
	}

	v.say(green, "built greeter in 1.2 s, swapped in 3 ms: version 4")
	tell(log, slog.LevelInfo, "said hello\nand more", of("1")...)
	tell(log, slog.LevelInfo, "of another request", of("2")...)
	tell(log, slog.LevelDebug, "checked", slog.String("plugin", "signing"), slog.String("request", "1"))
	tell(access, slog.LevelInfo, "request", answered("1", "GET", "/hello/ann", 200, 1234*time.Microsecond, "/hello/:name", 41234, 0)...)
	tell(access, slog.LevelInfo, "request", answered("2", "POST", "/hello", 201, 98*time.Microsecond, "/hello", 812, 2)...)
	tell(access, slog.LevelInfo, "request", answered("3", "GET", "/none", 404, 2*time.Second, "", 0, 0)...)

	output := log.With(slog.String("plugin", "greeter"), slog.String("digest", "0123456789ab"))
	for _, line := range []string{"panic: no", "", "goroutine 1 [running]:", "main.hello(...)", "\t/home/ann/greeter/main.go:12 +0x5"} {
		tell(output, slog.LevelWarn, "plugin output", slog.String("line", line))
	}
	trap := &engine.TrapError{Plugin: "greeter", Export: "edge_call", Cause: "unreachable", Said: "panic: no"}
	tell(log, slog.LevelError, "request failed", append(of("4"), slog.String("route", "GET /hello/:name"), slog.Any("error", error(trap)))...)
	tell(access, slog.LevelInfo, "request", answered("4", "GET", "/hello/bob", 500, 12*time.Millisecond, "/hello/:name", 2_500_000, 0)...)

	trap = &engine.TrapError{Plugin: "greeter", Export: "edge_call", Cause: "out of bounds memory access", Stack: "greeter.hello(i32)\n\tgreeter.edge_call(i32) i64"}
	tell(log, slog.LevelError, "request failed", append(of("5"), slog.Any("error", fmt.Errorf("run: %w", trap)))...)
	tell(log, slog.LevelWarn, "request failed", append(of("5"), slog.Any("error", errors.New("its deadline of 10s has passed")))...)
	tell(access, slog.LevelInfo, "request", answered("5", "GET", "/hello/bob", 504, 10*time.Second, "/hello/:name", 3_000_000_000, 0)...)

	tell(log, slog.LevelInfo, "serving")
	tell(log, slog.LevelInfo, "each instance is initialised on its own", slog.String("plugin", "greeter"), slog.String("reason", "it took random bytes"))
	tell(log, slog.LevelWarn, "the disk is full", slog.Int("free", 3))

	tell(output, slog.LevelWarn, "plugin output", slog.String("line", "by itself"))
	v.flush()
	v.say(red, "greeter cannot be used; version 4 serves on", "# greeter", "main.go:17:26: undefined: x")

	const want = `12:00:00  built greeter in 1.2 s, swapped in 3 ms: version 4
12:00:00  200  GET    /hello/ann                     1.2 ms  41 thousand instructions, greeter /hello/:name
          info   said hello
                 and more
          signing: debug  checked
12:00:00  201  POST   /hello                          98 µs  812 instructions, greeter /hello, run 3 times: it met other requests
          info   of another request
12:00:00  404  GET    /none                           2.0 s  no route
12:00:00  500  GET    /hello/bob                      12 ms  2.5 million instructions, greeter /hello/:name
          panic: no

          goroutine 1 [running]:
          main.hello(...)
              /home/ann/greeter/main.go:12 +0x5
          error  the plugin trapped: panic: no
12:00:00  504  GET    /hello/bob                     10.0 s  3.0 billion instructions, greeter /hello/:name
          error  the plugin trapped: out of bounds memory access
                 greeter.hello(i32)
                 greeter.edge_call(i32) i64
          error  its deadline of 10s has passed
12:00:00 INF each instance is initialised on its own plugin=greeter reason="it took random bytes"
12:00:00 WRN the disk is full free=3
12:00:00  greeter:
          by itself
12:00:00  greeter cannot be used; version 4 serves on
          # greeter
          main.go:17:26: undefined: x
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheViewHasColoursOnATerminalAlone(t *testing.T) {
	t.Parallel()
	for _, colours := range []bool{true, false} {
		v, out := shown(colours)
		v.say(green, "built")
		tell(v.access(), slog.LevelInfo, "request", answered("1", "GET", "/", 500, time.Second, "/", 1, 0)...)
		tell(v.logs(), slog.LevelWarn, "careful")
		if strings.Contains(out.String(), "\x1b[") != colours {
			t.Errorf("colours %v: %q", colours, out)
		}
	}
}

// Lines are not kept from who watches for as long as a stream lasts.
func TestLinesOfARequestThatLastsAreShown(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := viewOn(&out, false)
	v.patience = time.Millisecond
	tell(v.logs(), slog.LevelInfo, "on the way", slog.String("plugin", "greeter"), slog.String("request", "1"))
	text := func() string {
		v.out.mu.Lock()
		defer v.out.mu.Unlock()
		return out.String()
	}
	for end := time.Now().Add(watchTime); !strings.Contains(text(), "greeter:\n          info   on the way\n"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v: %q", watchTime, text())
		}
	}
	// A plugin that never stops does not fill the memory.
	v.patience = time.Hour
	for i := range 3 * maxHeld {
		tell(v.logs(), slog.LevelInfo, "line", slog.String("plugin", "greeter"), slog.String("request", fmt.Sprint(i)))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lines > maxHeld || len(v.requests) > maxHeld {
		t.Errorf("%d lines of %d requests are held, want at most %d", v.lines, len(v.requests), maxHeld)
	}
}

func TestNobodySteersTheTerminal(t *testing.T) {
	t.Parallel()
	v, out := shown(false)
	tell(v.logs(), slog.LevelInfo, "a\x1b]0;title\x07b\u202ec\xff", slog.String("plugin", "greeter"), slog.String("request", "1"))
	tell(v.access(), slog.LevelInfo, "request", answered("1", "GET", "/\x1b[2J\r\n12:00:00  200", 200, 0, "/", 0, 0)...)
	const want = "12:00:00  200  GET    /\\u001b[2J\\u000d\\u000a12:00:00  200     0 µs  0 instructions, greeter /\n" +
		"          info   a\\u001b]0;title\\u0007b\\u202ec\\ufffd\n"
	if got := out.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestNumbersAreSaidInWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{
		0: "0 instructions", 999: "999 instructions", 1000: "1.0 thousand instructions", 9949: "9.9 thousand instructions",
		9950: "10 thousand instructions", 999_499: "999 thousand instructions", 999_500: "1.0 million instructions",
		41_000_000: "41 million instructions", 999_999_999: "1.0 billion instructions", 7e12: "7000 billion instructions",
	} {
		if got := fuelWords(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestARouteIsCalledWithALineToPaste(t *testing.T) {
	t.Parallel()
	g := &guide{
		gateway: "127.0.0.1:8080", admin: "127.0.0.1:8081", data: "/tmp/my data", deployment: "dev",
		credentials: []abi.CredentialSource{
			{Kind: "token", Header: "Authorization", Scheme: "Bearer"}, {Kind: "signature", Param: "hash", Request: true},
			{Kind: "api-key", Query: "key"}, {Kind: "session", Cookie: "sid"},
		},
	}
	for _, c := range []struct {
		route abi.Route
		want  string
	}{
		{abi.Route{Method: "GET", Pattern: "/hello/:name"}, "curl http://127.0.0.1:8080/hello/name"},
		{abi.Route{Method: "GET", Pattern: "/files/*path"}, "curl http://127.0.0.1:8080/files/path"},
		{abi.Route{Method: "GET", Pattern: "/it's"}, `curl 'http://127.0.0.1:8080/it'\''s'`},
		{abi.Route{Method: "POST", Pattern: "/x", Body: abi.JSONBody}, "curl -X POST -H 'Content-Type: application/json' -d '{}' http://127.0.0.1:8080/x"},
		{abi.Route{Method: "PUT", Pattern: "/x", Body: abi.FormBody}, "curl -X PUT -d 'name=value' http://127.0.0.1:8080/x"},
		{abi.Route{Method: "POST", Pattern: "/x", Body: abi.UploadBody}, "curl -X POST -F 'file=@FILE' http://127.0.0.1:8080/x"},
		{abi.Route{Method: "GET", Pattern: "/x", Stream: true}, "curl -N http://127.0.0.1:8080/x"},
		{abi.Route{Method: "DELETE", Pattern: "/x", Auth: []string{"signature", "token"}}, `curl -X DELETE -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/x`},
		{abi.Route{Method: "GET", Pattern: "/x", Auth: []string{"api-key"}}, `curl http://127.0.0.1:8080/x"?key=$API_KEY"`},
		{abi.Route{Method: "GET", Pattern: "/x", Auth: []string{"session"}}, `curl -b "sid=$SESSION" http://127.0.0.1:8080/x`},
		{abi.Route{Method: "GET", Pattern: "/all", Auth: []string{"operator"}},
			`curl -H "Authorization: Bearer $(cat '/tmp/my data/admin.token')" http://127.0.0.1:8081/v1/deployments/dev/plugins/greeter/all`},
	} {
		if got := g.curl("greeter", &c.route); got != c.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.route.Method, c.route.Pattern, got, c.want)
		}
	}
	g.tokenEnv = "ADMIN_TOKEN"
	operator := abi.Route{Method: "GET", Pattern: "/all", Auth: []string{"operator"}}
	if got := g.curl("greeter", &operator); !strings.Contains(got, `"Authorization: Bearer $ADMIN_TOKEN"`) {
		t.Errorf("%s: want the variable with the token", got)
	}
	g.host, g.mount = "api.example.com", "/eu"
	if got, want := g.curl("greeter", &abi.Route{Method: "GET", Pattern: "/x"}), "curl -H 'Host: api.example.com' http://127.0.0.1:8080/eu/x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
