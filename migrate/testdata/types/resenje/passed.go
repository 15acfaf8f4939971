package resenje

import (
	"context"

	sf "resenje.org/singleflight" // want `left: .* passed.go:11: the results of this call are passed on together`
)

func passed(ctx context.Context) (int, bool, error) {
	g := new(sf.Group[int, int])
	return g.Do(ctx, 1, func(context.Context) (int, error) { return 1, nil })
}
