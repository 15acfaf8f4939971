package singleflight_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

func timed(d time.Duration) func(*singleflight.Options[string, int]) {
	return func(opts *singleflight.Options[string, int]) { opts.FlightTimeout = d }
}

func isDone(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// inState fails the test unless ctx is live (cause is nil) or has ended by cause,
// with the error that belongs to it.
func inState(t *testing.T, what string, ctx context.Context, cause error) {
	t.Helper()
	if got, want := ctx.Err(), errOf(cause); got != want {
		t.Errorf("%s: Err is %v, want %v", what, got, want)
	}
	if got := context.Cause(ctx); got != cause {
		t.Errorf("%s: Cause is %v, want %v", what, got, cause)
	}
	if got := isDone(ctx); got != (cause != nil) {
		t.Errorf("%s: Done is closed: %v, want %v", what, got, cause != nil)
	}
}

// errOf returns the Err of a flight's context that ended by cause.
func errOf(cause error) error {
	switch cause {
	case singleflight.ErrAbandoned:
		return context.Canceled
	case singleflight.ErrFlightTimeout:
		return context.DeadlineExceeded
	default:
		return cause
	}
}

func TestFlightContextCarriesLeadersValues(t *testing.T) {
	// Clause 15: the context that fn gets carries the leader's values, also after the leader has left, and after the
	// landing.
	eachPair(t, detaching, bound, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey("of"), "leader"))
		leads.call(&g, ctx, "key", j)
		joiner := joins.call(&g, context.WithValue(context.WithValue(t.Context(), contextKey("of"), "joiner"), contextKey("too"), 1), "key", newJob())
		check := func(when string) {
			t.Helper()
			if v := j.ctx.Value(contextKey("of")); v != "leader" {
				t.Errorf("%s: the value is %v, want the leader's", when, v)
			}
			if v := j.ctx.Value(contextKey("too")); v != nil {
				t.Errorf("%s: the joiner's value is there: %v", when, v)
			}
			child := context.WithValue(j.ctx, contextKey("child"), 2)
			if v := child.Value(contextKey("of")); v != "leader" {
				t.Errorf("%s: the child's value is %v, want the leader's", when, v)
			}
			// Keys that can't be compared with others.
			if v := j.ctx.Value(struct{ any }{1}); v != nil {
				t.Errorf("%s: a value for an unknown key: %v", when, v)
			}
		}
		check("running")
		cancel()
		synctest.Wait()
		check("leader left")
		j.returns(7)
		check("landed")
		joiner.got(t, answer{Val: 7, Shared: true})
	})
}

func TestSuccessorContextCarriesItsLeadersValues(t *testing.T) {
	// Clauses 15 and 16: a successor's context has nothing from the cancelled flight.
	eachWay(t, bound, func(t *testing.T, w way) {
		g := cancelling()
		before := newJob()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey("old"), 1))
		w0 := byDoContext.call(g, ctx, "key", before)
		cancel()
		synctest.Wait()
		w0.got(t, canceled)
		j := newJob()
		w.call(g, context.WithValue(t.Context(), contextKey("new"), 2), "key", j)
		before.returns(7)
		if old, new := j.ctx.Value(contextKey("old")), j.ctx.Value(contextKey("new")); old != nil || new != 2 {
			t.Errorf("got values %v and %v, want <nil> and 2", old, new)
		}
		inState(t, "running successor", j.ctx, nil)
		j.returns(8)
		inState(t, "landed successor", j.ctx, context.Canceled)
	})
}

func TestFlightContextIsFreeOfItsCallers(t *testing.T) {
	// Clause 15: no caller's cancellation and no caller's deadline, whether the context is used before the caller
	// leaves or not; and not its cause, which context.Cause would find through the leader's values.
	eachWay(t, detaching, func(t *testing.T, w way) {
		for _, usedBefore := range []bool{true, false} {
			var g group
			j := newJob()
			withCause, cancel := context.WithCancelCause(t.Context())
			ctx, cancelTimeout := context.WithTimeout(withCause, time.Hour)
			defer cancelTimeout()
			leader := w.call(&g, ctx, "key", j)
			if usedBefore {
				inState(t, "before", j.ctx, nil)
			}
			if deadline, ok := j.ctx.Deadline(); ok {
				t.Errorf("the flight has a deadline: %v", deadline)
			}
			cancel(errFlight)
			synctest.Wait()
			leader.got(t, canceled)
			inState(t, "after the leader was cancelled", j.ctx, nil)
			inState(t, "child", context.WithValue(j.ctx, contextKey("k"), 1), nil)
			sleep(2 * time.Hour)
			inState(t, "after the leader's deadline", j.ctx, nil)
			j.returns(7)
			inState(t, "after the landing", j.ctx, context.Canceled)
		}
	})
}

func TestFlightContextIsDoneOnceLanded(t *testing.T) {
	// Clause 15: it is done once the flight has landed, however that ends, for anyone who knows the outcome; used
	// before or not.
	for _, end := range endings {
		t.Run(end.name, func(t *testing.T) {
			eachWay(t, bound, func(t *testing.T, w way) {
				for _, used := range []bool{true, false} {
					g := singleflight.New(singleflight.Options[string, int]{Recover: true})
					j := newJob()
					w.call(g, t.Context(), "key", j)
					if used {
						inState(t, "running", j.ctx, nil)
					}
					end.of(j)
					inState(t, "landed", j.ctx, context.Canceled)
					if deadline, ok := j.ctx.Deadline(); ok {
						t.Errorf("the flight has a deadline: %v", deadline)
					}
				}
			})
		})
	}
}

// many is how many functions wait for a context's end where a test needs that
// they begin while it is still ending.
const many = 20_000

func TestFlightContextEndsWithTheLanding(t *testing.T) {
	// Clauses 14 and 15: not before: who learns from the flight's context that the function has returned can't leave
	// the flight any more.
	synctest.Test(t, func(t *testing.T) {
		var g group
		ctx, cancel := context.WithCancel(t.Context())
		v, err, _ := g.DoContext(ctx, "key", func(ctx context.Context) (int, error) {
			for range many {
				context.AfterFunc(ctx, cancel)
			}
			return 7, nil
		})
		if v != 7 || err != nil {
			t.Errorf("the leader got %v, %v, want 7, nil", v, err)
		}
	})
}

func TestNobodyJoinsAFlightWhoseContextHasEnded(t *testing.T) {
	// Clauses 2 and 15: the key leaves the table as the context ends.
	synctest.Test(t, func(t *testing.T) {
		var g group
		var joined atomic.Int64
		g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
			for range many {
				context.AfterFunc(ctx, func() {
					if v, _, _ := g.Do("key", constant(8)); v == 7 {
						joined.Add(1)
					}
				})
			}
			return 7, nil
		})
		synctest.Wait()
		if n := joined.Load(); n > 0 {
			t.Errorf("%d calls that began after the flight's context had ended joined the flight", n)
		}
	})
}

func TestPanicReachesCallerWhoseContextTheFlightsEnds(t *testing.T) {
	// Clauses 6 and 14: the caller is on the flight when it lands, so nothing crashes.
	output, crashed := inChild(t, func() {
		var g group
		ctx, cancel := context.WithCancel(context.Background())
		value := panicOf(func() {
			g.DoContext(ctx, "key", func(ctx context.Context) (int, error) {
				for range many {
					context.AfterFunc(ctx, cancel)
				}
				panic("boom")
			})
		})
		if p, ok := value.(*singleflight.PanicError); !ok || p.Value != "boom" {
			fmt.Printf("the caller panics with %v", value)
			os.Exit(1)
		}
	})
	if crashed {
		t.Errorf("the process ended with\n%s", output)
	}
}

func TestFlightContextIsDoneBeforeAnyoneReturns(t *testing.T) {
	// Clause 15: done once the flight has landed: whoever returns with the outcome finds it done.
	synctest.Test(t, func(t *testing.T) {
		for _, ctx := range []context.Context{context.Background(), t.Context()} {
			for _, used := range []bool{true, false} {
				var g group
				var kept context.Context
				fn := func(ctx context.Context) (int, error) {
					kept = ctx
					if used {
						ctx.Done()
					}
					return 7, nil
				}
				g.DoContext(ctx, "key", fn)
				inState(t, "DoContext", kept, context.Canceled)
				<-g.DoChanContext(ctx, "key", fn)
				inState(t, "DoChanContext", kept, context.Canceled)
			}
		}
	})
}

func TestErrAndCauseOfFlightContextNeverChange(t *testing.T) {
	// Clause 15: once set, Err and Cause never change: what comes later, of abandonment, timeout and landing, is too
	// late; Done stays the same channel.
	steps := map[string]func(cancel func(), j *job){
		"abandon": func(cancel func(), j *job) { cancel(); synctest.Wait() },
		"expire":  func(cancel func(), j *job) { sleep(time.Hour) },
		"land":    func(cancel func(), j *job) { j.returns(7) },
	}
	for _, test := range []struct {
		order []string
		want  error // the cause
	}{
		{[]string{"abandon", "expire", "land"}, singleflight.ErrAbandoned},
		{[]string{"abandon", "land", "expire"}, singleflight.ErrAbandoned},
		{[]string{"expire", "abandon", "land"}, singleflight.ErrFlightTimeout},
		{[]string{"expire", "land"}, singleflight.ErrFlightTimeout},
		{[]string{"land", "expire"}, context.Canceled},
	} {
		for used := range len(test.order) + 1 {
			t.Run(fmt.Sprint(strings.Join(test.order, "/"), ", used before step ", used), func(t *testing.T) {
				eachWay(t, detaching, func(t *testing.T, w way) {
					g := cancelling(timed(time.Hour))
					j := newJob()
					ctx, cancel := context.WithCancel(t.Context())
					w.call(g, ctx, "key", j)
					var done <-chan struct{}
					for i, step := range test.order {
						if i == used {
							done = j.ctx.Done()
						}
						steps[step](cancel, j)
						if i >= used {
							inState(t, step, j.ctx, test.want)
						}
					}
					inState(t, "at last", j.ctx, test.want)
					if done == nil {
						done = j.ctx.Done()
					}
					if done != j.ctx.Done() {
						t.Error("Done gives another channel")
					}
					cancel()
				})
			})
		}
	}
}

// A use is a way to derive something from a context and to learn whether that
// has ended. It asks what ended it, and cancels what it made.
type use struct {
	name   string
	derive func(ctx context.Context) (child context.Context, cancel func())
}

var uses = []use{
	{"itself", func(ctx context.Context) (context.Context, func()) { return ctx, func() {} }},
	{"WithValue", func(ctx context.Context) (context.Context, func()) {
		return context.WithValue(ctx, contextKey("k"), 1), func() {}
	}},
	{"WithCancel", func(ctx context.Context) (context.Context, func()) { return context.WithCancel(ctx) }},
	{"WithCancelCause", func(ctx context.Context) (context.Context, func()) {
		child, cancel := context.WithCancelCause(ctx)
		return child, func() { cancel(errFlight) }
	}},
	{"WithTimeout", func(ctx context.Context) (context.Context, func()) {
		return context.WithTimeout(ctx, 100*time.Hour)
	}},
	{"WithCancel of WithValue", func(ctx context.Context) (context.Context, func()) {
		return context.WithCancel(context.WithValue(ctx, contextKey("k"), 1))
	}},
	{"WithTimeout of WithCancel of WithValue", func(ctx context.Context) (context.Context, func()) {
		parent, cancelParent := context.WithCancel(context.WithValue(ctx, contextKey("k"), 1))
		child, cancel := context.WithTimeoutCause(parent, 100*time.Hour, errFlight)
		return child, func() { cancel(); cancelParent() }
	}},
	{"AfterFunc", func(ctx context.Context) (context.Context, func()) {
		child, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
		return child, func() { stop(); cancel(nil) }
	}},
	{"AfterFunc of WithCancel of WithValue", func(ctx context.Context) (context.Context, func()) {
		parent, cancelParent := context.WithCancel(context.WithValue(ctx, contextKey("k"), 1))
		child, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		stop := context.AfterFunc(parent, func() { cancel(context.Cause(parent)) })
		return child, func() { stop(); cancelParent(); cancel(nil) }
	}},
}

func TestFlightContextBehavesAsStandardContext(t *testing.T) {
	// Clause 15: context.Cause, WithCancel, WithTimeout, WithValue and AfterFunc on it and on its children behave as
	// on a context of the standard library.
	ends := map[string]func(cancel func(), j *job) error{
		"landing":     func(_ func(), j *job) error { j.returns(7); return context.Canceled },
		"abandonment": func(cancel func(), _ *job) error { cancel(); synctest.Wait(); return singleflight.ErrAbandoned },
		"timeout":     func(func(), *job) error { sleep(time.Hour); return singleflight.ErrFlightTimeout },
	}
	for _, u := range uses {
		for endName, end := range ends {
			t.Run(u.name+"/"+endName, func(t *testing.T) {
				eachWay(t, detaching, func(t *testing.T, w way) {
					g := cancelling(timed(time.Hour))
					j := newJob()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					w.call(g, ctx, "key", j)
					// What is cancelled itself leaves the flight's context alone.
					other, cancelOther := u.derive(j.ctx)
					cancelOther()
					synctest.Wait()
					inState(t, "the flight's context", j.ctx, nil)
					first, cancelFirst := u.derive(j.ctx)
					second, cancelSecond := u.derive(first)
					inState(t, "child", first, nil)
					inState(t, "grandchild", second, nil)
					otherErr, otherCause := other.Err(), context.Cause(other)
					cause := end(cancel, j)
					// As a standard context says it.
					for what, child := range map[string]context.Context{"the flight's context": j.ctx, "child": first} {
						synctest.Wait()
						if !isDone(child) || context.Cause(child) != cause {
							t.Errorf("%s: done: %v, cause: %v; want %v", what, isDone(child), context.Cause(child), cause)
						}
						if strings.Contains(u.name, "AfterFunc") {
							continue // ends with another Err
						}
						if want := errOf(cause); child.Err() != want {
							t.Errorf("%s: Err is %v, want %v", what, child.Err(), want)
						}
					}
					if !isDone(second) {
						t.Error("the grandchild isn't done")
					}
					if u.name != "itself" && u.name != "WithValue" && (other.Err() != otherErr || context.Cause(other) != otherCause) {
						t.Errorf("a cancelled child: %v, %v, then %v, %v", otherErr, otherCause, other.Err(), context.Cause(other))
					}
					// Derived after the end.
					third, cancelThird := u.derive(j.ctx)
					synctest.Wait()
					if !isDone(third) || context.Cause(third) != cause {
						t.Errorf("derived after the end: done: %v, cause: %v; want %v", isDone(third), context.Cause(third), cause)
					}
					cancelFirst()
					cancelSecond()
					cancelThird()
					if endName != "landing" {
						j.returns(7)
					}
				})
			})
		}
	}
}

func TestAfterFuncOnFlightContext(t *testing.T) {
	// Clause 15: AfterFunc runs its function once, after the end, unless it was stopped; stop says which.
	eachWay(t, bound, func(t *testing.T, w way) {
		var g group
		j := newJob()
		w.call(&g, t.Context(), "key", j)
		var ran, stopped int
		stop := context.AfterFunc(j.ctx, func() { ran++ })
		stopStopped := context.AfterFunc(j.ctx, func() { stopped++ })
		synctest.Wait()
		if ran != 0 {
			t.Error("the function ran before the landing")
		}
		if !stopStopped() || stopStopped() {
			t.Error("stop doesn't say that it stopped the function, once")
		}
		j.returns(7)
		if ran != 1 || stopped != 0 {
			t.Errorf("the functions ran %d and %d times, want 1 and 0", ran, stopped)
		}
		if stop() {
			t.Error("stop says it stopped a function that ran")
		}
		context.AfterFunc(j.ctx, func() { ran++ })
		synctest.Wait()
		if ran != 2 {
			t.Error("a function on a context that is done doesn't run")
		}
	})
}

func TestTimeoutsOfFlightContextChildren(t *testing.T) {
	// Clause 15: a child has its own deadline, at most the flight's.
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[string, int]{FlightTimeout: 10 * time.Second})
		j := newJob()
		byDoChanContext.call(g, t.Context(), "key", j)
		start := time.Now()
		short, cancel := context.WithTimeoutCause(context.WithValue(j.ctx, contextKey("k"), 1), time.Second, errFlight)
		defer cancel()
		long, cancel := context.WithTimeout(j.ctx, time.Hour)
		defer cancel()
		if deadline, _ := short.Deadline(); !deadline.Equal(start.Add(time.Second)) {
			t.Errorf("the child's deadline is in %v", deadline.Sub(start))
		}
		if deadline, _ := long.Deadline(); !deadline.Equal(start.Add(10 * time.Second)) {
			t.Errorf("the other child's deadline is in %v, want the flight's", deadline.Sub(start))
		}
		sleep(time.Second)
		if err := short.Err(); err != context.DeadlineExceeded || context.Cause(short) != errFlight {
			t.Errorf("the child: %v, %v", err, context.Cause(short))
		}
		inState(t, "the flight's context", j.ctx, nil)
		sleep(9 * time.Second)
		inState(t, "the flight's context", j.ctx, singleflight.ErrFlightTimeout)
		inState(t, "the other child", long, singleflight.ErrFlightTimeout)
		j.returns(7)
	})
}

func TestNoGoroutineIsSpentOnFlightContext(t *testing.T) {
	// Clause 15: no goroutine is spent on them: neither on it nor on its children, whatever the leader's context is.
	leaders := map[string]func(t *testing.T) context.Context{
		"WithCancel": func(t *testing.T) context.Context { return t.Context() },
		"Background": func(*testing.T) context.Context { return context.Background() },
		"WithValue":  func(t *testing.T) context.Context { return context.WithValue(t.Context(), contextKey("k"), 1) },
		"foreign":    func(t *testing.T) context.Context { return newForeignContext(t.Context()) },
	}
	for name, leader := range leaders {
		for _, opts := range []singleflight.Options[string, int]{{}, {FlightTimeout: time.Hour}} {
			t.Run(fmt.Sprint(name, ", timeout ", opts.FlightTimeout), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := singleflight.New(opts)
					before := bubbleGoroutines()
					ctx := leader(t)
					g.DoContext(ctx, "key", func(ctx context.Context) (int, error) {
						start := bubbleGoroutines()
						for _, u := range uses {
							child, cancel := u.derive(ctx)
							child.Done()
							grandchild, cancelGrandchild := u.derive(child)
							grandchild.Done()
							if n := bubbleGoroutines() - start; n != 0 {
								t.Errorf("%s: %d goroutines", u.name, n)
							}
							defer cancel()
							defer cancelGrandchild()
						}
						return 7, nil
					})
					if n := bubbleGoroutines() - before; n != 0 {
						t.Errorf("%d goroutines after the landing", n)
					}
				})
			})
		}
	}
}

func TestFlightContextIsUsedConcurrently(t *testing.T) {
	// Clause 15: first uses by several goroutines, racing with abandonment and landing, agree with each other.
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	g := cancelling()
	for i := range rounds {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey("k"), i))
		var users, calls sync.WaitGroup
		ran := false
		dones := make(chan (<-chan struct{}), 8)
		calls.Go(func() {
			g.DoContext(ctx, "key", func(ctx context.Context) (int, error) {
				ran = true
				for n := range 4 {
					users.Go(func() {
						switch n {
						case 0:
							<-ctx.Done()
							if ctx.Err() == nil {
								t.Error("done without an error")
							}
						case 1:
							child, cancel := context.WithCancel(ctx)
							<-child.Done()
							if err := context.Cause(child); err != context.Canceled && (i%2 == 1 || err != singleflight.ErrAbandoned) {
								t.Errorf("the child's cause is %v", err)
							}
							cancel()
						case 2:
							for ctx.Err() == nil {
								runtime.Gosched()
							}
							if !isDone(ctx) {
								t.Error("an error, but not done")
							}
						case 3:
							if v := ctx.Value(contextKey("k")); v != i {
								t.Errorf("the value is %v, want %v", v, i)
							}
							done := make(chan struct{})
							context.AfterFunc(ctx, func() { close(done) })
							<-done
						}
						dones <- ctx.Done()
					})
				}
				runtime.Gosched()
				return 0, nil
			})
		})
		if i%2 == 0 {
			calls.Go(cancel)
		}
		calls.Wait()
		if err := g.Wait(t.Context()); err != nil { // fn has started its goroutines
			t.Fatal(err)
		}
		users.Wait()
		cancel()
		if !ran { // cancelled before the call
			continue
		}
		first := <-dones
		for range 3 {
			if <-dones != first {
				t.Error("Done gives several channels")
			}
		}
	}
}

func TestFirstUsesOfFlightContextAgree(t *testing.T) {
	// Clause 15: goroutines that use it first at the same time get one Done channel, which is open until the landing.
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	var g group
	for range rounds {
		g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
			var ready, users sync.WaitGroup
			ready.Add(4)
			dones := make(chan (<-chan struct{}), 4)
			for range 4 {
				users.Go(func() {
					ready.Done()
					ready.Wait()
					dones <- ctx.Done()
				})
			}
			users.Wait()
			inState(t, "running", ctx, nil)
			for range 4 {
				if <-dones != ctx.Done() {
					t.Error("Done gives several channels")
				}
			}
			return 0, nil
		})
	}
}

func TestFlightContextCanBePrinted(t *testing.T) {
	// Clause 15: as a context of the standard library it can be printed, a child of it too, at any time, and shows its
	// parent. It is the race detector that fails this test where printing reads what others write, so it isn't in a
	// bubble.
	var g group
	for range 50 {
		var printed sync.WaitGroup
		v, err, _ := g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
			child := context.WithValue(ctx, contextKey("k"), 1)
			leader := fmt.Sprint(t.Context())
			want := map[context.Context]string{
				ctx:   leader + ".singleflight.Flight",
				child: leader + ".singleflight.Flight.WithValue(singleflight_test.contextKey, int)",
			}
			for _, c := range []context.Context{ctx, child} {
				printed.Go(func() {
					for range 3 {
						if text := fmt.Sprint(c); text != want[c] {
							t.Errorf("the context prints as %s, want %s", text, want[c])
						}
						runtime.Gosched()
					}
				})
			}
			ctx.Done()
			return 1, nil
		})
		printed.Wait()
		if v != 1 || err != nil {
			t.Fatalf("got %v, %v", v, err)
		}
	}
}

func TestFlightTimeoutEndsOnlyTheContext(t *testing.T) {
	// Clause 22: FlightTimeout ends fn's context and nothing else: callers wait until fn returns or their own context
	// ends, and a flight past it is still joined.
	eachPair(t, bound, ways, func(t *testing.T, leads, joins way) {
		for _, cancelAbandoned := range []bool{false, true} {
			g := singleflight.New(singleflight.Options[string, int]{FlightTimeout: time.Minute, CancelAbandoned: cancelAbandoned})
			j := newJob()
			start := time.Now()
			leader := leads.call(g, t.Context(), "key", j)
			if deadline, ok := j.ctx.Deadline(); !ok || !deadline.Equal(start.Add(time.Minute)) {
				t.Errorf("the flight's deadline: %v, %v", deadline.Sub(start), ok)
			}
			sleep(time.Minute - 1)
			inState(t, "before the deadline", j.ctx, nil)
			joiner := joins.call(g, t.Context(), "key", newJob())
			sleep(1)
			inState(t, "at the deadline", j.ctx, singleflight.ErrFlightTimeout)
			leader.waits(t)
			joiner.waits(t)
			sleep(time.Hour)
			again := joins.call(g, t.Context(), "key", newJob())
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			leaver := byDoContext.call(g, short, "key", newJob())
			sleep(time.Second)
			leaver.got(t, late)
			leader.waits(t)
			again.waits(t)
			j.returns(7)
			leader.got(t, answer{Val: 7, Shared: true, Leader: true})
			joiner.got(t, answer{Val: 7, Shared: true})
			again.got(t, answer{Val: 7, Shared: true})
			inState(t, "after the landing", j.ctx, singleflight.ErrFlightTimeout)
			if deadline, ok := j.ctx.Deadline(); !ok || !deadline.Equal(start.Add(time.Minute)) {
				t.Errorf("the landed flight's deadline: %v, %v", deadline.Sub(start), ok)
			}
		}
	})
}

func TestFlightTimeoutCountsFromTheStart(t *testing.T) {
	// Clause 22: the deadline counts from fn's start, of a successor too; and an abandoned flight keeps its own.
	eachWay(t, bound, func(t *testing.T, w way) {
		g := cancelling(timed(time.Minute))
		before := abandoned(t, g, "key")
		sleep(time.Hour)
		j := newJob()
		w.call(g, t.Context(), "key", j)
		sleep(time.Hour)
		before.returns(7)
		start := time.Now()
		if deadline, ok := j.ctx.Deadline(); !ok || !deadline.Equal(start.Add(time.Minute)) {
			t.Errorf("the successor's deadline: %v, %v; want a minute after its start", deadline.Sub(start), ok)
		}
		sleep(time.Minute - 1)
		inState(t, "before the deadline", j.ctx, nil)
		sleep(1)
		inState(t, "at the deadline", j.ctx, singleflight.ErrFlightTimeout)
		j.returns(8)
	})
}

func TestFlightTimeoutKeepsAnAbandonedFlightItsDeadline(t *testing.T) {
	// Clauses 16 and 22: an abandoned flight that goes on has its deadline still.
	eachWay(t, detaching, func(t *testing.T, w way) {
		g := singleflight.New(singleflight.Options[string, int]{FlightTimeout: time.Minute})
		j := newJob()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.call(g, ctx, "key", j)
		sleep(time.Minute - 1)
		inState(t, "before the deadline", j.ctx, nil)
		sleep(1)
		inState(t, "at the deadline", j.ctx, singleflight.ErrFlightTimeout)
		j.returns(8)
	})
}

func TestFlightTimeoutDoesNotBindDo(t *testing.T) {
	// Clause 22: fn of Do and DoChan gets no context, so it isn't bound, nor are those that join it.
	eachPair(t, []way{byDo, byDoChan}, ways, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{FlightTimeout: time.Second})
		j := newJob()
		leader := leads.call(g, nil, "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		sleep(time.Hour)
		leader.waits(t)
		joiner.waits(t)
		j.returns(7)
		leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 7, Shared: true})
	})
}

func TestNoFlightTimeoutIsNoDeadline(t *testing.T) {
	// Clause 22: zero is no deadline.
	eachWay(t, bound, func(t *testing.T, w way) {
		g := singleflight.New(singleflight.Options[string, int]{})
		j := newJob()
		w.call(g, t.Context(), "key", j)
		sleep(24 * 365 * time.Hour)
		inState(t, "a year later", j.ctx, nil)
		if deadline, ok := j.ctx.Deadline(); ok {
			t.Errorf("the deadline is %v", deadline)
		}
		j.returns(7)
	})
}

func TestNegativeFlightTimeoutPanics(t *testing.T) {
	// Clause 22: a negative one is a programming error: New panics and names the field.
	for _, d := range []time.Duration{-1, -time.Hour} {
		value := panicOf(func() { singleflight.New(singleflight.Options[string, int]{FlightTimeout: d}) })
		if !strings.Contains(fmt.Sprint(value), "FlightTimeout") {
			t.Errorf("%v: New panics with %v, want FlightTimeout named", d, value)
		}
	}
}

func TestFlightTimeoutErrorReachesCallers(t *testing.T) {
	// Clause 22: what callers get is what fn returns, here its context's error.
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[string, int]{FlightTimeout: time.Second})
		start := time.Now()
		v, err, shared := g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 1, ctx.Err()
		})
		if v != 1 || !errors.Is(err, context.DeadlineExceeded) || shared || time.Since(start) != time.Second {
			t.Errorf("got %v, %v, %v after %v", v, err, shared, time.Since(start))
		}
	})
}
