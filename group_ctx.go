package singleflight

import (
	"cmp"
	"context"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
)

// DoContext is like [Group.Do], and ends with the caller's context: if ctx
// ends before the flight has landed, the caller detaches at once and gets the
// zero value, ctx.Err() and false. The flight goes on for its other callers,
// even if the one that detaches is the leader. If ctx ends while the flight
// lands, the flight decides: a caller that had not detached by then gets the
// outcome.
//
// The context that fn gets carries the values of the leader's ctx, but neither
// its cancellation nor its deadline. It is done once the flight has landed,
// and before that only by [Options].CancelAbandoned or
// [Options].FlightTimeout. fn runs on a goroutine of its own, so it may run on
// after its leader has returned; if ctx can't end (ctx.Done() is nil), it runs
// on the caller's.
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
	if err := ended(ctx); err != nil {
		return v, err, false
	}
	done := ctx.Done()
	if done == nil {
		return g.stay(ctx, key, fn)
	}
	var c call[K, V]
	if err := g.arriveToWait(ctx, done, key, fn, &c); err != nil {
		return v, err, false
	}
	select {
	case <-c.handout.done:
	case <-done:
		return c.leave(ctx)
	}
	return c.result()
}

// DoChanContext is like [Group.DoChan] with the context of [Group.DoContext]:
// when the caller detaches, the channel receives Result{Err: ctx.Err()}, and a
// call that DoContext would refuse receives its error that way too. A waiting
// caller costs no goroutine, given a ctx of the standard library or one with
// an AfterFunc method (see [context.AfterFunc]).
func (g *Group[K, V]) DoChanContext(ctx context.Context, key K, fn func(context.Context) (V, error)) <-chan Result[V] {
	ch := make(chan Result[V], 1)
	err := ended(ctx)
	if err == nil {
		a := arrival[K, V]{ctx: ctx, done: ctx.Done(), fn: function[V]{bound: fn}, ch: ch}
		err = g.arrive(key, &a)
	}
	if err != nil {
		ch <- Result[V]{Err: err}
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

// stay is DoContext of a caller that can't leave.
func (g *Group[K, V]) stay(ctx context.Context, key K, fn func(context.Context) (V, error)) (v V, err error, shared bool) {
	hash := inflight.Hash(key)
	s := g.shard(hash)
	s.Lock()
	if s.flights.Find(hash, key) == nil {
		return s.leadHere(hash, key, ctx, function[V]{bound: fn})
	}
	f, h, err := s.arriveToStay(hash, key, ctx)
	if err != nil {
		return v, err, false
	}
	if h == nil {
		return f.flyHere(function[V]{bound: fn})
	}
	<-h.done
	return g.result(&h.outcome)
}

// leave is the end of a blocking call whose context has ended. If the flight
// landed before, it returns that one's outcome.
func (c *call[K, V]) leave(ctx context.Context) (v V, err error, shared bool) {
	if c.detach(nil, nil, nil) {
		err = endOf(ctx)
		if c.trace != nil {
			c.trace.detached(ctx, err)
		}
		return v, err, false
	}
	<-c.handout.done // it has landed
	return c.result()
}

// detach takes the caller off its flight because its context has ended, with
// err. It reports false if the flight has landed before: then the caller gets
// the outcome. ch and the watch are nil unless the caller has them. A caller
// with a watch is sent err, unless that is nil because it never got its channel.
func (c *call[K, V]) detach(ch chan Result[V], w *watch[K, V], err error) bool {
	f := c.flight
	s := f.shard
	s.Lock()
	if f.landed {
		s.Unlock()
		return false
	}
	f.callers--
	s.extras().counters.detached++
	if c.leads {
		f.context.LeaderLeft()
		if w != nil {
			f.more.watch = nil
		}
		f.line.leader = nil
	}
	if c.edge != nil {
		c.edge.Leave()
	}
	if w == nil && ch != nil {
		f.line.joined.leave(ch)
	}
	if w != nil {
		if !c.leads {
			f.line.joined.leaveWatched(w)
		}
		w.left, w.stop = true, nil
		if err != nil {
			w.ch <- Result[V]{Err: err} // before the flight can land without this caller
		}
	}
	if f.callers == 0 {
		f.abandon()
	} else {
		s.Unlock()
	}
	return true
}

// abandon is what happens to a flight when its last caller has detached: a
// successor that waits is dropped, and a flight that runs is cancelled, if the
// options say so. It lets go of the shard's lock.
func (f *flight[K, V]) abandon() {
	s := f.shard
	s.more.counters.abandoned++
	switch {
	case f.waits():
		f.drop()
	case s.group.opts.CancelAbandoned:
		f.cancelled = true
		s.Unlock()
		f.context.End()
	default:
		s.Unlock()
	}
}

// drop ends a successor that waits. It lets go of the shard's lock.
func (f *flight[K, V]) drop() {
	s := f.shard
	s.more.counters.waiting--
	s.more.counters.dropped++
	predecessor := f.more.predecessor
	predecessor.more.successor, f.more.predecessor = nil, nil
	predecessor.context.DropSuccessor()
	handout, _, _ := f.disembark()
	s.Unlock()
	if handout != nil {
		close(handout.done)
	}
}
