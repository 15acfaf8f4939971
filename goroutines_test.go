package singleflight_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// callerContexts are kinds of contexts that can end, and how many goroutines a
// channel caller with one may cost while it waits.
var callerContexts = []struct {
	name string
	cost int
	make func(t *testing.T) (ctx context.Context, cancel func())
}{
	{"WithCancel", 0, func(t *testing.T) (context.Context, func()) { return context.WithCancel(t.Context()) }},
	{"WithTimeout", 0, func(t *testing.T) (context.Context, func()) { return context.WithTimeout(t.Context(), time.Hour) }},
	{"WithValue", 0, func(t *testing.T) (context.Context, func()) {
		ctx, cancel := context.WithCancel(t.Context())
		return context.WithValue(ctx, contextKey("k"), 1), cancel
	}},
	{"with AfterFunc", 0, func(t *testing.T) (context.Context, func()) {
		ctx := watchedContext{newForeignContext(t.Context()), new(watches)}
		return ctx, func() { ctx.end(context.Canceled); ctx.fire() }
	}},
	{"foreign", 1, func(t *testing.T) (context.Context, func()) {
		ctx := newForeignContext(t.Context())
		return ctx, func() { ctx.end(context.Canceled) }
	}},
}

func TestWaitingChannelCallerCostsNoGoroutine(t *testing.T) {
	// Clause 17: a waiting caller costs no goroutine (given a context of the standard library, or one with its
	// AfterFunc method). Clause 26: and with any context, none is left after the landing or the detaching.
	for _, c := range callerContexts {
		for _, end := range []string{"landing", "detaching"} {
			t.Run(c.name+"/"+end, func(t *testing.T) {
				eachWay(t, []way{byDo, byDoChanContext}, func(t *testing.T, leads way) {
					var g group
					before := bubbleGoroutines()
					j := newJob()
					leader := leads.call(&g, t.Context(), "key", j)
					running := bubbleGoroutines()
					ctx, cancel := c.make(t)
					var results []<-chan singleflight.Result[int]
					for range 10 {
						results = append(results, g.DoChanContext(ctx, "key", nil))
					}
					if n := bubbleGoroutines() - running; n > 10*c.cost {
						t.Errorf("10 callers cost %d goroutines, want %d", n, 10*c.cost)
					}
					want := singleflight.Result[int]{Err: context.Canceled}
					if end == "landing" {
						want = singleflight.Result[int]{Val: 7, Shared: true}
						j.returns(7)
						if n := bubbleGoroutines() - before; n != 0 {
							t.Errorf("%d goroutines are left after the landing", n)
						}
						cancel()
					} else {
						cancel()
						if n := bubbleGoroutines() - running; n != 0 {
							t.Errorf("%d goroutines are left after the detaching", n)
						}
						j.returns(7)
					}
					leader.got(t, answer{Val: 7, Shared: true, Leader: true})
					for _, ch := range results {
						if r := <-ch; r != want {
							t.Errorf("got %+v, want %+v", r, want)
						}
					}
					if n := bubbleGoroutines() - before; n != 0 {
						t.Errorf("%d goroutines are left at last", n)
					}
				})
			})
		}
	}
}

func TestChannelLeaderCostsOneGoroutine(t *testing.T) {
	// Clause 17: as DoChan: only the function's goroutine.
	for _, c := range callerContexts {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g group
				before := bubbleGoroutines()
				j := newJob()
				ctx, cancel := c.make(t)
				ch := g.DoChanContext(ctx, "key", j.bound)
				if n := bubbleGoroutines() - before; n > 1+c.cost {
					t.Errorf("%d goroutines, want the function's and %d", n, c.cost)
				}
				cancel()
				if n := bubbleGoroutines() - before; n != 1 {
					t.Errorf("%d goroutines after the leader has left, want the function's", n)
				}
				if r := <-ch; r != (singleflight.Result[int]{Err: context.Canceled}) {
					t.Errorf("got %+v", r)
				}
				j.returns(7)
				if n := bubbleGoroutines() - before; n != 0 {
					t.Errorf("%d goroutines are left", n)
				}
			})
		})
	}
}

func TestWaitingBlockingCallerCostsItsOwnGoroutine(t *testing.T) {
	// Clause 26: a blocking caller costs none but its own, with any context.
	for _, c := range callerContexts {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g group
				before := bubbleGoroutines()
				j := newJob()
				ctx, cancel := c.make(t)
				leader := byDoContext.call(&g, ctx, "key", j)
				joiner := byDoContext.call(&g, ctx, "key", newJob())
				if n := bubbleGoroutines() - before; n != 3 {
					t.Errorf("%d goroutines, want two callers' and the function's", n)
				}
				j.returns(7)
				leader.got(t, answer{Val: 7, Shared: true})
				joiner.got(t, answer{Val: 7, Shared: true})
				if n := bubbleGoroutines() - before; n != 0 {
					t.Errorf("%d goroutines are left", n)
				}
				cancel()
			})
		})
	}
}

func TestLandedCallersDoNotWatchTheirContext(t *testing.T) {
	// Clauses 24 and 26: once a flight has landed, the callers' contexts know nothing of it: else each call would
	// stay for as long as a long-lived context.
	synctest.Test(t, func(t *testing.T) {
		var g group
		ctx := watchedContext{newForeignContext(t.Context()), new(watches)}
		j := newJob()
		leader := byDoChanContext.call(&g, ctx, "key", j)
		joiner := byDoChanContext.call(&g, ctx, "key", newJob())
		if n := ctx.watching(); n != 2 {
			t.Errorf("%d callers watch, want 2", n)
		}
		j.returns(7)
		leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 7, Shared: true})
		if n := ctx.watching(); n != 0 {
			t.Errorf("%d callers watch after the landing", n)
		}
	})
}

func TestDetachedCallersResultComesFirst(t *testing.T) {
	// Clause 17: as DoChan: room for one Result, exactly one, never closed, nobody has to receive it.
	eachWay(t, ways, func(t *testing.T, leads way) {
		var g group
		j := newJob()
		leads.call(&g, t.Context(), "key", j)
		ctx, cancel := context.WithCancel(t.Context())
		left, lands := g.DoChanContext(ctx, "key", nil), g.DoChanContext(t.Context(), "key", nil)
		if cap(left) != 1 {
			t.Errorf("the channel has room for %d results", cap(left))
		}
		cancel()
		synctest.Wait()
		j.returns(7)
		for _, c := range []struct {
			ch   <-chan singleflight.Result[int]
			want singleflight.Result[int]
		}{
			{left, singleflight.Result[int]{Err: context.Canceled}},
			{lands, singleflight.Result[int]{Val: 7, Shared: true}},
		} {
			if r := <-c.ch; r != c.want {
				t.Errorf("got %+v, want %+v", r, c.want)
			}
			select {
			case r, ok := <-c.ch:
				t.Errorf("a second receive got %+v, %v", r, ok)
			default:
			}
		}
	})
}

func TestDetachingConcernsNobodyElse(t *testing.T) {
	// Clauses 13 and 14: a context that ends while its flight lands detaches no caller of a later flight, whatever
	// the group uses again.
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	g := cancelling()
	var wg sync.WaitGroup
	var ends atomic.Int64
	lasting, cancelLasting := context.WithCancel(t.Context())
	defer cancelLasting()
	for i := range 4 {
		wg.Go(func() {
			for round := range rounds {
				key := fmt.Sprint(i, " ", round%3)
				ctx, cancel := context.WithCancel(t.Context())
				ch := g.DoChanContext(ctx, key, taking(constant(1)))
				joined := g.DoChanContext(ctx, key, taking(constant(1)))
				wg.Go(cancel)
				for _, key := range []string{key, key + "'"} {
					if r := <-g.DoChanContext(lasting, key, taking(constant(1))); r.Val != 1 || r.Err != nil {
						t.Errorf("a caller whose context has not ended got %+v", r)
					}
				}
				for _, ch := range []<-chan singleflight.Result[int]{ch, joined} {
					if r := <-ch; r.Err != nil {
						ends.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := g.Stats().Detached; n != uint64(ends.Load()) {
		t.Errorf("%d callers were told that their context ended, %d detached", ends.Load(), n)
	}
}
