package main_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A cutter is a proxy that cuts connections off: each once it has carried some number
// of bytes to the client, wherever that is, and by a close or a reset.
type cutter struct {
	listen   net.Listener
	to       string
	min, max int // bytes
	steady   atomic.Bool
	cuts     atomic.Int64
	wait     sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// newCutter starts a proxy to an address. It is steady at first.
func newCutter(t testing.TB, to string, minBytes, maxBytes int) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listen: l, to: to, min: minBytes, max: maxBytes, open: map[net.Conn]bool{}}
	c.steady.Store(true)
	c.wait.Go(c.accept)
	t.Cleanup(c.close)
	return c
}

func (c *cutter) addr() string { return c.listen.Addr().String() }

func (c *cutter) close() {
	c.listen.Close()
	c.mu.Lock()
	c.closed = true
	for conn := range c.open {
		conn.Close()
	}
	c.mu.Unlock()
	c.wait.Wait()
}

func (c *cutter) accept() {
	for {
		client, err := c.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.to)
		if err != nil { // it is down
			client.Close()
			continue
		}
		if !c.keep(client, server) {
			return
		}
		c.wait.Go(func() {
			_, _ = io.Copy(server, client) // its end, for whatever reason, is that of the connection
			c.end(client, server)
		})
		c.wait.Go(func() {
			if c.carry(client, server) {
				c.cuts.Add(1)
				if rand.IntN(2) == 0 {
					_ = client.(*net.TCPConn).SetLinger(0)
				}
			}
			c.end(client, server)
		})
	}
}

// carry copies to the client until the connection ends, or is to be cut off.
func (c *cutter) carry(client, server net.Conn) (cut bool) {
	left := c.min + rand.IntN(c.max-c.min)
	buf := make([]byte, 4096)
	for {
		n, err := server.Read(buf)
		if left -= n; left < 0 && !c.steady.Load() {
			_, _ = client.Write(buf[:n+left]) // whether it arrives is all one
			return true
		}
		if _, failed := client.Write(buf[:n]); errors.Join(err, failed) != nil {
			return false
		}
		left = max(left, 0)
	}
}

// keep notes that connections are open, unless the proxy has been closed.
func (c *cutter) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.closed {
			conn.Close()
		}
		c.open[conn] = true
	}
	return !c.closed
}

func (c *cutter) end(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
		delete(c.open, conn)
	}
}
