package measure

import (
	"runtime"
	"sync"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// memory is what the process holds after a collection.
type memory struct {
	heap  float64 // bytes of live objects
	stack float64 // bytes of goroutines' stacks
}

func readMemory() memory {
	// Twice, because what a sync.Pool holds survives the first.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{heap: float64(m.HeapAlloc), stack: float64(m.StackInuse)}
}

// growth returns what use adds, between its start and its call of ready, to
// the memory held, for each of n. The process must be warm for as many
// goroutines.
func growth(n int, use func(ready func())) (heap, stack float64) {
	var after memory
	before := readMemory()
	use(func() { after = readMemory() })
	return (after.heap - before.heap) / float64(n), (after.stack - before.stack) / float64(n)
}

// warm has n goroutines live at once. The runtime keeps their descriptors in
// the heap for ever, and the first measurement with n goroutines would pay for
// them.
func warm(n int) {
	gate := make(chan struct{})
	var started, ended sync.WaitGroup
	started.Add(n)
	ended.Add(n)
	for range n {
		go func() {
			started.Done()
			<-gate
			ended.Done()
		}()
	}
	started.Wait()
	close(gate)
	ended.Wait()
}

// flightHeap returns the bytes of live heap that each of the flights takes, one
// for each key, while their functions wait.
func flightHeap[K comparable](bind func(peer.Function, int) peer.Flights[K], keys []K) float64 {
	gate := make(chan struct{})
	var running sync.WaitGroup
	running.Add(len(keys))
	flights := bind(peer.Of(func() int {
		running.Done()
		<-gate
		return 1
	}), len(keys))
	heap, _ := growth(len(keys), func(ready func()) {
		for _, key := range keys {
			flights.Start(key)
		}
		running.Wait()
		ready()
		close(gate)
		flights.Receive(0)
	})
	return heap
}
