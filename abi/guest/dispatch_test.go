package guest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A plugin that mails a greeting, and remembers what became of it. A greeting that has
// not arrived goes by a text message, if the manifest gives a webhook for that.
func ExamplePlugin_Outcomes() {
	p := guest.New("greetings", "1.0.0")
	p.Need(abi.GrantMail)
	p.Want(abi.GrantWebhook + "sms")
	p.Family("/greetings", nil).POST("/greetings/:to", greet)
	p.Outcomes(greeted)
	guest.Serve(p)
}

func greet(w *guest.Response, r *guest.Request) error {
	to := r.Param("to")
	err := r.Dispatch(&abi.Dispatch{Key: "greeting/" + to, Via: abi.GrantMail, To: to, Subject: "Hello", Text: "Hello, " + to})
	switch {
	case errors.Is(err, abi.ErrLimited):
		return guest.Errorf(429, "enough", "%s has been greeted often enough", to)
	case err != nil:
		return err
	case r.HasQuery("undo"):
		return guest.Errorf(409, "undone", "nobody is greeted")
	}
	w.Status(202)
	return r.KV().Put([]byte(to), []byte("queued"))
}

func greeted(r *guest.Request, o *abi.Outcome) error {
	state := fmt.Sprintf("sent at the attempt %d", o.Attempts)
	if !o.Sent {
		state = "failed: " + o.Reason
		err := r.Dispatch(&abi.Dispatch{Key: "text/" + o.To, Via: abi.GrantWebhook + "sms", To: o.To, Body: abi.Value("\xa5hello")})
		if err != nil && !errors.Is(err, abi.ErrDenied) {
			return err
		}
	}
	return r.KV().Put([]byte(o.To), []byte(state))
}

func newGreetings(t *testing.T) *guesttest.Client {
	p := guest.New("greetings", "1.0.0")
	p.Need(abi.GrantMail)
	p.Want(abi.GrantWebhook + "sms")
	f := p.Family("/greetings", nil)
	f.POST("/greetings/:to", greet)
	f.GET("/greetings/:to", func(w *guest.Response, r *guest.Request) error {
		state, _, err := r.KV().Get([]byte(r.Param("to")))
		w.Bytes("text/plain", state)
		return err
	})
	p.Outcomes(greeted)
	return guesttest.New(t, p)
}

// keys are those of what has been dispatched.
func keys(c *guesttest.Client) (list []string) {
	for _, d := range c.Host.Outbox {
		list = append(list, d.Key)
	}
	return list
}

func TestWhatIsDispatchedGoesWithTheCall(t *testing.T) {
	c := newGreetings(t)
	if r := c.Do(guesttest.Request{Method: "POST", Path: "/greetings/bob?undo"}); r.Status != 409 || len(c.Host.Outbox) > 0 {
		t.Errorf("%v, and %q is on its way", r, keys(c))
	}
	for range 2 { // the second one is known
		if r := c.Do(guesttest.Request{Method: "POST", Path: "/greetings/bob"}); r.Status != 202 {
			t.Error(r)
		}
	}
	if got := keys(c); !slices.Equal(got, []string{"greeting/bob"}) {
		t.Fatalf("%q is on its way", got)
	}
	d := c.Host.Outbox[0]
	if d.Via != "mail" || d.To != "bob" || d.Subject != "Hello" || d.Text != "Hello, bob" {
		t.Errorf("%+v", d)
	}
	c.Host.Limited = []string{"eve"}
	if r := c.Do(guesttest.Request{Method: "POST", Path: "/greetings/eve"}); r.Status != 429 {
		t.Errorf("who has had enough: %v", r)
	}
	c.Host.Undelivered = []string{"mail"}
	if r := c.Do(guesttest.Request{Method: "POST", Path: "/greetings/joe"}); r.Status != 500 {
		t.Errorf("without a way: %v", r)
	}
	if got := keys(c); len(got) != 1 {
		t.Errorf("%q is on its way", got)
	}
}

func TestAnOutcomeIsToldAndMayDispatchMore(t *testing.T) {
	c := newGreetings(t)
	for _, step := range []struct {
		outcome abi.Outcome
		state   string
		sent    []string
	}{
		{abi.Outcome{To: "bob", Sent: true, Attempts: 2}, "sent at the attempt 2", nil},
		{abi.Outcome{To: "joe", Reason: "no such mailbox"}, "failed: no such mailbox", []string{"text/joe"}},
	} {
		if err := c.Tell(step.outcome); err != nil {
			t.Error(err)
		}
		if r := c.Do(guesttest.Request{Path: "/greetings/" + step.outcome.To}); string(r.Raw) != step.state || !slices.Equal(keys(c), step.sent) {
			t.Errorf("%s: %q, and %q is on its way", step.outcome.To, r.Raw, keys(c))
		}
	}
	// What a plugin only wants it can do without.
	c.Host.Undelivered = []string{"webhook:sms"}
	if err := c.Tell(abi.Outcome{To: "ann", Reason: "no"}); err != nil || len(keys(c)) != 1 {
		t.Errorf("%v, and %q is on its way", err, keys(c))
	}
}

func TestAnOutcomeThatFailsIsNotKept(t *testing.T) {
	c := newGreetings(t)
	c.Host.Limited = []string{"joe"}
	if err := c.Tell(abi.Outcome{To: "joe", Reason: "no"}); err == nil || c.Host.Len() > 0 || len(c.Host.Outbox) > 0 {
		t.Errorf("%v, %d entries, %q", err, c.Host.Len(), keys(c))
	}
	c.Host.Limited = nil
	if err := c.Tell(abi.Outcome{To: "joe", Reason: "no"}); err != nil || c.Host.Len() != 1 || len(c.Host.Outbox) != 1 {
		t.Errorf("told again: %v, %d entries, %q", err, c.Host.Len(), keys(c))
	}
}

func TestWhoIsToldOutcomesIsDescribed(t *testing.T) {
	p := guest.New("deaf", "1.0.0")
	if d := p.Description(); d.Outcomes || len(d.Wants) > 0 {
		t.Errorf("%+v", d)
	}
	if err := guesttest.New(t, p).Tell(abi.Outcome{To: "bob"}); err == nil {
		t.Error("a plugin without a handler was told")
	}
	p.Want("webhook:a")
	p.Want("webhook:b", abi.GrantMail)
	p.Outcomes(greeted)
	if d := p.Description(); !d.Outcomes || !slices.Equal(d.Wants, []string{"webhook:a", "webhook:b", "mail"}) || !slices.Equal(d.Grants, []string{"kv"}) {
		t.Errorf("%+v", d)
	}
}
