package measure

import (
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

func librariesParts() []Part {
	return []Part{{Name: "All libraries", run: allLibraries}}
}

// allLibraries measures every entry point of every library with nobody else
// calling.
func allLibraries(r *runner) {
	keys := stringKeys(keyCount)
	libraries := peer.Strings()
	grid := Grid{Family: LibrariesFamily, Title: "Every entry point, unshared, one goroutine", Unit: nanoseconds}
	for _, l := range libraries {
		grid.Columns = append(grid.Columns, l.Name)
	}
	for _, entry := range []struct {
		name string
		loop func(peer.Library[string]) func(*testing.B)
	}{
		{"Do", func(l peer.Library[string]) func(*testing.B) {
			if l.Do == nil {
				return nil
			}
			return oneGoroutine(l.Do, peer.Immediate, keys)
		}},
		{"DoChan", func(l peer.Library[string]) func(*testing.B) {
			if l.DoChan == nil {
				return nil
			}
			return oneGoroutine(l.DoChan, peer.Immediate, keys)
		}},
		{"DoContext, background", func(l peer.Library[string]) func(*testing.B) {
			if l.DoContext == nil {
				return nil
			}
			return withContext(l.DoContext, background, peer.Immediate, keys)
		}},
		{"DoContext, cancellable", func(l peer.Library[string]) func(*testing.B) {
			if l.DoContext == nil {
				return nil
			}
			return withContext(l.DoContext, cancellable, peer.Immediate, keys)
		}},
		{"DoChanContext, cancellable", func(l peer.Library[string]) func(*testing.B) {
			if l.DoChanContext == nil {
				return nil
			}
			return withContext(l.DoChanContext, cancellable, peer.Immediate, keys)
		}},
	} {
		sides := make([]func() reading, len(libraries))
		for i, l := range libraries {
			if loop := entry.loop(l); loop != nil {
				sides[i] = func() reading { return benchmark(r.settings.CurveTime, loop) }
			}
		}
		grid.Rows = append(grid.Rows, gridRow(entry.name, r.inTurn(r.settings.CurvePairs, sides...)))
	}
	r.results.Grids = append(r.results.Grids, grid)
}
