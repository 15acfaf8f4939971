package measure

import (
	"context"
	"slices"
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// bar is a row of the table of bars before it is measured.
type bar struct {
	family    string
	work      string
	unit      string
	peerName  string
	peerEntry string
	this      func(Settings) reading
	peer      func(Settings) reading
	bare      func(Settings) reading // nil: there is no such work
	maxRatio  float64
	maxAllocs *float64
	parallel  bool // on more than one processor, with next to no other work
	crowd     crowdSize
}

// sharing is how many goroutines share one flight in the table of bars.
const sharing = 1000

func barParts(bars []bar) []Part {
	var parts []Part
	for _, b := range bars {
		parts = append(parts, Part{Name: b.work, run: b.run, crowd: b.crowd})
	}
	return parts
}

func (b bar) run(r *runner) {
	side := func(f func(Settings) reading) func() reading {
		if f == nil {
			return nil
		}
		return func() reading { return f(r.settings) }
	}
	var line func() reading
	if b.parallel {
		line = func() reading { return reading{value: cacheLine()} }
	}
	pairs := r.settings.Pairs
	if b.unit == bytes {
		pairs = r.settings.MemoryPairs
		r.prepare(func() { warm(r.settings.HeapFlights) })
	}
	got := r.inTurn(pairs, side(b.this), side(b.peer), side(b.bare), line)
	row := Row{
		Family:    b.family,
		Work:      b.work,
		Unit:      b.unit,
		PeerName:  b.peerName,
		PeerEntry: b.peerEntry,
		This:      got[0].values(),
		Peer:      got[1].values(),
		Bare:      got[2].values(),
		CacheLine: positive(got[3].values()),
		MaxRatio:  b.maxRatio,
		MaxAllocs: b.maxAllocs,
	}
	if b.family == BarsFamily && b.unit == nanoseconds {
		row.Allocs = got[0].seconds()
	}
	r.results.Rows = append(r.results.Rows, row)
}

// positive leaves out what couldn't be measured.
func positive(values []float64) []float64 {
	return slices.DeleteFunc(values, func(v float64) bool { return v <= 0 })
}

// The units of rows, curves and grids.
const (
	nanoseconds = "ns/op"
	bytes       = "B"
)

// libraryLoop measures one entry point of any library.
type libraryLoop func(peer.Library[string]) func(*testing.B)

func (loop libraryLoop) side(l peer.Library[string]) func(Settings) reading {
	return func(s Settings) reading { return benchmark(s.Time, loop(l)) }
}

func bars() []bar {
	keys := stringKeys(keyCount)
	this, xsync, resenje := peer.This[string](), peer.XSync(), peer.Resenje[string]()
	tailscale, msync, bare := peer.Tailscale[string](), peer.Msync[string](), peer.Bare[string]()
	// timed makes a row out of one loop and three libraries.
	timed := func(work string, loop libraryLoop, l peer.Library[string], entry string, maxRatio float64, maxAllocs *float64) bar {
		return bar{
			family: BarsFamily, work: work, unit: nanoseconds, peerName: l.Name, peerEntry: entry,
			this: loop.side(this), peer: loop.side(l), bare: loop.side(bare),
			maxRatio: maxRatio, maxAllocs: maxAllocs,
		}
	}
	// shared is timed for callers that share a flight.
	shared := func(work string, loop libraryLoop, l peer.Library[string], entry string, maxRatio float64) bar {
		b := timed(work, loop, l, entry, maxRatio, nil)
		b.bare = loop.side(peer.BareCrowd[string]())
		return b
	}
	parallel := func(b bar) bar {
		b.parallel = true
		return b
	}
	allocs := func(n float64) *float64 { return &n }
	unshared := func(kind func(*testing.B) context.Context) libraryLoop {
		return func(l peer.Library[string]) func(*testing.B) {
			return withContext(l.DoContext, kind, peer.Immediate, keys)
		}
	}

	return []bar{
		timed("Do, unshared, one goroutine", func(l peer.Library[string]) func(*testing.B) {
			return oneGoroutine(l.Do, peer.Immediate, keys)
		}, xsync, "Do", 0.30, allocs(0)),
		parallel(timed("Do, distinct keys in parallel", func(l peer.Library[string]) func(*testing.B) {
			return distinctKeys(l.Do, peer.Immediate, keys)
		}, xsync, "Do", 0.35, allocs(0))),
		parallel(timed("Do, distinct keys in parallel, fn of 0.4 µs", func(l peer.Library[string]) func(*testing.B) {
			return distinctKeys(l.Do, busy(), keys)
		}, xsync, "Do", 0.60, allocs(0))),
		parallel(timed("Do from two goroutines over the same 1,024 keys", func(l peer.Library[string]) func(*testing.B) {
			return sameKeys(l.Do, peer.Immediate, keys)
		}, xsync, "Do", 0.40, allocs(0))),
		parallel(timed("Do, one hot key in parallel, fn returns at once", func(l peer.Library[string]) func(*testing.B) {
			return hotKey(l.Do, peer.Immediate)
		}, xsync, "Do", 0.35, nil)),
		shared("Do, 1,000 goroutines share one flight", func(l peer.Library[string]) func(*testing.B) {
			return share(sharing, do(l))
		}, xsync, "Do", 1.00),
		timed("DoChan, unshared, receive included", func(l peer.Library[string]) func(*testing.B) {
			return oneGoroutine(l.DoChan, peer.Immediate, keys)
		}, xsync, "DoChan", 0.80, allocs(3)),
		timed("DoContext, background context, unshared", unshared(background), resenje, "Do", 0.10, allocs(1)),
		timed("DoContext, cancellable context, unshared", unshared(cancellable), resenje, "Do", 0.70, allocs(3)),
		shared("DoContext, cancellable, 1,000 goroutines share one flight", func(l peer.Library[string]) func(*testing.B) {
			return shareContext(sharing, l.DoContext)
		}, resenje, "Do", 1.00),
		timed("DoContext, background, unshared", unshared(background), msync, "throttle.Set.Call", 0.65, allocs(1)),
		timed("DoChanContext, cancellable, unshared, receive included", func(l peer.Library[string]) func(*testing.B) {
			return withContext(l.DoChanContext, cancellable, peer.Immediate, keys)
		}, tailscale, "DoChanContext", 0.50, allocs(5)),
		heapBar(),
	}
}

func heapBar() bar {
	return bar{
		family: BarsFamily, work: "Live heap per DoChan flight, 200,000 in flight",
		unit: bytes, peerName: "x/sync", peerEntry: "DoChan", crowd: twoHundredThousand,
		this: func(s Settings) reading {
			return reading{value: flightHeap(peer.This[int]().Flights, intKeys(s.HeapFlights))}
		},
		peer: func(s Settings) reading {
			return reading{value: flightHeap(peer.XSync().Flights, stringKeys(s.HeapFlights))}
		},
		bare: func(s Settings) reading {
			return reading{value: flightHeap(peer.Bare[int]().Flights, intKeys(s.HeapFlights))}
		},
		maxRatio: 1.00,
	}
}
