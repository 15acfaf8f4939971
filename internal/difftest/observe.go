package difftest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/model"
)

// observe waits for rest, records what has changed, and goes to the next step.
func (r *run) observe() {
	synctest.Wait()
	for _, c := range r.callers {
		r.observeFunction(c)
		r.observeAnswer(c)
		r.observeContext(c)
	}
	if n := r.clones.Load(); n > r.cloned {
		r.happened(Event{Caller: nobody, What: Clones, Detail: fmt.Sprint(n - r.cloned)})
		r.cloned = n
	}
	r.step++
	r.observed.Add(1)
}

// afterObservation orders what a caller's goroutines do next after all that was
// observed before. It is so in any case, since they were blocked meanwhile, but a
// goroutine that a timer wakes has nothing else to show the race detector.
func (r *run) afterObservation() { r.observed.Load() }

func (r *run) observeFunction(c *caller) {
	for ; c.seenRuns < c.runs; c.seenRuns++ {
		r.happened(Event{Caller: c.Caller, What: Runs, Detail: runsDetail(c.onCaller, c.deadline)})
	}
}

// runsDetail tells on which goroutine a function runs and what its context's deadline is.
func runsDetail(onCaller bool, deadline string) string {
	detail := "on a new goroutine"
	if onCaller {
		detail = "on the caller's goroutine"
	}
	if deadline != "" {
		detail += ", deadline " + deadline
	}
	return detail
}

func deadlineOf(ctx context.Context) string {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ""
	}
	return time.Until(deadline).String()
}

// observeAnswer records how a call has ended, once.
func (r *run) observeAnswer(c *caller) {
	if c.seenAnswer {
		if c.channel != nil && c.channel.length() > 0 {
			r.received(c) // a second Result
		}
		return
	}
	switch {
	case c.panicked:
		r.seen(c, Event{What: Panics}, objects{recovered: c.recovered})
		if c.exited {
			r.happened(Event{Caller: c.Caller, What: Exits})
		}
	case c.exited:
		r.seen(c, Event{What: Exits}, objects{})
	case c.channel != nil && c.channel.length() > 0:
		r.received(c)
	case c.channel == nil && c.returned:
		r.seen(c, Event{What: Returns, Shared: c.result.shared, Detail: sentDetail(c.sent)},
			objects{value: c.result.value, err: c.result.err})
	}
}

func (r *run) received(c *caller) {
	got := c.channel.receive()
	r.seen(c, Event{What: Receives, Shared: got.shared, Leader: got.leader},
		objects{value: got.value, err: got.err})
}

// sentResults returns the channel callers whose Results are in their channels.
func (r *run) sentResults() []int {
	var sent []int
	for _, c := range r.callers {
		if !c.seenAnswer && c.channel != nil && c.channel.length() > 0 {
			sent = append(sent, c.Caller)
		}
	}
	return sent
}

func sentDetail(sent []int) string {
	if len(sent) == 0 {
		return ""
	}
	return fmt.Sprint("after the Results of ", sent)
}

// observeContext records when the context of a function ends, and whatever a
// context must not do after that.
func (r *run) observeContext(c *caller) {
	if c.fnContext == nil || c.contextBroke {
		return
	}
	err, cause := c.fnContext.Err(), context.Cause(c.fnContext)
	if err == c.seenContext && cause == c.seenCause && c.childAgrees(err, cause) {
		return
	}
	event := Event{Caller: c.Caller, What: ContextEnds}
	if c.seenContext != nil || cause == nil || !c.childAgrees(err, cause) {
		c.contextBroke = true
		event.Detail = fmt.Sprintf("was %v with cause %v, is %v with cause %v; child agrees: %t",
			c.seenContext, c.seenCause, err, cause, c.childAgrees(err, cause))
	}
	c.seenContext, c.seenCause = err, cause
	r.record(event, objects{err: err})
}

// childAgrees reports whether what was made of the context says what it says.
func (c *caller) childAgrees(err, cause error) bool {
	if c.child == nil {
		return true
	}
	done := false
	select {
	case <-c.fnContext.Done():
		done = true
	default:
	}
	return c.child.Err() == err && context.Cause(c.child) == cause && c.afterFunc == (err != nil) && done == (err != nil)
}

// observeWaiting records who has no answer.
func (r *run) observeWaiting() {
	for _, c := range r.callers {
		if !c.seenAnswer {
			r.happened(Event{Caller: c.Caller, What: Waits})
		}
	}
}

func (r *run) seen(c *caller, e Event, o objects) {
	c.seenAnswer = true
	e.Caller = c.Caller
	if c.Context.Kind == KindNil && o.recovered != nil {
		o.recovered = errors.New(model.NilContextText) // what it panics with is open
	}
	r.record(e, o)
}

func (r *run) happened(e Event) { r.record(e, objects{}) }

// A record is an event whose objects are not named yet.
type record struct {
	Event
	objects
}

// objects are what an event is about.
type objects struct {
	value     *Value
	err       error
	recovered any
}

func (r *run) record(e Event, o objects) {
	e.Step = r.step
	r.records = append(r.records, record{e, o})
}

// trace returns what was recorded, in order, with names for the objects.
func (r *run) trace() Trace {
	slices.SortStableFunc(r.records, func(a, b record) int { return compareEvents(a.Event, b.Event) })
	var names naming
	trace := make(Trace, 0, len(r.records))
	for _, record := range r.records {
		e := record.Event
		e.Value = names.value(record.value)
		e.Err = names.err(record.err, r.in)
		if record.recovered != nil {
			e.Panic = names.panic(record.recovered)
		}
		trace = append(trace, e)
	}
	return trace
}
