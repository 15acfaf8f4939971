package peer

import (
	"context"

	"github.com/creachadair/msync/throttle"
)

// Msync is throttle.Set of github.com/creachadair/msync, whose only way to call
// takes a context.
func Msync[K comparable]() Library[K] {
	return Library[K]{
		Name:   "msync",
		Module: "github.com/creachadair/msync",
		DoContext: func(fn Function) func(context.Context, K) (int, error) {
			set := throttle.NewSet[K, int]()
			return func(ctx context.Context, key K) (int, error) {
				return set.Call(ctx, key, fn.Context)
			}
		},
	}
}
