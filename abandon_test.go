package singleflight_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

func cancelling(options ...func(*singleflight.Options[string, int])) *group {
	opts := singleflight.Options[string, int]{CancelAbandoned: true}
	for _, set := range options {
		set(&opts)
	}
	return singleflight.New(opts)
}

func recovering(opts *singleflight.Options[string, int]) { opts.Recover = true }

// abandoned makes a flight whose only caller has detached, and returns its job.
func abandoned(t *testing.T, g *group, key string) *job {
	t.Helper()
	j := newJob()
	ctx, cancel := context.WithCancel(t.Context())
	c := byDoContext.call(g, ctx, key, j)
	cancel()
	synctest.Wait()
	c.got(t, canceled)
	return j
}

func TestAbandonedFlightGoesOnAndIsJoined(t *testing.T) {
	// Clause 16: an abandoned flight goes on, and a later caller joins it.
	eachPair(t, detaching, ways, func(t *testing.T, leads, joins way) {
		var g group
		j, unused := newJob(), newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leader := leads.call(&g, ctx, "key", j)
		other := byDoContext.call(&g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		leader.got(t, canceled)
		other.got(t, canceled)
		if err := j.ctx.Err(); err != nil {
			t.Errorf("the flight's context: %v", err)
		}
		later := joins.call(&g, t.Context(), "key", unused)
		later.waits(t)
		j.returns(7)
		later.got(t, answer{Val: 7, Shared: true})
		if unused.ran() != 0 {
			t.Error("the later caller's function ran")
		}
	})
}

func TestCancelAbandonedCancelsWhenLastCallerDetaches(t *testing.T) {
	// Clause 16: with CancelAbandoned its context is cancelled, when the last caller has detached and not before.
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		for _, leaderFirst := range []bool{true, false} {
			g := cancelling()
			j := newJob()
			ctx1, cancel1 := context.WithCancel(t.Context())
			ctx2, cancel2 := context.WithCancel(t.Context())
			leader := leads.call(g, ctx1, "key", j)
			joiner := joins.call(g, ctx2, "key", newJob())
			if !leaderFirst {
				leader, joiner, cancel1, cancel2 = joiner, leader, cancel2, cancel1
			}
			cancel1()
			synctest.Wait()
			leader.got(t, canceled)
			if err := j.ctx.Err(); err != nil {
				t.Errorf("the flight's context while it has a caller: %v", err)
			}
			cancel2()
			synctest.Wait()
			joiner.got(t, canceled)
			if err := j.ctx.Err(); err != context.Canceled {
				t.Errorf("the abandoned flight's context: %v", err)
			}
			if err := context.Cause(j.ctx); err != singleflight.ErrAbandoned {
				t.Errorf("the abandoned flight's cause: %v", err)
			}
			select {
			case <-j.ctx.Done():
			default:
				t.Error("the abandoned flight's context isn't done")
			}
			j.returns(7)
		}
	})
}

func TestCancelAbandonedBeforeTheFunctionStarts(t *testing.T) {
	// Clause 16: a flight that is abandoned before its goroutine has come to run finds its context cancelled.
	for range 200 {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true, FlightTimeout: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 1)
		ch := g.DoChanContext(ctx, "key", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			errs <- context.Cause(ctx)
			return 0, nil
		})
		cancel()
		<-ch
		if err := <-errs; err != singleflight.ErrAbandoned {
			t.Fatalf("got %v, want ErrAbandoned", err)
		}
	}
}

func TestFlightWithLastingCallerIsNeverAbandoned(t *testing.T) {
	// Clause 16: a flight that a Do or DoChan caller led or joined is never abandoned. Nor is one with a caller whose
	// context can't end.
	lasting := []way{byDo, byDoChan, byEndlessDoContext, byEndlessDoChanContext}
	for _, lastingLeads := range []bool{true, false} {
		t.Run(fmt.Sprintf("lasting leads=%v", lastingLeads), func(t *testing.T) {
			eachPair(t, lasting, detaching, func(t *testing.T, lasts, leaves way) {
				g := cancelling()
				j := newJob()
				ctx, cancel := context.WithCancel(t.Context())
				var stayer, leaver caller
				if lastingLeads {
					stayer = lasts.call(g, t.Context(), "key", j)
					leaver = leaves.call(g, ctx, "key", newJob())
				} else {
					leaver = leaves.call(g, ctx, "key", j)
					stayer = lasts.call(g, t.Context(), "key", newJob())
				}
				third := byDoContext.call(g, ctx, "key", newJob())
				cancel()
				synctest.Wait()
				leaver.got(t, canceled)
				third.got(t, canceled)
				if j.ctx != nil && j.ctx.Err() != nil {
					t.Errorf("the flight's context: %v", j.ctx.Err())
				}
				later := byDoContext.call(g, t.Context(), "key", newJob())
				later.waits(t)
				j.returns(7)
				stayer.got(t, answer{Val: 7, Shared: true, Leader: lastingLeads})
				later.got(t, answer{Val: 7, Shared: true})
			})
		})
	}
}

func TestSuccessorRunsWhenCancelledFlightHasLanded(t *testing.T) {
	// Clause 16: a cancelled flight is joined by nobody any more, and its outcome, even a good one, goes to nobody.
	// The next call, through any entry point, leads a successor, which later calls join; it runs as soon as the
	// cancelled flight has landed, however that ends, so clause 1 holds.
	for _, end := range endings {
		t.Run(end.name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				g := cancelling(recovering)
				before := abandoned(t, g, "key")
				j, unused := newJob(), newJob()
				leader := leads.call(g, t.Context(), "key", j)
				joiner := joins.call(g, t.Context(), "key", unused)
				third := byDoChanContext.call(g, t.Context(), "key", unused)
				sleep(time.Hour)
				if j.ran() != 0 {
					t.Fatal("two flights of one key run at a time")
				}
				end.of(before)
				if j.ran() != 1 {
					t.Fatal("the successor does not run although the cancelled flight has landed")
				}
				leader.waits(t)
				joiner.waits(t)
				fourth := byDoContext.call(g, t.Context(), "key", unused) // joins it while it runs
				j.returns(8)
				leader.got(t, answer{Val: 8, Shared: true, Leader: true})
				for _, c := range []caller{joiner, third, fourth} {
					c.got(t, answer{Val: 8, Shared: true})
				}
				if unused.ran() != 0 {
					t.Error("a joiner's function ran")
				}
				// The key has left the table.
				j = newJob()
				c := leads.call(g, t.Context(), "key", j)
				j.returns(9)
				c.got(t, answer{Val: 9, Leader: true})
			})
		})
	}
}

func TestSuccessorNobodyJoinedIsUnshared(t *testing.T) {
	// Clauses 3 and 16: the cancelled flight's callers aren't the successor's.
	eachWay(t, ways, func(t *testing.T, w way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		j := newJob()
		c := w.call(g, t.Context(), "key", j)
		before.returns(7)
		j.returns(8)
		c.got(t, answer{Val: 8, Leader: true})
	})
}

func TestSuccessorEndsLikeAnyFlight(t *testing.T) {
	// Clauses 6-8 and 16: how a successor's function ends is handed to its callers as by any flight.
	for _, end := range endings {
		t.Run(end.name, func(t *testing.T) {
			eachWay(t, ways, func(t *testing.T, w way) {
				g := cancelling(recovering)
				before := abandoned(t, g, "key")
				j := newJob()
				c := w.call(g, t.Context(), "key", j)
				before.returns(7)
				end.of(j)
				a, ok := c.poll()
				if !ok {
					t.Fatal("the leader still waits")
				}
				want, end := w.outcome(end.name), describe(a)
				if end != want {
					t.Errorf("the leader got %v, want %v", end, want)
				}
			})
		})
	}
}

// describe puts an answer into words, so that those with a panic compare.
func describe(a answer) string {
	var p *singleflight.PanicError
	switch {
	case a.Exited:
		return "exit"
	case a.Panic != nil:
		p, _ = a.Panic.(*singleflight.PanicError)
		return fmt.Sprintf("panic %v", p.Value)
	case a.Err == singleflight.ErrGoexit:
		return "ErrGoexit"
	case a.Err != nil:
		p, _ = a.Err.(*singleflight.PanicError)
		if p != nil {
			return fmt.Sprintf("PanicError %v", p.Value)
		}
		return a.Err.Error()
	default:
		return fmt.Sprint(a.Val)
	}
}

// outcome says what a leader with Recover gets when its function ends in one
// of the endings.
func (w way) outcome(end string) string {
	switch end {
	case "value":
		return "7"
	case "error":
		return errFlight.Error()
	case "panic":
		return "PanicError boom"
	case "Goexit":
		if w.here {
			return "exit"
		}
		return "ErrGoexit"
	default:
		if w.here {
			return "exit" // Goexit can't be stopped
		}
		return "PanicError boom"
	}
}

func TestPanicOfCancelledFlightCrashes(t *testing.T) {
	// Clauses 6 and 16: a panic of a cancelled flight could not be delivered, successor or not.
	for _, successor := range []bool{false, true} {
		t.Run(fmt.Sprintf("successor=%v", successor), func(t *testing.T) {
			output, crashed := inChild(t, func() {
				g := cancelling()
				end := make(chan bool)
				ctx, cancel := context.WithCancel(context.Background())
				cancelled := g.DoChanContext(ctx, "key", func(context.Context) (int, error) { <-end; panic("boom") })
				cancel()
				<-cancelled
				if successor {
					g.DoChan("key", func() (int, error) { return 1, nil })
				}
				close(end)
				select {}
			})
			if !crashed || !strings.Contains(output, "boom") {
				t.Errorf("crashed: %v, want it to with boom; output:\n%s", crashed, output)
			}
		})
	}
}

func TestLeaderOfSuccessorRunsItsFunctionItself(t *testing.T) {
	// Clauses 4, 13 and 16: Do, and DoContext with a context that can't end, run fn on their own goroutine after
	// waiting, too.
	synctest.Test(t, func(t *testing.T) {
		g := cancelling()
		leads := map[string]func(fn func() string) (on string){
			"Do": func(fn func() string) (on string) {
				g.Do("key", func() (int, error) { on = fn(); return 0, nil })
				return on
			},
			"DoContext": func(fn func() string) (on string) {
				g.DoContext(context.Background(), "key", func(context.Context) (int, error) { on = fn(); return 0, nil })
				return on
			},
		}
		for name, lead := range leads {
			before := abandoned(t, g, "key")
			go func() {
				if on := lead(goroutine); on != goroutine() {
					t.Errorf("%s: fn doesn't run on the caller's goroutine", name)
				}
			}()
			synctest.Wait()
			before.returns(7)
		}
	})
}

func TestSuccessorSeesWhatCancelledFlightDid(t *testing.T) {
	// Clauses 5 and 16: everything fn did happens before a later flight of the same key runs.
	for name, next := range map[string]func(g *group, fn func() (int, error)) int{
		"Do":     func(g *group, fn func() (int, error)) int { v, _, _ := g.Do("key", fn); return v },
		"DoChan": func(g *group, fn func() (int, error)) int { return (<-g.DoChan("key", fn)).Val },
	} {
		t.Run(name, func(t *testing.T) {
			g := cancelling()
			for range 200 {
				n := 0 // no lock but the group's
				ctx, cancel := context.WithCancel(t.Context())
				ch := g.DoChanContext(ctx, "key", func(ctx context.Context) (int, error) { <-ctx.Done(); n++; return 0, nil })
				cancel()
				<-ch
				if v := next(g, func() (int, error) { n++; return n, nil }); v != 2 {
					t.Fatalf("got %d, want 2", v)
				}
			}
		})
	}
}

func TestCallersDetachFromSuccessor(t *testing.T) {
	// Clauses 13 and 16: a caller may detach from a successor while that waits; the others notice nothing.
	eachPair(t, detaching, ways, func(t *testing.T, leads, joins way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		j := newJob()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey("k"), "leader's"))
		leader := leads.call(g, ctx, "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		ctx3, cancel3 := context.WithTimeout(t.Context(), time.Second)
		defer cancel3()
		third := byDoContext.call(g, ctx3, "key", newJob())
		sleep(time.Second)
		third.got(t, late)
		cancel()
		synctest.Wait()
		leader.got(t, canceled)
		joiner.waits(t)
		before.returns(7)
		if j.ran() != 1 {
			t.Fatal("the successor does not run the function of its leader that has detached")
		}
		if v := j.ctx.Value(contextKey("k")); v != "leader's" {
			t.Errorf("the successor's context has value %v", v)
		}
		if err := j.ctx.Err(); err != nil {
			t.Errorf("the successor's context: %v", err)
		}
		j.returns(8)
		joiner.got(t, answer{Val: 8, Shared: true})
	})
}

func TestJoinersDetachFromSuccessorOfLastingLeader(t *testing.T) {
	// Clause 16: a successor that Do or DoChan leads is never dropped.
	eachPair(t, ways, detaching, func(t *testing.T, leads, joins way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		ctx, cancel := context.WithCancel(t.Context())
		joiner := joins.call(g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		joiner.got(t, canceled)
		leader.waits(t)
		before.returns(7)
		j.returns(8)
		leader.got(t, answer{Val: 8, Shared: true, Leader: true})
	})
}

func TestDroppedSuccessorNeverRuns(t *testing.T) {
	// Clause 16: a successor that all its callers have left is dropped: its function never runs, and the next call
	// leads another one.
	eachPair(t, detaching, ways, func(t *testing.T, drops, leads way) {
		g := cancelling()
		goroutines := bubbleGoroutines()
		before := abandoned(t, g, "key")
		dropped := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leader := drops.call(g, ctx, "key", dropped)
		joiner := byDoChanContext.call(g, ctx, "key", dropped)
		cancel()
		synctest.Wait()
		leader.got(t, canceled)
		joiner.got(t, canceled)
		if n := bubbleGoroutines() - goroutines; n != 1 {
			t.Errorf("%d goroutines, want the cancelled flight's", n)
		}
		if !g.ForgetUnshared("no such key") {
			t.Error("the group is confused")
		}
		j := newJob()
		next := leads.call(g, t.Context(), "key", j)
		joiner = byDoContext.call(g, t.Context(), "key", newJob())
		if j.ran() != 0 {
			t.Fatal("two flights of one key run at a time")
		}
		before.returns(7)
		j.returns(8)
		next.got(t, answer{Val: 8, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 8, Shared: true})
		if dropped.ran() != 0 {
			t.Error("a dropped successor's function ran")
		}
	})
}

func TestDroppedSuccessorLeavesKeyFree(t *testing.T) {
	// Clause 16: dropped, it leaves nothing behind: the landing of the cancelled flight frees the key.
	eachPair(t, detaching, ways, func(t *testing.T, drops, leads way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		ctx, cancel := context.WithCancel(t.Context())
		leader := drops.call(g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		leader.got(t, canceled)
		before.returns(7)
		j := newJob()
		next := leads.call(g, t.Context(), "key", j)
		if j.ran() != 1 {
			t.Fatal("the next call waits for a successor that was dropped")
		}
		j.returns(8)
		next.got(t, answer{Val: 8, Leader: true})
	})
}

func TestSuccessorsInAChain(t *testing.T) {
	// Clause 16: a successor that runs and is abandoned is cancelled, and has a successor itself.
	eachPair(t, detaching, ways, func(t *testing.T, leads, last way) {
		g := cancelling()
		running := abandoned(t, g, "key")
		for range 5 {
			j := newJob()
			ctx, cancel := context.WithCancel(t.Context())
			leader := leads.call(g, ctx, "key", j)
			running.returns(7)
			if j.ran() != 1 || j.ctx.Err() != nil {
				t.Fatalf("the successor ran %d times", j.ran())
			}
			cancel()
			synctest.Wait()
			leader.got(t, canceled)
			if err := j.ctx.Err(); err != context.Canceled {
				t.Fatalf("the abandoned successor's context: %v", err)
			}
			running = j
		}
		j := newJob()
		c := last.call(g, t.Context(), "key", j)
		if j.ran() != 0 {
			t.Fatal("two flights of one key run at a time")
		}
		running.returns(7)
		j.returns(8)
		c.got(t, answer{Val: 8, Leader: true})
	})
}

func TestForgetCancelledFlight(t *testing.T) {
	// Clauses 9 and 16: the next call starts a new flight at once, beside the cancelled one.
	for _, forget := range []struct {
		name string
		f    func(g *group) bool
	}{
		{"Forget", func(g *group) bool { g.Forget("key"); return true }},
		{"ForgetUnshared", func(g *group) bool { return g.ForgetUnshared("key") }},
	} {
		t.Run(forget.name, func(t *testing.T) {
			eachWay(t, ways, func(t *testing.T, w way) {
				g := cancelling()
				before := abandoned(t, g, "key")
				if !forget.f(g) {
					t.Error("ForgetUnshared found a flight that a call would join (10)")
				}
				j := newJob()
				c := w.call(g, t.Context(), "key", j)
				if j.ran() != 1 {
					t.Fatal("the next call waits for a forgotten flight")
				}
				before.returns(7)
				c.waits(t)
				joiner := byDoContext.call(g, t.Context(), "key", newJob())
				j.returns(8)
				c.got(t, answer{Val: 8, Shared: true, Leader: true})
				joiner.got(t, answer{Val: 8, Shared: true})
			})
		})
	}
}

func TestForgetCancelledFlightWithSuccessor(t *testing.T) {
	// Clause 9: Forget makes the next call start a new flight at once, beside the old one and, if that was
	// cancelled, beside its successor too. The successor's callers still get its outcome, and its landing leaves the
	// new flight alone.
	eachPair(t, ways, ways, func(t *testing.T, leads, again way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		j, anew := newJob(), newJob()
		leader := leads.call(g, t.Context(), "key", j)
		ctx, cancel := context.WithCancel(t.Context())
		leaver := byDoContext.call(g, ctx, "key", newJob())
		g.Forget("key")
		c := again.call(g, t.Context(), "key", anew)
		if anew.ran() != 1 || j.ran() != 0 {
			t.Fatalf("the new flight ran %d times, the successor %d; want once and not yet", anew.ran(), j.ran())
		}
		before.returns(7)
		if j.ran() != 1 {
			t.Fatal("the forgotten successor does not run")
		}
		cancel()
		synctest.Wait()
		leaver.got(t, canceled)
		joiner := byDoChanContext.call(g, t.Context(), "key", newJob())
		j.returns(8)
		leader.got(t, answer{Val: 8, Shared: true, Leader: true})
		c.waits(t)
		joiner.waits(t)
		joiner2 := byDoContext.call(g, t.Context(), "key", newJob())
		anew.returns(9)
		c.got(t, answer{Val: 9, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 9, Shared: true})
		joiner2.got(t, answer{Val: 9, Shared: true})
	})
}

func TestForgottenSuccessorIsDropped(t *testing.T) {
	// Clauses 9 and 16: a forgotten successor can be left and dropped like any other.
	eachWay(t, detaching, func(t *testing.T, w way) {
		g := cancelling()
		before := abandoned(t, g, "key")
		j, anew := newJob(), newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leader := w.call(g, ctx, "key", j)
		g.Forget("key")
		c := byDoChan.call(g, nil, "key", anew)
		cancel()
		synctest.Wait()
		leader.got(t, canceled)
		before.returns(7)
		if j.ran() != 0 {
			t.Error("a dropped successor's function ran")
		}
		anew.returns(9)
		c.got(t, answer{Val: 9, Leader: true})
	})
}

func TestForgottenFlightIsCancelled(t *testing.T) {
	// Clause 9: a forgotten flight is abandoned and cancelled like any other, and so is a successor that was
	// forgotten before it ran; the new flight notices nothing.
	eachWay(t, detaching, func(t *testing.T, w way) {
		g := cancelling()
		forgotten, anew := newJob(), newJob()
		ctx, cancel := context.WithCancel(t.Context())
		c := w.call(g, ctx, "key", forgotten)
		g.Forget("key")
		next := w.call(g, t.Context(), "key", anew)
		cancel()
		synctest.Wait()
		c.got(t, canceled)
		if err := forgotten.ctx.Err(); err != context.Canceled {
			t.Errorf("the forgotten flight's context: %v", err)
		}
		if err := anew.ctx.Err(); err != nil {
			t.Errorf("the new flight's context: %v", err)
		}
		joiner := w.call(g, t.Context(), "key", newJob())
		forgotten.returns(7)
		anew.returns(8)
		next.got(t, answer{Val: 8, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 8, Shared: true})

		before := abandoned(t, g, "key")
		forgotten, anew = newJob(), newJob()
		ctx, cancel = context.WithCancel(t.Context())
		c = w.call(g, ctx, "key", forgotten)
		g.Forget("key")
		next = w.call(g, t.Context(), "key", anew)
		before.returns(6)
		cancel()
		synctest.Wait()
		c.got(t, canceled)
		if err := forgotten.ctx.Err(); err != context.Canceled {
			t.Errorf("the forgotten successor's context: %v", err)
		}
		forgotten.returns(7)
		anew.returns(8)
		next.got(t, answer{Val: 8, Leader: true})
	})
}

func TestForgetUnsharedLooksAtSuccessor(t *testing.T) {
	// Clause 10: only if the flight that a call would join now has had one caller in its life: of a cancelled flight
	// with a successor, that is the successor.
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := cancelling()
		// The cancelled flight was shared, which doesn't matter.
		before := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		byDoContext.call(g, ctx, "key", before)
		byDoContext.call(g, ctx, "key", before)
		cancel()
		synctest.Wait()

		j, anew := newJob(), newJob()
		leader := leads.call(g, t.Context(), "key", j)
		if !g.ForgetUnshared("key") {
			t.Error("a successor with one caller counts as shared")
		}
		next := joins.call(g, t.Context(), "key", anew)
		if anew.ran() != 1 {
			t.Fatal("the next call waits although the key was forgotten")
		}
		before.returns(7)
		j.returns(8)
		leader.got(t, answer{Val: 8, Leader: true})
		anew.returns(9)
		next.got(t, answer{Val: 9, Leader: true})

		before = abandoned(t, g, "key")
		j = newJob()
		leader = leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		if g.ForgetUnshared("key") {
			t.Error("a successor that was joined counts as unshared")
		}
		third := joins.call(g, t.Context(), "key", newJob())
		before.returns(7)
		j.returns(8)
		for _, c := range []caller{joiner, third} {
			c.got(t, answer{Val: 8, Shared: true})
		}
		leader.got(t, answer{Val: 8, Shared: true, Leader: true})
	})
}

func TestWaitingSuccessorCostsNoGoroutine(t *testing.T) {
	// Clause 16: while it waits it costs no goroutine but those of its blocking callers.
	synctest.Test(t, func(t *testing.T) {
		g := cancelling()
		before := abandoned(t, g, "a")
		before2 := abandoned(t, g, "b")
		before3 := abandoned(t, g, "c")
		goroutines := bubbleGoroutines()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		count := func(what string, want int) {
			t.Helper()
			if n := bubbleGoroutines() - goroutines; n != want {
				t.Errorf("%s: %d goroutines, want %d", what, n, want)
			}
		}
		fn := func(context.Context) (int, error) { return 1, nil }
		var results []<-chan singleflight.Result[int]
		for range 10 {
			results = append(results, g.DoChanContext(ctx, "a", fn))
		}
		count("10 of DoChanContext", 0)
		for range 10 {
			results = append(results, g.DoChan("b", func() (int, error) { return 1, nil }))
		}
		count("10 of DoChan", 0)
		var callers []caller
		for range 10 {
			callers = append(callers, byDoContext.call(g, ctx, "c", newJob()))
		}
		count("10 of DoContext", 10)
		cancel()
		synctest.Wait()
		for _, c := range callers {
			c.got(t, canceled)
		}
		count("none", 0)
		before.returns(7)
		before2.returns(7)
		before3.returns(7)
		count("after the landing", -3)
		for i, ch := range results {
			if r := <-ch; i < 10 && r.Err != context.Canceled || i >= 10 && r.Val != 1 {
				t.Errorf("result %d: %+v", i, r)
			}
		}
	})
}

func TestDroppedSuccessorsLeaveNoMemory(t *testing.T) {
	// Clauses 16 and 24: dropped, a successor leaves nothing behind, also while the cancelled flight is stuck.
	synctest.Test(t, func(t *testing.T) {
		g := cancelling()
		stuck := abandoned(t, g, "key")
		drop := func() {
			ctx, cancel := context.WithCancel(t.Context())
			ch := g.DoChanContext(ctx, "key", stuck.bound)
			cancel()
			<-ch
		}
		drop()
		before := heap()
		for range 5000 {
			drop()
		}
		if grown := heap() - before; grown > 64<<10 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		stuck.returns(7)
		runtime.KeepAlive(g)
	})
}

// heap returns how much memory is in use.
func heap() int {
	var m runtime.MemStats
	synctest.Wait()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestAtMostOneFlightRunsWhateverIsCancelled(t *testing.T) {
	// Clauses 1, 14 and 16: no two functions of one key overlap, and nobody gets a cancelled flight's outcome.
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	g := cancelling()
	var running, flights atomic.Int32
	fn := func() (int, error) {
		if running.Add(1) != 1 {
			t.Error("two functions run at a time")
		}
		runtime.Gosched()
		running.Add(-1)
		return int(flights.Add(1)), nil
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for round := range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				cancelled := false
				bound := func(ctx context.Context) (int, error) {
					v, err := fn()
					if ctx.Err() != nil {
						return -1, err // nobody may get this
					}
					return v, err
				}
				var v int
				var err error
				switch (i + round) % 5 {
				case 0:
					v, err, _ = g.Do("key", fn)
				case 1:
					r := <-g.DoChan("key", fn)
					v, err = r.Val, r.Err
				case 2:
					cancelled = true
					wg.Go(cancel)
					v, err, _ = g.DoContext(ctx, "key", bound)
				case 3:
					cancelled = true
					ch := g.DoChanContext(ctx, "key", bound)
					wg.Go(cancel)
					r := <-ch
					v, err = r.Val, r.Err
				case 4:
					v, err, _ = g.DoContext(ctx, "key", bound)
				}
				cancel()
				if v > 0 && err == nil || cancelled && v == 0 && err == context.Canceled {
					continue
				}
				t.Errorf("got %d, %v", v, err)
			}
		})
	}
	wg.Wait()
	if err := g.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
