package measure

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// All loops call once with each key before the measured part, so that what a
// library makes once for all calls isn't in the figures of a short run.

// oneGoroutine calls with one key after another on one goroutine.
func oneGoroutine[K comparable](bind func(peer.Function) func(K) (int, error), fn peer.Function, keys []K) func(*testing.B) {
	return func(b *testing.B) {
		call := bind(fn)
		for _, key := range keys {
			call(key)
		}
		i := 0
		for b.Loop() {
			call(keys[i%keyCount])
			i++
		}
	}
}

// background gives a context that never ends.
func background(*testing.B) context.Context { return context.Background() }

// cancellable gives a context that can end, but does so only after b has. It is
// made before the measured part, because what a context costs its maker is no
// library's doing.
func cancellable(b *testing.B) context.Context { return b.Context() }

// withContext is oneGoroutine for calls that have a context.
func withContext[K comparable](bind func(peer.Function) func(context.Context, K) (int, error), kind func(*testing.B) context.Context, fn peer.Function, keys []K) func(*testing.B) {
	return func(b *testing.B) {
		call := bind(fn)
		ctx := kind(b)
		for _, key := range keys {
			call(ctx, key)
		}
		i := 0
		for b.Loop() {
			call(ctx, keys[i%keyCount])
			i++
		}
	}
}

// distinctKeys calls on as many goroutines as there are processors, each with
// keys of its own.
func distinctKeys(bind func(peer.Function) func(string) (int, error), fn peer.Function, keys []string) func(*testing.B) {
	return func(b *testing.B) {
		call := bind(fn)
		share := len(keys) / runtime.GOMAXPROCS(0)
		for _, key := range keys {
			call(key)
		}
		b.ResetTimer()
		var goroutines atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			first := int(goroutines.Add(1)-1) * share
			own := keys[first : first+share]
			i := 0
			for pb.Next() {
				call(own[i])
				// Cheaper than a division, which would be a tenth of the figure.
				if i++; i == share {
					i = 0
				}
			}
		})
	}
}

// sameKeys calls on as many goroutines as there are processors, each with all
// keys one after another. The goroutines begin as far from each other as the
// keys allow, so that they seldom meet in one flight, but what they write was
// written last by another processor.
func sameKeys(bind func(peer.Function) func(string) (int, error), fn peer.Function, keys []string) func(*testing.B) {
	return func(b *testing.B) {
		call := bind(fn)
		share := len(keys) / runtime.GOMAXPROCS(0)
		for _, key := range keys {
			call(key)
		}
		b.ResetTimer()
		var goroutines atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			i := int(goroutines.Add(1)-1) * share
			for pb.Next() {
				call(keys[i])
				if i++; i == len(keys) {
					i = 0
				}
			}
		})
	}
}

// hotKey calls on as many goroutines as there are processors, all with one key.
func hotKey(bind func(peer.Function) func(string) (int, error), fn peer.Function) func(*testing.B) {
	return func(b *testing.B) {
		call := bind(fn)
		call(oneKey)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call(oneKey)
			}
		})
	}
}
