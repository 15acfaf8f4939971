package tailscale

import (
	"context"

	"tailscale.com/util/singleflight" // want `tailscale.com/util/singleflight becomes github.com/seed-737f55c4/singleflight: 1 Group, 2 Results, 2 calls`
)

var g singleflight.Group[string, int] // want `Options.CancelAbandoned`

func get(ctx context.Context) singleflight.Result[int] {
	ch := g.DoChanContext(ctx, "", func(ctx context.Context) (int, error) { return 1, nil }) // want `note: the function's context has the values`
	v, err, shared := g.Do("", nil)
	_ = singleflight.Result[int]{v, err, shared}
	return <-ch
}
