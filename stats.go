package singleflight

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
)

// Stats are a group's counters since its first call. They are exact when no
// call is on its way in or out; each but InFlight only grows. When no flight is
// in the air either, Calls is Flights + Joined + Dropped.
type Stats struct {
	Calls     uint64 // calls that led or joined a flight
	Flights   uint64 // functions run
	Joined    uint64 // calls that joined another caller's flight: the work spared
	Detached  uint64 // callers that left before the landing
	Abandoned uint64 // times that a flight lost its last caller
	Dropped   uint64 // successors that never ran
	Panics    uint64 // flights that ended in a panic or Goexit
	InFlight  int    // flights running or waiting now
}

// Stats returns the group's counters. A call that is refused, or whose context
// is done before it begins, counts nowhere.
func (g *Group[K, V]) Stats() Stats {
	var stats Stats
	for _, s := range g.parts() {
		s.Lock()
		s.addTo(&stats)
		s.Unlock()
	}
	return stats
}

// counters are one shard's part of the Stats, guarded by its lock. The shard
// itself has those that each call needs: led, of calls that led a flight or a
// successor, and joined.
type counters struct {
	detached  uint64
	abandoned uint64
	dropped   uint64
	panics    uint64
	waiting   uint64 // successors that wait now
}

// addTo adds the shard's counters to the group's.
func (s *shard[K, V]) addTo(stats *Stats) {
	c := &s.counters
	stats.Calls += s.led + s.joined
	stats.Flights += s.led - c.dropped - c.waiting
	stats.Joined += s.joined
	stats.Detached += c.detached
	stats.Abandoned += c.abandoned
	stats.Dropped += c.dropped
	stats.Panics += c.panics
	stats.InFlight += s.flights.Len() + int(c.waiting)
}

// A Flight is a flight in the air, as [Group.InFlight] or [Group.Flights] found
// it.
type Flight[K comparable] struct {
	Key       K
	Callers   int         // on the flight now
	State     FlightState // Running, Waiting, Abandoned or Cancelled
	Forgotten bool        // by whichever means

	// Since is when the flight began to run; of a successor that waits, when its
	// leader called. A flight that runs on its leader's goroutine, in a group
	// without a Trace and ForgetAfter, looks at no clock: there it is when a
	// second caller joined, or when InFlight or Flights first listed it, whichever
	// came first, so the flight is at least this old. It is of the clock that
	// never goes back, and the difference of two looks at one flight is that of
	// two readings of the clocks.
	Since time.Time
}

// A FlightState is what a flight in the air is doing.
type FlightState int

const (
	Running   FlightState = iota // its function runs, or is about to
	Waiting                      // a successor, for a cancelled flight to land
	Abandoned                    // it runs, and its last caller has detached
	Cancelled                    // it runs, was abandoned, and its context is cancelled
)

var flightStates = [...]string{"Running", "Waiting", "Abandoned", "Cancelled"}

// String returns the name of the state.
func (s FlightState) String() string {
	if s < 0 || int(s) >= len(flightStates) {
		return fmt.Sprintf("FlightState(%d)", int(s))
	}
	return flightStates[s]
}

// InFlight returns the flights in the air, longest known first. It is a sorted
// list of [Group.Flights], which says what is in it; who needs no list of them all
// better uses that.
func (g *Group[K, V]) InFlight() []Flight[K] {
	list := slices.Grow([]Flight[K](nil), g.Stats().InFlight)
	list = slices.AppendSeq(list, g.Flights())
	slices.SortStableFunc(list, func(a, b Flight[K]) int { return a.Since.Compare(b.Since) })
	return list
}

// Flights returns an iterator over the flights in the air, in no order, each as
// it was shortly before the loop gets it. It takes memory for a constant number
// of flights, and holds up calls for no longer than it takes to copy so many. The
// body of the loop runs under no lock: it may call the group, and leave the loop.
//
// A flight that is in the air, and not forgotten, from the beginning of the loop
// to its end is in it exactly once; so is a successor that waits, or begins to
// run meanwhile. A flight that takes off meanwhile may be in it, once; one that is
// forgotten, or lands, may be in it twice, or be missed. Each loop looks at
// the group anew. It comes to its end unless flights take off, for as long as it
// takes, faster than it gets them.
func (g *Group[K, V]) Flights() iter.Seq[Flight[K]] {
	return func(yield func(Flight[K]) bool) {
		var chunk []Flight[K]
		for _, s := range g.parts() {
			for place, more := inflight.Place(0), true; more; {
				chunk, place, more = s.listed(chunk[:0], place)
				for _, f := range chunk {
					if !yield(f) {
						return
					}
				}
			}
		}
	}
}

// listed appends the flights of the shard that one Scan from a place on finds,
// and their successors, to list. It returns where the next is to go on, and
// whether there is more.
func (s *shard[K, V]) listed(list []Flight[K], place inflight.Place) ([]Flight[K], inflight.Place, bool) {
	s.Lock()
	defer s.Unlock()
	clock := time.Now() // not before the lock: a flight must not be older than it is
	moment := momentOf(clock)
	place, more := s.flights.Scan(place, func(f *flight[K, V]) {
		forgotten := f.forgotten()
		for ; f != nil; f = f.successor() {
			if f.since == 0 {
				f.since = moment // a stamp for every flight would cost more than an unshared Do
			}
			list = append(list, Flight[K]{f.Key(), f.callers(), f.state(), forgotten, clock.Add(time.Duration(f.since - moment))})
		}
	})
	return list, place, more
}

// callers returns how many callers are on the flight now.
func (f *flight[K, V]) callers() int {
	if f.crowd == nil {
		return 1
	}
	return int(f.crowd.callers)
}

// forgotten reports whether the flight was forgotten before it landed.
func (f *flight[K, V]) forgotten() bool {
	if f.crowd != nil && f.crowd.landed {
		return f.crowd.forgotten
	}
	return f.Aside()
}

func (f *flight[K, V]) state() FlightState {
	switch {
	case f.waits():
		return Waiting
	case f.cancelled():
		return Cancelled
	case f.callers() == 0:
		return Abandoned
	default:
		return Running
	}
}
