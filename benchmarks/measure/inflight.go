package measure

import (
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// The curves of keys in flight.
const (
	FlightTime    = "Time per flight"
	FlightHeap    = "Live heap per flight"
	FlightSlowest = "Slowest call but one in 10,000 (p99.99)"
	FlightMaximum = "Slowest call of all"
)

// fewestForHeap is the smallest size that memory is measured at; below it the
// process's own memory is most of the figure.
const fewestForHeap = 1000

// fewestForTail is the smallest size that p99.99 is taken from.
const fewestForTail = 10_000

func inFlightParts() []Part {
	return []Part{
		{Name: "Keys in flight, time per flight", run: flightTimes, crowd: million},
		{Name: "Keys in flight, live heap", run: flightHeaps, crowd: million},
		{Name: "Keys in flight, slowest call", run: flightTails, crowd: million},
	}
}

// dochan are the libraries that the curves of DoChan compare.
func dochan() []peer.Library[string] {
	return []peer.Library[string]{peer.This[string](), peer.XSync(), peer.Bare[string]()}
}

// keysInFlight measures what one gives for all sizes, and adds a curve for the
// value of its reading and, if it is named, for the second.
func keysInFlight(r *runner, first int, times func(n int) int, one func(peer.Library[string], []string) reading, unit, title, second string) {
	libraries := dochan()
	curves := []Curve{{Family: InFlightFamily, Title: title, Size: "keys in flight", Unit: unit}}
	if second != "" {
		curves = append(curves, Curve{Family: InFlightFamily, Title: second, Size: "keys in flight", Unit: unit})
	}
	for i := range curves {
		for _, l := range libraries {
			curves[i].Series = append(curves[i].Series, Series{Name: l.Name})
		}
	}
	for _, n := range sizes(first, r.settings.MaxKeys) {
		var keys []string
		r.prepare(func() {
			keys = stringKeys(n)
			warm(n)
		})
		var sides []func() reading
		for _, l := range libraries {
			sides = append(sides, func() reading { return one(l, keys) })
		}
		for i, got := range r.inTurn(times(n), sides...) {
			curves[0].Series[i].add(n, got.values())
			if second != "" {
				curves[1].Series[i].add(n, got.seconds())
			}
		}
	}
	r.results.Curves = append(r.results.Curves, curves...)
}

func (s *Series) add(size int, values []float64) {
	s.Points = append(s.Points, Point{Size: size, Values: values})
}

// flightTimes measures from the first call to the last result received, with
// all keys in flight in between. The group is new each time, so that its table
// grows.
func flightTimes(r *runner) {
	keysInFlight(r, 1, r.settings.curvePairs, func(l peer.Library[string], keys []string) reading {
		perFlight := perRound(r.settings.CurveTime, func() time.Duration {
			gate := make(chan struct{})
			flights := l.Flights(waitFor(gate), len(keys))
			started := time.Now()
			for _, key := range keys {
				flights.Start(key)
			}
			close(gate)
			flights.Receive(0)
			return time.Since(started)
		}) / float64(len(keys))
		return reading{value: perFlight}
	}, nanoseconds, FlightTime, "")
}

func flightHeaps(r *runner) {
	keysInFlight(r, fewestForHeap, func(int) int { return r.settings.MemoryPairs }, func(l peer.Library[string], keys []string) reading {
		return reading{value: flightHeap(l.Flights, keys)}
	}, bytes, FlightHeap, "")
}

// flightTails times every single call of DoChan.
func flightTails(r *runner) {
	keysInFlight(r, fewestForTail, r.settings.curvePairs, func(l peer.Library[string], keys []string) reading {
		gate := make(chan struct{})
		flights := l.Flights(waitFor(gate), len(keys))
		took := make([]float64, len(keys))
		last := time.Now()
		for i, key := range keys {
			flights.Start(key)
			now := time.Now()
			took[i] = float64(now.Sub(last).Nanoseconds())
			last = now
		}
		close(gate)
		flights.Receive(0)
		slices.Sort(took)
		return reading{
			value:  stat.Quantile(0.9999, stat.Empirical, took, nil),
			second: took[len(took)-1],
		}
	}, nanoseconds, FlightSlowest, FlightMaximum)
}

// waitFor returns a function that waits until the gate is closed.
func waitFor(gate <-chan struct{}) peer.Function {
	return peer.Of(func() int {
		<-gate
		return 1
	})
}
