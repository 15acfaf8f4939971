package measure

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aclements/go-moremath/stats"
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

// Row is one row of a table of bars. The i-th values of This, Peer and Bare
// were measured one after another.
type Row struct {
	Family    string
	Work      string
	Unit      string
	PeerName  string // or, for calls from inside flights, the work of this library that it is held against
	PeerEntry string // the peer's entry point
	This      []float64
	Peer      []float64
	Bare      []float64 // empty: there is no such work
	CacheLine []float64 // of work in parallel: how long a cache line took from one processor to the other, each time after the others, as far as it could be measured
	Allocs    []float64 // allocations per operation of this library
	MaxRatio  float64
	MaxAllocs *float64 // nil: no bar
}

// Check returns an error if something is missing in results that were read from
// a file.
func (r Results) Check() error {
	for _, row := range r.Rows {
		if n := len(row.This); n == 0 || len(row.Peer) != n || len(row.Bare) != n && len(row.Bare) != 0 {
			return fmt.Errorf("row %q: %d, %d and %d values", row.Work, n, len(row.Peer), len(row.Bare))
		}
	}
	for _, c := range r.Curves {
		for _, s := range c.Series {
			if len(s.Points) == 0 {
				return fmt.Errorf("curve %q: series %q has no points", c.Title, s.Name)
			}
			for _, p := range s.Points {
				if len(p.Values) == 0 {
					return fmt.Errorf("curve %q: series %q has no values at %d", c.Title, s.Name, p.Size)
				}
			}
		}
	}
	for _, g := range r.Grids {
		for _, row := range g.Rows {
			if len(row.Cells) != len(g.Columns) || len(row.Allocs) != len(g.Columns) || len(row.Cells) == 0 || len(row.Cells[0]) == 0 {
				return fmt.Errorf("grid %q: row %q has no cells, or not as many as columns", g.Title, row.Name)
			}
		}
	}
	if len(r.Rows)+len(r.Curves)+len(r.Grids) == 0 {
		return errors.New("no results")
	}
	return nil
}

// RowsOf returns the rows of a family.
func (r Results) RowsOf(family string) []Row {
	var rows []Row
	for _, row := range r.Rows {
		if row.Family == family {
			rows = append(rows, row)
		}
	}
	return rows
}

// Ratios returns what this library took for each unit the peer took, pair by
// pair.
func (r Row) Ratios() []float64 { return Ratios(r.This, r.Peer) }

// Ratios divides values that were measured in turn, pair by pair.
func Ratios(values, others []float64) []float64 {
	r := make([]float64, min(len(values), len(others)))
	for i := range r {
		r[i] = values[i] / others[i]
	}
	return r
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

// Differ reports whether values that were measured in turn differ by more than
// chance explains: by a t-test of the logarithms of their ratios.
func Differ(a, b []float64) bool {
	logs := make([]float64, min(len(a), len(b)))
	for i, r := range Ratios(a, b) {
		logs[i] = math.Log(r)
	}
	test, err := stats.PairedTTest(logs, make([]float64, len(logs)), 0, stats.LocationDiffers)
	if errors.Is(err, stats.ErrZeroVariance) {
		return logs[0] != 0
	}
	return err == nil && test.P < benchmath.DefaultThresholds.CompareAlpha
}

// sample copies the values, because NewSample sorts what it is given, and the
// order of the runs says which make a pair.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}
