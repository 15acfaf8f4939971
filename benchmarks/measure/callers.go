package measure

import (
	"sync"
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// The curves of callers on one flight.
const (
	CallerTime   = "Time per caller"
	CallerMemory = "Memory per waiting caller, its stack included"
	CallerHeap   = "Heap per waiting caller"
)

// The series of curves that tell entry points apart.
const (
	ThisDo     = "this Do"
	XSyncDo    = "x/sync Do"
	BareDo     = "bare Do"
	ThisChan   = "this DoChan"
	XSyncChan  = "x/sync DoChan"
	flightSize = "callers on one flight"
)

func callersParts() []Part {
	return []Part{
		{Name: "Callers on one flight, time per caller", run: callerTimes, crowd: hundredThousand},
		{Name: "Callers on one flight, memory", run: callerMemory, crowd: hundredThousand},
	}
}

// do binds a library's Do for a crowd.
func do(l peer.Library[string]) func(peer.Function) func(int) {
	return func(fn peer.Function) func(int) {
		call := l.Do(fn)
		return func(int) { call(oneKey) }
	}
}

// callerTimes measures, for Do, from the spawning of the callers until all have
// returned and, for DoChan, from the first call to the last result received.
func callerTimes(r *runner) {
	crowded := func(n int, l peer.Library[string]) func() reading {
		return func() reading {
			c := newCrowd(n, do(l))
			return reading{value: perRound(r.settings.CurveTime, func() time.Duration {
				started := time.Now()
				c.round()
				return time.Since(started)
			}) / float64(n)}
		}
	}
	channels := func(n int, l peer.Library[string]) func() reading {
		return func() reading {
			return reading{value: perRound(r.settings.CurveTime, func() time.Duration {
				gate := make(chan struct{})
				flights := l.Flights(waitFor(gate), n)
				started := time.Now()
				for range n {
					flights.Start(oneKey)
				}
				close(gate)
				flights.Receive(0)
				return time.Since(started)
			}) / float64(n)}
		}
	}
	curve := Curve{Family: CallersFamily, Title: CallerTime, Size: flightSize, Unit: nanoseconds, Series: named(ThisDo, XSyncDo, BareDo, ThisChan, XSyncChan)}
	this, xsync, bare := peer.This[string](), peer.XSync(), peer.BareCrowd[string]()
	for _, n := range sizes(1, r.settings.MaxCallers) {
		r.prepare(func() { warm(n) })
		got := r.inTurn(r.settings.curvePairs(n), crowded(n, this), crowded(n, xsync), crowded(n, bare), channels(n, this), channels(n, xsync))
		for i := range got {
			curve.Series[i].add(n, got[i].values())
		}
	}
	r.results.Curves = append(r.results.Curves, curve)
}

func named(names ...string) []Series {
	series := make([]Series, len(names))
	for i, name := range names {
		series[i].Name = name
	}
	return series
}

// callerMemory measures what is held for callers that wait. For DoChan it is
// heap alone, since its callers have no goroutine.
func callerMemory(r *runner) {
	crowded := func(n int, l peer.Library[string]) func() reading {
		return func() reading {
			gate := make(chan struct{})
			var arrived, finished sync.WaitGroup
			arrived.Add(n)
			finished.Add(n)
			call := l.Do(waitFor(gate))
			heap, stack := growth(n, func(ready func()) {
				for range n {
					go func() {
						arrived.Done()
						call(oneKey)
						finished.Done()
					}()
				}
				arrived.Wait()
				settle()
				ready()
				close(gate)
				finished.Wait()
			})
			return reading{value: heap + stack, second: heap}
		}
	}
	channels := func(n int, l peer.Library[string]) func() reading {
		return func() reading {
			gate := make(chan struct{})
			flights := l.Flights(waitFor(gate), n)
			heap, _ := growth(n, func(ready func()) {
				for range n {
					flights.Start(oneKey)
				}
				settle()
				ready()
				close(gate)
				flights.Receive(0)
			})
			return reading{value: heap, second: heap}
		}
	}
	both := Curve{Family: CallersFamily, Title: CallerMemory, Size: flightSize, Unit: bytes, Series: named(ThisDo, XSyncDo, BareDo, ThisChan, XSyncChan)}
	heap := Curve{Family: CallersFamily, Title: CallerHeap, Size: flightSize, Unit: bytes, Series: named(ThisDo, XSyncDo, BareDo, ThisChan, XSyncChan)}
	this, xsync, bare := peer.This[string](), peer.XSync(), peer.BareCrowd[string]()
	for _, n := range sizes(fewestForHeap, r.settings.MaxCallers) {
		r.prepare(func() { warm(n) })
		got := r.inTurn(r.settings.MemoryPairs, crowded(n, this), crowded(n, xsync), crowded(n, bare), channels(n, this), channels(n, xsync))
		for i := range got {
			both.Series[i].add(n, got[i].values())
			heap.Series[i].add(n, got[i].seconds())
		}
	}
	r.results.Curves = append(r.results.Curves, both, heap)
}

// settle gives goroutines that are about to call the time to wait.
func settle() { time.Sleep(time.Millisecond) }
