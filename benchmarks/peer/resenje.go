package peer

import (
	"context"

	"resenje.org/singleflight"
)

// Resenje is resenje.org/singleflight, whose only way to call takes a context.
func Resenje[K comparable]() Library[K] {
	return Library[K]{
		Name:   "resenje",
		Module: "resenje.org/singleflight",
		DoContext: func(fn Function) func(context.Context, K) (int, error) {
			g := new(singleflight.Group[K, int])
			return func(ctx context.Context, key K) (int, error) {
				v, _, err := g.Do(ctx, key, fn.Context)
				return v, err
			}
		},
	}
}
