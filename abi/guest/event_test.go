package guest_test

import (
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// Events are counted through all sockets, in whatever order they are declared.
func TestEventsReachTheirHandlers(t *testing.T) {
	p := guest.New("chat", "1.0.0")
	f := p.Family("/chat", nil)
	says := func(text string) guest.Handler {
		return func(w *guest.Response, _ *guest.Request) error {
			w.Value().Text(text)
			return nil
		}
	}
	one, two := f.Socket("/one/"), f.Socket("/two/")
	two.On("first", says("two first"), "")
	one.On("first", says("one first"), "")
	two.On("second", says("two second"), "")
	one.On("second", says("one second"), "")

	c := guesttest.New(t, p)
	for path, name := range map[string]string{"/one/": "one", "/two/": "two"} {
		conn := c.Connect(path)
		for _, event := range []string{"first", "second"} {
			if got := conn.Emit(event, "[]", nil); got.JSON != name+" "+event {
				t.Errorf("%s at %s is answered by %v", event, path, got)
			}
		}
	}
	if grants := p.Description().Grants; len(grants) != 2 {
		t.Errorf("it asks for %q, want kv and events once", grants)
	}
}
