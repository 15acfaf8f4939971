package ignore

import (
	"context"

	"golang.org/x/sync/singleflight"
)

var x singleflight.Group

func load(ctx context.Context) (any, error) { return 0, ctx.Err() }

func ignored(ctx context.Context) {
	x.Do("", func() (any, error) { return load(ctx) }) //singleflight:ignore the context is the program's
	//singleflight:ignore the context is the program's
	x.Do("", func() (any, error) { return load(ctx) })
	x.Do("", func() (any, error) { return load(ctx) }) // want `the function uses ctx`
}

func noReason(ctx context.Context) {
	/* want `singleflight:ignore without a reason silences nothing` */ //singleflight:ignore
	x.Do("", func() (any, error) { return load(ctx) })                 // want `the function uses ctx`
}
