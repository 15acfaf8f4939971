// Package promsingleflight shows the numbers of singleflight groups to
// Prometheus.
//
//	var flights promsingleflight.Collector
//	promsingleflight.Register(&flights, "users", users)
//	promsingleflight.Register(&flights, "sessions", sessions)
//	prometheus.MustRegister(&flights)
//
// # Metrics
//
//	singleflight_calls_total                counter  calls that led or joined a flight
//	singleflight_flights_total              counter  functions run
//	singleflight_joined_total               counter  calls that joined another caller's flight: the work spared
//	singleflight_detached_total             counter  callers that left before the landing
//	singleflight_abandoned_total            counter  times that a flight lost its last caller
//	singleflight_dropped_total              counter  successors that never ran
//	singleflight_panics_total               counter  flights that ended in a panic or Goexit
//	singleflight_in_flight                  gauge    flights in the air, by state
//	singleflight_oldest_flight_age_seconds  gauge    age of the oldest flight known to be in the air, 0 if there is none
//
// All have the label group, the name that the group was registered under;
// singleflight_in_flight has the label state besides, which is running,
// waiting, abandoned or cancelled; and, if there is a flight in a state that this
// version of the package doesn't know, unknown. Keys are shown nowhere.
//
// A flight is known from when it begins, if its function runs on a goroutine of
// its own or the group has a Trace or ForgetAfter; a waiting successor, from when
// its leader called. The others, which run on their leader's goroutine, are known
// from when a second caller joined, or from when the flights were first listed
// while it was in the air, whichever came first; each scrape lists them. So their
// age is at least as shown, and misses less than the time between two scrapes.
//
// A scrape takes memory for the numbers alone, however many flights there are,
// and holds up calls no longer than [singleflight.Group.Flights] does.
package promsingleflight

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-737f55c4/singleflight"
)

// A Collector is a [prometheus.Collector] of any number of groups. The zero
// Collector is ready for use and has none. It must not be copied. All its
// methods, and [Register], may be called by any number of goroutines at once,
// also while it is registered with Prometheus.
type Collector struct {
	mu     sync.Mutex
	groups map[string]source
}

// A source is a group without its types.
type source struct {
	stats func() singleflight.Stats
	air   func() air
}

// Register adds a group to c under a name, which becomes its label group. Any
// *singleflight.Group is such a g. A name that is taken or isn't valid UTF-8,
// and a nil g, panic.
func Register[K comparable](c *Collector, name string, g interface {
	Stats() singleflight.Stats
	Flights() iter.Seq[singleflight.Flight[K]]
}) {
	if v := reflect.ValueOf(g); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic(fmt.Sprintf("promsingleflight: nil group %q", name))
	}
	if !utf8.ValidString(name) {
		panic(fmt.Sprintf("promsingleflight: name %q is not valid UTF-8", name))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.groups[name]; taken {
		panic(fmt.Sprintf("promsingleflight: reuse of name %q", name))
	}
	if c.groups == nil {
		c.groups = make(map[string]source)
	}
	c.groups[name] = source{g.Stats, func() air { return observe(g.Flights()) }}
}

// Unregister takes the group with the given name out, and reports whether there
// was one. The name is free again. A scrape that is under way may still show
// the group.
func (c *Collector) Unregister(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.groups[name]
	delete(c.groups, name)
	return ok
}

// states are the names of those that a flight can be in.
var states = [...]string{
	singleflight.Running:   "running",
	singleflight.Waiting:   "waiting",
	singleflight.Abandoned: "abandoned",
	singleflight.Cancelled: "cancelled",
}

// air is what a group has in the air.
type air struct {
	flights [len(states)]int // by state
	unknown int              // in other states
	oldest  time.Duration
}

// observe sums flights up.
func observe[K comparable](flights iter.Seq[singleflight.Flight[K]]) (a air) {
	var oldest time.Time
	for f := range flights {
		if 0 <= f.State && int(f.State) < len(states) {
			a.flights[f.State]++
		} else {
			a.unknown++
		}
		if oldest.IsZero() || f.Since.Before(oldest) {
			oldest = f.Since
		}
	}
	if !oldest.IsZero() {
		a.oldest = max(0, time.Since(oldest))
	}
	return a
}

// A counter is one of the Stats that only grow.
type counter struct {
	*prometheus.Desc
	of func(*singleflight.Stats) uint64
}

var (
	counters = [...]counter{
		{describe("calls_total", "Calls that led or joined a flight."), func(s *singleflight.Stats) uint64 { return s.Calls }},
		{describe("flights_total", "Functions run."), func(s *singleflight.Stats) uint64 { return s.Flights }},
		{describe("joined_total", "Calls that joined another caller's flight: the work spared."), func(s *singleflight.Stats) uint64 { return s.Joined }},
		{describe("detached_total", "Callers that left before the landing."), func(s *singleflight.Stats) uint64 { return s.Detached }},
		{describe("abandoned_total", "Times that a flight lost its last caller."), func(s *singleflight.Stats) uint64 { return s.Abandoned }},
		{describe("dropped_total", "Successors that never ran."), func(s *singleflight.Stats) uint64 { return s.Dropped }},
		{describe("panics_total", "Flights that ended in a panic or Goexit."), func(s *singleflight.Stats) uint64 { return s.Panics }},
	}
	inFlight  = describe("in_flight", "Flights in the air, by state.", "state")
	oldestAge = describe("oldest_flight_age_seconds", "Age of the oldest flight known to be in the air, 0 if there is none.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("singleflight_"+name, help, append([]string{"group"}, labels...), nil)
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, counter := range counters {
		descriptions <- counter.Desc
	}
	descriptions <- inFlight
	descriptions <- oldestAge
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	c.mu.Lock()
	groups := maps.Clone(c.groups)
	c.mu.Unlock()
	for name, group := range groups {
		group.collect(name, metrics)
	}
}

func (s source) collect(name string, metrics chan<- prometheus.Metric) {
	stats, air := s.stats(), s.air()
	for _, counter := range counters {
		metrics <- prometheus.MustNewConstMetric(counter.Desc, prometheus.CounterValue, float64(counter.of(&stats)), name)
	}
	for state, flights := range air.flights {
		metrics <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(flights), name, states[state])
	}
	if air.unknown > 0 {
		metrics <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(air.unknown), name, "unknown")
	}
	metrics <- prometheus.MustNewConstMetric(oldestAge, prometheus.GaugeValue, air.oldest.Seconds(), name)
}
