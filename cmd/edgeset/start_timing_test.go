package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/plugins"
)

// BenchmarkStart measures from the start of a server's process to its first answer,
// with eight plugins: the time that clients are without it when it is restarted. Its
// peer is a server that finds nothing in its cache. A page that a store and a plugin
// have made is asked for, by a client that comes when the address is taken, and
// waits.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	var manifest strings.Builder
	for i, host := range []string{"*", "other.example"} {
		fmt.Fprintf(&manifest, "[[deployment]]\nname = \"d%d\"\nhosts = [%q]\n", i, host)
		for _, name := range plugins.Names {
			// The same plugins under another digest are others to the host.
			wasm := append(wasmtest.Build(b, "plugins/"+name), 0, 2, 1, '0'+byte(i))
			file := filepath.Join(dir, fmt.Sprintf("%s%d.wasm", name, i))
			if err := os.WriteFile(file, wasm, 0o600); err != nil {
				b.Fatal(err)
			}
			fmt.Fprintf(&manifest, "[[deployment.plugin]]\nname = %q\nsource = %q\ngrants = [\"kv\", \"passwords\", \"events\", \"blobs\"]\n", name, file)
		}
	}
	cache := filepath.Join(dir, "cache")
	s := newServer(b, manifest.String(), "--cache", cache)
	c := s.client().newUser(s.newApp("--deployment", "d0"))
	page := "http://" + s.listen + "/v2/invites/" + c.newInvite(c.newTicket())
	s.stop()

	start := func() float64 {
		begin := time.Now()
		s.launch()
		for {
			if resp, err := s.http.Get(page); err == nil {
				took := time.Since(begin)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					s.fatalf("the first answer is %s", resp.Status)
				}
				s.stop()
				return float64(took) / float64(time.Millisecond)
			} else if time.Since(begin) > startTime {
				s.fatalf("no answer within %v: %v", startTime, err)
			}
			time.Sleep(time.Millisecond / 2)
		}
	}
	var warm, cold []float64
	for range 11 {
		warm = append(warm, start())
	}
	for range 3 {
		if err := os.RemoveAll(cache); err != nil {
			b.Fatal(err)
		}
		cold = append(cold, start())
	}
	b.ReportMetric(bench.Spread(warm), "%spread-ours")
	b.ReportMetric(bench.Spread(cold), "%spread-theirs")
	bench.Report(b, "start/first_request", "cold", "ms", bench.Median(warm), bench.Median(cold), bench.Smaller)
}
