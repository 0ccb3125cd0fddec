package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/outboxtest"
)

func message() *outbox.Message {
	var w abi.Writer
	w.Map()
	w.Key("text")
	w.Text("Ann teilt: \"hier\"\n\u2028")
	w.Key("n")
	w.Int(7)
	w.End()
	return &outbox.Message{
		ID: "01J-id_7", Deployment: "default", Plugin: "sharing", Attempt: 3, Created: time.Date(2026, 11, 22, 15, 4, 5, 678901234, time.UTC),
		Dispatch: abi.Dispatch{Key: "ABC-DEF", Via: "webhook:sms", To: "+43 1 234", Body: w.Value()},
	}
}

func newTransport(t *testing.T, c Config) *Transport {
	t.Helper()
	transport, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Close() })
	return transport
}

// deliver delivers, within a time that nothing here needs.
func deliver(t *testing.T, transport *Transport, m *outbox.Message) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return transport.Deliver(ctx, m)
}

// failure wants a failure, and returns it.
func failure(t *testing.T, err error) *outbox.Failure {
	t.Helper()
	f, ok := errors.AsType[*outbox.Failure](err)
	if !ok || f.Reason == "" || strings.ContainsAny(f.Reason+f.Detail, "\r\n") || strings.Contains(f.Reason+f.Detail, "secretword") || strings.Contains(f.Reason, "127.0.0.1") {
		t.Fatalf("%#v", err)
	}
	return f
}

func TestACallIsSignedAndHasTheBody(t *testing.T) {
	hook := outboxtest.StartWebhook(t, nil)
	transport := newTransport(t, Config{URL: hook.URL + "?k=v", Secret: []byte(hook.Secret + "\n")})
	for range 2 {
		if err := deliver(t, transport, message()); err != nil {
			t.Fatal(err)
		}
	}
	calls := hook.Calls()
	if len(calls) != 2 {
		t.Fatalf("%d calls", len(calls))
	}
	c := calls[0]
	const want = `{"id":"01J-id_7","type":"sharing","key":"ABC-DEF","to":"+43 1 234","created":"2026-11-22T15:04:05.678901Z","data":{"text":"Ann teilt: \"hier\"\n\u2028","n":7}}`
	if string(c.Raw) != want || !json.Valid(c.Raw) || string(calls[1].Raw) != want {
		t.Errorf("%s\nwant %s", c.Raw, want)
	}
	for name, want := range map[string]string{
		"Webhook-Id": "01J-id_7", "Idempotency-Key": "01J-id_7", "Content-Type": "application/json", "User-Agent": "edgeset", "Edgeset-Attempt": "3",
	} {
		if got := c.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(c.Header.Get("Webhook-Signature"), "v1,") {
		t.Errorf("%v", c.Header)
	}
}

func TestACallWithAnotherSecretIsNotTaken(t *testing.T) {
	hook := outboxtest.StartWebhook(t, nil)
	transport := newTransport(t, Config{URL: hook.URL, Secret: []byte("any bytes are a secret")})
	if f := failure(t, deliver(t, transport, message())); !f.Permanent || !strings.Contains(f.Detail, "status 403: not a good call") {
		t.Errorf("%+v", f)
	}
	if n := len(hook.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestAMessageWithoutBodyHasNull(t *testing.T) {
	hook := outboxtest.StartWebhook(t, nil)
	transport := newTransport(t, Config{URL: hook.URL, Secret: []byte(hook.Secret)})
	m := message()
	m.Body = nil
	if err := deliver(t, transport, m); err != nil || !strings.HasSuffix(string(hook.Calls()[0].Raw), `,"data":null}`) {
		t.Errorf("%v, %+v", err, hook.Calls())
	}
	m.Body = abi.Value{0xc1}
	if f := failure(t, deliver(t, transport, m)); !f.Permanent {
		t.Errorf("%+v", f)
	}
}

func TestTheStatusTellsWhatBecameOfACall(t *testing.T) {
	var status atomic.Int64
	hook := outboxtest.StartWebhook(t, func(_ outboxtest.Call, res http.ResponseWriter) {
		res.Header().Set("Location", "/elsewhere")
		res.Header().Set("Retry-After", "120")
		res.WriteHeader(int(status.Load()))
		if status.Load() >= 400 {
			res.Write([]byte("no credit\r\nleft" + strings.Repeat(".", 100<<10)))
		}
	})
	transport := newTransport(t, Config{URL: hook.URL + "?k=secretword", Secret: []byte(hook.Secret)})
	for _, good := range []int64{200, 201, 202, 204} {
		status.Store(good)
		if err := deliver(t, transport, message()); err != nil {
			t.Errorf("%d: %v", good, err)
		}
	}
	for _, c := range []struct {
		status    int64
		permanent bool
		after     time.Duration
		reason    string
	}{
		{301, false, 0, "status 301: redirects are not followed"}, {308, false, 0, "redirects are not followed"},
		{400, true, 0, "status 400: no credit left..."}, {401, true, 0, "no credit"}, {404, true, 0, "no credit"}, {410, true, 0, "status 410"},
		{408, false, 2 * time.Minute, "status 408"}, {425, false, 2 * time.Minute, ""}, {429, false, 2 * time.Minute, "status 429"},
		{500, false, 2 * time.Minute, "status 500"}, {503, false, 2 * time.Minute, ""},
	} {
		status.Store(c.status)
		n := len(hook.Calls())
		f := failure(t, deliver(t, transport, message()))
		if f.Permanent != c.permanent || f.After != c.after || !strings.Contains(f.Detail, c.reason) || len(f.Detail) > 400 || strings.Contains(f.Reason, "no credit") != (c.status == 400 || c.status == 410) {
			t.Errorf("%d: %+v", c.status, f)
		}
		if made := len(hook.Calls()) - n; made != 1 {
			t.Errorf("%d: %d calls", c.status, made)
		}
	}
}

func TestAnAnswerThatRepeatsTheURLDoesNotShowItsKeys(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such number +43; cannot POST "+r.URL.String()+" of "+r.URL.Query().Get("k"), http.StatusBadRequest)
	}))
	defer server.Close()
	transport := newTransport(t, Config{URL: server.URL + "/hooks/secretword-1?k=secretword%2D2", Secret: []byte("s")})
	f := failure(t, deliver(t, transport, message()))
	if f.Reason != "the webhook: status 400: no such number +43; cannot POST … of …" || f.Detail != server.URL+": status 400: no such number +43; cannot POST … of …" {
		t.Errorf("%+v", f)
	}
}

func TestHowLongToWaitIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "1e3": 0, "86401": maxWait, "99999999999999999999999": maxWait, "18446744073709551615": maxWait,
		"Sun, 22 Nov 2026 15:01:00 GMT": time.Minute, "Sun, 22 Nov 2026 14:00:00 GMT": 0, "Sun, 22 Nov 9999 14:00:00 GMT": maxWait,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestWhatCannotBeReachedIsTriedAgain(t *testing.T) {
	secret := []byte("s")
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	unknown := httptest.NewTLSServer(http.NotFoundHandler())
	defer unknown.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	for url, reason := range map[string]string{
		gone.URL:    gone.URL + ": ",
		unknown.URL: "the server's certificate is not good: x509: certificate signed by unknown authority",
		cut.URL:     "the server has closed the connection",
	} {
		f := failure(t, deliver(t, newTransport(t, Config{URL: url + "/?k=secretword", Secret: secret}), message()))
		if f.Permanent || !strings.Contains(f.Detail, reason) {
			t.Errorf("%s: %+v", url, f)
		}
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	end := make(chan struct{})
	hook := outboxtest.StartWebhook(t, func(outboxtest.Call, http.ResponseWriter) { <-end })
	defer close(end)
	transport := newTransport(t, Config{URL: hook.URL, Secret: []byte(hook.Secret)})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if f := failure(t, transport.Deliver(ctx, message())); f.Permanent || !strings.Contains(f.Detail, "no answer in time") {
		t.Errorf("%+v", f)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if f := failure(t, transport.Deliver(ctx, message())); f.Permanent || !strings.Contains(f.Detail, "cut off") {
		t.Errorf("%+v", f)
	}
}

func TestAWebhookNeedsHTTPSAndASecret(t *testing.T) {
	for url, want := range map[string]string{
		"":                                  "want a URL",
		"sms.example.com":                   "want a URL",
		"https://":                          "want a URL",
		"https://a%ZZ":                      "want a URL",
		"https://sms.example.com/\x00":      "want a URL",
		"ftp://sms.example.com":             "want https",
		"http://sms.example.com":            "want https",
		"http://192.168.0.1":                "want https",
		"http://localhost.example.com":      "want https",
		"https://u:secretword@example.com/": "no password",
		"https://sms.example.com/#x":        "want no #",
		"https://sms.example.com:0/":        "want a port",
		"https://sms.example.com:65536/":    "want a port",
		"https://sms.example.com/" + strings.Repeat("x", maxURL): "want a URL",
	} {
		if _, err := New(Config{URL: url, Secret: []byte("s")}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secretword") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"https://sms.example.com/send?k=v", "http://127.0.0.1:80/", "http://[::1]:80/", "http://localhost:80/"} {
		if _, err := New(Config{URL: url, Secret: []byte("s")}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, secret := range []string{"", "whsec_", "whsec_%%%"} {
		if _, err := New(Config{URL: "https://sms.example.com", Secret: []byte(secret)}); err == nil || !strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestHTTPStaysOnThisMachine(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "192.0.2.1:80": false, "x": false} {
		if err := loopbackOnly("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func FuzzAReply(f *testing.F) {
	f.Add("HTTP/1.1 429 x\r\nRetry-After: 99999999999999999999\r\nContent-Length: 3\r\n\r\nabc")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz")
	f.Add("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 301 x\r\nLocation: http://x\r\n\r\n")
	f.Add("\x15\x03\x01")
	f.Fuzz(func(t *testing.T, says string) {
		server := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
			if conn, _, err := res.(http.Hijacker).Hijack(); err == nil {
				conn.Write([]byte(says))
				conn.Close()
			}
		}))
		defer server.Close()
		transport, err := New(Config{URL: server.URL, Secret: []byte("s")})
		if err != nil {
			t.Fatal(err)
		}
		defer transport.Close()
		if err = deliver(t, transport, message()); err == nil {
			return
		}
		if reply := failure(t, err); len(reply.Reason) > 500 || len(reply.Detail) > 500 || reply.After < 0 || reply.After > maxWait {
			t.Fatalf("%+v", reply)
		}
	})
}

func FuzzAPayloadIsJSON(f *testing.F) {
	f.Add("sharing", "key", "to", []byte(message().Body))
	f.Add("\xff", "\"\\\n", "\u2028", []byte{0xc1})
	f.Fuzz(func(t *testing.T, plugin, key, to string, body []byte) {
		m := message()
		m.Plugin, m.Key, m.To, m.Body = plugin, key, to, abi.Value(body)
		if b, err := payload(m); err == nil && !json.Valid(b) {
			t.Fatalf("%s", b)
		}
	})
}
