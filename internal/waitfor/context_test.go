package waitfor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

var (
	errEnd     = errors.New("end")
	errTimeout = errors.New("timeout")
)

// The ways in which a Context is used before something happens to it. Those
// that aren't used are the ones that cost least, and take a way of their own.
var uses = map[string]func(*flight){
	"unused":          func(*flight) {},
	"asked for Done":  func(f *flight) { f.Done() },
	"asked for a key": func(f *flight) { f.Value(valueKey{}) },
	"part of a graph": func(f *flight) { join(f, outside()) },
	"the leader left": func(f *flight) { f.leaderLeft() },
}

func done(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

func TestContextIsDoneOnceTheFlightLands(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			f := led(context.WithValue(t.Context(), valueKey{}, "value"))
			use(f)
			if err := f.Err(); err != nil {
				t.Errorf("Err is %v before the landing", err)
			}
			f.land()
			if err := f.Err(); err != context.Canceled {
				t.Errorf("Err is %v after the landing", err)
			}
			if !done(f.context()) {
				t.Error("Done isn't closed after the landing")
			}
			if err := f.Err(); err != context.Canceled || context.Cause(f.context()) != context.Canceled {
				t.Errorf("Err is %v after Done, the cause %v", err, context.Cause(f.context()))
			}
			if waitfor.Of(f.context()) != nil {
				t.Error("a call belongs to the flight after the landing")
			}
			if got := f.Value(valueKey{}); got != "value" {
				t.Errorf("the leader's value is %v after the landing", got)
			}
			if _, ok := f.Deadline(); ok {
				t.Error("there is a deadline")
			}
		})
	}
}

func TestContextEndsBeforeTheLanding(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			f := outside()
			use(f)
			f.End(errEnd)
			if err := f.Err(); err != context.Canceled || !done(f.context()) || context.Cause(f.context()) != errEnd {
				t.Errorf("Err is %v, done %v, the cause %v", err, done(f.context()), context.Cause(f.context()))
			}
			if _, ok := join(f, f); ok {
				t.Error("the flight of a context that ended isn't in the graph any more")
			}
			f.End(errors.New("again"))
			f.land()
			if err := f.Err(); err != context.Canceled || !done(f.context()) || context.Cause(f.context()) != errEnd {
				t.Errorf("after the landing Err is %v, done %v, the cause %v", err, done(f.context()), context.Cause(f.context()))
			}
			if _, ok := join(f, f); !ok {
				t.Error("a flight that landed still waits for itself")
			}
		})
	}
}

func TestContextIsFreeOfItsLeader(t *testing.T) {
	leader, cancel := context.WithDeadline(context.Background(), time.Now().Add(time.Hour))
	f := led(leader)
	unused := led(leader)
	f.Done()
	cancel()
	for _, f := range []*flight{f, unused} {
		if _, ok := f.Deadline(); ok || f.Err() != nil || done(f.context()) || context.Cause(f.context()) != nil {
			t.Errorf("Err is %v, done %v, the cause %v", f.Err(), done(f.context()), context.Cause(f.context()))
		}
	}
}

func TestSetTimeout(t *testing.T) {
	for name, mayEnd := range map[string]bool{"may end": true, "may not end": false} {
		t.Run(name, func(t *testing.T) { testSetTimeout(t, mayEnd) })
	}
}

func testSetTimeout(t *testing.T, mayEnd bool) {
	synctest.Test(t, func(t *testing.T) {
		f := outside()
		f.SetTimeout(time.Second, errTimeout, mayEnd)
		child, cancel := context.WithCancel(f.context())
		defer cancel()
		if deadline, ok := f.Deadline(); !ok || time.Until(deadline) != time.Second {
			t.Errorf("the deadline is in %v", time.Until(deadline))
		}
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if f.Err() != nil || done(f.context()) || context.Cause(f.context()) != nil {
			t.Errorf("Err is %v before the deadline", f.Err())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for range 2 {
			for _, ctx := range []context.Context{f.context(), child} {
				if ctx.Err() != context.DeadlineExceeded || !done(ctx) || context.Cause(ctx) != errTimeout {
					t.Errorf("Err is %v after the deadline, the cause %v", ctx.Err(), context.Cause(ctx))
				}
			}
			f.End(errEnd)
			f.land()
		}
	})
}

// The end that comes first stands, whether or not anybody has used the context.
func TestEndBeforeTheTimeout(t *testing.T) {
	for name, end := range map[string]struct {
		mayEnd bool
		of     func(*flight)
		cause  error
	}{
		"end":             {true, func(f *flight) { f.End(errEnd) }, errEnd},
		"landing":         {false, (*flight).land, context.Canceled},
		"landing, no end": {true, (*flight).land, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := outside()
				f.SetTimeout(time.Second, errTimeout, end.mayEnd)
				end.of(f)
				for range 2 {
					if f.Err() != context.Canceled || !done(f.context()) || context.Cause(f.context()) != end.cause {
						t.Errorf("Err is %v, the cause %v", f.Err(), context.Cause(f.context()))
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// A timeout that comes too late, because the flight's context ended before its
// function began, changes nothing.
func TestSetTimeoutOfAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := outside()
		f.End(errEnd)
		f.SetTimeout(time.Second, errTimeout, true)
		for range 2 {
			if f.Err() != context.Canceled || !done(f.context()) || context.Cause(f.context()) != errEnd {
				t.Errorf("Err is %v, the cause %v", f.Err(), context.Cause(f.context()))
			}
			time.Sleep(time.Minute)
		}
	})
}

// A flight that has landed belongs to nobody before its context is done, and
// ending the contexts derived from it isn't done under the shard's lock.
func TestLandComesBeforeTheEnd(t *testing.T) {
	f := outside()
	child, cancel := context.WithCancel(f.context())
	defer cancel()
	if !f.Land() {
		t.Fatal("there is nothing to finish")
	}
	if waitfor.Of(f.context()) != nil || waitfor.Innermost(child) != &f.Context {
		t.Error("a call belongs to the flight after Land")
	}
	if f.Err() != nil || done(f.context()) || done(child) {
		t.Error("the context has ended before Finish")
	}
	f.Finish()
	if f.Err() != context.Canceled || !done(f.context()) || !done(child) || context.Cause(child) != context.Canceled {
		t.Errorf("Err is %v after Finish", f.Err())
	}
}

func TestLandingUnusedLeavesNothingToFinish(t *testing.T) {
	unused, left := outside(), outside()
	left.leaderLeft()
	if unused.Land() || left.Land() {
		t.Error("there is something to finish")
	}
	if allocs := testing.AllocsPerRun(100, func() { new(waitfor.Context).Land() }); allocs > 1 {
		t.Errorf("%v allocations", allocs)
	}
}

// Err isn't set before Done is closed, nor Done closed before the flight has
// landed.
func TestOrderOfAnEnd(t *testing.T) {
	for range 500 {
		f := outside()
		ch := f.Done()
		var wg sync.WaitGroup
		wg.Go(func() {
			for f.Err() == nil {
				runtime.Gosched()
			}
			if !done(f.context()) {
				t.Error("Err is set before Done is closed")
			}
		})
		wg.Go(func() {
			<-ch
			if f.Err() == nil || waitfor.Of(f.context()) != nil {
				t.Error("Done is closed before the flight has landed")
			}
		})
		f.land()
		wg.Wait()
	}
}

func TestForgotten(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			f, kept := outside(), outside()
			use(f)
			use(kept)
			if f.Forgotten() {
				t.Error("forgotten before Forget")
			}
			f.Forget()
			f.land()
			kept.land()
			kept.Forget()
			if !f.Forgotten() || kept.Forgotten() {
				t.Errorf("after the landing Forgotten is %v and %v, want true and false", f.Forgotten(), kept.Forgotten())
			}
			if f.Err() == nil || waitfor.Of(f.context()) != nil || waitfor.Innermost(f.context()) != &f.Context {
				t.Error("the forgotten flight hasn't landed")
			}
		})
	}
}

// Nothing derived from the context needs a goroutine to learn of its end.
func TestDerivedContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := led(context.WithValue(context.Background(), valueKey{}, "value"))
		before := runtime.NumGoroutine()
		type own struct{}
		value := context.WithValue(f.context(), own{}, 1)
		canceled, cancel := context.WithCancel(value)
		defer cancel()
		timed, stop := context.WithTimeout(value, time.Hour)
		defer stop()
		called := false
		context.AfterFunc(value, func() { called = true })
		if after := runtime.NumGoroutine(); after != before {
			t.Errorf("%d goroutines more", after-before)
		}
		free := context.WithoutCancel(timed)
		f.End(errEnd)
		synctest.Wait()
		for _, ctx := range []context.Context{value, canceled, timed} {
			if ctx.Err() != context.Canceled || !done(ctx) || context.Cause(ctx) != errEnd || ctx.Value(valueKey{}) != "value" {
				t.Errorf("%v: Err is %v, the cause %v", ctx, ctx.Err(), context.Cause(ctx))
			}
		}
		if !called {
			t.Error("the AfterFunc wasn't called")
		}
		if free.Err() != nil || context.Cause(free) != nil || waitfor.Of(free) != &f.Context {
			t.Error("WithoutCancel ended, or belongs to another flight")
		}
	})
}

// Whoever gets a channel from Done gets one that is closed, whatever happens
// at the same time; and there is only one.
func TestUseRacesWithLanding(t *testing.T) {
	for range 500 {
		f := outside()
		var wg sync.WaitGroup
		channels := make([]<-chan struct{}, 4)
		for i := range channels {
			wg.Go(func() { channels[i] = f.Done() })
		}
		wg.Go(f.land)
		wg.Go(func() { f.End(errEnd) })
		wg.Go(f.leaderLeft)
		wg.Wait()
		for _, ch := range channels {
			if ch != channels[0] {
				t.Fatal("Done returned two channels")
			}
			<-ch
		}
		if err := f.Err(); err != context.Canceled {
			t.Fatalf("Err is %v", err)
		}
	}
}

// stranger is a context that can't say its name.
type stranger struct{ context.Context }

func TestContextPrintsItsParent(t *testing.T) {
	f := led(context.Background())
	derived, cancel := context.WithCancelCause(f.context())
	defer cancel(errors.New("over"))
	for _, test := range []struct {
		ctx  context.Context
		want string
	}{
		{f.context(), "context.Background.singleflight.Flight"},
		{derived, "context.Background.singleflight.Flight.WithCancel"},
		{led(derived).context(), "context.Background.singleflight.Flight.WithCancel.singleflight.Flight"},
		{led(&stranger{f.context()}).context(), "*waitfor_test.stranger.singleflight.Flight"},
		{new(waitfor.Context), "singleflight.Flight"},
	} {
		if got := fmt.Sprint(test.ctx); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// A flight without a context of its leader has one that works all the same.
func TestNoLeader(t *testing.T) {
	f := new(flight)
	if f.Value(valueKey{}) != nil || f.Err() != nil || done(f.context()) {
		t.Error("it has a value, or has ended")
	}
	f.land()
	if f.Err() != context.Canceled || !done(f.context()) {
		t.Errorf("Err is %v after the landing", f.Err())
	}
}
