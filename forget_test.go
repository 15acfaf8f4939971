package singleflight_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

// Clause 9: after Forget the next call starts a new flight at once, beside the
// old one. The callers of that still get its outcome, and its landing leaves
// the new one alone (golang/go#31420).
func TestForgetStartsAnewBesideTheOldFlight(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, next way) {
		var g group
		old, newer, unwanted := newJob(), newJob(), newJob()
		oldLeader := leads.call(&g, t.Context(), "key", old)
		oldJoiner := next.call(&g, t.Context(), "key", unwanted)
		g.Forget("key")
		newLeader := next.call(&g, t.Context(), "key", newer)
		if newer.ran() != 1 {
			t.Fatal("no new flight runs beside the old one")
		}
		newJoiner := leads.call(&g, t.Context(), "key", unwanted)
		old.returns(1)
		oldLeader.got(t, answer{Val: 1, Shared: true, Leader: true})
		oldJoiner.got(t, answer{Val: 1, Shared: true})
		late := leads.call(&g, t.Context(), "key", unwanted)
		newLeader.waits(t)
		newer.returns(2)
		newLeader.got(t, answer{Val: 2, Shared: true, Leader: true})
		newJoiner.got(t, answer{Val: 2, Shared: true})
		late.got(t, answer{Val: 2, Shared: true})
		if unwanted.ran() != 0 {
			t.Error("the function of a caller that joined ran")
		}
		alone(t, &g, "key")
	})
}

// Clause 9: the new flight may land first, and the old one still counts for
// nothing but its callers. Nobody joins it any more.
func TestForgottenFlightOutlivesTheNewOne(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		old, newer := newJob(), newJob()
		oldLeader := w.call(&g, t.Context(), "key", old)
		g.Forget("key")
		newLeader := w.call(&g, t.Context(), "key", newer)
		newer.returns(2)
		newLeader.got(t, answer{Val: 2, Leader: true})
		oldLeader.waits(t)
		alone(t, &g, "key")
		old.returns(1)
		oldLeader.got(t, answer{Val: 1, Leader: true})
	})
}

// Clause 9: a key can be forgotten again and again; the flights land in any
// order.
func TestForgetAgainAndAgain(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		jobs := make([]*job, 6)
		callers := make([]caller, len(jobs))
		for i := range jobs {
			jobs[i] = newJob()
			callers[i] = w.call(&g, t.Context(), "key", jobs[i])
			g.Forget("key")
			g.Forget("key")
			g.Forget("other key")
		}
		for _, i := range []int{3, 0, 5, 2, 1, 4} {
			jobs[i].returns(i)
			callers[i].got(t, answer{Val: i, Leader: true})
		}
		alone(t, &g, "key")
	})
}

// Clause 9: a function may forget its own key.
func TestForgetFromInsideTheFlight(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		j := newJob()
		leader := w.call(&g, t.Context(), "key", j)
		j.lands(func() (int, error) {
			g.Forget("key")
			alone(t, &g, "key")
			return 1, nil
		})
		leader.got(t, answer{Val: 1, Leader: true})
	})
}

// Clauses 9 and 16: so may that of a cancelled flight with a successor. The
// next call starts beside both.
func TestForgetFromInsideACancelledFlight(t *testing.T) {
	eachPair(t, detaching, ways, func(t *testing.T, leads, succeeds way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		first, second := cancelled(t, g, leads), newJob()
		successor := succeeds.call(g, t.Context(), "key", second)
		first.lands(func() (int, error) {
			g.Forget("key")
			alone(t, g, "key")
			if second.ran() != 0 {
				t.Error("the successor runs before the cancelled flight has landed")
			}
			return 1, nil
		})
		alone(t, g, "key")
		second.returns(2)
		successor.got(t, answer{Val: 2, Leader: true})
	})
}

// Clause 9: to forget what isn't there does nothing.
func TestForgetWithoutAFlight(t *testing.T) {
	var g group
	g.Forget("key")
	alone(t, &g, "key")
	g.Forget("key")
	alone(t, &g, "key")
}

// waiting begins g.Wait, and returns what its goroutine sends when that is
// over.
func waiting(t *testing.T, g *group) <-chan error {
	done := make(chan error, 1)
	go func() { done <- g.Wait(t.Context()) }()
	synctest.Wait()
	return done
}

// cancelled makes a flight that was abandoned and cancelled and goes on until
// its job ends.
func cancelled(t *testing.T, g *group, w way) *job {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	j := newJob()
	leader := w.call(g, ctx, "key", j)
	cancel()
	synctest.Wait()
	leader.got(t, answer{Err: context.Canceled})
	if j.ctx.Err() == nil {
		t.Fatal("the flight isn't cancelled")
	}
	return j
}

// Clause 9: a forgotten flight is abandoned, cancelled and waited for like any
// other.
func TestForgottenFlightIsCancelledAndWaitedFor(t *testing.T) {
	eachWay(t, detaching, func(t *testing.T, w way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		ctx, cancel := context.WithCancel(t.Context())
		j := newJob()
		leader := w.call(g, ctx, "key", j)
		g.Forget("key")
		cancel()
		synctest.Wait()
		leader.got(t, answer{Err: context.Canceled})
		if j.ctx.Err() != context.Canceled {
			t.Error("the forgotten flight isn't cancelled")
		}
		done := waiting(t, g)
		alone(t, g, "key") // it isn't a successor that would wait
		if len(done) != 0 {
			t.Error("Wait doesn't wait for the forgotten flight")
		}
		j.returns(1)
		if len(done) == 0 {
			t.Error("Wait waits on after the forgotten flight has landed")
		}
	})
}

// Clause 9: after Forget the next call starts beside a cancelled flight and
// its successor. That runs when the cancelled one has landed, for its own
// callers, and leaves the new one alone.
func TestForgetStartsAnewBesideASuccessor(t *testing.T) {
	for _, leads := range detaching {
		t.Run(leads.name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, succeeds, next way) {
				g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
				first := cancelled(t, g, leads)
				second, third, unwanted := newJob(), newJob(), newJob()
				successor := succeeds.call(g, t.Context(), "key", second)
				joiner := next.call(g, t.Context(), "key", unwanted)
				g.Forget("key")
				newer := next.call(g, t.Context(), "key", third)
				if second.ran() != 0 || third.ran() != 1 {
					t.Fatalf("the successor ran %d times, the new flight %d times", second.ran(), third.ran())
				}
				first.returns(1)
				if second.ran() != 1 {
					t.Fatal("the successor doesn't run")
				}
				late := succeeds.call(g, t.Context(), "key", unwanted)
				done := waiting(t, g)
				third.returns(3)
				newer.got(t, answer{Val: 3, Shared: true, Leader: true})
				late.got(t, answer{Val: 3, Shared: true})
				if len(done) != 0 {
					t.Error("Wait doesn't wait for the forgotten successor")
				}
				alone(t, g, "key")
				second.returns(2)
				successor.got(t, answer{Val: 2, Shared: true, Leader: true})
				joiner.got(t, answer{Val: 2, Shared: true})
				if len(done) == 0 || unwanted.ran() != 0 {
					t.Error("Wait waits on, or the function of a caller that joined ran")
				}
				alone(t, g, "key")
			})
		})
	}
}

// Clause 10: ForgetUnshared does what Forget does if the flight has had one
// caller in its life.
func TestForgetUnsharedForgetsAnUnsharedFlight(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, next way) {
		var g group
		old, newer := newJob(), newJob()
		oldLeader := leads.call(&g, t.Context(), "key", old)
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared reports false for a flight that nobody joined")
		}
		newLeader := next.call(&g, t.Context(), "key", newer)
		if newer.ran() != 1 {
			t.Fatal("no new flight runs beside the old one")
		}
		old.returns(1)
		oldLeader.got(t, answer{Val: 1, Leader: true})
		joiner := next.call(&g, t.Context(), "key", newJob())
		newer.returns(2)
		newLeader.got(t, answer{Val: 2, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 2, Shared: true})
	})
}

// Clause 10: a function may call ForgetUnshared for its own key. Its own leader
// is one caller.
func TestForgetUnsharedFromInsideTheFlight(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		for _, joined := range []bool{false, true} {
			var g group
			j := newJob()
			leader := leads.call(&g, t.Context(), "key", j)
			var joiner caller
			if joined {
				joiner = joins.call(&g, t.Context(), "key", newJob())
			}
			j.lands(func() (int, error) {
				if g.ForgetUnshared("key") == joined {
					t.Errorf("ForgetUnshared reports %v, the flight was joined: %v", !joined, joined)
				}
				if !joined {
					alone(t, &g, "key")
				}
				return 1, nil
			})
			leader.got(t, answer{Val: 1, Shared: joined, Leader: true})
			if joined {
				joiner.got(t, answer{Val: 1, Shared: true})
			}
			alone(t, &g, "key")
		}
	})
}

// Clause 10: it changes nothing if a second caller has joined the flight in
// its life, even one that has left.
func TestForgetUnsharedLeavesASharedFlight(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		first := joins.call(&g, ctx, "key", newJob())
		for _, when := range []string{"is there", "has left"} {
			if g.ForgetUnshared("key") {
				t.Errorf("ForgetUnshared reports true although a joiner %s", when)
			}
			cancel()
			synctest.Wait()
		}
		second := joins.call(&g, t.Context(), "key", newJob())
		j.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		second.got(t, answer{Val: 1, Shared: true})
		if !joins.detaches {
			first.got(t, answer{Val: 1, Shared: true})
		}
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared reports false after the landing")
		}
	})
}

// Clause 10: no call could join a flight: ForgetUnshared reports true.
func TestForgetUnsharedWithoutAFlight(t *testing.T) {
	var g group
	if !g.ForgetUnshared("key") {
		t.Error("ForgetUnshared reports false in an unused group")
	}
	alone(t, &g, "key")
	if !g.ForgetUnshared("key") {
		t.Error("ForgetUnshared reports false when nothing runs")
	}
	synctest.Test(t, func(t *testing.T) {
		var g group
		j := newJob()
		byDo.call(&g, t.Context(), "key", j)
		byDo.call(&g, t.Context(), "key", newJob())
		g.Forget("key")
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared reports false after the shared flight was forgotten")
		}
		j.returns(1)
	})
}

// Clause 10: a flight that its leader alone has abandoned has had one caller.
func TestForgetUnsharedForgetsAnAbandonedFlight(t *testing.T) {
	eachWay(t, detaching, func(t *testing.T, w way) {
		var g group
		ctx, cancel := context.WithCancel(t.Context())
		j := newJob()
		w.call(&g, ctx, "key", j)
		cancel()
		synctest.Wait()
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared reports false for an abandoned flight that nobody joined")
		}
		alone(t, &g, "key")
		j.returns(1)
	})
}

// Clause 10: no call could join a cancelled flight; if it has a successor,
// that is the flight that a call would join.
func TestForgetUnsharedLooksAtTheFlightThatACallWouldJoin(t *testing.T) {
	eachPair(t, detaching, ways, func(t *testing.T, leads, succeeds way) {
		for _, joined := range []bool{false, true} {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			ctx, cancel := context.WithCancel(t.Context())
			first := newJob()
			leads.call(g, ctx, "key", first)
			leads.call(g, ctx, "key", newJob()) // so the cancelled flight was shared
			cancel()
			synctest.Wait()
			second := newJob()
			successor := succeeds.call(g, t.Context(), "key", second)
			if joined {
				succeeds.call(g, t.Context(), "key", newJob())
			}
			if g.ForgetUnshared("key") == joined {
				t.Errorf("ForgetUnshared reports %v, the successor was joined: %v", !joined, joined)
			}
			if joined {
				joiner := succeeds.call(g, t.Context(), "key", newJob())
				first.returns(1)
				second.returns(2)
				joiner.got(t, answer{Val: 2, Shared: true})
			} else {
				alone(t, g, "key")
				first.returns(1)
				second.returns(2)
			}
			successor.got(t, answer{Val: 2, Shared: joined, Leader: true})
			alone(t, g, "key")
		}
	})
}

// Clause 10: a cancelled flight without a successor, or whose successor was
// dropped, could be joined by no call; to forget it is to start beside it.
func TestForgetUnsharedForgetsACancelledFlight(t *testing.T) {
	eachWay(t, detaching, func(t *testing.T, w way) {
		for _, dropped := range []bool{false, true} {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			j := cancelled(t, g, w)
			if dropped {
				ctx, cancel := context.WithCancel(t.Context())
				unwanted := newJob()
				w.call(g, ctx, "key", unwanted)
				w.call(g, ctx, "key", unwanted)
				cancel()
				synctest.Wait()
			}
			if !g.ForgetUnshared("key") {
				t.Error("ForgetUnshared reports false although no call could join a flight")
			}
			alone(t, g, "key")
			j.returns(1)
		}
	})
}
