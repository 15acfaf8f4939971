package httpflight

import (
	"iter"
	"net/http"

	"github.com/seed-737f55c4/singleflight"
)

// Stats are the counters of a [Handler] or a [Transport] since it was made. All
// but InFlight and Buffered only grow. Requests is Bypassed + Led + Collapsed +
// Refused and those that left, or failed, while they waited, when no request is
// on its way.
type Stats struct {
	Requests  uint64 // all
	Bypassed  uint64 // ran alone without having waited
	Led       uint64 // were forwarded for themselves and whoever would join
	Collapsed uint64 // were served with the response to another
	Late      uint64 // of these, when that response's body was on its way
	Refused   uint64 // ran alone since a response that they waited for, or found, could not be shared with them
	Cut       uint64 // were cut off because they read too slowly
	InFlight  int    // forwarded requests under way, to the end of their bodies
	Buffered  int64  // bytes of bodies that are kept now
}

func (m *merger) stats() Stats {
	return Stats{
		Requests:  m.requests.Load(),
		Bypassed:  m.bypassed.Load(),
		Led:       m.led.Load(),
		Collapsed: m.collapsed.Load(),
		Late:      m.late.Load(),
		Refused:   m.refused.Load(),
		Cut:       m.limits.cut.Load(),
		InFlight:  int(m.underWay.Load()),
		Buffered:  m.limits.memory.buffered(),
	}
}

func (m *merger) forget(r *http.Request) {
	slot := m.writes.slot(r)
	m.writes.begin(slot)
	m.writes.end(slot)
}

// Flights is a view of the flights of a [Handler] or a [Transport], as package
// flightz and others show those of a group:
//
//	flightz.Register("pages", handler.Flights())
//
// A flight is in the air until its header is there. Its key is shown as the host
// and path that its leader asked for, without the query and the fields, which
// may be secrets.
type Flights struct {
	m *merger
}

// Stats returns the counters of the group.
func (f Flights) Stats() singleflight.Stats { return f.m.group.Stats() }

// Flights returns an iterator over the flights in the air, as
// [singleflight.Group.Flights] does.
func (f Flights) Flights() iter.Seq[singleflight.Flight[string]] {
	return func(yield func(singleflight.Flight[string]) bool) {
		for flight := range f.m.group.Flights() {
			flight.Key = f.m.request(flight.Key)
			if !yield(flight) {
				return
			}
		}
	}
}

// request returns what a person can tell the requests of a flight by.
func (m *merger) request(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.air[key]; known != nil {
		return known.host + known.path
	}
	return "?" // it is just beginning or ending, or forgotten
}
