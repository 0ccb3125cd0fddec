package deploy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/mail"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store"
)

// A mailServer takes mails and tells of each what the client has said.
type mailServer struct {
	addr  string
	mails chan []string
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &mailServer{l.Addr().String(), make(chan []string, 10)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "220 test\r\n")
	var said []string
	for in := bufio.NewScanner(conn); in.Scan(); {
		said = append(said, in.Text())
		switch verb, _, _ := strings.Cut(in.Text(), " "); strings.ToUpper(verb) {
		case "EHLO":
			fmt.Fprint(conn, "250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n")
		case "AUTH":
			fmt.Fprint(conn, "235 welcome\r\n")
		case "DATA":
			fmt.Fprint(conn, "354 go on\r\n")
			for in.Scan() && in.Text() != "." {
				said = append(said, in.Text())
			}
			fmt.Fprint(conn, "250 taken\r\n")
			s.mails <- said
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "250 ok\r\n")
		}
	}
}

// next returns what was said for the next mail.
func (s *mailServer) next(t *testing.T) string {
	t.Helper()
	select {
	case said := <-s.mails:
		return strings.Join(said, "\n")
	case <-time.After(time.Minute):
		t.Fatal("no mail has come")
		return ""
	}
}

func deliver(t *testing.T, way outbox.Transport) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return way.Deliver(ctx, &outbox.Message{
		Dispatch: abi.Dispatch{Key: "k", To: "bob@example.com", Subject: "s", Text: "t"},
		ID:       "0123", Deployment: "d", Plugin: "p", Attempt: 1, Created: time.Now(),
	})
}

// keeper has secrets, and notes for whom they were.
type keeper struct {
	values map[string]string
	asked  []string
}

func (k *keeper) secrets(_ context.Context, deployment, owner string, names []string) (map[string]string, error) {
	k.asked = append(k.asked, fmt.Sprint(deployment, " ", owner, " ", names))
	values := map[string]string{}
	for _, name := range names {
		value, ok := k.values[name]
		if !ok {
			return nil, fmt.Errorf("secret %q is not set", name)
		}
		values[name] = value
	}
	return values, nil
}

func TestADeploymentDeliversByItsOwnChannels(t *testing.T) {
	server := newMailServer(t)
	var got *http.Request
	var body []byte
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	defer hook.Close()
	k := &keeper{values: map[string]string{"key": "a key of some bytes", "password": "hush"}}
	l := Loader{Log: slog.New(slog.DiscardHandler), Secrets: k.secrets, Mail: refusing{}}
	d := &Deployment{Spec: Spec{
		Name: "d", Mail: MailSpec{Server: "smtp://" + server.addr, User: "ann", Password: "password", From: "Edge <edge@example.com>"},
		Webhooks: []WebhookSpec{{"sms", hook.URL + "/send", "key"}, {"app", hook.URL, "key"}},
	}}
	if err := l.channels(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if ways := slices.Sorted(maps.Keys(d.Channels)); fmt.Sprint(ways) != "[mail webhook:app webhook:sms]" {
		t.Errorf("%q", ways)
	}
	if fmt.Sprint(k.asked) != "[d @outbox [key password]]" {
		t.Errorf("%q", k.asked)
	}
	if err := deliver(t, d.Channels["mail"]); err != nil {
		t.Fatal(err)
	}
	said := server.next(t)
	for _, want := range []string{base64.StdEncoding.EncodeToString([]byte("\x00ann\x00hush")), "MAIL FROM:<edge@example.com>", "<bob@example.com>"} {
		if !strings.Contains(said, want) {
			t.Errorf("%s\nwant %s", said, want)
		}
	}
	if err := deliver(t, d.Channels["webhook:sms"]); err != nil {
		t.Fatal(err)
	}
	verifier, err := standardwebhooks.NewWebhookRaw([]byte("a key of some bytes"))
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(body, got.Header); err != nil || got.URL.Path != "/send" {
		t.Errorf("%s %v: %v", got.URL, got.Header, err)
	}
	if len(d.own) != 3 {
		t.Errorf("%d channels are closed with it, want 3", len(d.own))
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// refusing is a way that nothing is to go.
type refusing struct{}

func (refusing) Deliver(context.Context, *outbox.Message) error { return errors.New("not this way") }
func (refusing) Close() error                                   { return errors.New("it is not yours") }

func TestADeploymentDeliversByTheHostsMail(t *testing.T) {
	server := newMailServer(t)
	c, err := mail.ParseServer("smtp://" + server.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.From = "host@example.com"
	host, err := mail.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	l := Loader{Log: slog.New(slog.DiscardHandler), Mail: host}
	for _, from := range []string{"", "Edge <edge@example.com>", ""} { // and again, when the others are closed
		d := &Deployment{Spec: Spec{Name: "d", Mail: MailSpec{From: from}}}
		if err := l.channels(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if err := deliver(t, d.Channels["mail"]); err != nil {
			t.Fatalf("from %q: %v", from, err)
		}
		want := "MAIL FROM:<host@example.com>"
		if from != "" {
			want = "MAIL FROM:<edge@example.com>"
		}
		if said := server.next(t); !strings.Contains(said, want) {
			t.Errorf("%s\nwant %s", said, want)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	l.Mail = refusing{}
	d := &Deployment{Spec: Spec{Name: "d"}}
	if err := errors.Join(l.channels(t.Context(), d), d.Close(t.Context())); err != nil || d.Channels["mail"] != l.Mail {
		t.Errorf("%v, %v", d.Channels, err)
	}
	d = &Deployment{Spec: Spec{Name: "d", Mail: MailSpec{From: "edge@example.com"}}}
	if err := l.channels(t.Context(), d); err == nil || !strings.Contains(err.Error(), "mail: from: the host's way") {
		t.Error(err)
	}
}

func TestAChannelThatCannotBeMadeIsRefused(t *testing.T) {
	hook := func(secret string) Spec {
		return Spec{Name: "d", Webhooks: []WebhookSpec{{"sms", "https://sms.example.com", secret}}}
	}
	for _, c := range []struct {
		spec    Spec
		secrets bool
		want    string
	}{
		{hook("key"), false, `outbox: secrets ["key"]: this host keeps none`},
		{hook("other"), true, `outbox: secret "other" is not set`},
		{hook("bad"), true, `outbox: webhook "sms": `},
		{Spec{Name: "d", Mail: MailSpec{Server: "smtp://"}}, true, "outbox: mail: "},
		{Spec{Name: "d", Mail: MailSpec{Server: "smtp://a.example", From: "nobody"}}, true, "outbox: mail: "},
	} {
		k := &keeper{values: map[string]string{"key": "a key of some bytes", "bad": "whsec_!hush!"}}
		l := Loader{Log: slog.New(slog.DiscardHandler)}
		if c.secrets {
			l.Secrets = k.secrets
		}
		_, err := l.Load(t.Context(), c.spec)
		if err == nil || !strings.HasPrefix(err.Error(), `deploy: deployment "d": `+c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

func TestMailThatIsGrantedAndCannotGoIsWarnedOf(t *testing.T) {
	var log bytes.Buffer
	l := Loader{Log: slog.New(slog.NewTextHandler(&log, nil))}
	with := []PluginSpec{{Name: "a", Grants: []string{"kv", "mail"}}, {Name: "b"}, {Name: "c", Grants: []string{"mail"}}}
	for _, c := range []struct {
		spec Spec
		mail outbox.Transport
		want int
	}{
		{Spec{Name: "d", Plugins: with}, nil, 1},
		{Spec{Name: "d", Plugins: with}, refusing{}, 0},
		{Spec{Name: "d", Plugins: with[1:2]}, nil, 0},
		{Spec{Name: "d", Plugins: with, Mail: MailSpec{Server: "smtp://a.example", From: "a@b.example"}}, nil, 0},
	} {
		log.Reset()
		l.Mail = c.mail
		d := &Deployment{Spec: c.spec}
		if err := errors.Join(l.channels(t.Context(), d), d.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), `level=WARN msg="mail is granted, and there is no server: set EDGESET_SMTP_URL, or server in [deployment.mail]" deployment=d plugins="a, c"`); n != c.want || strings.Count(log.String(), "\n") != c.want {
			t.Errorf("%+v\n%swant %d", c.spec, log.String(), c.want)
		}
	}
}

// tray is an outbox that nothing is put in.
type tray struct{}

func (tray) Add(store.Txn, string, *abi.Dispatch, time.Time) (bool, error) {
	return false, abi.ErrDenied
}
func (tray) Added(int) {}

func TestAPluginHasAnOutboxIfItWasGrantedAWay(t *testing.T) {
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	k := &keeper{values: map[string]string{"key": "a key of some bytes"}}
	var asked []string
	l := Loader{
		Engine: e, Log: slog.New(slog.DiscardHandler), Secrets: k.secrets, Mail: refusing{},
		Embedded: fstest.MapFS{"trial.wasm": {Data: wasmtest.Build(t, "host/gateway/testdata/trial")}},
		Outbox: func(deployment string, ways outbox.Channels, limits outbox.Limits) edge.Outbox {
			asked = append(asked, fmt.Sprint(deployment, " ", slices.Sorted(maps.Keys(ways)), " ", limits))
			return tray{}
		},
	}
	for _, c := range []struct {
		grants []string
		outbox edge.Outbox
	}{
		{[]string{"kv"}, nil}, {[]string{"kv", "mail"}, tray{}}, {[]string{"kv", "webhook:sms"}, tray{}},
	} {
		asked = nil
		d, err := l.Load(t.Context(), Spec{
			Name: "d", Webhooks: []WebhookSpec{{"sms", "https://sms.example.com", "key"}}, Outbox: OutboxSpec{Queue: 7},
			Plugins: []PluginSpec{{Name: "trial", Source: "embedded:trial", Grants: c.grants}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if d.Plugins[0].Edge.Outbox != c.outbox {
			t.Errorf("%q: it has %v", c.grants, d.Plugins[0].Edge.Outbox)
		}
		want := "[d [mail webhook:sms] {0 0 7 0s}]"
		if c.outbox == nil {
			want = "[]"
		}
		if fmt.Sprint(asked) != want {
			t.Errorf("%q: %q, want %s", c.grants, asked, want)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestTheSenderOfMailIsFound(t *testing.T) {
	for _, c := range []struct{ host, user, want string }{
		{"smtp.example.com", "", "no-reply@smtp.example.com"},
		{"smtp.example.com", "ann", "no-reply@smtp.example.com"},
		{"smtp.example.com", "ann@example.com", "ann@example.com"},
		{"smtp.example.com", "Ann <ann@example.com>", "no-reply@smtp.example.com"},
		{"smtp.example.com", "ann\n@example.com", "no-reply@smtp.example.com"},
		{"localhost", "", "no-reply@localhost"},
		{"127.0.0.1", "ann", "no-reply@localhost"},
		{"::1", "", "no-reply@localhost"},
		{"192.0.2.1", "", "no-reply@localhost"},
	} {
		if got := DefaultFrom(mail.Config{Host: c.host, User: c.user}); got != c.want {
			t.Errorf("%s, %q: got %s, want %s", c.host, c.user, got, c.want)
		}
	}
}
