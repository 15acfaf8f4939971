package singleflight_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

type result = singleflight.Result[int]

// byDoResult begins a call of DoResult on a goroutine of its own. What it sends
// is a result, a panic's value, or nil if the goroutine exited.
func byDoResult(g *group, ctx context.Context, key string, fn func(context.Context) (int, error)) <-chan any {
	ch := make(chan any, 1)
	go func() {
		var outcome any
		defer func() {
			if value := recover(); value != nil {
				outcome = value
			}
			ch <- outcome
		}()
		outcome = g.DoResult(ctx, key, fn)
	}()
	synctest.Wait()
	return ch
}

// sent fails the test unless the channel has received want.
func sent(t *testing.T, who string, ch <-chan any, want any) {
	t.Helper()
	select {
	case got := <-ch:
		if got != want {
			t.Errorf("the %s got %+v, want %+v", who, got, want)
		}
	default:
		t.Errorf("the %s still waits", who)
	}
}

// eachContext runs a test in a bubble with a context that can end and with one
// that can't.
func eachContext(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	t.Run("cancellable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, t.Context()) })
	})
	t.Run("endless", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, context.Background()) })
	})
}

func TestDoResultTellsWhoLed(t *testing.T) {
	// Clause 13: a blocking caller learns whether it led.
	eachContext(t, func(t *testing.T, ctx context.Context) {
		for _, shared := range []bool{false, true} {
			for _, err := range []error{nil, errFlight} {
				var g group
				j := newJob()
				leader := byDoResult(&g, ctx, "key", j.bound)
				var joiner, other <-chan any
				if shared {
					joiner = byDoResult(&g, ctx, "key", nil)
					other = byDoResult(&g, t.Context(), "key", nil)
				}
				j.lands(func() (int, error) { return 7, err })
				sent(t, "leader", leader, result{Val: 7, Err: err, Shared: shared, Leader: true})
				if shared {
					sent(t, "joiner", joiner, result{Val: 7, Err: err, Shared: true})
					sent(t, "other joiner", other, result{Val: 7, Err: err, Shared: true})
				}
			}
		}
	})
	// It joins and is joined like any other call.
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		first, second := newJob(), newJob()
		leader := byDoResult(&g, t.Context(), "key", first.bound)
		joiner := w.call(&g, t.Context(), "key", newJob())
		first.returns(7)
		sent(t, "leader", leader, result{Val: 7, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 7, Shared: true})
		other := w.call(&g, t.Context(), "key", second)
		joined := byDoResult(&g, t.Context(), "key", nil)
		second.returns(8)
		other.got(t, answer{Val: 8, Shared: true, Leader: true})
		sent(t, "joiner", joined, result{Val: 8, Shared: true})
	})
}

func TestDoResultWithoutAnOutcome(t *testing.T) {
	// Clause 13: who has detached, was refused, or came with a context that is done gets an error and nothing else.
	synctest.Test(t, func(t *testing.T) {
		var g group
		j := newJob()
		ctx, cancel := context.WithCancelCause(t.Context())
		leader := byDoResult(&g, ctx, "key", j.bound)
		joiner := byDoResult(&g, ctx, "key", nil)
		stays := byDoResult(&g, t.Context(), "key", nil)
		refused := byDoResult(&g, j.ctx, "key", nil)
		sent(t, "refused caller", refused, result{Err: singleflight.ErrDeadlock})
		cancel(errors.New("a cause that nobody gets"))
		synctest.Wait()
		sent(t, "leader that left", leader, result{Err: context.Canceled})
		sent(t, "joiner that left", joiner, result{Err: context.Canceled})
		done := byDoResult(&g, ctx, "key", nil)
		sent(t, "caller with a context that is done", done, result{Err: context.Canceled})
		j.returns(7)
		sent(t, "joiner", stays, result{Val: 7, Shared: true})
	})
}

func TestDoResultPanics(t *testing.T) {
	// Clauses 6 and 7: as DoContext does.
	eachContext(t, func(t *testing.T, ctx context.Context) {
		var g group
		j := newJob()
		leader := byDoResult(&g, ctx, "key", j.bound)
		joiner := byDoResult(&g, ctx, "key", nil)
		j.panics("boom")
		p, ok := (<-leader).(*singleflight.PanicError)
		if !ok || p.Value != "boom" {
			t.Errorf("the leader got %v", p)
		}
		sent(t, "joiner", joiner, p)

		leader = byDoResult(&g, ctx, "key", j.bound)
		joiner = byDoResult(&g, ctx, "key", nil)
		j.exits()
		sent(t, "leader", leader, nil)
		sent(t, "joiner", joiner, nil)

		var none context.Context
		if value := panicOf(func() { g.DoResult(none, "key", j.bound) }); value == nil {
			t.Error("DoResult takes a nil context")
		}
	})
}

func TestDoResultRecovers(t *testing.T) {
	// Clause 8: a panic and Goexit are errors, with Shared and Leader as with any other. Where the function ran on the
	// leader's goroutine, Goexit ends that.
	eachContext(t, func(t *testing.T, ctx context.Context) {
		g := singleflight.New(singleflight.Options[string, int]{Recover: true})
		j := newJob()
		leader := byDoResult(g, ctx, "key", j.bound)
		joiner := byDoResult(g, ctx, "key", nil)
		j.panics("boom")
		r, _ := (<-leader).(result)
		if p, ok := errors.AsType[*singleflight.PanicError](r.Err); !ok || p.Value != "boom" {
			t.Errorf("the leader got %+v", r)
		}
		if want := (result{Err: r.Err, Shared: true, Leader: true}); r != want {
			t.Errorf("the leader got %+v, want %+v", r, want)
		}
		sent(t, "joiner", joiner, result{Err: r.Err, Shared: true})

		leader = byDoResult(g, ctx, "key", j.bound)
		joiner = byDoResult(g, ctx, "key", nil)
		j.lands(func() (int, error) { runtime.Goexit(); return 1, nil })
		if ctx.Done() == nil {
			sent(t, "leader", leader, nil)
		} else {
			sent(t, "leader", leader, result{Err: singleflight.ErrGoexit, Shared: true, Leader: true})
		}
		sent(t, "joiner", joiner, result{Err: singleflight.ErrGoexit, Shared: true})
	})
}

func TestDoResultOfASuccessor(t *testing.T) {
	// Clause 16: who leads a successor has led, if that runs for it.
	eachContext(t, func(t *testing.T, ctx context.Context) {
		g := cancelling()
		before := abandoned(t, g, "key")
		dropped, cancel := context.WithCancel(t.Context())
		unused := byDoResult(g, dropped, "key", nil)
		cancel()
		synctest.Wait()
		sent(t, "leader of a dropped flight", unused, result{Err: context.Canceled})
		j := newJob()
		leader := byDoResult(g, ctx, "key", j.bound)
		joiner := byDoResult(g, ctx, "key", nil)
		before.returns(1)
		j.returns(2)
		sent(t, "leader", leader, result{Val: 2, Shared: true, Leader: true})
		sent(t, "joiner", joiner, result{Val: 2, Shared: true})
	})
}

func TestDoResultClones(t *testing.T) {
	// Clause 21: each caller of a shared result gets a copy of its own.
	eachContext(t, func(t *testing.T, ctx context.Context) {
		var copies atomic.Int32
		g := singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int { copies.Add(1); return v }})
		j := newJob()
		leader := byDoResult(g, ctx, "key", j.bound)
		joiner := byDoResult(g, t.Context(), "key", nil)
		j.lands(func() (int, error) { return 7, nil })
		sent(t, "leader", leader, result{Val: 7, Shared: true, Leader: true})
		sent(t, "joiner", joiner, result{Val: 7, Shared: true})
		if n := copies.Load(); n != 2 {
			t.Errorf("%d copies, want 2", n)
		}
	})
}
