package gateway

import (
	"io"
	"net"
	"time"
)

// A client whose request was refused halfway is still sending. Closing the
// connection on it resets it, and the reset may overtake the answer: the client
// then reports a broken connection instead of what is wrong. So the connection
// is closed for writing first, and what still comes is read and dropped, for as
// long as a client needs to notice and no longer.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

// linger has a connection closed in that way. The connection itself is out of
// reach here: fasthttp may have wrapped it.
func (g *Gateway) linger(remote net.Addr) { g.lingering.Store(remote.String(), nil) }

// A lingeringListener accepts connections that can linger.
type lingeringListener struct {
	net.Listener
	gateway *Gateway
}

// Accept is part of net.Listener.
func (l lingeringListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingeringConn{c, l.gateway}, nil
}

type lingeringConn struct {
	net.Conn
	gateway *Gateway
}

// Close is part of net.Conn.
func (c *lingeringConn) Close() error {
	if _, lingers := c.gateway.lingering.LoadAndDelete(c.RemoteAddr().String()); lingers {
		half, ok := c.Conn.(interface{ CloseWrite() error })
		if ok && half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // ends in one way or another
		}
	}
	return c.Conn.Close()
}
