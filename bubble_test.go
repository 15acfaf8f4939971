package singleflight_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// everywhere is a group that all bubbles of this file use, and the tests
// outside them.
var everywhere = singleflight.New(singleflight.Options[string, *int]{
	CancelAbandoned: true,
	Clone:           func(v *int) *int { c := *v; return &c },
})

// Clause 25: a package-level group can be used in several bubbles one after
// another, and outside them, with the same key and in all ways.
func TestPackageLevelGroupInBubblesAndOutside(t *testing.T) {
	use := func(t *testing.T, leads, joins way) {
		started, end := make(chan bool), make(chan bool)
		results := make(chan singleflight.Result[*int], 2)
		go func() {
			results <- enter(leads, everywhere, t.Context(), "key", func() (*int, error) {
				close(started)
				<-end
				return new(int), nil
			})
		}()
		<-started
		// Whether it joins or comes late doesn't matter here.
		go func() { results <- enter(joins, everywhere, t.Context(), "key", constant(new(int))) }()
		runtime.Gosched()
		close(end)
		for range 2 {
			if r := <-results; r.Val == nil || *r.Val != 0 || r.Err != nil {
				t.Errorf("a call got %+v", r)
			}
		}
		if r := enter(leads, everywhere, t.Context(), "key", constant(new(int))); r.Shared {
			t.Error("a call alone is shared")
		}
		everywhere.Forget("key")
		if err := everywhere.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, leads := range ways {
		for _, joins := range ways {
			t.Run(leads.name+"/"+joins.name, func(t *testing.T) {
				for range 2 {
					synctest.Test(t, func(t *testing.T) { use(t, leads, joins) })
					use(t, leads, joins)
				}
				synctest.Test(t, func(t *testing.T) { use(t, joins, leads) })
			})
		}
	}
}

// Clause 25: waiting on a flight is durably blocking, so the time of a bubble
// passes while all wait for it.
func TestTimePassesWhileCallersWait(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		begin := time.Now()
		results := make(chan singleflight.Result[int])
		for _, w := range []way{leads, joins} {
			go func() {
				results <- enter(w, &g, t.Context(), "key", func() (int, error) {
					time.Sleep(time.Hour)
					return 1, nil
				})
			}()
			synctest.Wait()
		}
		waited := waiting(t, &g)
		for range 2 {
			if r := <-results; r.Val != 1 || !r.Shared {
				t.Errorf("a caller got %+v", r)
			}
		}
		if err := <-waited; err != nil {
			t.Error(err)
		}
		if passed := time.Since(begin); passed != time.Hour {
			t.Errorf("%v have passed, want %v", passed, time.Hour)
		}
	})
}

// Clause 25: so is waiting for a successor's turn.
func TestTimePassesWhileASuccessorWaits(t *testing.T) {
	eachPair(t, detaching, ways, func(t *testing.T, leads, succeeds way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		go enter(leads, g, ctx, "key", func() (int, error) {
			time.Sleep(time.Hour)
			return 1, nil
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if r := enter(succeeds, g, t.Context(), "key", constant(2)); r.Val != 2 || r.Shared {
			t.Errorf("the successor's caller got %+v", r)
		}
		if passed := time.Since(begin); passed != time.Hour {
			t.Errorf("%v have passed, want %v", passed, time.Hour)
		}
	})
}

// Clause 26: no goroutine of the package waits for anything once its flight
// has landed, although the callers' contexts never end.
func TestNoGoroutineOutlivesItsFlight(t *testing.T) {
	contexts := map[string]func(t *testing.T) context.Context{
		"standard": func(t *testing.T) context.Context {
			ctx, cancel := context.WithCancel(context.Background())
			t.Cleanup(cancel)
			return ctx
		},
		"foreign": func(t *testing.T) context.Context { return newForeignContext(t.Context()) },
	}
	for name, newContext := range contexts {
		for _, end := range endings {
			t.Run(name+"/"+end.name, func(t *testing.T) {
				eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
					g := singleflight.New(singleflight.Options[string, int]{
						Recover:       true,
						FlightTimeout: time.Hour,
						Clone:         func(v int) int { return v },
					})
					ctx := newContext(t)
					before := bubbleGoroutines()
					j := newJob()
					leads.call(g, ctx, "key", j)
					joins.call(g, ctx, "key", newJob())
					joins.call(g, ctx, "key", newJob())
					end.of(j)
					if n := bubbleGoroutines() - before; n != 0 {
						t.Errorf("%d goroutines are left over", n)
					}
				})
			})
		}
	}
}

// Clause 26: nor once a successor was dropped, while the cancelled flight goes
// on.
func TestNoGoroutineOutlivesADroppedSuccessor(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		first := cancelled(t, g, leads)
		before := bubbleGoroutines()
		ctx, cancel := context.WithCancel(t.Context())
		leads.call(g, ctx, "key", newJob())
		joins.call(g, ctx, "key", newJob())
		cancel()
		if n := bubbleGoroutines() - before; n != 0 {
			t.Errorf("%d goroutines are left over", n)
		}
		first.returns(1)
	})
}

// Clause 26: the same counted over all of the process, outside a bubble.
func TestManyFlightsLeaveNoGoroutines(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	foreign := newForeignContext(t.Context())
	var g singleflight.Group[int, int]
	before := runtime.NumGoroutine()
	for key := range 200 {
		for _, w := range ways {
			var joined []<-chan singleflight.Result[int]
			enter(w, &g, ctx, key, func() (int, error) {
				for _, joins := range channelWays {
					joined = append(joined, open(joins, &g, ctx, key, nil), open(joins, &g, foreign, key, nil))
				}
				return key, nil
			})
			for _, ch := range joined {
				<-ch
			}
		}
	}
	if err := g.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	after := 0
	for range 100_000 { // those that have nothing to wait for need a moment to end
		if after = runtime.NumGoroutine(); after <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines, %d before", after, before)
}
