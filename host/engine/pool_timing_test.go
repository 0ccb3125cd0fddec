package engine

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkPool is what a call pays for getting an instance and giving it back,
// with as many callers as cores, and with more callers than instances. It is for
// profiles, and shows that nothing is allocated: with -mutexprofile, who waits for
// whom.
func BenchmarkPool(b *testing.B) {
	cores := runtime.GOMAXPROCS(0)
	for _, callers := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("%d-callers-a-core", callers), func(b *testing.B) {
			p := newPool(4*cores, 1<<20)
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i, err := p.take(b.Context(), true)
					if err != nil {
						b.Error(err)
						return
					}
					done(p, i)
				}
			})
			b.ReportMetric(float64(p.admission.waits)/float64(b.N), "waits/op")
		})
	}
}
