package singleflight_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/seed-737f55c4/singleflight"
	xsync "golang.org/x/sync/singleflight"
)

// Where x/sync can do the work too, it stands beside this package in a
// sub-benchmark of its own. To compare the two:
//
//	go test -run '^$' -bench . -count 10 . > bench.txt
//	benchstat -col /impl bench.txt

// benchKeys are what the benchmarks call groups with, in turn.
var benchKeys = func() (keys [1024]string) {
	for i := range keys {
		keys[i] = fmt.Sprintf("benchmark-%06d", i)
	}
	return keys
}()

func benchKey(i int) string { return benchKeys[i%len(benchKeys)] }

func one() (int, error)                       { return 1, nil }
func oneContext(context.Context) (int, error) { return 1, nil }
func oneAny() (any, error)                    { return 1, nil }

// spin takes about half a microsecond. Its result is one that x/sync can box
// without an allocation.
func spin() (n int, err error) {
	for i := range 800 {
		n += i ^ n
	}
	return n & 127, nil
}

func spinAny() (any, error) { return spin() }

func BenchmarkDo(b *testing.B) {
	benchmarkDo(b, one, oneAny, func(b *testing.B, call func(key string)) {
		for i := 0; b.Loop(); i++ {
			call(benchKey(i))
		}
	})
}

func BenchmarkDoParallel(b *testing.B) { benchmarkDo(b, one, oneAny, distinctKeys) }

func BenchmarkDoParallelSpin(b *testing.B) { benchmarkDo(b, spin, spinAny, distinctKeys) }

func BenchmarkDoHotKey(b *testing.B) {
	benchmarkDo(b, one, oneAny, func(b *testing.B, call func(key string)) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call("the hot key")
			}
		})
	})
}

// benchmarkDo measures calls of Do as loop makes them.
func benchmarkDo(b *testing.B, fn func() (int, error), fnAny func() (any, error), loop func(*testing.B, func(key string))) {
	b.Run("impl=x-sync", func(b *testing.B) {
		b.ReportAllocs()
		var g xsync.Group
		loop(b, func(key string) { g.Do(key, fnAny) })
	})
	b.Run("impl=this", func(b *testing.B) {
		b.ReportAllocs()
		var g singleflight.Group[string, int]
		loop(b, func(key string) { g.Do(key, fn) })
	})
}

// distinctKeys calls from several goroutines with keys that seldom meet.
func distinctKeys(b *testing.B, call func(key string)) {
	var mu sync.Mutex
	goroutines := 0
	b.RunParallel(func(pb *testing.PB) {
		mu.Lock()
		i := goroutines * len(benchKeys) / runtime.GOMAXPROCS(0)
		goroutines++
		mu.Unlock()
		for ; pb.Next(); i++ {
			call(benchKey(i))
		}
	})
}

// BenchmarkDoShared measures flights that many callers share, from the start
// of their goroutines to the end of the last: ns/op are of a flight with all
// its callers.
func BenchmarkDoShared(b *testing.B) {
	for _, callers := range []int{10, 1000} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			b.Run("impl=x-sync", func(b *testing.B) {
				var g xsync.Group
				benchmarkShared(b, callers, func(wait func()) {
					g.Do("key", func() (any, error) { wait(); return 1, nil })
				})
			})
			b.Run("impl=this", func(b *testing.B) {
				var g singleflight.Group[string, int]
				benchmarkShared(b, callers, func(wait func()) {
					g.Do("key", func() (int, error) { wait(); return 1, nil })
				})
			})
			b.Run("context/impl=this", func(b *testing.B) {
				var g singleflight.Group[string, int]
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				benchmarkShared(b, callers, func(wait func()) {
					g.DoContext(ctx, "key", func(context.Context) (int, error) { wait(); return 1, nil })
				})
			})
		})
	}
}

func benchmarkShared(b *testing.B, callers int, call func(wait func())) {
	b.ReportAllocs()
	for b.Loop() {
		var begun, ended sync.WaitGroup
		begun.Add(callers)
		ended.Add(callers)
		for range callers {
			go func() {
				begun.Done()
				call(begun.Wait)
				ended.Done()
			}()
		}
		ended.Wait()
	}
}

func BenchmarkDoChan(b *testing.B) {
	b.Run("impl=x-sync", func(b *testing.B) {
		b.ReportAllocs()
		var g xsync.Group
		for i := 0; b.Loop(); i++ {
			<-g.DoChan(benchKey(i), oneAny)
		}
	})
	b.Run("impl=this", func(b *testing.B) {
		b.ReportAllocs()
		var g singleflight.Group[string, int]
		for i := 0; b.Loop(); i++ {
			<-g.DoChan(benchKey(i), one)
		}
	})
}

// BenchmarkDoContext measures what x/sync can't do: with a context that can't
// end, the leader runs the function; with one that can, another goroutine does.
func BenchmarkDoContext(b *testing.B) {
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, kind := range []struct {
		name string
		ctx  context.Context
	}{
		{"background", context.Background()},
		{"cancellable", cancellable},
	} {
		b.Run("ctx="+kind.name+"/impl=this", func(b *testing.B) {
			b.ReportAllocs()
			var g singleflight.Group[string, int]
			for i := 0; b.Loop(); i++ {
				g.DoContext(kind.ctx, benchKey(i), oneContext)
			}
		})
	}
}

func BenchmarkDoChanContext(b *testing.B) {
	b.Run("impl=this", func(b *testing.B) {
		b.ReportAllocs()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var g singleflight.Group[string, int]
		for i := 0; b.Loop(); i++ {
			<-g.DoChanContext(ctx, benchKey(i), oneContext)
		}
	})
}

// BenchmarkDoTrace is BenchmarkDo with hooks that do nothing.
func BenchmarkDoTrace(b *testing.B) {
	b.Run("impl=this", func(b *testing.B) {
		b.ReportAllocs()
		g := singleflight.New(singleflight.Options[string, int]{Trace: &singleflight.Trace[string]{
			Start: func(ctx context.Context, key string, id uint64) context.Context { return ctx },
			Land:  func(ctx context.Context, key string, id uint64, info singleflight.Landing) {},
		}})
		for i := 0; b.Loop(); i++ {
			g.Do(benchKey(i), one)
		}
	})
}

// BenchmarkDoKeys is BenchmarkDo with keys of other types.
func BenchmarkDoKeys(b *testing.B) {
	type pair struct {
		Name string
		ID   int64
	}
	b.Run("key=int/impl=this", func(b *testing.B) {
		benchmarkKeys(b, func(i int) int { return i })
	})
	b.Run("key=struct/impl=this", func(b *testing.B) {
		benchmarkKeys(b, func(i int) pair { return pair{benchKey(i), int64(i)} })
	})
	b.Run("key=interface/impl=this", func(b *testing.B) {
		benchmarkKeys(b, func(i int) any { return benchKey(i) })
	})
	b.Run("key=array/impl=this", func(b *testing.B) {
		benchmarkKeys(b, func(i int) [64]byte { return [64]byte{0: byte(i), 63: byte(i >> 8)} })
	})
}

func benchmarkKeys[K comparable](b *testing.B, key func(int) K) {
	b.ReportAllocs()
	var keys [1024]K
	for i := range keys {
		keys[i] = key(i)
	}
	var g singleflight.Group[K, int]
	for i := 0; b.Loop(); i++ {
		g.Do(keys[i%len(keys)], one)
	}
}
