package singleflight_test

import (
	"context"
	"flag"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

var storm = flag.Bool("storm", false, "run the TestStorm tests at full size")

// size returns n, or a fiftieth of it without -storm.
func size(n int) int {
	if *storm {
		return n
	}
	return n / 50
}

// TestStormOfKeys has very many flights in the air at once (clause 24).
func TestStormOfKeys(t *testing.T) {
	n := size(1_000_000)
	var g singleflight.Group[int, int]
	before := measure()
	land := make(chan struct{})
	results := make([]<-chan singleflight.Result[int], n)
	for key := range results {
		results[key] = g.DoChan(key, func() (int, error) { <-land; return key, nil })
	}
	if inFlight := g.Stats().InFlight; inFlight != n {
		t.Errorf("%d flights are in the air, want %d", inFlight, n)
	}
	during := measure()
	close(land)
	for key, result := range results {
		if r := <-result; r.Val != key || r.Err != nil || r.Shared || !r.Leader {
			t.Fatalf("key %d: %+v", key, r)
		}
	}
	results = nil
	checkStorm(t, n, before, during, &g)
}

// TestStormOfCallers has very many callers on one flight.
func TestStormOfCallers(t *testing.T) {
	n := size(100_000)
	var g singleflight.Group[string, int]
	before := measure()
	land := make(chan struct{})
	var callers sync.WaitGroup
	call := func() {
		if v, err, shared := g.Do("key", func() (int, error) { <-land; return 7, nil }); v != 7 || err != nil || !shared {
			t.Errorf("%v, %v, %v", v, err, shared)
		}
	}
	for range n {
		callers.Go(call)
	}
	untilJoined(&g, n-1)
	during := measure()
	close(land)
	callers.Wait()
	checkStorm(t, n, before, during, &g)
}

// TestStormOfDetaching has very many callers detach at the same moment, from a
// flight that one caller stays on (clause 13).
func TestStormOfDetaching(t *testing.T) {
	t.Run("blocking", func(t *testing.T) {
		testStormOfDetaching(t, func(g *singleflight.Group[string, int], ctx context.Context) error {
			_, err, _ := g.DoContext(ctx, "key", nil)
			return err
		})
	})
	t.Run("channel", func(t *testing.T) {
		testStormOfDetaching(t, func(g *singleflight.Group[string, int], ctx context.Context) error {
			return (<-g.DoChanContext(ctx, "key", nil)).Err
		})
	})
}

func testStormOfDetaching(t *testing.T, call func(*singleflight.Group[string, int], context.Context) error) {
	n := size(100_000)
	var g singleflight.Group[string, int]
	before := measure()
	land := make(chan struct{})
	stays := g.DoChan("key", func() (int, error) { <-land; return 7, nil })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var callers sync.WaitGroup
	for range n {
		callers.Go(func() {
			if err := call(&g, ctx); err != context.Canceled {
				t.Errorf("a caller that detached got %v", err)
			}
		})
	}
	untilJoined(&g, n)
	during := measure()
	cancel()
	callers.Wait()
	if stats := g.Stats(); stats.Detached != uint64(n) || stats.Abandoned != 0 {
		t.Errorf("after %d callers detached: %+v", n, stats)
	}
	close(land)
	if r := <-stays; r.Val != 7 || !r.Shared {
		t.Errorf("the caller that stayed got %+v", r)
	}
	checkStorm(t, n, before, during, &g)
}

// untilJoined waits until n callers have joined flights of the group.
func untilJoined[V any](g *singleflight.Group[string, V], n int) {
	for g.Stats().Joined < uint64(n) {
		runtime.Gosched()
	}
}

// A measurement is what a storm takes and has to give back.
type measurement struct {
	at         time.Time
	heap       uint64
	goroutines int
}

func measure() measurement {
	runtime.GC()
	runtime.GC() // what the first one finalized
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return measurement{time.Now(), stats.HeapAlloc, runtime.NumGoroutine()}
}

// checkStorm checks that all is as it was before.
func checkStorm[K comparable, V any](t *testing.T, n int, before, during measurement, g *singleflight.Group[K, V]) {
	if stats := g.Stats(); stats.InFlight != 0 {
		t.Errorf("at rest: %+v", stats)
	}
	took := time.Since(before.at)
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before.goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before.goroutines)
		}
	}
	// The runtime keeps its descriptors of dead goroutines, 500 bytes or so
	// each, for new ones: a second, equal crowd shows what is the group's.
	after := measure()
	t.Logf("%d: %v each, %d bytes each; left: %d bytes each", n, took/time.Duration(n),
		(int64(during.heap)-int64(before.heap))/int64(n), (int64(after.heap)-int64(before.heap))/int64(n))
	runtime.KeepAlive(g)
}

// TestStormLeavesNoMemory checks clause 24 against what the same crowd of
// goroutines leaves without a group.
func TestStormLeavesNoMemory(t *testing.T) {
	const n = 10_000
	crowd := func(work func(key int, land <-chan struct{}) <-chan singleflight.Result[int]) {
		land := make(chan struct{})
		results := make([]<-chan singleflight.Result[int], n)
		for key := range results {
			results[key] = work(key, land)
		}
		close(land)
		for _, result := range results {
			<-result
		}
	}
	var g singleflight.Group[int, int]
	defer runtime.KeepAlive(&g)
	left := func() int64 {
		crowd(func(key int, land <-chan struct{}) <-chan singleflight.Result[int] {
			result := make(chan singleflight.Result[int], 1)
			go func() { <-land; result <- singleflight.Result[int]{} }()
			return result
		})
		before := measure()
		crowd(func(key int, land <-chan struct{}) <-chan singleflight.Result[int] {
			return g.DoChan(key, func() (int, error) { <-land; return key, nil })
		})
		return int64(measure().heap) - int64(before.heap)
	}
	// The runtime's own books vary: of three bursts one must leave next to
	// nothing.
	var lefts []int64
	for len(lefts) < 3 {
		bytes := left()
		if bytes <= 64<<10 {
			return
		}
		lefts = append(lefts, bytes)
	}
	t.Errorf("bursts of %d flights left %v bytes", n, lefts)
}
