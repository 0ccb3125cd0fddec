package engine_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	native "github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// TestPrivateMemoryOfAnInstance asks the kernel how much memory of its own an
// instance of our plugins has that has served and now waits.
func TestPrivateMemoryOfAnInstance(t *testing.T) {
	const limit = 1500 << 10
	for _, name := range []string{"sharing", "signing"} {
		t.Run(name, func(t *testing.T) {
			var w abi.Writer
			(&abi.Request{Kind: abi.CallDescribe}).Append(&w)
			v := loadGuest(t, goEngine(t), engine.Options{Rehearsal: w.Value()},
				wasmtest.Build(t, "plugins/"+name), edge.Module{}, native.Module())
			if !v.Warm() {
				t.Fatal("it does not start from a snapshot")
			}
			const n = 10
			var all []engine.Single
			for range n {
				s := start(t, v)
				all = append(all, s)
				for range 3 {
					if _, err := s.Call(t.Context(), w.Value(), nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			total := 0
			for _, s := range all {
				total += private(t, s)
			}
			t.Logf("%d KiB of %d are an instance's own", total/n>>10, len(all[0].Memory())>>10)
			if total == 0 || total/n > limit {
				t.Errorf("an instance has %d bytes of its own: want %d at most", total/n, limit)
			}
		})
	}
}

// private sums up what smaps says of an instance's memory.
func private(t *testing.T, s engine.Single) (bytes int) {
	t.Helper()
	from, to := s.Region()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		var start, end uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &start, &end); n == 2 {
			inside = start >= from && end <= to
			continue
		}
		if inside && (strings.HasPrefix(line, "Private_") || strings.HasPrefix(line, "Swap:")) {
			var kib int
			if _, err := fmt.Sscanf(line[strings.Index(line, ":")+1:], "%d", &kib); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			bytes += kib << 10
		}
	}
	return bytes
}
