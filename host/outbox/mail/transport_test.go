package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/outboxtest"
)

// start starts a mail server and makes a transport to it.
func start(t *testing.T, o outboxtest.MailOptions, change func(*Config)) (*outboxtest.MailServer, *Transport) {
	t.Helper()
	s := outboxtest.StartMail(t, o)
	c := Config{Host: s.Host, Port: s.Port, From: "Edge <no-reply@edge.example>", User: o.User, Password: o.Password}
	if s.Authority != nil {
		c.RootCAs = s.Authority.Pool
	}
	if o.TLS == "implicit" {
		c.TLS = ImplicitTLS
	}
	if change != nil {
		change(&c)
	}
	return s, newTransport(t, c)
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
func deliver(t *testing.T, transport outbox.Transport, to string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return transport.Deliver(ctx, invite(to))
}

// wantFailure wants a failure, for good or not, that says so.
func wantFailure(t *testing.T, err error, permanent bool, reason string) {
	t.Helper()
	f, ok := errors.AsType[*outbox.Failure](err)
	if !ok || f.Permanent != permanent || !strings.Contains(cmp.Or(f.Detail, f.Reason), reason) || strings.ContainsAny(f.Reason+f.Detail, "\r\n\t") || strings.Contains(f.Reason, "127.0.0.1") {
		t.Errorf("%#v\nwant permanent %v, %q", err, permanent, reason)
	}
}

func TestAServerTakesMails(t *testing.T) {
	login := outboxtest.MailOptions{User: "ann@example.com", Password: "p w:/%é"}
	for _, c := range []struct {
		name string
		o    outboxtest.MailOptions
		tls  TLS
	}{
		{"plainly", outboxtest.MailOptions{}, OfferedTLS},
		{"with STARTTLS if it is offered", outboxtest.MailOptions{TLS: "starttls"}, OfferedTLS},
		{"with STARTTLS because it has to be", outboxtest.MailOptions{TLS: "starttls"}, RequiredTLS},
		{"without STARTTLS, though it is offered", outboxtest.MailOptions{TLS: "starttls"}, NoTLS},
		{"with TLS", outboxtest.MailOptions{TLS: "implicit"}, ImplicitTLS},
		{"from who has logged in, over loopback", login, OfferedTLS},
		{"from who has logged in, with STARTTLS", outboxtest.MailOptions{TLS: "starttls", User: login.User, Password: login.Password}, RequiredTLS},
		{"from who has logged in, with TLS", outboxtest.MailOptions{TLS: "implicit", User: login.User, Password: login.Password}, ImplicitTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, transport := start(t, c.o, func(config *Config) { config.TLS = c.tls })
			if err := deliver(t, transport, "ben@example.net"); err != nil {
				t.Fatal(err)
			}
			mails := s.Mails()
			if len(mails) != 1 || mails[0].From != "no-reply@edge.example" || fmt.Sprint(mails[0].To) != "[ben@example.net]" ||
				mails[0].User != c.o.User || mails[0].Encrypted != (c.o.TLS != "" && c.tls != NoTLS) {
				t.Fatalf("%+v", mails)
			}
			l, err := mails[0].Read()
			if err != nil {
				t.Fatal(err)
			}
			want := invite("ben@example.net")
			if l.Text != want.Text || l.HTML != want.HTML || l.Subject() != want.Subject {
				t.Errorf("%+v", l)
			}
		})
	}
}

func TestTheOperatorsFaultsAreNotForGood(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      outboxtest.MailOptions
		change func(*Config)
		reason string
	}{
		{"TLS is required and not offered", outboxtest.MailOptions{}, func(c *Config) { c.TLS = RequiredTLS }, "TLS: the server does not offer STARTTLS"},
		{"the certificate of STARTTLS is not good", outboxtest.MailOptions{TLS: "starttls"}, func(c *Config) { c.RootCAs = nil }, "TLS: the server's certificate is not good: x509: certificate signed by unknown authority"},
		{"the certificate of TLS is not good", outboxtest.MailOptions{TLS: "implicit"}, func(c *Config) { c.RootCAs = nil }, "TLS: the server's certificate is not good"},
		{"the certificate is of another host", outboxtest.MailOptions{TLS: "starttls"}, func(c *Config) { c.Host = "localhost" }, "TLS: the server's certificate is not good: x509: "},
		{"the server has no login", outboxtest.MailOptions{}, func(c *Config) { c.User, c.Password = "ann", "secretword" }, "login: the server has no login"},
		{"the password is wrong", outboxtest.MailOptions{User: "ann", Password: "right"}, func(c *Config) { c.Password = "secretword" }, "login: 535 5.7.8"},
		{"it needs a login", outboxtest.MailOptions{User: "ann", Password: "right"}, func(c *Config) { c.User, c.Password = "", "" }, "sender: 530 5.7.0"},
		{"TLS is not what the port speaks", outboxtest.MailOptions{}, func(c *Config) { c.TLS = ImplicitTLS }, "TLS: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, transport := start(t, c.o, c.change)
			err := deliver(t, transport, "ben@example.net")
			wantFailure(t, err, false, c.reason)
			if strings.Contains(err.Error(), "secretword") {
				t.Errorf("the password is shown: %v", err)
			}
			if mails := s.Mails(); len(mails) != 0 {
				t.Errorf("%+v", mails)
			}
		})
	}
}

func TestWhatAServerRefusesIsRefused(t *testing.T) {
	s, transport := start(t, outboxtest.MailOptions{}, nil)
	for _, c := range []struct {
		to        string
		permanent bool
		reason    string
	}{
		{"refused@example.net", true, "recipient: 550 5.1.1 no such user here"},
		{"unread@example.net", true, "message: 554 5.6.0 not this 5.6.0 of all mails"},
		{"busy@example.net", false, "recipient: 451 4.7.1 come back later"},
		{"full@example.net", false, "message: 452 4.3.1 no room"},
		{"cut@example.net", false, "message: "},
		{"leaving@example.net", false, "recipient: 421 4.3.2 closing down"},
		{"jürgen@example.net", true, "recipient: 553 the server takes no addresses beyond ASCII"},
		{"ben@example.net, all@example.net", true, "want one mail address"},
	} {
		wantFailure(t, deliver(t, transport, c.to), c.permanent, c.reason)
	}
	if mails := s.Mails(); len(mails) != 0 {
		t.Errorf("%+v", mails)
	}
	if err := deliver(t, transport, "ben@example.net"); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func TestWhoIsPutOffComesBack(t *testing.T) {
	s, transport := start(t, outboxtest.MailOptions{}, nil)
	wantFailure(t, deliver(t, transport, "grey@example.net"), false, "451")
	if err := deliver(t, transport, "grey@example.net"); err != nil {
		t.Error(err)
	}
	// The server has this one twice, under one id.
	wantFailure(t, deliver(t, transport, "lost@example.net"), false, "message: ")
	if err := deliver(t, transport, "lost@example.net"); err != nil {
		t.Error(err)
	}
	ids := map[string]int{}
	for _, m := range s.Mails() {
		l, err := m.Read()
		if err != nil {
			t.Fatal(err)
		}
		ids[m.To[0]+" "+l.Header.Get("Message-Id")]++
	}
	if len(ids) != 2 || ids["lost@example.net <01J-id_7@edge.example>"] != 2 {
		t.Errorf("%v", ids)
	}
}

func TestAddressesBeyondASCIIGoWhereTheyAreTaken(t *testing.T) {
	s, transport := start(t, outboxtest.MailOptions{SMTPUTF8: true}, nil)
	for _, to := range []string{"jürgen@example.net", "ben@bücher.example"} {
		if err := deliver(t, transport, to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	if mails := s.Mails(); len(mails) != 2 || mails[0].To[0] != "jürgen@example.net" || mails[1].To[0] != "ben@xn--bcher-kva.example" {
		t.Errorf("%+v", mails)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	s, transport := start(t, outboxtest.MailOptions{TLS: "starttls", User: "ann", Password: "right"}, nil)
	other, err := transport.From("Other <other@other.example>")
	if err != nil {
		t.Fatal(err)
	}
	for i, by := range []outbox.Transport{transport, transport, other, transport} {
		if err := deliver(t, by, fmt.Sprintf("ben%d@example.net", i)); err != nil {
			t.Fatal(err)
		}
		// What is refused leaves no trace in the next mail.
		wantFailure(t, deliver(t, by, "refused@example.net"), true, "550")
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, transport, "last@example.net"); err != nil {
		t.Fatal(err)
	}
	mails := s.Mails()
	if len(mails) != 5 || mails[2].From != "other@other.example" {
		t.Fatalf("%+v", mails)
	}
	for _, m := range mails {
		if m.Connection != mails[0].Connection || len(m.To) != 1 {
			t.Errorf("%+v", mails)
		}
	}
	l, err := mails[2].Read()
	if err != nil || l.Header.Get("Message-Id") != "<01J-id_7@other.example>" {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s, transport := start(t, outboxtest.MailOptions{}, func(c *Config) { c.Connections = 3 })
	var sending sync.WaitGroup
	for i := range 30 {
		sending.Go(func() {
			if err := deliver(t, transport, fmt.Sprintf("ben%d@example.net", i)); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
	used := map[int]bool{}
	for _, m := range s.Mails() {
		used[m.Connection] = true
	}
	if n := len(s.Mails()); n != 30 || len(used) > 3 {
		t.Errorf("%d mails through %d connections", n, len(used))
	}
}

func TestAnAttemptEndsWithItsContext(t *testing.T) {
	s, transport := start(t, outboxtest.MailOptions{Slow: outboxtest.Duration(20 * time.Second)}, func(c *Config) { c.Connections = 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	wantFailure(t, transport.Deliver(ctx, invite("slow@example.net")), false, "message: no answer in time")

	ctx, cancel = context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- transport.Deliver(ctx, invite("slow@example.net")) }()
	for len(transport.pool.slots) == 0 {
		time.Sleep(time.Millisecond)
	}
	waiting, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	wantFailure(t, transport.Deliver(waiting, invite("ben@example.net")), false, "all 1 connections were in use")
	cancel()
	wantFailure(t, <-done, false, "cut off")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
	if err := deliver(t, transport, "ben@example.net"); err != nil {
		t.Error(err)
	}
	if mails := s.Mails(); len(mails) == 0 || mails[len(mails)-1].To[0] != "ben@example.net" {
		t.Errorf("%+v", mails)
	}
}

func TestNothingIsDeliveredAfterClose(t *testing.T) {
	s, transport := start(t, outboxtest.MailOptions{}, nil)
	if err := deliver(t, transport, "ben@example.net"); err != nil {
		t.Fatal(err)
	}
	if err := transport.Close(); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, deliver(t, transport, "late@example.net"), false, "no mail is sent any more")
	if mails := s.Mails(); len(mails) != 1 {
		t.Errorf("%+v", mails)
	}
}

func TestNobodyListening(t *testing.T) {
	transport := newTransport(t, Config{Host: "127.0.0.1", Port: 1, From: "a@example.com"})
	wantFailure(t, deliver(t, transport, "ben@example.net"), false, "127.0.0.1:1: connection: ")
}
