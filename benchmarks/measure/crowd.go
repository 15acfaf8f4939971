package measure

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// crowd is a number of goroutines whose calls share one flight. The function of
// the flight returns when all of them have come as far as their call, and have
// had the time to join. A caller that the system stops on its way comes too
// late all the same, and leads a second flight.
type crowd struct {
	callers  []func()
	arrived  sync.WaitGroup
	finished sync.WaitGroup
	runs     atomic.Int64 // of the function in this round
}

// newCrowd makes a crowd of n. The function that bind returns is given the
// number of the caller.
func newCrowd(n int, bind func(peer.Function) func(caller int)) *crowd {
	c := &crowd{callers: make([]func(), n)}
	call := bind(peer.Of(func() int {
		c.runs.Add(1)
		c.arrived.Wait()
		// Callers can have arrived and still be queueing for a lock of the
		// library. The scheduler lets about 64 goroutines run before it comes
		// back to one that has yielded.
		for range n / 64 {
			runtime.Gosched()
		}
		return 1
	}))
	for i := range c.callers {
		c.callers[i] = func() {
			c.arrived.Done()
			call(i)
			c.finished.Done()
		}
	}
	return c
}

// round spawns the goroutines and waits until all have the outcome.
func (c *crowd) round() {
	c.runs.Store(0)
	c.arrived.Add(len(c.callers))
	c.finished.Add(len(c.callers))
	for _, caller := range c.callers {
		go caller()
	}
	c.finished.Wait()
}

// share spawns a crowd of n in each operation.
func share(n int, bind func(peer.Function) func(caller int)) func(*testing.B) {
	return func(b *testing.B) {
		spawn(b, newCrowd(n, bind))
	}
}

// shareContext is share for calls that have a context: each caller has a
// cancellable one of its own, made before the measured part.
func shareContext(n int, bind func(peer.Function) func(context.Context, string) (int, error)) func(*testing.B) {
	return func(b *testing.B) {
		contexts := make([]context.Context, n)
		for i := range contexts {
			ctx, cancel := context.WithCancel(context.Background())
			b.Cleanup(cancel)
			contexts[i] = ctx
		}
		spawn(b, newCrowd(n, func(fn peer.Function) func(int) {
			call := bind(fn)
			return func(caller int) { call(contexts[caller], oneKey) }
		}))
	}
}

func spawn(b *testing.B, c *crowd) {
	for b.Loop() {
		c.round()
	}
}
