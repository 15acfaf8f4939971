package measure

import "github.com/seed-737f55c4/singleflight/benchmarks/peer"

// pairKey is a key of two fields.
type pairKey struct {
	Tenant string
	ID     int64
}

func keysParts() []Part {
	return []Part{{Name: "Types of keys", run: keyTypes}}
}

func keyTypes(r *runner) {
	strings := stringKeys(keyCount)
	pairs := make([]pairKey, keyCount)
	interfaces := make([]any, keyCount)
	arrays := make([][64]byte, keyCount)
	for i, s := range strings {
		pairs[i] = pairKey{Tenant: s, ID: int64(i)}
		interfaces[i] = s
		copy(arrays[i][:], s)
	}
	grid := Grid{
		Family: KeysFamily, Title: "Do, unshared, one goroutine, by type of key", Unit: nanoseconds,
		Columns: []string{"this", "tailscale", "x/sync", "bare"},
	}
	xsync := peer.XSync()
	grid.Rows = append(grid.Rows,
		keyType(r, "string of 16 bytes", strings, &xsync),
		keyType(r, "int", intKeys(keyCount), nil),
		keyType(r, "struct of string and int64", pairs, nil),
		keyType(r, "interface holding a string", interfaces, nil),
		keyType(r, "array of 64 bytes", arrays, nil),
	)
	r.results.Grids = append(r.results.Grids, grid)
}

// keyType measures the libraries that take any key, and x/sync if it takes
// these.
func keyType[K comparable](r *runner, name string, keys []K, xsync *peer.Library[K]) GridRow {
	side := func(l peer.Library[K]) func() reading {
		return func() reading { return benchmark(r.settings.CurveTime, oneGoroutine(l.Do, peer.Immediate, keys)) }
	}
	sides := []func() reading{side(peer.This[K]()), side(peer.Tailscale[K]()), nil, side(peer.Bare[K]())}
	if xsync != nil {
		sides[2] = side(*xsync)
	}
	return gridRow(name, r.inTurn(r.settings.CurvePairs, sides...))
}

func gridRow(name string, got []readings) GridRow {
	row := GridRow{Name: name}
	for _, g := range got {
		row.Cells = append(row.Cells, g.values())
		row.Allocs = append(row.Allocs, g.seconds())
	}
	return row
}
