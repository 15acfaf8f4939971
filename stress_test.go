package singleflight_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

var stressFor = flag.Duration("stress", time.Second, "how long TestStress runs")

// TestStress calls groups with all options from many goroutines at once, in
// every way, with cancellations, panics, Goexits and Forgets thrown in, and
// checks what must hold whatever happens:
//
// Clause 1: one flight a key. Clause 2: no outcome for a call that began after
// it. Clause 3: shared. Clauses 13 and 14: the outcome or the context's error,
// never both. Clause 16: nobody gets the outcome of a cancelled flight. Clause
// 26: no goroutine is left.
func TestStress(t *testing.T) {
	before := runtime.NumGoroutine()
	var groups []*stressedGroup
	for i := range 8 {
		opts := singleflight.Options[int, *stressedFlight]{CancelAbandoned: i&1 != 0, Recover: i&2 != 0}
		if i&4 != 0 {
			opts.FlightTimeout = time.Hour
			opts.Clone = func(f *stressedFlight) *stressedFlight { f.copies.Add(1); return f }
		}
		groups = append(groups, &stressedGroup{t: t, opts: opts, Group: singleflight.New(opts)})
	}
	end := time.Now().Add(*stressFor)
	var workers sync.WaitGroup
	var calls atomic.Int64
	for range 8 * runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !t.Failed() && time.Now().Before(end) {
				// All are at one group at a time, to be in each other's way.
				group := groups[calls.Add(64)>>12%int64(len(groups))]
				for range 64 {
					group.call()
				}
			}
		})
	}
	workers.Wait()
	total := singleflight.Stats{}
	for _, g := range groups {
		g.rest()
		stats := g.Stats()
		total.Calls += stats.Calls
		total.Flights += stats.Flights
		total.Joined += stats.Joined
		total.Detached += stats.Detached
		total.Abandoned += stats.Abandoned
		total.Dropped += stats.Dropped
		total.Panics += stats.Panics
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		}
	}
	t.Logf("%d calls in %v: %+v", calls.Load(), *stressFor, total)
}

// The keys of a group differ in what is done with them.
const (
	steadyKeys    = 2 // 0 and 1: values and errors
	forgottenKeys = 3 // 2: it is also forgotten, so flights may overlap
	violentKeys   = 5 // 3 and 4: these also panic and exit
	endlessKeys   = 6 // 5: its functions return when they are cancelled
)

type stressedGroup struct {
	*singleflight.Group[int, *stressedFlight]
	t    *testing.T
	opts singleflight.Options[int, *stressedFlight]
	runs atomic.Uint64
	keys [endlessKeys]stressedKey
}

type stressedKey struct {
	running atomic.Int32
	begun   atomic.Int64 // flights
	seen    atomic.Int64 // the latest flight that a caller has returned from
}

// A stressedFlight is the outcome of a flight, as a value or inside an error.
type stressedFlight struct {
	number    int64
	cancelled bool
	callers   atomic.Int32 // that got it
	alone     atomic.Bool  // a caller was told that it isn't shared
	copies    atomic.Int32
}

func (f *stressedFlight) Error() string { return fmt.Sprint("flight ", f.number) }

// call makes one random call, and checks what comes of it.
func (g *stressedGroup) call() {
	key := rand.IntN(endlessKeys)
	if key >= steadyKeys && key < forgottenKeys && rand.IntN(8) == 0 {
		if rand.IntN(2) == 0 {
			g.Forget(key)
		} else {
			g.ForgetUnshared(key)
		}
		return
	}
	violent := key >= forgottenKeys && key < violentKeys
	endless := key >= violentKeys
	if endless && !g.Options.CancelAbandoned {
		return
	}

	// A panic crashes the process where a channel caller is on the flight, or
	// nobody is.
	patient := violent && !g.Options.Recover
	way := rand.IntN(4)
	if patient {
		way &^= 1
	}
	ctx := context.Background()
	if way >= 2 && !patient && (endless || rand.IntN(2) == 0) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		pause := rand.IntN(20)
		go func() {
			defer cancel()
			for range pause {
				runtime.Gosched()
			}
		}()
	} else if endless {
		return
	}
	seen := g.keys[key].seen.Load()
	answer := g.ask(way, ctx, key, violent)
	g.check(key, seen, ctx, answer)
}

// A stressedAnswer is what a call came to: a Result, or an end by Goexit.
type stressedAnswer struct {
	singleflight.Result[*stressedFlight]
	exited bool
}

// ask calls the group in one of four ways.
func (g *stressedGroup) ask(way int, ctx context.Context, key int, violent bool) (answer stressedAnswer) {
	plain := func() (*stressedFlight, error) { return g.run(context.Background(), key, violent) }
	bound := func(ctx context.Context) (*stressedFlight, error) { return g.run(ctx, key, violent) }
	switch way {
	case 1:
		answer.Result = g.receive(g.DoChan(key, plain))
		return answer
	case 3:
		answer.Result = g.receive(g.DoChanContext(ctx, key, bound))
		return answer
	}
	answer.exited = true
	block := func() {
		defer func() {
			if value := recover(); value != nil {
				answer.Err, answer.exited = value.(*singleflight.PanicError), false
			}
		}()
		if way == 0 {
			answer.Val, answer.Err, answer.Shared = g.Do(key, plain)
		} else {
			answer.Val, answer.Err, answer.Shared = g.DoContext(ctx, key, bound)
		}
		answer.exited = false
	}
	if violent {
		var over sync.WaitGroup
		over.Go(block) // it may exit
		over.Wait()
	} else {
		block()
	}
	return answer
}

func (g *stressedGroup) receive(ch <-chan singleflight.Result[*stressedFlight]) singleflight.Result[*stressedFlight] {
	r := <-ch
	select {
	case <-ch:
		g.t.Error("a channel received twice")
	default:
	}
	return r
}

// run is the function of all flights.
func (g *stressedGroup) run(ctx context.Context, key int, violent bool) (*stressedFlight, error) {
	g.runs.Add(1)
	k := &g.keys[key]
	if k.running.Add(1) > 1 && (key < steadyKeys || key >= forgottenKeys) {
		g.t.Errorf("key %d: two flights at once", key)
	}
	defer k.running.Add(-1)
	f := &stressedFlight{number: k.begun.Add(1)}
	for range rand.IntN(8) {
		runtime.Gosched()
	}
	if key >= violentKeys {
		<-ctx.Done()
	}
	f.cancelled = ctx.Err() != nil
	switch chance := rand.IntN(8); {
	case violent && chance == 0:
		panic(f)
	case violent && chance == 1:
		runtime.Goexit()
	case chance < 4:
		return nil, f
	}
	return f, nil
}

// check checks what came of a call that began when seen was the latest flight
// that had handed out.
func (g *stressedGroup) check(key int, seen int64, ctx context.Context, answer stressedAnswer) {
	if answer.exited || errors.Is(answer.Err, singleflight.ErrGoexit) {
		return
	}
	f := answer.Val
	if f == nil && !errors.As(answer.Err, &f) {
		if answer.Err != context.Canceled || ctx.Err() == nil || answer.Shared || answer.Leader {
			g.t.Errorf("key %d: the call got %+v", key, answer)
		}
		return
	}
	k := &g.keys[key]
	switch callers := f.callers.Add(1); {
	case f.cancelled:
		g.t.Errorf("key %d: a caller got the outcome of a cancelled flight", key)
	case f.number <= seen && (key < steadyKeys || key >= forgottenKeys):
		g.t.Errorf("key %d: a call that began after flight %d had landed got flight %d", key, seen, f.number)
	case !answer.Shared && f.alone.Swap(true), f.alone.Load() && callers > 1:
		var p *singleflight.PanicError
		if !errors.As(answer.Err, &p) { // a panic doesn't say whether it is shared
			g.t.Errorf("key %d: a shared outcome isn't called shared", key)
		}
	}
	for {
		latest := k.seen.Load()
		if f.number <= latest || k.seen.CompareAndSwap(latest, f.number) {
			return
		}
	}
}

// rest waits until the group is at rest, and checks its books.
func (g *stressedGroup) rest() {
	if err := g.Wait(context.Background()); err != nil {
		g.t.Errorf("Wait: %v", err)
	}
	stats := g.Stats()
	if stats.InFlight != 0 || len(g.InFlight()) != 0 || stats.Flights != g.runs.Load() ||
		stats.Calls != stats.Flights+stats.Joined+stats.Dropped {
		g.t.Errorf("at rest after %d functions: %+v", g.runs.Load(), stats)
	}
}
