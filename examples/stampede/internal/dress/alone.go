package dress

import (
	"context"
	"time"
)

// alone loads once for each request.
type alone struct {
	load  Load
	limit time.Duration
}

func newAlone(load Load, limit time.Duration) Front { return &alone{load, limit} }

func (a *alone) Answer(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.limit)
	defer cancel()
	return a.load(ctx, key)
}

// Wait has nothing to wait for: every load ran within a call of Answer.
func (a *alone) Wait(context.Context) error { return nil }
