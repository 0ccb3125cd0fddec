package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestReportReplacesItsRowAndKeepsTheOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.json")
	t.Setenv(EnvFile, file)
	testing.Benchmark(func(b *testing.B) {
		Report(b, "call/empty", "wazero", "µs", 2, 1, Smaller)
		Report(b, "calls", "wazero", "1/s", 300, 100, Larger)
		Report(b, "call/empty", "other", "µs", 1, 80, Smaller)
		Report(b, "call/empty", "wazero", "µs", 0.123456, 0.246912, Smaller)
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	want := []Row{
		{"call/empty", "wazero", 0.1235, 0.2469, "µs", 2},
		{"calls", "wazero", 300, 100, "1/s", 3},
		{"call/empty", "other", 1, 80, "µs", 80},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d: %s", len(rows), len(want), text)
	}
	for i := range want {
		if rows[i] != want[i] {
			t.Errorf("row %d: %+v, want %+v", i, rows[i], want[i])
		}
	}
}

func TestAFileThatIsNoListIsLeftAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := put(file, Row{Name: "a"}); err == nil {
		t.Fatal("want an error")
	}
	if text, _ := os.ReadFile(file); string(text) != "{" {
		t.Fatalf("file is now %q", text)
	}
}

func TestMedianAndSpread(t *testing.T) {
	v := []float64{9, 1, 5, 3, 7}
	if m := median(v); m != 5 {
		t.Errorf("median %v, want 5", m)
	}
	if s := spread(v); s != 80 {
		t.Errorf("spread %v, want 80", s)
	}
	if v[0] != 9 {
		t.Error("the rounds were reordered")
	}
}
