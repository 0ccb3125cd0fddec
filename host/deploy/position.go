package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what is told of a manifest.
const (
	maxFaults = 1000
	maxQuoted = 80 // bytes of a value that a message repeats
)

// faults collects what is wrong with a manifest, so that all of it is told at once.
type faults struct {
	file string
	list []fault
	more int // that are not in the list
}

type fault struct {
	line int
	text string
}

func (f *faults) add(line int, format string, args ...any) {
	if len(f.list) == maxFaults {
		f.more++
		return
	}
	f.list = append(f.list, fault{line, fmt.Sprintf(format, args...)})
}

// err joins them, in the order of the manifest; nil if there are none.
func (f *faults) err() error {
	slices.SortStableFunc(f.list, func(a, b fault) int { return a.line - b.line })
	var all []error
	for _, it := range f.list {
		all = append(all, fmt.Errorf("deploy: %s:%d: %s", f.file, it.line, it.text))
	}
	if f.more > 0 {
		all = append(all, fmt.Errorf("deploy: %s: and %d more", f.file, f.more))
	}
	return errors.Join(all...)
}

// A place is a table of a manifest, with how messages call it.
type place struct {
	*faults
	table *node
	who   string // `deployment "eu": plugin "signing": `
	path  string // of a table without a name of its own, before its keys: "canary."
}

// fault says what is wrong with a key, or with its being absent.
func (p place) fault(key, format string, args ...any) {
	line := p.table.line
	if n := p.table.keys[key]; n != nil {
		if n.bad {
			return // its type is wrong, and so there is no value to judge
		}
		line = n.line
	}
	p.add(line, "%s%s%s: %s", p.who, p.path, key, fmt.Sprintf(format, args...))
}

// entryFault says what is wrong with an entry of a list.
func (p place) entryFault(key string, i int, format string, args ...any) {
	p.add(p.entryLine(key, i), "%s%s%s: %s", p.who, p.path, key, fmt.Sprintf(format, args...))
}

func (p place) entryLine(key string, i int) int {
	return p.table.keys[key].items[i].line
}

// has tells whether a key is there, and has a value of its type.
func (p place) has(key string) bool {
	n := p.table.keys[key]
	return n != nil && !n.bad
}

// quote quotes a text of the manifest, of which a message repeats the start only.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	end := maxQuoted
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strconv.Quote(s[:end]) + "…"
}

// shown is how messages call a key of the manifest.
func shown(key string) string {
	if len(key) <= maxQuoted && bareOrQuoted(key) == key {
		return key
	}
	return quote(key)
}

// nearest returns the word that s was probably meant to be; "": there is none.
func nearest(s string, words []string) (found string) {
	best := min(3, len(s)) // "x" is not like any word of two letters
	for _, w := range words {
		if d := len(w) - len(s); d > 2 || d < -2 {
			continue
		}
		if d := distance(s, w); d < best {
			found, best = w, d
		}
	}
	return found
}

// distance counts the bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// words lists two or more to choose from: `"a", "b" or "c"`.
func words(list []string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted[:len(list)-1], ", ") + " or " + quoted[len(list)-1]
}
