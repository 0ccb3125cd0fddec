package main_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/outbox/outboxtest"
)

var outboxDrill = flag.Int("outbox", 600, "how many invites TestOutboxDrill has delivered by mail")

const (
	drillKills    = 3
	drillTicket   = 500 // invites that a ticket has at most
	drillInviters = 4
	// drillFlight is how many mails a server may have on their way when it is killed.
	drillFlight = 4
	// drillStall is how long nothing at all may arrive: longer than most are put off.
	drillStall = 3 * time.Minute
)

// drillDelivery is a manifest under which mails go as fast as they can.
const drillDelivery = `
[[deployment]]
name = "default"
hosts = ["*"]
[deployment.outbox]
rate = 10000
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv", "events", "mail"]
[deployment.plugin.config]
invites_per_hour = "100000"
`

// TestOutboxDrill has many invites delivered by a mail server that fails at random, and
// kills the host several times meanwhile. Each invite that was acknowledged arrives and
// says that it was sent. It arrives twice only if that the first mail was taken could not
// be known: the mail server hung up before it said so, or the host was killed before it
// had noted it.
func TestOutboxDrill(t *testing.T) {
	t.Parallel()
	mails := outboxtest.StartMail(t, outboxtest.MailOptions{Brief: true, Busy: 0.05, Full: 0.03, Cut: 0.03, Lost: 0.02, Seed: 7})
	s := newServer(t, drillDelivery, "--smtp-url", mails.URL(), "--mail-from", "no-reply@edge.example")
	d := &outboxDrillRun{server: s, mails: mails}
	invites := *outboxDrill
	if testing.Short() {
		invites = min(invites, 200)
	}
	d.prepare(invites)

	began := time.Now()
	var inviting sync.WaitGroup
	for range drillInviters {
		inviting.Go(d.invite)
	}
	for i := range drillKills {
		// At some time while the next part of them is on its way.
		part := invites / drillKills
		d.waitFor(i*part + part/10 + rand.IntN(part*7/10))
		time.Sleep(rand.N(30 * time.Millisecond))
		s.kill()
		s.start()
	}
	inviting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	created := time.Since(began)
	d.waitFor(invites)
	mostly := time.Since(began)
	d.waitSent()
	took := time.Since(began)
	lost, again := d.check()
	t.Logf("%d invites created in %.1f s, nearly all delivered in %.1f s (%.0f/s), and those that were put off again and again in %.1f s, with %d kills; %d mails arrived: %d were taken without a reply, %d were sent again after a kill",
		invites, created.Seconds(), mostly.Seconds(), float64(invites)/mostly.Seconds(), took.Seconds(), drillKills, mails.Count(), lost, again)
}

// An outboxDrillRun is a TestOutboxDrill.
type outboxDrillRun struct {
	server  *server
	mails   *outboxtest.MailServer
	sharers []drillSharer
	next    atomic.Int64
	codes   []string // of the invites, by their number
}

// A drillSharer has a ticket.
type drillSharer struct {
	*client
	ticket string
}

// prepare makes as many tickets as so many invites need, and more than one.
func (d *outboxDrillRun) prepare(invites int) {
	d.codes = make([]string, invites)
	key := d.server.newApp()
	for range max(2, (invites+drillTicket-1)/drillTicket) {
		user := d.server.client().newUser(key)
		d.sharers = append(d.sharers, drillSharer{user, user.newTicket()})
	}
}

// invite creates invites until there are enough. What was not answered is asked for
// again, under the same request_id.
func (d *outboxDrillRun) invite() {
	t := d.server.t
	for {
		i := int(d.next.Add(1) - 1)
		if i >= len(d.codes) || t.Failed() {
			return
		}
		by := d.sharers[i%len(d.sharers)]
		for end := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
			r, err := by.call("POST", "/v2/tickets/"+by.ticket+"/create_invite", nil,
				"type", "email", "send", "server", "address", drillAddress(i), "name", "Bo", "request_id", strconv.Itoa(i))
			if err == nil && r.status == 200 && r.text("response.status") != "failed" {
				d.codes[i] = r.text("response.id")
				break
			}
			if err == nil && r.status != 503 || time.Now().After(end) {
				t.Errorf("invite %d: %v, %v", i, r, err)
				return
			}
		}
	}
}

func drillAddress(i int) string { return fmt.Sprintf("bo%d@example.com", i) }

// waitFor waits until so many mails have arrived.
func (d *outboxDrillRun) waitFor(mails int) {
	d.server.t.Helper()
	last, since := -1, time.Now()
	for {
		n := d.mails.Count()
		if n >= mails {
			return
		}
		if n != last {
			last, since = n, time.Now()
		}
		if d.server.t.Failed() || time.Since(since) > drillStall {
			d.server.fatalf("%d mails have arrived, want %d; none within %v", n, mails, drillStall)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// waitSent waits until all invites say that they were sent.
func (d *outboxDrillRun) waitSent() {
	d.server.t.Helper()
	for _, by := range d.sharers {
		for last, since := -1, time.Now(); ; time.Sleep(100 * time.Millisecond) {
			queued, all := 0, by.get("/v2/tickets/"+by.ticket+"/invites").items("response.items")
			for _, item := range all {
				switch invite := item.(map[string]any); invite["status"] {
				case "sent":
				case "queued":
					queued++
				default:
					d.server.fatalf("%v\nwant it to be sent", invite)
				}
			}
			if queued == 0 {
				break
			}
			if queued != last {
				last, since = queued, time.Now()
			}
			if time.Since(since) > drillStall {
				d.server.fatalf("%d of %d invites of a ticket are still queued", queued, len(all))
			}
		}
	}
}

// check has a look at what has arrived. It returns how many mails were taken without a
// reply, and how many were sent again although there was one.
func (d *outboxDrillRun) check() (lost, again int) {
	t := d.server.t
	t.Helper()
	type arrived struct {
		id            string
		answered, all int
	}
	boxes := map[string]*arrived{}
	ids := map[string]string{}
	for _, m := range d.mails.Mails() {
		to := m.To[0]
		box := boxes[to]
		if box == nil {
			box = &arrived{id: m.ID}
			boxes[to] = box
			if other, ok := ids[m.ID]; ok {
				t.Errorf("%s and %s have got mails with the id %s", other, to, m.ID)
			}
			ids[m.ID] = to
		}
		if box.id != m.ID {
			t.Errorf("%s has got two mails, %s and %s", to, box.id, m.ID)
		}
		box.all++
		if m.Lost {
			lost++
		} else {
			box.answered++
		}
	}
	known := map[string]bool{}
	for i, code := range d.codes {
		box := boxes[drillAddress(i)]
		switch {
		case known[code]:
			t.Errorf("the code %s was given out twice", code)
		case box == nil:
			t.Errorf("the invite %s has not arrived at %s", code, drillAddress(i))
		case box.answered == 0:
			t.Errorf("the invite %s says sent, and no mail server has said so", code)
		default:
			again += box.answered - 1
		}
		known[code] = true
	}
	if len(boxes) != len(d.codes) {
		t.Errorf("%d people have got mails, want %d", len(boxes), len(d.codes))
	}
	if again > drillKills*drillFlight {
		t.Errorf("%d mails were sent again although the server had taken them, want at most %d at each of %d kills", again, drillFlight, drillKills)
	}
	return lost, again
}
