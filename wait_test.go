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

// byWait calls Wait on a goroutine of its own.
func byWait(g *group, ctx context.Context) caller {
	return blocked(func() (int, error, bool) { return 0, g.Wait(ctx), false })
}

var idle = answer{} // what Wait gives when all have landed

func TestWaitWithoutFlights(t *testing.T) {
	// Clause 19: Wait returns nil once every flight has landed: at once if there is none, or never was.
	synctest.Test(t, func(t *testing.T) {
		for name, g := range map[string]*group{"zero": new(group), "new": cancelling()} {
			for range 2 {
				for _, ctx := range []context.Context{context.Background(), t.Context()} {
					if err := g.Wait(ctx); err != nil {
						t.Errorf("%s: got %v", name, err)
					}
				}
				g.Do("key", constant(1))
			}
		}
	})
}

func TestWaitLooksAtItsContextFirst(t *testing.T) {
	// Clauses 12 and 19: a context that has ended, or is nil, comes first, as for the calls.
	synctest.Test(t, func(t *testing.T) {
		var g group
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errFlight)
		for range 2 {
			if err := g.Wait(ended); err != context.Canceled {
				t.Errorf("got %v, want context.Canceled", err)
			}
			var none context.Context
			if panicOf(func() { g.Wait(none) }) == nil {
				t.Error("a nil context doesn't panic")
			}
			g.Do("key", constant(1))
		}
		j := newJob()
		c := byDoContext.call(&g, t.Context(), "key", j)
		inside, cancelInside := context.WithCancel(j.ctx)
		cancelInside()
		if err := g.Wait(inside); err != context.Canceled {
			t.Errorf("from inside a flight: got %v, want context.Canceled", err)
		}
		j.returns(7)
		c.got(t, answer{Val: 7})
	})
}

func TestWaitForFlightOfEachEntryPoint(t *testing.T) {
	// Clause 19: Wait returns nil once every flight has landed, however it ends.
	for _, end := range endings {
		t.Run(end.name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				g := singleflight.New(singleflight.Options[string, int]{Recover: true})
				j := newJob()
				leads.call(g, t.Context(), "key", j)
				first := byWait(g, t.Context())
				joins.call(g, t.Context(), "key", newJob())
				second := byWait(g, context.Background())
				sleep(time.Hour)
				first.waits(t)
				second.waits(t)
				end.of(j)
				first.got(t, idle)
				second.got(t, idle)
			})
		})
	}
}

func TestWaitForSeveralFlights(t *testing.T) {
	// Clause 19: every flight, not some; and those that began after the call aren't waited for.
	synctest.Test(t, func(t *testing.T) {
		var g group
		const n = 100
		jobs := make([]*job, n)
		for i := range jobs {
			jobs[i] = newJob()
			ways[i%len(ways)].call(&g, t.Context(), fmt.Sprint("key", i), jobs[i])
		}
		w := byWait(&g, t.Context())
		after := newJob()
		byDoChan.call(&g, nil, "after", after)
		for _, j := range jobs {
			w.waits(t)
			j.returns(7)
		}
		w.got(t, idle)
		again := byWait(&g, t.Context())
		again.waits(t)
		after.returns(8)
		again.got(t, idle)
	})
}

func TestWaitReturnsAfterResultsAreSent(t *testing.T) {
	// Clause 19: has landed, their Results sent. Clone holds up the sending.
	eachWay(t, []way{byDoChan, byDoChanContext}, func(t *testing.T, w way) {
		copying := make(chan bool)
		g := singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int { <-copying; return v }})
		j := newJob()
		first := w.call(g, t.Context(), "key", j)
		second := w.call(g, t.Context(), "key", newJob())
		waiter := byWait(g, t.Context())
		j.returns(7)
		waiter.waits(t)
		close(copying)
		synctest.Wait()
		waiter.got(t, idle)
		first.got(t, answer{Val: 7, Shared: true, Leader: true})
		second.got(t, answer{Val: 7, Shared: true})
	})
}

func TestWaitThatBeginsWhileResultsAreSent(t *testing.T) {
	// Clause 19: a flight whose Results aren't all sent hasn't landed. Clause 21: nor do Stats and InFlight lose it before;
	// its key has left the table.
	eachWay(t, []way{byDoChan, byDoChanContext}, func(t *testing.T, w way) {
		copying := make(chan bool)
		g := singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int { <-copying; return v }})
		for _, stays := range []bool{true, false} {
			j := newJob()
			first := w.call(g, t.Context(), "key", j)
			ctx, cancel := context.WithCancel(t.Context())
			second := byDoChanContext.call(g, ctx, "key", newJob())
			if !stays { // a shared result for the leader alone
				cancel()
				synctest.Wait()
				second.got(t, answer{Err: context.Canceled})
			}
			j.returns(7)
			first.waits(t)
			if n, m := len(g.InFlight()), g.Stats().InFlight; n != 1 || m != 1 {
				t.Errorf("%d flights are listed and %d counted while their Results are being sent, want 1 and 1", n, m)
			}
			alone(t, g, "key")
			waiter := byWait(g, t.Context())
			waiter.waits(t)
			copying <- true
			if stays {
				waiter.waits(t)
				copying <- true
			}
			synctest.Wait()
			waiter.got(t, idle)
			first.got(t, answer{Val: 7, Shared: true, Leader: true})
			cancel()
		}
	})
}

func TestWaitForTheLastOfManyWhoseResultsAreSent(t *testing.T) {
	// Clause 19: those that are done don't hide the others, in whatever order they are done. The keys are so many that
	// no part of the group's table has only one.
	const keys = 1000
	for round := range 4 {
		synctest.Test(t, func(t *testing.T) {
			order := rand.New(rand.NewPCG(1, uint64(round))).Perm(keys)
			called := make(chan bool)
			copying := make([]chan bool, keys)
			g := singleflight.New(singleflight.Options[int, int]{Clone: func(v int) int { <-copying[v]; return v }})
			for key := range keys {
				copying[key] = make(chan bool)
				for range 2 {
					g.DoChan(key, func() (int, error) { <-called; return key, nil })
				}
			}
			close(called)
			synctest.Wait()
			for _, key := range order[:keys-1] {
				close(copying[key])
				synctest.Wait()
			}
			waited := false
			go func() {
				g.Wait(t.Context())
				waited = true
			}()
			synctest.Wait()
			if waited {
				t.Errorf("round %d: Wait returned before all Results were sent", round)
			}
			close(copying[order[keys-1]])
			synctest.Wait()
			if !waited {
				t.Errorf("round %d: Wait doesn't return", round)
			}
		})
	}
}

func TestWaitFindsResultsInTheirChannels(t *testing.T) {
	// Clause 19: when Wait returns, the Results can be received without waiting.
	var g group
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	for range rounds {
		ch1 := g.DoChan("key", constant(1))
		ch2 := g.DoChanContext(t.Context(), "key", taking(constant(1)))
		if err := g.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(ch1) != 1 || len(ch2) != 1 {
			t.Fatalf("the channels hold %d and %d results, want 1 and 1", len(ch1), len(ch2))
		}
	}
}

func TestWaitFindsTheOnlyResultInItsChannel(t *testing.T) {
	// Clause 19: the same for a channel caller that nobody joins, with Wait coming at all times around the landing.
	var g group
	rounds := 300_000
	if testing.Short() || raceEnabled {
		rounds = 50_000
	}
	var ran atomic.Bool
	for _, w := range []way{byDoChan, byDoChanContext} {
		for round := range rounds {
			ran.Store(false)
			ch := open(w, &g, t.Context(), "key", func() (int, error) { ran.Store(true); return 1, nil })
			for !ran.Load() {
				runtime.Gosched()
			}
			for range round % 128 {
				ran.Load()
			}
			if err := g.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			if len(ch) != 1 {
				t.Fatalf("%s: Wait returned before the Result was sent", w.name)
			}
		}
	}
}

func TestWaitFindsResultsOfCallersThatDetach(t *testing.T) {
	// Clauses 14 and 19: the same for callers whose context ends as the flight lands.
	rounds := 500
	if testing.Short() {
		rounds = 100
	}
	for range rounds {
		var g group
		ctx, cancel := context.WithCancel(t.Context())
		end := make(chan bool)
		g.DoChan("key", func() (int, error) { <-end; return 1, nil })
		channels := make([]<-chan singleflight.Result[int], 50)
		for i := range channels {
			channels[i] = g.DoChanContext(ctx, "key", nil)
		}
		go cancel()
		for g.Stats().Detached < 10 { // the others are on their way
			runtime.Gosched()
		}
		close(end)
		if err := g.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, ch := range channels {
			if len(ch) != 1 {
				t.Fatalf("a channel holds %d results, want 1", len(ch))
			}
		}
	}
}

func TestWaitForAbandonedFlight(t *testing.T) {
	// Clause 19: abandoned and cancelled ones included.
	for _, cancelAbandoned := range []bool{false, true} {
		t.Run(fmt.Sprintf("CancelAbandoned=%v", cancelAbandoned), func(t *testing.T) {
			eachWay(t, detaching, func(t *testing.T, w way) {
				g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: cancelAbandoned})
				j := newJob()
				ctx, cancel := context.WithCancel(t.Context())
				c := w.call(g, ctx, "key", j)
				before := byWait(g, t.Context()) // while it had a caller
				cancel()
				synctest.Wait()
				c.got(t, canceled)
				after := byWait(g, t.Context())
				before.waits(t)
				after.waits(t)
				j.returns(7)
				before.got(t, idle)
				after.got(t, idle)
			})
		})
	}
}

func TestWaitForForgottenFlight(t *testing.T) {
	// Clauses 9 and 19: forgotten ones included, and the new ones beside them.
	eachPair(t, ways, ways, func(t *testing.T, old, new way) {
		var g group
		j1, j2 := newJob(), newJob()
		old.call(&g, t.Context(), "key", j1)
		before := byWait(&g, t.Context())
		g.Forget("key")
		only := byWait(&g, t.Context())
		new.call(&g, t.Context(), "key", j2)
		both := byWait(&g, t.Context())
		j2.returns(2)
		before.waits(t)
		only.waits(t)
		both.waits(t)
		j1.returns(1)
		before.got(t, idle)
		only.got(t, idle)
		both.got(t, idle)
	})
}

func TestWaitForSuccessor(t *testing.T) {
	// Clause 19: waiting ones included, also if they were forgotten.
	for _, forgotten := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgotten=%v", forgotten), func(t *testing.T) {
			eachWay(t, ways, func(t *testing.T, leads way) {
				g := cancelling()
				before := abandoned(t, g, "key")
				j := newJob()
				c := leads.call(g, t.Context(), "key", j)
				if forgotten {
					g.Forget("key")
				}
				w := byWait(g, t.Context())
				before.returns(7)
				w.waits(t)
				running := byWait(g, t.Context())
				j.returns(8)
				c.got(t, answer{Val: 8, Leader: true})
				w.got(t, idle)
				running.got(t, idle)
			})
		})
	}
}

func TestWaitForDroppedSuccessor(t *testing.T) {
	// Clause 19: a dropped one counts as landed, but the cancelled flight doesn't.
	eachWay(t, detaching, func(t *testing.T, leads way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		ctx, cancel := context.WithCancel(t.Context())
		c := leads.call(g, ctx, "key", newJob())
		w := byWait(g, t.Context())
		cancel()
		synctest.Wait()
		c.got(t, canceled)
		w.waits(t)
		before.returns(7)
		w.got(t, idle)
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	// Clause 19: it returns ctx.Err() if ctx ends first. It cancels nothing and changes nothing for the flights.
	eachWay(t, bound, func(t *testing.T, w way) {
		g := cancelling()
		j := newJob()
		c := w.call(g, t.Context(), "key", j)
		timeout, cancelTimeout := context.WithTimeoutCause(t.Context(), time.Second, errFlight)
		defer cancelTimeout()
		expires := byWait(g, timeout)
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := byWait(g, ctx)
		foreign := newForeignContext(t.Context())
		third := byWait(g, foreign)
		sleep(time.Second - 1)
		expires.waits(t)
		sleep(1)
		expires.got(t, late)
		ends.waits(t)
		cancel(errFlight)
		foreign.end(context.Canceled)
		synctest.Wait()
		ends.got(t, canceled)
		third.got(t, canceled)
		inState(t, "the flight's context", j.ctx, nil)
		if !g.ForgetUnshared("key") {
			t.Error("ForgetUnshared counts Wait as a caller")
		}
		j.returns(7)
		c.got(t, answer{Val: 7, Leader: true})
	})
}

// A landingContext makes a flight land when it is asked for Done, and is done
// then.
type landingContext struct {
	context.Context
	land func()
	err  error
}

func (c *landingContext) Done() <-chan struct{} {
	c.land()
	c.err = context.Canceled
	done := make(chan struct{})
	close(done)
	return done
}

func (c *landingContext) Err() error { return c.err }

func TestWaitSeesALandingBesideTheEndOfItsContext(t *testing.T) {
	// Clause 19: it returns ctx.Err() only if ctx ends before the flights have landed.
	for range 50 { // of two channels that are ready a select takes any
		synctest.Test(t, func(t *testing.T) {
			var g group
			end := make(chan bool)
			g.DoChan("key", func() (int, error) { <-end; return 1, nil })
			ctx := &landingContext{Context: t.Context(), land: func() { close(end); synctest.Wait() }}
			if err := g.Wait(ctx); err != nil {
				t.Errorf("Wait returned %v", err)
			}
		})
	}
}

func TestWaitKeepsNoFlight(t *testing.T) {
	// Clause 19: it changes nothing for the flights: one that only Wait waits for is abandoned, and cancelled if the
	// options say so, and a waiting one is dropped.
	eachWay(t, detaching, func(t *testing.T, w way) {
		g := cancelling()
		j := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		w.call(g, ctx, "key", j)
		waiter := byWait(g, t.Context())
		cancel()
		synctest.Wait()
		inState(t, "the abandoned flight's context", j.ctx, singleflight.ErrAbandoned)
		ctx, cancel = context.WithCancel(t.Context())
		dropped := newJob()
		w.call(g, ctx, "key", dropped)
		waiter2 := byWait(g, t.Context())
		cancel()
		synctest.Wait()
		j.returns(7)
		waiter.got(t, idle)
		waiter2.got(t, idle)
		if dropped.ran() != 0 {
			t.Error("a successor that only Wait waited for ran")
		}
	})
}

func TestWaitFromInsideAFlightIsRefused(t *testing.T) {
	// Clause 19: ErrDeadlock when called from a flight (by its context, as in 18) that it would wait for.
	for _, c := range contexts {
		t.Run(c.name, func(t *testing.T) {
			eachWay(t, bound, func(t *testing.T, w way) {
				g := cancelling()
				j := newJob()
				leader := w.call(g, t.Context(), "key", j)
				byWait(g, c.derive(j.ctx)).got(t, refused)
				g.Forget("key")
				byWait(g, c.derive(j.ctx)).got(t, refused)
				j.returns(7)
				leader.got(t, answer{Val: 7, Leader: true})
				// It has landed: the call belongs to it, but it waits for nobody.
				other := newJob()
				w.call(g, t.Context(), "key", other)
				late := byWait(g, c.derive(context.WithoutCancel(j.ctx)))
				late.waits(t)
				other.returns(8)
				late.got(t, idle)
				// A cancelled one, and one inside it.
				j = abandoned(t, g, "key")
				byWait(g, c.derive(context.WithoutCancel(j.ctx))).got(t, refused)
				j.returns(9)
			})
		})
	}
}

func TestWaitFromInsideThatIsNotSeenEndsWithItsContext(t *testing.T) {
	// Clause 19: Wait knows by its context where it is called from. With another one it waits for the flight that it
	// is called from, until that context ends; the flight goes on.
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		j := newJob()
		c := w.call(&g, t.Context(), "key", j)
		j.lands(func() (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := g.Wait(ctx); err != context.DeadlineExceeded {
				t.Errorf("Wait returned %v, want context.DeadlineExceeded", err)
			}
			return 7, nil
		})
		c.waits(t)
		sleep(time.Second)
		c.got(t, answer{Val: 7, Leader: true})
	})
}

func TestWaitFromInsideForAnotherGroup(t *testing.T) {
	// Clause 19: a function may wait for a group that nothing of its own waits in, over any of the ways.
	eachPair(t, bound, ways, func(t *testing.T, w, theirs way) {
		var g, other group
		nested, j := newJob(), newJob()
		theirs.call(&other, t.Context(), "key", nested)
		c := w.call(&g, t.Context(), "key", j)
		j.lands(func() (int, error) {
			if err := other.Wait(j.ctx); err != nil {
				t.Errorf("Wait returned %v", err)
			}
			return 7, nil
		})
		c.waits(t)
		nested.returns(1)
		c.got(t, answer{Val: 7, Leader: true})
	})
}

func TestWaitThatAFlightOfTheGroupWaitsForIsRefused(t *testing.T) {
	// Clause 19: and ErrDeadlock when called from a flight that one of those that it would wait for waits for: by a
	// joiner, by a leader, over several flights of other groups, and through successors.
	eachPair(t, bound, bound, func(t *testing.T, w, w2 way) {
		var g, other, third group
		f, h := newJob(), newJob()
		w.call(&g, t.Context(), "f", f)
		w.call(&other, t.Context(), "h", h)
		// Nobody waits for h yet.
		early, cancelEarly := context.WithCancel(h.ctx)
		waiter := byWait(&g, early)
		waiter.waits(t)
		cancelEarly()
		synctest.Wait()
		waiter.got(t, canceled)

		ctx, cancel := context.WithCancel(f.ctx)
		joiner := byDoChanContext.call(&other, ctx, "h", newJob()) // f waits for h
		byWait(&g, h.ctx).got(t, refused)
		byWait(&third, h.ctx).got(t, idle)
		byWait(&other, f.ctx).waits(t) // nothing of other waits for f
		cancel()
		synctest.Wait()
		joiner.got(t, canceled)
		waiter = byWait(&g, h.ctx) // f waits no more
		waiter.waits(t)

		// Over several, led by f.
		i, k := newJob(), newJob()
		w2.call(&third, f.ctx, "i", i)
		w2.call(&other, i.ctx, "k", k)
		byWait(&g, k.ctx).got(t, refused)
		byWait(&third, k.ctx).got(t, refused)
		byWait(&other, k.ctx).got(t, refused)
		k.returns(1)
		i.returns(2)
		f.returns(3)
		waiter.got(t, idle)
		h.returns(4)
	})
}

func TestWaitInCancelledFlightThatSuccessorWaitsFor(t *testing.T) {
	// Clauses 18 and 19: a successor waits for the cancelled flight, and so does who waits for the successor.
	eachPair(t, bound, bound, func(t *testing.T, leads, w way) {
		g := cancelling()
		var other group
		before := abandoned(t, g, "key")
		uncancelled := context.WithoutCancel(before.ctx)
		h := newJob()
		w.call(&other, t.Context(), "h", h)
		ctx, cancel := context.WithCancel(t.Context())
		waiter := byWait(&other, valuesOf(ctx, uncancelled))
		waiter.waits(t) // for h, which waits for nobody yet
		cancel()
		synctest.Wait()
		waiter.got(t, canceled)
		s := newJob()
		leads.call(g, h.ctx, "key", s) // h waits for the successor, which waits for before
		byWait(&other, uncancelled).got(t, refused)
		before.returns(7)
		waiter = byWait(&other, uncancelled)
		waiter.waits(t) // before has landed
		s.returns(8)
		h.returns(9)
		waiter.got(t, idle)
	})
}

// valuesOf returns ctx with the values of another context.
func valuesOf(ctx, values context.Context) context.Context { return valuesContext{ctx, values} }

type valuesContext struct {
	context.Context
	values context.Context
}

func (c valuesContext) Value(key any) any { return c.values.Value(key) }

func TestWaitDoesNotBlockCalls(t *testing.T) {
	// Clause 19: Wait changes nothing: calls come and go meanwhile.
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		j := newJob()
		leader := w.call(&g, t.Context(), "stuck", j)
		waiter := byWait(&g, t.Context())
		for range 3 {
			alone(t, &g, "key")
			j := newJob()
			c := w.call(&g, t.Context(), "key", j)
			j.returns(1)
			c.got(t, answer{Val: 1, Leader: true})
		}
		waiter.waits(t)
		j.returns(7)
		leader.got(t, answer{Val: 7, Leader: true})
		waiter.got(t, idle)
	})
}

func TestPollingWaitTakesNoMemory(t *testing.T) {
	// Clause 19: a service that polls Wait with short contexts while a flight is stuck keeps nothing of the polls.
	synctest.Test(t, func(t *testing.T) {
		g := cancelling()
		jobs := []*job{newJob(), newJob()}
		byDo.call(g, nil, "do", jobs[0])
		byDoContext.call(g, t.Context(), "context", jobs[1])
		jobs = append(jobs, abandoned(t, g, "abandoned"))
		poll := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := g.Wait(ctx); err != context.DeadlineExceeded {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
		}
		poll()
		goroutines, before := bubbleGoroutines(), heap()
		for range 5000 {
			poll()
		}
		if grown := heap() - before; grown > 64<<10 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		if n := bubbleGoroutines() - goroutines; n != 0 {
			t.Errorf("%d goroutines were added", n)
		}
		for _, j := range jobs {
			j.returns(7)
		}
		runtime.KeepAlive(g)
	})
}

func TestWaitSpendsNoGoroutine(t *testing.T) {
	// Clauses 19 and 26: Wait waits on its caller's goroutine alone.
	synctest.Test(t, func(t *testing.T) {
		var g group
		j := newJob()
		byDoChan.call(&g, nil, "key", j)
		before := bubbleGoroutines()
		byWait(&g, t.Context())
		byWait(&g, newForeignContext(t.Context()))
		if n := bubbleGoroutines() - before; n != 2 {
			t.Errorf("%d goroutines, want those of 2 callers of Wait", n)
		}
		j.returns(7)
		if n := bubbleGoroutines() - before; n != -1 {
			t.Errorf("%d goroutines after the landing, want one less than before", n)
		}
	})
}

func TestWaitOnShutdown(t *testing.T) {
	// Clause 19: after its last call, a service closes what its functions use when Wait has returned.
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for range rounds {
		g := cancelling()
		open := true // no lock: what Wait's return is ordered after
		fn := func() (int, error) {
			runtime.Gosched()
			if !open {
				return 0, errors.New("closed")
			}
			return 1, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var failures atomic.Int32
		for i := range 4 {
			wg.Go(func() {
				for k := range 4 {
					key := fmt.Sprint(k)
					var err error
					switch i {
					case 0:
						_, err, _ = g.Do(key, fn)
					case 1:
						_, err, _ = g.DoContext(ctx, key, taking(fn))
					case 2:
						g.DoChanContext(ctx, key, taking(fn))
					case 3:
						g.DoChan(key, fn)
						g.Forget(key)
					}
					if err != nil && err != context.Canceled {
						failures.Add(1)
					}
				}
			})
		}
		wg.Go(cancel)
		wg.Wait()
		if err := g.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		open = false
		if n := failures.Load(); n != 0 {
			t.Fatalf("%d functions found it closed", n)
		}
		if n := g.Stats().InFlight; n != 0 {
			t.Fatalf("%d flights are left", n)
		}
	}
}
