package gateway

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// Three things about connections are ours to do, as fasthttp does not.
//
// A client whose request was refused halfway is still sending. Closing the
// connection on it resets it, and the reset may overtake the answer: the client
// then reports a broken connection instead of what is wrong. So the connection
// is closed for writing first, and what still comes is read and dropped, for as
// long as a client needs to notice and no longer.
//
// A connection on which nothing was ever sent counts as one with a request on
// its way, until the time to read one is over. Clients open such connections in
// advance, and a shutdown would wait for all of them: it closes them instead.
//
// A client that goes away while its request runs is noticed by looking whether
// the connection has come to its end.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
	freshTime   = 500 * time.Millisecond // for a request that is on its way
)

// Conns keeps what is known of the connections of a server.
type Conns struct {
	fresh sync.Map // *conn: nothing was read from them

	limit int // connections of one address; 0: any number
	mu    sync.Mutex
	from  map[netip.Addr]int // how many there are of an address, if there is a limit
}

// tooMany is what a client gets that has as many connections as it may have.
const tooMany = "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// enter counts a connection, unless its client has too many. fasthttp could count, too,
// but uses what it wraps connections in again for others once they are closed: sockets
// and streams may still be about to write then.
func (c *Conns) enter(a netip.Addr) bool {
	if c.limit == 0 || !a.IsValid() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from[a] >= c.limit {
		return false
	}
	if c.from == nil {
		c.from = map[netip.Addr]int{}
	}
	c.from[a]++
	return true
}

func (c *Conns) leave(a netip.Addr) {
	if c.limit == 0 || !a.IsValid() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from[a]--; c.from[a] == 0 {
		delete(c.from, a)
	}
}

// addressOf returns the address of the client of a connection; none if it has none.
func addressOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// Shutdown shuts a server down whose listeners are these: it waits for the
// requests on their way until ctx ends, and closes what nothing comes on.
func (c *Conns) Shutdown(ctx context.Context, server *fasthttp.Server) error {
	done := make(chan struct{})
	defer close(done)
	go c.closeFresh(done)
	return server.ShutdownWithContext(ctx)
}

// closeFresh closes connections on which nothing comes, until done is closed.
func (c *Conns) closeFresh(done <-chan struct{}) {
	t := time.NewTicker(freshTime / 4)
	defer t.Stop()
	for {
		c.fresh.Range(func(key, _ any) bool {
			if fresh := key.(*conn); time.Since(fresh.since) > freshTime {
				fresh.unused.Store(true)
				_ = fresh.Conn.Close() // fasthttp closes it once more
			}
			return true
		})
		select {
		case <-t.C:
		case <-done:
			return
		}
	}
}

// Listener has what l accepts kept track of.
func (c *Conns) Listener(l net.Listener) net.Listener { return listener{l, c} }

// A listener accepts connections of type conn.
type listener struct {
	net.Listener
	conns *Conns
}

// Accept is part of net.Listener.
func (l listener) Accept() (net.Conn, error) {
	var accepted net.Conn
	var address netip.Addr
	for {
		var err error
		if accepted, err = l.Listener.Accept(); err != nil {
			return nil, err
		}
		if address = addressOf(accepted); l.conns.enter(address) {
			break
		}
		if _, plain := accepted.(*net.TCPConn); plain { // over TLS it would wait for the client
			_, _ = accepted.Write([]byte(tooMany)) // fits always
		}
		_ = accepted.Close()
	}
	c := &conn{Conn: accepted, conns: l.conns, address: address, since: time.Now()}
	c.local = localAddr{accepted.LocalAddr(), c}
	l.conns.fresh.Store(c, nil)
	return c, nil
}

type conn struct {
	net.Conn
	conns   *Conns
	address netip.Addr
	local   localAddr
	since   time.Time
	used    bool        // something was read; belongs to the reader
	unused  atomic.Bool // it was closed before that
	lingers atomic.Bool // it is closed slowly
	kept    atomic.Bool // it is not closed the next time
	closed  atomic.Bool
}

// A localAddr leads from what a request knows of its connection back to the
// conn. fasthttp and TLS wrap connections, and all pass this address on.
type localAddr struct {
	net.Addr
	conn *conn
}

// LocalAddr is part of net.Conn.
func (c *conn) LocalAddr() net.Addr { return &c.local }

// Keep has the connection outlive the handler that has hijacked it, behind which
// fasthttp closes it: sockets and streams call it. The other way is a server with
// KeepHijackedConns, which leaves a reader of 16 KiB behind with each.
func (c *conn) Keep() { c.kept.Store(true) }

// NetConn returns the connection below, for who writes to its socket without
// waiting.
func (c *conn) NetConn() net.Conn { return c.Conn }

// peerOf returns the connection of a local address, nil if it is not one of ours.
func peerOf(local net.Addr) *conn {
	if a, ok := local.(*localAddr); ok {
		return a.conn
	}
	return nil
}

// gone tells whether the client has closed its side of the connection or broken
// it off. It may be called at any time.
func (c *conn) gone() bool {
	is, _ := c.look()
	return is
}

// Gone is gone, and true as well once this side has closed the connection.
func (c *conn) Gone() bool {
	is, closed := c.look()
	return is || closed != nil
}

// look looks after the client. It fails on a connection that this side has closed.
func (c *conn) look() (gone bool, err error) {
	bottom := c.Conn
	if wrapped, ok := bottom.(interface{ NetConn() net.Conn }); ok { // TLS
		bottom = wrapped.NetConn()
	}
	socket, ok := bottom.(syscall.Conn)
	if !ok {
		return false, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false, err
	}
	return hungUp(raw)
}

// Read is part of net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.used && n > 0 {
		c.used = true
		c.conns.fresh.Delete(c)
	}
	if err != nil && c.unused.Load() {
		err = io.EOF // as if the client had gone: there is nobody to tell
	}
	return n, err
}

// Close is part of net.Conn.
func (c *conn) Close() error {
	if c.kept.Swap(false) {
		return nil
	}
	c.conns.fresh.Delete(c)
	if !c.closed.Swap(true) {
		defer c.conns.leave(c.address)
	}
	if c.lingers.Swap(false) {
		half, ok := c.Conn.(interface{ CloseWrite() error })
		if ok && half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // ends in one way or another
		}
	}
	return c.Conn.Close()
}
