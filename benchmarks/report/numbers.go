package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"golang.org/x/perf/benchunit"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// amount writes a value with its unit.
func amount(value float64, unit string) string {
	if unit == "B" {
		return benchunit.Scale(value, benchunit.Binary) + "B"
	}
	return benchunit.Scale(value*1e-9, benchunit.Decimal) + "s"
}

// spread writes the median of values and how far the farthest lies from it.
func spread(values []float64, unit string) string {
	if len(values) == 0 {
		return ""
	}
	median := measure.Median(values)
	text := amount(median, unit)
	if median == 0 {
		return text
	}
	farthest := max(slices.Max(values)-median, median-slices.Min(values))
	return fmt.Sprintf("%s ±%.0f%%", text, 100*farthest/median)
}

// ratio writes the median of ratios and the interval they lie in.
func ratio(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", measure.Median(values), slices.Min(values), slices.Max(values))
}

// roundSpan writes the median of values as a whole number, and the interval they
// lie in.
func roundSpan(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f (%.0f–%.0f)", measure.Median(values), slices.Min(values), slices.Max(values))
}

// allocations writes the median of allocations per operation. The few that the
// measuring makes are rounded away.
func allocations(values []float64) string {
	return strconv.FormatFloat(roundAllocations(values), 'f', -1, 64)
}

func roundAllocations(values []float64) float64 {
	return math.Round(100*measure.Median(values)) / 100
}

// count writes a whole number with commas between its thousands.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// roundAmount writes a round value with its unit, without the zeros that amount
// would write.
func roundAmount(value float64, unit string) string {
	prefixes := []struct {
		factor float64
		unit   string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}}
	if unit == "B" {
		prefixes = prefixes[:0]
	}
	for _, p := range prefixes {
		if value >= p.factor {
			return strconv.FormatFloat(value/p.factor, 'g', 4, 64) + " " + p.unit
		}
	}
	if unit == "B" {
		return count(int(math.Round(value))) + " B"
	}
	return strconv.FormatFloat(value, 'g', 4, 64)
}
