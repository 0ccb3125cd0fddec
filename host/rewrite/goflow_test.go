package rewrite

import (
	"os"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	b, err := os.ReadFile(os.Getenv("IN"))
	if err != nil {
		t.Fatal(err)
	}
	s := time.Now()
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	n, err := StructureGo(m)
	if err != nil {
		t.Fatal(err)
	}
	out := m.Encode()
	t.Log(n, len(m.Code), len(b), len(out), time.Since(s))
	os.WriteFile(os.Getenv("OUT"), out, 0o644)
}
