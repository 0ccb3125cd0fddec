package badgerstore

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

// filled opens a store with n documents of 200 bytes.
func filled(b *testing.B, d Durability, n int) *Store {
	b.Helper()
	s := openTest(b, Options{Dir: b.TempDir(), Durability: d, Logger: slog.New(slog.DiscardHandler)}, time.Now)
	for i := 0; i < n; i += 1000 {
		err := s.Update(ctx, "bench", func(tx store.Txn) error {
			for j := i; j < min(i+1000, n); j++ {
				if err := tx.Put(benchKey(j), make([]byte, 200), 0); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	return s
}

func benchKey(i int) []byte { return fmt.Appendf(nil, "document/%08d", i) }

func check(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGet(b *testing.B) {
	s := filled(b, Process, 100_000)
	key := benchKey(50_000)
	for b.Loop() {
		check(b, s.View(ctx, "bench", func(tx store.Txn) error {
			_, _, err := tx.Get(key)
			return err
		}))
	}
}

func BenchmarkScan50(b *testing.B) {
	for _, reverse := range []bool{false, true} {
		b.Run(fmt.Sprintf("reverse=%v", reverse), func(b *testing.B) {
			s := filled(b, Process, 100_000)
			r := store.Range{Start: benchKey(50_000), End: benchKey(60_000), Limit: 50, Reverse: reverse}
			for b.Loop() {
				check(b, s.View(ctx, "bench", func(tx store.Txn) error {
					_, err := tx.Scan(r)
					return err
				}))
			}
		})
	}
}

// BenchmarkUpdate is a request as most are: it reads a document, writes it, and
// adds an entry to a feed. Each goroutine has its own documents.
func BenchmarkUpdate(b *testing.B) {
	for _, d := range []Durability{Process, Power} {
		for _, parallel := range []int{1, 32, 256} {
			b.Run(fmt.Sprintf("%v/goroutines=%d", d, parallel), func(b *testing.B) {
				s := filled(b, d, 10_000)
				value := make([]byte, 200)
				var next atomic.Int64
				update := func(key []byte) {
					check(b, s.Update(ctx, "bench", func(tx store.Txn) error {
						if _, _, err := tx.Get(key); err != nil {
							return err
						}
						if err := tx.Put(key, value, 0); err != nil {
							return err
						}
						return tx.PutStamped([]byte("feed/"), nil, key, 0)
					}))
				}
				if parallel == 1 {
					for b.Loop() {
						update(benchKey(0))
					}
				} else {
					b.SetParallelism(parallel / 2) // times GOMAXPROCS, 2 here
					b.RunParallel(func(pb *testing.PB) {
						key := benchKey(int(next.Add(1)))
						for pb.Next() {
							update(key)
						}
					})
				}
				stats := s.Stats()
				b.ReportMetric(float64(stats.Commits)/float64(stats.Groups), "commits/group")
			})
		}
	}
}

// BenchmarkPut is the least that a write costs.
func BenchmarkPut(b *testing.B) {
	for _, d := range []Durability{Process, Power} {
		b.Run(d.String(), func(b *testing.B) {
			s := filled(b, d, 1)
			key, value := benchKey(0), make([]byte, 200)
			for b.Loop() {
				check(b, s.Update(ctx, "bench", func(tx store.Txn) error { return tx.Put(key, value, 0) }))
			}
		})
	}
}
