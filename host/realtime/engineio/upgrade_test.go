package engineio

import (
	"fmt"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// probe opens a websocket on a session and has it answer the probe.
func (r *rig) probe(version int, id string) *wsClient {
	r.t.Helper()
	c := r.dial(fmt.Sprintf("EIO=%d&transport=websocket&sid=%s", version, id))
	c.send("2probe")
	c.expect("3probe")
	return c
}

// upgraded waits until a session is on a websocket.
func (r *rig) upgraded(id string) {
	r.t.Helper()
	s := r.session(id)
	until(r.t, "the session is upgraded", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.socket != nil
	})
}

func TestASessionUpgrades(t *testing.T) {
	for version, noop := range map[int]string{4: "6", 3: "1:6"} {
		t.Run(fmt.Sprint("revision ", version), func(t *testing.T) {
			r := start(t, Config{})
			query, id := r.poll(version)
			poll := r.pending(query, id)
			c := r.probe(version, id)
			r.expect(<-poll, 200, noop)
			r.expect(r.request("GET", query, ""), 200, noop) // one more is answered as well
			c.send("5")
			c.send("4hello")
			c.expect("4hello")
			r.expect(r.request("GET", query, ""), 400, `{"code":3,"message":"Bad request"}`)
			r.expect(r.request("POST", query, "4a"), 400, `{"code":3,"message":"Bad request"}`)
			c.send("4still there")
			c.expect("4still there")
			c.Close()
			r.ended(id, TransportClose)
		})
	}
}

func TestNothingIsLostInAnUpgrade(t *testing.T) {
	r := start(t, Config{})
	query, id := r.poll(4)
	s := r.session(id)
	s.Send(Text([]byte("0")))
	c := r.dial("EIO=4&transport=websocket&sid=" + id)
	s.Send(Text([]byte("1")))
	c.send("2probe")
	c.expect("3probe")
	s.Send(Text([]byte("2")))
	r.expect(r.request("GET", query, ""), 200, "40\x1e41\x1e42")
	poll := r.background("GET", query, "")
	s.Send(Text([]byte("3")))
	res := <-poll
	if res.body == "6" {
		res = r.request("GET", query, "") // it came first
	}
	r.expect(res, 200, "43")
	for i := 4; i < 100; i++ {
		s.Send(Text(fmt.Append(nil, i)))
	}
	c.send("5")
	for i := 100; i < 200; i++ {
		s.Send(Text(fmt.Append(nil, i)))
	}
	for i := 4; i < 200; i++ {
		c.expect(fmt.Sprint("4", i))
	}
}

func TestASecondWebsocketOnASessionIsClosed(t *testing.T) {
	r := start(t, Config{})
	_, id := r.poll(4)
	c := r.probe(4, id)
	r.dial("EIO=4&transport=websocket&sid=" + id).closed(ws.StatusPolicyViolation)
	c.send("5")
	r.upgraded(id)
	r.dial("EIO=4&transport=websocket&sid=" + id).closed(ws.StatusPolicyViolation)
	c.send("4hello")
	c.expect("4hello")

	only, id := r.open(4)
	r.dial("EIO=4&transport=websocket&sid=" + id).closed(ws.StatusPolicyViolation)
	only.send("4hello")
	only.expect("4hello")
}

func TestASessionSurvivesAnUpgradeThatFails(t *testing.T) {
	for name, fail := range map[string]func(*wsClient){
		"it is not answered":   func(*wsClient) {},
		"it is broken off":     func(c *wsClient) { c.Close() },
		"it is no probe":       func(c *wsClient) { c.send("2other") },
		"it is a message":      func(c *wsClient) { c.send("4early") },
		"it is no packet":      func(c *wsClient) { c.send("x") },
		"it is no upgrade":     func(c *wsClient) { c.send("2probe"); c.expect("3probe"); c.send("4early") },
		"it is probed only":    func(c *wsClient) { c.send("2probe"); c.expect("3probe") },
		"it closes in probing": func(c *wsClient) { c.frame(ws.NewCloseFrame(nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Config{UpgradeTimeout: 100 * time.Millisecond})
			query, id := r.poll(4)
			fail(r.dial("EIO=4&transport=websocket&sid=" + id))
			s := r.session(id)
			until(t, "the probe is over", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.probe == nil
			})
			r.expect(r.request("POST", query, "4hello"), 200, "ok")
			r.expect(r.request("GET", query, ""), 200, "4hello")
			if len(r.heard(id)) != 1 {
				t.Errorf("heard %q", r.heard(id))
			}
			c := r.probe(4, id)
			c.send("5")
			c.send("4again")
			c.expect("4again")
		})
	}
}

func TestASessionThatEndsEndsItsProbe(t *testing.T) {
	r := start(t, Config{})
	query, id := r.poll(4)
	c := r.probe(4, id)
	r.expect(r.request("POST", query, "1"), 200, "ok")
	r.ended(id, TransportClose)
	c.closed(ws.StatusPolicyViolation)
}

func TestAnUpgradeMustNotOvertakeAPost(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	r := startWith(t, Config{}, func(r *rig) {
		r.onMessage = func(*Session, []byte, bool) { entered <- true; <-leave }
	})
	query, id := r.poll(4)
	post := r.background("POST", query, "4a")
	<-entered
	c := r.probe(4, id)
	c.send("5")
	c.closed(ws.StatusPolicyViolation)
	close(leave)
	<-post
	r.ended(id, TransportError)
}
