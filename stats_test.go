package singleflight_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// counts fails the test unless the group's counters are want.
func counts[V any](t *testing.T, g *singleflight.Group[string, V], want singleflight.Stats) {
	t.Helper()
	if got := g.Stats(); got != want {
		t.Errorf("Stats:\n got %+v\nwant %+v", got, want)
	}
}

func TestStatsBeforeFirstCall(t *testing.T) {
	for name, g := range map[string]*group{
		"zero Group": new(group),
		"New":        singleflight.New(singleflight.Options[string, int]{}),
	} {
		if got := g.Stats(); got != (singleflight.Stats{}) {
			t.Errorf("%s: Stats is %+v", name, got)
		}
		if got := g.InFlight(); len(got) != 0 {
			t.Errorf("%s: InFlight lists %+v", name, got)
		}
	}
}

func TestStatsCountACallOnItsWay(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leads.call(&g, t.Context(), "key", j)
		counts(t, &g, singleflight.Stats{Calls: 1, Flights: 1, InFlight: 1})
		joins.call(&g, t.Context(), "key", newJob())
		joins.call(&g, t.Context(), "key", newJob())
		counts(t, &g, singleflight.Stats{Calls: 3, Flights: 1, Joined: 2, InFlight: 1})
		other := newJob()
		leads.call(&g, t.Context(), "other", other)
		counts(t, &g, singleflight.Stats{Calls: 4, Flights: 2, Joined: 2, InFlight: 2})
		j.returns(7)
		counts(t, &g, singleflight.Stats{Calls: 4, Flights: 2, Joined: 2, InFlight: 1})
		other.fails(errFlight)
		counts(t, &g, singleflight.Stats{Calls: 4, Flights: 2, Joined: 2})
	})
}

func TestStatsCountAnUnsharedFlightTwiceOver(t *testing.T) {
	// The second one uses again what the first left behind.
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		for n := range uint64(3) {
			j := newJob()
			w.call(&g, t.Context(), "key", j)
			counts(t, &g, singleflight.Stats{Calls: n + 1, Flights: n + 1, InFlight: 1})
			j.returns(7)
			counts(t, &g, singleflight.Stats{Calls: n + 1, Flights: n + 1})
		}
	})
}

func TestStatsCountDetachedAndAbandoned(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader, leaves := context.WithCancel(t.Context())
		joiner, follows := context.WithCancel(t.Context())
		leads.call(&g, leader, "key", j)
		joins.call(&g, joiner, "key", newJob())
		leaves()
		synctest.Wait()
		counts(t, &g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1, Detached: 1, InFlight: 1})
		follows()
		synctest.Wait()
		counts(t, &g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1, Detached: 2, Abandoned: 1, InFlight: 1})
		// It is joined and loses its last caller once more.
		again, leavesAgain := context.WithCancel(t.Context())
		joins.call(&g, again, "key", newJob())
		leavesAgain()
		synctest.Wait()
		counts(t, &g, singleflight.Stats{Calls: 3, Flights: 1, Joined: 2, Detached: 3, Abandoned: 2, InFlight: 1})
		j.returns(7)
		counts(t, &g, singleflight.Stats{Calls: 3, Flights: 1, Joined: 2, Detached: 3, Abandoned: 2})
	})
}

func TestStatsCountNoDetachingAfterTheLanding(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leads.call(&g, ctx, "key", j)
		joins.call(&g, ctx, "key", newJob())
		j.returns(7)
		cancel()
		synctest.Wait()
		counts(t, &g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1})
	})
}

func TestStatsCountSuccessors(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		first := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		byDoContext.call(g, ctx, "key", first)
		cancel()
		synctest.Wait()
		counts(t, g, singleflight.Stats{Calls: 1, Flights: 1, Detached: 1, Abandoned: 1, InFlight: 1})
		second := newJob()
		leads.call(g, t.Context(), "key", second)
		joins.call(g, t.Context(), "key", newJob())
		counts(t, g, singleflight.Stats{Calls: 3, Flights: 1, Joined: 1, Detached: 1, Abandoned: 1, InFlight: 2})
		first.returns(1)
		counts(t, g, singleflight.Stats{Calls: 3, Flights: 2, Joined: 1, Detached: 1, Abandoned: 1, InFlight: 1})
		second.returns(2)
		counts(t, g, singleflight.Stats{Calls: 3, Flights: 2, Joined: 1, Detached: 1, Abandoned: 1})
	})
}

func TestStatsCountDroppedSuccessors(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		first := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		byDoContext.call(g, ctx, "key", first)
		cancel()
		synctest.Wait()
		for n := range uint64(2) {
			ctx, cancel := context.WithCancel(t.Context())
			leads.call(g, ctx, "key", newJob())
			joins.call(g, ctx, "key", newJob())
			counts(t, g, singleflight.Stats{
				Calls: 2*n + 3, Flights: 1, Joined: n + 1, Detached: 2*n + 1, Abandoned: n + 1, Dropped: n, InFlight: 2,
			})
			cancel()
			synctest.Wait()
			counts(t, g, singleflight.Stats{
				Calls: 2*n + 3, Flights: 1, Joined: n + 1, Detached: 2*n + 3, Abandoned: n + 2, Dropped: n + 1, InFlight: 1,
			})
		}
		first.returns(1)
		counts(t, g, singleflight.Stats{Calls: 5, Flights: 1, Joined: 2, Detached: 5, Abandoned: 3, Dropped: 2})
	})
}

func TestStatsCountPanicsAndGoexits(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		for _, e := range endings {
			want := singleflight.Stats{Calls: 2, Flights: 1, Joined: 1}
			if e.name != "value" && e.name != "error" {
				want.Panics = 1
			}
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				if !recovers && (leads.channel || joins.channel) {
					return // it may crash; with Recover they have their turn
				}
				g := singleflight.New(singleflight.Options[string, int]{Recover: recovers})
				j := newJob()
				leads.call(g, t.Context(), "key", j)
				joins.call(g, t.Context(), "key", newJob())
				e.of(j)
				counts(t, g, want)
			})
		}
	}
}

func TestStatsCountPanicOfAFlightThatNobodyJoined(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		g := singleflight.New(singleflight.Options[string, int]{Recover: true})
		j := newJob()
		w.call(g, t.Context(), "key", j)
		j.panics("boom")
		counts(t, g, singleflight.Stats{Calls: 1, Flights: 1, Panics: 1})
		returned := &singleflight.PanicError{Value: "returned"}
		j = newJob()
		w.call(g, t.Context(), "key", j)
		j.fails(returned)
		counts(t, g, singleflight.Stats{Calls: 2, Flights: 2, Panics: 1})
		w.call(g, t.Context(), "key", nil) // nil fn: j.plain of a nil job panics
		counts(t, g, singleflight.Stats{Calls: 3, Flights: 3, Panics: 2})
	})
}

func TestStatsKnowNothingOfCallsThatNeitherLedNorJoined(t *testing.T) {
	eachWay(t, detaching, func(t *testing.T, w way) {
		var g group
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		w.call(&g, ended, "key", newJob()).got(t, canceled)
		var none context.Context
		panicOf(func() { w.call(&g, none, "key", newJob()) })
		counts(t, &g, singleflight.Stats{})

		g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
			w.call(&g, ctx, "key", newJob())
			return 0, nil
		})
		counts(t, &g, singleflight.Stats{Calls: 1, Flights: 1})
	})
	t.Run("refused successor", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var err error
			blocked(func() (int, error, bool) {
				return g.DoContext(ctx, "key", func(ctx context.Context) (int, error) {
					cancel()
					<-ctx.Done() // this flight is abandoned, and so cancelled
					_, err, _ = g.DoContext(context.WithoutCancel(ctx), "key", func(context.Context) (int, error) { return 0, nil })
					return 0, nil
				})
			})
			if err != singleflight.ErrDeadlock {
				t.Fatalf("the call was not refused: %v", err)
			}
			counts(t, g, singleflight.Stats{Calls: 1, Flights: 1, Detached: 1, Abandoned: 1})
		})
	})
}

func TestStatsAndForgetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		j1, j2 := newJob(), newJob()
		byDo.call(&g, nil, "key", j1)
		g.Forget("key")
		byDo.call(&g, nil, "key", j2)
		counts(t, &g, singleflight.Stats{Calls: 2, Flights: 2, InFlight: 2})
		j1.returns(1)
		counts(t, &g, singleflight.Stats{Calls: 2, Flights: 2, InFlight: 1})
		j2.returns(2)
		counts(t, &g, singleflight.Stats{Calls: 2, Flights: 2})
	})
}

// A tally is what the callers, the functions and the hooks of a group saw.
// Its names are those of Stats.
type tally struct {
	calls, flights, joined, detached, panics atomic.Uint64
}

// A mix is a load in which everything happens that can happen to a call.
type mix struct {
	group *singleflight.Group[int, int]
	saw   tally
	pause func(*rand.Rand)                                       // while a function runs
	limit func(*rand.Rand) (context.Context, context.CancelFunc) // of a call
}

func newMix(opts singleflight.Options[int, int]) *mix {
	m := new(mix)
	opts.Recover = true
	opts.Trace = &singleflight.Trace[int]{
		Join: func(context.Context, int, uint64) { m.saw.joined.Add(1) },
	}
	m.group = singleflight.New(opts)
	return m
}

// fn is a function that ends in any way after a while.
func (m *mix) fn(seed uint64) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		r := rand.New(rand.NewPCG(seed, 0))
		m.saw.flights.Add(1)
		m.pause(r)
		switch r.IntN(10) {
		case 0:
			m.saw.panics.Add(1)
			panic("boom")
		case 1:
			m.saw.panics.Add(1)
			runtime.Goexit()
		case 2:
			return 0, errFlight
		}
		return 1, nil
	}
}

// call makes one call and waits for what comes of it, on a goroutine of its
// own, since that may exit.
func (m *mix) call(r *rand.Rand) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.callHere(r)
	}()
	<-over
}

func (m *mix) callHere(r *rand.Rand) {
	g, key, bound := m.group, r.IntN(16), m.fn(r.Uint64())
	plain := func() (int, error) { return bound(context.Background()) }
	ctx, cancel := m.limit(r)
	defer cancel()
	if r.IntN(8) == 0 {
		g.Forget(key)
	}
	m.saw.calls.Add(1)
	var err error
	switch r.IntN(9) {
	case 0:
		_, err, _ = g.Do(key, plain)
	case 1:
		err = (<-g.DoChan(key, plain)).Err
	case 2:
		_, err, _ = g.DoContext(context.Background(), key, bound)
	case 3, 4, 5:
		_, err, _ = g.DoContext(ctx, key, bound)
	default:
		err = (<-g.DoChanContext(ctx, key, bound)).Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		m.saw.detached.Add(1)
	}
}

// check compares the group at rest with what was seen.
func (m *mix) check(t *testing.T) {
	t.Helper()
	got := m.group.Stats()
	want := singleflight.Stats{
		Calls:     m.saw.calls.Load(),
		Flights:   m.saw.flights.Load(),
		Joined:    m.saw.joined.Load(),
		Detached:  m.saw.detached.Load(),
		Panics:    m.saw.panics.Load(),
		Abandoned: got.Abandoned, // nobody sees it
		Dropped:   m.saw.calls.Load() - m.saw.flights.Load() - m.saw.joined.Load(),
	}
	if got != want {
		t.Errorf("Stats at rest:\n got %+v\nwant %+v", got, want)
	}
	m.checkSum(t)
}

// checkSum checks what holds for every group at rest.
func (m *mix) checkSum(t *testing.T) {
	t.Helper()
	got := m.group.Stats()
	if got.Calls != got.Flights+got.Joined+got.Dropped {
		t.Errorf("Calls %d is not Flights %d + Joined %d + Dropped %d", got.Calls, got.Flights, got.Joined, got.Dropped)
	}
	if list := m.group.InFlight(); got.InFlight != 0 || len(list) != 0 {
		t.Errorf("at rest %d flights are in the air, InFlight lists %+v", got.InFlight, list)
	}
}

// fell returns the name of a counter that is less than before.
func fell(before, after singleflight.Stats) string {
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		if b.Field(i).Kind() == reflect.Uint64 && a.Field(i).Uint() < b.Field(i).Uint() {
			return b.Type().Field(i).Name
		}
	}
	return ""
}

func TestStatsOfManyKeys(t *testing.T) {
	// Stats: the sums are those of the whole group, however its keys are spread.
	const n = 200
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[int, int]{CancelAbandoned: true, Recover: true})
		end := make(chan bool)
		crowd := func(callers int) {
			ctx, cancel := context.WithCancel(t.Context())
			for key := range n {
				for range callers {
					go g.DoContext(ctx, key, func(context.Context) (int, error) { <-end; panic(key) })
				}
			}
			synctest.Wait()
			cancel()
			synctest.Wait()
		}
		crowd(2)
		crowd(1) // successors, which are dropped
		want := singleflight.Stats{Calls: 3 * n, Flights: n, Joined: n, Detached: 3 * n, Abandoned: 2 * n, Dropped: n, InFlight: n}
		if got := g.Stats(); got != want {
			t.Errorf("Stats are %+v, want %+v", got, want)
		}
		close(end)
		synctest.Wait()
		want.InFlight, want.Panics = 0, n
		if got := g.Stats(); got != want {
			t.Errorf("after the landing Stats are %+v, want %+v", got, want)
		}
	})
}

func TestStatsOfARandomMix(t *testing.T) {
	// At rest Calls = Flights + Joined + Dropped, and each counter is exact; on the way every counter only grows.
	for _, cancelAbandoned := range []bool{false, true} {
		var joined, detached, abandoned, panics, dropped uint64
		for seed := range uint64(4) {
			synctest.Test(t, func(t *testing.T) {
				m := newMix(singleflight.Options[int, int]{CancelAbandoned: cancelAbandoned})
				m.pause = func(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond) }
				m.limit = func(r *rand.Rand) (context.Context, context.CancelFunc) {
					return context.WithTimeout(context.Background(), time.Duration(1+r.IntN(30))*time.Millisecond)
				}
				for n := range uint64(24) {
					go func() {
						r := rand.New(rand.NewPCG(seed, n))
						for range 20 {
							m.call(r)
							time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
						}
					}()
				}
				before := m.group.Stats()
				for range 2000 {
					sleep(time.Millisecond)
					after := m.group.Stats()
					if name := fell(before, after); name != "" {
						t.Fatalf("%s fell:\n from %+v\n to %+v", name, before, after)
					}
					if got := uint64(len(m.group.InFlight())); got != uint64(after.InFlight) {
						t.Fatalf("InFlight lists %d flights, Stats counts %d", got, after.InFlight)
					}
					before = after
				}
				if err := m.group.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				m.check(t)
				s := m.group.Stats()
				joined, detached, abandoned = joined+s.Joined, detached+s.Detached, abandoned+s.Abandoned
				panics, dropped = panics+s.Panics, dropped+s.Dropped
			})
		}
		if joined == 0 || detached == 0 || abandoned == 0 || panics == 0 || cancelAbandoned && dropped == 0 {
			t.Errorf("the mixes lack something: %d joined, %d detached, %d abandoned, %d panics, %d dropped",
				joined, detached, abandoned, panics, dropped)
		}
	}
}

func TestStatsOnlyGrowWhileGoroutinesRun(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 300
	}
	m := newMix(singleflight.Options[int, int]{CancelAbandoned: true})
	m.pause = func(*rand.Rand) { runtime.Gosched() }
	m.limit = func(r *rand.Rand) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		if r.IntN(2) == 0 {
			go cancel() // before the call, during it, or after it
		}
		return ctx, cancel
	}
	var callers, watchers sync.WaitGroup
	over := make(chan struct{})
	for range 2 {
		watchers.Go(func() {
			var before singleflight.Stats
			for {
				after := m.group.Stats()
				m.group.InFlight()
				if name := fell(before, after); name != "" {
					t.Errorf("%s fell:\n from %+v\n to %+v", name, before, after)
					return
				}
				select {
				case <-over:
					return
				default:
					before = after
					runtime.Gosched()
				}
			}
		})
	}
	for n := range uint64(4) {
		callers.Go(func() {
			r := rand.New(rand.NewPCG(n, n))
			for range rounds {
				m.call(r)
			}
		})
	}
	callers.Wait()
	if err := m.group.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(over)
	watchers.Wait()
	m.checkSum(t)
	if s := m.group.Stats(); s.Joined == 0 || s.Detached == 0 || s.Panics == 0 {
		t.Errorf("the mix lacks something: %+v", s)
	}
}

func TestFlightStateString(t *testing.T) {
	for state, want := range map[singleflight.FlightState]string{
		singleflight.Running:   "Running",
		singleflight.Waiting:   "Waiting",
		singleflight.Abandoned: "Abandoned",
		singleflight.Cancelled: "Cancelled",
		-1:                     "FlightState(-1)",
		4:                      "FlightState(4)",
	} {
		if got := state.String(); got != want {
			t.Errorf("FlightState(%d).String() is %q, want %q", int(state), got, want)
		}
	}
}

// lists fails the test unless InFlight lists want, in this order.
func lists(t *testing.T, g *group, want ...singleflight.Flight[string]) {
	t.Helper()
	got := g.InFlight()
	same := slices.EqualFunc(got, want, func(a, b singleflight.Flight[string]) bool {
		since := a.Since.Equal(b.Since)
		a.Since, b.Since = time.Time{}, time.Time{}
		return since && a == b
	})
	if !same {
		t.Errorf("InFlight:\n got %+v\nwant %+v", got, want)
	}
}

type flight = singleflight.Flight[string]

func TestInFlightFollowsAFlight(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader, leaves := context.WithCancel(t.Context())
		joiner, follows := context.WithCancel(t.Context())
		lists(t, &g)
		leads.call(&g, leader, "key", j)
		since := time.Now()
		lists(t, &g, flight{Key: "key", Callers: 1, Since: since})
		joins.call(&g, joiner, "key", newJob())
		lists(t, &g, flight{Key: "key", Callers: 2, Since: since})
		leaves()
		synctest.Wait()
		lists(t, &g, flight{Key: "key", Callers: 1, Since: since})
		follows()
		synctest.Wait()
		lists(t, &g, flight{Key: "key", State: singleflight.Abandoned, Since: since})
		again := joins.call(&g, t.Context(), "key", newJob())
		lists(t, &g, flight{Key: "key", Callers: 1, State: singleflight.Running, Since: since})
		j.returns(7)
		again.got(t, answer{Val: 7, Shared: true})
		lists(t, &g)
	})
}

func TestInFlightKnowsEveryWay(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leads.call(&g, t.Context(), "key", j)
		lists(t, &g, flight{Key: "key", Callers: 1, Since: time.Now()})
		joins.call(&g, t.Context(), "key", newJob())
		lists(t, &g, flight{Key: "key", Callers: 2, Since: time.Now()})
		j.returns(7)
		lists(t, &g)
	})
}

func TestInFlightListsSuccessors(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		first, second := newJob(), newJob()
		ctx, cancel := context.WithCancel(t.Context())
		byDoContext.call(g, ctx, "key", first)
		start := time.Now()
		cancel()
		synctest.Wait()
		lists(t, g, flight{Key: "key", State: singleflight.Cancelled, Since: start})
		sleep(time.Second)
		leads.call(g, t.Context(), "key", second)
		since := time.Now()
		sleep(time.Second)
		joins.call(g, t.Context(), "key", newJob())
		sleep(time.Second)
		lists(t, g,
			flight{Key: "key", State: singleflight.Cancelled, Since: start},
			flight{Key: "key", Callers: 2, State: singleflight.Waiting, Since: since})
		first.returns(1)
		began := time.Now()
		sleep(time.Second)
		lists(t, g, flight{Key: "key", Callers: 2, State: singleflight.Running, Since: began})
		second.returns(2)
		lists(t, g)
	})
}

func TestInFlightDoesNotListDroppedFlights(t *testing.T) {
	eachWay(t, detaching, func(t *testing.T, w way) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		first := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		byDoContext.call(g, ctx, "key", first)
		cancel()
		synctest.Wait()
		ctx, cancel = context.WithCancel(t.Context())
		w.call(g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		lists(t, g, flight{Key: "key", State: singleflight.Cancelled, Since: time.Now()})
		first.returns(1)
	})
}

func TestInFlightTellsForgottenFlights(t *testing.T) {
	forgetting := map[string]func(g *group){
		"Forget":         func(g *group) { g.Forget("key") },
		"ForgetUnshared": func(g *group) { g.ForgetUnshared("key") },
	}
	for name, forget := range forgetting {
		t.Run(name, func(t *testing.T) {
			eachWay(t, ways, func(t *testing.T, w way) {
				var g group
				j1, j2 := newJob(), newJob()
				w.call(&g, t.Context(), "key", j1)
				forget(&g)
				start := time.Now()
				lists(t, &g, flight{Key: "key", Callers: 1, Forgotten: true, Since: start})
				sleep(time.Second)
				w.call(&g, t.Context(), "key", j2)
				lists(t, &g,
					flight{Key: "key", Callers: 1, Forgotten: true, Since: start},
					flight{Key: "key", Callers: 1, Since: start.Add(time.Second)})
				j1.returns(1)
				lists(t, &g, flight{Key: "key", Callers: 1, Since: start.Add(time.Second)})
				j2.returns(2)
			})
		})
	}
	t.Run("successor", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			first, second, third := newJob(), newJob(), newJob()
			ctx, cancel := context.WithCancel(t.Context())
			byDoContext.call(g, ctx, "key", first)
			cancel()
			synctest.Wait()
			byDoContext.call(g, t.Context(), "key", second)
			start := time.Now()
			g.Forget("key")
			lists(t, g,
				flight{Key: "key", State: singleflight.Cancelled, Forgotten: true, Since: start},
				flight{Key: "key", Callers: 1, State: singleflight.Waiting, Forgotten: true, Since: start})
			first.returns(1)
			sleep(time.Second)
			byDoContext.call(g, t.Context(), "key", third)
			lists(t, g,
				flight{Key: "key", Callers: 1, Forgotten: true, Since: start},
				flight{Key: "key", Callers: 1, Since: time.Now()})
			second.returns(2)
			third.returns(3)
		})
	})
}

func TestSinceIsWhenTheSecondCallerJoined(t *testing.T) {
	// Of a flight that runs on its leader's goroutine.
	eachPair(t, runningHere, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leads.call(&g, t.Context(), "key", j)
		sleep(time.Second)
		joins.call(&g, t.Context(), "key", newJob())
		since := time.Now()
		sleep(time.Second)
		joins.call(&g, t.Context(), "key", newJob())
		sleep(time.Second)
		lists(t, &g, flight{Key: "key", Callers: 3, Since: since})
		lists(t, &g, flight{Key: "key", Callers: 3, Since: since})
		j.returns(7)
	})
}

func TestSinceIsWhenInFlightFirstListedIt(t *testing.T) {
	// Of a flight that runs on its leader's goroutine.
	eachPair(t, runningHere, ways, func(t *testing.T, leads, joins way) {
		var g group
		// The spares that a flight leaves behind have no age.
		for range 2 {
			j := newJob()
			leads.call(&g, t.Context(), "key", j)
			sleep(time.Second)
			since := time.Now()
			lists(t, &g, flight{Key: "key", Callers: 1, Since: since})
			sleep(time.Second)
			lists(t, &g, flight{Key: "key", Callers: 1, Since: since})
			joins.call(&g, t.Context(), "key", newJob())
			sleep(time.Second)
			lists(t, &g, flight{Key: "key", Callers: 2, Since: since})
			j.returns(7)
			sleep(time.Second)
		}
		for range 2 {
			j := newJob()
			leads.call(&g, t.Context(), "key", j)
			lists(t, &g, flight{Key: "key", Callers: 1, Since: time.Now()})
			j.returns(7)
			sleep(time.Second)
		}
	})
}

func TestInFlightListsLongestKnownFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		r := rand.New(rand.NewPCG(1, 2))
		var jobs []*job
		known := make(map[string]time.Time)
		names := make([]string, 40)
		for i := range names {
			names[i] = string(rune('A'+i/10)) + string(rune('0'+i%10))
			j := newJob()
			jobs = append(jobs, j)
			byDo.call(&g, nil, names[i], j)
		}
		// They become known in an order that is neither that of the keys nor that of the calls.
		r.Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
		for _, name := range names[:30] {
			byDo.call(&g, nil, name, newJob())
			known[name] = time.Now()
			sleep(time.Second)
		}
		list := g.InFlight()
		if len(list) != 40 {
			t.Errorf("InFlight lists %d flights of 40", len(list))
		}
		if !slices.IsSortedFunc(list, func(a, b flight) int { return a.Since.Compare(b.Since) }) {
			t.Error("InFlight isn't sorted by Since")
		}
		for _, f := range list {
			want, shared := known[f.Key]
			if !shared {
				want = time.Now()
			}
			if !f.Since.Equal(want) {
				t.Errorf("%s: Since is %v, want %v", f.Key, f.Since, want)
			}
		}
		for _, j := range jobs {
			j.returns(0)
		}
	})
}

func TestInFlightIsASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		j := newJob()
		byDo.call(&g, nil, "key", j)
		list := g.InFlight()
		want := list[0]
		byDo.call(&g, nil, "key", newJob())
		g.Forget("key")
		j.returns(7)
		if list[0] != want {
			t.Errorf("the snapshot became %+v, was %+v", list[0], want)
		}
		// Nor does the group see what is done to it.
		j = newJob()
		byDo.call(&g, nil, "key", j)
		list = g.InFlight()
		list[0] = flight{}
		lists(t, &g, flight{Key: "key", Callers: 1, Since: time.Now()})
		j.returns(7)
	})
}

func TestInFlightFromInsideAFlight(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		j := newJob()
		c := w.call(&g, t.Context(), "key", j)
		j.lands(func() (int, error) {
			counts(t, &g, singleflight.Stats{Calls: 1, Flights: 1, InFlight: 1})
			lists(t, &g, flight{Key: "key", Callers: 1, Since: time.Now()})
			return 7, nil
		})
		c.got(t, answer{Val: 7, Leader: true})
	})
}

func TestInFlightListsKeysThatEqualNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g singleflight.Group[float64, int]
		j := newJob()
		for range 3 {
			g.DoChan(math.NaN(), j.plain)
		}
		synctest.Wait()
		list := g.InFlight()
		if len(list) != 3 || slices.ContainsFunc(list, func(f singleflight.Flight[float64]) bool { return !math.IsNaN(f.Key) }) {
			t.Errorf("InFlight lists %+v, want 3 flights of NaN", list)
		}
		if got, want := g.Stats(), (singleflight.Stats{Calls: 3, Flights: 3, InFlight: 3}); got != want {
			t.Errorf("Stats is %+v, want %+v", got, want)
		}
		for range 3 {
			j.returns(0)
		}
		if got, want := g.Stats(), (singleflight.Stats{Calls: 3, Flights: 3}); got != want {
			t.Errorf("Stats is %+v, want %+v", got, want)
		}
	})
}

func TestInFlightOfABurst(t *testing.T) {
	// Every flight is listed once, however many there are.
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		var g singleflight.Group[int, int]
		j := newJob()
		for key := range n {
			g.DoChan(key, j.plain)
		}
		synctest.Wait()
		list := g.InFlight()
		slices.SortFunc(list, func(a, b singleflight.Flight[int]) int { return cmp.Compare(a.Key, b.Key) })
		if len(list) != n {
			t.Fatalf("InFlight lists %d flights of %d", len(list), n)
		}
		for key, f := range list {
			if f.Key != key || f.Callers != 1 {
				t.Fatalf("flight %d is %+v", key, f)
			}
		}
		for range n {
			j.end <- func() (int, error) { return 0, nil }
		}
		synctest.Wait()
		if list := g.InFlight(); len(list) != 0 {
			t.Errorf("after the landings InFlight lists %d flights", len(list))
		}
	})
}
