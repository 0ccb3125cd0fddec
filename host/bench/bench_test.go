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
		{Name: "call/empty", Peer: "wazero", Ours: 0.1235, Theirs: 0.2469, Unit: "µs", Ratio: 2},
		{Name: "calls", Peer: "wazero", Ours: 300, Theirs: 100, Unit: "1/s", Ratio: 3},
		{Name: "call/empty", Peer: "other", Ours: 1, Theirs: 80, Unit: "µs", Ratio: 80},
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
	if err := Put(file, Row{Name: "a"}); err == nil {
		t.Fatal("want an error")
	}
	if text, _ := os.ReadFile(file); string(text) != "{" {
		t.Fatalf("file is now %q", text)
	}
}

func TestARowOfRoundsHasMediansAndSpreads(t *testing.T) {
	got := RoundsRow("a", "b", "ms", []float64{9, 1, 5, 3, 7}, []float64{10, 10, 10}, Smaller)
	if want := (Row{Name: "a", Peer: "b", Ours: 5, Theirs: 10, Unit: "ms", Ratio: 2, SpreadOurs: 80}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMedianAndSpread(t *testing.T) {
	v := []float64{9, 1, 5, 3, 7}
	if m := Median(v); m != 5 {
		t.Errorf("median %v, want 5", m)
	}
	if s := Spread(v); s != 80 {
		t.Errorf("spread %v, want 80", s)
	}
	if v[0] != 9 {
		t.Error("the rounds were reordered")
	}
}
