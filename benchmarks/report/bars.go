package main

import (
	"fmt"
	"io"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// verdict is a bar and what was measured for it.
type verdict struct {
	Name     string // of the work
	Quantity string // what is compared
	Value    float64
	AtMost   float64
	Bare     float64 // the same quantity of the work without any library; 0 if it isn't known
	Line     float64 // nanoseconds of a cache line from one processor to the other; 0 if that doesn't matter
	Runs     int     // that the value is of
}

// missed reports whether the value is above the bar; one that isn't a number
// is.
func (v verdict) missed() bool { return !(v.Value <= v.AtMost) }

func (v verdict) String() string {
	s := fmt.Sprintf("%s: %s is %.3f, at most %.2f", v.Name, v.Quantity, v.Value, v.AtMost)
	if v.Bare > 0 {
		s += fmt.Sprintf("; without any library it is %.2f", v.Bare)
	}
	if v.Line > 0 {
		s += fmt.Sprintf("; a cache line took %.0f ns from one processor to the other", v.Line)
	}
	return s
}

// Limit says what keeps the work from getting cheaper, or nothing.
func (v verdict) Limit() string {
	if v.Quantity == "allocs/op" {
		return ""
	}
	return limits[v.Name]
}

// verdicts judges all bars that were measured.
func verdicts(r measure.Results) []verdict {
	var all []verdict
	for _, row := range r.Rows {
		all = append(all, rowVerdicts(row)...)
	}
	return append(all, curveVerdicts(r.Curves)...)
}

// rowVerdicts judges the bars of one row.
func rowVerdicts(row measure.Row) []verdict {
	all := []verdict{{
		Name:     row.Work,
		Quantity: "this / " + row.PeerName,
		Value:    measure.Median(row.Ratios()),
		AtMost:   row.MaxRatio,
		Runs:     len(row.Ratios()),
	}}
	if len(row.Bare) > 0 {
		all[0].Bare = measure.Median(measure.Ratios(row.Bare, row.Peer))
	}
	if len(row.CacheLine) > 0 {
		all[0].Line = measure.Median(row.CacheLine)
	}
	if row.MaxAllocs != nil {
		all = append(all, verdict{
			Name:     row.Work,
			Quantity: "allocs/op",
			Value:    roundAllocations(row.Allocs),
			AtMost:   *row.MaxAllocs,
			Runs:     len(row.Allocs),
		})
	}
	return all
}

// fewestRuns is the smallest number of runs that a bar may be judged by.
const fewestRuns = 5

// check names the missed bars, and those that were measured too seldom to be
// judged, and returns the exit code.
func check(r report, stderr io.Writer) int {
	all := verdicts(r.Results)
	missed, unjudged := 0, 0
	for _, v := range all {
		switch {
		case v.Runs < fewestRuns:
			fmt.Fprintf(stderr, "measured %d times, not %d: %v\n", v.Runs, fewestRuns, v)
			unjudged++
		case v.missed():
			fmt.Fprintln(stderr, "missed:", v)
			missed++
		}
	}
	fmt.Fprintf(stderr, "%d of %d bars missed\n", missed, len(all))
	if unjudged > 0 {
		fmt.Fprintf(stderr, "%d not judged\n", unjudged)
	}
	if missed+unjudged > 0 {
		return 1
	}
	return 0
}
