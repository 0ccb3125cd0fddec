package mail

import (
	"bytes"
	"fmt"
	"maps"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/outboxtest"
)

func invite(to string) *outbox.Message {
	return &outbox.Message{
		ID: "01J-id_7", Deployment: "default", Plugin: "sharing", Attempt: 1, Created: time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC),
		Dispatch: abi.Dispatch{
			Key: "ABC-DEF", Via: abi.GrantMail, To: to, Sender: "Ann Ångström via edgeset", Subject: "Ann teilt ihren Standort – jetzt",
			Text: "Hallo Ben,\n\n.\nhier bin ich: https://example.com/ABC-DEF\n", HTML: "<p>Hallo <b>Ben</b> – ü</p>\n", Locale: "de-AT",
		},
	}
}

// read composes a mail and takes it apart.
func read(t *testing.T, from, to string, m *outbox.Message) *outboxtest.Letter {
	t.Helper()
	sender, err := parseFrom(from)
	if err != nil {
		t.Fatal(err)
	}
	mail, err := compose(sender, to, m)
	if err != nil {
		t.Fatal(err)
	}
	l, err := outboxtest.Mail{Content: mail}.Read()
	if err != nil {
		t.Fatalf("%v\n%s", err, mail)
	}
	return l
}

func TestAMailHasTextAndHTML(t *testing.T) {
	m := invite("ben@example.net")
	l := read(t, "Edge <no-reply@edge.example>", m.To, m)
	if l.Text != m.Text || l.HTML != m.HTML || l.Subject() != m.Subject {
		t.Errorf("%+v", l)
	}
	for name, want := range map[string]string{
		"Message-Id": "<01J-id_7@edge.example>", "To": "<ben@example.net>", "Date": "Sun, 22 Nov 2026 15:04:05 +0000",
		"Auto-Submitted": "auto-generated", "Content-Language": "de-AT", "Mime-Version": "1.0",
	} {
		if got := l.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	from, err := l.Header.AddressList("From")
	if err != nil || len(from) != 1 || *from[0] != (netmail.Address{Name: m.Sender, Address: "no-reply@edge.example"}) {
		t.Errorf("from %v, %v", from, err)
	}
}

func TestAMailWithoutHTMLIsTextAlone(t *testing.T) {
	m := invite("ben@example.net")
	m.HTML, m.Sender, m.Locale = "", "", "not a language"
	l := read(t, "Edge <no-reply@edge.example>", m.To, m)
	if l.Text != m.Text || l.HTML != "" || !strings.HasPrefix(l.Header.Get("Content-Type"), "text/plain") || l.Header["Content-Language"] != nil {
		t.Errorf("%+v", l)
	}
	if from, err := l.Header.AddressList("From"); err != nil || from[0].Name != "Edge" {
		t.Errorf("from %v, %v", from, err)
	}
}

func TestTwoAttemptsAreOneMail(t *testing.T) {
	m := invite("ben@example.net")
	m.HTML = ""
	first := read(t, "no-reply@edge.example", m.To, m)
	m.Attempt = 2
	if second := read(t, "no-reply@edge.example", m.To, m); !maps.EqualFunc(first.Header, second.Header, slices.Equal) {
		t.Errorf("%v\n%v", first.Header, second.Header)
	}
}

func TestNoTextOfADispatchMakesAHeader(t *testing.T) {
	for _, evil := range []string{
		"Ann\r\nBcc: all@example.com", "Ann\nX: y", "Ann\rX: y", "Ann\x00", "Ann\u0085X: y", "Ann\u2028X: y", "\xff",
	} {
		for name, change := range map[string]func(*outbox.Message){
			"sender":  func(m *outbox.Message) { m.Sender = evil },
			"subject": func(m *outbox.Message) { m.Subject = evil },
			"locale":  func(m *outbox.Message) { m.Locale = evil },
		} {
			m := invite("ben@example.net")
			change(m)
			if mail, err := compose(&netmail.Address{Address: "a@edge.example"}, m.To, m); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %q: %v\n%s", name, evil, err, mail)
			}
		}
		if to, err := parseRecipient("ben@example.net" + evil); err == nil {
			t.Errorf("recipient %q", to)
		}
		if to, err := parseRecipient(evil + " <ben@example.net>"); err == nil {
			t.Errorf("recipient %q", to)
		}
	}
}

func TestARecipientIsOneAddress(t *testing.T) {
	for to, want := range map[string]string{
		"ben@example.net":                        "ben@example.net",
		"Ben.O'Neil+x@sub.example":               "Ben.O'Neil+x@sub.example",
		`"ben b"@example.net`:                    "ben b@example.net",
		"ben@bücher.example":                     "ben@xn--bcher-kva.example",
		"jürgen@example.net":                     "jürgen@example.net",
		"":                                       "",
		"ben":                                    "",
		"ben@":                                   "",
		"@example.net":                           "",
		"ben@example.net,x@y.example":            "",
		"ben@example.net, x@y.z":                 "",
		"Ben <ben@example.net>":                  "",
		"<ben@example.net>":                      "",
		"ben@example.net (Ben)":                  "",
		"ben@[127.0.0.1]":                        "",
		"ben@exam ple.net":                       "",
		"ben@example.net> SIZE=1":                "",
		"x; ben@example.net":                     "",
		strings.Repeat("b", 65) + "@example.net": "",
		"b@" + strings.Repeat("b.", 130) + "net": "",
	} {
		if got, err := parseRecipient(to); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", to, got, err, want)
		}
	}
	if got := envelope("ben b@example.net"); got != `<"ben b"@example.net>` {
		t.Errorf("envelope %s", got)
	}
}

func FuzzAMailSaysWhatTheDispatchSays(f *testing.F) {
	f.Add("ben@example.net", "Ann", "Hello", "text", "<p>html</p>", "de")
	f.Add("ben@example.net", strings.Repeat("a ", 90), strings.Repeat(" ", 200)+strings.Repeat("x", 90), ".\r\n.\r\n", "\r", "x")
	f.Add("b@ü.example", `"<evil@example.com>,`, "=?utf-8?q?=0d=0aX:_y?=", "a\nb\r\n--boundary\n", "", "")
	f.Add("b@c.example", "Ä"+strings.Repeat("€", 60), "日本語"+strings.Repeat("x", 400), "\x00", "<", "zh-Hant-TW")
	f.Fuzz(func(t *testing.T, to, sender, subject, text, html, locale string) {
		if len(subject) > abi.MaxSubject || len(sender) > abi.MaxSender || len(to) > abi.MaxRecipient {
			return
		}
		address, err := parseRecipient(to)
		if err != nil {
			return
		}
		m := invite(to)
		m.Sender, m.Subject, m.Text, m.HTML, m.Locale = sender, subject, text, html, locale
		mail, err := compose(&netmail.Address{Name: "Edge", Address: "no-reply@edge.example"}, address, m)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ReplaceAll(mail, []byte("\r\n"), nil), []byte("\n")) || bytes.Contains(bytes.ReplaceAll(mail, []byte("\r\n"), nil), []byte("\r")) {
			t.Fatalf("a line does not end with CR LF: %q", mail)
		}
		for line := range bytes.Lines(mail) {
			if len(line) > 1000 {
				t.Fatalf("a line of %d bytes", len(line))
			}
		}
		l, err := outboxtest.Mail{Content: mail}.Read()
		if err != nil {
			t.Fatalf("%v\n%s", err, mail)
		}
		known := []string{"Auto-Submitted", "Content-Language", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
		for name, values := range l.Header {
			if !slices.Contains(known, name) || len(values) != 1 {
				t.Fatalf("header %s %q\n%s", name, values, mail)
			}
		}
		if normal(l.Text) != normal(text) || normal(l.HTML) != normal(html) {
			t.Fatalf("text %q, html %q\n%s", l.Text, l.HTML, mail)
		}
		recipients, err := l.Header.AddressList("To")
		if err != nil || len(recipients) != 1 || recipients[0].Address != address || recipients[0].Name != "" {
			t.Fatalf("to %v, %v", recipients, err)
		}
		from, err := l.Header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "no-reply@edge.example" || words(sender) != "" && from[0].Name != words(sender) && !strings.Contains(sender, "=?") {
			t.Fatalf("from %v, %v, sender %q\n%s", from, err, sender, mail)
		}
		if !strings.Contains(subject, "=?") && l.Subject() != words(subject) {
			t.Fatalf("subject %q, want %q\n%s", l.Subject(), words(subject), mail)
		}
	})
}

// normal has the ends of lines as one kind: a mail knows no other.
func normal(s string) string {
	return strings.TrimRight(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), "\n")
}

func ExampleConfig() {
	c, err := ParseServer("smtp://ann:pass@mail.example.com:587?tls=required")
	fmt.Println(c.Host, c.Port, c.User, c.TLS == RequiredTLS, err)
	// Output: mail.example.com 587 ann true <nil>
}
