package peer

import (
	"context"

	"github.com/seed-737f55c4/singleflight"
)

// This is the library that this repository holds.
func This[K comparable]() Library[K] {
	return this("this", func() *singleflight.Group[K, int] { return new(singleflight.Group[K, int]) })
}

// Traced is This with hooks that do nothing.
func Traced[K comparable]() Library[K] {
	trace := &singleflight.Trace[K]{
		Start:  func(ctx context.Context, _ K, _ uint64) context.Context { return ctx },
		Join:   func(context.Context, K, uint64) {},
		Detach: func(context.Context, K, uint64, error) {},
		Land:   func(context.Context, K, uint64, singleflight.Landing) {},
	}
	return this("with Trace", func() *singleflight.Group[K, int] {
		return singleflight.New(singleflight.Options[K, int]{Trace: trace})
	})
}

func this[K comparable](name string, newGroup func() *singleflight.Group[K, int]) Library[K] {
	failed := func(r singleflight.Result[int]) bool { return r.Err != nil }
	return Library[K]{
		Name:   name,
		Module: "github.com/seed-737f55c4/singleflight",
		Do: func(fn Function) func(K) (int, error) {
			g := newGroup()
			return func(key K) (int, error) {
				v, err, _ := g.Do(key, fn.Plain)
				return v, err
			}
		},
		DoChan: func(fn Function) func(K) (int, error) {
			g := newGroup()
			return func(key K) (int, error) {
				r := <-g.DoChan(key, fn.Plain)
				return r.Val, r.Err
			}
		},
		DoContext: func(fn Function) func(context.Context, K) (int, error) {
			g := newGroup()
			return func(ctx context.Context, key K) (int, error) {
				v, err, _ := g.DoContext(ctx, key, fn.Context)
				return v, err
			}
		},
		DoChanContext: func(fn Function) func(context.Context, K) (int, error) {
			g := newGroup()
			return func(ctx context.Context, key K) (int, error) {
				r := <-g.DoChanContext(ctx, key, fn.Context)
				return r.Val, r.Err
			}
		},
		Flights: func(fn Function, n int) Flights[K] {
			g := newGroup()
			return &channels[K, singleflight.Result[int]]{
				call:   func(key K) <-chan singleflight.Result[int] { return g.DoChan(key, fn.Plain) },
				failed: failed,
				kept:   make([]<-chan singleflight.Result[int], 0, n),
			}
		},
		ContextFlights: func(fn Function, n int) ContextFlights[K] {
			g := newGroup()
			return &contextChannels[K, singleflight.Result[int]]{
				call: func(ctx context.Context, key K) <-chan singleflight.Result[int] {
					return g.DoChanContext(ctx, key, fn.Context)
				},
				failed: failed,
				kept:   make([]<-chan singleflight.Result[int], 0, n),
			}
		},
	}
}
