package engine

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkPool is what a call pays for getting an instance and giving it back,
// with as many callers as cores and with more. It does nothing else, so that
// callers meet as often as they can; see BenchmarkCall with -mutexprofile for how
// often they do.
func BenchmarkPool(b *testing.B) {
	cores := runtime.GOMAXPROCS(0)
	for _, callers := range []int{1, 4} {
		b.Run(fmt.Sprintf("%d-callers-a-core", callers), func(b *testing.B) {
			p := newPool(4*cores, 0)
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i, err := p.take(b.Context(), false)
					if err != nil {
						b.Error(err)
						return
					}
					done(p, i)
				}
			})
		})
	}
}
