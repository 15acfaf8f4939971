package peer

import (
	"context"

	"tailscale.com/util/singleflight"
)

// Tailscale is tailscale.com/util/singleflight: x/sync with type parameters
// and DoChanContext.
func Tailscale[K comparable]() Library[K] {
	failed := func(r singleflight.Result[int]) bool { return r.Err != nil }
	return Library[K]{
		Name:   "tailscale",
		Module: "tailscale.com",
		Do: func(fn Function) func(K) (int, error) {
			g := new(singleflight.Group[K, int])
			return func(key K) (int, error) {
				v, err, _ := g.Do(key, fn.Plain)
				return v, err
			}
		},
		DoChan: func(fn Function) func(K) (int, error) {
			g := new(singleflight.Group[K, int])
			return func(key K) (int, error) {
				r := <-g.DoChan(key, fn.Plain)
				return r.Val, r.Err
			}
		},
		DoChanContext: func(fn Function) func(context.Context, K) (int, error) {
			g := new(singleflight.Group[K, int])
			return func(ctx context.Context, key K) (int, error) {
				r := <-g.DoChanContext(ctx, key, fn.Context)
				return r.Val, r.Err
			}
		},
		ContextFlights: func(fn Function, n int) ContextFlights[K] {
			g := new(singleflight.Group[K, int])
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
