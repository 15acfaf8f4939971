package otelsingleflight

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// flights brings the spans of flights and of those who join them together, in
// whatever order the hooks run: a Join may come before the flight's Start and
// after its Land, and a flight that is dropped has neither of these.
//
// A flight is known from the first hook of Start, Join and Land on. It is
// forgotten when it has landed and each of its Joins has run, which the number
// of callers at the landing tells; or, while it hasn't started, when all who
// joined it have detached, since it may have been dropped.
type flights struct {
	mu    sync.Mutex
	known map[uint64]*flight
}

// doubt is how long a landed flight is known whose missing Joins may have run
// long ago; see land. A Join that came later would be taken for one before a
// Start: its link would be lost, and the flight known for good. But a caller
// whose Join hook runs so late had no processor all that time.
const doubt = 10 * time.Second

type flight struct {
	span     trace.Span        // nil until Start
	target   trace.SpanContext // of links; not valid until Start, or if there is none
	waiting  map[spanID]joiner // who joined before Start, and has not detached
	joins    int               // Join hooks that ran
	detaches int               // Detach hooks that ran
	landed   bool
	callers  int // at the landing
}

// A spanID names a span. It is the zero one for callers without a span.
type spanID struct {
	trace trace.TraceID
	span  trace.SpanID
}

func idOf(span trace.Span) spanID {
	c := span.SpanContext()
	return spanID{c.TraceID(), c.SpanID()}
}

// A joiner is a span and how many calls with it joined a flight.
type joiner struct {
	span  trace.Span
	calls int
}

// find returns the flight with the given id, which is new if it isn't known.
func (t *flights) find(id uint64) *flight {
	f := t.known[id]
	if f == nil {
		if t.known == nil {
			t.known = make(map[uint64]*flight)
		}
		f = new(flight)
		t.known[id] = f
	}
	return f
}

// start gives a flight its span and returns the spans that are to be linked to
// target: one for each call that has joined it and not detached.
func (t *flights) start(id uint64, span trace.Span, target trace.SpanContext) (joined []trace.Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.find(id)
	f.span, f.target = span, target
	for _, j := range f.waiting {
		for range j.calls {
			joined = append(joined, j.span)
		}
	}
	f.waiting = nil
	return joined
}

// join returns what the span of a caller that joins is to be linked to, which
// isn't valid if it isn't known yet.
func (t *flights) join(id uint64, span trace.Span) (target trace.SpanContext) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.find(id)
	f.joins++
	switch {
	case f.landed:
		t.settle(id, f)
	case f.span == nil:
		if f.waiting == nil {
			f.waiting = make(map[spanID]joiner)
		}
		name := idOf(span)
		f.waiting[name] = joiner{span, f.waiting[name].calls + 1}
	}
	return f.target
}

// detach forgets a caller that waits for the flight to start. If the flight's
// leader has the same span, it may be taken for a joiner here; the link that
// is lost by that would have gone from a span to its child.
func (t *flights) detach(id uint64, span trace.Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.known[id]
	if f == nil {
		return
	}
	f.detaches++
	name := idOf(span)
	j, ok := f.waiting[name]
	if !ok {
		return
	}
	j.calls--
	if j.calls > 0 {
		f.waiting[name] = j
		return
	}
	delete(f.waiting, name)
	if len(f.waiting) == 0 {
		delete(t.known, id)
	}
}

// land returns the span of a flight that has landed, with the given number of
// callers of which some detached. It is nil if Start panicked.
func (t *flights) land(id uint64, callers, detached int) trace.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.find(id)
	span := f.span
	f.span, f.waiting = nil, nil
	f.landed, f.callers = true, callers
	if t.settle(id, f) {
		return span
	}
	// If every Detach was seen, the flight was never forgotten, every Join
	// that ran is counted, and the others will run. If not, it may be that
	// some joined and detached before the start, and were forgotten.
	if detached > f.detaches {
		time.AfterFunc(doubt, func() { t.forget(id) })
	}
	return span
}

func (t *flights) forget(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, id)
}

// settle forgets a landed flight if each of its Joins has run, and reports
// whether that was so.
func (t *flights) settle(id uint64, f *flight) bool {
	if f.joins < f.callers-1 {
		return false
	}
	delete(t.known, id)
	return true
}
