package migrate

import (
	"strings"
	"testing"
	"unicode"

	"github.com/edgeset/edgeset/abi"
)

func TestWhyAPluginGivesUpDoesNotSteerATerminal(t *testing.T) {
	var body, w abi.Writer
	(&abi.Error{Status: 500, Code: "x", Message: "\x1b[2J\u009b31m\u202egone" + strings.Repeat("a", 5000)}).Append(&body)
	(&abi.Reply{Status: 500, BodyKind: abi.BodyError, Body: body.Value()}).Append(&w)
	_, err := readBatch(w.Value())
	if err == nil || !strings.Contains(err.Error(), "gone") || len(err.Error()) > 1000 {
		t.Fatalf("%v", err)
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q", err.Error())
	}
}
