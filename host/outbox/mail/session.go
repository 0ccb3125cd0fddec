package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// A session is a connection to a server that takes mails by now.
type session struct {
	conn   *line
	client *smtp.Client
	mails  int
	used   time.Time // the last time
	broken bool      // it cannot be used any more
}

// connect makes a session: it connects, encrypts and logs in.
func (p *pool) connect(ctx context.Context) (*session, *fault) {
	if p.isClosed() {
		return nil, &fault{atConnect, errors.New("no mail is sent any more")}
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, &fault{atConnect, err}
	}
	s := &session{conn: &line{Conn: conn}}
	release := s.bind(ctx)
	f := s.open(ctx, p)
	if release(); f == nil && s.broken {
		f = &fault{atConnect, context.Cause(ctx)}
	}
	if f != nil {
		conn.Close()
		return nil, f
	}
	return s, nil
}

// open greets the server.
func (s *session) open(ctx context.Context, p *pool) *fault {
	var conn net.Conn = s.conn
	if p.config.TLS == ImplicitTLS {
		encrypted := tls.Client(conn, p.tls)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return &fault{atTLS, err}
		}
		conn = encrypted
	}
	var err error
	if s.client, err = smtp.NewClient(conn, p.config.Host); err != nil {
		return &fault{atGreeting, err}
	}
	if err = s.client.Hello(p.hello); err != nil {
		return &fault{atGreeting, err}
	}
	if p.config.TLS == OfferedTLS || p.config.TLS == RequiredTLS {
		if offered, _ := s.client.Extension("STARTTLS"); offered {
			if err = s.client.StartTLS(p.tls); err != nil {
				return &fault{atTLS, err}
			}
		} else if p.config.TLS == RequiredTLS {
			return &fault{atTLS, errors.New("the server does not offer STARTTLS, and tls is required")}
		}
	}
	if p.config.User == "" {
		return nil
	}
	return s.logIn(p.config.User, p.config.Password)
}

// logIn logs in, if nobody on the way can read the password.
func (s *session) logIn(user, password string) *fault {
	_, encrypted := s.client.TLSConnectionState()
	peer, _ := s.conn.RemoteAddr().(*net.TCPAddr)
	if !encrypted && (peer == nil || !peer.IP.IsLoopback()) {
		return &fault{atLogin, errors.New("the connection is not encrypted, so the password is not sent: want a server with STARTTLS or smtps")}
	}
	if offered, _ := s.client.Extension("AUTH"); !offered {
		return &fault{atLogin, errors.New("the server has no login: want another server, or neither user nor password")}
	}
	if err := s.client.Auth(&login{user: user, password: password}); err != nil {
		return &fault{atLogin, err}
	}
	return nil
}

// check tells whether a session that was kept is still good, and begins anew in it.
func (s *session) check(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	release := s.bind(ctx)
	err := s.client.Reset()
	if release(); err != nil || s.broken {
		s.conn.Close()
		return false
	}
	return true
}

// send has the server take a mail.
func (s *session) send(ctx context.Context, from, to string, mail []byte) *fault {
	release := s.bind(ctx)
	defer release()
	f := s.say(from, to, mail)
	if f == nil {
		s.mails++
		return nil
	}
	// After a reply the server waits for what comes next. After anything else nobody
	// knows where it stands; and where it does not like the sender, it may have had
	// enough of the connection.
	if reply := f.reply(); reply == nil || reply.Code == closing || f.step == atSender || f.step == atContent {
		s.broken = true
	}
	return f
}

func (s *session) say(from, to string, mail []byte) *fault {
	if offered, _ := s.client.Extension("SMTPUTF8"); !offered && !isASCII(to) {
		return &fault{atRecipient, &textproto.Error{Code: notUTF8, Msg: "the server takes no addresses beyond ASCII"}}
	}
	if err := s.client.Mail(envelope(from)); err != nil {
		return &fault{atSender, err}
	}
	if err := s.client.Rcpt(envelope(to)); err != nil {
		return &fault{atRecipient, err}
	}
	data, err := s.client.Data()
	if err != nil {
		return &fault{atData, err}
	}
	if _, err = data.Write(mail); err != nil {
		return &fault{atContent, err}
	}
	if err = data.Close(); err != nil {
		return &fault{atEnd, err}
	}
	return nil
}

// quit takes leave, shortly.
func (s *session) quit() {
	s.conn.SetDeadline(time.Now().Add(time.Second))
	s.client.Quit()
	s.conn.Close()
}

// bind has what is done with the connection end with ctx, until it is released.
func (s *session) bind(ctx context.Context) (release func()) {
	deadline, _ := ctx.Deadline()
	s.conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { s.conn.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if !stop() {
			s.broken = true
		}
	}
}

// A line is a connection on which the other side may say only so much at a time.
type line struct {
	net.Conn
	heard int // bytes since something was said
}

const maxHeard = 256 << 10

var errTalkative = errors.New("the server says more than 256 KiB at once")

func (l *line) Read(b []byte) (int, error) {
	if l.heard > maxHeard {
		return 0, errTalkative
	}
	n, err := l.Conn.Read(b)
	l.heard += n
	return n, err
}

func (l *line) Write(b []byte) (int, error) {
	l.heard = 0
	return l.Conn.Write(b)
}
