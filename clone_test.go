package singleflight_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

// A journal records the calls of a Clone.
type journal struct {
	mu     sync.Mutex
	given  []*int
	made   []*int
	places []string // the goroutines
}

func (j *journal) clone(v *int) *int {
	c := new(int)
	*c = *v
	j.mu.Lock()
	defer j.mu.Unlock()
	j.given = append(j.given, v)
	j.made = append(j.made, c)
	j.places = append(j.places, goroutine())
	return c
}

// A holder is a call of a group of pointers, and what came of it.
type holder struct {
	place  string // its goroutine
	result chan singleflight.Result[*int]
}

// hold makes a call on a goroutine of its own.
func hold(t *testing.T, w way, g *singleflight.Group[string, *int], fn func() (*int, error)) holder {
	place := make(chan string, 1)
	h := holder{result: make(chan singleflight.Result[*int], 1)}
	go func() {
		place <- goroutine()
		h.result <- enter(w, g, t.Context(), "key", fn)
	}()
	h.place = <-place
	synctest.Wait()
	return h
}

// Clause 21: Clone is called once for each caller of a shared result, the
// leader included, for blocking callers on their own goroutines. No two
// callers hold the same value, and nobody holds the one that fn returned
// (MikkoParkkola/trvl#40).
func TestCloneGivesEachCallerItsOwn(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var clones journal
		g := singleflight.New(singleflight.Options[string, *int]{Clone: clones.clone})
		end := make(chan *int)
		fn := func() (*int, error) { return <-end, nil }
		holders := []holder{hold(t, leads, g, fn)}
		for range 3 {
			holders = append(holders, hold(t, joins, g, nil))
		}
		original := new(int)
		*original = 7
		end <- original
		var held, places, blocking []string
		for i, h := range holders {
			r := <-h.result
			if r.Val == nil || *r.Val != 7 || r.Err != nil || !r.Shared {
				t.Fatalf("a caller got %+v", r)
			}
			if r.Val == original {
				t.Error("a caller holds the original")
			}
			held = append(held, fmt.Sprint(r.Val))
			if w := []way{leads, joins}[min(i, 1)]; !w.channel {
				blocking = append(blocking, h.place)
			}
		}
		synctest.Wait()
		var made []string
		for i := range clones.made {
			if clones.given[i] != original {
				t.Error("Clone was given another value than the original")
			}
			made = append(made, fmt.Sprint(clones.made[i]))
			places = append(places, clones.places[i])
		}
		slices.Sort(held)
		slices.Sort(made)
		if !slices.Equal(held, made) {
			t.Errorf("the callers hold %v, Clone made %v", held, made)
		}
		for _, place := range blocking {
			i := slices.Index(places, place)
			if i < 0 {
				t.Error("a blocking caller's copy was made on another goroutine")
				continue
			}
			places = slices.Delete(places, i, i+1)
		}
		for i, h := range holders {
			if w := []way{leads, joins}[min(i, 1)]; w.channel && slices.Contains(places, h.place) {
				t.Error("a channel caller's copy was made on the goroutine that receives it")
			}
		}
	})
}

// Clause 21: Clone isn't called for a result that isn't shared, nor with an
// error; a value beside an error is passed on as it is.
func TestCloneIsForSharedValuesOnly(t *testing.T) {
	clone := func(v *int) *int {
		t.Error("Clone is called")
		return v
	}
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, *int]{Clone: clone})
		v := new(int)
		if r := enter(leads, g, t.Context(), "key", constant(v)); r.Val != v || r.Shared {
			t.Errorf("an unshared call got %+v, want the original", r)
		}
		end := make(chan bool)
		fn := func() (*int, error) {
			<-end
			return v, errFlight
		}
		leader := hold(t, leads, g, fn)
		joiner := hold(t, joins, g, nil)
		end <- true
		for _, h := range []holder{leader, joiner} {
			if r := <-h.result; r.Val != v || r.Err != errFlight || !r.Shared {
				t.Errorf("a caller got %+v, want the value beside the error", r)
			}
		}
	})
}

// Clause 21: nor is it called when a shared flight panics or exits.
func TestCloneIsNotForPanicsAndGoexits(t *testing.T) {
	for _, end := range endings[2:] {
		t.Run(end.name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				g := singleflight.New(singleflight.Options[string, int]{
					Recover: true,
					Clone: func(v int) int {
						t.Error("Clone is called")
						return v
					},
				})
				j := newJob()
				leads.call(g, t.Context(), "key", j)
				joins.call(g, t.Context(), "key", newJob())
				end.of(j)
			})
		})
	}
}

// Clause 21: no copy is made while another caller may change the original. It
// is the race detector that fails this test, so it isn't in a bubble.
func TestNoCopyIsMadeWhileACallerChangesItsOwn(t *testing.T) {
	g := singleflight.New(singleflight.Options[string, []int]{Clone: slices.Clone[[]int]})
	var goroutines sync.WaitGroup
	for i := range 6 {
		goroutines.Go(func() {
			for range 100 {
				r := enter(ways[i%len(ways)], g, t.Context(), "key", func() ([]int, error) {
					for range 10 {
						runtime.Gosched()
					}
					return []int{1, 2, 3}, nil
				})
				if !slices.Equal(r.Val, []int{1, 2, 3}) {
					t.Errorf("a caller got %v", r.Val)
				}
				for k := range r.Val {
					r.Val[k] = -i
				}
			}
		})
	}
	goroutines.Wait()
}

// failing is a Clone that fails for its nth call only, by end.
func failing(nth int, end func()) func(int) int {
	var mu sync.Mutex
	calls := 0
	return func(v int) int {
		mu.Lock()
		calls++
		fails := calls == nth
		mu.Unlock()
		if fails {
			end()
		}
		return v
	}
}

// unharmed fails the test unless all but one of the answers are as they would
// be without a failing Clone. It returns that one.
func unharmed(t *testing.T, callers []caller) answer {
	t.Helper()
	var harmed []answer
	for i, c := range callers {
		a, ok := c.poll()
		if !ok {
			t.Error("a caller still waits")
		}
		if want := (answer{Val: 1, Shared: true, Leader: i == 0 && c.channel != nil}); a != want {
			harmed = append(harmed, a)
		}
	}
	if len(harmed) != 1 {
		t.Fatalf("%d callers were harmed, want 1: %+v", len(harmed), harmed)
	}
	return harmed[0]
}

// Clause 21: a panic in Clone concerns its caller alone. It is a blocking
// caller's own, with Recover too, and as it was raised.
func TestPanicInCloneIsOneBlockingCallersOwn(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		t.Run(fmt.Sprintf("Recover=%v", recovers), func(t *testing.T) {
			eachPair(t, blockingWays, blockingWays, func(t *testing.T, leads, joins way) {
				for nth := 1; nth <= 3; nth++ {
					g := singleflight.New(singleflight.Options[string, int]{
						Recover: recovers,
						Clone:   failing(nth, func() { panic("boom") }),
					})
					j := newJob()
					callers := []caller{
						leads.call(g, t.Context(), "key", j),
						joins.call(g, t.Context(), "key", newJob()),
						joins.call(g, t.Context(), "key", newJob()),
					}
					j.returns(1)
					if a := unharmed(t, callers); a != (answer{Panic: "boom"}) {
						t.Errorf("the caller got %+v", a)
					}
					alone(t, g, "key")
				}
			})
		})
	}
}

// Clause 21: a Goexit in Clone ends one blocking caller's goroutine, with
// Recover too.
func TestGoexitInCloneIsOneBlockingCallersOwn(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		t.Run(fmt.Sprintf("Recover=%v", recovers), func(t *testing.T) {
			eachPair(t, blockingWays, blockingWays, func(t *testing.T, leads, joins way) {
				for nth := 1; nth <= 3; nth++ {
					g := singleflight.New(singleflight.Options[string, int]{
						Recover: recovers,
						Clone:   failing(nth, runtime.Goexit),
					})
					j := newJob()
					callers := []caller{
						leads.call(g, t.Context(), "key", j),
						joins.call(g, t.Context(), "key", newJob()),
						joins.call(g, t.Context(), "key", newJob()),
					}
					j.returns(1)
					if a := unharmed(t, callers); a != (answer{Exited: true}) {
						t.Errorf("the caller got %+v", a)
					}
					alone(t, g, "key")
				}
			})
		})
	}
}

// channelWays are the ways of channel callers.
var channelWays = []way{byDoChan, byDoChanContext, byEndlessDoChanContext}

// Clause 21: for a channel caller a failing Clone is as if the function had
// failed, but for this caller alone: it receives ErrGoexit, with or without
// Recover, or with Recover its own *PanicError, with the zero value. A leader
// of Do and the other channel callers get their copies.
func TestFailingCloneForAChannelCaller(t *testing.T) {
	for _, fails := range []struct {
		name    string
		recover bool
		end     func()
		panics  bool
	}{
		{"Goexit", false, runtime.Goexit, false},
		{"Goexit under Recover", true, runtime.Goexit, false},
		{"panic under Recover", true, func() { explode("boom") }, true},
		{"panic during Goexit under Recover", true, func() { defer explode("boom"); runtime.Goexit() }, true},
	} {
		t.Run(fails.name, func(t *testing.T) {
			eachPair(t, ways, channelWays, func(t *testing.T, leads, joins way) {
				for nth := 1; nth <= 4; nth++ {
					g := singleflight.New(singleflight.Options[string, int]{
						Recover: fails.recover,
						Clone:   failing(nth, fails.end),
					})
					j := newJob()
					callers := []caller{leads.call(g, t.Context(), "key", j)}
					for range 3 {
						callers = append(callers, joins.call(g, t.Context(), "key", newJob()))
					}
					j.returns(1)
					a := unharmed(t, callers)
					if nth == 4 && !leads.channel {
						// The leader's own, since the channel callers are served before.
						if a.Shared || !a.Exited && a.Panic == nil {
							t.Errorf("the leader got %+v", a)
						}
						continue
					}
					if !a.Shared || a.Val != 0 {
						t.Errorf("the caller got %+v, want the zero value, shared", a)
					}
					p, panicked := a.Err.(*singleflight.PanicError)
					switch {
					case fails.panics && (!panicked || p.Value != "boom" || !strings.Contains(string(p.Stack), "explode")):
						t.Errorf("the caller got the error %v, want the panic", a.Err)
					case !fails.panics && a.Err != singleflight.ErrGoexit:
						t.Errorf("the caller got the error %v, want ErrGoexit", a.Err)
					}
					alone(t, g, "key")
				}
			})
		})
	}
}

// Clause 21: when Clone fails for all channel callers, each gets a *PanicError
// of its own.
func TestFailingCloneForAllChannelCallers(t *testing.T) {
	eachPair(t, ways, channelWays, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{
			Recover: true,
			Clone:   func(int) int { v, _ := explode("boom"); return v },
		})
		j := newJob()
		callers := []caller{leads.call(g, t.Context(), "key", j)}
		for range 3 {
			callers = append(callers, joins.call(g, t.Context(), "key", newJob()))
		}
		j.returns(1)
		seen := make(map[error]bool)
		for _, c := range callers {
			a, _ := c.poll()
			if c.channel == nil {
				if a != (answer{Panic: "boom"}) {
					t.Errorf("the leader got %+v", a)
				}
				continue
			}
			if _, ok := a.Err.(*singleflight.PanicError); !ok || seen[a.Err] || a.Val != 0 {
				t.Errorf("a caller got %+v", a)
			}
			seen[a.Err] = true
		}
	})
}

// Clause 21: a caller that detached holds nothing, so no copy is made for it.
func TestCloneIsNotForCallersThatDetached(t *testing.T) {
	eachPair(t, ways, detaching, func(t *testing.T, leads, leaves way) {
		var copies atomic.Int32
		g := singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int {
			copies.Add(1)
			return v
		}})
		ctx, cancel := context.WithCancel(t.Context())
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		left := leaves.call(g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		j.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		left.got(t, answer{Err: context.Canceled})
		if n := copies.Load(); n != 1 {
			t.Errorf("%d copies were made, want the leader's only", n)
		}
	})
}
