package singleflight

import (
	"cmp"
	"context"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// DoContext is like [Group.Do], and ends with the caller's context: if ctx
// ends before the flight has landed, the caller detaches at once and gets the
// zero value, ctx.Err() and false. The flight goes on for its other callers,
// even if the one that detaches is the leader. If ctx ends while the flight
// lands, the flight decides: a caller that had not detached by then gets the
// outcome.
//
// The context that fn gets carries the values of the leader's ctx, but neither
// its cancellation nor its deadline: unless [Options].FlightTimeout sets one, it
// has no deadline at all, also when all callers have left. It is done once the
// flight has landed, and before that only by [Options].CancelAbandoned or
// [Options].FlightTimeout; [context.Cause] tells which, [ErrAbandoned] or
// [ErrFlightTimeout]. fn runs on a goroutine of its own, so it may run on after
// its leader has returned; if ctx can't end (ctx.Done() is nil), it runs on the
// caller's.
//
// If fn panics, every caller that is on the flight then panics with one
// [*PanicError], as with Do. If nobody is left on it, or one of those who are
// waits for a channel, the process crashes with that panic; [Options].Recover
// prevents this.
//
// A flight that all its callers have left is abandoned. It goes on and can
// still be joined, unless [Options].CancelAbandoned is set. A flight that a
// caller of Do or DoChan is on is never abandoned.
//
// A call belongs to the innermost flight whose context ctx is or derives from,
// context.WithoutCancel included. If it would make that flight wait for
// itself, directly or over other flights of any groups, DoContext returns
// [ErrDeadlock] at once. Calls of Do and DoChan have no context and aren't
// seen: a cycle through them hangs.
//
// If ctx is already done, DoContext returns ctx.Err() at once and starts
// nothing. A nil ctx panics.
func (g *Group[K, V]) DoContext(ctx context.Context, key K, fn func(context.Context) (V, error)) (v V, err error, shared bool) {
	r := g.DoResult(ctx, key, fn)
	return r.Val, r.Err, r.Shared
}

// DoResult is [Group.DoContext] with a [Result], by which the caller learns
// whether it led the flight. A caller that detaches, whose ctx is already done or
// that is refused with [ErrDeadlock] gets a Result with that error and nothing
// else: a leader that left isn't Leader.
func (g *Group[K, V]) DoResult(ctx context.Context, key K, fn func(context.Context) (V, error)) (r Result[V]) {
	if err := ended(ctx); err != nil {
		return Result[V]{Err: err}
	}
	done := ctx.Done()
	f, leads, edge, err := g.arrive(key, ctx)
	if err != nil {
		return Result[V]{Err: err}
	}
	r.Leader = leads
	if leads && done == nil {
		r.Val, r.Err, r.Shared = f.flyHere(function[V]{bound: fn})
		return r
	}
	h := f.waitable()
	c := f.newCall(leads, edge)
	c.begin(ctx, function[V]{bound: fn}, listener[K, V]{}, h)
	select {
	case <-h.done:
	case <-done:
		err := endOf(ctx)
		if c.detach(listener[K, V]{}, err) {
			if c.trace != nil {
				c.trace.detached(ctx, err)
			}
			return Result[V]{Err: err}
		}
		<-h.done // it has landed
	}
	r.Val, r.Err, r.Shared = g.result(&h.outcome)
	return r
}

// DoChanContext is like [Group.DoChan] with the context of [Group.DoContext]:
// when the caller detaches, the channel receives Result{Err: ctx.Err()}, and a
// call that DoContext would refuse receives its error that way too. A waiting
// caller costs no goroutine, given a ctx of the standard library or one with
// an AfterFunc method (see [context.AfterFunc]).
func (g *Group[K, V]) DoChanContext(ctx context.Context, key K, fn func(context.Context) (V, error)) <-chan Result[V] {
	ch := make(chan Result[V], 1)
	if err := ended(ctx); err != nil {
		ch <- Result[V]{Err: err}
		return ch
	}
	done := ctx.Done()
	f, leads, edge, err := g.arrive(key, ctx)
	if err != nil {
		ch <- Result[V]{Err: err}
		return ch
	}
	f.gather()
	c := f.newCall(leads, edge)
	l := listener[K, V]{ch: ch}
	if done != nil {
		l.watch = c.newWatch(ctx, ch)
	}
	f.listen(leads, l)
	c.begin(ctx, function[V]{bound: fn}, l, nil)
	if l.watch != nil {
		l.watch.begin()
	}
	return ch
}

// Func binds a loader: the function that it returns is [Group.DoContext] of
// its key, with fn, and without the third result.
func (g *Group[K, V]) Func(fn func(context.Context, K) (V, error)) func(context.Context, K) (V, error) {
	return func(ctx context.Context, key K) (V, error) {
		v, err, _ := g.DoContext(ctx, key, func(ctx context.Context) (V, error) {
			return fn(ctx, key)
		})
		return v, err
	}
}

// Forgotten reports whether the flight that ctx belongs to was forgotten before
// it landed, by [Group.Forget], [Group.ForgetUnshared] or [Options].ForgetAfter.
// That is the innermost flight whose context ctx is or derives from; it may have
// landed, after which the answer doesn't change. Without one it is false.
//
// It is for functions that fill a cache. A flight that read its source before a
// write may set the cache after the writer has deleted the entry, and then the
// old value stays. This order leaves none, whatever the timing:
//
//	function: read the source, set the cache, then delete the entry again if Forgotten, all before it returns
//	writer:   write the source, Forget (not ForgetUnshared), delete the entry
//
// It holds if only functions with a context, of one group, fill the cache; if
// they read the source itself, not a cache, nor a flight of another group, unless
// the writer forgets there first; and if set and delete have taken effect when
// they return. So these must not use ctx, which may have ended (see
// [context.WithoutCancel]), and an entry whose set failed is deleted too.
func Forgotten(ctx context.Context) bool {
	f := waitfor.Innermost(ctx)
	return f != nil && f.Forgotten()
}

// ended returns the error of a context that is done.
func ended(ctx context.Context) error {
	if ctx == nil {
		panic("singleflight: nil Context")
	}
	return ctx.Err()
}

// endOf returns the error of a context whose Done channel is closed, or whose
// AfterFunc was called. A context of the user's may set it later.
func endOf(ctx context.Context) error {
	return cmp.Or(ctx.Err(), context.Canceled)
}
