package singleflight_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

// sameAndOther tests that calls with equal keys share a flight, and that one
// with another key doesn't.
func sameAndOther[K comparable](t *testing.T, key, same, other K) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g singleflight.Group[K, int]
				results := make(chan singleflight.Result[int], 2)
				end := make(chan bool)
				for _, k := range []K{key, same} {
					go func() {
						results <- enter(w, &g, t.Context(), k, func() (int, error) { <-end; return 1, nil })
					}()
					synctest.Wait()
				}
				if r := enter(w, &g, t.Context(), other, constant(2)); r.Val != 2 || r.Shared {
					t.Errorf("the call with another key got %+v", r)
				}
				if g.ForgetUnshared(same) {
					t.Error("ForgetUnshared reports true for a shared flight")
				}
				close(end)
				for range 2 {
					if r := <-results; r.Val != 1 || !r.Shared {
						t.Errorf("a call with the key got %+v", r)
					}
				}
				g.Forget(key)
				if err := g.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				if r := enter(w, &g, t.Context(), same, constant(3)); r.Val != 3 || r.Shared {
					t.Errorf("a later call got %+v", r)
				}
			})
		})
	}
}

// Clause 23: any comparable key works.
func TestAnyComparableKeyWorks(t *testing.T) {
	type point struct {
		x, y int32
		name string
		tags [2]any
	}
	type named int
	here, there := new(int), new(int)
	c, d := make(chan int), make(chan int)
	long := strings.Repeat("long", 100)

	t.Run("int", func(t *testing.T) { sameAndOther(t, 0, 0, 1) })
	t.Run("bool", func(t *testing.T) { sameAndOther(t, false, false, true) })
	t.Run("string", func(t *testing.T) { sameAndOther(t, long, strings.Clone(long), long[1:]) })
	t.Run("empty string", func(t *testing.T) { sameAndOther(t, "", long[:0], "x") })
	t.Run("zeros", func(t *testing.T) { sameAndOther(t, 0, math.Copysign(0, -1), 1) })
	t.Run("infinities", func(t *testing.T) { sameAndOther(t, math.Inf(1), math.Inf(1), math.Inf(-1)) })
	t.Run("complex", func(t *testing.T) { sameAndOther(t, 1+2i, 1+2i, 2+1i) })
	t.Run("pointer", func(t *testing.T) { sameAndOther(t, here, here, there) })
	t.Run("nil pointer", func(t *testing.T) { sameAndOther(t, nil, nil, here) })
	t.Run("channel", func(t *testing.T) { sameAndOther(t, c, c, d) })
	t.Run("struct", func(t *testing.T) {
		sameAndOther(t,
			point{1, 2, "p", [2]any{1, "x"}},
			point{1, 2, strings.Clone("p"), [2]any{1, strings.Clone("x")}},
			point{1, 2, "p", [2]any{1, 'x'}})
	})
	t.Run("array", func(t *testing.T) { sameAndOther(t, [3]string{"a", "b"}, [3]string{"a", "b"}, [3]string{"a", "", "b"}) })
	t.Run("interface", func(t *testing.T) { sameAndOther[any](t, 1, 1, named(1)) })
	t.Run("nil interface", func(t *testing.T) { sameAndOther[any](t, nil, nil, (*int)(nil)) })
	t.Run("interface with struct", func(t *testing.T) { sameAndOther[any](t, point{x: 1}, point{x: 1}, point{y: 1}) })
	t.Run("interface with methods", func(t *testing.T) {
		sameAndOther[error](t, errFlight, errFlight, context.Canceled)
	})
	t.Run("interface with nothing in it", func(t *testing.T) { sameAndOther[any](t, struct{}{}, struct{}{}, [0]int{}) })
	t.Run("blank fields", func(t *testing.T) {
		type blank struct {
			_ any
			x int
		}
		sameAndOther(t, blank{x: 1}, blank{x: 1}, blank{x: 2})
	})
}

// Clause 23: a key of no size is one key.
func TestKeysOfNoSizeAreOne(t *testing.T) {
	for _, w := range ways {
		var g singleflight.Group[struct{}, int]
		for v := range 3 {
			if r := enter(w, &g, t.Context(), struct{}{}, constant(v)); r.Val != v || r.Shared {
				t.Errorf("%s got %+v", w.name, r)
			}
		}
		var ch <-chan singleflight.Result[int]
		enter(byDo, &g, t.Context(), struct{}{}, func() (int, error) {
			ch = g.DoChan(struct{}{}, nil)
			return 4, nil
		})
		if r := <-ch; r.Val != 4 || !r.Shared {
			t.Errorf("a joiner got %+v", r)
		}
	}
}

// unequal tests that a key that doesn't equal itself never joins, and that its
// flights leave the table.
func unequal[K comparable](t *testing.T, key K) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g singleflight.Group[K, int]
				results := make(chan singleflight.Result[int], 20)
				end := make(chan bool)
				for v := range cap(results) {
					go func() {
						results <- enter(w, &g, t.Context(), key, func() (int, error) { <-end; return v, nil })
					}()
				}
				synctest.Wait()
				g.Forget(key)
				if !g.ForgetUnshared(key) {
					t.Error("ForgetUnshared reports false although no call could join")
				}
				if n := g.Stats().InFlight; n != cap(results) {
					t.Errorf("%d flights in the air, want %d", n, cap(results))
				}
				close(end)
				seen := make(map[int]bool)
				for range cap(results) {
					r := <-results
					if r.Shared || seen[r.Val] {
						t.Errorf("a call got %+v", r)
					}
					seen[r.Val] = true
				}
				if err := g.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				if n := g.Stats().InFlight; n != 0 {
					t.Errorf("%d flights in the air after their landing", n)
				}
			})
		})
	}
}

// Clause 23: a key that equals no key, itself included, never joins, and its
// flight leaves the table like any other.
func TestKeyThatEqualsNoneNeverJoins(t *testing.T) {
	type point struct {
		name string
		x    float64
	}
	nan := math.NaN()
	t.Run("NaN", func(t *testing.T) { unequal(t, nan) })
	t.Run("float32", func(t *testing.T) { unequal(t, float32(nan)) })
	t.Run("complex", func(t *testing.T) { unequal(t, complex(1, nan)) })
	t.Run("struct", func(t *testing.T) { unequal(t, point{"p", nan}) })
	t.Run("array", func(t *testing.T) { unequal(t, [2]float64{1, nan}) })
	t.Run("interface", func(t *testing.T) { unequal[any](t, nan) })
	t.Run("interface with struct", func(t *testing.T) { unequal[any](t, point{"p", nan}) })
}

// Clause 23: a key whose dynamic type can't be compared panics, before
// anything is locked or changed, and the group goes on.
func TestKeyThatCannotBeComparedPanics(t *testing.T) {
	type pair struct {
		name  string
		value any
	}
	for name, key := range map[string]any{
		"slice":    []int{1},
		"map":      map[string]int{},
		"function": func() {},
		"struct":   pair{"p", []int{1}},
		"array":    [2]any{1, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g singleflight.Group[any, int]
				unwanted := func() (int, error) {
					t.Error("the function runs")
					return 0, nil
				}
				panics := func(method string, call func()) {
					if _, ok := panicOf(call).(error); !ok {
						t.Errorf("%s doesn't panic with an error", method)
					}
				}
				attempt := func() {
					for _, w := range ways {
						panics(w.name, func() { enter(w, &g, t.Context(), key, unwanted) })
					}
					panics("Func", func() {
						g.Func(func(context.Context, any) (int, error) { return unwanted() })(t.Context(), key)
					})
					panics("Forget", func() { g.Forget(key) })
					panics("ForgetUnshared", func() { g.ForgetUnshared(key) })
				}
				attempt() // in an unused group
				end := make(chan bool)
				ch := g.DoChan("key", func() (int, error) { <-end; return 1, nil })
				attempt() // beside a flight
				joiner := g.DoChan("key", nil)
				if n := g.Stats().InFlight; n != 1 {
					t.Errorf("%d flights in the air, want 1", n)
				}
				close(end)
				if r := <-ch; r.Val != 1 || !r.Shared {
					t.Errorf("the leader got %+v", r)
				}
				if r := <-joiner; r.Val != 1 || !r.Shared {
					t.Errorf("the joiner got %+v", r)
				}
				if err := g.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Clause 23: functions and Clone may call the group, also with their own key
// where they join nothing by it.
func TestFunctionsAndClonesMayCallTheGroup(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g *group
		var calls atomic.Int32
		use := func() {
			call := calls.Add(1)
			for _, w := range ways {
				// Many keys, so that some share whatever a lock may guard.
				for i := range 20 {
					key := fmt.Sprint(call, " ", w.name, " ", i)
					if r := enter(w, g, t.Context(), key, constant(i)); r.Val != i || r.Err != nil || r.Shared {
						t.Errorf("a call from inside got %+v", r)
					}
					g.Forget(key)
				}
			}
			g.ForgetUnshared("key")
		}
		g = singleflight.New(singleflight.Options[string, int]{Clone: func(v int) int {
			use()
			return v
		}})
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		j.lands(func() (int, error) {
			use()
			return 1, nil
		})
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		joiner.got(t, answer{Val: 1, Shared: true})
		if n := calls.Load(); n != 3 {
			t.Errorf("%d calls from inside, want the function's and two of Clone", n)
		}
	})
}

// A callingContext is a context whose methods call a group.
type callingContext struct {
	context.Context
	call func()
}

func (c callingContext) Done() <-chan struct{} {
	c.call()
	return c.Context.Done()
}

func (c callingContext) Err() error {
	c.call()
	return c.Context.Err()
}

func (c callingContext) Value(key any) any {
	c.call()
	return c.Context.Value(key)
}

func (c callingContext) AfterFunc(f func()) func() bool {
	c.call()
	return context.AfterFunc(c.Context, func() {
		c.call()
		f()
	})
}

// Clause 23: a context's methods may call the group.
func TestContextsMayCallTheGroup(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		for _, detach := range []bool{false, true} {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			var calls atomic.Int32
			ctx, cancel := context.WithCancel(t.Context())
			calling := callingContext{ctx, func() {
				calls.Add(1)
				g.ForgetUnshared("other key") // the lock of a flight in the air
				for i := range 20 {
					g.Do(fmt.Sprint(i), constant(i))
				}
			}}
			other := newJob()
			byDoChan.call(g, t.Context(), "other key", other)
			byDoChan.call(g, t.Context(), "other key", newJob())
			j := newJob()
			leader := leads.call(g, calling, "key", j)
			joiner := joins.call(g, calling, "key", newJob())
			if detach {
				cancel()
				synctest.Wait()
			}
			next := newJob()
			last := joins.call(g, context.WithoutCancel(calling), "key", next)
			j.returns(1)
			if detach && leads.detaches && joins.detaches {
				leader.got(t, answer{Err: context.Canceled})
				joiner.got(t, answer{Err: context.Canceled})
				next.returns(2)
				last.got(t, answer{Val: 2, Leader: true})
			} else {
				last.got(t, answer{Val: 1, Shared: true})
			}
			other.returns(3)
			if leads.detaches && calls.Load() == 0 {
				t.Error("no method of the context was called")
			}
			cancel()
		}
	})
}
