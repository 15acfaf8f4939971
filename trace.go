package singleflight

import (
	"context"
	"sync/atomic"
	"time"
)

// A Trace is a set of hooks that a group calls, in the manner of
// net/http/httptrace. Nil hooks are skipped.
//
// The id names the flight and is unique in the process. The contexts are the
// flight's (Start, Land) and the caller's (Join, Detach), and
// [context.Background] for Do and DoChan. A flight's Start precedes its
// function, and that its Land; a caller's Join or Detach may run before Start
// returns or after Land. A successor that is dropped has neither Start
// nor Land.
//
// A hook runs on the goroutine that caused it, never under a lock, and may call
// the group. That goroutine waits for it. A panic in Start is the function's;
// in another hook it is its goroutine's own.
type Trace[K comparable] struct {
	// Start is called before a flight's function. The context that it
	// returns, which must be ctx or derived from it, is what the function and
	// Land get.
	Start func(ctx context.Context, key K, id uint64) context.Context

	// Join is called when a caller has joined a flight, before it waits. If
	// it panics, the caller leaves the flight, and Detach isn't called; if
	// the flight has landed by then with a panic of its own, that is what the
	// caller panics with.
	Join func(ctx context.Context, key K, id uint64)

	// Detach is called when a caller, the leader perhaps, has detached. err
	// is the error of its context. A channel caller has been sent its Result
	// before.
	Detach func(ctx context.Context, key K, id uint64, err error)

	// Land is called when a flight has landed and its outcome was handed out.
	Land func(ctx context.Context, key K, id uint64, info Landing)
}

// A Landing is how a flight ended.
type Landing struct {
	Duration time.Duration // since Start
	Callers  int           // that were ever on the flight, the leader included
	Detached int           // of these, that left before the landing
	Err      error         // the function's; its *PanicError for a panic, ErrGoexit for Goexit
}

// lastID is the id given out last.
var lastID atomic.Uint64

// A tracing is what a flight of a group with a Trace carries besides.
type tracing[K comparable] struct {
	hooks *Trace[K]
	key   K
	id    uint64
	ctx   context.Context // for the function and Land
	start time.Time
}

// newTracing returns nil if there are no hooks.
func newTracing[K comparable](hooks *Trace[K], key K) *tracing[K] {
	if hooks == nil {
		return nil
	}
	return &tracing[K]{hooks: hooks, key: key, id: lastID.Add(1)}
}

// started returns the context for the function.
func (t *tracing[K]) started(ctx context.Context) context.Context {
	t.ctx, t.start = ctx, time.Now()
	if t.hooks.Start != nil {
		ctx = t.hooks.Start(ctx, t.key, t.id)
		if ctx == nil {
			panic("singleflight: Trace.Start returned a nil Context")
		}
		t.ctx = ctx
	}
	return ctx
}

// traceJoin calls the Join hook. If that panics, or calls runtime.Goexit, the
// call is over, and its caller leaves the flight: a channel caller with its
// listener, a blocking caller with its handout. If the flight has landed in a
// panic by then, that was to reach this blocking caller, and perhaps no other.
// (Where a channel caller was on it the process crashes.)
func (c *call[K, V]) traceJoin(ctx context.Context, l listener[K, V], h *handout[V]) {
	join := c.trace.hooks.Join
	if join == nil {
		return
	}
	done := false
	defer func() {
		if done || c.detach(l, nil) || h == nil {
			return
		}
		<-h.done
		if o := &h.outcome; o.ending == panicked && !c.crowd.shard.group.Options.Recover {
			panic(o.err)
		}
	}()
	join(ctx, c.trace.key, c.trace.id)
	done = true
}

func (t *tracing[K]) detached(ctx context.Context, err error) {
	if t.hooks.Detach != nil {
		t.hooks.Detach(ctx, t.key, t.id, err)
	}
}

// landed calls the Land hook after the last step of the landing, even if that
// panics.
func (t *tracing[K]) landed(callers, detached int, err error, last func()) {
	if t.hooks.Land != nil {
		defer func() {
			t.hooks.Land(t.ctx, t.key, t.id, Landing{time.Since(t.start), callers, detached, err})
		}()
	}
	last()
}
