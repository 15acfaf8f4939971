package measure

import (
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

func hooksParts() []Part {
	return []Part{{Name: "With and without a Trace", run: hooks}}
}

// hooks measures what a Trace with empty hooks costs each entry point.
func hooks(r *runner) {
	keys := stringKeys(keyCount)
	plain, traced := peer.This[string](), peer.Traced[string]()
	grid := Grid{
		Family: HooksFamily, Title: "Unshared, one goroutine, with and without a Trace", Unit: nanoseconds,
		Columns: []string{plain.Name, traced.Name},
	}
	for _, entry := range []struct {
		name string
		loop func(peer.Library[string]) func(*testing.B)
	}{
		{"Do", func(l peer.Library[string]) func(*testing.B) {
			return oneGoroutine(l.Do, peer.Immediate, keys)
		}},
		{"DoChan", func(l peer.Library[string]) func(*testing.B) {
			return oneGoroutine(l.DoChan, peer.Immediate, keys)
		}},
		{"DoContext, background", func(l peer.Library[string]) func(*testing.B) {
			return withContext(l.DoContext, background, peer.Immediate, keys)
		}},
		{"DoContext, cancellable", func(l peer.Library[string]) func(*testing.B) {
			return withContext(l.DoContext, cancellable, peer.Immediate, keys)
		}},
	} {
		side := func(l peer.Library[string]) func() reading {
			return func() reading { return benchmark(r.settings.CurveTime, entry.loop(l)) }
		}
		grid.Rows = append(grid.Rows, gridRow(entry.name, r.inTurn(r.settings.CurvePairs, side(plain), side(traced))))
	}
	r.results.Grids = append(r.results.Grids, grid)
}
