package engine

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// contents are the ways to keep a content that this system has.
func contents(t *testing.T, b []byte) map[string]content {
	t.Helper()
	kinds := map[string]content{"copied": newPlain(b)}
	if c, err := newContent(b); err == nil {
		t.Cleanup(c.close)
		kinds["mapped"] = c
	} else {
		t.Logf("no mapped content: %v", err)
	}
	return kinds
}

// sparse returns n bytes with something here and there.
func sparse(n int) []byte {
	b := make([]byte, n)
	for at := 0; at < n; at += 1 + rand.IntN(3*pageSize) {
		b[at] = byte(1 + rand.IntN(255))
	}
	return b
}

func open(t *testing.T, c content, limit uint64) memory {
	t.Helper()
	m, err := c.open(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

func TestMemory(t *testing.T) {
	b := sparse(40 * pageSize)
	clear(b[30*pageSize:])
	for kind, c := range contents(t, b) {
		t.Run(kind, func(t *testing.T) {
			m, other := open(t, c, 64*pageSize), open(t, c, 64*pageSize)
			// A module may begin with less than the image.
			if got := m.Reallocate(pageSize); !bytes.Equal(got, b) {
				t.Fatal("it does not begin with the content")
			}
			other.Reallocate(pageSize)
			written := 0
			for _, writes := range []int{1, 30, 500, 10_000, 30} { // more than are kept, too
				for range writes {
					m.bytes()[rand.IntN(len(b))] ^= 0xff
					written++
				}
				if bytes.Equal(m.bytes(), b) {
					t.Fatal("what was written is not there")
				}
				if !bytes.Equal(other.bytes(), b) || !bytes.HasPrefix(b, c.bytes()[:min(len(b), len(c.bytes()))]) {
					t.Fatal("what was written is seen by others")
				}
				if !m.reset() || !bytes.Equal(m.bytes(), b) {
					t.Fatalf("after %d writes, a reset does not bring the content back", written)
				}
			}
			m.bytes()[7]++
			grown := m.Reallocate(50 * pageSize)
			if len(grown) != 50*pageSize || grown[7] != b[7]+1 || !bytes.Equal(grown[8:len(b)], b[8:]) {
				t.Fatal("growing has changed it")
			}
			if i := bytes.IndexFunc(grown[len(b):], func(r rune) bool { return r != 0 }); i >= 0 {
				t.Fatalf("what has grown is not zero at %d", i)
			}
			grown[45*pageSize] = 1
			if grown = m.Reallocate(64 * pageSize); grown[45*pageSize] != 1 || len(grown) != 64*pageSize {
				t.Fatal("growing again has changed it")
			}
			if m.reset() {
				t.Fatal("what has grown was reset")
			}
		})
	}
}

func TestBlankMemory(t *testing.T) {
	for kind, c := range contents(t, nil) {
		t.Run(kind, func(t *testing.T) {
			none := open(t, c, 0)
			if b := none.Reallocate(0); len(b) != 0 {
				t.Fatalf("%d bytes", len(b))
			}
			m := open(t, c, 3*pageSize)
			for pages := range 4 {
				if b := m.Reallocate(uint64(pages) * pageSize); !bytes.Equal(b, make([]byte, pages*pageSize)) {
					t.Fatalf("%d pages: %d bytes, or not all zeros", pages, len(b))
				}
			}
		})
	}
}

// TestLinear has a system that cannot map any more.
func TestLinear(t *testing.T) {
	b := sparse(2 * pageSize)
	l := linear{from: unmappable{newPlain(b)}}
	m := l.Allocate(0, 4*pageSize)
	if got := m.Reallocate(pageSize); !bytes.Equal(got, b) {
		t.Error("it does not begin with the content")
	}
	if got := m.Reallocate(4 * pageSize); len(got) != 4*pageSize || !bytes.Equal(got[:len(b)], b) {
		t.Error("it does not grow")
	}
	l.close()
	l.close()
}

var errUnmappable = errors.New("no more mappings")

type unmappable struct{ *plain }

func (unmappable) open(uint64) (memory, error) { return nil, errUnmappable }
