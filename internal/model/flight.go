package model

import "slices"

// A flight is one execution of a function for a key, from its first caller until
// it has landed or been dropped.
type flight struct {
	group       *group
	key         string
	leader      *caller
	callers     []*caller // on the flight now
	boarded     int       // callers in its life: the leader and those who joined
	running     bool      // its function has been called and it has not landed
	cancelled   bool      // abandoned under CancelAbandoned
	predecessor *flight   // the cancelled flight that this one waits for
	successor   *flight   // the flight that waits for this one
	context     *Context  // what its function gets; nil for one of Do or DoChan
}

// A caller is one call that is on a flight, or has left one.
type caller struct {
	Call
	group  *group
	flight *flight // nil once it has got its answer
}

// runsFunction reports whether a flight that the caller leads runs on the
// caller's own goroutine (4, 13).
func (c *caller) runsFunction() bool {
	return !c.Channel && (c.Context == nil || !c.Context.canEnd)
}

// lead makes a flight with the caller as its leader. It runs at once, or waits
// for its predecessor to land.
func (m *Model) lead(c *caller, predecessor *flight) {
	f := &flight{group: c.group, key: c.Key, leader: c, predecessor: predecessor}
	f.group.flights = append(f.group.flights, f)
	f.board(c)
	if predecessor != nil {
		predecessor.successor = f
		return
	}
	f.group.table[f.key] = f
	m.run(f)
}

func (f *flight) board(c *caller) {
	f.callers = append(f.callers, c)
	f.boarded++
	c.flight = f
}

func (f *flight) shared() bool { return f.boarded > 1 } // 3

// channelCallers returns the channel callers on the flight, the earliest first.
func (f *flight) channelCallers() []int {
	var callers []int
	for _, c := range f.callers {
		if c.Channel {
			callers = append(callers, c.Caller)
		}
	}
	return callers
}

func (m *Model) run(f *flight) {
	f.running = true
	runs := Event{Caller: f.leader.Caller, What: Runs, OnCaller: f.leader.runsFunction()}
	if f.leader.Context != nil {
		f.context = m.flightContext(f)
		if f.context.deadline > 0 {
			runs.Deadline = f.context.deadline - m.now
		}
	}
	if f.leader.NilFunc { // 11: it panics before it could be seen to run
		m.land(f, Outcome{Panic: &Panic{Text: NilFuncText, Unwraps: true}})
		return
	}
	m.happened(runs)
}

// An Outcome is how a function ended: it returned Value and Err, or it panicked,
// or it called runtime.Goexit. With both Panic and Goexit the panic was raised
// during Goexit.
type Outcome struct {
	Value  *Value
	Err    string
	Panic  *Panic
	Goexit bool
}

// End ends the function that the caller leads.
func (m *Model) End(leader int, o Outcome) {
	m.answered = nil
	m.land(m.led(leader), o)
}

// land takes the flight out of the table, hands the outcome to those who are on
// it, ends its context and lets its successor run.
func (m *Model) land(f *flight, o Outcome) {
	m.remove(f)
	if f.group.table[f.key] == f {
		delete(f.group.table, f.key) // 2
		if f.successor != nil {
			f.group.table[f.key] = f.successor
		}
	}
	m.handOut(f, o)
	if m.crashed {
		return
	}
	m.waitLanded(f) // 19
	if f.context != nil {
		m.end(f.context, Canceled) // 15
	}
	if f.successor != nil {
		f.successor.predecessor = nil
		m.run(f.successor) // 16
	}
}

// drop ends a flight that waits for its predecessor and that nobody waits for (16).
func (m *Model) drop(f *flight) {
	f.predecessor.successor = nil
	m.remove(f)
	m.waitLanded(f)
}

func (m *Model) remove(f *flight) {
	f.running = false
	f.group.flights = slices.DeleteFunc(f.group.flights, func(other *flight) bool { return other == f })
}

// handOut gives the outcome to the callers on the flight.
func (m *Model) handOut(f *flight, o Outcome) {
	delivered := len(f.callers) > 0 && len(f.channelCallers()) == 0
	if o.Panic != nil && !f.group.options.Recover && !delivered {
		m.crash(o.Panic) // 6
		return
	}
	for _, c := range slices.Clone(f.callers) {
		m.give(c, f, o)
	}
}

// give gives the outcome to one caller.
func (m *Model) give(c *caller, f *flight, o Outcome) {
	c.flight = nil
	answer := m.answer(c, Event{Shared: f.shared(), Leader: c.Channel && c == f.leader})
	if c == f.leader && !c.Channel && c.Context == nil && !c.NilFunc {
		answer.Sent = f.channelCallers()
	}
	exits := Event{Caller: c.Caller, What: Exits}
	recovers := f.group.options.Recover
	ownGoexit := o.Goexit && c == f.leader && c.runsFunction() // nobody can stop it (8)
	switch {
	case o.Panic != nil && !recovers: // 6
		m.happened(Event{Caller: c.Caller, What: Panics, Panic: o.Panic})
		if ownGoexit {
			m.happened(exits)
		}
	case ownGoexit: // 7, 8
		m.happened(exits)
	case o.Panic != nil: // 8
		answer.Panic = o.Panic
		m.happened(answer)
	case o.Goexit && !c.Channel && !recovers: // 7
		m.happened(exits)
	case o.Goexit: // 7, 8
		answer.Err = ErrGoexit
		m.happened(answer)
	case o.Err == "" && f.shared() && f.group.options.Clone: // 21
		m.giveClone(c, answer, o.Value)
	default:
		answer.Value, answer.Err = o.Value, o.Err
		m.happened(answer)
	}
}

// giveClone gives the caller its own copy of a shared value (21).
func (m *Model) giveClone(c *caller, answer Event, v *Value) {
	m.happened(Event{Caller: Nobody, What: Clones})
	raised := &Panic{Text: v.Label + " cannot be copied", Raised: true}
	switch {
	case v.Clone == ClonePanics && !c.Channel:
		raised.Bare = true
		m.happened(Event{Caller: c.Caller, What: Panics, Panic: raised})
	case v.Clone == ClonePanics && !c.group.options.Recover:
		m.crash(raised)
	case v.Clone == ClonePanics:
		answer.Panic = raised
		m.happened(answer)
	case v.Clone == CloneExits && !c.Channel:
		m.happened(Event{Caller: c.Caller, What: Exits})
	case v.Clone == CloneExits:
		answer.Err = ErrGoexit
		m.happened(answer)
	default:
		answer.Value = &Value{Label: "copy of " + v.Label}
		m.happened(answer)
	}
}

// refuse answers a call that gets on no flight (12, 18).
func (m *Model) refuse(c *caller, err string) {
	m.happened(m.answer(c, Event{Err: err}))
}

// detach takes the caller off its flight because its context ended (13, 17).
func (m *Model) detach(c *caller, err string) {
	f := c.flight
	c.flight = nil
	f.callers = slices.DeleteFunc(f.callers, func(other *caller) bool { return other == c })
	m.refuse(c, err)
	if len(f.callers) == 0 { // which a Do or DoChan caller, that cannot detach, prevents
		m.abandon(f)
	}
}

// abandon is what the last caller's detaching does (16).
func (m *Model) abandon(f *flight) {
	switch {
	case !f.running:
		m.drop(f)
	case f.group.options.CancelAbandoned:
		f.cancelled = true
		m.end(f.context, Canceled)
	}
}

// wouldWait reports whether the flight that the call belongs to would wait for
// itself if the call waited for f (18).
func (m *Model) wouldWait(c *caller, f *flight) bool {
	return c.Context != nil && m.waitsFor(f, c.Context.flight)
}

// waitsFor reports whether f is g or waits for it, over any number of flights
// in between (18).
func (m *Model) waitsFor(f, g *flight) bool {
	if f == g {
		return true
	}
	if f.predecessor != nil && m.waitsFor(f.predecessor, g) {
		return true
	}
	return slices.ContainsFunc(m.callers, func(c *caller) bool {
		return c.flight != nil && c.Context != nil && c.Context.flight == f && m.waitsFor(c.flight, g)
	})
}
