package trail

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/bench/peers/app"
	"github.com/edgeset/edgeset/store"
)

func TestAppOnTheStore(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, code, err := s.Create(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	var r app.Room
	for _, body := range []string{"[[11,1,2,3,4,5,6,7]]", "[[12,1,2,3,4,5,6,7]]"} {
		err := s.Update(t.Context(), func(ctx context.Context) error {
			if status, reply := r.Upload(From(ctx), nil, "ann", id, []byte(body), 1000); status != 200 {
				t.Errorf("%d %s", status, reply)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err = s.Update(t.Context(), func(ctx context.Context) error {
		status, reply := r.View(From(ctx), nil, code, "me", 0, 1000)
		if status != 200 || !strings.Contains(string(reply), `"location":[[11,1,2,3,4,5,6,7],[12,1,2,3,4,5,6,7]]`) {
			t.Errorf("%d %s", status, reply)
		}
		var n int
		app.EachEntry(From(ctx).Frame(nil, []byte("g"), []byte("h"), 10), func(key, value []byte) bool {
			n++
			return strings.HasPrefix(string(key), "g"+id+"/") && len(value) > 0
		})
		if n != 2 {
			t.Errorf("%d uploads in the frame, want 2", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnErrorUndoesTheCall(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		key  []byte
		err  error
		want error
	}{
		"of the guest": {[]byte("a"), failed, failed},
		"of the store": {make([]byte, 2*store.MaxKeySize), nil, store.ErrKeyTooLarge},
	} {
		err := s.Update(t.Context(), func(ctx context.Context) error {
			From(ctx).Put([]byte("a"), []byte("1"))
			From(ctx).Put(c.key, []byte("1"))
			return c.err
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	err = s.Update(t.Context(), func(ctx context.Context) error {
		if _, found := From(ctx).Get([]byte("a")); found {
			t.Error("the write is there")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRoute(t *testing.T) {
	tokens := Tokens{"secret": "ann"}
	const token = "Bearer secret"
	for _, c := range []struct {
		method, path, authorization string
		want                        Request
		ok                          bool
	}{
		{"GET", "/empty", "", Request{Kind: Empty}, true},
		{"GET", "/v2/invites/c5", "", Request{Kind: View, ID: "c5"}, true},
		{"POST", "/v2/tickets/5/append_location", token, Request{Kind: Append, ID: "5", Owner: "ann"}, true},
		{"POST", "/v2/tickets/5/append_location", "Bearer other", Request{Kind: Append, ID: "5"}, false},
		{"POST", "/v2/users/self/create_ticket", token, Request{Kind: Create, Owner: "ann"}, true},
		{"POST", "/v2/users/self/create_ticket", "", Request{Kind: Create}, false},
		{"GET", "/v2/tickets/5/append_location", token, Request{}, true},
	} {
		if r, ok := tokens.Route(c.method, c.path, c.authorization); r != c.want || ok != c.ok {
			t.Errorf("%s %s: %+v, %v", c.method, c.path, r, ok)
		}
	}
}
