package deploy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
)

func TestADiffSaysWhatChanged(t *testing.T) {
	one := Spec{Name: "d", Hosts: []string{"*"}, Plugins: []PluginSpec{{Name: "p", Source: "p.wasm", Instances: 2}}}
	two := one
	two.Cores = 0.5
	const want = `--- version 1
+++ version 2
@@ -1,6 +1,7 @@
 [[deployment]]
 name = "d"
 hosts = ["*"]
+cores = 0.5
 
 [[deployment.plugin]]
 name = "p"
`
	if got := Diff(one.TOML(), two.TOML(), "version 1", "version 2"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Diff(one.TOML(), one.TOML(), "a", "b"); got != "" {
		t.Errorf("of equal texts: %q", got)
	}
}

func TestADiffOfLargeOrStrangeTextsIsMade(t *testing.T) {
	var a, b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&a, "key%d = \"%d\"\n", i, i*7919)
		fmt.Fprintf(&b, "other%d = \"%d\"\n", i, i*6311)
	}
	for _, c := range [][2]string{
		{a.String(), b.String()}, {"", a.String()}, {a.String(), ""}, {"a\xff\n", "a\xfe\n"}, {"\xff\xff\xff", "\xff"}, {"a", "a\n"}, {"é\n\x80", "\xc3\n\xa9"},
	} {
		if got := Diff(c[0], c[1], "old", "new"); !strings.HasPrefix(got, "--- old\n+++ new\n@@ ") {
			t.Errorf("%.20q, %.20q: got %.200q", c[0], c[1], got)
		}
		if got, err := udiff.Apply(c[0], lineEdits(c[0], c[1])); err != nil || got != c[1] {
			t.Errorf("%.20q: the edits make %.200q of it, %v; want %.20q", c[0], got, err, c[1])
		}
	}
}

func TestATextOfMoreLinesThanCharactersIsReplacedAsAWhole(t *testing.T) {
	var many strings.Builder
	for i := range 1 << 20 {
		fmt.Fprintln(&many, i)
	}
	edits := lineEdits(many.String(), "x\n")
	if got, err := udiff.Apply(many.String(), edits); len(edits) != 1 || err != nil || got != "x\n" {
		t.Errorf("%d edits make %.200q of it, %v", len(edits), got, err)
	}
}

func FuzzDiff(f *testing.F) {
	f.Add("a\nb\n", "a\nc\n")
	f.Add("\xff\n", "\xc3\xa9")
	f.Fuzz(func(t *testing.T, a, b string) {
		if got := Diff(a, b, "a", "b"); (got == "") != (a == b) {
			t.Errorf("%q, %q: got %q", a, b, got)
		}
		if got, err := udiff.Apply(a, lineEdits(a, b)); err != nil || got != b {
			t.Errorf("%q: the edits make %q of it, %v; want %q", a, got, err, b)
		}
	})
}
