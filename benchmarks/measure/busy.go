package measure

import (
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// busyTime is how long the busy function computes when it runs alone.
const busyTime = 400 * time.Nanosecond

// busy returns a function that computes for about busyTime. It is fitted to the
// machine once, so that all libraries are given the same work.
var busy = sync.OnceValue(func() peer.Function {
	const sample = 10_000
	fastest := math.Inf(1)
	for range 50 {
		started := time.Now()
		runtime.KeepAlive(compute(sample))
		fastest = min(fastest, float64(time.Since(started).Nanoseconds())/sample)
	}
	steps := int(float64(busyTime.Nanoseconds()) / fastest)
	return peer.Of(func() int { return compute(steps) })
})

// compute takes a time in proportion to steps. Its result depends on every
// step, so that none can be left out, and is below 128, so that boxing it
// doesn't allocate.
//
//go:noinline
func compute(steps int) int {
	x := uint64(steps) | 1
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return int(x & 127)
}
