package singleflight_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// aging returns a group that forgets a flight after a minute.
func aging(options ...func(*singleflight.Options[string, int])) *group {
	opts := singleflight.Options[string, int]{ForgetAfter: time.Minute}
	for _, set := range options {
		set(&opts)
	}
	return singleflight.New(opts)
}

func TestForgetAfter(t *testing.T) {
	// Clause 22: a call that finds its key held by a flight that has run for longer forgets it and leads a new one. The
	// callers on the forgotten flight stay, and its landing leaves the new one alone.
	eachPair(t, ways, ways, func(t *testing.T, leads, next way) {
		g := aging()
		old, newer := newJob(), newJob()
		oldLeader := leads.call(g, t.Context(), "key", old)
		sleep(time.Minute)
		joiner := next.call(g, t.Context(), "key", newJob()) // not longer, and it doesn't begin the time anew
		sleep(1)
		newLeader := next.call(g, t.Context(), "key", newer)
		if newer.ran() != 1 {
			t.Fatal("no new flight runs")
		}
		oldLeader.waits(t)
		joiner.waits(t)
		late := next.call(g, t.Context(), "key", newJob())
		old.returns(1)
		oldLeader.got(t, answer{Val: 1, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 1, Shared: true})
		later := next.call(g, t.Context(), "key", newJob())
		newer.returns(2)
		newLeader.got(t, answer{Val: 2, Shared: true, Leader: true})
		late.got(t, answer{Val: 2, Shared: true})
		later.got(t, answer{Val: 2, Shared: true})
		alone(t, g, "key")
	})
}

func TestForgetAfterIsDoneByCallsAlone(t *testing.T) {
	// Clause 22: the next call forgets, and nobody before it. One with a context that is done doesn't.
	eachWay(t, ways, func(t *testing.T, w way) {
		g := aging()
		j := newJob()
		w.call(g, t.Context(), "key", j)
		since := time.Now()
		sleep(time.Hour)
		done, cancel := context.WithCancel(t.Context())
		cancel()
		for _, w := range detaching {
			w.call(g, done, "key", newJob()).got(t, canceled)
		}
		other := newJob()
		w.call(g, t.Context(), "other key", other)
		lists(t, g, flight{Key: "key", Callers: 1, Since: since}, flight{Key: "other key", Callers: 1, Since: time.Now()})
		if j.ctx != nil {
			tells(t, "old", j.ctx, false)
			inState(t, "old", j.ctx, nil)
		}
		alone(t, g, "key")
		if list := g.InFlight(); len(list) != 2 || !list[0].Forgotten {
			t.Errorf("InFlight: %+v", list)
		}
		j.returns(1)
		other.returns(2)
	})
}

func TestForgetAfterWhoseFlightHasLanded(t *testing.T) {
	// Clause 22: each flight has its own time.
	eachWay(t, ways, func(t *testing.T, w way) {
		g := aging()
		for range 3 {
			j := newJob()
			leader := w.call(g, t.Context(), "key", j)
			sleep(time.Minute)
			joiner := w.call(g, t.Context(), "key", newJob())
			j.returns(1)
			leader.got(t, answer{Val: 1, Shared: true, Leader: true})
			joiner.got(t, answer{Val: 1, Shared: true})
		}
	})
}

func TestForgetAfterOfAnAbandonedFlight(t *testing.T) {
	// Clause 22: cancelled or not, it is forgotten, and the new flight runs beside it.
	eachWay(t, ways, func(t *testing.T, w way) {
		for _, cancels := range []bool{false, true} {
			g := aging(func(opts *singleflight.Options[string, int]) { opts.CancelAbandoned = cancels })
			old := abandoned(t, g, "key")
			sleep(time.Minute + 1)
			j := newJob()
			leader := w.call(g, t.Context(), "key", j)
			if j.ran() != 1 {
				t.Fatal("the new flight waits for the old one")
			}
			old.returns(1)
			joiner := w.call(g, t.Context(), "key", newJob())
			j.returns(2)
			leader.got(t, answer{Val: 2, Shared: true, Leader: true})
			joiner.got(t, answer{Val: 2, Shared: true})
		}
	})
}

func TestForgetAfterOfACancelledFlightWithSuccessor(t *testing.T) {
	// Clause 22: both are forgotten together, and their callers stay.
	eachPair(t, ways, ways, func(t *testing.T, succeeds, next way) {
		g := aging(func(opts *singleflight.Options[string, int]) { opts.CancelAbandoned = true })
		first := abandoned(t, g, "key")
		second, third := newJob(), newJob()
		successor := succeeds.call(g, t.Context(), "key", second)
		sleep(time.Minute)
		joiner := next.call(g, t.Context(), "key", newJob())
		sleep(1)
		newLeader := next.call(g, t.Context(), "key", third)
		if second.ran() != 0 || third.ran() != 1 {
			t.Fatalf("the successor ran %d times, the new flight %d times", second.ran(), third.ran())
		}
		for _, f := range g.InFlight() {
			if f.Forgotten != (f.State != singleflight.Running) {
				t.Errorf("InFlight: %+v", f)
			}
		}
		first.returns(1)
		late := next.call(g, t.Context(), "key", newJob())
		second.returns(2)
		third.returns(3)
		successor.got(t, answer{Val: 2, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 2, Shared: true})
		newLeader.got(t, answer{Val: 3, Shared: true, Leader: true})
		late.got(t, answer{Val: 3, Shared: true})
	})
}

func TestForgetAfterCountsASuccessorsOwnTime(t *testing.T) {
	// Clause 22: a successor's time begins with its own function.
	eachPair(t, ways, ways, func(t *testing.T, succeeds, next way) {
		g := aging(func(opts *singleflight.Options[string, int]) { opts.CancelAbandoned = true })
		first := abandoned(t, g, "key")
		second := newJob()
		successor := succeeds.call(g, t.Context(), "key", second)
		sleep(time.Minute)
		first.returns(1)
		sleep(time.Minute)
		joiner := next.call(g, t.Context(), "key", newJob())
		joiner.waits(t)
		sleep(1)
		alone(t, g, "key")
		second.returns(2)
		successor.got(t, answer{Val: 2, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 2, Shared: true})
	})
}

func TestForgetAfterCountsFromTheFunction(t *testing.T) {
	// Clause 22: from the call of the function, not of the leader or the Start hook.
	eachPair(t, ways, ways, func(t *testing.T, leads, next way) {
		for _, after := range []time.Duration{0, time.Minute, time.Minute + 1} {
			starts := 0
			g := aging(func(opts *singleflight.Options[string, int]) {
				opts.Trace = &singleflight.Trace[string]{
					Start: func(ctx context.Context, _ string, _ uint64) context.Context {
						if starts++; starts == 1 {
							time.Sleep(time.Hour)
						}
						return ctx
					},
				}
			})
			j := newJob()
			leads.call(g, t.Context(), "key", j)
			sleep(time.Hour - 1)
			next.call(g, t.Context(), "key", newJob()).waits(t)
			sleep(1 + after)
			unused := newJob()
			c := next.call(g, t.Context(), "key", unused)
			c.waits(t)
			if isNew := after > time.Minute; (unused.ran() == 1) != isNew {
				t.Errorf("%v after the call of the function the next function ran %d times", after, unused.ran())
			} else if isNew {
				unused.returns(2)
			}
			j.returns(1)
		}
	})
}

func TestForgetAfterCountsForForgetUnshared(t *testing.T) {
	// Clause 10: a flight that the next call would forget counts as one that no call could join.
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := aging()
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		sleep(time.Minute)
		if g.ForgetUnshared("key") {
			t.Error("ForgetUnshared forgets a shared flight that isn't too old")
		}
		sleep(1)
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared reports false although no call could join the flight")
		}
		if list := g.InFlight(); len(list) != 1 || !list[0].Forgotten {
			t.Errorf("InFlight: %+v", list)
		}
		j.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 1, Shared: true})
	})
}

func TestForgetAfterIsDecidedBeforeDeadlock(t *testing.T) {
	// Clause 22: a call that forgets the flight that it belongs to isn't refused.
	eachPair(t, bound, bound, func(t *testing.T, leads, next way) {
		g := aging()
		j, nested := newJob(), newJob()
		leader := leads.call(g, t.Context(), "key", j)
		sleep(time.Minute)
		next.call(g, j.ctx, "key", newJob()).got(t, answer{Err: singleflight.ErrDeadlock})
		sleep(1)
		inner := next.call(g, j.ctx, "key", nested)
		if nested.ran() != 1 {
			t.Fatal("the call from inside the flight leads no new one")
		}
		tells(t, "outer", j.ctx, true)
		nested.returns(2)
		inner.got(t, answer{Val: 2, Leader: true})
		j.returns(1)
		leader.got(t, answer{Val: 1, Leader: true})
	})
	// The same for the flights in between, and for a successor.
	synctest.Test(t, func(t *testing.T) {
		g := aging(func(opts *singleflight.Options[string, int]) { opts.CancelAbandoned = true })
		first := abandoned(t, g, "key")
		second := newJob()
		successor := byDoContext.call(g, t.Context(), "key", second)
		sleep(time.Minute)
		byDoContext.call(g, context.WithoutCancel(first.ctx), "key", newJob()).got(t, answer{Err: singleflight.ErrDeadlock})
		sleep(1)
		nested := newJob()
		inner := byDoContext.call(g, context.WithoutCancel(first.ctx), "key", nested)
		if nested.ran() != 1 {
			t.Fatal("the call from inside the cancelled flight leads no new one")
		}
		nested.returns(3)
		inner.got(t, answer{Val: 3})
		first.returns(1)
		second.returns(2)
		successor.got(t, answer{Val: 2})
	})
}

func TestForgetAfterFromInsideAnotherFlight(t *testing.T) {
	// Clause 22: a call that belongs to a flight forgets another one like any call, although it could join that.
	eachPair(t, bound, bound, func(t *testing.T, leads, next way) {
		g := aging()
		old, outer, newer := newJob(), newJob(), newJob()
		oldLeader := leads.call(g, t.Context(), "key", old)
		sleep(1)
		holder := leads.call(g, t.Context(), "outer key", outer)
		sleep(time.Minute)
		newLeader := next.call(g, outer.ctx, "key", newer)
		if newer.ran() != 1 {
			t.Fatal("the call leads no new flight")
		}
		newer.returns(2)
		newLeader.got(t, answer{Val: 2, Leader: true})
		outer.returns(3)
		holder.got(t, answer{Val: 3, Leader: true})
		old.returns(1)
		oldLeader.got(t, answer{Val: 1, Leader: true})
	})
}

func TestNoForgetAfterIsNever(t *testing.T) {
	// Clause 22: zero is never.
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		sleep(24 * 365 * time.Hour)
		joiner := joins.call(&g, t.Context(), "key", newJob())
		j.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 1, Shared: true})
	})
}

func TestForgottenByAgeIsWaitedFor(t *testing.T) {
	// Clause 9: like any other that was forgotten.
	eachWay(t, ways, func(t *testing.T, w way) {
		g := aging()
		j := newJob()
		w.call(g, t.Context(), "key", j)
		sleep(time.Minute + 1)
		alone(t, g, "key")
		waiter := byWait(g, t.Context())
		waiter.waits(t)
		j.returns(1)
		waiter.got(t, idle)
	})
}
