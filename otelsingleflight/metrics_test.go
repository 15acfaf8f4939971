package otelsingleflight

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/seed-737f55c4/singleflight"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{}, nil)
		load := func(context.Context) (int, error) {
			time.Sleep(2 * time.Second)
			return 1, nil
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go r.DoContext(t.Context(), "k", load)
		synctest.Wait()
		go r.DoContext(t.Context(), "k", load)
		go r.DoContext(impatient, "k", load)
		r.Wait(t.Context())
		r.Do("k", func() (int, error) { return 0, errors.New("no user") })
		synctest.Wait()

		users := attribute.NewSet(attribute.String("singleflight.group", "users"))
		failed := attribute.NewSet(attribute.String("singleflight.group", "users"), attribute.String("error.type", "*errors.errorString"))
		total := func(n int64) metricdata.Sum[int64] {
			return metricdata.Sum[int64]{
				Temporality: metricdata.CumulativeTemporality,
				IsMonotonic: true,
				DataPoints:  []metricdata.DataPoint[int64]{{Attributes: users, Value: n}},
			}
		}
		seconds := []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
		got := r.metrics()
		for _, want := range []metricdata.Metrics{
			{Name: "singleflight.flights", Unit: "{flight}", Description: "Functions run.", Data: total(2)},
			{Name: "singleflight.joins", Unit: "{call}", Description: "Calls that joined another caller's flight: the work spared.", Data: total(2)},
			{Name: "singleflight.detaches", Unit: "{call}", Description: "Callers that left before the landing.", Data: total(1)},
			{
				Name: "singleflight.flight.duration", Unit: "s", Description: "Time from a function's start to its flight's landing.",
				Data: metricdata.Histogram[float64]{
					Temporality: metricdata.CumulativeTemporality,
					DataPoints: []metricdata.HistogramDataPoint[float64]{
						{
							Attributes: users, Count: 1, Sum: 2, Bounds: seconds,
							Min: metricdata.NewExtrema(2.0), Max: metricdata.NewExtrema(2.0),
							BucketCounts: []uint64{10: 1, 14: 0},
						},
						{
							Attributes: failed, Count: 1, Sum: 0, Bounds: seconds,
							Min: metricdata.NewExtrema(0.0), Max: metricdata.NewExtrema(0.0),
							BucketCounts: []uint64{0: 1, 14: 0},
						},
					},
				},
			},
			{
				Name: "singleflight.flight.callers", Unit: "{call}", Description: "Callers that were ever on a flight, the leader included.",
				Data: metricdata.Histogram[int64]{
					Temporality: metricdata.CumulativeTemporality,
					DataPoints: []metricdata.HistogramDataPoint[int64]{{
						Attributes: users, Count: 2, Sum: 4, Bounds: []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000},
						Min: metricdata.NewExtrema(int64(1)), Max: metricdata.NewExtrema(int64(3)),
						BucketCounts: []uint64{0: 1, 2: 1, 10: 0},
					}},
				},
			},
		} {
			metricdatatest.AssertEqual(t, want, got[want.Name], metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
			delete(got, want.Name)
		}
		for name := range got {
			t.Errorf("there is a metric %s", name)
		}
	})
}

// However calls come and go, the counters agree with Stats at rest, and soon
// nothing about any flight is kept.
func TestCountersAgreeWithStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{
			CancelAbandoned: true,
			Recover:         true,
			FlightTimeout:   10 * time.Millisecond,
		}, nil)
		load := func(ctx context.Context) (int, error) {
			switch rand.IntN(8) {
			case 0:
				return 0, errors.New("no user")
			case 1:
				panic("out of users")
			case 2:
				return 1, nil
			case 3:
				<-ctx.Done()
				return 0, ctx.Err()
			default:
				time.Sleep(rand.N(time.Millisecond))
				return 1, nil
			}
		}
		var callers sync.WaitGroup
		for range 16 {
			callers.Go(func() {
				for range 200 {
					r.call(load)
				}
			})
		}
		callers.Wait()
		r.Wait(t.Context())
		time.Sleep(doubt)
		synctest.Wait()

		stats, metrics := r.Stats(), r.metrics()
		for _, c := range []struct {
			name string
			want uint64
		}{
			{"singleflight.flights", stats.Flights},
			{"singleflight.joins", stats.Joined},
			{"singleflight.detaches", stats.Detached},
		} {
			if got := count(t, metrics[c.name]); got != int64(c.want) {
				t.Errorf("%s is %d, want %d", c.name, got, c.want)
			}
		}
		if n := len(r.flights()); n != int(stats.Flights) {
			t.Errorf("%d spans of flights, want %d", n, stats.Flights)
		}
		r.wantNothingKept()
	})
}

// call makes some call that ends within a millisecond or so.
func (r *rig) call(fn func(context.Context) (int, error)) {
	key := strconv.Itoa(rand.IntN(4))
	ctx, request := r.request("request")
	defer request.End()
	ctx, cancel := context.WithTimeout(ctx, rand.N(time.Millisecond))
	defer cancel()
	switch rand.IntN(8) {
	case 0:
		r.Do(key, func() (int, error) { runtime.Gosched(); return 1, nil })
	case 1:
		<-r.DoChan(key, func() (int, error) { runtime.Gosched(); return 1, nil })
	case 2, 3:
		<-r.DoChanContext(ctx, key, fn)
	default:
		r.DoContext(ctx, key, fn)
	}
}
