package singleflight_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

func TestSinceIsWhenAFlightApartBegan(t *testing.T) {
	// A flight with a goroutine of its own is stamped as it begins.
	eachPair(t, runningApart, ways, func(t *testing.T, leads, joins way) {
		var g group
		for range 2 { // the second uses the first's spares
			j := newJob()
			leads.call(&g, t.Context(), "key", j)
			since := time.Now()
			sleep(time.Second)
			joins.call(&g, t.Context(), "key", newJob())
			sleep(time.Second)
			lists(t, &g, flight{Key: "key", Callers: 2, Since: since})
			lists(t, &g, flight{Key: "key", Callers: 2, Since: since})
			j.returns(7)
			sleep(time.Second)
		}
	})
}

// stamped are options with which every flight is stamped.
var stamped = map[string]singleflight.Options[string, int]{
	"Trace":       {Trace: new(singleflight.Trace[string])},
	"ForgetAfter": {ForgetAfter: 24 * time.Hour},
}

func TestSinceIsWhenAFlightBeganInAGroupWithClock(t *testing.T) {
	// In a group with Trace or ForgetAfter each flight is stamped as it begins.
	for name, opts := range stamped {
		t.Run(name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				g := singleflight.New(opts)
				for range 2 {
					j := newJob()
					leads.call(g, t.Context(), "key", j)
					since := time.Now()
					sleep(time.Second)
					lists(t, g, flight{Key: "key", Callers: 1, Since: since})
					sleep(time.Second)
					joins.call(g, t.Context(), "key", newJob())
					lists(t, g, flight{Key: "key", Callers: 2, Since: since})
					j.returns(7)
					sleep(time.Second)
				}
			})
		})
	}
}

func TestSinceOfASuccessor(t *testing.T) {
	// While it waits, when its leader called; once it runs, when it began.
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := cancelling()
		first := abandoned(t, g, "key")
		start := time.Now()
		sleep(time.Second)
		second := newJob()
		leads.call(g, t.Context(), "key", second)
		called := time.Now()
		sleep(time.Second)
		joins.call(g, t.Context(), "key", newJob())
		sleep(time.Second)
		lists(t, g,
			flight{Key: "key", State: singleflight.Cancelled, Since: start},
			flight{Key: "key", Callers: 2, State: singleflight.Waiting, Since: called})
		first.returns(1)
		began := time.Now()
		sleep(time.Second)
		lists(t, g, flight{Key: "key", Callers: 2, Since: began})
		joins.call(g, t.Context(), "key", newJob())
		lists(t, g, flight{Key: "key", Callers: 3, Since: began})
		second.returns(2)
	})
}

func TestFirstLookTellsTheOlderFlight(t *testing.T) {
	// Where flights are stamped, the first look of all lists the older one first, whatever the keys.
	keys := []string{"a", "b", "c", "d", "e"}
	for _, w := range ways {
		for name, opts := range map[string]singleflight.Options[string, int]{"": {}, "Trace": stamped["Trace"]} {
			if w.here && name == "" {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				g := singleflight.New(opts)
				j := newJob()
				for _, key := range keys {
					w.call(g, t.Context(), key, j)
					sleep(1)
				}
				for i, f := range g.InFlight() {
					if want := time.Now().Add(time.Duration(i - len(keys))); f.Key != keys[i] || !f.Since.Equal(want) {
						t.Errorf("%s: place %d has %+v, want %s since %v", w.name, i, f, keys[i], want)
					}
				}
				for range keys {
					j.returns(0)
				}
			})
		}
	}
}

func TestTwoLooksTellTheOlderFlight(t *testing.T) {
	// Where they aren't, the second look does: what was seen before is older than what wasn't.
	eachWay(t, runningHere, func(t *testing.T, w way) {
		var g group
		j := newJob()
		w.call(&g, t.Context(), "z", j)
		seen := time.Now()
		lists(t, &g, flight{Key: "z", Callers: 1, Since: seen})
		sleep(time.Second)
		w.call(&g, t.Context(), "a", j)
		lists(t, &g, flight{Key: "z", Callers: 1, Since: seen}, flight{Key: "a", Callers: 1, Since: time.Now()})
		j.returns(0)
		j.returns(0)
	})
}

func TestSinceOfAnAbandonedFlight(t *testing.T) {
	// It keeps its age, also when it is joined again.
	eachWay(t, detaching, func(t *testing.T, w way) {
		var g group
		ctx, cancel := context.WithCancel(t.Context())
		j := newJob()
		w.call(&g, ctx, "key", j)
		since := time.Now()
		sleep(time.Second)
		cancel()
		sleep(time.Second)
		lists(t, &g, flight{Key: "key", State: singleflight.Abandoned, Since: since})
		w.call(&g, t.Context(), "key", newJob())
		lists(t, &g, flight{Key: "key", Callers: 1, Since: since})
		j.returns(0)
	})
}
