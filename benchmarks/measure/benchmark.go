package measure

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

// benchmark has package testing measure body for about the given time, and
// gives nanoseconds and allocations per operation.
func benchmark(length time.Duration, body func(*testing.B)) reading {
	testing.Init()
	if err := flag.Set("test.benchtime", length.String()); err != nil {
		panic(err)
	}
	r := testing.Benchmark(body)
	if r.N == 0 {
		panic(fmt.Sprintf("a benchmark of %v failed", length))
	}
	// The methods of the result round down, which hides half an allocation.
	return reading{
		value:  float64(r.T.Nanoseconds()) / float64(r.N),
		second: float64(r.MemAllocs) / float64(r.N),
	}
}
