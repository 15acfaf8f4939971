package main

import (
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// canned is a report of everything, measured by nobody, that misses no bar.
func canned() report {
	var r measure.Results
	r.Settings = measure.Full
	r.Took = 600 * time.Second
	none := 0.0
	r.Rows = []measure.Row{
		{
			Family: measure.BarsFamily, Work: "Do, unshared, one goroutine", Unit: "ns/op", PeerName: "x/sync", PeerEntry: "Do",
			This: times(30), Peer: times(140), Bare: times(2), Allocs: []float64{1e-6, 0, 0, 1e-6, 0},
			MaxRatio: 0.30, MaxAllocs: &none,
		},
		{
			Family: measure.BarsFamily, Work: "Live heap per DoChan flight, 200,000 in flight", Unit: "B", PeerName: "x/sync", PeerEntry: "DoChan",
			This: times(300), Peer: times(379), Bare: times(232), MaxRatio: 1,
		},
		{
			Family: measure.BarsFamily, Work: "Do from two goroutines over the same 1,024 keys", Unit: "ns/op", PeerName: "x/sync", PeerEntry: "Do",
			This: times(30), Peer: times(100), Bare: times(2), CacheLine: []float64{200, 200, 200, 150, 250}, MaxRatio: 0.40,
		},
		{
			Family: measure.NestedFamily, Work: "A join from inside a flight that 10,000 wait for", Unit: "ns/op", PeerName: "1 waits",
			This: times(800), Peer: times(700), MaxRatio: 3,
		},
	}
	curve := func(family, title, size, unit string, sizes []int, cost float64, names ...string) {
		c := measure.Curve{Family: family, Title: title, Size: size, Unit: unit}
		for i, name := range names {
			s := measure.Series{Name: name}
			for _, n := range sizes {
				s.Points = append(s.Points, measure.Point{Size: n, Values: times(cost * float64(i+1))})
			}
			c.Series = append(c.Series, s)
		}
		r.Curves = append(r.Curves, c)
	}
	tens := []int{1, 10, 100, 1000, 10_000, 100_000}
	curve(measure.InFlightFamily, measure.FlightTime, "keys in flight", "ns/op", tens, 800, "this", "x/sync", "bare")
	curve(measure.InFlightFamily, measure.FlightHeap, "keys in flight", "B", tens[3:], 300, "this", "x/sync", "bare")
	curve(measure.CallersFamily, measure.CallerTime, "callers", "ns/op", tens, 300, measure.ThisDo, measure.XSyncDo, measure.BareDo, measure.ThisChan, measure.XSyncChan)
	curve(measure.DetachingFamily, measure.DetachTime, "callers", "ns/op", tens, 500, measure.ThisContext, measure.ResenjeContext, measure.BareContext, measure.ThisChanContext, measure.TailscaleContext, measure.BareChanContext)
	for _, p := range []int{1, 2, 4, 8} {
		curve(measure.GoroutinesFamily, measure.GoroutinesTitle(p), "goroutines", "ns/op", []int{1, 2, 4, 8, 16, 32, 64}, 30, "this", "x/sync", "bare")
	}
	r.Grids = []measure.Grid{
		{
			Family: measure.KeysFamily, Title: "By type of key", Unit: "ns/op", Columns: []string{"this", "x/sync", "bare"},
			Rows: []measure.GridRow{
				{Name: "string", Cells: [][]float64{times(30), times(140), times(2)}, Allocs: [][]float64{times(0), times(1), times(0)}},
				{Name: "int", Cells: [][]float64{times(25), nil, times(2)}, Allocs: [][]float64{times(0), nil, times(0)}},
			},
		},
		{
			Family: measure.HooksFamily, Title: "With and without a Trace", Unit: "ns/op", Columns: []string{"this", "with Trace"},
			Rows: []measure.GridRow{{
				Name: "Do", Cells: [][]float64{times(30), times(200)}, Allocs: [][]float64{times(0), times(2)},
			}},
		},
		{
			Family: measure.LibrariesFamily, Title: "Every entry point", Unit: "ns/op", Columns: []string{"this", "msync"},
			Rows: []measure.GridRow{
				{Name: "DoContext, cancellable", Cells: [][]float64{times(600), times(100)}, Allocs: [][]float64{times(3), times(1)}},
			},
		},
	}
	return report{
		Started:  time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Command:  "go -C benchmarks run ./report",
		Machine:  machine{Processor: "A Processor", Processors: 2, Memory: 8 << 30, System: "linux/amd64", Go: "go1.26.0"},
		Versions: map[string]string{"golang.org/x/sync": "v0.24.0"},
		Results:  r,
	}
}

// times returns five values about v.
func times(v float64) []float64 {
	return []float64{v, v * 0.98, v * 1.02, v * 0.99, v * 1.01}
}
