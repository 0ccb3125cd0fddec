package engine

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestNoMappingIsLeft starts and closes memories, and counts what the process
// has mapped and opened.
func TestNoMappingIsLeft(t *testing.T) {
	b := sparse(20 * pageSize)
	pagemap() // stays open
	mappings, files := countMappings(t), openFiles(t)
	for range 100 {
		c, err := newContent(b)
		if err != nil {
			t.Skip(err)
		}
		for range 10 {
			m, err := c.open(100 * pageSize)
			if err != nil {
				t.Fatal(err)
			}
			m.Reallocate(pageSize)[5] = 1
			m.Reallocate(30 * pageSize)
			m.reset()
			m.Free()
			m.close()
			m.close()
		}
		c.close()
	}
	// Go's own heap may have grown a little.
	if n := countMappings(t); n > mappings+20 {
		t.Errorf("%d mappings, %d before", n, mappings)
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d open files, %d before", n, files)
	}
}

func countMappings(t *testing.T) int {
	t.Helper()
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		n++
	}
	return n
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(target, "edgeset") {
			n++
		}
	}
	return n
}

// TestPrivatePages compares what the kernel says with what was written.
func TestPrivatePages(t *testing.T) {
	b := sparse(40 * pageSize)
	c, err := newContent(b)
	if err != nil {
		t.Skip(err)
	}
	defer c.close()
	if osPage > 4<<10 {
		t.Skip("the pages of this system are large")
	}
	m := open(t, c, 64*pageSize).(*mapped)
	m.Reallocate(64 * pageSize)
	s := new(scan)
	if !s.private(m) {
		t.Skip("this kernel does not tell")
	}
	if len(s.found) != 0 {
		t.Errorf("private before anything was written: %v", s.found)
	}
	sum := byte(0)
	for _, x := range m.bytes() { // reading makes nothing private
		sum += x
	}
	want := []int{0, 1, 2, 77, 300, 41 * pageSize / osPage}
	for _, page := range want {
		m.bytes()[page*osPage+9] = sum | 1
	}
	if !s.private(m) {
		t.Fatal("the kernel does not tell any more")
	}
	var got []int
	for _, r := range s.found {
		for at := r.start; at < r.end; at += uintptr(osPage) {
			got = append(got, int(at-uintptr(m.base))/osPage)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages %v, want %v", got, want)
	}
	for page := range keptPages + 1 {
		m.bytes()[page*osPage] = 1
	}
	if s.private(m) {
		t.Errorf("%d pages are to be kept", keptPages+1)
	}
}
