package singleflight_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

func TestFlightsAreThoseOfInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
		if flights := slices.Collect(g.Flights()); flights != nil {
			t.Errorf("a group without calls has the flights %+v", flights)
		}
		var jobs []*job
		start := func(w way, ctx context.Context, key string) {
			j := newJob()
			w.call(g, ctx, key, j)
			sleep(time.Second)
			jobs = append(jobs, j)
		}
		for key := range 100 {
			start(byDo, nil, "plain "+strconv.Itoa(key))
		}
		for range 100 {
			start(byDoChan, nil, "forgotten")
			g.Forget("forgotten")
		}
		for key := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			start(byDoContext, ctx, "cancelled "+strconv.Itoa(key))
			cancel()
			synctest.Wait()
			w := ways[key%len(ways)]
			if key%3 == 0 {
				start(w, t.Context(), "cancelled "+strconv.Itoa(key))
			}
		}
		g.InFlight() // from now on all have a time
		flights := slices.SortedStableFunc(g.Flights(), func(a, b flight) int { return a.Since.Compare(b.Since) })
		if want := g.InFlight(); !slices.Equal(flights, want) || len(want) != 334 {
			t.Errorf("Flights:\n got %+v\nwant %+v", flights, want)
		}
		for _, j := range jobs {
			j.returns(0)
		}
		if flights := slices.Collect(g.Flights()); flights != nil {
			t.Errorf("after the landings there are the flights %+v", flights)
		}
	})
}

// The body of a loop over the flights may call the group, with the key of the
// flight that it was given too.
func TestLoopOverFlightsMayCallTheGroup(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		j := newJob()
		for range 3 {
			w.call(&g, t.Context(), "key", j)
			g.Forget("key")
		}
		seen := 0
		for f := range g.Flights() {
			seen++
			alone(t, &g, f.Key)
			g.Forget(f.Key)
			if n := g.Stats().InFlight; n != 3 {
				t.Errorf("Stats count %d flights, want 3", n)
			}
			if list := slices.Collect(g.Flights()); len(list) != 3 || len(g.InFlight()) != 3 {
				t.Errorf("within the loop there are %+v", list)
			}
		}
		if seen != 3 {
			t.Errorf("the loop got %d flights, want 3", seen)
		}
		for range 3 {
			j.returns(0)
		}
	})
}

func TestLoopOverFlightsCanBeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g singleflight.Group[int, int]
		end := make(chan bool)
		for key := range 1000 {
			g.DoChan(key, func() (int, error) { <-end; return 0, nil })
		}
		flights := g.Flights()
		for _, most := range []int{1, 63, 64, 65, 500, 1000} {
			seen := 0
			for range flights {
				if seen++; seen == most {
					break
				}
			}
			if seen != most {
				t.Errorf("a loop that was to be left after %d flights got %d", most, seen)
			}
		}
		next, stop := iter.Pull(flights)
		if _, ok := next(); !ok {
			t.Error("there is no flight")
		}
		stop()
		close(end)
		synctest.Wait()
		if list := slices.Collect(flights); list != nil {
			t.Errorf("after the landings the same iterator gives %d flights", len(list))
		}
	})
}

// While a loop goes over the flights, others take off and land, and successors
// begin to run: those that stay are in it once.
func TestLoopOverFlightsGetsThoseThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[int, string]{CancelAbandoned: true})
		random := rand.New(rand.NewPCG(1, 2))
		ends := make(map[int]chan bool) // of the flights that run, by their key
		keys := 0
		lead := func(ctx context.Context, key int) {
			end := make(chan bool)
			ends[key] = end
			g.DoChanContext(ctx, key, func(context.Context) (string, error) { <-end; return "", nil })
		}
		takeOff := func(n int) {
			for range n {
				lead(t.Context(), keys)
				keys++
			}
		}
		// Of these keys a cancelled flight is in the air, and its successor waits.
		var cancelled, stay []int
		landed := make(map[int]chan bool)
		for range 300 {
			ctx, cancel := context.WithCancel(t.Context())
			lead(ctx, keys)
			landed[keys] = ends[keys]
			synctest.Wait()
			cancel()
			synctest.Wait()
			lead(t.Context(), keys)
			cancelled = append(cancelled, keys)
			stay = append(stay, keys)
			keys++
		}
		takeOff(300)
		for key := len(cancelled); key < keys; key++ {
			stay = append(stay, key)
		}
		takeOff(3000)
		leave := keys - 3000 // the first key of those that may land
		synctest.Wait()

		seen := make(map[string]int)
		loops := 0
		for f := range g.Flights() {
			seen[fmt.Sprint(f.Key, f.State == singleflight.Cancelled)]++
			if loops++; loops%100 != 0 {
				continue
			}
			for range 60 {
				key := leave + random.IntN(keys-leave)
				if end := ends[key]; end != nil {
					close(end)
					delete(ends, key)
				}
			}
			for range 5 {
				if len(cancelled) > 0 {
					i := random.IntN(len(cancelled))
					close(landed[cancelled[i]])
					cancelled = slices.Delete(cancelled, i, i+1)
				}
			}
			takeOff(40)
			synctest.Wait()
		}
		for _, key := range stay {
			if n := seen[fmt.Sprint(key, false)]; n != 1 {
				t.Errorf("the flight of key %d was in the loop %d times", key, n)
			}
		}
		for flight, n := range seen {
			if n > 1 {
				t.Errorf("flight %s was in the loop %d times", flight, n)
			}
		}
		if len(cancelled) == 300 || len(cancelled) == 0 {
			t.Errorf("%d of the cancelled flights have landed", 300-len(cancelled))
		}
		for _, key := range cancelled {
			close(landed[key])
		}
		for _, end := range ends {
			close(end)
		}
	})
}

// A look at many flights takes memory for a few.
func TestLoopOverFlightsTakesLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g singleflight.Group[int, int]
		end := make(chan bool)
		for key := range 5_000 {
			g.DoChan(key, func() (int, error) { <-end; return 0, nil })
		}
		synctest.Wait()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		seen := 0
		for range g.Flights() {
			seen++
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; seen != 5_000 || took > 50_000 {
			t.Errorf("a loop over %d flights took %d bytes", seen, took)
		}
		close(end)
	})
}

func TestLoopsOverFlightsWhileGoroutinesRun(t *testing.T) {
	var g singleflight.Group[int, int]
	end := make(chan bool)
	for key := range 500 {
		g.DoChan(-1-key, func() (int, error) { <-end; return 0, nil })
	}
	var callers, watchers sync.WaitGroup
	for n := range uint64(4) {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(n, n))
			for range 3000 {
				key := random.IntN(100)
				switch random.IntN(4) {
				case 0:
					g.Forget(key)
				case 1:
					<-g.DoChan(key, constant(1))
				default:
					g.Do(key, constant(1))
				}
			}
		})
	}
	for range 2 {
		watchers.Go(func() {
			for range 50 {
				stayed := 0
				for f := range g.Flights() {
					if f.Key < 0 {
						stayed++
					}
				}
				if stayed != 500 {
					t.Errorf("of 500 flights that stay the loop got %d", stayed)
				}
			}
		})
	}
	callers.Wait()
	watchers.Wait()
	close(end)
	if err := g.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
