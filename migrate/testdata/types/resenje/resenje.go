package resenje

import (
	"context"
	"time"

	"resenje.org/singleflight" // want `resenje.org/singleflight becomes github.com/seed-737f55c4/singleflight: 6 Groups, 5 calls`
)

var global singleflight.Group[string, int] // want `Options.CancelAbandoned`

type cache[K comparable] struct {
	flights singleflight.Group[K, time.Time]
	size    int
}

func newCache() *cache[string] {
	return &cache[string]{ // want `Options.CancelAbandoned`
		size: 1,
	}
}

type pointer struct {
	g *singleflight.Group[int, []byte]
}

func newPointers() []pointer {
	return []pointer{
		{g: new(singleflight.Group[int, []byte])}, // want `Options.CancelAbandoned`
		{g: &singleflight.Group[int, []byte]{}},   // want `Options.CancelAbandoned`
	}
}

type unset struct {
	g singleflight.Group[int, int] // want `note: no literal of the struct sets g: set its Options.CancelAbandoned`
}

func (c *cache[K]) get(ctx context.Context, key K) (time.Time, error) {
	v, _, err := c.flights.Do(ctx, key, func(ctx context.Context) (time.Time, error) { // want `note: a call that comes after all others have left waits`
		return time.Now(), nil
	})
	return v, err
}

func get(ctx context.Context) (v int, shared bool, err error) {
	v, shared, err = global.Do(ctx, "", func(context.Context) (int, error) { return 1, nil }) // want `note: a call` `note: shared is false for a caller that left`
	global.Forget("")
	global.Do(ctx, "", nil)                               // want `note: a call`
	if v, _, err := global.Do(ctx, "", nil); err != nil { // want `note: a call`
		return v, false, err
	}
	return v, shared, err
}
