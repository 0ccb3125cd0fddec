package wasmtest

import (
	_ "embed"
	"regexp"
	"strings"
	"testing"
)

// MarkHeader is the header with the mark of the build that has answered.
const MarkHeader = "X-Build"

// markSource is put into package guest, and so into every plugin.
//
//go:embed testdata/mark.go
var markSource string

// markEdits are the places at which each answer of a plugin comes by: where the
// guest has made one, and the form of errors, which the host fills in, also where
// the plugin is not asked.
func markEdits(mark string) []Edit {
	return []Edit{
		{"abi/guest/mark.go", "", strings.ReplaceAll(markSource, `"MARK"`, `"`+mark+`"`)},
		{"abi/guest/call.go", "	c.bodyB = c.body.Value()\n",
			"	if q.raw.Kind == abi.CallRequest || q.raw.Kind == abi.CallEvent {\n\t\tc.mark()\n	}\n	c.bodyB = c.body.Value()\n"},
		{"abi/guest/plugin.go", "Errors: errors}", "Errors: markedValue(errors)}"},
	}
}

var validMark = regexp.MustCompile(`^[a-z0-9.-]{1,32}$`)

// Marked builds a plugin of this repository, "sharing", such that each of its
// answers tells that it is of this build, see MarkOf. The mark is of a-z, 0-9, '.'
// and '-'.
//
// What the plugin does and stores is the same. Its answers have the header
// MarkHeader, and in the body: a map the keys "build" and "build_last"; an array
// the maps {"build": …} as first and last element; XML an attribute and an element;
// a page comments; the message of an error a suffix, and the form of errors the two
// keys. So an error of the guest has marks of both the guest and the routing table.
// Pictures, redirects and events of a stream have the header alone.
func Marked(t testing.TB, plugin, mark string) []byte {
	t.Helper()
	if !validMark.MatchString(mark) {
		t.Fatalf("wasmtest: mark %q: want 1 to 32 of a-z, 0-9, '.' and '-'", mark)
	}
	return BuildVariant(t, "plugins/"+plugin, markEdits(mark)...)
}

var markText = regexp.MustCompile(`build=([a-z0-9.-]+)/(first|last|message)`)

// MarkOf returns the mark of the build that made an answer. It is given the value of
// MarkHeader, "" if there is none, several with commas, and the body, not compressed. The mark is "" if
// the answer is not one of a marked plugin. mixed tells that the answer is not
// wholly of one build: it has several marks, or a body's first and not its last.
func MarkOf(header string, body []byte) (mark string, mixed bool) {
	mark, _, mixed = strings.Cut(header, ",")
	open := 0
	for _, m := range markText.FindAllSubmatch(body, -1) {
		found := string(m[1])
		if mark == "" {
			mark = found
		}
		mixed = mixed || found != mark
		switch string(m[2]) {
		case "first":
			open++
		case "last":
			open--
		}
	}
	return mark, mixed || open != 0
}
