package difftest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// Run runs the script against the implementation and returns its trace. It must
// be called in a synctest bubble of which no other goroutine is active.
//
// Every call is made on a goroutine of its own. After every step Run waits until
// all of them are durably blocked or gone, and records what changed.
func Run(s Script, in implementation) Trace {
	r := &run{script: s, in: in}
	for _, options := range s.groups() {
		r.groups = append(r.groups, in.newGroup(options, r.clone))
	}
	defer r.cancelAll()
	for _, step := range s.Steps {
		if s.usesTime() {
			time.Sleep(tick)
		}
		r.perform(step)
		r.observe()
	}
	r.observeWaiting()
	r.landAll()
	r.observeWaiting()
	return r.trace()
}

// tick passes before every step of a script that uses time, so that no two calls
// and no two flights have their deadlines at one instant.
const tick = time.Microsecond

func (s Script) usesTime() bool {
	return slices.ContainsFunc(s.Steps, func(step Step) bool {
		return step.Op == OpSleep || step.Context.Kind == KindTimeout
	}) || slices.ContainsFunc(s.Groups, func(o Options) bool { return o.FlightTimeout != 0 })
}

// A run is the state of a script that runs.
type run struct {
	script  Script
	in      implementation
	groups  []group
	callers []*caller // in order of their calls
	step    int
	records []record
	clones  atomic.Int64
	cloned  int64 // clones observed so far

	observed atomic.Int64 // steps; see afterObservation
}

// perform begins a step.
func (r *run) perform(step Step) {
	switch {
	case step.Op.call() || step.Op == OpWait:
		r.start(step)
	case step.Op == OpEnd:
		r.end(step)
	case step.Op == OpForget:
		r.groups[step.Group].Forget(step.Key)
	case step.Op == OpForgetUnshared:
		forgotten := r.groups[step.Group].(contextGroup).ForgetUnshared(step.Key)
		r.happened(Event{Caller: nobody, What: Reports, Detail: fmt.Sprint(forgotten)})
	case step.Op == OpCancel:
		r.caller(step.Caller).cancel()
	case step.Op == OpSleep:
		time.Sleep(step.Duration)
	}
}

// caller returns the caller with a number, or nil.
func (r *run) caller(number int) *caller {
	for _, c := range r.callers {
		if c.Caller == number {
			return c
		}
	}
	return nil
}

func (r *run) start(step Step) {
	c := &caller{Step: step, run: r, group: r.groups[step.Group], ending: make(chan Ending)}
	c.context, c.cancel = r.context(step)
	r.callers = append(r.callers, c)
	go c.call()
}

type callerKey struct{}

// context makes the context of a call.
func (r *run) context(step Step) (context.Context, context.CancelFunc) {
	none := func() {}
	background := context.WithValue(context.Background(), callerKey{}, step.Caller)
	var flight context.Context
	if step.Context.derives() {
		if flight = r.caller(step.Context.Flight).fnContext; flight == nil {
			panic("the script derives a context from none")
		}
	}
	switch step.Context.Kind {
	case KindCancellable:
		return context.WithCancel(background)
	case KindDone:
		ctx, cancel := context.WithCancel(background)
		cancel()
		return ctx, none
	case KindTimeout:
		return context.WithTimeout(background, CallTimeout)
	case KindNil:
		return nil, none
	case KindFlight:
		return flight, none
	case KindFlightCancellable:
		return context.WithCancel(flight)
	case KindFlightWithoutCancel:
		return context.WithoutCancel(flight), none
	}
	return background, none
}

func (r *run) end(step Step) {
	c := r.caller(step.Caller)
	if c == nil || !c.running {
		r.happened(Event{Caller: step.Caller, What: Inapplicable})
		return
	}
	c.ending <- step.Ending
}

// landAll lands what still runs, and what runs after that.
func (r *run) landAll() {
	for {
		leader := slices.IndexFunc(r.callers, func(c *caller) bool { return c.running })
		if leader < 0 {
			return
		}
		r.callers[leader].ending <- WithValue
		r.observe()
	}
}

// clone is the Clone of groups.
func (r *run) clone(v *Value) *Value {
	r.clones.Add(1)
	return v.copy()
}

func (r *run) cancelAll() {
	for _, c := range r.callers {
		c.cancel()
		if c.child != nil {
			c.cancelChild()
		}
	}
	synctest.Wait()
}
