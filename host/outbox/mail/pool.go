package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/edgeset/edgeset/host/outbox"
)

const (
	idleTime   = 30 * time.Second // how long a connection is kept for the next mail
	checkTime  = 5 * time.Second  // how long one that was kept may take to say that it is still there
	perSession = 100              // mails, which servers do not mind
)

// A pool has the connections to a server: a bounded number, and those that are not in
// use are kept for a while.
type pool struct {
	config  Config
	address string // of the server
	hello   string // what it is greeted with
	tls     *tls.Config
	slots   chan struct{} // one for each open connection that is in use

	mu     sync.Mutex
	idle   []*session // the last one was used last
	sweep  *time.Timer
	closed bool
}

func newPool(c Config) (*pool, error) {
	if !isHost(c.Host) {
		return nil, fmt.Errorf("mail server %.100q: want the name or the address of a host", c.Host)
	}
	if c.Port == 0 {
		c.Port = submissionPort
		if c.TLS == ImplicitTLS {
			c.Port = submissionsPort
		}
	}
	address := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	switch {
	case c.Port < 1 || c.Port > 65535:
		return nil, fmt.Errorf("mail server %s: want a port of 1 to 65535", address)
	case c.TLS < OfferedTLS || c.TLS > NoTLS:
		return nil, fmt.Errorf("mail server %s: TLS %d: want one of OfferedTLS, RequiredTLS, ImplicitTLS and NoTLS", address, c.TLS)
	case (c.User == "") != (c.Password == ""):
		return nil, fmt.Errorf("mail server %s: want user and password, or neither", address)
	}
	if c.Connections <= 0 {
		c.Connections = connections
	}
	hello, err := os.Hostname()
	if err != nil || !isHost(hello) {
		hello = "localhost"
	}
	return &pool{
		config: c, address: address, hello: hello, slots: make(chan struct{}, c.Connections),
		tls: &tls.Config{ServerName: c.Host, RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
	}, nil
}

// send has the server take a mail.
func (p *pool) send(ctx context.Context, from, to string, mail []byte) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return &outbox.Failure{
			Reason: "too many mails were on their way",
			Detail: fmt.Sprintf("%s: all %d connections were in use", p.address, cap(p.slots)),
		}
	}
	if s := p.take(); s != nil && s.check(ctx) {
		f := s.send(ctx, from, to, mail)
		p.put(s)
		// What the server has against a connection that it has had for a while, it
		// may not have against another one.
		if f == nil || f.step != atSender {
			return p.failure(ctx, f)
		}
	}
	s, f := p.connect(ctx)
	if f == nil {
		f = s.send(ctx, from, to, mail)
		p.put(s)
	}
	return p.failure(ctx, f)
}

// take returns a connection that was kept, or nil.
func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle) - 1
	if n < 0 || time.Since(p.idle[n].used) > idleTime {
		return nil
	}
	s := p.idle[n]
	p.idle = slices.Delete(p.idle, n, n+1)
	return s
}

// put keeps a connection for the next mail, if it is good for one.
func (p *pool) put(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s.broken:
		s.conn.Close()
	case p.closed || s.mails >= perSession:
		go s.quit()
	default:
		s.used = time.Now()
		p.idle = append(p.idle, s)
		if p.sweep == nil {
			p.sweep = time.AfterFunc(idleTime, p.prune)
		}
	}
}

// prune ends connections that were not used for a while.
func (p *pool) prune() {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].used) >= idleTime {
		go p.idle[n].quit()
		n++
	}
	p.idle = slices.Delete(p.idle, 0, n)
	p.sweep = nil
	if len(p.idle) > 0 {
		p.sweep = time.AfterFunc(idleTime-time.Since(p.idle[0].used), p.prune)
	}
}

// close ends the connections that are not in use, and those that are with their mail.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.mu.Unlock()
	var quitting sync.WaitGroup
	for _, s := range idle {
		quitting.Go(s.quit)
	}
	quitting.Wait()
}

func (p *pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}
