package dress

import (
	"context"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// doContext is this package. A caller that leaves takes nothing along, and Wait drains what still runs.
type doContext struct {
	load  Load
	group *singleflight.Group[string, []byte]
}

// Watched is the dress of this package. It tells of the group of each front that is made.
func Watched(made func(*singleflight.Group[string, []byte])) Dress {
	return Dress{Name: "this package", Mine: true, New: func(load Load, limit time.Duration) Front {
		d := newGroup(load, limit)
		made(d.group)
		return d
	}}
}

func newDoContext(load Load, limit time.Duration) Front { return newGroup(load, limit) }

func newGroup(load Load, limit time.Duration) *doContext {
	return &doContext{load: load, group: singleflight.New(singleflight.Options[string, []byte]{
		// A load that nobody waits for goes on: its answer goes into the cache, and the key is one that others ask for.
		// Where an answer is of use to its callers alone, CancelAbandoned saves the work.
		CancelAbandoned: false,
		// net/http recovers a panic in a handler, but a load runs beside the handlers.
		Recover:       true,
		FlightTimeout: limit,
	})}
}

func (d *doContext) Answer(ctx context.Context, key string) ([]byte, error) {
	answer, err, _ := d.group.DoContext(ctx, key, func(ctx context.Context) ([]byte, error) {
		return d.load(ctx, key)
	})
	return answer, err
}

func (d *doContext) Wait(ctx context.Context) error { return d.group.Wait(ctx) }
