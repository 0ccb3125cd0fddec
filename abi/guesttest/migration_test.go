package guesttest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// put is a plugin that writes what a request has, under its path.
func put() *guest.Plugin {
	p := guest.New("notes", "1.0.0")
	f := p.Family("/notes", nil)
	f.PUT("/notes/*key", func(w *guest.Response, r *guest.Request) error {
		return r.KV().Put([]byte(r.Param("key")), r.RawBody())
	}, guest.Raw)
	f.GET("/notes/*key", func(w *guest.Response, r *guest.Request) error {
		value, _, err := r.KV().Get([]byte(r.Param("key")))
		w.Bytes("text/plain", value)
		return err
	})
	p.Schema(2, guest.Reads(1))
	return p
}

// migrating is that plugin with a migration.
func migrating(fn guest.Migrator) *guest.Plugin {
	p := put()
	p.Migrate(fn)
	return p
}

// filled returns a client whose host has notes under a/, b/ and c/.
func filled(t *testing.T, p *guest.Plugin, n int) *guesttest.Client {
	c := guesttest.New(t, p)
	for i := range n {
		for _, prefix := range []string{"a", "b", "c"} {
			c.Do(guesttest.Request{Method: "PUT", Path: fmt.Sprintf("/notes/%s/%02d", prefix, i), Raw: []byte("old")})
		}
	}
	return c
}

func TestAMigrationIsMadeInBatches(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 7} {
		seen := map[string]int{}
		p := migrating(func(m *guest.Migration) error {
			if m.From != 1 || m.To != 2 || m.Limit < 1 {
				t.Errorf("%+v", m)
			}
			for _, name := range []string{"a/", "c/"} {
				err := m.Each(guest.Prefix([]byte(name)), func(key, value []byte) error {
					seen[string(key)]++
					return m.KV().Put(key, append([]byte("new, was "), value...))
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		c := filled(t, p, n)
		done, batches, err := c.Host.Migrate(p, 1)
		if err != nil || done != 2*n || batches < 2*n/3 {
			t.Errorf("%d notes: %d done in %d batches, %v", n, done, batches, err)
		}
		if len(seen) != 2*n {
			t.Errorf("%d notes: seen %v", n, seen)
		}
		for key, times := range seen {
			if r := c.Do(guesttest.Request{Path: "/notes/" + key}); times != 1 || string(r.Raw) != "new, was old" {
				t.Errorf("%s: seen %d times, is %q", key, times, r.Raw)
			}
		}
		if n > 0 {
			if r := c.Do(guesttest.Request{Path: "/notes/b/00"}); string(r.Raw) != "old" {
				t.Errorf("beside the ranges: %q", r.Raw)
			}
		}
	}
}

func TestAMigrationThatFailsKeepsTheBatchesBefore(t *testing.T) {
	broken := errors.New("broken")
	batches := 0
	p := migrating(func(m *guest.Migration) error {
		if batches++; batches == 2 {
			if err := m.KV().Put([]byte("half"), nil); err != nil {
				return err
			}
			return broken
		}
		return m.Each(guest.Prefix([]byte("a/")), func(key, value []byte) error { return m.KV().Put(key, []byte("new")) })
	})
	c := filled(t, p, 5)
	done, n, err := c.Host.Migrate(p, 1)
	if done != 3 || n != 1 || err == nil || !strings.Contains(err.Error(), `batch behind cursor "a/02\x00": migration: broken`) {
		t.Errorf("%d in %d, %v", done, n, err)
	}
	for key, want := range map[string]string{"a/02": "new", "a/03": "old", "half": ""} {
		if r := c.Do(guesttest.Request{Path: "/notes/" + key}); string(r.Raw) != want {
			t.Errorf("%s is %q, want %q", key, r.Raw, want)
		}
	}
	if c.Host.Len() != 15 {
		t.Errorf("%d entries: what the failed batch has written is kept", c.Host.Len())
	}
}

func TestACursorHasToRise(t *testing.T) {
	for name, next := range map[string]func(cursor []byte) []byte{
		"still":  func([]byte) []byte { return []byte("k") },
		"empty":  func([]byte) []byte { return nil },
		"fallen": func(c []byte) []byte { return []byte{'z' - byte(len(c))} },
	} {
		p := migrating(func(m *guest.Migration) error { m.Next(next(m.Cursor)); return nil })
		if _, _, err := guesttest.NewHost(t).Migrate(p, 1); err == nil || !strings.Contains(err.Error(), "want it to rise") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := guesttest.NewHost(t).Migrate(put(), 1); err == nil {
		t.Error("a plugin without a migration migrates")
	}
}

func TestASchemaIsDescribed(t *testing.T) {
	for _, c := range []struct {
		describe func(p *guest.Plugin)
		want     abi.Schema
	}{
		{func(p *guest.Plugin) {}, abi.Schema{}},
		{func(p *guest.Plugin) { p.Schema(3) }, abi.Schema{Version: 3, Reads: 3, Keeps: 3}},
		{func(p *guest.Plugin) { p.Schema(3, guest.Reads(0), guest.Keeps(2)) }, abi.Schema{Version: 3, Keeps: 2}},
		{func(p *guest.Plugin) { p.Migrate(nil); p.Schema(3, guest.Reads(2)) }, abi.Schema{Version: 3, Reads: 2, Keeps: 3, Migrates: true}},
		{func(p *guest.Plugin) { p.Schema(3, guest.Reads(2)); p.Migrate(nil) }, abi.Schema{Version: 3, Reads: 2, Keeps: 3, Migrates: true}},
	} {
		p := guest.New("x", "1")
		c.describe(p)
		if got := p.Description().Schema; got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

func TestAnotherPluginsEntriesAreRead(t *testing.T) {
	other := filled(t, put(), 2)
	p := guest.New("reader", "1")
	p.Need("read:notes")
	p.Family("/read", nil).GET("/read/:key", func(w *guest.Response, r *guest.Request) error {
		key := []byte(r.Param("key") + "/00")
		value, found, err := r.GetShared("notes", key)
		if err != nil {
			return guest.Errorf(403, "denied", "%v", err)
		}
		page, err := r.ScanShared("notes", guest.Prefix([]byte(r.Param("key"))))
		w.Bytes("text/plain", fmt.Appendf(nil, "%s %t %d", value, found, len(page.Entries)))
		return err
	})
	c := guesttest.New(t, p)
	if r := c.Do(guesttest.Request{Path: "/read/a"}); r.Status != 403 || !strings.Contains(fmt.Sprint(r), abi.ErrDenied.Error()) {
		t.Errorf("without the grant: %v", r)
	}
	c.Host.Share("notes", other.Host)
	for key, want := range map[string]string{"a": "old true 2", "x": " false 0"} {
		if r := c.Do(guesttest.Request{Path: "/read/" + key}); string(r.Raw) != want {
			t.Errorf("%s: %q, want %q", key, r.Raw, want)
		}
	}
}
