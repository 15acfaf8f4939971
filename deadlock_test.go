package singleflight_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// A hang in a bubble is reported by synctest, so a cycle that isn't refused
// fails these tests.

var refused = answer{Err: singleflight.ErrDeadlock}

// contexts are the ways in which a call's context may derive from a flight's.
// With all of them the call belongs to that flight.
var contexts = []struct {
	name   string
	derive func(ctx context.Context) context.Context
}{
	{"the flight's own", func(ctx context.Context) context.Context { return ctx }},
	{"WithoutCancel", context.WithoutCancel},
	{"WithValue", func(ctx context.Context) context.Context { return context.WithValue(ctx, contextKey("k"), 1) }},
	{"foreign", func(ctx context.Context) context.Context { return newForeignContext(ctx) }},
	{"deep", func(ctx context.Context) context.Context {
		for i := range 50 {
			ctx = context.WithValue(ctx, contextKey(fmt.Sprint(i)), i)
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Hour)
			_ = cancel // it ends with the flight's
			if i%10 == 9 {
				ctx = context.WithoutCancel(ctx)
			}
		}
		return ctx
	}},
}

// nest makes a call from inside a function, and waits for it.
type nest struct {
	name string
	call func(g *group, ctx context.Context, key string, fn func(context.Context) (int, error)) (int, error)
}

var nests = []nest{
	{"DoContext", func(g *group, ctx context.Context, key string, fn func(context.Context) (int, error)) (int, error) {
		v, err, _ := g.DoContext(ctx, key, fn)
		return v, err
	}},
	{"DoChanContext", func(g *group, ctx context.Context, key string, fn func(context.Context) (int, error)) (int, error) {
		r := <-g.DoChanContext(ctx, key, fn)
		return r.Val, r.Err
	}},
	{"Func", func(g *group, ctx context.Context, key string, fn func(context.Context) (int, error)) (int, error) {
		return g.Func(func(ctx context.Context, _ string) (int, error) { return fn(ctx) })(ctx, key)
	}},
}

// eachNest runs a test in a bubble for each nest and each kind of context.
func eachNest(t *testing.T, test func(t *testing.T, n nest, derive func(context.Context) context.Context)) {
	for _, n := range nests {
		for _, c := range contexts {
			t.Run(n.name+"/"+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { test(t, n, c.derive) })
			})
		}
	}
}

// wantRefused fails the test unless a nested call was refused.
func wantRefused(t *testing.T, v int, err error) {
	t.Helper()
	if v != 0 || err != singleflight.ErrDeadlock {
		t.Errorf("the call got %v, %v, want 0 and ErrDeadlock", v, err)
	}
}

func TestCallToItselfIsRefused(t *testing.T) {
	// Clause 18: a call belongs to the innermost flight whose context its own is, or derives from (WithoutCancel
	// included). A call that would close a cycle gives ErrDeadlock at once instead of hanging.
	eachNest(t, func(t *testing.T, n nest, derive func(context.Context) context.Context) {
		for _, root := range []context.Context{t.Context(), context.Background()} {
			var g group
			ctx, cancel := context.WithCancel(root)
			v, err, shared := g.DoContext(derive(ctx), "key", func(ctx context.Context) (int, error) {
				v, err := n.call(&g, derive(ctx), "key", taking(constant(1)))
				wantRefused(t, v, err)
				return 7, nil
			})
			if v != 7 || err != nil || shared { // a refused call never joined
				t.Errorf("the flight: %v, %v, %v, want 7, <nil>, false", v, err, shared)
			}
			cancel()
		}
	})
}

func TestRefusedAtOnce(t *testing.T) {
	// Clause 18: at once: no time passes, the channel has its Result, fn isn't called.
	synctest.Test(t, func(t *testing.T) {
		var g group
		j := newJob()
		c := byDoContext.call(&g, t.Context(), "key", j)
		for _, w := range bound {
			unused := newJob()
			w.call(&g, j.ctx, "key", unused).got(t, refused)
			if unused.ran() != 0 {
				t.Error("a refused call's function ran")
			}
		}
		j.returns(7)
		c.got(t, answer{Val: 7})
	})
}

func TestCyclesOverManyFlightsAreRefused(t *testing.T) {
	// Clause 18: over any number of flights. Each function leads the next flight, and the last one calls the first:
	// the edges are all of leaders, and found when the last call asks.
	for _, size := range []int{2, 3, 4, 10, 100} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			eachNest(t, func(t *testing.T, n nest, derive func(context.Context) context.Context) {
				if size == 100 && n.name != "DoContext" {
					return
				}
				var g group
				var fn func(i int) func(ctx context.Context) (int, error)
				fn = func(i int) func(ctx context.Context) (int, error) {
					return func(ctx context.Context) (int, error) {
						if i == size {
							for _, back := range []int{0, size / 2, size - 1} {
								v, err := n.call(&g, derive(ctx), fmt.Sprint(back+1), taking(constant(1)))
								wantRefused(t, v, err)
							}
							return 7, nil
						}
						return n.call(&g, derive(ctx), fmt.Sprint(i+1), fn(i+1))
					}
				}
				if v, err := n.call(&g, t.Context(), "1", fn(1)); v != 7 || err != nil {
					t.Errorf("got %v, %v", v, err)
				}
			})
		})
	}
}

func TestCyclesOfJoinersAreRefused(t *testing.T) {
	// Clause 18: a flight waits for another while a call that belongs to it is an undetached caller of that. Here all
	// flights are led from outside, and each joins the next.
	for _, size := range []int{2, 3, 4, 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			eachWay(t, bound, func(t *testing.T, w way) {
				var g group
				jobs, leaders, joiners := make([]*job, size), make([]caller, size), make([]caller, size)
				key := func(i int) string { return fmt.Sprint(i % size) }
				for i := range size {
					jobs[i] = newJob()
					leaders[i] = w.call(&g, t.Context(), key(i), jobs[i])
				}
				for i := range size - 1 {
					joiners[i] = w.call(&g, jobs[i].ctx, key(i+1), newJob())
				}
				w.call(&g, jobs[size-1].ctx, key(size), newJob()).got(t, refused)
				for i := range size - 1 {
					joiners[i].waits(t)
				}
				for i := size - 1; i >= 0; i-- {
					jobs[i].returns(i)
					leaders[i].got(t, answer{Val: i, Shared: i > 0, Leader: true})
					if i > 0 {
						joiners[i-1].got(t, answer{Val: i, Shared: true})
					}
				}
			})
		})
	}
}

func TestChannelCallerNotWaitedForIsAnEdge(t *testing.T) {
	// Clause 18: a DoChanContext call that belongs to F is an undetached caller, so F waits, whether or not its
	// function receives from the channel: that isn't known.
	eachWay(t, bound, func(t *testing.T, w way) {
		var g group
		f, h := newJob(), newJob()
		w.call(&g, t.Context(), "f", f)
		w.call(&g, t.Context(), "h", h)
		ch := g.DoChanContext(f.ctx, "h", nil)
		w.call(&g, h.ctx, "f", newJob()).got(t, refused)
		// As a leader.
		i := newJob()
		ch2 := g.DoChanContext(f.ctx, "i", i.bound)
		synctest.Wait()
		w.call(&g, i.ctx, "f", newJob()).got(t, refused)
		h.returns(1)
		i.returns(2)
		f.returns(3)
		if r := <-ch; r.Val != 1 || r.Err != nil {
			t.Errorf("got %+v", r)
		}
		if r := <-ch2; r.Val != 2 || r.Err != nil {
			t.Errorf("got %+v", r)
		}
	})
}

func TestCycleOverGroupsOfOtherTypes(t *testing.T) {
	// Clause 18: over any number of flights and groups.
	synctest.Test(t, func(t *testing.T) {
		type point struct{ x, y float64 }
		var a singleflight.Group[string, int]
		var b singleflight.Group[int, []byte]
		c := singleflight.New(singleflight.Options[point, error]{Recover: true, CancelAbandoned: true, FlightTimeout: time.Hour})
		var d singleflight.Group[any, string]
		var inner error
		_, err, _ := a.DoContext(t.Context(), "a", func(ctx context.Context) (int, error) {
			_, err, _ := b.DoContext(ctx, 1, func(ctx context.Context) ([]byte, error) {
				r := <-c.DoChanContext(ctx, point{1, 2}, func(ctx context.Context) (error, error) {
					_, err := d.Func(func(ctx context.Context, _ any) (string, error) {
						_, inner, _ = b.DoContext(ctx, 1, nil)
						_, err, _ := a.DoContext(ctx, "a", nil)
						return "", err
					})(ctx, "d")
					return nil, err
				})
				return nil, r.Err
			})
			return 0, err
		})
		if err != singleflight.ErrDeadlock || inner != singleflight.ErrDeadlock {
			t.Errorf("got %v and %v, want ErrDeadlock", err, inner)
		}
		// The same keys in other groups are no cycle.
		var e singleflight.Group[string, int]
		v, err, _ := a.DoContext(t.Context(), "a", func(ctx context.Context) (int, error) {
			v, err, _ := e.DoContext(ctx, "a", taking(constant(1)))
			return v, err
		})
		if v != 1 || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
	})
}

func TestCallBelongsToInnermostFlight(t *testing.T) {
	// Clause 18: a call belongs to the innermost flight. F's function leads G with its context, and G's context
	// leads to F: a call with G's belongs to G, and one with F's to F alone.
	synctest.Test(t, func(t *testing.T) {
		var g group
		f, h, i := newJob(), newJob(), newJob()
		byDoChanContext.call(&g, t.Context(), "f", f)
		byDoChanContext.call(&g, f.ctx, "h", h)
		byDoChanContext.call(&g, t.Context(), "i", i)
		c := byDoChanContext.call(&g, i.ctx, "h", newJob()) // i waits for h
		d := byDoContext.call(&g, f.ctx, "i", newJob())     // f waits for i, which is no cycle
		d.waits(t)
		byDoContext.call(&g, h.ctx, "i", newJob()).got(t, refused)
		h.returns(1)
		i.returns(2)
		f.returns(3)
		c.got(t, answer{Val: 1, Shared: true})
		d.got(t, answer{Val: 2, Shared: true})
	})
}

func TestSiblingsAndDiamondsAreNotRefused(t *testing.T) {
	// Clause 18: no other call is refused: not siblings that wait for one flight, and not two paths to it.
	eachNest(t, func(t *testing.T, n nest, derive func(context.Context) context.Context) {
		var g group
		bottom := newJob()
		var wg sync.WaitGroup
		leader := byDoContext.call(&g, t.Context(), "bottom", bottom)
		side := func(ctx context.Context) (int, error) { return n.call(&g, derive(ctx), "bottom", nil) }
		top := func(ctx context.Context) (int, error) {
			sum := atomic.Int64{}
			for _, key := range []string{"left", "right", "left", "bottom"} {
				wg.Go(func() {
					v, err := n.call(&g, derive(ctx), key, side)
					if err != nil {
						t.Errorf("%s: %v", key, err)
					}
					sum.Add(int64(v))
				})
			}
			wg.Wait()
			return int(sum.Load()), nil
		}
		result := g.DoChanContext(t.Context(), "top", top)
		synctest.Wait()
		bottom.returns(7)
		leader.got(t, answer{Val: 7, Shared: true})
		if r := <-result; r.Val != 28 || r.Err != nil {
			t.Errorf("got %+v", r)
		}
	})
}

func TestRecursionIntoOtherKeysIsNotRefused(t *testing.T) {
	// Clause 18: no other call is refused: each function calls its group for smaller keys, two at once, and those meet.
	eachNest(t, func(t *testing.T, n nest, derive func(context.Context) context.Context) {
		var g group
		var fibonacci func(i int) func(context.Context) (int, error)
		fibonacci = func(i int) func(context.Context) (int, error) {
			return func(ctx context.Context) (int, error) {
				if i < 2 {
					return i, nil
				}
				var smaller [2]int
				var wg sync.WaitGroup
				for k := range smaller {
					wg.Go(func() {
						next := i - 1 - k
						v, err := n.call(&g, derive(ctx), fmt.Sprint(next), fibonacci(next))
						if err != nil {
							t.Errorf("%d calls for %d: %v", i, next, err)
						}
						smaller[k] = v
					})
				}
				wg.Wait()
				return smaller[0] + smaller[1], nil
			}
		}
		if v, err := n.call(&g, t.Context(), "10", fibonacci(10)); v != 55 || err != nil {
			t.Errorf("got %v, %v, want 55", v, err)
		}
	})
}

func TestRecursionInAllWays(t *testing.T) {
	// Clauses 4, 18 and 23: functions call their own group for other keys, one inside the other, Do and DoChan too.
	eachPair(t, ways, ways, func(t *testing.T, odd, even way) {
		var g group
		var fibonacci func(ctx context.Context, i int) int
		fibonacci = func(ctx context.Context, i int) int {
			if i < 2 {
				return i
			}
			w := even
			if i%2 == 1 {
				w = odd
			}
			r := enter(w, &g, ctx, fmt.Sprint(i), func() (int, error) {
				return fibonacci(ctx, i-1) + fibonacci(ctx, i-2), nil
			})
			if r.Err != nil || r.Shared {
				t.Errorf("the call for %d got %+v", i, r)
			}
			return r.Val
		}
		if v := fibonacci(t.Context(), 10); v != 55 {
			t.Errorf("got %d, want 55", v)
		}
	})
}

func TestRecursionThatIsNotSeenEndsWithItsContext(t *testing.T) {
	// Clauses 13 and 18: a call for the own key with another context than the flight's isn't seen. It joins, and waits
	// until its own context ends; the flight goes on.
	eachPair(t, ways, detaching, func(t *testing.T, w, again way) {
		var g group
		j := newJob()
		c := w.call(&g, t.Context(), "key", j)
		j.lands(func() (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if r := enter(again, &g, ctx, "key", constant(1)); r.Err != context.DeadlineExceeded || r.Shared {
				t.Errorf("the call from inside got %+v, want context.DeadlineExceeded", r)
			}
			return 7, nil
		})
		c.waits(t)
		sleep(time.Second)
		c.got(t, answer{Val: 7, Shared: true, Leader: true})
	})
}

func TestOneFlightMayWaitTwice(t *testing.T) {
	// Clause 18: calls of one flight that wait for the same one count one by one: one that detaches leaves the other.
	eachWay(t, detaching, func(t *testing.T, w way) {
		var g group
		f, h := newJob(), newJob()
		byDoChanContext.call(&g, t.Context(), "f", f)
		byDoChanContext.call(&g, t.Context(), "h", h)
		ctx1, cancel1 := context.WithCancel(f.ctx)
		ctx2, cancel2 := context.WithCancel(f.ctx)
		c1 := w.call(&g, ctx1, "h", newJob())
		c2 := w.call(&g, ctx2, "h", newJob())
		byDoContext.call(&g, h.ctx, "f", newJob()).got(t, refused)
		cancel1()
		synctest.Wait()
		c1.got(t, canceled)
		byDoContext.call(&g, h.ctx, "f", newJob()).got(t, refused)
		cancel2()
		synctest.Wait()
		c2.got(t, canceled)
		back := byDoContext.call(&g, h.ctx, "f", newJob())
		back.waits(t)
		f.returns(7)
		h.returns(8)
		back.got(t, answer{Val: 7, Shared: true})
	})
}

func TestNotRefusedAfterCallBetweenDetached(t *testing.T) {
	// Clause 18: not one after the call in between has detached, a joiner's or a leader's, for then it's no cycle any
	// more. And that flight may wait the other way round now.
	for _, leads := range []bool{true, false} {
		t.Run(fmt.Sprintf("leads=%v", leads), func(t *testing.T) {
			eachPair(t, detaching, bound, func(t *testing.T, between, back way) {
				var g group
				f, h := newJob(), newJob()
				byDoChanContext.call(&g, t.Context(), "f", f)
				if !leads {
					byDoChanContext.call(&g, t.Context(), "h", h)
				}
				ctx, cancel := context.WithCancel(f.ctx)
				c := between.call(&g, ctx, "h", h)
				if leads { // somebody stays on it
					byDoChanContext.call(&g, t.Context(), "h", newJob())
				}
				back.call(&g, h.ctx, "f", newJob()).got(t, refused)
				cancel()
				synctest.Wait()
				c.got(t, canceled)
				b := back.call(&g, h.ctx, "f", newJob())
				b.waits(t)
				between.call(&g, f.ctx, "h", newJob()).got(t, refused)
				f.returns(7)
				b.got(t, answer{Val: 7, Shared: true})
				h.returns(8)
			})
		})
	}
}

func TestNotRefusedAfterLanding(t *testing.T) {
	// Clause 18: nor one that belongs to a flight that has landed, whose context somebody kept.
	for _, c := range contexts {
		t.Run(c.name, func(t *testing.T) {
			eachPair(t, bound, bound, func(t *testing.T, leads, again way) {
				var g group
				first := newJob()
				leads.call(&g, t.Context(), "key", first)
				kept := c.derive(context.WithoutCancel(first.ctx))
				nested := newJob()
				byDoChanContext.call(&g, kept, "nested", nested)
				first.returns(7)
				second := newJob()
				leader := leads.call(&g, t.Context(), "key", second)
				// It belongs to the first flight, not to the second one with that key.
				joiner := again.call(&g, kept, "key", newJob())
				joiner.waits(t)
				// What belonged to it waits for nobody on its behalf.
				back := again.call(&g, context.WithoutCancel(nested.ctx), "key", newJob())
				back.waits(t)
				second.returns(8)
				leader.got(t, answer{Val: 8, Shared: true, Leader: true})
				joiner.got(t, answer{Val: 8, Shared: true})
				back.got(t, answer{Val: 8, Shared: true})
				nested.returns(9)
				// It leads flights like a call from outside.
				third := newJob()
				c := again.call(&g, kept, "key", third)
				again.call(&g, third.ctx, "key", newJob()).got(t, refused)
				third.returns(10)
				c.got(t, answer{Val: 10, Leader: true})
			})
		})
	}
}

func TestNotRefusedWhenTheFlightBetweenHasLanded(t *testing.T) {
	// Clause 18: a flight that has landed waits for nobody: F called G with a context that outlives F.
	eachPair(t, bound, bound, func(t *testing.T, between, back way) {
		var g group
		e, f, h := newJob(), newJob(), newJob()
		byDoChanContext.call(&g, t.Context(), "e", e)
		c := between.call(&g, context.WithoutCancel(e.ctx), "f", f) // e waits for f
		byDoChanContext.call(&g, t.Context(), "h", h)
		d := between.call(&g, context.WithoutCancel(f.ctx), "h", newJob()) // f waits for h
		back.call(&g, h.ctx, "e", newJob()).got(t, refused)
		f.returns(1)
		c.got(t, answer{Val: 1, Leader: true})
		b := back.call(&g, h.ctx, "e", newJob()) // the chain has a gap
		b.waits(t)
		e.returns(2)
		b.got(t, answer{Val: 2, Shared: true})
		h.returns(3)
		d.got(t, answer{Val: 3, Shared: true})
	})
}

func TestDoIsNotSeen(t *testing.T) {
	// Clause 18: Do and DoChan aren't seen: calls through them are no edges and aren't refused.
	eachPair(t, []way{byDo, byDoChan}, bound, func(t *testing.T, unseen, w way) {
		var g group
		f, h := newJob(), newJob()
		// A flight that Do leads has no context to call with; it can be joined from any flight.
		unseen.call(&g, nil, "h", h)
		w.call(&g, t.Context(), "f", f)
		c := w.call(&g, f.ctx, "h", newJob())
		c.waits(t)
		// h's function may join f by Do: nothing knows that this closes a cycle.
		d := unseen.call(&g, nil, "f", newJob())
		d.waits(t)
		h.returns(1)
		c.got(t, answer{Val: 1, Shared: true})
		f.returns(2)
		d.got(t, answer{Val: 2, Shared: true})
	})
}

func TestCancelledFlightCallingItsSuccessorIsRefused(t *testing.T) {
	// Clause 18: a successor waits for its predecessor, so the predecessor can neither lead nor join its successor,
	// nor join what the successor's callers wait in.
	eachPair(t, ways, bound, func(t *testing.T, leads, w way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		uncancelled := context.WithoutCancel(before.ctx)
		// By leading.
		unused := newJob()
		w.call(g, uncancelled, "key", unused).got(t, refused)
		w.call(g, uncancelled, "key", unused).got(t, refused)
		// By joining.
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		w.call(g, uncancelled, "key", unused).got(t, refused)
		before.returns(7)
		if j.ran() != 1 || unused.ran() != 0 {
			t.Errorf("the successor ran %d times, the refused function %d times; want 1 and 0", j.ran(), unused.ran())
		}
		// Now it has landed, and its context is like any.
		joiner := w.call(g, uncancelled, "key", unused)
		joiner.waits(t)
		j.returns(8)
		leader.got(t, answer{Val: 8, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 8, Shared: true})
	})
}

func TestCyclesThroughSuccessorsAreRefused(t *testing.T) {
	// Clause 18: flight F waits for G while F is G's successor, and while a call that belongs to F leads that.
	eachPair(t, bound, bound, func(t *testing.T, leads, w way) {
		g := cancelling()
		before := abandoned(t, g, "key") // calls h below, so that h must not wait for key
		uncancelled := context.WithoutCancel(before.ctx)
		h, i := newJob(), newJob()
		w.call(g, t.Context(), "h", h)
		c := w.call(g, uncancelled, "h", newJob()) // before waits for h
		// A successor led by h's function would wait for before, and h for it.
		leads.call(g, h.ctx, "key", newJob()).got(t, refused)
		// From elsewhere it may be led.
		w.call(g, t.Context(), "i", i)
		s := newJob()
		successor := leads.call(g, i.ctx, "key", s) // i waits for s waits for before waits for h
		successor.waits(t)
		w.call(g, h.ctx, "key", newJob()).got(t, refused)
		w.call(g, h.ctx, "i", newJob()).got(t, refused)
		w.call(g, uncancelled, "i", newJob()).got(t, refused)
		h.returns(1)
		c.got(t, answer{Val: 1, Shared: true})
		before.returns(2)
		w.call(g, s.ctx, "i", newJob()).got(t, refused)
		s.returns(3)
		successor.got(t, answer{Val: 3, Leader: true})
		i.returns(4)
	})
}

func TestDroppedSuccessorIsNoEdge(t *testing.T) {
	// Clause 18: a successor that was dropped waits for nobody, and no more does the flight whose call led it.
	eachPair(t, detaching, bound, func(t *testing.T, leads, w way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		h := newJob()
		w.call(g, t.Context(), "h", h)
		ctx, cancel := context.WithCancel(h.ctx)
		c := leads.call(g, ctx, "key", newJob()) // h waits for before
		w.call(g, context.WithoutCancel(before.ctx), "h", newJob()).got(t, refused)
		cancel()
		synctest.Wait()
		c.got(t, canceled)
		b := w.call(g, context.WithoutCancel(before.ctx), "h", newJob())
		b.waits(t)
		// The other way round it's a cycle now.
		leads.call(g, h.ctx, "key", newJob()).got(t, refused)
		h.returns(1)
		b.got(t, answer{Val: 1, Shared: true})
		before.returns(2)
	})
}

func TestForgottenFlightsAreStillEdges(t *testing.T) {
	// Clauses 9 and 18: a forgotten flight isn't the one that the next call with its key joins, but who waits for it
	// waits.
	eachWay(t, bound, func(t *testing.T, w way) {
		var g group
		f, h := newJob(), newJob()
		w.call(&g, t.Context(), "f", f)
		w.call(&g, t.Context(), "h", h)
		w.call(&g, f.ctx, "h", newJob()) // f waits for h
		g.Forget("h")
		w.call(&g, h.ctx, "f", newJob()).got(t, refused)
		// h may call its own key now.
		j := newJob()
		c := w.call(&g, h.ctx, "h", j)
		j.returns(1)
		c.got(t, answer{Val: 1, Leader: true})
		g.Forget("f")
		j = newJob()
		c = w.call(&g, h.ctx, "f", j)
		j.returns(2)
		c.got(t, answer{Val: 2, Leader: true})
		h.returns(3)
		f.returns(4)
	})
}

func TestRefusedCallLeavesNoTrace(t *testing.T) {
	// Clause 18: a refused call never joined: shared, Clone, ForgetUnshared, abandoning don't know it.
	eachPair(t, detaching, bound, func(t *testing.T, leads, w way) {
		clones := 0
		g := cancelling(func(opts *singleflight.Options[string, int]) {
			opts.Clone = func(v int) int { clones++; return v }
		})
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		w.call(g, j.ctx, "key", newJob()).got(t, refused)
		j.returns(7)
		leader.got(t, answer{Val: 7, Leader: true})
		if clones != 0 {
			t.Errorf("Clone was called %d times", clones)
		}

		j = newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leader = leads.call(g, ctx, "key", j)
		w.call(g, j.ctx, "key", newJob()).got(t, refused)
		w.call(g, context.WithoutCancel(j.ctx), "key", newJob()).got(t, refused)
		if stats := g.Stats(); stats.Calls != 2 || stats.Joined != 0 {
			t.Errorf("Stats counts refused calls: %+v", stats)
		}
		cancel()
		synctest.Wait()
		leader.got(t, canceled)
		if err := j.ctx.Err(); err != context.Canceled {
			t.Errorf("the abandoned flight's context: %v", err)
		}
		// A refused call leads no successor.
		w.call(g, context.WithoutCancel(j.ctx), "key", newJob()).got(t, refused)
		s := newJob()
		successor := leads.call(g, t.Context(), "key", s)
		w.call(g, context.WithoutCancel(j.ctx), "key", newJob()).got(t, refused)
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared counts a refused call")
		}
		j.returns(8)
		s.returns(9)
		successor.got(t, answer{Val: 9, Leader: true})
		if n := g.Stats().InFlight; n != 0 {
			t.Errorf("%d flights are left", n)
		}
	})
}

func TestRefusedCallLeavesForgetUnsharedAlone(t *testing.T) {
	// Clauses 10 and 18, for a flight that isn't cancelled.
	eachPair(t, bound, bound, func(t *testing.T, leads, w way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		w.call(&g, j.ctx, "key", newJob()).got(t, refused)
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared counts a refused call")
		}
		j.returns(7)
		leader.got(t, answer{Val: 7, Leader: true})
	})
}

func TestRefusedCallIsNoEdge(t *testing.T) {
	// Clause 18: a refused call waits for nobody, so it isn't in the way of others.
	eachPair(t, bound, bound, func(t *testing.T, leads, w way) {
		var g group
		f, h, i := newJob(), newJob(), newJob()
		leads.call(&g, t.Context(), "f", f)
		leads.call(&g, t.Context(), "h", h)
		leads.call(&g, t.Context(), "i", i)
		ctx, cancel := context.WithCancel(f.ctx)
		gone := byDoContext.call(&g, ctx, "h", newJob()) // f waits for h
		w.call(&g, h.ctx, "f", newJob()).got(t, refused) // h does not wait for f
		cancel()
		synctest.Wait()
		gone.got(t, canceled)
		a := w.call(&g, f.ctx, "h", newJob()) // f may wait for h again
		a.waits(t)
		w.call(&g, h.ctx, "f", newJob()).got(t, refused)
		b := w.call(&g, i.ctx, "f", newJob()) // i waits for f
		c := w.call(&g, i.ctx, "h", newJob()) // i waits for h
		b.waits(t)
		c.waits(t)
		h.returns(1)
		f.returns(2)
		i.returns(3)
		a.got(t, answer{Val: 1, Shared: true})
		b.got(t, answer{Val: 2, Shared: true})
		c.got(t, answer{Val: 1, Shared: true})
	})
}

func TestOneOfTheCallsThatCloseACycleIsRefused(t *testing.T) {
	// Clause 18: of the calls that close one together exactly one is refused.
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	for _, size := range []int{2, 3, 5} {
		for _, mixed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d flights, mixed=%v", size, mixed), func(t *testing.T) {
				groups := []*group{new(group), new(group)}
				for range rounds {
					var flights, start sync.WaitGroup
					start.Add(size)
					var refusals, falls atomic.Int32
					at := func(i int) (*group, string) { return groups[i%2], fmt.Sprint(i % size) }
					for i := range size {
						flights.Go(func() {
							g, key := at(i)
							if size%2 == 1 { // the ring must meet itself in one group
								g = groups[0]
							}
							g.DoContext(t.Context(), key, func(ctx context.Context) (int, error) {
								start.Done()
								start.Wait()
								g, next := at(i + 1)
								if size%2 == 1 {
									g = groups[0]
								}
								call := nests[0].call
								if mixed {
									call = nests[(i+rand.N(2))%2].call
								}
								// Once one is refused its flight lands, and then it may be led anew: by nobody, as
								// all that would are waiting by then.
								_, err := call(g, ctx, next, func(context.Context) (int, error) { falls.Add(1); return 0, nil })
								if errors.Is(err, singleflight.ErrDeadlock) {
									refusals.Add(1)
								}
								return 0, nil
							})
						})
					}
					flights.Wait()
					if refusals.Load() != 1 || falls.Load() != 0 {
						t.Fatalf("%d calls were refused and %d led a flight, want 1 and 0", refusals.Load(), falls.Load())
					}
				}
			})
		}
	}
}

func TestTangledCallsAlwaysEnd(t *testing.T) {
	// Clause 18: whatever calls which, concurrently, nothing hangs; and what calls in one order only is never
	// refused.
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprintf("ordered=%v", ordered), func(t *testing.T) {
			for range rounds {
				synctest.Test(t, func(t *testing.T) {
					const keys = 12
					groups := []*group{new(group), cancelling()}
					var refusals atomic.Int32
					var load func(i, depth int) func(ctx context.Context) (int, error)
					load = func(i, depth int) func(ctx context.Context) (int, error) {
						return func(ctx context.Context) (int, error) {
							var wg sync.WaitGroup
							for range 3 {
								next := rand.N(keys)
								if ordered {
									if i+1 >= keys {
										break
									}
									next = i + 1 + rand.N(keys-i-1)
								}
								if depth == 0 {
									break
								}
								wg.Go(func() {
									ctx := ctx
									if rand.N(4) == 0 {
										var cancel context.CancelFunc
										ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.N(5)))
										defer cancel()
									}
									time.Sleep(time.Duration(rand.N(3)))
									_, err := nests[rand.N(len(nests))].call(groups[next%2], ctx, fmt.Sprint(next), load(next, depth-1))
									if errors.Is(err, singleflight.ErrDeadlock) {
										refusals.Add(1)
									}
								})
							}
							wg.Wait()
							time.Sleep(time.Duration(rand.N(3)))
							return i, nil
						}
					}
					for range 4 {
						i := rand.N(keys)
						go groups[i%2].DoContext(t.Context(), fmt.Sprint(i), load(i, 4))
					}
					synctest.Wait()
					// Flights of each group lead some in the other.
					for groups[0].Stats().InFlight+groups[1].Stats().InFlight > 0 {
						for _, g := range groups {
							if err := g.Wait(t.Context()); err != nil {
								t.Error(err)
							}
						}
					}
					if n := refusals.Load(); ordered && n != 0 {
						t.Errorf("%d calls were refused, though none can close a cycle", n)
					}
				})
			}
		})
	}
}

func TestDeadlockCheckDoesNotOutliveFlights(t *testing.T) {
	// Clauses 18 and 24: calls that come and go leave nothing in the flights that they waited for.
	synctest.Test(t, func(t *testing.T) {
		g := cancelling()
		f, stuck := newJob(), newJob()
		byDoChanContext.call(g, t.Context(), "f", f)
		byDoChanContext.call(g, t.Context(), "stuck", stuck)
		come := func() {
			ctx, cancel := context.WithCancel(f.ctx)
			ch := g.DoChanContext(ctx, "stuck", nil)
			cancel()
			<-ch
			g.DoContext(f.ctx, "nested", taking(constant(1)))
			g.DoContext(t.Context(), "flight", func(ctx context.Context) (int, error) {
				g.DoChanContext(ctx, "stuck", nil) // detaches when this lands
				return 0, nil
			})
			synctest.Wait()
		}
		come()
		before := heap()
		for range 2000 {
			come()
		}
		if grown := heap() - before; grown > 64<<10 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		stuck.returns(1)
		f.returns(2)
		runtime.KeepAlive(g)
	})
}
