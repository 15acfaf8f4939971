package singleflight_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

// A foreignContext is a context that isn't of the standard library, and that
// ends when the test says so.
type foreignContext struct {
	context.Context // for its values
	done            chan struct{}
	mu              sync.Mutex
	err             error
}

func newForeignContext(values context.Context) *foreignContext {
	return &foreignContext{Context: context.WithoutCancel(values), done: make(chan struct{})}
}

func (c *foreignContext) Done() <-chan struct{} { return c.done }

func (c *foreignContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail ends the context.
func (c *foreignContext) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// tell lets those know that wait for the context's end.
func (c *foreignContext) tell() { close(c.done) }

func (c *foreignContext) end(err error) {
	c.fail(err)
	c.tell()
}

// A watchedContext is one with an AfterFunc method.
type watchedContext struct {
	*foreignContext
	*watches
}

type watches struct {
	mu    sync.Mutex
	funcs map[*int]func()
}

func (w *watches) AfterFunc(f func()) (stop func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.funcs == nil {
		w.funcs = make(map[*int]func())
	}
	key := new(int)
	w.funcs[key] = f
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		_, watching := w.funcs[key]
		delete(w.funcs, key)
		return watching
	}
}

// fire starts the functions.
func (w *watches) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, f := range w.funcs {
		delete(w.funcs, key)
		go f()
	}
}

// watching returns how many functions would be started.
func (w *watches) watching() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.funcs)
}

func TestForeignContextsDetach(t *testing.T) {
	// Clauses 13 and 17: contexts that aren't of the standard library end calls, and make flights, like any.
	for _, hooked := range []bool{false, true} {
		t.Run(fmt.Sprintf("AfterFunc=%v", hooked), func(t *testing.T) {
			eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
				newContext := func() (ctx context.Context, end func(error)) {
					foreign := newForeignContext(context.WithValue(t.Context(), contextKey("k"), 1))
					watched := watchedContext{foreign, new(watches)}
					end = func(err error) {
						foreign.end(err)
						watched.fire()
						synctest.Wait()
					}
					if hooked {
						return watched, end
					}
					return foreign, end
				}
				g := cancelling()
				j := newJob()
				ctx1, end1 := newContext()
				ctx2, end2 := newContext()
				leader, joiner := leads.call(g, ctx1, "key", j), joins.call(g, ctx2, "key", newJob())
				end1(errFlight) // an error of its own
				leader.got(t, answer{Err: errFlight})
				joiner.waits(t)
				inState(t, "the flight's context", j.ctx, nil)
				if v := j.ctx.Value(contextKey("k")); v != 1 {
					t.Errorf("the flight's context has value %v", v)
				}
				end2(context.DeadlineExceeded)
				joiner.got(t, late)
				inState(t, "the abandoned flight's context", j.ctx, singleflight.ErrAbandoned)
				leads.call(g, ctx1, "key", newJob()).got(t, answer{Err: errFlight}) // 12
				j.returns(7)
			})
		})
	}
}

func TestContextWhoseErrorIsLate(t *testing.T) {
	// A context of the user's may close its channel before it has an error. A caller that detached got no value.
	// (For a channel caller it can't: context.AfterFunc crashes then.)
	synctest.Test(t, func(t *testing.T) {
		var g group
		j := newJob()
		leader := byDo.call(&g, nil, "key", j)
		ctx := newForeignContext(t.Context())
		joiner := byDoContext.call(&g, ctx, "key", newJob())
		waiter := blocked(func() (int, error, bool) { return 0, g.Wait(ctx), false })
		ctx.tell()
		synctest.Wait()
		joiner.got(t, canceled)
		waiter.got(t, canceled)
		j.returns(7)
		leader.got(t, answer{Val: 7, Shared: true})
	})
}

// A slowContext is one of its own kind, which takes its time when it is told
// that nobody waits for its end any more.
type slowContext struct {
	context.Context
	done chan struct{}
	gate chan struct{} // closed when its time is over
}

func (c slowContext) Done() <-chan struct{} { return c.done }

func (c slowContext) AfterFunc(func()) func() bool {
	return func() bool { <-c.gate; return true }
}

func TestSlowContextKeepsOnlyItsFlightWaiting(t *testing.T) {
	// Clauses 5, 19 and 23: what a context does when a watch over it ends comes after all callers are served.
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		if leads.here {
			return // then it is its leader's goroutine that waits
		}
		var g group
		j := newJob()
		slow := slowContext{t.Context(), make(chan struct{}), make(chan struct{})}
		leader := leads.call(&g, slow, "key", j)
		first := joins.call(&g, t.Context(), "key", newJob())
		second := byDoChanContext.call(&g, slow, "key", newJob())
		third := joins.call(&g, t.Context(), "key", newJob())
		waiter := byWait(&g, t.Context())
		j.returns(7)
		leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		for _, c := range []caller{first, second, third} {
			c.got(t, answer{Val: 7, Shared: true})
		}
		waiter.got(t, idle)
		alone(t, &g, "key")
		close(slow.gate)
	})
}

// A hookContext is one that calls a hook before it answers.
type hookContext struct {
	*foreignContext
	*watches
	hook func(method string)
}

func (c hookContext) Done() <-chan struct{} { c.hook("Done"); return c.foreignContext.Done() }
func (c hookContext) Err() error            { c.hook("Err"); return c.foreignContext.Err() }
func (c hookContext) Value(key any) any     { c.hook("Value"); return c.foreignContext.Value(key) }

func (c hookContext) AfterFunc(f func()) func() bool {
	c.hook("AfterFunc")
	stop := c.watches.AfterFunc(func() { c.hook("f"); f() })
	return func() bool { c.hook("stop"); return stop() }
}

func TestDeadlockCheckAsksContextsWithoutLock(t *testing.T) {
	// Clauses 18 and 23: nothing of the user's runs under a lock: not where a call looks for a cycle through leaders'
	// contexts, nor where a watch over a context begins and ends, nor in Wait.
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		g, other := cancelling(), new(group)
		var calls sync.Map
		var busy atomic.Bool
		hook := func(method string) {
			calls.Store(method, true)
			if !busy.CompareAndSwap(false, true) {
				return // called by what follows
			}
			defer busy.Store(false)
			for i := range 20 { // whatever locks there are
				alone(t, g, fmt.Sprint("other key ", i))
				alone(t, other, fmt.Sprint("other key ", i))
			}
			// The deadlock check's own.
			g.DoContext(context.Background(), "key of a hook", func(ctx context.Context) (int, error) {
				v, err, _ := g.DoContext(ctx, "key of a hook", nil)
				wantRefused(t, v, err)
				return v, err
			})
			g.Stats()
		}
		hooked := func(values context.Context) hookContext {
			return hookContext{newForeignContext(values), new(watches), hook}
		}
		f, h, i := newJob(), newJob(), newJob()
		fctx, ictx := hooked(t.Context()), hooked(t.Context())
		leads.call(g, fctx, "f", f)
		leads.call(other, hooked(f.ctx), "h", h)
		leads.call(g, ictx, "i", i)
		joiner := joins.call(g, hooked(h.ctx), "i", newJob())
		joins.call(other, hooked(i.ctx), "h", newJob()).got(t, refused)
		joins.call(g, hooked(h.ctx), "f", newJob()).got(t, refused)
		byWait(g, hooked(h.ctx)).got(t, refused)
		waiter := byWait(other, hooked(t.Context()))
		// A detached leader, whose flight is cancelled, and a successor.
		fctx.end(context.Canceled)
		fctx.fire()
		synctest.Wait()
		joins.call(g, hooked(h.ctx), "f", newJob()).got(t, refused)
		j := newJob()
		joins.call(g, hooked(i.ctx), "f", newJob()).got(t, refused) // over f and h
		successor := joins.call(g, hooked(t.Context()), "f", j)
		f.returns(1)
		j.returns(2)
		successor.got(t, answer{Val: 2, Leader: true})
		i.returns(3)
		joiner.got(t, answer{Val: 3, Shared: true})
		h.returns(4)
		waiter.got(t, idle)
		for _, method := range []string{"Done", "Err", "Value"} {
			if _, called := calls.Load(method); !called {
				t.Errorf("%s was never called", method)
			}
		}
	})
}

func TestFlightLandsWhileCallerBeginsToWatch(t *testing.T) {
	// Clauses 14, 17 and 26: the flight lands, or the context ends, while a channel caller asks its context to be
	// told; the caller gets the one outcome, and the context is left alone afterwards.
	for _, ends := range []bool{false, true} {
		t.Run(fmt.Sprintf("ends=%v", ends), func(t *testing.T) {
			eachWay(t, bound, func(t *testing.T, leads way) {
				var g group
				before := bubbleGoroutines()
				j := newJob()
				leader := leads.call(&g, t.Context(), "key", j)
				ctx := hookContext{foreignContext: newForeignContext(t.Context()), watches: new(watches)}
				hooked := 0
				ctx.hook = func(method string) {
					if method != "AfterFunc" {
						return
					}
					hooked++
					if ends {
						ctx.foreignContext.end(context.Canceled)
					} else {
						j.returns(7)
					}
				}
				c := byDoChanContext.call(&g, ctx, "key", newJob())
				if hooked != 1 {
					t.Fatalf("the context was asked %d times, want once", hooked)
				}
				if ends {
					c.waits(t) // it isn't told yet
					ctx.fire()
					synctest.Wait()
					c.got(t, canceled)
					leader.waits(t)
					j.returns(7)
				} else {
					c.got(t, answer{Val: 7, Shared: true})
				}
				leader.got(t, answer{Val: 7, Shared: true, Leader: true})
				if n := ctx.watching(); n != 0 {
					t.Errorf("%d callers watch after the landing", n)
				}
				if !ends {
					ctx.foreignContext.end(context.Canceled)
					ctx.fire()
				}
				if n := bubbleGoroutines() - before; n != 0 {
					t.Errorf("%d goroutines are left", n)
				}
				if a, ok := c.poll(); ok {
					t.Errorf("after the outcome the caller got %+v too", a)
				}
			})
		})
	}
}

func TestPanicInContextIsItsCallers(t *testing.T) {
	// Clause 23: a context whose Value panics is its caller's trouble: the call panics, and the group goes on.
	eachPair(t, detaching, bound, func(t *testing.T, leads, w way) {
		for _, cancelled := range []bool{false, true} {
			g := cancelling()
			j := newJob()
			ctx, cancel := context.WithCancel(t.Context())
			leader := leads.call(g, ctx, "key", j)
			want := answer{Val: 7, Leader: true}
			if cancelled {
				want = canceled
				cancel()
				synctest.Wait()
			}
			broken := hookContext{newForeignContext(t.Context()), new(watches), func(method string) {
				if method == "Value" {
					panic("boom")
				}
			}}
			unused := newJob()
			for range 3 {
				if value := panicOf(func() { g.DoChanContext(broken, "key", unused.bound) }); value != "boom" {
					t.Errorf("DoChanContext panics with %v, want boom", value)
				}
				if value := panicOf(func() { g.DoContext(broken, "key", unused.bound) }); value != "boom" {
					t.Errorf("DoContext panics with %v, want boom", value)
				}
			}
			alone(t, g, "other key")
			var next caller
			s := newJob()
			if cancelled {
				next = w.call(g, t.Context(), "key", s)
			}
			j.returns(7)
			leader.got(t, want)
			if cancelled {
				s.returns(8)
				next.got(t, answer{Val: 8, Leader: true})
			}
			if unused.ran() != 0 {
				t.Error("the function of a call that panicked ran")
			}
			alone(t, g, "key")
			cancel()
		}
	})
}

// An unstoppableContext panics when somebody has watched it long enough.
type unstoppableContext struct{ *foreignContext }

func (unstoppableContext) AfterFunc(func()) (stop func() bool) {
	return func() bool { panic("boom") }
}

func TestBrokenContextIsItsOwnCallersTrouble(t *testing.T) {
	// Clause 23: which flight a call belongs to is asked of its own context, by the call itself, and of no other.
	for name, breakOff := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, bound, func(t *testing.T, joins way) {
				var g group
				other, outer := newJob(), newJob()
				leader := byDoContext.call(&g, t.Context(), "other key", other)
				holder := byDoContext.call(&g, t.Context(), "key", outer)
				broken := hookContext{newForeignContext(outer.ctx), new(watches), func(method string) {
					if method == "Value" {
						breakOff()
					}
				}}
				unused := newJob()
				ended := make(chan any, 1)
				go func() {
					defer func() { ended <- recover() }()
					g.DoChanContext(context.WithoutCancel(broken), "third key", unused.bound)
				}()
				if got := <-ended; (got == nil) != (name == "Goexit") {
					t.Errorf("the call with the broken context recovered %v", got)
				}
				joiner := joins.call(&g, outer.ctx, "other key", newJob())
				joiner.waits(t)
				other.returns(7)
				leader.got(t, answer{Val: 7, Shared: true, Leader: true})
				joiner.got(t, answer{Val: 7, Shared: true})
				outer.returns(8)
				holder.got(t, answer{Val: 8, Leader: true})
				if unused.ran() != 0 {
					t.Error("the function of a call that broke off ran")
				}
			})
		})
	}
}

func TestBrokenContextOfALeaderIsNoJoinersTrouble(t *testing.T) {
	// Clause 23: the same for a context that breaks when its call has led: a call from inside a flight that joins asks
	// it nothing, nor does one that is refused, nor a landing.
	for name, breakOff := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			eachPair(t, bound, bound, func(t *testing.T, leads, joins way) {
				var g group
				outer, j := newJob(), newJob()
				holder := byDoContext.call(&g, t.Context(), "outer key", outer)
				broken := false
				ctx := hookContext{newForeignContext(outer.ctx), new(watches), func(method string) {
					if method == "Value" && broken {
						breakOff()
					}
				}}
				leader := leads.call(&g, ctx, "key", j)
				broken = true
				joiner := joins.call(&g, outer.ctx, "key", newJob())
				joiner.waits(t)
				joins.call(&g, j.ctx, "outer key", newJob()).got(t, answer{Err: singleflight.ErrDeadlock})
				j.returns(7)
				leader.got(t, answer{Val: 7, Shared: true, Leader: true})
				joiner.got(t, answer{Val: 7, Shared: true})
				outer.returns(8)
				holder.got(t, answer{Val: 8, Leader: true})
			})
		})
	}
}

func TestPanicInStopOfAContextEndsTheOtherWatches(t *testing.T) {
	// Clause 26: no goroutine is left, and the Land hook runs, whatever a caller's context does after the landing.
	for place := range 3 {
		t.Run(fmt.Sprint(place), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				landed := 0
				g := singleflight.New(singleflight.Options[string, int]{Trace: &singleflight.Trace[string]{
					Land: func(context.Context, string, uint64, singleflight.Landing) { landed++ },
				}})
				before := bubbleGoroutines()
				j := newJob()
				leader := byDo.call(g, nil, "key", j)
				var callers []caller
				for i := range 3 {
					var ctx context.Context = newForeignContext(t.Context()) // to watch it takes a goroutine
					if i == place {
						ctx = unstoppableContext{newForeignContext(t.Context())}
					}
					callers = append(callers, byDoChanContext.call(g, ctx, "key", newJob()))
				}
				j.returns(7)
				leader.got(t, answer{Panic: "boom"})
				for _, c := range callers {
					c.got(t, answer{Val: 7, Shared: true})
				}
				if n := bubbleGoroutines() - before; n != 0 {
					t.Errorf("%d goroutines are left", n)
				}
				if landed != 1 {
					t.Errorf("the Land hook ran %d times, want once", landed)
				}
				alone(t, g, "key")
			})
		})
	}
}
