package singleflight_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

var (
	canceled = answer{Err: context.Canceled}
	late     = answer{Err: context.DeadlineExceeded}
)

func TestEndedContextStartsNothing(t *testing.T) {
	// Clause 12: a context that is already done: ctx.Err() at once, no flight, fn not called.
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a cause that nobody gets"))
	expired, cancelExpired := context.WithTimeout(t.Context(), -1)
	defer cancelExpired()
	for _, ctx := range []context.Context{cancelled, expired} {
		eachWay(t, detaching, func(t *testing.T, w way) {
			var g group
			before := bubbleGoroutines()
			j := newJob()
			w.call(&g, ctx, "key", j).got(t, answer{Err: ctx.Err()})
			if j.ran() != 0 {
				t.Error("fn was called")
			}
			if n := bubbleGoroutines() - before; n != 0 {
				t.Errorf("%d goroutines are left", n)
			}
			// Nor does it join one.
			j = newJob()
			leader := byDo.call(&g, nil, "key", j)
			w.call(&g, ctx, "key", newJob()).got(t, answer{Err: ctx.Err()})
			j.returns(1)
			leader.got(t, answer{Val: 1})
		})
	}
}

func TestEndedContextGoesBeforeAllElse(t *testing.T) {
	// Clause 12: both before anything else is looked at or changed.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func(g *singleflight.Group[any, int], ctx context.Context, key any) error{
		"DoContext": func(g *singleflight.Group[any, int], ctx context.Context, key any) error {
			_, err, _ := g.DoContext(ctx, key, nil)
			return err
		},
		"DoChanContext": func(g *singleflight.Group[any, int], ctx context.Context, key any) error {
			return (<-g.DoChanContext(ctx, key, nil)).Err
		},
		"Func": func(g *singleflight.Group[any, int], ctx context.Context, key any) error {
			_, err := g.Func(nil)(ctx, key)
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			var g singleflight.Group[any, int]
			uncomparable := []int{1}
			if err := call(&g, ended, uncomparable); err != context.Canceled {
				t.Errorf("ended context, uncomparable key, nil function: got %v, want context.Canceled", err)
			}
			// A call that would be refused gets its context's error too.
			_, err, _ := g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return 0, call(&g, ctx, "key")
			})
			if err != context.Canceled {
				t.Errorf("ended context, call to itself: got %v, want context.Canceled", err)
			}
			for _, key := range []any{"key", uncomparable} {
				value := panicOf(func() { call(&g, nil, key) })
				if text, ok := value.(string); !ok || !strings.Contains(strings.ToLower(text), "nil context") {
					t.Errorf("nil context, key %v: the call panics with %v, want nil Context named", key, value)
				}
			}
			if v, err, shared := g.DoContext(t.Context(), "key", func(context.Context) (int, error) { return 1, nil }); v != 1 || err != nil || shared {
				t.Errorf("afterwards: got %v, %v, %v", v, err, shared)
			}
		})
	}
}

// panicOf returns what f panics with.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestLeaderDetaches(t *testing.T) {
	// Clause 13: a caller whose context ends first detaches at once with the zero value and ctx.Err(); this holds
	// for the leader too, and the flight and its other callers notice nothing but shared (3).
	eachPair(t, detaching, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		leader := leads.call(&g, ctx, "key", j)
		joiner := joins.call(&g, t.Context(), "key", newJob())
		leader.waits(t)
		cancel(errors.New("a cause that nobody gets"))
		synctest.Wait()
		leader.got(t, canceled)
		joiner.waits(t)
		if err := j.ctx.Err(); err != nil {
			t.Errorf("the flight's context: %v", err)
		}
		late := byDoContext.call(&g, t.Context(), "key", newJob())
		j.returns(7)
		joiner.got(t, answer{Val: 7, Shared: true})
		late.got(t, answer{Val: 7, Shared: true})
		if j.ran() != 1 {
			t.Errorf("fn ran %d times", j.ran())
		}
	})
}

func TestJoinerDetaches(t *testing.T) {
	// Clauses 3 and 13: a joiner that detaches leaves the others on the flight, which counts it as one that joined.
	eachPair(t, ways, detaching, func(t *testing.T, leads, joins way) {
		var g group
		j, unused := newJob(), newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		joiner := joins.call(&g, ctx, "key", unused)
		joiner.waits(t)
		cancel()
		synctest.Wait()
		joiner.got(t, canceled)
		leader.waits(t)
		if j.ctx != nil && j.ctx.Err() != nil {
			t.Errorf("the flight's context: %v", j.ctx.Err())
		}
		if g.ForgetUnshared("key") {
			t.Error("ForgetUnshared takes the flight for unshared (10)")
		}
		j.returns(7)
		leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		if unused.ran() != 0 {
			t.Error("the joiner's function ran")
		}
	})
}

func TestDetachingAtOnceAtTheDeadline(t *testing.T) {
	// Clause 13: at once, and with the error of the caller's own context.
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		ctx1, cancel1 := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel1()
		ctx2, cancel2 := context.WithTimeoutCause(t.Context(), time.Second, errFlight)
		defer cancel2()
		leader := leads.call(&g, ctx1, "key", j)
		joiner := joins.call(&g, ctx2, "key", newJob())
		sleep(time.Second - 1)
		joiner.waits(t)
		sleep(1)
		joiner.got(t, late)
		sleep(time.Second - 1)
		leader.waits(t)
		sleep(1)
		leader.got(t, late)
		j.returns(7)
	})
}

// sleep lets time pass, and what is due happen.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFunctionRunsOnAfterItsLeader(t *testing.T) {
	// Clause 13: with a context that can end, the flight runs on a goroutine of its own, so fn may run on after its
	// leader has returned.
	eachWay(t, detaching, func(t *testing.T, w way) {
		var g group
		before := bubbleGoroutines()
		j := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leader := w.call(&g, ctx, "key", j)
		cancel()
		synctest.Wait()
		leader.got(t, canceled)
		if n := bubbleGoroutines() - before; n != 1 {
			t.Errorf("%d goroutines, want fn's", n)
		}
		j.returns(7)
		if n := bubbleGoroutines() - before; n != 0 {
			t.Errorf("%d goroutines after the landing", n)
		}
	})
}

func TestFunctionOfEndlessContextRunsOnCaller(t *testing.T) {
	// Clause 13: with a context that can't end, fn runs on the caller's goroutine, otherwise on the flight's own.
	var g group
	here := goroutine()
	on := func(ctx context.Context) (on string) {
		g.DoContext(ctx, "key", func(context.Context) (int, error) { on = goroutine(); return 0, nil })
		return on
	}
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, ctx := range map[string]context.Context{
		"Background":    context.Background(),
		"TODO":          context.TODO(),
		"WithoutCancel": context.WithoutCancel(cancellable),
		"WithValue":     context.WithValue(context.Background(), contextKey("k"), 1),
	} {
		if on(ctx) != here {
			t.Errorf("%s: fn doesn't run on the caller's goroutine", name)
		}
	}
	if on(cancellable) == here {
		t.Error("WithCancel: fn runs on the caller's goroutine")
	}
}

// goroutine returns the name of this goroutine.
func goroutine() string {
	buf := make([]byte, 32)
	return strings.Fields(string(buf[:runtime.Stack(buf, false)]))[1]
}

type contextKey string

func TestLandedCallerGetsOutcomeAlthoughContextEnded(t *testing.T) {
	// Clause 14: a caller that had not detached when the flight landed gets the outcome, even if its context has
	// ended by then. These contexts have ended, but tell nobody until later.
	for _, role := range []string{"leader", "joiner"} {
		eachWay(t, detaching, func(t *testing.T, w way) {
			var g group
			j := newJob()
			ctx := newForeignContext(t.Context())
			watched := watchedContext{ctx, new(watches)}
			var c, other caller
			if role == "leader" {
				c = w.call(&g, watched, "key", j)
				other = byDoContext.call(&g, t.Context(), "key", newJob())
			} else {
				other = byDoContext.call(&g, t.Context(), "key", j)
				c = w.call(&g, watched, "key", newJob())
			}
			ctx.fail(context.Canceled)
			synctest.Wait()
			c.waits(t)
			j.returns(7)
			want := answer{Val: 7, Shared: true, Leader: role == "leader"}
			c.got(t, want)
			ctx.tell()
			watched.fire()
			synctest.Wait()
			if a, ok := c.poll(); ok {
				t.Errorf("after the outcome the caller got %+v too", a)
			}
			other.got(t, answer{Val: 7, Shared: true})
		})
	}
}

func TestCallerCannotDetachWhileOutcomeIsHandedOut(t *testing.T) {
	// Clause 14: the flight orders landing and detaching. Clone holds up the landing after the key has left the
	// table; a context that ends then is too late.
	eachWay(t, detaching, func(t *testing.T, w way) {
		copying := make(chan bool)
		g := singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int {
			copying <- true
			return v + 1
		}})
		j := newJob()
		first := byDoChan.call(g, nil, "key", j)
		ctx, cancel := context.WithCancel(t.Context())
		c := w.call(g, ctx, "key", newJob())
		j.returns(7) // the first copy is being made
		next := newJob()
		anew := byDoChan.call(g, nil, "key", next)
		if next.ran() != 1 {
			t.Fatal("the key is still in the table")
		}
		cancel()
		synctest.Wait()
		c.waits(t)
		<-copying
		<-copying
		synctest.Wait()
		first.got(t, answer{Val: 8, Shared: true, Leader: true})
		c.got(t, answer{Val: 8, Shared: true})
		synctest.Wait()
		if a, ok := c.poll(); ok {
			t.Errorf("after the outcome the caller got %+v too", a)
		}
		next.returns(1)
		anew.got(t, answer{Val: 1, Leader: true})
	})
}

func TestLandingRacesWithDetaching(t *testing.T) {
	// Clause 14: never both, never neither, for blocking and channel callers alike.
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	fn := func(context.Context) (int, error) { return 7, nil }
	for _, cancelAbandoned := range []bool{false, true} {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: cancelAbandoned})
		for range rounds {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			release := make(chan struct{})
			for range 2 {
				wg.Go(func() {
					v, err, shared := g.DoContext(ctx, "key", func(ctx context.Context) (int, error) { <-release; return fn(ctx) })
					if !(v == 7 && err == nil || v == 0 && err == context.Canceled && !shared) {
						t.Errorf("DoContext: %v, %v, %v", v, err, shared)
					}
				})
				wg.Go(func() {
					ch := g.DoChanContext(ctx, "key", func(ctx context.Context) (int, error) { <-release; return fn(ctx) })
					r := <-ch
					if !(r.Val == 7 && r.Err == nil || r == singleflight.Result[int]{Err: context.Canceled}) {
						t.Errorf("DoChanContext: %+v", r)
					}
					if err := g.Wait(context.Background()); err != nil {
						t.Error(err)
					}
					select {
					case r := <-ch:
						t.Errorf("DoChanContext: a second result %+v", r)
					default:
					}
				})
			}
			wg.Go(cancel)
			close(release)
			wg.Wait()
		}
	}
}

func TestContextCallsShareOneTable(t *testing.T) {
	// Clauses 1-4: all entry points join each other's flights, get one outcome, and shared is true for all.
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		joiner := joins.call(&g, t.Context(), "key", newJob())
		j.fails(errFlight)
		leader.got(t, answer{Err: errFlight, Shared: true, Leader: true})
		joiner.got(t, answer{Err: errFlight, Shared: true})
		// The key has left the table.
		j = newJob()
		leader = joins.call(&g, t.Context(), "key", j)
		j.returns(8)
		leader.got(t, answer{Val: 8, Leader: true})
	})
}

func TestContextCallsAfterAnOutcomeStartAnew(t *testing.T) {
	// Clause 2: a call that begins after any caller has returned with a flight's outcome never gets that outcome.
	// Clause 5: everything fn did happens before that, and before a later flight runs.
	var g group
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0 // no lock but the group's
	fn := func(context.Context) (int, error) { n++; return n, nil }
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := 0
			for i := range rounds {
				var v int
				if i%2 == 0 {
					v, _, _ = g.DoContext(ctx, "key", fn)
				} else {
					v = (<-g.DoChanContext(ctx, "key", fn)).Val
				}
				if v <= last {
					t.Errorf("got outcome %d after outcome %d", v, last)
				}
				last = v
			}
		})
	}
	wg.Wait()
}

func TestFuncBindsALoader(t *testing.T) {
	// Clause 20: the returned function is DoContext with the key, without the third result.
	synctest.Test(t, func(t *testing.T) {
		var g group
		before := bubbleGoroutines()
		jobs := map[string]*job{"a": newJob(), "b": newJob()}
		load := g.Func(func(ctx context.Context, key string) (int, error) { return jobs[key].bound(ctx) })
		loading := func(ctx context.Context, key string) caller {
			return blocked(func() (int, error, bool) {
				v, err := load(ctx, key)
				return v, err, false
			})
		}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey("k"), "leader's"))
		a1, a2 := loading(ctx, "a"), loading(t.Context(), "a")
		a3 := byDoContext.call(&g, t.Context(), "a", newJob())
		b := loading(context.Background(), "b")
		if n := bubbleGoroutines() - before; n != 5 {
			t.Errorf("%d goroutines, want 5: 4 callers, and the flight that has a goroutine of its own", n)
		}
		cancel()
		synctest.Wait()
		a1.got(t, canceled)
		if v := jobs["a"].ctx.Value(contextKey("k")); v != "leader's" {
			t.Errorf("the loader's context has value %v", v)
		}
		jobs["a"].returns(7)
		a2.got(t, answer{Val: 7})
		a3.got(t, answer{Val: 7, Shared: true})
		jobs["b"].fails(errFlight)
		b.got(t, answer{Err: errFlight})
		loading(ctx, "a").got(t, canceled)
		if n := jobs["a"].ran() + jobs["b"].ran(); n != 2 {
			t.Errorf("the loader ran %d times, want 2", n)
		}
	})
}

func TestFuncIsSeenByTheDeadlockCheck(t *testing.T) {
	// Clauses 18 and 20: a recursive loader is refused.
	var g group
	var load func(ctx context.Context, key string) (int, error)
	load = g.Func(func(ctx context.Context, key string) (int, error) { return load(ctx, key) })
	if _, err := load(t.Context(), "key"); !errors.Is(err, singleflight.ErrDeadlock) {
		t.Errorf("got %v, want ErrDeadlock", err)
	}
}

func TestForgottenFlightKeepsItsCallers(t *testing.T) {
	// Clause 9: callers already on a forgotten flight still get its outcome, they detach from it like from any
	// other, and its landing leaves the new one alone.
	eachPair(t, bound, ways, func(t *testing.T, leads, again way) {
		var g group
		j1, j2 := newJob(), newJob()
		leader := leads.call(&g, t.Context(), "key", j1)
		ctx, cancel := context.WithCancel(t.Context())
		stays, leaves := byDoChanContext.call(&g, t.Context(), "key", newJob()), byDoContext.call(&g, ctx, "key", newJob())
		g.Forget("key")
		anew := again.call(&g, t.Context(), "key", j2)
		if j2.ran() != 1 {
			t.Fatal("the next call did not start a flight at once")
		}
		cancel()
		synctest.Wait()
		leaves.got(t, canceled)
		j1.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		stays.got(t, answer{Val: 1, Shared: true})
		joiner := byDoContext.call(&g, t.Context(), "key", newJob())
		anew.waits(t)
		joiner.waits(t)
		j2.returns(2)
		anew.got(t, answer{Val: 2, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 2, Shared: true})
	})
}

func TestForgetUnsharedWithContextCalls(t *testing.T) {
	// Clause 10: only if the flight has had one caller in its life. An abandoned one that had one is such.
	eachWay(t, detaching, func(t *testing.T, w way) {
		var g group
		j := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		w.call(&g, ctx, "key", j)
		cancel()
		synctest.Wait()
		if !g.ForgetUnshared("key") {
			t.Error("an abandoned flight that nobody joined counts as shared")
		}
		next := newJob()
		c := w.call(&g, t.Context(), "key", next)
		if next.ran() != 1 {
			t.Error("the flight was not forgotten")
		}
		j.returns(1)
		w.call(&g, t.Context(), "key", newJob())
		if g.ForgetUnshared("key") {
			t.Error("a joined flight counts as unshared")
		}
		next.returns(2)
		c.got(t, answer{Val: 2, Shared: true, Leader: true})
	})
}

func TestClonesForContextCallers(t *testing.T) {
	// Clause 21: Clone isn't called for those that detached.
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		copies := 0
		g := singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int { copies++; return v + 1 }})
		j := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leader := leads.call(g, ctx, "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		cancel()
		synctest.Wait()
		j.returns(7)
		leader.got(t, canceled)
		joiner.got(t, answer{Val: 8, Shared: true})
		if copies != 1 {
			t.Errorf("Clone was called %d times, want once", copies)
		}
	})
}
