package bench

import (
	"strings"
	"testing"
)

func TestPrintRows(t *testing.T) {
	var out strings.Builder
	err := PrintRows(&out, []Row{
		{Name: "http/view", Peer: "native", Ours: 66.64, Theirs: 26.44, Unit: "µs", Ratio: 0.3967},
		{Name: "call/empty", Peer: "extism-go-sdk", Ours: 0.09227, Theirs: 1040.2, Unit: "µs", Ratio: 433.7, SpreadOurs: 4, SpreadTheirs: 11},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
| what       | peer          | ours         | theirs     | unit | ratio |
| ---        | ---           | ---          | ---        | ---  | ---   |
| call/empty | extism-go-sdk | 0.0923 ± 2 % | 1040 ± 6 % | µs   | 434   |
| http/view  | native        | 66.6         | 26.4       | µs   | 0.397 |
`
	if got := out.String(); got != want[1:] {
		t.Errorf("\n%s", got)
	}
}

func TestPrintEnvironment(t *testing.T) {
	var out strings.Builder
	if err := PrintEnvironment(t.Context(), &out, "github.com/tetratelabs/wazero"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CPU ", " cores", "kernel ", "Go         go1.", "module     github.com/tetratelabs/wazero v1."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
	if err := PrintEnvironment(t.Context(), &out, "example.com/none"); err == nil || !strings.Contains(err.Error(), "example.com/none") {
		t.Errorf("a module that is not there: %v", err)
	}
}
