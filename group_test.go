package singleflight_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

// Clause 1: callers of all entry points share one table, and one flight.
// Clause 3: shared is true for every caller of a flight that was joined, the
// leader included, so it doesn't tell who was spared the work
// (golang/go#74880); Leader does.
func TestCallersOfAllEntryPointsShareOneFlight(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j, unwanted := newJob(), newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		first := joins.call(&g, t.Context(), "key", unwanted)
		second := joins.call(&g, t.Context(), "key", unwanted)
		leader.waits(t)
		first.waits(t)
		j.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		first.got(t, answer{Val: 1, Shared: true})
		second.got(t, answer{Val: 1, Shared: true})
		if n, m := j.ran(), unwanted.ran(); n != 1 || m != 0 {
			t.Errorf("the leader's function ran %d times, those of the others %d times", n, m)
		}
		alone(t, &g, "key")
	})
}

// Clause 1: an error is an outcome like any other, and a value beside it is
// kept.
func TestCallersShareAnError(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		joiner := joins.call(&g, t.Context(), "key", newJob())
		j.lands(func() (int, error) { return 2, errFlight })
		leader.got(t, answer{Val: 2, Err: errFlight, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 2, Err: errFlight, Shared: true})
		alone(t, &g, "key")
	})
}

// Clause 1: flights of other keys and of other groups are others.
func TestFlightsOfOtherKeysAndGroupsRunBeside(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, w, beside way) {
		var g, other group
		j, otherKey, otherGroup := newJob(), newJob(), newJob()
		first := w.call(&g, t.Context(), "key", j)
		second := beside.call(&g, t.Context(), "other key", otherKey)
		third := beside.call(&other, t.Context(), "key", otherGroup)
		otherGroup.returns(3)
		otherKey.returns(2)
		j.returns(1)
		first.got(t, answer{Val: 1, Leader: true})
		second.got(t, answer{Val: 2, Leader: true})
		third.got(t, answer{Val: 3, Leader: true})
	})
}

// crowd makes many calls of all ways with few keys at once, some of which
// detach, each through call.
func crowd(t *testing.T, g *singleflight.Group[int, int], keys int, fn func(key int) int, call func(key int, call func() (int, error))) {
	var goroutines sync.WaitGroup
	for range 8 {
		goroutines.Go(func() {
			for range 1000 {
				key := rand.IntN(keys)
				w := ways[rand.IntN(len(ways))]
				ctx, cancel := context.WithCancel(t.Context())
				if w.detaches && rand.IntN(3) == 0 {
					go cancel()
				}
				call(key, func() (int, error) {
					r := enter(w, g, ctx, key, func() (int, error) { return fn(key), nil })
					return r.Val, r.Err
				})
				cancel()
			}
		})
	}
	goroutines.Wait()
	if err := g.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// Clause 1: at most one flight per key runs at a time, also where callers
// detach and flights are cancelled (janos/singleflight#4).
func TestNoTwoFlightsOfOneKeyRunAtOnce(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		t.Run("CancelAbandoned="+strconv.FormatBool(cancels), func(t *testing.T) {
			g := singleflight.New(singleflight.Options[int, int]{CancelAbandoned: cancels})
			var running [3]atomic.Int32
			crowd(t, g, len(running), func(key int) int {
				if n := running[key].Add(1); n != 1 {
					t.Errorf("%d functions of key %d run at once", n, key)
				}
				runtime.Gosched()
				running[key].Add(-1)
				return key
			}, func(key int, call func() (int, error)) {
				if v, err := call(); err == nil && v != key {
					t.Errorf("a call with key %d got %d", key, v)
				}
			})
		})
	}
}

// Clause 1: all calls share one table, also those that come first and at the
// same time: the group makes it then.
func TestFirstCallsOfAGroupShareItsTable(t *testing.T) {
	const callers = 4
	rounds := 2000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		var g group
		var goroutines sync.WaitGroup
		start := make(chan bool)
		for i := range callers {
			goroutines.Go(func() {
				<-start
				enter(ways[i], &g, t.Context(), "key", constant(1))
			})
		}
		close(start)
		goroutines.Wait()
		if stats := g.Stats(); stats.Calls != callers {
			t.Fatalf("after %d calls: %+v", callers, stats)
		}
	}
}

// Clause 2: a call that begins after any caller has returned with an outcome
// never gets that outcome (data-accelerator/dart#69).
func TestNoLaterCallGetsAnOldOutcome(t *testing.T) {
	var g singleflight.Group[int, int]
	var drawn atomic.Int64
	var returned [2]atomic.Int64 // by key, the newest outcome that a caller has returned with
	crowd(t, &g, len(returned), func(int) int {
		return int(drawn.Add(1))
	}, func(key int, call func() (int, error)) {
		newest := returned[key].Load()
		v, err := call()
		if err != nil {
			return
		}
		if int64(v) <= newest {
			t.Errorf("a call got outcome %d after another had returned with %d", v, newest)
		}
		for old := returned[key].Load(); old < int64(v); old = returned[key].Load() {
			returned[key].CompareAndSwap(old, int64(v))
		}
	})
}

// Clause 2: the key leaves the table before anyone is woken. Clone shows it:
// it runs on the goroutines that were woken, and before each Result is sent.
func TestKeyLeavesTheTableBeforeAnyoneIsWoken(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g *group
		var one sync.Mutex // so that the copying callers don't join each other
		g = singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int {
			one.Lock()
			defer one.Unlock()
			alone(t, g, "key")
			return v
		}})
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		j.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 1, Shared: true})
	})
}

// Clause 3: shared is false for a caller that nobody joined.
func TestCallerAloneSharesNothing(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		for v := range 3 {
			j := newJob()
			c := w.call(&g, t.Context(), "key", j)
			c.waits(t)
			j.returns(v)
			c.got(t, answer{Val: v, Leader: true})
		}
		j := newJob()
		c := w.call(&g, t.Context(), "key", j)
		j.lands(func() (int, error) { return 5, errFlight })
		c.got(t, answer{Val: 5, Err: errFlight, Leader: true})
	})
}

// Clause 3: a caller that detached gets false. Those that stay share the
// flight with it, since it had joined or was joined.
func TestDetachedCallerSharesNothing(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		for _, leaves := range []string{"leader", "joiner"} {
			leaderCtx, joinerCtx := t.Context(), t.Context()
			j := newJob()
			var cancel context.CancelFunc
			if leaves == "leader" {
				leaderCtx, cancel = context.WithCancel(t.Context())
			} else {
				joinerCtx, cancel = context.WithCancel(t.Context())
			}
			leader := leads.call(&g, leaderCtx, "key", j)
			joiner := joins.call(&g, joinerCtx, "key", newJob())
			cancel()
			synctest.Wait()
			wantLeader := answer{Val: 1, Shared: true, Leader: true}
			wantJoiner := answer{Val: 1, Shared: true}
			if leaves == "leader" && leads.detaches {
				wantLeader = answer{Err: context.Canceled}
			}
			if leaves == "joiner" && joins.detaches {
				wantJoiner = answer{Err: context.Canceled}
			}
			j.returns(1)
			leader.got(t, wantLeader)
			joiner.got(t, wantJoiner)
		}
	})
}

// Clause 4: Do runs fn on the leader's own goroutine.
func TestDoRunsOnTheGoroutineOfItsLeader(t *testing.T) {
	var g singleflight.Group[string, string]
	here := goroutine()
	for range 2 {
		there, _, _ := g.Do("key", func() (string, error) { return goroutine(), nil })
		if there != here {
			t.Errorf("fn runs on goroutine %s, its leader on %s", there, here)
		}
	}
}

// Clause 4: DoChan runs fn on a new goroutine, and doesn't wait for it.
func TestDoChanRunsOnANewGoroutine(t *testing.T) {
	var g group
	seen := map[string]bool{goroutine(): true}
	end := make(chan bool)
	for _, key := range []string{"a", "b", "c"} {
		started := make(chan string, 1)
		g.DoChan(key, func() (int, error) {
			started <- goroutine()
			<-end
			return 0, nil
		})
		there := <-started
		if seen[there] {
			t.Errorf("fn runs on goroutine %s, which isn't new", there)
		}
		seen[there] = true
	}
	close(end)
	if err := g.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// Clause 4: whatever ways they came by, and however many have left.
func TestEachOfACrowdOfChannelCallersGetsItsResult(t *testing.T) {
	sizes := []int{3, 4, 5, 12, 13, 28, 29, 600}
	if testing.Short() {
		sizes = []int{5, 13, 40}
	}
	for _, callers := range sizes {
		for _, clone := range []func(int) int{nil, func(v int) int { return v + 1 }} {
			eachWay(t, ways, func(t *testing.T, leads way) {
				g := singleflight.New(singleflight.Options[string, int]{Clone: clone})
				order := rand.New(rand.NewPCG(1, uint64(callers)))
				want := answer{Val: 7, Shared: true}
				if clone != nil {
					want.Val = 8
				}
				for range 2 { // the second time with what is used again
					j := newJob()
					leader := leads.call(g, t.Context(), "key", j)
					leaving, leave := context.WithCancel(t.Context())
					var stay, left []caller
					for range callers {
						switch w := []way{byDoChan, byDoChanContext, byEndlessDoChanContext}[order.IntN(3)]; order.IntN(4) {
						case 0:
							left = append(left, byDoChanContext.call(g, leaving, "key", newJob()))
						default:
							stay = append(stay, w.call(g, t.Context(), "key", newJob()))
						}
					}
					leave()
					synctest.Wait()
					j.returns(7)
					synctest.Wait()
					for _, c := range stay {
						c.got(t, want)
						c.waits(t)
					}
					for _, c := range left {
						c.got(t, answer{Err: context.Canceled})
						c.waits(t)
					}
					want := want
					want.Leader = true
					leader.got(t, want)
				}
			})
		}
	}
}

// Clause 4: the channel has room for one Result, receives exactly one, and is
// never closed.
func TestChannelReceivesExactlyOneResult(t *testing.T) {
	for _, end := range endings {
		t.Run(end.name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				g := singleflight.New(singleflight.Options[string, int]{Recover: true})
				j := newJob()
				callers := []caller{
					leads.call(g, t.Context(), "key", j),
					joins.call(g, t.Context(), "key", newJob()),
				}
				end.of(j)
				for _, c := range callers {
					if c.channel == nil {
						continue
					}
					if cap(c.channel) != 1 || len(c.channel) != 1 {
						t.Errorf("a channel with room for %d holds %d Results", cap(c.channel), len(c.channel))
					}
					<-c.channel
					synctest.Wait()
					select {
					case r, ok := <-c.channel:
						t.Errorf("after its Result a channel yields %+v, %v", r, ok)
					default:
					}
				}
			})
		})
	}
}

// Clause 5: everything fn did happens before any caller's return with its
// outcome, and before a later flight of the same key runs. It is the race
// detector that fails this test, so it isn't in a bubble, which orders more
// than it looks.
func TestFunctionHappensBeforeReturnsAndLaterFlights(t *testing.T) {
	for _, leads := range ways {
		for _, joins := range ways {
			t.Run(leads.name+" and "+joins.name, func(t *testing.T) {
				var g singleflight.Group[string, *int]
				flights := 0
				fn := func() (*int, error) {
					flights++
					v := flights
					return &v, nil
				}
				var goroutines sync.WaitGroup
				for i := range 4 {
					w := leads
					if i%2 == 1 {
						w = joins
					}
					goroutines.Go(func() {
						last := 0
						for range 50 {
							v := *enter(w, &g, t.Context(), "key", fn).Val
							if v <= last {
								t.Errorf("flight %d comes after flight %d", v, last)
							}
							last = v
						}
					})
				}
				goroutines.Wait()
			})
		}
	}
}

// Clause 5: Results are sent to channel callers before a leader of Do returns,
// however the flight ends.
func TestResultsAreSentBeforeLeaderOfDoReturns(t *testing.T) {
	clone := func(v int) int {
		runtime.Gosched()
		return v
	}
	for name, opts := range map[string]singleflight.Options[string, int]{
		"as they are": {Recover: true},
		"copied":      {Recover: true, Clone: clone},
	} {
		for _, end := range endings {
			t.Run(name+"/"+end.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := singleflight.New(opts)
					for range 20 {
						resultsAreSentBeforeLeaderReturns(t, g, end)
					}
				})
			})
		}
	}
}

func resultsAreSentBeforeLeaderReturns(t *testing.T, g *group, end ending) {
	j := newJob()
	var channels []<-chan singleflight.Result[int]
	go func() {
		defer func() { // so that Goexit comes by
			for i, ch := range channels {
				if len(ch) != 1 {
					t.Errorf("channel %d of %d is empty", i, len(channels))
				}
			}
		}()
		g.Do("key", func() (int, error) {
			for range 5 {
				for _, w := range ways {
					if w.channel {
						channels = append(channels, open(w, g, t.Context(), "key", j.plain))
					}
				}
			}
			return j.plain()
		})
	}()
	end.of(j)
	if len(channels) == 0 {
		t.Error("the test has no channels")
	}
}
