// Package measure runs the measurements: this library and a peer in turn, in
// one process, as often as the settings say.
package measure

import "time"

// Settings says how long and how often to measure.
type Settings struct {
	Pairs       int           // runs of each side of a bar
	Time        time.Duration // of one run of a bar
	CurvePairs  int           // runs of each cell of a grid, and of each point of a curve, but see curvePairs
	MemoryPairs int           // runs of each measurement of memory, which hardly differ
	CurveTime   time.Duration // of one run of a point or cell, at least one round of it
	HeapFlights int           // flights in the row of live heap
	MaxKeys     int           // most keys in flight
	MaxCallers  int           // most callers on one flight
	LayerWidth  int           // flights in each of the layers that ask for each other
	Waiters     int           // flights that wait for one that makes calls
}

// Full takes about a quarter of an hour on two cores, and three gigabytes.
var Full = Settings{
	Pairs:       7,
	Time:        500 * time.Millisecond,
	CurvePairs:  5,
	MemoryPairs: 5,
	CurveTime:   100 * time.Millisecond,
	HeapFlights: 200_000,
	MaxKeys:     1_000_000,
	MaxCallers:  100_000,
	LayerWidth:  40,
	Waiters:     10_000,
}

// Short finishes within two minutes on two cores. Its curves end earlier.
var Short = Settings{
	Pairs:       5,
	Time:        50 * time.Millisecond,
	CurvePairs:  3,
	MemoryPairs: 2,
	CurveTime:   10 * time.Millisecond,
	HeapFlights: 200_000,
	MaxKeys:     100_000,
	MaxCallers:  10_000,
	LayerWidth:  40,
	Waiters:     10_000,
}

// curvePairs returns how often to measure the point of a curve at size n. Small
// points take no longer than CurveTime and differ most between runs, since it
// matters where the scheduler puts a few goroutines.
func (s Settings) curvePairs(n int) int {
	if n <= 1000 {
		return 3 * s.CurvePairs
	}
	return s.CurvePairs
}

// processors is what GOMAXPROCS is for every measurement that doesn't vary it.
const processors = 2

// sizes returns the powers of ten from first to last.
func sizes(first, last int) []int {
	var s []int
	for n := first; n <= last; n *= 10 {
		s = append(s, n)
	}
	return s
}
