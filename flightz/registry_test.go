package flightz

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/seed-737f55c4/singleflight"
)

func TestLongestKnownFlights(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Now()
	for _, n := range []int{0, 1, 99, 100, 101, 1000} {
		for _, ages := range []int{1, 10, 1_000_000} {
			flights := make([]singleflight.Flight[int], n)
			for i := range flights {
				flights[i] = singleflight.Flight[int]{Key: i, Since: start.Add(time.Duration(random.IntN(ages)))}
			}
			got, more := longestKnown(slices.Values(flights))
			slices.SortStableFunc(flights, func(a, b singleflight.Flight[int]) int { return a.Since.Compare(b.Since) })
			if diff := cmp.Diff(flights[:min(n, 100)], got, cmpopts.EquateEmpty()); diff != "" || more != max(0, n-100) {
				t.Errorf("of %d flights of %d ages, and %d more (-want +got):\n%s", n, ages, more, diff)
			}
		}
	}
}

// A look takes memory for what it shows, however many flights there are.
func TestLookTakesLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g singleflight.Group[int, int]
		r := new(registry)
		register(r, "burst", &g, nil)
		end := make(chan bool)
		for key := range 5000 {
			g.DoChan(key, func() (int, error) { <-end; return 0, nil })
		}
		synctest.Wait()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v := r.look()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 100_000 || v.Groups[0].More != 4900 {
			t.Errorf("a look at 100 flights and %d more took %d bytes", v.Groups[0].More, took)
		}
		close(end)
	})
}
