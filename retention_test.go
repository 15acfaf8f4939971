package singleflight_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/seed-737f55c4/singleflight"
)

// An object stands for a key, a value, an error or whatever a function or a
// context refers to.
type object struct {
	name string
	_    [64]byte
}

func (o *object) Error() string { return o.name }

// objects are those that a test made and that are to be collected.
type objects struct {
	mu   sync.Mutex
	weak map[string]weak.Pointer[object]
}

func (os *objects) add(format string, args ...any) *object {
	o := &object{name: fmt.Sprintf(format, args...)}
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.weak == nil {
		os.weak = make(map[string]weak.Pointer[object])
	}
	os.weak[o.name] = weak.Make(o)
	return o
}

// collected fails the test unless all objects are collected in the end.
func (os *objects) collected(t *testing.T) {
	t.Helper()
	os.mu.Lock()
	defer os.mu.Unlock()
	if len(os.weak) == 0 {
		t.Error("the test has no objects")
	}
	for range 20 {
		runtime.GC()
		for name, w := range os.weak {
			if w.Value() == nil {
				delete(os.weak, name)
			}
		}
		if len(os.weak) == 0 {
			return
		}
		runtime.Gosched()
	}
	for name := range os.weak {
		t.Errorf("%s is kept", name)
	}
}

type objectGroup = singleflight.Group[*object, *object]

// outcomes are what a function of a retention test can end with.
var outcomes = []string{"value", "error", "panic", "Goexit"}

// ends makes an object for the outcome, and returns a function that ends with
// it and refers to another one.
func (os *objects) ends(who, outcome string, end <-chan bool) func() (*object, error) {
	captured := os.add("captured object of the %s's function, %s", who, outcome)
	result := os.add("result of the %s's function, %s", who, outcome)
	return func() (*object, error) {
		if end != nil {
			<-end
		}
		defer runtime.KeepAlive(captured)
		switch outcome {
		case "value":
			return result, nil
		case "error":
			return result, result
		case "panic":
			panic(result)
		default:
			runtime.Goexit()
			return result, nil
		}
	}
}

// context returns a context that refers to an object.
func (os *objects) context(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, contextKey("object"), os.add("context of the %s", who))
}

// A lateContext lets nobody watch it before it is told to.
type lateContext struct {
	context.Context
	watched <-chan bool
}

func (c lateContext) AfterFunc(func()) (stop func() bool) {
	<-c.watched
	return func() bool { return true }
}

// Clause 24: a flight that is kept by its context doesn't keep the channel of a
// leader whose context is watched from the landing on.
func TestLandedFlightKeepsNoLateWatch(t *testing.T) {
	var kept context.Context
	var all objects
	synctest.Test(t, func(t *testing.T) {
		var g objectGroup
		watched := make(chan bool)
		go g.DoChanContext(lateContext{newForeignContext(t.Context()), watched}, all.add("key"), func(ctx context.Context) (*object, error) {
			kept = ctx
			return all.add("value"), nil
		})
		synctest.Wait()
		close(watched)
	})
	all.collected(t)
	runtime.KeepAlive(kept)
}

// Clause 24: once a flight has landed, the group keeps no reference to its
// key, value, error, functions or contexts, whatever way the callers came.
func TestLandedFlightIsNotKept(t *testing.T) {
	var kept []*objectGroup
	var all objects
	for _, outcome := range outcomes {
		for _, leads := range ways {
			for _, joins := range append(ways, way{name: "nobody"}) {
				name := leads.name + "/" + joins.name
				synctest.Test(t, func(t *testing.T) {
					g := singleflight.New(singleflight.Options[*object, *object]{Recover: true})
					kept = append(kept, g)
					key := all.add("key, %s, %s", name, outcome)
					end := make(chan bool)
					go enter(leads, g, all.context(t.Context(), "leader, "+name), key, all.ends("leader, "+name, outcome, end))
					synctest.Wait()
					if joins.name != "nobody" {
						go enter(joins, g, all.context(t.Context(), "joiner, "+name), key, all.ends("joiner, "+name, outcome, nil))
						synctest.Wait()
					}
					close(end)
					synctest.Wait()
				})
			}
		}
	}
	all.collected(t)
	runtime.KeepAlive(kept)
}

// Clause 24: also while the callers' contexts live on, as that of a server
// does.
func TestLandedFlightIsNotKeptByContextsOfCallers(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all objects
	for _, outcome := range outcomes {
		for _, leads := range ways {
			for _, joins := range ways {
				name := leads.name + "/" + joins.name
				g := singleflight.New(singleflight.Options[*object, *object]{Recover: true})
				key := all.add("key, %s, %s", name, outcome)
				end, joined := make(chan bool), make(chan bool)
				var callers sync.WaitGroup
				callers.Go(func() {
					enter(leads, g, ctx, key, func() (*object, error) {
						close(joined)
						return all.ends("leader, "+name, outcome, end)()
					})
				})
				<-joined
				callers.Go(func() {
					enter(joins, g, ctx, key, all.ends("joiner, "+name, outcome, nil))
				})
				close(end)
				callers.Wait()
				if err := g.Wait(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	}
	all.collected(t)
	runtime.KeepAlive(ctx)
}

// lead starts a flight whose function is given a context, and waits until that
// runs.
func lead(t *testing.T, leads way, g *objectGroup, key *object, fn func(context.Context) (*object, error)) {
	ctx := t.Context()
	if !leads.detaches {
		ctx = context.WithoutCancel(ctx)
	}
	if leads.channel {
		g.DoChanContext(ctx, key, fn)
	} else {
		go g.DoContext(ctx, key, fn)
	}
	synctest.Wait()
}

// Clause 24: also when somebody keeps the flight's context, or one derived
// from it. That keeps the values of the leader's context, since it has them.
func TestLandedFlightIsNotKeptByItsContext(t *testing.T) {
	var contexts []context.Context
	var all objects
	for _, opts := range []singleflight.Options[*object, *object]{
		{Recover: true},
		{Recover: true, FlightTimeout: 1e18, CancelAbandoned: true},
		{Recover: true, Trace: new(singleflight.Trace[*object])},
	} {
		for _, outcome := range outcomes {
			for _, leads := range bound {
				for _, joins := range append(ways, way{name: "nobody"}) {
					name := leads.name + "/" + joins.name
					synctest.Test(t, func(t *testing.T) {
						g := singleflight.New(opts)
						key := all.add("key, %s, %s", name, outcome)
						end := make(chan bool)
						fn := all.ends("leader, "+name, outcome, end)
						keep := func(ctx context.Context) (*object, error) {
							child, cancel := context.WithCancel(ctx)
							context.AfterFunc(ctx, cancel)
							contexts = append(contexts, ctx, child)
							return fn()
						}
						lead(t, leads, g, key, keep)
						if joins.name != "nobody" {
							go enter(joins, g, all.context(t.Context(), "joiner, "+name), key, all.ends("joiner, "+name, outcome, nil))
							synctest.Wait()
						}
						close(end)
						synctest.Wait()
					})
				}
			}
		}
	}
	all.collected(t)
	runtime.KeepAlive(contexts)
}

// Clause 24: a flight's context that somebody keeps, or one derived from it,
// doesn't keep the group, whatever else the flight had.
func TestGroupIsNotKeptByContextsOfItsFlights(t *testing.T) {
	var groups []weak.Pointer[group]
	var contexts []context.Context
	keep := func(g *group, ctx context.Context, end <-chan bool) (int, error) {
		child, cancel := context.WithCancel(ctx)
		context.AfterFunc(ctx, cancel)
		contexts = append(contexts, ctx, child)
		g.DoContext(ctx, "key", nil) // so that the graph knows the flight
		<-end
		return 7, nil
	}
	for name, opts := range map[string]singleflight.Options[string, int]{
		"none":            {},
		"Trace":           {Trace: new(singleflight.Trace[string])},
		"CancelAbandoned": {CancelAbandoned: true},
		"FlightTimeout":   {FlightTimeout: 1e18},
		"ForgetAfter":     {ForgetAfter: 1e18},
		"Recover, Clone":  {Recover: true, Clone: func(v int) int { return v }},
		"all": {
			Trace: new(singleflight.Trace[string]), CancelAbandoned: true, FlightTimeout: 1e18, ForgetAfter: 1e18,
			Recover: true, Clone: func(v int) int { return v },
		},
	} {
		for _, leads := range bound {
			for _, joins := range append(ways, way{name: "nobody"}) {
				synctest.Test(t, func(t *testing.T) {
					g := singleflight.New(opts)
					groups = append(groups, weak.Make(g))
					ctx, cancel := context.WithCancel(t.Context())
					end := make(chan bool)
					call := func(ctx context.Context) {
						if !leads.detaches {
							ctx = context.WithoutCancel(ctx)
						}
						fn := func(ctx context.Context) (int, error) { return keep(g, ctx, end) }
						if leads.channel {
							g.DoChanContext(ctx, "key", fn)
						} else {
							go g.DoContext(ctx, "key", fn)
						}
						synctest.Wait()
					}
					call(ctx)
					if joins.name != "nobody" {
						go enter(joins, g, ctx, "key", nil)
						synctest.Wait()
					}
					if name == "none" || opts.CancelAbandoned {
						cancel()
						synctest.Wait()
						call(t.Context()) // joins, or leads a successor
					}
					close(end)
					synctest.Wait()
					cancel()
				})
			}
		}
	}
	for range 20 {
		runtime.GC()
	}
	kept := 0
	for _, g := range groups {
		if g.Value() != nil {
			kept++
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d groups are kept", kept, len(groups))
	}
	runtime.KeepAlive(contexts)
}

// Clause 24: nor does the group keep anything of a call that was refused, while
// the flight that refused it goes on.
func TestRefusedCallIsNotKept(t *testing.T) {
	for _, leads := range bound {
		for _, calls := range bound {
			t.Run(leads.name+"/"+calls.name, func(t *testing.T) {
				var all objects
				synctest.Test(t, func(t *testing.T) {
					g := new(objectGroup)
					key := new(object)
					end := make(chan bool)
					fn := func(ctx context.Context) (*object, error) {
						for range 3 {
							r := enter(calls, g, all.context(ctx, "refused"), key, all.ends("refused", "value", nil))
							if r.Err != singleflight.ErrDeadlock {
								t.Errorf("the call got %v", r.Err)
							}
						}
						<-end
						return nil, nil
					}
					lead(t, leads, g, key, fn)
					all.collected(t)
					close(end)
					synctest.Wait()
					runtime.KeepAlive(key)
				})
			})
		}
	}
}

// Clauses 16 and 24: nor of one that would have led a successor.
func TestRefusedSuccessorIsNotKept(t *testing.T) {
	for _, calls := range bound {
		t.Run(calls.name, func(t *testing.T) {
			var all objects
			synctest.Test(t, func(t *testing.T) {
				g := singleflight.New(singleflight.Options[*object, *object]{CancelAbandoned: true})
				key := new(object)
				ctx, cancel := context.WithCancel(t.Context())
				proceed, end := make(chan bool), make(chan bool)
				go g.DoContext(ctx, key, func(ctx context.Context) (*object, error) {
					<-proceed
					r := enter(calls, g, all.context(context.WithoutCancel(ctx), "refused"), key, all.ends("refused", "value", nil))
					if r.Err != singleflight.ErrDeadlock {
						t.Errorf("the call got %v", r.Err)
					}
					<-end
					return nil, nil
				})
				synctest.Wait()
				cancel()
				synctest.Wait()
				close(proceed)
				synctest.Wait()
				all.collected(t)
				if n := g.Stats().InFlight; n != 1 {
					t.Errorf("%d flights are in the air, want 1", n)
				}
				close(end)
				synctest.Wait()
				runtime.KeepAlive(key)
			})
		})
	}
}

// Clause 24: what a caller brought that has detached isn't kept after the
// landing either.
func TestLandedFlightDoesNotKeepCallersThatDetached(t *testing.T) {
	var kept []*objectGroup
	var contexts []context.Context
	var all objects
	for _, opts := range []singleflight.Options[*object, *object]{{}, {CancelAbandoned: true}} {
		for _, leads := range detaching {
			for _, joins := range detaching {
				name := leads.name + "/" + joins.name
				synctest.Test(t, func(t *testing.T) {
					g := singleflight.New(opts)
					kept = append(kept, g)
					ctx, cancel := context.WithCancel(t.Context())
					key := all.add("key, %s", name)
					end := make(chan bool)
					fn := all.ends("leader, "+name, "value", end)
					keep := func(ctx context.Context) (*object, error) {
						contexts = append(contexts, ctx)
						return fn()
					}
					if leads.channel {
						g.DoChanContext(ctx, key, keep)
					} else {
						go g.DoContext(ctx, key, keep)
					}
					synctest.Wait()
					go enter(joins, g, all.context(ctx, "joiner, "+name), key, all.ends("joiner, "+name, "value", nil))
					synctest.Wait()
					cancel()
					synctest.Wait()
					close(end)
					synctest.Wait()
				})
			}
		}
	}
	all.collected(t)
	runtime.KeepAlive(kept)
	runtime.KeepAlive(contexts)
}

// Clause 24: also where a flight and its callers were made of what is used
// again, and can't be used again themselves.
func TestWhatIsNotUsedAgainIsNotKept(t *testing.T) {
	var kept []*objectGroup
	var all objects
	for _, leads := range ways {
		for _, joins := range ways {
			synctest.Test(t, func(t *testing.T) {
				g := new(objectGroup)
				kept = append(kept, g)
				key := new(object) // one, since it is parts of the group that use things again
				g.Do(key, constant[*object](nil))
				for _, detaches := range []bool{false, true} {
					name := fmt.Sprintf("%s/%s, detaches: %v", leads.name, joins.name, detaches)
					ctx, cancel := context.WithCancel(t.Context())
					end := make(chan bool)
					go enter(leads, g, all.context(t.Context(), "leader, "+name), key, all.ends("leader, "+name, "value", end))
					synctest.Wait()
					go enter(joins, g, all.context(ctx, "joiner, "+name), key, all.ends("joiner, "+name, "value", nil))
					synctest.Wait()
					if detaches {
						cancel()
						synctest.Wait()
					}
					close(end)
					synctest.Wait()
					cancel()
				}
			})
		}
	}
	all.collected(t)
	runtime.KeepAlive(kept)
}

// Clause 24: also when somebody keeps the flight's context, and nobody receives
// the Results.
func TestResultsAreNotKeptByTheFlightsContext(t *testing.T) {
	var contexts []context.Context
	var all objects
	for _, leads := range bound {
		for _, joins := range channelWays {
			synctest.Test(t, func(t *testing.T) {
				var g objectGroup
				name := leads.name + "/" + joins.name
				key := new(object)
				end := make(chan bool)
				fn := all.ends("leader, "+name, "value", end)
				keep := func(ctx context.Context) (*object, error) {
					contexts = append(contexts, ctx)
					return fn()
				}
				lead(t, leads, &g, key, keep)
				open(joins, &g, t.Context(), key, nil)
				open(joins, &g, t.Context(), key, nil)
				close(end)
				synctest.Wait()
			})
		}
	}
	all.collected(t)
	runtime.KeepAlive(contexts)
}

// Clause 24: a cancelled flight that is kept by its context doesn't keep its
// successor's.
func TestCancelledFlightDoesNotKeepItsSuccessor(t *testing.T) {
	for _, leads := range detaching {
		t.Run(leads.name, func(t *testing.T) {
			var kept context.Context
			var all objects
			synctest.Test(t, func(t *testing.T) {
				g := singleflight.New(singleflight.Options[*object, *object]{CancelAbandoned: true})
				key := new(object)
				end := make(chan bool)
				ctx, cancel := context.WithCancel(t.Context())
				go g.DoContext(ctx, key, func(ctx context.Context) (*object, error) {
					kept = ctx
					<-end
					return nil, nil
				})
				synctest.Wait()
				cancel()
				synctest.Wait()
				go enter(leads, g, all.context(t.Context(), "successor's leader"), key, all.ends("successor's leader", "value", nil))
				synctest.Wait()
				close(end)
			})
			all.collected(t)
			runtime.KeepAlive(kept)
		})
	}
}

// Clause 24: a successor that was dropped counts as landed, although the
// flight that it waited for goes on.
func TestDroppedSuccessorIsNotKept(t *testing.T) {
	for _, leads := range detaching {
		for _, joins := range detaching {
			t.Run(leads.name+"/"+joins.name, func(t *testing.T) {
				var all objects
				synctest.Test(t, func(t *testing.T) {
					g := singleflight.New(singleflight.Options[*object, *object]{CancelAbandoned: true})
					key := new(object)
					end := make(chan bool)
					ctx, cancel := context.WithCancel(t.Context())
					go enter(byDoContext, g, ctx, key, func() (*object, error) {
						<-end
						return nil, nil
					})
					synctest.Wait()
					cancel()
					synctest.Wait()
					ctx, cancel = context.WithCancel(t.Context())
					go enter(leads, g, all.context(ctx, "leader"), key, all.ends("leader", "value", nil))
					synctest.Wait()
					go enter(joins, g, all.context(ctx, "joiner"), key, all.ends("joiner", "value", nil))
					synctest.Wait()
					cancel()
					synctest.Wait()
					all.collected(t)
					close(end)
					synctest.Wait()
					runtime.KeepAlive(key)
				})
			})
		}
	}
}

// Clause 24: a flight inside which another one was led or joined doesn't keep
// that when it has landed, while it flies on itself.
func TestNestedFlightIsNotKept(t *testing.T) {
	for _, leads := range ways {
		for _, joins := range ways {
			t.Run(leads.name+"/"+joins.name, func(t *testing.T) {
				var all objects
				synctest.Test(t, func(t *testing.T) {
					var g objectGroup
					end, nestedEnd := make(chan bool), make(chan bool)
					nested := all.add("key")
					fly := func(w way, who string) {
						go g.DoContext(t.Context(), new(object), func(ctx context.Context) (*object, error) {
							func() {
								go enter(w, &g, all.context(ctx, who), nested, all.ends(who, "value", nestedEnd))
							}()
							<-end
							return nil, nil
						})
						synctest.Wait()
					}
					fly(leads, "leader")
					fly(joins, "joiner")
					nested = nil
					close(nestedEnd)
					synctest.Wait()
					all.collected(t)
					close(end)
					synctest.Wait()
				})
			})
		}
	}
}

// heapInUse returns how many bytes are in use once the garbage is collected.
func heapInUse() int {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// small is what a group may keep of a burst.
const small = 128 << 10

// returned fails the test unless a group gives back the memory that a burst
// took. What a new group keeps again and again is the group's; what isn't kept
// again is the runtime's, which keeps goroutines to use them again.
func returned[K comparable](t *testing.T, burst func(g *singleflight.Group[K, int])) {
	t.Helper()
	returnedWith(t, singleflight.Options[K, int]{}, burst)
}

// returnedWith is returned for a group with options.
func returnedWith[K comparable](t *testing.T, opts singleflight.Options[K, int], burst func(g *singleflight.Group[K, int])) {
	t.Helper()
	// Nothing is to be collected meanwhile: that would walk deep stacks often.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	kept := 0
	for range 6 {
		g := singleflight.New(opts)
		before := heapInUse()
		burst(g)
		kept = heapInUse() - before
		runtime.KeepAlive(g)
		if kept <= small {
			return
		}
	}
	t.Errorf("%d bytes are kept after the burst", kept)
}

// Clause 24: after a burst the group returns the memory that the burst took.
// Each function makes the next call, so that all flights are in the air at
// once and only few goroutines are needed.
func TestBurstOfKeysReturnsItsMemory(t *testing.T) {
	const goroutines = 20
	for w, keys := range map[*way]int{&byDo: 5_000, &byEndlessDoContext: 2_000} { // per goroutine
		for _, forgotten := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/forgotten=%v", w.name, forgotten), func(t *testing.T) {
				var most int
				returned(t, func(g *singleflight.Group[int, int]) {
					var inner sync.WaitGroup
					inner.Add(goroutines)
					end := make(chan bool)
					var nest func(key, depth int) (int, error)
					nest = func(key, depth int) (int, error) {
						if forgotten {
							key = 0
							g.Forget(key)
						}
						if depth == 0 {
							inner.Done()
							<-end
							return key, nil
						}
						r := enter(*w, g, t.Context(), key, func() (int, error) { return nest(key+1, depth-1) })
						return r.Val, r.Err
					}
					var outer sync.WaitGroup
					for i := range goroutines {
						first := i * keys
						depth := keys
						if forgotten && i > 0 {
							depth = 0 // one key, so they would join each other
						}
						outer.Go(func() { nest(first, depth) })
					}
					inner.Wait()
					most = g.Stats().InFlight
					close(end)
					outer.Wait()
				})
				if want := keys; most < want {
					t.Errorf("%d flights were in the air, want at least %d", most, want)
				}
			})
		}
	}
}

// Clause 24: the same for flights with goroutines of their own and channel
// callers, which detach or not.
func TestBurstOfChannelCallersReturnsItsMemory(t *testing.T) {
	const keys = 3_000
	for _, w := range channelWays {
		t.Run(w.name, func(t *testing.T) {
			returned(t, func(g *singleflight.Group[int, int]) {
				ctx, cancelAll := context.WithCancel(t.Context())
				defer cancelAll() // a context that lives on would keep its map of children
				end := make(chan bool)
				leaving, cancel := context.WithCancel(ctx)
				for key := range keys {
					open(w, g, ctx, key, func() (int, error) { <-end; return key, nil })
					open(w, g, ctx, key, nil)
					open(w, g, leaving, key, nil)
				}
				cancel()
				close(end)
				if err := g.Wait(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Clause 24: the same for flights whose Results are all being sent at once.
func TestBurstOfResultsReturnsItsMemory(t *testing.T) {
	const keys = 20_000
	var copying chan bool
	var copies atomic.Int64
	opts := singleflight.Options[int, int]{Clone: func(v int) int { copies.Add(1); <-copying; return v }}
	returnedWith(t, opts, func(g *singleflight.Group[int, int]) {
		copying = make(chan bool)
		copies.Store(0)
		end := make(chan bool)
		for key := range keys {
			g.DoChan(key, func() (int, error) { <-end; return key, nil })
			g.DoChan(key, nil)
		}
		close(end)
		for copies.Load() < keys { // each flight makes one copy at a time
			runtime.Gosched()
		}
		if n := g.Stats().InFlight; n != keys {
			t.Errorf("%d flights are in the air while their Results are being sent, want %d", n, keys)
		}
		close(copying)
		if err := g.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Clause 24: the same for crowds on one flight of each part of the table.
func TestBurstOfJoinersReturnsItsMemory(t *testing.T) {
	const keys, crowd = 200, 1_000
	for _, leads := range []way{byDo, byDoContext} {
		t.Run(leads.name, func(t *testing.T) {
			returned(t, func(g *singleflight.Group[int, int]) {
				channels := make([]<-chan singleflight.Result[int], 0, crowd)
				for key := range keys {
					channels = channels[:0]
					enter(leads, g, t.Context(), key, func() (int, error) {
						for range crowd {
							channels = append(channels, g.DoChan(key, nil))
						}
						return 1, errors.ErrUnsupported
					})
					for _, ch := range channels {
						if r := <-ch; r.Val != 1 {
							t.Errorf("a joiner got %+v", r)
						}
					}
				}
			})
		})
	}
}
