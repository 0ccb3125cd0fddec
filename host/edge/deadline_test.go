package edge

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/store"
)

// late runs fn as a call whose time is up after d, and returns why it failed.
func late(t *testing.T, p *Plugin, d time.Duration, fn func(c *Call) error) error {
	t.Helper()
	s := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var c Call
	c.Start(ctx, p, "test")
	defer c.End()
	err := s.View(t.Context(), "space", func(txn store.Txn) error {
		c.Begin(txn)
		if err := fn(&c); !errors.Is(err, abi.ErrHost) {
			t.Errorf("the plugin was told %v", err)
		}
		return c.Failure()
	})
	return err
}

func TestPasswordHashingEndsWithTheCall(t *testing.T) {
	// All of the places are taken, so the call waits for one.
	for range cap(hashing) {
		hashing <- struct{}{}
	}
	free := func() {
		for range cap(hashing) {
			<-hashing
		}
	}
	for name, fn := range map[string]func(c *Call) error{
		"hash":   func(c *Call) error { _, err := c.HashPassword([]byte("secret")); return err },
		"verify": func(c *Call) error { _, err := c.VerifyPassword(nil, []byte("secret")); return err },
	} {
		if err := late(t, plugin("p"), 10*time.Millisecond, fn); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	free()
	// The dearest hash that is checked takes hundreds of milliseconds. The call is
	// over while it is made still, and its place is free some time after.
	const dear = "$argon2id$v=19$m=77824,t=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	err := late(t, plugin("p"), 10*time.Millisecond, func(c *Call) error {
		_, err := c.VerifyPassword([]byte(dear), []byte("secret"))
		if len(hashing) != 1 {
			t.Error("the call waited for the hash")
		}
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for range cap(hashing) {
		hashing <- struct{}{}
	}
	free()
}

func TestReadingEndsWithTheCall(t *testing.T) {
	for name, fn := range map[string]func(c *Call) error{
		"get":  func(c *Call) error { _, _, err := c.Get([]byte("k")); return err },
		"many": func(c *Call) error { _, err := c.GetMany([][]byte{{1}, {2}}); return err },
		"scan": func(c *Call) error { _, err := c.Scan(abi.Range{}); return err },
	} {
		err := late(t, plugin("p"), 10*time.Millisecond, func(c *Call) error {
			for { // or to the bound of what a call reads
				if err := fn(c); err != nil {
					return err
				}
			}
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnOutboundRequestEndsWithTheCall(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	p := plugin("p")
	var err error
	if p.Egress, err = extism.NewEgress([]string{"private:" + strings.TrimPrefix(server.URL, "http://")}); err != nil {
		t.Fatal(err)
	}
	defer p.Egress.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var c Call
	c.Start(ctx, p, "test")
	defer c.End()
	err = open(t).View(t.Context(), "space", func(txn store.Txn) error {
		c.Begin(txn)
		begin := time.Now()
		_, err := c.HTTP(&extism.HTTPRequest{Method: "GET", URL: server.URL})
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		return err
	})
	if !errors.Is(err, context.Canceled) { // of the request's own context, which ends with the call's
		t.Error(err)
	}
}
