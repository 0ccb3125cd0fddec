package edge

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

func TestOnlyWhatIsGrantedIsReadOfOthers(t *testing.T) {
	s := open(t)
	for _, name := range []string{"status", "statu", "status-b", "p"} {
		with(t, s, plugin(name), func(c *Call) {
			for _, key := range []string{"\x00", "k", "\xff\xff"} {
				must(t, c.Put([]byte(key), []byte(name), 0))
			}
			must(t, c.VarSet("v", []byte(name)))
		})
	}
	reader := plugin("p")
	with(t, s, reader, func(c *Call) {
		_, _, get := c.GetShared("status", []byte("k"))
		_, scan := c.ScanShared("status", abi.Range{})
		if !errors.Is(get, abi.ErrDenied) || !errors.Is(scan, abi.ErrDenied) {
			t.Errorf("without the grant: %v, %v", get, scan)
		}
	})
	// The grant of a space of its own is another one.
	reader.Grants = []string{"read:status", "read:"}
	with(t, s, reader, func(c *Call) {
		for _, name := range []string{"statu", "status-b", "p", "status\x00k", "", "*"} {
			_, _, get := c.GetShared(name, []byte("k"))
			_, scan := c.ScanShared(name, abi.Range{})
			if !errors.Is(get, abi.ErrDenied) || !errors.Is(scan, abi.ErrDenied) {
				t.Errorf("%q: %v, %v", name, get, scan)
			}
		}
		if v, found, err := c.GetShared("status", []byte("k")); string(v) != "status" || !found || err != nil {
			t.Errorf("%q %t %v", v, found, err)
		}
		for _, key := range []string{"none", "\x01v", "-b\x00k"} {
			if _, found, err := c.GetShared("status", []byte(key)); found || err != nil {
				t.Errorf("key %q: %t %v", key, found, err)
			}
		}
		for _, r := range []abi.Range{{}, {Reverse: true}, {Start: []byte{0}}, {End: []byte{0xff, 0xff, 0xff}}, {Start: []byte{0}, Reverse: true}} {
			page, err := c.ScanShared("status", r)
			must(t, err)
			want := []string{"\x00", "k", "\xff\xff"}
			if r.Reverse {
				slices.Reverse(want)
			}
			if !slices.Equal(keys(page), want) || string(page.Entries[0].Value) != "status" {
				t.Errorf("%+v: %q", r, page.Entries)
			}
		}
		// It reads, and has nothing to write with; its own space was not granted.
		if _, _, err := c.Get([]byte("k")); !errors.Is(err, abi.ErrDenied) {
			t.Errorf("its own: %v", err)
		}
		large := bytes.Repeat([]byte("k"), maxKey+2)
		_, _, none := c.GetShared("status", nil)
		_, _, get := c.GetShared("status", large)
		_, scan := c.ScanShared("status", abi.Range{Start: large})
		for _, err := range []error{none, get, scan} {
			if !errors.Is(err, abi.ErrKey) {
				t.Errorf("a key that is none: %v", err)
			}
		}
	})
	// At the start there is no transaction.
	var c Call
	c.Start(t.Context(), reader, "start")
	if _, _, err := c.GetShared("status", []byte("k")); !errors.Is(err, abi.ErrDenied) {
		t.Errorf("at the start: %v", err)
	}
}

func TestWhatIsReadOfOthersIsTracked(t *testing.T) {
	s := open(t)
	p := plugin("p")
	p.Grants = append(p.Grants, "read:status")
	with(t, s, p, func(c *Call) {
		c.TrackReads = true
		_, _, err := c.GetShared("status", []byte("a"))
		must(t, err)
		if want := [][]byte{[]byte("status\x00a")}; !slices.EqualFunc(c.Reads, want, bytes.Equal) || c.Scanned {
			t.Errorf("reads %q, scanned %t", c.Reads, c.Scanned)
		}
		_, err = c.ScanShared("status", abi.Range{})
		must(t, err)
		if !c.Scanned {
			t.Error("a scan was not noticed")
		}
	})
	// The other one's write meanwhile is a conflict.
	for name, read := range map[string]func(c *Call) error{
		"get":  func(c *Call) error { _, _, err := c.GetShared("status", []byte("k")); return err },
		"scan": func(c *Call) error { _, err := c.ScanShared("status", abi.Range{}); return err },
	} {
		var c Call
		c.Start(t.Context(), p, "test")
		err := s.Update(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			must(t, read(&c))
			with(t, s, plugin("status"), func(c *Call) { must(t, c.Put([]byte("k"), []byte(name), 0)) })
			return c.Put([]byte("seen"), nil, 0)
		})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want a conflict", name, err)
		}
	}
}
