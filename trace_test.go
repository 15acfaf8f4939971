package singleflight_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// An event is one call of a hook.
type event struct {
	hook      string
	ctx       context.Context
	key       string
	id        uint64
	err       error                // of Detach
	info      singleflight.Landing // of Land
	goroutine string
}

// A log is what the hooks of a group were called with, in order.
type log struct {
	mu     sync.Mutex
	events []event
	before func(hook string) // called first by each hook, if it is set
}

func (l *log) add(e event) {
	e.goroutine = goroutine()
	l.mu.Lock()
	l.events = append(l.events, e)
	l.mu.Unlock()
	if l.before != nil {
		l.before(e.hook)
	}
}

type startKey struct{}

// trace returns hooks that write to the log. Start's context carries the id.
func (l *log) trace() *singleflight.Trace[string] {
	return &singleflight.Trace[string]{
		Start: func(ctx context.Context, key string, id uint64) context.Context {
			l.add(event{hook: "Start", ctx: ctx, key: key, id: id})
			return context.WithValue(ctx, startKey{}, id)
		},
		Join: func(ctx context.Context, key string, id uint64) {
			l.add(event{hook: "Join", ctx: ctx, key: key, id: id})
		},
		Detach: func(ctx context.Context, key string, id uint64, err error) {
			l.add(event{hook: "Detach", ctx: ctx, key: key, id: id, err: err})
		},
		Land: func(ctx context.Context, key string, id uint64, info singleflight.Landing) {
			l.add(event{hook: "Land", ctx: ctx, key: key, id: id, info: info})
		},
	}
}

// traced returns a group and the log of its hooks.
func traced(options ...func(*singleflight.Options[string, int])) (*group, *log) {
	l := new(log)
	opts := singleflight.Options[string, int]{Trace: l.trace()}
	for _, set := range options {
		set(&opts)
	}
	return singleflight.New(opts), l
}

func cancelsAbandoned(opts *singleflight.Options[string, int]) { opts.CancelAbandoned = true }

// take returns the events since the last call, as "Start key", and the events
// themselves.
func (l *log) take() (names []string, events []event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events, l.events = l.events, nil
	for _, e := range events {
		names = append(names, e.hook+" "+e.key)
	}
	return names, events
}

// took fails the test unless the events since the last call were these, and
// returns them.
func (l *log) took(t *testing.T, want ...string) []event {
	t.Helper()
	names, events := l.take()
	if !slices.Equal(names, want) {
		t.Fatalf("hooks called: %q, want %q", names, want)
	}
	return events
}

// oneID fails the test unless all events are of one flight, and returns its id.
func oneID(t *testing.T, events []event) uint64 {
	t.Helper()
	for _, e := range events {
		if e.id != events[0].id {
			t.Errorf("%s has id %d, %s has %d: want one", events[0].hook, events[0].id, e.hook, e.id)
		}
	}
	return events[0].id
}

func TestTraceFollowsAFlight(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		var ids []uint64
		for range 2 {
			j := newJob()
			leader := leads.call(g, t.Context(), "key", j)
			all := l.took(t, "Start key")
			joiner := joins.call(g, t.Context(), "key", newJob())
			all = append(all, l.took(t, "Join key")...)
			j.returns(7)
			all = append(all, l.took(t, "Land key")...)
			leader.got(t, answer{Val: 7, Shared: true, Leader: true})
			joiner.got(t, answer{Val: 7, Shared: true})
			ids = append(ids, oneID(t, all))
			if j.ran() != 1 {
				t.Errorf("fn ran %d times", j.ran())
			}
		}
		if ids[0] == ids[1] {
			t.Errorf("two flights have the id %d", ids[0])
		}
	})
}

func TestTraceOfAnUnsharedFlight(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		g, l := traced()
		for range 3 {
			j := newJob()
			c := w.call(g, t.Context(), "key", j)
			sleep(time.Second)
			j.returns(7)
			c.got(t, answer{Val: 7, Leader: true})
			events := l.took(t, "Start key", "Land key")
			oneID(t, events)
			if want := (singleflight.Landing{Duration: time.Second, Callers: 1}); events[1].info != want {
				t.Errorf("Land got %+v, want %+v", events[1].info, want)
			}
		}
	})
}

func TestTraceNilHooksAreSkipped(t *testing.T) {
	hooks := []string{"Start", "Join", "Detach", "Land"}
	for present := range 1 << len(hooks) {
		l := new(log)
		trace, want := l.trace(), []string(nil)
		for i, hook := range hooks {
			if present>>i&1 == 1 {
				want = append(want, hook+" key")
				continue
			}
			switch hook {
			case "Start":
				trace.Start = nil
			case "Join":
				trace.Join = nil
			case "Detach":
				trace.Detach = nil
			case "Land":
				trace.Land = nil
			}
		}
		eachPair(t, ways, detaching, func(t *testing.T, leads, joins way) {
			l.take()
			g := singleflight.New(singleflight.Options[string, int]{Trace: trace})
			j := newJob()
			ctx, cancel := context.WithCancel(t.Context())
			leader := leads.call(g, t.Context(), "key", j)
			joiner := joins.call(g, ctx, "key", newJob())
			cancel()
			synctest.Wait()
			j.returns(7)
			l.took(t, want...)
			leader.got(t, answer{Val: 7, Shared: true, Leader: true})
			joiner.got(t, canceled)
		})
	}
}

func TestTraceIDsAreUniqueInTheProcess(t *testing.T) {
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	var mu sync.Mutex
	seen := make(map[uint64]bool)
	see := func(id uint64) {
		mu.Lock()
		defer mu.Unlock()
		if seen[id] {
			t.Errorf("id %d was given out twice", id)
		}
		seen[id] = true
	}
	strings := singleflight.New(singleflight.Options[string, int]{Trace: &singleflight.Trace[string]{
		Start: func(ctx context.Context, _ string, id uint64) context.Context { see(id); return ctx },
	}})
	ints := singleflight.New(singleflight.Options[int, int]{Trace: &singleflight.Trace[int]{
		Start: func(ctx context.Context, _ int, id uint64) context.Context { see(id); return ctx },
	}})
	var flights atomic.Int32
	fn := func(context.Context) (int, error) { flights.Add(1); return 0, nil }
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rounds {
				strings.DoContext(t.Context(), "key", fn)
				ints.DoContext(t.Context(), 1, fn)
			}
		})
	}
	wg.Wait()
	if n := int(flights.Load()); n != len(seen) {
		t.Errorf("%d flights have %d ids", n, len(seen))
	}
}

func TestTraceIDsAreGivenOutOnlyWhereTraceIsSet(t *testing.T) {
	g, l := traced()
	next := func() uint64 {
		g.Do("key", func() (int, error) { return 0, nil })
		return oneID(t, l.took(t, "Start key", "Land key"))
	}
	first := next()
	var untraced group
	for range 10 {
		untraced.Do("key", func() (int, error) { return 0, nil })
		untraced.DoContext(t.Context(), "key", func(context.Context) (int, error) { return 0, nil })
	}
	if second := next(); second != first+1 {
		t.Errorf("ids %d and %d, between them only flights of a group without hooks", first, second)
	}
}

func TestTraceStartsContextIsTheFlights(t *testing.T) {
	eachWay(t, bound, func(t *testing.T, w way) {
		g, l := traced(func(o *singleflight.Options[string, int]) { o.FlightTimeout = time.Hour })
		j := newJob()
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey("k"), "leader's"), time.Second)
		defer cancel()
		start := time.Now()
		w.call(g, ctx, "key", j)
		started := l.took(t, "Start key")[0].ctx
		if v := started.Value(contextKey("k")); v != "leader's" {
			t.Errorf("the leader's value is %v", v)
		}
		if deadline, ok := started.Deadline(); !ok || !deadline.Equal(start.Add(time.Hour)) {
			t.Errorf("Deadline is %v, %v: want FlightTimeout", deadline, ok)
		}
		cancel()
		synctest.Wait()
		if err := started.Err(); err != nil {
			t.Errorf("after the leader's context ended it has error %v", err)
		}
		j.returns(7)
		if err := started.Err(); err != context.Canceled {
			t.Errorf("after the landing it has error %v", err)
		}
	})
	for _, w := range []way{byDo, byDoChan} {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, l := traced()
				j := newJob()
				w.call(g, t.Context(), "key", j)
				if ctx := l.took(t, "Start key")[0].ctx; ctx != context.Background() {
					t.Errorf("Start got %v, want context.Background()", ctx)
				}
				j.returns(7)
			})
		})
	}
}

func TestTraceFunctionAndLandGetWhatStartReturns(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		j := newJob()
		leads.call(g, t.Context(), "key", j)
		joins.call(g, t.Context(), "key", newJob())
		j.returns(7)
		events := l.took(t, "Start key", "Join key", "Land key")
		id, land := events[0].id, events[2].ctx
		if got := land.Value(startKey{}); got != id {
			t.Errorf("Land's context has the value %v, want %d", got, id)
		}
		if slices.ContainsFunc(bound, func(w way) bool { return w.name == leads.name }) {
			if j.ctx != land {
				t.Errorf("fn got %v, Land %v: want one context", j.ctx, land)
			}
		} else if land.Err() != nil {
			t.Errorf("Land's context, derived from context.Background(), has error %v", land.Err())
		}
	})
	t.Run("without Start", func(t *testing.T) {
		eachWay(t, bound, func(t *testing.T, w way) {
			var land context.Context
			g := singleflight.New(singleflight.Options[string, int]{Trace: &singleflight.Trace[string]{
				Land: func(ctx context.Context, _ string, _ uint64, _ singleflight.Landing) { land = ctx },
			}})
			j := newJob()
			w.call(g, context.WithValue(t.Context(), contextKey("k"), "leader's"), "key", j)
			j.returns(7)
			if j.ctx != land || land.Value(contextKey("k")) != "leader's" {
				t.Errorf("fn got %v, Land %v: want the flight's", j.ctx, land)
			}
		})
	})
}

func TestTraceContextOfStartBelongsToTheFlight(t *testing.T) {
	// The deadlock check sees through what Start derives.
	synctest.Test(t, func(t *testing.T) {
		g, l := traced()
		v, err, _ := g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
			_, err, _ := g.DoContext(ctx, "key", func(context.Context) (int, error) { return 1, nil })
			return 2, err
		})
		if err != singleflight.ErrDeadlock {
			t.Errorf("a call to itself got %v, %v, want ErrDeadlock", v, err)
		}
		synctest.Wait()
		l.took(t, "Start key", "Land key")
	})
}

func TestTraceNilContextFromStartIsAPanicOfTheFunction(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
			if !recovers && (leads.channel || joins.channel) {
				return // it would crash
			}
			starting := make(chan bool)
			var info singleflight.Landing
			g := singleflight.New(singleflight.Options[string, int]{Recover: recovers, Trace: &singleflight.Trace[string]{
				Start: func(context.Context, string, uint64) context.Context { <-starting; return nil },
				Land:  func(_ context.Context, _ string, _ uint64, i singleflight.Landing) { info = i },
			}})
			j := newJob()
			callers := []caller{leads.call(g, t.Context(), "key", j), joins.call(g, t.Context(), "key", newJob())}
			starting <- true
			synctest.Wait()
			for _, c := range callers {
				a, ok := c.poll()
				err, _ := a.Panic.(error)
				if recovers {
					err = a.Err
				}
				p, isPanic := err.(*singleflight.PanicError)
				if !ok || !isPanic {
					t.Errorf("a caller got %+v, want a *PanicError", a)
				} else if text := fmt.Sprint(p.Value); !strings.Contains(text, "Trace.Start") || !strings.Contains(strings.ToLower(text), "nil context") {
					t.Errorf("the panic says %q, which doesn't name the culprit", text)
				}
				if info.Err != err {
					t.Errorf("Land got the error %v, a caller %v", info.Err, err)
				}
			}
			if j.ran() != 0 {
				t.Error("fn was called")
			}
			counts(t, g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1, Panics: 1})
		})
	}
}

func TestTraceJoinAndDetachGetTheCallersContext(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		j := newJob()
		mine := func(name string) (context.Context, context.CancelFunc) {
			return context.WithCancel(context.WithValue(t.Context(), contextKey("who"), name))
		}
		leader, leaves := mine("leader")
		joiner, follows := mine("joiner")
		leads.call(g, leader, "key", j)
		joins.call(g, joiner, "key", newJob())
		join := l.took(t, "Start key", "Join key")[1].ctx
		want := any("joiner")
		if joins.name == byDo.name || joins.name == byDoChan.name {
			want = nil
			if join != context.Background() {
				t.Errorf("Join got %v, want context.Background()", join)
			}
		} else if joins.detaches && join != joiner {
			t.Errorf("Join got %v, want the caller's own context", join)
		}
		if got := join.Value(contextKey("who")); got != want {
			t.Errorf("Join got the context of %v, want %v", got, want)
		}
		leaves()
		synctest.Wait()
		if leads.detaches {
			if e := l.took(t, "Detach key")[0]; e.ctx != leader || e.err != context.Canceled {
				t.Errorf("Detach of the leader got %v and %v", e.ctx, e.err)
			}
		}
		follows()
		synctest.Wait()
		if joins.detaches {
			if e := l.took(t, "Detach key")[0]; e.ctx != joiner || e.err != context.Canceled {
				t.Errorf("Detach of the joiner got %v and %v", e.ctx, e.err)
			}
		}
		j.returns(7)
		l.took(t, "Land key")
	})
}

func TestTraceDetachGetsTheErrorOfTheContext(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		g, l := traced()
		j := newJob()
		leader, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		joiner, cancelJoiner := context.WithTimeoutCause(t.Context(), time.Second, errFlight)
		defer cancelJoiner()
		leads.call(g, leader, "key", j)
		joins.call(g, joiner, "key", newJob())
		cancel(errFlight)
		sleep(time.Second)
		events := l.took(t, "Start key", "Join key", "Detach key", "Detach key")
		oneID(t, events)
		if events[2].err != context.Canceled || events[3].err != context.DeadlineExceeded {
			t.Errorf("Detach got %v and %v", events[2].err, events[3].err)
		}
		j.returns(7)
	})
}

func TestTraceNobodyDetachesAfterTheLanding(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		g, l := traced()
		j := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leads.call(g, ctx, "key", j)
		joins.call(g, ctx, "key", newJob())
		j.returns(7)
		cancel()
		synctest.Wait()
		l.took(t, "Start key", "Join key", "Land key")
	})
}

func TestTraceHooksOfRefusedCalls(t *testing.T) {
	eachWay(t, detaching, func(t *testing.T, w way) {
		g, l := traced()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		w.call(g, ended, "key", newJob()).got(t, canceled)
		l.took(t)
		leader := blocked(func() (int, error, bool) {
			return g.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
				ch := g.DoChanContext(ctx, "key", newJob().bound)
				return 0, (<-ch).Err
			})
		})
		leader.got(t, answer{Err: singleflight.ErrDeadlock})
		l.took(t, "Start key", "Land key")
	})
}

func TestTraceLandingTellsHowTheFlightEnded(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		for _, e := range endings {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				if !recovers && (leads.channel || joins.channel) && strings.HasPrefix(e.name, "panic") {
					return // it crashes
				}
				g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = recovers })
				j := newJob()
				leader := leads.call(g, t.Context(), "key", j)
				sleep(time.Second)
				joins.call(g, t.Context(), "key", newJob())
				joins.call(g, t.Context(), "key", newJob())
				sleep(time.Minute)
				e.of(j)
				info := l.took(t, "Start key", "Join key", "Join key", "Land key")[3].info
				err := info.Err
				info.Err = nil
				if want := (singleflight.Landing{Duration: time.Second + time.Minute, Callers: 3}); info != want {
					t.Errorf("Land got %+v, want %+v", info, want)
				}
				p, _ := err.(*singleflight.PanicError)
				switch e.name {
				case "value":
					if err != nil {
						t.Errorf("Land got the error %v", err)
					}
				case "error":
					if err != errFlight {
						t.Errorf("Land got the error %v, want the function's", err)
					}
				case "Goexit":
					if err != singleflight.ErrGoexit {
						t.Errorf("Land got the error %v, want ErrGoexit", err)
					}
				default:
					if p == nil || p.Value != "boom" {
						t.Errorf("Land got the error %v, want a *PanicError of boom", err)
					}
					// Go can't stop a Goexit, so the leader's goroutine may be gone.
					if a, _ := leader.poll(); !a.Exited && a.Panic != err && a.Err != err {
						t.Errorf("the leader got %+v, Land the error %p: want the same", a, err)
					}
				}
			})
		}
	}
}

func TestTraceLandingCountsCallers(t *testing.T) {
	eachPair(t, detaching, ways, func(t *testing.T, leads, joins way) {
		for _, cancels := range []bool{false, true} {
			g, l := traced(func(o *singleflight.Options[string, int]) { o.CancelAbandoned = cancels })
			j := newJob()
			ctx, cancel := context.WithCancel(t.Context())
			leads.call(g, ctx, "key", j)
			leads.call(g, ctx, "key", newJob())
			joins.call(g, t.Context(), "key", newJob())
			cancel()
			synctest.Wait()
			j.returns(7)
			names, events := l.take()
			if last := events[len(events)-1]; last.hook != "Land" || last.info != (singleflight.Landing{Callers: 3, Detached: 2}) {
				t.Errorf("%q: Land got %+v, want 3 callers, 2 detached", names, last.info)
			}

			// Everybody has left.
			j = newJob()
			ctx, cancel = context.WithCancel(t.Context())
			leads.call(g, ctx, "key", j)
			leads.call(g, ctx, "key", newJob())
			cancel()
			synctest.Wait()
			j.fails(errFlight)
			events = l.took(t, "Start key", "Join key", "Detach key", "Detach key", "Land key")
			if want := (singleflight.Landing{Callers: 2, Detached: 2, Err: errFlight}); events[4].info != want {
				t.Errorf("Land got %+v, want %+v", events[4].info, want)
			}
		}
	})
}

func TestTraceOfForgottenFlights(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		g, l := traced()
		j1, j2 := newJob(), newJob()
		w.call(g, t.Context(), "key", j1)
		g.Forget("key")
		w.call(g, t.Context(), "key", j2)
		started := l.took(t, "Start key", "Start key")
		j1.returns(1)
		first := l.took(t, "Land key")
		j2.returns(2)
		second := l.took(t, "Land key")
		if first[0].id != started[0].id || second[0].id != started[1].id || first[0].id == second[0].id {
			t.Errorf("ids: started %d, %d, landed %d, %d", started[0].id, started[1].id, first[0].id, second[0].id)
		}
	})
}

func TestTraceOfSuccessors(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced(cancelsAbandoned)
		first, second := newJob(), newJob()
		ctx, cancel := context.WithCancel(t.Context())
		byDoContext.call(g, ctx, "key", first)
		cancel()
		synctest.Wait()
		l.took(t, "Start key", "Detach key")
		leads.call(g, t.Context(), "key", second)
		joins.call(g, t.Context(), "key", newJob())
		joined := l.took(t, "Join key") // before Start
		sleep(time.Minute)
		first.returns(1)
		names, events := l.take()
		slices.Sort(names)
		if !slices.Equal(names, []string{"Land key", "Start key"}) {
			t.Fatalf("when the first flight landed, hooks called: %q", names)
		}
		started := events[slices.IndexFunc(events, func(e event) bool { return e.hook == "Start" })]
		sleep(time.Second)
		second.returns(2)
		landed := l.took(t, "Land key")
		oneID(t, []event{joined[0], started, landed[0]})
		if want := (singleflight.Landing{Duration: time.Second, Callers: 2}); landed[0].info != want {
			t.Errorf("Land got %+v, want %+v: the duration is from Start", landed[0].info, want)
		}
	})
}

func TestTraceDroppedFlightsHaveNoStartAndNoLand(t *testing.T) {
	eachPair(t, detaching, detaching, func(t *testing.T, leads, joins way) {
		g, l := traced(cancelsAbandoned)
		first := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		byDoContext.call(g, ctx, "key", first)
		cancel()
		synctest.Wait()
		id := oneID(t, l.took(t, "Start key", "Detach key"))
		ctx, cancel = context.WithCancel(t.Context())
		leads.call(g, ctx, "key", newJob())
		joins.call(g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		if dropped := oneID(t, l.took(t, "Join key", "Detach key", "Detach key")); dropped == id {
			t.Errorf("the dropped flight has the id %d of the first", id)
		}
		first.returns(1)
		if landed := l.took(t, "Land key"); landed[0].id != id {
			t.Errorf("flight %d has landed, want %d", landed[0].id, id)
		}
		counts(t, g, singleflight.Stats{Calls: 3, Flights: 1, Joined: 1, Detached: 3, Abandoned: 2, Dropped: 1})
	})
}

func TestTraceStartPrecedesFunctionAndLand(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		g, l := traced()
		gate := make(chan bool)
		l.before = func(hook string) {
			if hook == "Start" {
				<-gate
			}
		}
		j := newJob()
		c := w.call(g, t.Context(), "key", j)
		l.took(t, "Start key")
		if j.ran() != 0 {
			t.Error("fn was called before Start returned")
		}
		gate <- true
		synctest.Wait()
		if j.ran() != 1 {
			t.Error("fn wasn't called after Start returned")
		}
		l.took(t)
		j.returns(7)
		l.took(t, "Land key")
		c.got(t, answer{Val: 7, Leader: true})
	})
}

func TestTraceOthersJoinAndDetachWhileStartRuns(t *testing.T) {
	eachPair(t, ways, detaching, func(t *testing.T, leads, joins way) {
		g, l := traced()
		gate := make(chan bool)
		l.before = func(hook string) {
			if hook == "Start" {
				<-gate
			}
		}
		j := newJob()
		leads.call(g, t.Context(), "key", j)
		ctx, cancel := context.WithCancel(t.Context())
		joiner := joins.call(g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		oneID(t, l.took(t, "Start key", "Join key", "Detach key"))
		joiner.got(t, canceled)
		gate <- true
		synctest.Wait()
		j.returns(7)
		l.took(t, "Land key")
	})
}

func TestTraceFlightLandsWhileAJoinHookRuns(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		gate := make(chan bool)
		l.before = func(hook string) {
			if hook == "Join" {
				<-gate
			}
		}
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		// A channel call runs the hook on this goroutine too.
		joiner := blocked(func() (int, error, bool) {
			r := enter(joins, g, t.Context(), "key", constant(1))
			return r.Val, r.Err, r.Shared
		})
		j.returns(7)
		leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		l.took(t, "Start key", "Join key", "Land key")
		gate <- true
		synctest.Wait()
		joiner.got(t, answer{Val: 7, Shared: true})
	})
}

func TestTraceLandRunsAfterTheOutcomeWasHandedOut(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		gate := make(chan bool)
		l.before = func(hook string) {
			if hook == "Land" {
				<-gate
			}
		}
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		j.returns(7)
		l.took(t, "Start key", "Join key", "Land key")
		joiner.got(t, answer{Val: 7, Shared: true})
		if leads.here {
			leader.waits(t) // its goroutine runs the hook
		} else {
			leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		}
		if s := g.Stats(); s.InFlight != 0 || len(g.InFlight()) != 0 {
			t.Errorf("the flight is still in the air: %+v", s)
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		gate <- true
		synctest.Wait()
		if leads.here {
			leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		}
	})
}

func TestTraceHooksRunOnTheGoroutineThatCausedThem(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		j := newJob()
		var leader, joiner, fn string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		// A blocking call of the ways has a goroutine of its own, so these calls are made here.
		call := func(w way, on *string, j *job) {
			go func() {
				*on = goroutine()
				enter(w, g, ctx, "key", func() (int, error) { fn = goroutine(); return (<-j.end)() })
			}()
			synctest.Wait()
		}
		call(leads, &leader, j)
		call(joins, &joiner, newJob())
		started := l.took(t, "Start key", "Join key")
		if started[0].goroutine != fn {
			t.Errorf("Start ran on goroutine %s, fn on %s", started[0].goroutine, fn)
		}
		if here := fn == leader; here != leads.here {
			t.Errorf("fn ran on goroutine %s, the leader is %s", fn, leader)
		}
		if started[1].goroutine != joiner {
			t.Errorf("Join ran on goroutine %s, the joiner's is %s", started[1].goroutine, joiner)
		}
		if joins.name == byDoContext.name && !leads.detaches {
			cancel()
			synctest.Wait()
			if e := l.took(t, "Detach key")[0]; e.goroutine != joiner {
				t.Errorf("Detach ran on goroutine %s, the joiner's is %s", e.goroutine, joiner)
			}
		}
		j.returns(7)
		if e := l.took(t, "Land key")[0]; e.goroutine != fn {
			t.Errorf("Land ran on goroutine %s, fn on %s", e.goroutine, fn)
		}
	})
}

func TestTraceDetachOfAChannelCallerRunsAfterItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := traced()
		gate := make(chan bool)
		l.before = func(hook string) {
			if hook == "Detach" {
				<-gate
			}
		}
		j := newJob()
		byDo.call(g, t.Context(), "key", j)
		ctx, cancel := context.WithCancel(t.Context())
		joiner := byDoChanContext.call(g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		l.took(t, "Start key", "Join key", "Detach key")
		joiner.got(t, canceled)
		gate <- true
		j.returns(7)
	})
}

func TestTraceHooksMayCallTheGroup(t *testing.T) {
	// No hook runs under a lock.
	for _, hook := range []string{"Start", "Join", "Detach", "Land"} {
		t.Run(hook, func(t *testing.T) {
			eachPair(t, ways, detaching, func(t *testing.T, leads, joins way) {
				g, l := traced()
				called := 0
				l.before = func(h string) {
					if h != hook || called > 0 {
						return
					}
					called++
					g.Stats()
					g.InFlight()
					g.Forget("other")
					g.ForgetUnshared("other")
					for _, w := range ways {
						if r := enter(w, g, context.Background(), "other", constant(1)); r.Err != nil || r.Val != 1 || r.Shared {
							t.Errorf("%s in a hook got %+v", w.name, r)
						}
					}
					if load := g.Func(func(context.Context, string) (int, error) { return 2, nil }); true {
						if v, err := load(context.Background(), "other"); v != 2 || err != nil {
							t.Errorf("Func in a hook got %v, %v", v, err)
						}
					}
					if hook == "Land" { // there nothing is in the air
						if err := g.Wait(context.Background()); err != nil {
							t.Error(err)
						}
						if r := enter(leads, g, context.Background(), "key", constant(3)); r.Val != 3 || r.Err != nil {
							t.Errorf("a call with the key in Land got %+v", r)
						}
					} else { // a caller of the same flight, which may leave
						ctx, cancel := context.WithCancel(context.Background())
						g.DoChanContext(ctx, "key", newJob().bound)
						cancel()
					}
				}
				j := newJob()
				leader := leads.call(g, t.Context(), "key", j)
				ctx, cancel := context.WithCancel(t.Context())
				joiner := joins.call(g, ctx, "key", newJob())
				cancel()
				synctest.Wait()
				j.returns(7)
				leader.got(t, answer{Val: 7, Shared: true, Leader: true})
				joiner.got(t, canceled)
				if called != 1 {
					t.Errorf("the hook was called %d times", called)
				}
				if s := g.Stats(); s.InFlight != 0 || s.Calls != s.Flights+s.Joined {
					t.Errorf("at rest: %+v", s)
				}
			})
		})
	}
}

func TestTraceStartMayCallWithTheFlightsContext(t *testing.T) {
	// Such a call belongs to the flight.
	synctest.Test(t, func(t *testing.T) {
		var g *group
		var same, other answer
		g = singleflight.New(singleflight.Options[string, int]{Trace: &singleflight.Trace[string]{
			Start: func(ctx context.Context, key string, _ uint64) context.Context {
				if key == "key" {
					same.Val, same.Err, same.Shared = g.DoContext(ctx, "key", func(context.Context) (int, error) { return 1, nil })
					other.Val, other.Err, other.Shared = g.DoContext(ctx, "other", func(context.Context) (int, error) { return 2, nil })
				}
				return ctx
			},
		}})
		j := newJob()
		leader := byDoContext.call(g, t.Context(), "key", j)
		j.returns(7)
		leader.got(t, answer{Val: 7})
		if same != (answer{Err: singleflight.ErrDeadlock}) {
			t.Errorf("a call with the flight's own key got %+v, want ErrDeadlock", same)
		}
		if other != (answer{Val: 2}) {
			t.Errorf("a call with another key got %+v", other)
		}
	})
}

// breaking makes a hook end the goroutine that it runs on.
func breaking(l *log, hook string, end func()) {
	l.before = func(h string) {
		if h == hook {
			end()
		}
	}
}

func TestTracePanicInStartIsThatOfTheFunction(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
			if !recovers && (leads.channel || joins.channel) {
				return // it crashes
			}
			g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = recovers })
			gate := make(chan bool)
			breaking(l, "Start", func() { <-gate; panic("Start's") })
			j := newJob()
			callers := []caller{leads.call(g, t.Context(), "key", j), joins.call(g, t.Context(), "key", newJob())}
			sleep(time.Second)
			gate <- true
			synctest.Wait()
			events := l.took(t, "Start key", "Join key", "Land key")
			p, _ := events[2].info.Err.(*singleflight.PanicError)
			if p == nil || p.Value != "Start's" {
				t.Fatalf("Land got %+v, want a *PanicError", events[2].info)
			}
			if !strings.Contains(string(p.Stack), "breaking") {
				t.Errorf("the stack isn't that of the hook:\n%s", p.Stack)
			}
			if events[2].ctx != events[0].ctx {
				t.Errorf("Land got the context %v, want Start's own %v", events[2].ctx, events[0].ctx)
			}
			if d := events[2].info.Duration; d != time.Second {
				t.Errorf("Land got the duration %v", d)
			}
			for _, c := range callers {
				want := answer{Panic: p}
				if recovers {
					want = answer{Err: p, Shared: true}
				}
				a, ok := c.poll()
				a.Leader = false
				if !ok || a != want {
					t.Errorf("a caller got %+v, want %+v", a, want)
				}
			}
			if j.ran() != 0 {
				t.Error("fn was called")
			}
			counts(t, g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1, Panics: 1})
			// The group goes on.
			l.before = nil
			alone(t, g, "key")
		})
	}
}

func TestTraceGoexitInStartIsThatOfTheFunction(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		gate := make(chan bool)
		breaking(l, "Start", func() { <-gate; runtime.Goexit() })
		j := newJob()
		callers := []caller{leads.call(g, t.Context(), "key", j), joins.call(g, t.Context(), "key", newJob())}
		gate <- true
		synctest.Wait()
		if info := l.took(t, "Start key", "Join key", "Land key")[2].info; info.Err != singleflight.ErrGoexit {
			t.Errorf("Land got %+v", info)
		}
		for _, c := range callers {
			if a, ok := c.poll(); !ok || describe(a) != "exit" && a.Err != singleflight.ErrGoexit {
				t.Errorf("a caller got %+v", a)
			}
		}
		counts(t, g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1, Panics: 1})
	})
}

func TestTraceBrokenJoinIsItsCallersOwn(t *testing.T) {
	ends := map[string]func(){
		"panic":  func() { panic("Join's") },
		"Goexit": runtime.Goexit,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				for _, recovers := range []bool{false, true} {
					g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = recovers })
					breaking(l, "Join", end)
					j := newJob()
					leader := leads.call(g, t.Context(), "key", j)
					// A channel call runs the hook on this goroutine too.
					joiner := blocked(func() (int, error, bool) {
						r := enter(joins, g, t.Context(), "key", constant(1))
						return r.Val, r.Err, r.Shared
					})
					want := answer{Exited: true}
					if name == "panic" {
						want = answer{Panic: "Join's"} // itself: it isn't the flight's
					}
					joiner.got(t, want)
					leader.waits(t)
					j.returns(7)
					leader.got(t, answer{Val: 7, Shared: true, Leader: true})
					l.took(t, "Start key", "Join key", "Land key")
					if s := g.Stats(); s.Panics != 0 || s.InFlight != 0 || s.Calls != 2 || s.Joined != 1 || s.Flights != 1 {
						t.Errorf("Stats: %+v", s)
					}
				}
			})
		})
	}
}

func TestTraceCallerWhoseJoinBrokeIsNotOnTheFlight(t *testing.T) {
	// However it called, so the flight is abandoned when the others have left too.
	eachPair(t, detaching, ways, func(t *testing.T, leads, joins way) {
		g, l := traced(cancelsAbandoned)
		breaking(l, "Join", func() { panic("Join's") })
		j := newJob()
		ctx, cancel := context.WithCancel(t.Context())
		leads.call(g, ctx, "key", j)
		blocked(func() (int, error, bool) {
			enter(joins, g, t.Context(), "key", constant(1))
			return 0, nil, false
		}).got(t, answer{Panic: "Join's"})
		lists(t, g, flight{Key: "key", Callers: 1, Since: time.Now()})
		cancel()
		synctest.Wait()
		if j.ctx.Err() == nil {
			t.Error("the flight isn't cancelled, although nobody is on it")
		}
		j.returns(7)
	})
}

func TestTraceJoinThatBreaksTooLate(t *testing.T) {
	// Clause 6: the flight landed with the caller on it. So a panic of the function is the caller's, and not lost
	// behind the hook's.
	// (With a channel caller on it the process crashes; it has nothing to panic with for other endings.)
	for name, end := range map[string]func(){"panic": func() { panic("Join's") }, "Goexit": runtime.Goexit} {
		for _, ends := range endings {
			t.Run(name+" after "+ends.name, func(t *testing.T) {
				eachPair(t, detaching, ways, func(t *testing.T, leads, joins way) {
					for _, recovers := range []bool{false, true} {
						if joins.channel && !recovers && strings.HasPrefix(ends.name, "panic") {
							continue
						}
						g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = recovers })
						hook := make(chan bool)
						breaking(l, "Join", func() { <-hook; end() })
						ctx, cancel := context.WithCancel(t.Context())
						j := newJob()
						leads.call(g, ctx, "key", j)
						joiner := blocked(func() (int, error, bool) { // a channel call runs the hook on this goroutine too
							r := enter(joins, g, t.Context(), "key", constant(1))
							return r.Val, r.Err, r.Shared
						})
						cancel()
						synctest.Wait()
						ends.of(j)
						joiner.waits(t)
						hook <- true
						synctest.Wait()
						a, _ := joiner.poll()
						p, _ := a.Panic.(*singleflight.PanicError)
						switch {
						case strings.HasPrefix(ends.name, "panic") && !recovers:
							if p == nil || p.Value != "boom" {
								t.Errorf("the joiner got %+v, want the flight's panic", a)
							}
						case name == "panic":
							if a.Panic != "Join's" {
								t.Errorf("the joiner got %+v, want the hook's panic", a)
							}
						case !a.Exited:
							t.Errorf("the joiner got %+v, want it to exit", a)
						}
					}
				})
			})
		}
	}
}

func TestTraceCallersWhoseJoinBrokeAreNotInTheCrowd(t *testing.T) {
	// Some of many leave; which of them mustn't matter to the others.
	for _, callers := range []int{1, 2, 4, 5, 13, 50} {
		for _, broken := range []func(i int) bool{
			func(i int) bool { return i == 0 },
			func(i int) bool { return i == callers-1 },
			func(i int) bool { return i%2 == 0 },
			func(i int) bool { return i >= 3 },
			func(int) bool { return true },
		} {
			eachPair(t, []way{byDo, byEndlessDoContext}, []way{byEndlessDoChanContext, byDoChanContext}, func(t *testing.T, leads, joins way) {
				g, l := traced()
				breaks, late := false, make(chan bool)
				breaking(l, "Join", func() {
					if breaks {
						<-late
						panic("Join's")
					}
				})
				j := newJob()
				leader := leads.call(g, t.Context(), "key", j)
				var stay, leave []caller
				for i := range callers {
					if breaks = broken(i); breaks {
						leave = append(leave, blocked(func() (int, error, bool) {
							open(joins, g, t.Context(), "key", nil)
							return 0, nil, false
						}))
					} else {
						stay = append(stay, joins.call(g, t.Context(), "key", newJob()))
					}
				}
				close(late)
				synctest.Wait()
				for _, c := range leave {
					c.got(t, answer{Panic: "Join's"})
				}
				lists(t, g, flight{Key: "key", Callers: 1 + len(stay), Since: time.Now()})
				if len(stay) == 0 {
					// The panic would crash if a channel caller were left.
					j.panics("the function's")
					synctest.Wait()
					if a, _ := leader.poll(); a.Panic == nil {
						t.Errorf("the leader got %+v, want a panic", a)
					}
					return
				}
				j.returns(7)
				leader.got(t, answer{Val: 7, Shared: true, Leader: true})
				for _, c := range stay {
					c.got(t, answer{Val: 7, Shared: true})
				}
			})
		}
	}
}

func TestTracePanicInDetachIsItsCallersOwn(t *testing.T) {
	ends := map[string]func(){
		"panic":  func() { panic("Detach's") },
		"Goexit": runtime.Goexit,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachWay(t, ways, func(t *testing.T, leads way) {
				g, l := traced()
				breaking(l, "Detach", end)
				j := newJob()
				leader := leads.call(g, context.WithoutCancel(t.Context()), "key", j)
				ctx, cancel := context.WithCancel(t.Context())
				joiner := byDoContext.call(g, ctx, "key", newJob())
				stays := byDoContext.call(g, t.Context(), "key", newJob())
				cancel()
				synctest.Wait()
				if name == "panic" {
					joiner.got(t, answer{Panic: "Detach's"})
				} else {
					joiner.got(t, answer{Exited: true})
				}
				counts(t, g, singleflight.Stats{Calls: 3, Flights: 1, Joined: 2, Detached: 1, InFlight: 1})
				j.returns(7)
				leader.got(t, answer{Val: 7, Shared: true, Leader: true})
				stays.got(t, answer{Val: 7, Shared: true})
				counts(t, g, singleflight.Stats{Calls: 3, Flights: 1, Joined: 2, Detached: 1})
			})
		})
	}
}

func TestTracePanicInLandIsItsGoroutinesOwn(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		for _, w := range []way{byDo, byEndlessDoContext} {
			eachPair(t, []way{w}, ways, func(t *testing.T, leads, joins way) {
				g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = recovers })
				breaking(l, "Land", func() { panic("Land's") })
				j := newJob()
				leader := leads.call(g, t.Context(), "key", j)
				joiner := joins.call(g, t.Context(), "key", newJob())
				j.returns(7)
				leader.got(t, answer{Panic: "Land's"})
				joiner.got(t, answer{Val: 7, Shared: true})
				counts(t, g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1})
				l.before = nil
				alone(t, g, "key")
			})
		}
	}
}

func TestTraceGoexitInLand(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g, l := traced()
		breaking(l, "Land", runtime.Goexit)
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		j.returns(7)
		if leads.here {
			leader.got(t, answer{Exited: true})
		} else {
			leader.got(t, answer{Val: 7, Shared: true, Leader: true})
		}
		joiner.got(t, answer{Val: 7, Shared: true})
		counts(t, g, singleflight.Stats{Calls: 2, Flights: 1, Joined: 1})
	})
}

func TestTracePanicInAHookOnAGoroutineOfThePackageCrashes(t *testing.T) {
	// Nobody is there to recover it, and a panic is never swallowed: Recover is about the function's.
	crashes := map[string]func(t *testing.T, recovers bool){
		"Detach of a channel caller": func(t *testing.T, recovers bool) {
			g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = recovers })
			breaking(l, "Detach", func() { panic("the hook's") })
			ctx, cancel := context.WithCancel(context.Background())
			g.DoChanContext(ctx, "key", func(context.Context) (int, error) { select {} })
			cancel()
			select {}
		},
		"Land of a flight on its own": func(t *testing.T, recovers bool) {
			g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = recovers })
			breaking(l, "Land", func() { panic("the hook's") })
			if r := <-g.DoChan("key", constant(7)); r.Val != 7 {
				panic("the outcome wasn't handed out")
			}
			select {}
		},
	}
	for name, crash := range crashes {
		for _, recovers := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Recover %v", name, recovers), func(t *testing.T) {
				output, crashed := inChild(t, func() { crash(t, recovers) })
				if !crashed || !strings.Contains(output, "panic: the hook's") {
					t.Errorf("crashed: %v, want it with the hook's panic; output:\n%s", crashed, output)
				}
			})
		}
	}
}

func TestTraceLandIsNotCalledIfThePanicCrashes(t *testing.T) {
	// Nothing was handed out.
	output, crashed := inChild(t, func() {
		g, l := traced()
		breaking(l, "Land", func() { println("Land was called") })
		g.DoChan("key", func() (int, error) { panic("fn's") })
		select {}
	})
	if !crashed || !strings.Contains(output, "fn's") || strings.Contains(output, "Land was called") {
		t.Errorf("crashed: %v; output:\n%s", crashed, output)
	}
}

func TestTracePanicInStartCrashesAsTheFunctionsWould(t *testing.T) {
	output, crashed := inChild(t, func() {
		g, l := traced()
		breaking(l, "Start", func() { panic("Start's") })
		g.DoChan("key", constant(7))
		select {}
	})
	if !crashed || !strings.Contains(output, "Start's") {
		t.Errorf("crashed: %v; output:\n%s", crashed, output)
	}
}

func TestTraceOfARandomMix(t *testing.T) {
	// The hooks tell the same story as the counters.
	for _, cancelAbandoned := range []bool{false, true} {
		var joined, detached, dropped uint64
		for seed := range uint64(4) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				type life struct{ starts, lands, joins, detaches, callers, detached int }
				lives := make(map[uint64]*life)
				of := func(id uint64) *life {
					if lives[id] == nil {
						lives[id] = new(life)
					}
					return lives[id]
				}
				g := singleflight.New(singleflight.Options[int, int]{CancelAbandoned: cancelAbandoned, Trace: &singleflight.Trace[int]{
					Start: func(ctx context.Context, _ int, id uint64) context.Context {
						mu.Lock()
						defer mu.Unlock()
						of(id).starts++
						return ctx
					},
					Join: func(_ context.Context, _ int, id uint64) {
						mu.Lock()
						defer mu.Unlock()
						of(id).joins++
					},
					Detach: func(_ context.Context, _ int, id uint64, _ error) {
						mu.Lock()
						defer mu.Unlock()
						of(id).detaches++
					},
					Land: func(_ context.Context, _ int, id uint64, info singleflight.Landing) {
						mu.Lock()
						defer mu.Unlock()
						f := of(id)
						f.lands++
						f.callers, f.detached = info.Callers, info.Detached
					},
				}})
				var wg sync.WaitGroup
				for n := range uint64(20) {
					wg.Go(func() {
						r := rand.New(rand.NewPCG(n, seed))
						for range 20 {
							ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+r.IntN(20))*time.Millisecond)
							d := time.Duration(r.IntN(40)) * time.Millisecond
							way := detaching[r.IntN(len(detaching))]
							if r.IntN(6) == 0 {
								way = ways[r.IntN(len(ways))]
							}
							enter(way, g, ctx, r.IntN(8), func() (int, error) { time.Sleep(d); return 0, nil })
							cancel()
						}
					})
				}
				wg.Wait()
				if err := g.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				var got singleflight.Stats
				for id, f := range lives {
					got.Joined += uint64(f.joins)
					got.Detached += uint64(f.detaches)
					switch {
					case f.starts == 1 && f.lands == 1:
						got.Flights++
						if f.callers != 1+f.joins || f.detached != f.detaches {
							t.Errorf("flight %d landed with %d callers, %d detached; %d joined, %d detached", id, f.callers, f.detached, f.joins, f.detaches)
						}
					case f.starts == 0 && f.lands == 0:
						got.Dropped++
						if f.detaches != 1+f.joins {
							t.Errorf("flight %d was dropped; %d joined, %d detached", id, f.joins, f.detaches)
						}
					default:
						t.Errorf("flight %d started %d times and landed %d times", id, f.starts, f.lands)
					}
				}
				got.Calls = got.Flights + got.Joined + got.Dropped
				want := g.Stats()
				got.Abandoned = want.Abandoned
				if got != want {
					t.Errorf("the hooks saw\n %+v, Stats counts\n %+v", got, want)
				}
				joined, detached, dropped = joined+want.Joined, detached+want.Detached, dropped+want.Dropped
			})
		}
		if joined == 0 || detached == 0 || cancelAbandoned && dropped == 0 {
			t.Errorf("the mixes lack something: %d joined, %d detached, %d dropped", joined, detached, dropped)
		}
	}
}

// The hooks of a call with a nil function get the contexts of any other call of
// its kind: Start and Land the flight's.
func TestTraceOfNilFunctionHasTheFlightsContext(t *testing.T) {
	eachWay(t, bound, func(t *testing.T, w way) {
		g, l := traced(func(o *singleflight.Options[string, int]) { o.Recover = true })
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey("k"), "leader's"))
		defer cancel()
		blocked(func() (int, error, bool) {
			r := enter(w, g, ctx, "key", nil)
			return r.Val, r.Err, r.Shared
		})
		events := l.took(t, "Start key", "Land key")
		if v := events[0].ctx.Value(contextKey("k")); v != "leader's" {
			t.Errorf("Start got the context %v without the leader's value", events[0].ctx)
		}
		if events[1].ctx.Err() == nil {
			t.Errorf("Land got the context %v, which isn't done after the landing", events[1].ctx)
		}
	})
}
