// Package outboxtest starts what an outbox delivers to, for tests: a real SMTP server,
// and a receiver of webhooks. Both keep what arrives.
package outboxtest

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed smtpd.py
var mailServer string

// MailOptions say how a mail server is, and how badly it behaves. By whom a mail is for,
// it misbehaves as well: see smtpd.py.
type MailOptions struct {
	Port           int      `json:"port"`     // 0: any
	TLS            string   `json:"tls"`      // "", "starttls" or "implicit"
	User, Password string   `json:"-"`        // empty: without login
	SMTPUTF8       bool     `json:"smtputf8"` // takes addresses beyond ASCII
	Slow           Duration `json:"slow"`     // what slow@ waits
	Brief          bool     `json:"brief"`    // keeps no content, for many mails

	// Chances of what happens to a mail.
	Busy float64 `json:"busy"` // 451 for the recipient
	Full float64 `json:"full"` // 452 for the mail
	Cut  float64 `json:"cut"`  // the connection is cut, the mail not taken
	Lost float64 `json:"lost"` // the mail is taken, and the connection cut before that is said
	Seed int64   `json:"seed"`
}

// Duration is a time.Duration, in JSON in seconds.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).Seconds())
}

// A MailServer is a running mail server.
type MailServer struct {
	Host      string // "127.0.0.1"
	Port      int
	Authority *Authority // which has signed its certificate; nil without TLS
	t         testing.TB
	record    string
}

// A Mail is one that the server has accepted.
type Mail struct {
	From       string   `json:"from"`
	To         []string `json:"to"`
	User       string   `json:"user"` // who was logged in
	Encrypted  bool     `json:"encrypted"`
	Connection int      `json:"connection"` // the port of the sender's side
	Lost       bool     `json:"lost"`       // that it was accepted was not said
	ID         string   `json:"id"`         // its Message-ID
	Content    []byte   `json:"content"`
}

// A Letter is what a mail says.
type Letter struct {
	Header     netmail.Header
	Text, HTML string
}

// StartMail starts a mail server, which ends with the test. If what it needs is not
// installed, the test is skipped, or fails where EDGESET_REQUIRE_TOOLS is set.
func StartMail(t testing.TB, o MailOptions) *MailServer {
	t.Helper()
	python := findPython(t)
	s := &MailServer{Host: "127.0.0.1", t: t, record: filepath.Join(t.TempDir(), "mails")}
	options := struct {
		MailOptions
		User        string `json:"user"`
		Password    string `json:"password"`
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
		Record      string `json:"record"`
	}{MailOptions: o, User: o.User, Password: o.Password, Record: s.record}
	if o.TLS != "" {
		s.Authority = NewAuthority(t)
		options.Certificate, options.Key = s.Authority.Certificate, s.Authority.Key
	}
	arg, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", mailServer, string(arg))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if s.Port, _ = strconv.Atoi(strings.TrimSpace(line)); s.Port == 0 {
		in.Close()
		cmd.Wait()
		t.Fatalf("the mail server has not started: %v\n%s", err, complaints.Bytes())
	}
	return s
}

// findPython returns a Python that has aiosmtpd.
func findPython(t testing.TB) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import aiosmtpd.smtp").Run() == nil {
			return python
		}
	}
	if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
		t.Fatal("this test needs Python and its aiosmtpd (on Debian: python3-aiosmtpd)")
	}
	t.Skip("Python with aiosmtpd (on Debian: python3-aiosmtpd) is not installed, and EDGESET_REQUIRE_TOOLS is not set")
	return ""
}

// URL returns the server's, for EDGESET_SMTP_URL.
func (s *MailServer) URL() string { return "smtp://" + s.Host + ":" + strconv.Itoa(s.Port) }

// Mails returns what the server has accepted so far, in its order.
func (s *MailServer) Mails() []Mail {
	s.t.Helper()
	data, err := os.ReadFile(s.record)
	if err != nil {
		s.t.Fatal(err)
	}
	var mails []Mail
	for line := range bytes.Lines(data) {
		if line[len(line)-1] != '\n' {
			break // it is being written
		}
		var m Mail
		if err = json.Unmarshal(line, &m); err != nil {
			s.t.Fatal(err)
		}
		mails = append(mails, m)
	}
	return mails
}

// Count returns how many mails the server has accepted so far.
func (s *MailServer) Count() int {
	s.t.Helper()
	data, err := os.ReadFile(s.record)
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes.Count(data, []byte("\n"))
}

// WaitMail waits until the server has accepted a mail to an address, and returns the
// first one.
func (s *MailServer) WaitMail(to string) Mail {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, m := range s.Mails() {
			if m.To[0] == to {
				return m
			}
		}
	}
	s.t.Fatalf("no mail to %s within a minute", to)
	return Mail{}
}

// Read takes a mail apart.
func (m Mail) Read() (*Letter, error) {
	parsed, err := netmail.ReadMessage(bytes.NewReader(m.Content))
	if err != nil {
		return nil, err
	}
	l := &Letter{Header: parsed.Header}
	return l, l.part(parsed.Header.Get("Content-Type"), parsed.Header.Get("Content-Transfer-Encoding"), parsed.Body)
}

func (l *Letter) part(contentType, encoding string, body io.Reader) error {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return err
	}
	if kind == "multipart/alternative" {
		for parts := multipart.NewReader(body, parameters["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err = l.part(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p); err != nil {
				return err
			}
		}
	}
	if encoding == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	if kind == "text/html" {
		l.HTML = text
	} else {
		l.Text = text
	}
	return nil
}

// Subject returns the subject as people see it.
func (l *Letter) Subject() string {
	var d mime.WordDecoder
	s, err := d.DecodeHeader(l.Header.Get("Subject"))
	if err != nil {
		return l.Header.Get("Subject")
	}
	return s
}
