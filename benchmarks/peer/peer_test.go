package peer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

const callers = 8

// entryPoints returns the entry points that a library has, each as a function
// of the key alone, bound to fn.
func entryPoints[K comparable](l peer.Library[K], ctx context.Context, fn peer.Function) map[string]func(K) (int, error) {
	points := map[string]func(K) (int, error){}
	if l.Do != nil {
		points["Do"] = l.Do(fn)
	}
	if l.DoChan != nil {
		points["DoChan"] = l.DoChan(fn)
	}
	if l.DoContext != nil {
		call := l.DoContext(fn)
		points["DoContext"] = func(key K) (int, error) { return call(ctx, key) }
	}
	if l.DoChanContext != nil {
		call := l.DoChanContext(fn)
		points["DoChanContext"] = func(key K) (int, error) { return call(ctx, key) }
	}
	return points
}

// testDeduplicates has callers of one key wait for one another, and of another
// key run beside them, and counts how often the function ran.
func testDeduplicates[K comparable](t *testing.T, l peer.Library[K], key, other K) {
	none := peer.Of(func() int { return 0 })
	for name := range entryPoints(l, t.Context(), none) {
		t.Run(l.Name+"/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				runs := 0
				release := make(chan struct{})
				fn := peer.Of(func() int {
					mu.Lock()
					runs++
					mu.Unlock()
					<-release
					return 7
				})
				// A context that can end makes libraries take their longer way.
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				call := entryPoints(l, ctx, fn)[name]

				var done sync.WaitGroup
				for i := range 2 * callers {
					k := key
					if i%2 == 1 {
						k = other
					}
					done.Go(func() {
						if v, err := call(k); v != 7 || err != nil {
							t.Errorf("call returned %d, %v; want 7, nil", v, err)
						}
					})
				}
				synctest.Wait()
				want := 2
				if l.Module == "" {
					want = 2 * callers
				}
				if runs != want {
					t.Errorf("%d calls of two keys ran the function %d times, want %d", 2*callers, runs, want)
				}
				close(release)
				done.Wait()

				if v, err := call(key); v != 7 || err != nil {
					t.Errorf("a later call returned %d, %v; want 7, nil", v, err)
				}
				if runs != want+1 {
					t.Errorf("a later call made it %d runs, want %d", runs, want+1)
				}
			})
		})
	}
}

func TestDeduplicates(t *testing.T) {
	for _, l := range peer.Strings() {
		testDeduplicates(t, l, "user:00000000001", "user:00000000002")
	}
}

// The baseline of crowds has one flight at a time, and runs its function apart
// from callers that may leave.
func TestBareCrowd(t *testing.T) {
	for name := range entryPoints(peer.BareCrowd[string](), t.Context(), peer.Immediate) {
		synctest.Test(t, func(t *testing.T) {
			runs := 0
			release := make(chan struct{})
			call := entryPoints(peer.BareCrowd[string](), t.Context(), peer.Of(func() int { runs++; <-release; return 7 }))[name]
			for range callers {
				go func() {
					if v, err := call("key"); v != 7 || err != nil {
						t.Errorf("%s: call returned %d, %v; want 7, nil", name, v, err)
					}
				}()
			}
			synctest.Wait()
			close(release)
			synctest.Wait()
			if call("key"); runs != 2 {
				t.Errorf("%s: %d runs, want 2", name, runs)
			}
		})
	}
}

// The baseline's callers leave when their context ends, as those of libraries do.
func TestBareCallersDetach(t *testing.T) {
	for name := range map[string]bool{"DoContext": true, "DoChanContext": true} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			call := entryPoints(peer.Bare[string](), ctx, peer.Of(func() int { <-release; return 7 }))[name]
			returned := false
			go func() { call("key"); returned = true }()
			synctest.Wait()
			if returned {
				t.Errorf("%s returned before its function", name)
			}
			cancel()
			synctest.Wait()
			if !returned {
				t.Errorf("%s waits on after its context has ended", name)
			}
			close(release)
		})
	}
}

func TestDeduplicatesOtherKeys(t *testing.T) {
	type pair struct {
		Tenant string
		ID     int64
	}
	testDeduplicates(t, peer.This[int](), 1, 2)
	testDeduplicates(t, peer.Traced[int](), 1, 2)
	testDeduplicates(t, peer.Tailscale[int](), 1, 2)
	testDeduplicates(t, peer.This[pair](), pair{"a", 1}, pair{"a", 2})
	testDeduplicates(t, peer.This[any](), any("a"), any(1))
	testDeduplicates(t, peer.This[[64]byte](), [64]byte{1}, [64]byte{2})
}

// flightsOf gives Flights and ContextFlights of a library the same form.
func flightsOf(l peer.Library[string], ctx context.Context, fn peer.Function, n int) map[string]peer.Flights[string] {
	flights := map[string]peer.Flights[string]{}
	if l.Flights != nil {
		flights["Flights"] = l.Flights(fn, n)
	}
	if l.ContextFlights != nil {
		flights["ContextFlights"] = withContext{l.ContextFlights(fn, n), ctx}
	}
	return flights
}

type withContext struct {
	peer.ContextFlights[string]
	ctx context.Context
}

func (w withContext) Start(key string) { w.ContextFlights.Start(w.ctx, key) }

func TestFlights(t *testing.T) {
	for _, l := range peer.Strings() {
		for name := range flightsOf(l, t.Context(), peer.Immediate, 0) {
			t.Run(l.Name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var mu sync.Mutex
					runs := 0
					release := make(chan struct{})
					fn := peer.Of(func() int {
						mu.Lock()
						runs++
						mu.Unlock()
						<-release
						return 7
					})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					flights := flightsOf(l, ctx, fn, callers)[name]
					for i := range callers {
						flights.Start(fmt.Sprint("key", i%2))
					}
					synctest.Wait()
					want := 2
					if l.Module == "" {
						want = callers
					}
					if runs != want {
						t.Errorf("%d calls of two keys ran the function %d times, want %d", callers, runs, want)
					}
					close(release)
					if got := flights.Receive(0); got != callers {
						t.Errorf("received %d results, want %d", got, callers)
					}
				})
			})
		}
	}
}

func TestContextFlightsDetach(t *testing.T) {
	for _, l := range peer.Strings() {
		if l.ContextFlights == nil {
			continue
		}
		t.Run(l.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				flights := l.ContextFlights(peer.Of(func() int { <-release; return 7 }), 2)
				flights.Start(context.Background(), "key")
				ctx, cancel := context.WithCancel(context.Background())
				flights.Start(ctx, "key")
				synctest.Wait()
				cancel()
				if got := flights.Receive(1); got != 0 {
					t.Errorf("%d results of the detached caller came without an error, want 0", got)
				}
				close(release)
				if got := flights.Receive(0); got != 1 {
					t.Errorf("%d results of the caller that stayed came without an error, want 1", got)
				}
			})
		})
	}
}
