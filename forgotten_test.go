package singleflight_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// tells fails the test unless Forgotten says want of ctx, and of what derives
// from it.
func tells(t *testing.T, what string, ctx context.Context, want bool) {
	t.Helper()
	child, cancel := context.WithCancel(context.WithValue(ctx, contextKey("k"), 1))
	defer cancel()
	for _, ctx := range []context.Context{ctx, child, context.WithoutCancel(child)} {
		if got := singleflight.Forgotten(ctx); got != want {
			t.Errorf("%s: Forgotten(%v) is %v, want %v", what, ctx, got, want)
		}
	}
}

// forgetting are the means by which flights are forgotten.
var forgetting = map[string]func(t *testing.T, g *group){
	"Forget":         func(_ *testing.T, g *group) { g.Forget("key") },
	"ForgetUnshared": func(_ *testing.T, g *group) { g.ForgetUnshared("key") },
	"ForgetAfter": func(t *testing.T, g *group) {
		sleep(g.Options.ForgetAfter + 1)
		alone(t, g, "key")
	},
	"ForgetUnshared of an old flight": func(_ *testing.T, g *group) {
		sleep(g.Options.ForgetAfter + 1)
		g.ForgetUnshared("key")
	},
}

func TestForgotten(t *testing.T) {
	// Clause 22: whether the flight was forgotten before it landed, by whichever means, used before or not. After the
	// landing the answer doesn't change.
	for name, forget := range forgetting {
		for _, used := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/used=%v", name, used), func(t *testing.T) {
				eachWay(t, bound, func(t *testing.T, w way) {
					g := singleflight.New(singleflight.Options[string, int]{ForgetAfter: time.Minute})
					j := newJob()
					leader := w.call(g, t.Context(), "key", j)
					if used {
						j.ctx.Done()
						tells(t, "before", j.ctx, false)
					}
					forget(t, g)
					tells(t, "after", j.ctx, true)
					newer := newJob()
					w.call(g, t.Context(), "key", newer)
					tells(t, "of the new flight", newer.ctx, false)
					j.lands(func() (int, error) {
						tells(t, "in the function", j.ctx, true)
						return 7, nil
					})
					leader.got(t, answer{Val: 7, Leader: true})
					tells(t, "after the landing", j.ctx, true)
					newer.returns(8)
					tells(t, "of the new flight after its landing", newer.ctx, false)
				})
			})
		}
	}
}

func TestForgottenAfterTheLandingDoesNotCount(t *testing.T) {
	// Clause 22: not even while Results are being sent.
	for name, forget := range forgetting {
		t.Run(name, func(t *testing.T) {
			eachWay(t, bound, func(t *testing.T, w way) {
				copying := make(chan bool)
				g := singleflight.New(singleflight.Options[string, int]{
					ForgetAfter: time.Minute,
					Clone:       func(v int) int { <-copying; return v },
				})
				for _, shared := range []bool{false, true} {
					j := newJob()
					w.call(g, t.Context(), "key", j)
					if shared {
						byDoChan.call(g, nil, "key", newJob())
						byDoChan.call(g, nil, "key", newJob())
					}
					j.returns(7)
					forget(t, g)
					tells(t, "landed", j.ctx, false)
				}
				close(copying)
			})
		})
	}
}

func TestForgottenOfTheInnermostFlight(t *testing.T) {
	// Clause 22: the flight that ctx belongs to is the innermost, landed or not.
	eachPair(t, bound, bound, func(t *testing.T, leads, nested way) {
		var g group
		outer, inner, other := newJob(), newJob(), newJob()
		leads.call(&g, t.Context(), "key", outer)
		nested.call(&g, outer.ctx, "inner key", inner)
		g.Forget("key")
		tells(t, "outer", outer.ctx, true)
		tells(t, "inner", inner.ctx, false)
		inner.returns(1)
		tells(t, "inner, landed", inner.ctx, false)
		nested.call(&g, outer.ctx, "inner key", other)
		g.Forget("inner key")
		tells(t, "other inner", other.ctx, true)
		outer.returns(2)
		tells(t, "other inner, after the outer one", other.ctx, true)
		other.returns(3)
	})
}

func TestForgottenWithoutAFlight(t *testing.T) {
	// Clause 22: a joiner's context doesn't belong to the flight that it joined.
	eachWay(t, bound, func(t *testing.T, w way) {
		var g group
		j := newJob()
		w.call(&g, t.Context(), "key", j)
		w.call(&g, t.Context(), "key", newJob())
		g.Forget("key")
		tells(t, "caller's", t.Context(), false)
		tells(t, "background", context.Background(), false)
		j.returns(1)
	})
}

func TestForgottenTogetherWithTheSuccessor(t *testing.T) {
	// Clause 22: a cancelled flight and the successor that waits for it are forgotten together.
	for name, forget := range forgetting {
		t.Run(name, func(t *testing.T) {
			eachWay(t, bound, func(t *testing.T, w way) {
				g := cancelling(func(opts *singleflight.Options[string, int]) { opts.ForgetAfter = time.Minute })
				before, j := abandoned(t, g, "key"), newJob()
				successor := w.call(g, t.Context(), "key", j)
				tells(t, "cancelled, before", before.ctx, false)
				forget(t, g)
				tells(t, "cancelled", before.ctx, true)
				before.returns(1)
				tells(t, "successor", j.ctx, true)
				j.returns(2)
				successor.got(t, answer{Val: 2, Leader: true})
				tells(t, "successor, landed", j.ctx, true)
			})
		})
	}
}

func TestForgottenSuccessorOfAForgottenFlight(t *testing.T) {
	// Clauses 9 and 22: the next call after a cancelled flight was forgotten starts anew, and isn't forgotten with it.
	eachWay(t, bound, func(t *testing.T, w way) {
		g := cancelling()
		before, j := abandoned(t, g, "key"), newJob()
		g.Forget("key")
		w.call(g, t.Context(), "key", j)
		tells(t, "cancelled", before.ctx, true)
		tells(t, "new", j.ctx, false)
		before.returns(1)
		tells(t, "new, after the other's landing", j.ctx, false)
		j.returns(2)
	})
}

func TestForgottenInHooks(t *testing.T) {
	// Clause 22: the contexts of Start and Land belong to the flight.
	eachWay(t, bound, func(t *testing.T, w way) {
		var start, land bool
		var g group
		g.Options.Trace = &singleflight.Trace[string]{
			Start: func(ctx context.Context, key string, _ uint64) context.Context {
				g.Forget(key)
				start = singleflight.Forgotten(ctx)
				return ctx
			},
			Land: func(ctx context.Context, _ string, _ uint64, _ singleflight.Landing) {
				land = singleflight.Forgotten(ctx)
			},
		}
		j := newJob()
		w.call(&g, t.Context(), "key", j)
		j.returns(1)
		if !start || !land {
			t.Errorf("Start: %v, Land: %v, want true", start, land)
		}
	})
}
