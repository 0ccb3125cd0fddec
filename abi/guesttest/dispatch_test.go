package guesttest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestDispatchFailsAsTheHostHasItFail(t *testing.T) {
	mail := func(key string) *abi.Dispatch {
		return &abi.Dispatch{Key: key, Via: abi.GrantMail, To: "bob@example.org", Text: key}
	}
	for name, c := range map[string]struct {
		readOnly bool
		change   func(h *guesttest.Host)
		dispatch func(r *guest.Request) error
		want     error
		kept     []string // texts
	}{
		"of nothing new": {dispatch: func(r *guest.Request) error {
			return errors.Join(r.Dispatch(mail("a")), r.Dispatch(mail("b")), r.Dispatch(mail("a")))
		}, kept: []string{"a", "b"}},
		"of what is known": {change: func(h *guesttest.Host) { h.Outbox = append(h.Outbox, mail("a")) },
			dispatch: func(r *guest.Request) error { return errors.Join(r.Dispatch(mail("a")), r.Dispatch(mail("b"))) }, kept: []string{"a", "b"}},
		"without a way": {change: func(h *guesttest.Host) { h.Undelivered = []string{"webhook:sms", "mail"} },
			dispatch: func(r *guest.Request) error { return r.Dispatch(mail("a")) }, want: abi.ErrDenied},
		"to who has had enough": {change: func(h *guesttest.Host) { h.Limited = []string{"bob@example.org"} },
			dispatch: func(r *guest.Request) error { return r.Dispatch(mail("a")) }, want: abi.ErrLimited},
		"of what is none":               {dispatch: func(r *guest.Request) error { return r.Dispatch(&abi.Dispatch{}) }, want: abi.ErrArgument},
		"in a call that only reads":     {readOnly: true, dispatch: func(r *guest.Request) error { return r.Dispatch(mail("a")) }, want: abi.ErrReadOnly},
		"of more than a call may, once": {dispatch: dispatches(abi.MaxDispatches+1, mail), want: abi.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			p := guest.New("notes", "1")
			var failed error
			handler := func(w *guest.Response, r *guest.Request) error {
				failed = c.dispatch(r)
				return failed
			}
			if c.readOnly {
				p.Family("/", nil).POST("/", handler, guest.ReadOnly)
			} else {
				p.Family("/", nil).POST("/", handler)
			}
			client := guesttest.New(t, p)
			if c.change != nil {
				c.change(client.Host)
			}
			client.Do(guesttest.Request{Method: "POST", Path: "/"})
			var kept []string
			for _, d := range client.Host.Outbox {
				kept = append(kept, d.Text)
			}
			if !errors.Is(failed, c.want) || fmt.Sprint(kept) != fmt.Sprint(c.kept) {
				t.Errorf("%v, and %q is on its way; want %v and %q", failed, kept, c.want, c.kept)
			}
		})
	}
}

// dispatches is a call that dispatches n times, until that fails.
func dispatches(n int, mail func(key string) *abi.Dispatch) func(r *guest.Request) error {
	return func(r *guest.Request) error {
		for i := range n {
			if err := r.Dispatch(mail(fmt.Sprint(i))); err != nil {
				return err
			}
		}
		return nil
	}
}
