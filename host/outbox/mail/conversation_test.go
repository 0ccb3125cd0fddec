package mail

import (
	"bufio"
	"context"
	"encoding/base64"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/edgeset/edgeset/host/outbox"
)

// A partner is a server that says what a test has it say.
type partner struct {
	port int

	mu       sync.Mutex
	commands []string // that it was told
}

// converse starts a partner. Of answer it has the greeting, for the command "", and what
// to say to others; it hangs up where that is nothing.
func converse(t testing.TB, answer func(connection int, command string) string) *partner {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &partner{port: l.Addr().(*net.TCPAddr).Port}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		n := 0
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n++
			number := n
			serving.Go(func() {
				defer conn.Close()
				p.serve(conn, func(command string) string { return answer(number, command) })
			})
		}
	})
	return p
}

func (p *partner) serve(conn net.Conn, answer func(string) string) {
	conn.SetDeadline(time.Now().Add(time.Minute))
	lines := bufio.NewReader(conn)
	command, content := "", false
	for {
		if !content || command == "." {
			says := answer(command)
			if says == "" {
				return
			}
			content = strings.HasPrefix(says, "354")
			if _, err := conn.Write([]byte(says)); err != nil {
				return
			}
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		command = strings.TrimRight(line, "\r\n")
		if !content {
			p.mu.Lock()
			p.commands = append(p.commands, command)
			p.mu.Unlock()
		}
	}
}

// told returns how often it was told a command.
func (p *partner) told(command string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.commands {
		if strings.HasPrefix(c, command) {
			n++
		}
	}
	return n
}

// polite answers as a server does that takes everything.
func polite(command string) string {
	switch verb, _, _ := strings.Cut(command, " "); verb {
	case "":
		return "220 here\r\n"
	case "EHLO":
		return "250-mail.test\r\n250 8BITMIME\r\n"
	case "DATA":
		return "354 go on\r\n"
	case "QUIT":
		return "221 bye\r\n"
	default:
		return "250 OK\r\n"
	}
}

// but answers politely, but for commands that begin so.
func but(begins, says string) func(int, string) string {
	return func(_ int, command string) string {
		if strings.HasPrefix(command, begins) && (begins != "" || command == "") {
			return says
		}
		return polite(command)
	}
}

func TestWhatIsSaidBeforeTheRecipientIsNotForGood(t *testing.T) {
	for _, c := range []struct{ command, says, reason string }{
		{"", "554 not you\r\n", "greeting: 554 not you"},
		{"", "garbage\r\n", "greeting: "},
		{"", "220-" + strings.Repeat("a", maxHeard+8192) + "\r\n", "greeting: the server says more than 256 KiB at once"},
		{"EHLO", "", "greeting: "},
		{"MAIL", "550 5.1.8 not from there\r\n", "sender: 550 5.1.8 not from there"},
		{"RCPT", "530 5.7.0 log in first\r\n", "recipient: 530"},
		{"RCPT", "252 perhaps\r\n", ""},
		{"RCPT", "199 what\r\n", "recipient: 199"},
		{"DATA", "", "message: the server has closed the connection"},
		{".", "", "message: the server has closed the connection"},
		{".", "299 well\r\n", "message: 299 well"},
	} {
		p := converse(t, but(c.command, c.says))
		transport := newTransport(t, Config{Host: "127.0.0.1", Port: p.port, From: "a@example.com"})
		err := deliver(t, transport, "ben@example.net")
		if c.reason == "" {
			if err != nil {
				t.Errorf("%q: %v", c.says, err)
			}
			continue
		}
		wantFailure(t, err, false, c.reason)
	}
}

func TestAServerThatSaysNothingIsLeft(t *testing.T) {
	quiet := make(chan struct{})
	p := converse(t, func(int, string) string {
		<-quiet
		return ""
	})
	defer close(quiet)
	transport := newTransport(t, Config{Host: "127.0.0.1", Port: p.port, From: "a@example.com"})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	wantFailure(t, transport.Deliver(ctx, invite("ben@example.net")), false, "greeting: no answer in time")
}

func TestAConnectionThatIsNoLongerGoodIsReplaced(t *testing.T) {
	for name, on := range map[string]string{"it is closed": "RSET", "the server has enough of it": "MAIL"} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			mails := map[int]int{}
			p := converse(t, func(connection int, command string) string {
				mu.Lock()
				defer mu.Unlock()
				if strings.HasPrefix(command, on) && mails[connection] > 0 {
					if on == "RSET" {
						return ""
					}
					return "421 4.7.0 that is enough\r\n"
				}
				if command == "." {
					mails[connection]++
				}
				return polite(command)
			})
			transport := newTransport(t, Config{Host: "127.0.0.1", Port: p.port, From: "a@example.com", Connections: 1})
			for range 3 {
				if err := deliver(t, transport, "ben@example.net"); err != nil {
					t.Fatal(err)
				}
			}
			if p.told("EHLO") != 3 || p.told("DATA") != 3 {
				t.Errorf("%d connections, %d mails", p.told("EHLO"), p.told("DATA"))
			}
		})
	}
}

func TestConnectionsToAServerThatRefusesTheSenderDoNotPileUp(t *testing.T) {
	p := converse(t, but("MAIL", "550 not from there\r\n"))
	transport := newTransport(t, Config{Host: "127.0.0.1", Port: p.port, From: "a@example.com"})
	for range 3 {
		wantFailure(t, deliver(t, transport, "ben@example.net"), false, "sender: 550 not from there")
	}
	if n := len(transport.pool.idle); n != 0 || p.told("MAIL") != 3 {
		t.Errorf("%d connections are kept, and it was asked %d times", n, p.told("MAIL"))
	}
}

func TestAConnectionIsNotUsedForEver(t *testing.T) {
	p := converse(t, but("HELP", ""))
	transport := newTransport(t, Config{Host: "127.0.0.1", Port: p.port, From: "a@example.com"})
	for range perSession + 1 {
		if err := deliver(t, transport, "ben@example.net"); err != nil {
			t.Fatal(err)
		}
	}
	if p.told("EHLO") != 2 {
		t.Errorf("%d connections", p.told("EHLO"))
	}
	// One that was idle for long is not used either.
	transport.pool.mu.Lock()
	transport.pool.idle[0].used = time.Now().Add(-2 * idleTime)
	transport.pool.mu.Unlock()
	if err := deliver(t, transport, "ben@example.net"); err != nil {
		t.Fatal(err)
	}
	if p.told("EHLO") != 3 {
		t.Errorf("%d connections", p.told("EHLO"))
	}
	transport.pool.prune()
	transport.pool.mu.Lock()
	defer transport.pool.mu.Unlock()
	if len(transport.pool.idle) != 1 || transport.pool.sweep == nil {
		t.Errorf("%d connections are kept", len(transport.pool.idle))
	}
}

func TestAPasswordIsNotSaidAloud(t *testing.T) {
	p := converse(t, func(_ int, command string) string {
		if strings.HasPrefix(command, "EHLO") {
			return "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"
		}
		if strings.HasPrefix(command, "AUTH") {
			return "535 secretword is wrong\r\n"
		}
		return polite(command)
	})
	transport := newTransport(t, Config{Host: "127.0.0.1", Port: p.port, From: "a@example.com", User: "ann", Password: "secretword"})
	wantFailure(t, deliver(t, transport, "ben@example.net"), false, "login: 535 *** is wrong")

	// Elsewhere than on this machine it is not even said to the server.
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strings.TrimPrefix(transport.pool.address, "127.0.0.1:")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &session{conn: &line{Conn: elsewhere{conn}}}
	f := s.open(t.Context(), transport.pool)
	if f == nil || f.step != atLogin || !strings.Contains(f.err.Error(), "not encrypted") || p.told("AUTH") != 1 {
		t.Errorf("%+v", f)
	}
}

// elsewhere is a connection to another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 587} }

func TestALoginTakesTheBestWay(t *testing.T) {
	for _, c := range []struct{ offered, want string }{
		{"LOGIN PLAIN", "PLAIN"}, {"login", "LOGIN"}, {"CRAM-MD5 LOGIN", "LOGIN"}, {"CRAM-MD5", "CRAM-MD5"},
		{"PLAIN SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2", "SCRAM-SHA-256"}, {"SCRAM-SHA-1", "SCRAM-SHA-1"}, {"XOAUTH2", ""},
	} {
		l := &login{user: "ann", password: "secretword"}
		way, _, err := l.Start(&smtp.ServerInfo{Name: "mail.test", TLS: true, Auth: strings.Split(c.offered, " ")})
		if way != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.offered, way, err)
		}
	}
}

func TestAServerDoesNotHaveThePasswordHashedForEver(t *testing.T) {
	p := converse(t, func(_ int, command string) string {
		switch {
		case strings.HasPrefix(command, "EHLO"):
			return "250-mail.test\r\n250 AUTH SCRAM-SHA-256\r\n"
		case strings.HasPrefix(command, "AUTH"):
			return "334 \r\n"
		}
		first, err := base64.StdEncoding.DecodeString(command)
		if _, nonce, ok := strings.Cut(string(first), ",r="); err == nil && ok {
			return "334 " + base64.StdEncoding.EncodeToString([]byte("r="+nonce+"x,s=c2FsdA==,i=2000000000")) + "\r\n"
		}
		return polite(command)
	})
	transport := newTransport(t, Config{Host: "127.0.0.1", Port: p.port, From: "a@example.com", User: "ann", Password: "secretword"})
	wantFailure(t, deliver(t, transport, "ben@example.net"), false, `login: the server wants the password hashed "2000000000" times`)
}

func FuzzAServerSaysAnything(f *testing.F) {
	f.Add("220 a\n250-a\n250-STARTTLS\n250 AUTH PLAIN\n220 go\n")
	f.Add("220 a\n250-a\n250 AUTH LOGIN CRAM-MD5\n334 VXNlcm5hbWU6\n334 UGFzc3dvcmQ6\n235 in\n250 ok\n250 ok\n354 go\n250 done\n")
	f.Add("220 a\n250-a\n250 AUTH SCRAM-SHA-256\n334 \n334 cj14LHM9eCxpPTE=\n")
	f.Add("220 a\n502 no\n250 HELO\n550-a\n550 b\n")
	f.Add("220\n250\n999 \n25")
	f.Fuzz(func(t *testing.T, says string) {
		p, err := newPool(Config{Host: "localhost", User: "ann", Password: "secretword"})
		if err != nil {
			t.Fatal(err)
		}
		s := &session{conn: &line{Conn: &recording{says: strings.NewReader(says)}}}
		fault := s.open(t.Context(), p)
		if fault == nil {
			fault = s.say("a@example.com", "ben@example.net", []byte("Subject: x\r\n\r\ny\r\n"))
		}
		if fault == nil {
			return
		}
		failure, ok := p.failure(t.Context(), fault).(*outbox.Failure)
		all := ""
		if ok {
			all = failure.Reason + failure.Detail
		}
		if all == "" || len(all) > 800 || strings.ContainsAny(all, "\r\n") || strings.Contains(all, "secretword") || strings.Contains(failure.Reason, "127.0.0.1") {
			t.Fatalf("%+v", failure)
		}
	})
}

// A recording is a connection to this machine on which everything was said before.
type recording struct {
	net.Conn
	says *strings.Reader
}

func (r *recording) Read(b []byte) (int, error)       { return r.says.Read(b) }
func (r *recording) Write(b []byte) (int, error)      { return len(b), nil }
func (r *recording) Close() error                     { return nil }
func (r *recording) SetDeadline(time.Time) error      { return nil }
func (r *recording) SetReadDeadline(time.Time) error  { return nil }
func (r *recording) SetWriteDeadline(time.Time) error { return nil }
func (r *recording) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
