package deploy

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Diff returns what has to be changed to make one manifest of another, as a unified
// diff; "" if they are equal.
func Diff(old, new string, oldName, newName string) string {
	if old == new {
		return ""
	}
	// An error would say that the edits do not fit together; these are of whole lines.
	text, _ := udiff.ToUnified(oldName, newName, old, lineEdits(old, new), udiff.DefaultContextLines)
	return text
}

// lineEdits finds the lines that differ. The library compares characters, and would
// call a line changed to whose end another was added. So each line is made a
// character, all of them of four bytes.
func lineEdits(old, new string) []udiff.Edit {
	const first, most = 0x10000, 0x100000
	var lines []string // by their characters
	numbers := map[string]rune{}
	characters := func(text string) string {
		var b strings.Builder
		for line := range strings.Lines(text) {
			n, seen := numbers[line]
			if !seen {
				n = first + rune(len(lines))
				numbers[line] = n
				lines = append(lines, line)
			}
			b.WriteRune(n)
		}
		return b.String()
	}
	before, after := characters(old), characters(new)
	if len(lines) > most { // far more than manifests have
		return []udiff.Edit{{Start: 0, End: len(old), New: new}}
	}
	starts := []int{0} // of the lines of old
	for line := range strings.Lines(old) {
		starts = append(starts, starts[len(starts)-1]+len(line))
	}
	edits := udiff.Strings(before, after)
	for i, e := range edits {
		var text strings.Builder
		for _, n := range e.New {
			text.WriteString(lines[n-first])
		}
		edits[i] = udiff.Edit{Start: starts[e.Start/4], End: starts[e.End/4], New: text.String()}
	}
	return edits
}
