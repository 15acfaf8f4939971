package dress

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// do is x/sync's Do as people write it. Its function gets no context, so it takes the one at hand: that of the request that
// came first. When the client of that one hangs up, the load ends for everybody.
type do struct {
	load  Load
	limit time.Duration
	group singleflight.Group
}

func newDo(load Load, limit time.Duration) Front { return &do{load: load, limit: limit} }

func (d *do) Answer(ctx context.Context, key string) ([]byte, error) {
	answer, err, _ := d.group.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, d.limit)
		defer cancel()
		return d.load(ctx, key)
	})
	if err != nil {
		return nil, err
	}
	return answer.([]byte), nil
}

// Wait has nothing to wait for: every load ran within a call of Answer.
func (d *do) Wait(context.Context) error { return nil }

// doChan is x/sync's DoChan with what has to be written around it: a context that outlives the request, a select for the
// callers that leave, and a count of those whose load may still run, so that the database isn't closed under it.
type doChan struct {
	load    Load
	limit   time.Duration
	group   singleflight.Group
	callers sync.WaitGroup
}

func newDoChan(load Load, limit time.Duration) Front { return &doChan{load: load, limit: limit} }

func (d *doChan) Answer(ctx context.Context, key string) ([]byte, error) {
	result := d.group.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.limit)
		defer cancel()
		return d.load(ctx, key)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]byte), nil
	case <-ctx.Done():
		d.callers.Go(func() { <-result })
		return nil, ctx.Err()
	}
}

func (d *doChan) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		d.callers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
