//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/sys/unix"
)

// crowdEnv holds, as JSON, whom the process of a crowd connects to. It is this
// binary, in a process of its own: what listeners cost is not the server's.
const crowdEnv = "EDGESET_TEST_CROWD"

// A crowdConfig is what a crowd is told when it starts.
type crowdConfig struct {
	Address string            // of the server
	Listen  []json.RawMessage // arguments of LISTEN; listeners take turns with them
}

// TestCrowd is the process of a crowd, and does nothing otherwise. Each line of its
// input is how many connections it is to have, each of which listens; it opens and
// closes some, and says "connected" and the number when that is done. When all have
// heard of a number of updates, it says "heard" and the number.
func TestCrowd(t *testing.T) {
	text := os.Getenv(crowdEnv)
	if text == "" {
		t.Skip("is run by BenchmarkFanOut")
	}
	c, err := newCrowd([]byte(text))
	if err == nil {
		go func() { c.fail(c.read()) }()
		err = c.obey(os.Stdin)
	}
	if err != nil {
		c.fail(err)
	}
}

// A crowd is many listeners, read by one goroutine: with one for each the client
// would take more of the machine than the server.
type crowd struct {
	config crowdConfig

	mu        sync.Mutex
	listeners []*listener
	updates   int   // that all have heard of
	heard     []int // how many listeners have heard of each update behind those
}

// A listener is a connection.
type listener struct {
	file    int
	rest    []byte // of a frame that has not come whole
	updates int
}

func newCrowd(config []byte) (*crowd, error) {
	c := new(crowd)
	return c, json.Unmarshal(config, &c.config)
}

// fail ends the process; who started it finds the reason in its output.
func (c *crowd) fail(err error) {
	fmt.Println("error:", err)
	os.Exit(1)
}

// obey does as it is told until its input ends.
func (c *crowd) obey(in io.Reader) error {
	for {
		var n int
		if _, err := fmt.Fscan(in, &n); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("want a number of connections: %w", err)
		}
		c.close(n)
		if err := c.open(n); err != nil {
			return err
		}
		fmt.Println("connected", n)
	}
}

// open opens connections, a few at a time, until there are n.
func (c *crowd) open(n int) error {
	var wg sync.WaitGroup
	next := make(chan int)
	failed := make(chan error, 1)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				if err := c.join(i); err != nil {
					select {
					case failed <- fmt.Errorf("listener %d: %w", i, err):
					default:
					}
				}
			}
		})
	}
	for i := len(c.listeners); i < n; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// join opens a connection that listens.
func (c *crowd) join(i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	conn, in, _, err := ws.Dial(ctx, "ws://"+c.config.Address+"/v1/socket/?EIO=4&transport=websocket")
	if err != nil {
		return err
	}
	defer conn.Close() // its duplicate stays open
	if in == nil {
		in = bufio.NewReader(conn)
	}
	if err := conn.SetDeadline(time.Now().Add(callTime)); err != nil {
		return err
	}
	for _, step := range []struct{ send, want string }{
		{"", "0{"},
		{"40", "40{"},
		{fmt.Sprintf(`42["LISTEN",%s]`, c.config.Listen[i%len(c.config.Listen)]), `42["LISTENING",`},
	} {
		if step.send != "" {
			if err := wsutil.WriteClientText(conn, []byte(step.send)); err != nil {
				return err
			}
		}
		if f, err := ws.ReadFrame(in); err != nil {
			return err
		} else if !bytes.HasPrefix(f.Payload, []byte(step.want)) {
			return fmt.Errorf("got packet %q, want %s…", f.Payload, step.want)
		}
	}
	rest, err := in.Peek(in.Buffered())
	if err != nil {
		return err
	}
	return c.add(conn.(*net.TCPConn), rest)
}

// add takes a connection over from Go's own poller.
func (c *crowd) add(conn *net.TCPConn, rest []byte) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var file int
	var failed error
	if err := raw.Control(func(fd uintptr) { file, failed = unix.Dup(int(fd)) }); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, &listener{file: file, rest: bytes.Clone(rest), updates: c.updates})
	return nil
}

// close closes all connections but n.
func (c *crowd) close(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, len(c.listeners))
	for _, l := range c.listeners[n:] {
		unix.Close(l.file)
	}
	c.listeners = c.listeners[:n]
}

// How the crowd looks for what has come. It asks no poller to be told: the kernel
// would charge the server that writes with telling, and with waking this process,
// while the clients of a real server are on other machines. It looks at the first
// listener until that has heard of an update, and then at all.
const (
	lookEvery  = 200 * time.Microsecond
	sweepEvery = time.Second // all are looked at for pings
	maxSilent  = 32          // listeners one behind the other, before it waits for more
)

// read reads from all connections, for as long as there is no error.
func (c *crowd) read() error {
	buf := make([]byte, 64<<10)
	for sweep := time.Now(); ; time.Sleep(lookEvery) {
		all := time.Since(sweep) >= sweepEvery
		if all {
			sweep = time.Now()
		}
		if err := c.look(buf, all); err != nil {
			return err
		}
	}
}

// look reads what has come: for all listeners, or for those that have yet to hear of
// the update under way.
func (c *crowd) look(buf []byte, all bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	silent := 0
	for _, l := range c.listeners {
		if !all && l.updates > c.updates {
			continue
		}
		some, err := c.readFrom(l, buf)
		if err != nil {
			return err
		}
		if silent++; some {
			silent = 0
		}
		if !all && (len(c.heard) == 0 || silent == maxSilent) {
			break
		}
	}
	return nil
}

// readFrom reads what has come for a listener, and tells whether something has.
func (c *crowd) readFrom(l *listener, buf []byte) (some bool, err error) {
	kept := copy(buf, l.rest)
	n, err := unix.Read(l.file, buf[kept:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read from the server: %w", err)
	case n == 0:
		return false, errors.New("the server has closed a connection")
	}
	data := buf[:kept+n]
	for {
		payload, size, err := frame(data)
		if err != nil {
			return false, err
		}
		if size == 0 {
			break
		}
		if err := c.packet(l, payload); err != nil {
			return false, err
		}
		data = data[size:]
	}
	l.rest = append(l.rest[:0], data...)
	return true, nil
}

// frame returns the payload of a server's frame and the size of the frame; 0: it is
// not all there.
func frame(b []byte) (payload []byte, size int, err error) {
	if len(b) < 2 {
		return nil, 0, nil
	}
	head, n := 2, int(b[1])
	if b[0] != 0x81 || n > 126 {
		return nil, 0, fmt.Errorf("frame % x…: want one of text, not masked, of less than 64 KiB", b[:2])
	}
	if n == 126 {
		if len(b) < 4 {
			return nil, 0, nil
		}
		head, n = 4, int(b[2])<<8|int(b[3])
	}
	if len(b) < head+n {
		return nil, 0, nil
	}
	return b[head : head+n], head + n, nil
}

var (
	updatePrefix = []byte(`42["STATUS_UPDATE",{`)
	pong         = ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("3"))))
)

func (c *crowd) packet(l *listener, packet []byte) error {
	switch {
	case bytes.HasPrefix(packet, updatePrefix):
		return c.hear(l)
	case string(packet) == "2":
		_, err := unix.Write(l.file, pong)
		return err
	}
	return fmt.Errorf("packet %q: want an update or a ping", packet)
}

// hear counts an update.
func (c *crowd) hear(l *listener) error {
	at := l.updates - c.updates
	if at == len(c.heard) {
		c.heard = append(c.heard, 0)
	}
	l.updates++
	for c.heard[at]++; len(c.heard) > 0 && c.heard[0] == len(c.listeners); {
		c.heard = c.heard[1:]
		c.updates++
		fmt.Println("heard", c.updates)
		at--
	}
	return nil
}
