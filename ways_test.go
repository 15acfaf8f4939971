package singleflight_test

import (
	"context"
	"testing"

	"github.com/seed-737f55c4/singleflight"
)

// enter makes a call of any group in one of the ways, and waits for what comes
// of it. The result of a blocking call doesn't say whether it led.
func enter[K comparable, V any](w way, g *singleflight.Group[K, V], ctx context.Context, key K, fn func() (V, error)) (r singleflight.Result[V]) {
	if w.channel {
		return <-open(w, g, ctx, key, fn)
	}
	switch w.name {
	case byDo.name:
		r.Val, r.Err, r.Shared = g.Do(key, fn)
	case byDoContext.name:
		r.Val, r.Err, r.Shared = g.DoContext(ctx, key, taking(fn))
	case byEndlessDoContext.name:
		r.Val, r.Err, r.Shared = g.DoContext(context.WithoutCancel(ctx), key, taking(fn))
	default:
		panic("unknown way " + w.name)
	}
	return r
}

// open is enter for channel callers. It doesn't wait.
func open[K comparable, V any](w way, g *singleflight.Group[K, V], ctx context.Context, key K, fn func() (V, error)) <-chan singleflight.Result[V] {
	switch w.name {
	case byDoChan.name:
		return g.DoChan(key, fn)
	case byDoChanContext.name:
		return g.DoChanContext(ctx, key, taking(fn))
	case byEndlessDoChanContext.name:
		return g.DoChanContext(context.WithoutCancel(ctx), key, taking(fn))
	default:
		panic("unknown way " + w.name)
	}
}

// taking returns fn as a function that takes a context. Nil stays nil.
func taking[V any](fn func() (V, error)) func(context.Context) (V, error) {
	if fn == nil {
		return nil
	}
	return func(context.Context) (V, error) { return fn() }
}

// constant returns a function that returns v at once.
func constant[V any](v V) func() (V, error) { return func() (V, error) { return v, nil } }

// alone fails the test unless a call with the key leads a flight that nobody
// shares.
func alone(t *testing.T, g *group, key string) {
	t.Helper()
	v, err, shared := g.Do(key, constant(4711))
	if v != 4711 || err != nil || shared {
		t.Errorf("a later Do got %v, %v, %v, want 4711, <nil>, false", v, err, shared)
	}
}
