package deploy

import (
	"fmt"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/outbox/mail"
)

// Bounds of what a manifest says of the outbox.
const (
	minRate      = 0.01 // attempts a second
	maxRate      = 100_000
	maxRecipient = 1_000_000
	maxQueue     = 100_000_000
	minGiveUp    = Duration(time.Second)
	maxGiveUp    = Duration(30 * 24 * time.Hour)
	maxUser      = 256 // bytes
	maxFrom      = 600
)

func (p place) readMail(s *MailSpec) {
	if n := p.child("mail"); n != nil {
		p.table, p.path = n, "mail."
		p.read(s)
		p.checkMail(s)
	}
}

func (p place) readWebhooks(s *Spec) {
	tables := p.tables("webhook", "[[deployment.webhook]]")
	if len(tables) > maxWebhooks {
		p.add(tables[maxWebhooks].line, "%s%d webhooks; want at most %d", p.who, len(tables), maxWebhooks)
		tables = tables[:maxWebhooks]
	}
	names := map[string]*node{} // the first of a name counts
	for _, t := range slices.Backward(tables) {
		names[t.name()] = t
	}
	for _, t := range tables {
		var w WebhookSpec
		wp := place{faults: p.faults, table: t, who: p.who + "webhook " + quote(t.name()) + ": "}
		wp.read(&w)
		wp.checkWebhook(&w, names)
		s.Webhooks = append(s.Webhooks, w)
	}
}

func (p place) readOutbox(s *OutboxSpec) {
	if n := p.child("outbox"); n != nil {
		p.table, p.path = n, "outbox."
		p.read(s)
		p.checkOutbox(s)
	}
}

func (p place) checkMail(s *MailSpec) {
	if p.has("server") {
		p.checkServer(s.Server)
	}
	// A key of a wrong type is there all the same.
	server, user, password := p.table.keys["server"], p.table.keys["user"], p.table.keys["password"]
	switch {
	case server == nil && user != nil:
		p.fault("user", "want server as well: without it mail goes by the host's own")
	case server == nil && password != nil:
		p.fault("password", "want server as well: without it mail goes by the host's own")
	case user != nil && password == nil:
		p.fault("user", "want password = the name of a secret as well")
	case password != nil && user == nil:
		p.fault("password", "want user as well")
	}
	if p.has("user") && (s.User == "" || len(s.User) > maxUser || strings.ContainsFunc(s.User, isControl)) {
		p.fault("user", "want a name of 1 to %d bytes without control characters", maxUser)
	}
	if p.has("password") {
		p.checkSecretName("password", s.Password)
	}
	if p.has("from") {
		if err := CheckFrom(s.From); err != nil {
			p.fault("from", "%v", err)
		}
	}
}

// checkServer does not repeat a server in which a password may stand.
func (p place) checkServer(server string) {
	switch _, err := mail.ParseServer(server); {
	case strings.Contains(server, "@"):
		p.fault("server", "who logs in does not stand in it: want user and password = the name of a secret")
	case len(server) > maxPath || strings.ContainsFunc(server, isControl):
		p.fault("server", "%s: want \"smtp://host:587\" or \"smtps://host:465\"", quote(server))
	case err != nil:
		p.fault("server", "%v", err)
	}
}

// checkSecretName checks the name of a secret. What is none may be the secret itself,
// and is not repeated.
func (p place) checkSecretName(key, name string) {
	if !validSecret(name) {
		p.fault(key, "want the name of a secret, of 1 to 64 of a-z, A-Z, 0-9, '_', '-' and '.'; its value is set with \"edgeset secret set --outbox NAME\"")
	}
}

func (p place) checkWebhook(w *WebhookSpec, names map[string]*node) {
	if !validName(w.Name) || len(w.Name) > 23 {
		p.fault("name", "want 1 to 23 of a-z, 0-9 and '-', a letter first")
	} else if first := names[w.Name]; first != p.table {
		p.fault("name", "there are two of that name, the other at line %d: want a name for each", first.nameLine())
	}
	p.checkTarget(w.URL)
	p.checkSecretName("secret", w.Secret)
}

// checkTarget checks where a webhook is. It does not repeat a URL in which a password
// may stand.
func (p place) checkTarget(target string) {
	const want = "want a URL such as \"https://sms.example.com/send\"; \"http://\" only of this machine, such as \"http://127.0.0.1:9000/send\""
	u, err := url.Parse(target)
	switch {
	case target == "":
		p.fault("url", want)
	case err == nil && u.User != nil, err != nil && strings.Contains(target, "@"):
		p.fault("url", "who calls does not stand in it, but is told by the signature: want a URL without user and password")
	case err != nil || len(target) > maxPath || u.Hostname() == "" || u.Fragment != "" || strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7f }),
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		p.fault("url", "%s: "+want, quote(target))
	}
}

func (p place) checkOutbox(s *OutboxSpec) {
	within(p, "rate", s.Rate, minRate, maxRate, "0.01 to 100000 attempts a second, or none for the default")
	within(p, "per_recipient", s.PerRecipient, 1, maxRecipient, "1 to 1000000 within an hour, or none for the default")
	within(p, "queue", s.Queue, 1, maxQueue, "1 to 100000000, or none for the default")
	within(p, "give_up", s.GiveUp, minGiveUp, maxGiveUp, "1s to 720h, or none for the default")
}

// CheckFrom checks from whom mail comes: an address, or a name and an address. What it
// takes those take who use it.
func CheckFrom(from string) error {
	a, err := netmail.ParseAddress(from)
	// The name may be written such that it has in it what the text has not.
	if err != nil || len(from) > maxFrom || strings.ContainsFunc(from+a.Name+a.Address, isControl) {
		return fmt.Errorf("%s: want an address, such as \"Name <address@example.com>\"", quote(from))
	}
	t, err := mail.New(mail.Config{Host: "localhost", From: from})
	if err != nil {
		return err
	}
	return t.Close()
}

// DefaultFrom is from whom mail comes if nobody says it: who logs in to the server, if
// that is an address, or else "no-reply" at the server.
func DefaultFrom(c mail.Config) string {
	if a, err := netmail.ParseAddress(c.User); err == nil && a.Address == c.User && CheckFrom(c.User) == nil {
		return c.User
	}
	from := "no-reply@" + c.Host
	if _, err := netip.ParseAddr(c.Host); err == nil || CheckFrom(from) != nil {
		from = "no-reply@localhost"
	}
	return from
}

// isLoopback tells whether a host is this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
