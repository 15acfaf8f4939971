package measure

import (
	"slices"
	"time"

	"golang.org/x/perf/benchmath"
)

// Results is everything that a run measured. All times are in nanoseconds.
type Results struct {
	Settings Settings
	Took     time.Duration
	Rows     []Row
	Curves   []Curve
	Grids    []Grid
}

// Row is one row of the table of bars. The i-th values of This, Peer and Bare
// were measured one after another.
type Row struct {
	Work      string
	Unit      string
	PeerName  string
	PeerEntry string // the peer's entry point
	This      []float64
	Peer      []float64
	Bare      []float64
	Allocs    []float64 // allocations per operation of this library
	MaxRatio  float64
	MaxAllocs *float64 // nil: no bar
}

// Ratios returns what this library took for each unit the peer took, pair by
// pair.
func (r Row) Ratios() []float64 {
	ratios := make([]float64, len(r.This))
	for i := range ratios {
		ratios[i] = r.This[i] / r.Peer[i]
	}
	return ratios
}

// Curve is how one quantity changes with a size.
type Curve struct {
	Family string
	Title  string
	Size   string // what the size counts
	Unit   string
	Series []Series
}

// Series is one line of a curve.
type Series struct {
	Name   string
	Points []Point
}

// Point is what was measured at one size.
type Point struct {
	Size   int
	Values []float64
}

// Find returns the series with the name.
func (c Curve) Find(name string) (Series, bool) {
	for _, s := range c.Series {
		if s.Name == name {
			return s, true
		}
	}
	return Series{}, false
}

// At returns the point at the size.
func (s Series) At(size int) (Point, bool) {
	for _, p := range s.Points {
		if p.Size == size {
			return p, true
		}
	}
	return Point{}, false
}

// Grid is one quantity for several libraries at several kinds of work.
type Grid struct {
	Family  string
	Title   string
	Unit    string
	Columns []string // libraries
	Rows    []GridRow
}

// GridRow holds a cell for each column of its grid; a library that can't do the
// work has an empty one.
type GridRow struct {
	Name   string
	Cells  [][]float64
	Allocs [][]float64
}

// Median returns the median of values, of which there must be one at least.
func Median(values []float64) float64 {
	return benchmath.AssumeNothing.Summary(sample(values), 0.5).Center
}

// Differ reports whether two samples differ by more than chance explains.
func Differ(a, b []float64) bool {
	c := benchmath.AssumeNothing.Compare(sample(a), sample(b))
	return c.P < c.Alpha
}

// sample copies the values, because NewSample sorts what it is given, and the
// order of the runs says which make a pair.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}
