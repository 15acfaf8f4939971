package measure

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

func goroutinesParts() []Part {
	var parts []Part
	for _, p := range []int{1, 2, 4, 8} {
		parts = append(parts, Part{
			Name: GoroutinesTitle(p),
			run:  func(r *runner) { goroutines(r, p) },
		})
	}
	return parts
}

// GoroutinesTitle names the curve of goroutines with that many processors.
func GoroutinesTitle(processors int) string {
	return fmt.Sprintf("Goroutines on distinct keys, GOMAXPROCS %d", processors)
}

// goroutines measures the time that all goroutines together take for an
// operation.
func goroutines(r *runner, processors int) {
	keys := stringKeys(keyCount)
	libraries := []peer.Library[string]{peer.This[string](), peer.XSync(), peer.Bare[string]()}
	curve := Curve{Family: GoroutinesFamily, Title: GoroutinesTitle(processors), Size: "goroutines", Unit: nanoseconds}
	for _, l := range libraries {
		curve.Series = append(curve.Series, Series{Name: l.Name})
	}
	old := runtime.GOMAXPROCS(processors)
	defer runtime.GOMAXPROCS(old)
	for n := 1; n <= 64; n *= 2 {
		var sides []func() reading
		for _, l := range libraries {
			sides = append(sides, func() reading { return benchmark(r.settings.CurveTime, onGoroutines(n, l, keys)) })
		}
		for i, got := range r.inTurn(r.settings.CurvePairs, sides...) {
			curve.Series[i].add(n, got.values())
		}
	}
	r.results.Curves = append(r.results.Curves, curve)
}

// onGoroutines divides the operations, and the keys, among n goroutines.
func onGoroutines(n int, l peer.Library[string], keys []string) func(*testing.B) {
	return func(b *testing.B) {
		call := l.Do(peer.Immediate)
		share := len(keys) / n
		for _, key := range keys {
			call(key)
		}
		var group sync.WaitGroup
		b.ResetTimer()
		for g := range n {
			own := keys[g*share : (g+1)*share]
			operations := b.N / n
			if g < b.N%n {
				operations++
			}
			group.Go(func() {
				i := 0
				for range operations {
					call(own[i])
					if i++; i == share {
						i = 0
					}
				}
			})
		}
		group.Wait()
	}
}
