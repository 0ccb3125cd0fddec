package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

const statusClientsDir = "testdata/status"

// statusClients is the process of the clients in testdata/status: real ones, of
// socket.io and of Server-Sent Events.
type statusClients struct {
	t  testing.TB
	in io.Writer

	mu     sync.Mutex
	byName map[string]*statusClient
}

// A statusClient is one of them.
type statusClient struct {
	t      testing.TB
	all    *statusClients
	name   string
	events chan clientEvent
}

// A clientEvent is what has happened to a client.
type clientEvent struct {
	what   string
	values []any
}

func (e clientEvent) String() string { return fmt.Sprintf("%s %v", e.what, e.values) }

// maxClientEvents is how many may wait for the test.
const maxClientEvents = 4096

// needStatusClients ends a test for which Node or the packages are missing.
func needStatusClients(t testing.TB) {
	t.Helper()
	needPackage(t, statusClientsDir, "eventsource")
}

// newStatusClients starts the process.
func newStatusClients(t testing.TB) *statusClients {
	t.Helper()
	needStatusClients(t)
	cmd := exec.Command("node", "clients.js")
	cmd.Dir, cmd.Env = statusClientsDir, environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cs := &statusClients{t: t, in: in, byName: map[string]*statusClient{}}
	read := make(chan error, 1)
	go func() { read <- cs.read(out) }()
	t.Cleanup(func() {
		in.Close() // the process ends with its input
		err := <-read
		if err == nil {
			err = cmd.Wait()
		} else {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()         // it was killed
		}
		if err != nil || stderr.Len() > 0 {
			t.Errorf("the clients' process: %v\n%s", err, &stderr)
		}
	})
	return cs
}

// read hands on what the process tells, until it ends.
func (cs *statusClients) read(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line []any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || len(line) < 2 {
			return fmt.Errorf("line %q, %v: want [name, what, ...]", lines.Bytes(), err)
		}
		cs.mu.Lock()
		c := cs.byName[fmt.Sprint(line[0])]
		cs.mu.Unlock()
		if c == nil {
			return fmt.Errorf("line %q is of nobody", lines.Bytes())
		}
		select {
		case c.events <- clientEvent{fmt.Sprint(line[1]), line[2:]}:
		default:
			return fmt.Errorf("%d events of %s wait for the test", maxClientEvents, c.name)
		}
	}
	return lines.Err()
}

// order has the process do something.
func (cs *statusClients) order(order, name string, options map[string]any) {
	cs.t.Helper()
	all := map[string]any{"order": order, "name": name}
	for key, value := range options {
		all[key] = value
	}
	text, err := json.Marshal(all)
	if err != nil {
		cs.t.Fatal(err)
	}
	if _, err := cs.in.Write(append(text, '\n')); err != nil {
		cs.t.Fatalf("the clients' process: %v", err)
	}
}

// open makes a client, which the process calls by a name.
func (cs *statusClients) open(order, name string, options map[string]any) *statusClient {
	cs.t.Helper()
	c := &statusClient{t: cs.t, all: cs, name: name, events: make(chan clientEvent, maxClientEvents)}
	cs.mu.Lock()
	if cs.byName[name] != nil {
		cs.t.Fatalf("there is a client %q already", name)
	}
	cs.byName[name] = c
	cs.mu.Unlock()
	cs.order(order, name, options)
	return c
}

// Ways to connect, as options of the library; none: polling, then an upgrade.
var (
	byPolling   = map[string]any{"transports": []string{"polling"}}
	byWebSocket = map[string]any{"transports": []string{"websocket"}}
)

// listen opens a socket that listens as the document of the status API has it.
func (cs *statusClients) listen(name string, version int, p *person, filters any, options map[string]any) *statusClient {
	cs.t.Helper()
	all := map[string]any{
		"version": version, "url": "http://" + p.server.listen, "options": options, "access_token": p.token, "gid_uuid": p.gid,
	}
	if filters != nil {
		all["filters"] = filters
	}
	return cs.open("listen", name, all)
}

// listening opens a socket and waits until it listens.
func (cs *statusClients) listening(name string, p *person) *statusClient {
	cs.t.Helper()
	c := cs.listen(name, 4, p, "*", byWebSocket)
	c.wants("connect")
	c.wants("LISTENING")
	return c
}

// next returns what happens next to the client.
func (c *statusClient) next() clientEvent {
	c.t.Helper()
	select {
	case e := <-c.events:
		return e
	case <-time.After(callTime):
		c.t.Fatalf("client %s: nothing has happened within %v", c.name, callTime)
		return clientEvent{}
	}
}

// wants waits for what is to happen next.
func (c *statusClient) wants(what string) []any {
	c.t.Helper()
	e := c.next()
	if e.what != what {
		c.t.Fatalf("client %s: %v, want %s", c.name, e, what)
	}
	return e.values
}

// hears wants the client to be told of these updates and of nothing else.
func (c *statusClient) hears(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		values := c.wants("STATUS_UPDATE")
		if got := fieldsOf(values[0]); len(values) != 1 || got != sharedFields {
			c.t.Fatalf("client %s: %d values, the first one with the fields %q, want one with %q", c.name, len(values), got, sharedFields)
		}
		if got := (reply{doc: values[0]}).text("uuid"); got != id {
			c.t.Fatalf("client %s: update %s, want %s", c.name, got, id)
		}
	}
}

// refused wants the client to be told of an error.
func (c *statusClient) refused(code, field string) {
	c.t.Helper()
	r := reply{doc: c.wants("error")}
	if r.text("0.error.code") != code || r.text("0.error.message") == "" || r.text("0.error.detail.field") != field {
		c.t.Errorf("client %s: error %v, want %s of %q", c.name, r.doc, code, field)
	}
}

// wantsAll waits for several things to happen, in any order, each once.
func (c *statusClient) wantsAll(what ...string) map[string][]any {
	c.t.Helper()
	got := map[string][]any{}
	for range what {
		e := c.next()
		if _, twice := got[e.what]; twice || !slices.Contains(what, e.what) {
			c.t.Fatalf("client %s: %v, want %v, each once", c.name, e, what)
		}
		got[e.what] = e.values
	}
	return got
}

// listens has the client listen once more.
func (c *statusClient) listens(p *person, filters any) {
	c.t.Helper()
	c.sendListen(p, filters)
	for what, values := range c.wantsAll("LISTENING", "acknowledged") {
		if got := (reply{doc: values}).text("0.gid_uuid"); got != p.gid {
			c.t.Errorf("client %s: %s %v, want the gid_uuid %s", c.name, what, values, p.gid)
		}
	}
}

func (c *statusClient) sendListen(p *person, filters any) {
	c.t.Helper()
	c.all.order("emit", c.name, map[string]any{
		"args": []any{"LISTEN", map[string]any{"access_token": p.token, "gid_uuid": p.gid, "filters": filters}},
	})
}

func (c *statusClient) close() {
	c.t.Helper()
	c.all.order("close", c.name, nil)
	for {
		if c.next().what == "closed" {
			return
		}
	}
}
