package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/host/wasmtest"
)

// A tally counts what clients have seen while versions were swapped.
type tally struct {
	mu    sync.Mutex
	count map[fault]int
	first []error // the first few faults

	// serving is the version whose answers alone are right: that of the last deploy
	// that has ended, as long as there is no other one.
	serving atomic.Pointer[phase]
}

// A phase is a time in which one build answers; mark is "" while it may be either.
type phase struct{ mark string }

// A fault is a way in which a swap can be noticed.
type fault string

const (
	failed  fault = "failed"        // a request without the answer that it should have
	mixed   fault = "mixed_answers" // an answer that is not wholly of one build
	stale   fault = "stale_answers" // an answer of a build that had been replaced before
	dropped fault = "sockets_dropped"
	missed  fault = "events_lost"    // that should have come to a socket
	strange fault = "events_strange" // that came twice, too early or to somebody else
	lost    fault = "writes_lost"    // that were acknowledged
)

// maxFirst is how many faults are told.
const maxFirst = 10

// note counts something that must not be.
func (y *tally) note(f fault, n int, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.count == nil {
		y.count = map[fault]int{}
	}
	y.count[f] += n
	if len(y.first) < maxFirst {
		y.first = append(y.first, fmt.Errorf("%s: %w", f, err))
	}
}

func (y *tally) of(f fault) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.count[f]
}

// faults are the first ones, nil if there are none.
func (y *tally) faults() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	return errors.Join(y.first...)
}

// A line is the one connection of a client. The one of net/http sends some requests
// again if the server closes a connection; with this one that is a failure.
type line struct {
	tally *tally
	addr  string
	conn  net.Conn // nil: none is open
	in    *bufio.Reader
	out   *bufio.Writer
	uses  int

	kind  string // of the requests that are sent
	calls []lineCall
}

// A lineCall is a request that was answered.
type lineCall struct {
	kind  string
	begin time.Time
	took  time.Duration
}

func (c *lineCall) end() time.Time { return c.begin.Add(c.took) }

// lineUses is after how many requests a client connects anew, as new ones do.
const lineUses = 100

// RoundTrip implements http.RoundTripper. It is called by one goroutine at a time.
func (l *line) RoundTrip(req *http.Request) (*http.Response, error) {
	before := l.tally.serving.Load()
	begin := time.Now()
	resp, body, err := l.exchange(req, begin)
	call := lineCall{l.kind, begin, time.Since(begin)}
	if err != nil {
		l.hangUp()
		return nil, err
	}
	l.calls = append(l.calls, call)
	mark, torn := wasmtest.MarkOf(strings.Join(resp.Header.Values(wasmtest.MarkHeader), ","), body)
	switch {
	case torn || mark == "":
		l.tally.note(mixed, 1, fmt.Errorf("%s %s: %s, mark %q: %.500s", req.Method, req.URL, resp.Status, mark, body))
	case before == l.tally.serving.Load() && before.mark != "" && mark != before.mark:
		l.tally.note(stale, 1, fmt.Errorf("%s %s: %s: is of build %q, while %q serves", req.Method, req.URL, resp.Status, mark, before.mark))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if l.uses++; l.uses == lineUses {
		l.hangUp()
	}
	return resp, nil
}

func (l *line) exchange(req *http.Request, begin time.Time) (*http.Response, []byte, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if l.conn == nil {
		conn, err := net.DialTimeout("tcp", l.addr, callTime)
		if err != nil {
			return nil, nil, err
		}
		l.conn, l.in, l.out, l.uses = conn, bufio.NewReader(conn), bufio.NewWriter(conn), 0
	}
	if err := l.conn.SetDeadline(begin.Add(callTime)); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(req.Write(l.out), l.out.Flush()); err != nil {
		return nil, nil, err
	}
	resp, err := http.ReadResponse(l.in, req)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.Close {
		err = errors.New("the server wants the connection to be closed")
	}
	return resp, body, err
}

func (l *line) hangUp() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// over returns the server as a client has it whose requests all go over the line.
func (s *server) over(l *line) *server {
	other := *s
	other.http = &http.Client{
		Transport:     l,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &other
}
