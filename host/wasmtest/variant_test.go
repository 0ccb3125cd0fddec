package wasmtest

import (
	"bytes"
	"strings"
	"testing"
)

const emptyPlugin = "host/engine/testdata/pdkempty"

func TestAVariantIsAnotherModuleAndLeavesTheSourceAlone(t *testing.T) {
	plain := Build(t, emptyPlugin)
	edits := []Edit{
		{emptyPlugin + "/main.go", "func main() {}", "func main() { println(\"one\" + text) }"},
		{emptyPlugin + "/main.go", "\"one\"", "\"a text that no other build has\""},
		{emptyPlugin + "/text.go", "", "package main\n\nconst text = \"!\"\n"},
	}
	variant := BuildVariant(t, emptyPlugin, edits...)
	if !bytes.HasPrefix(variant, []byte("\x00asm")) || !bytes.Contains(variant, []byte("a text that no other build has!")) {
		t.Fatalf("%d bytes without the edits", len(variant))
	}
	if again := BuildVariant(t, emptyPlugin, edits...); &again[0] != &variant[0] {
		t.Error("built twice")
	}
	if other := BuildVariant(t, emptyPlugin); !bytes.Equal(other, plain) {
		t.Error("without edits it is another module than the plugin")
	}
}

func TestAnEditThatDoesNotFitIsRefused(t *testing.T) {
	for _, c := range []struct {
		edit Edit
		want string
	}{
		{Edit{emptyPlugin + "/main.go", "no such text", ""}, `"no such text" stands there 0 times: want it once`},
		{Edit{emptyPlugin + "/main.go", "a", ""}, "times: want it once"},
		{Edit{emptyPlugin + "/none.go", "a", ""}, "none.go: no such file"},
		{Edit{emptyPlugin + "/main.go", "", "package main"}, "it is there already"},
		{Edit{"../main.go", "a", ""}, "want a path relative to the module's root"},
		{Edit{"/main.go", "a", ""}, "want a path relative to the module's root"},
		{Edit{emptyPlugin + "/main.go", "func main() {}", "func main() { wrong }"}, "undefined: wrong"},
	} {
		if _, err := compile(emptyPlugin, "", []Edit{c.edit}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.edit, err, c.want)
		}
	}
}
