// Package model is a sequential model of the contract of package singleflight.
//
// It says what callers observe when one thing happens at a time and everything
// that follows from it has come to rest before the next thing happens. There are
// no goroutines, locks or channels in it: a flight is a record, and a caller that
// would block is a caller on a flight's list. It shares no code with the package,
// so that an agreement of the two is evidence for both.
//
// The numbers in comments are those of the contract's clauses. What a clause
// leaves open, the methods refuse to do: those that can meet such a case say
// which in their comments, and Determined reports them.
package model

import (
	"slices"
	"time"
)

// A Model is the state of some groups and of every call made of them. Groups
// share a model because a cycle of calls may lead through several (18).
type Model struct {
	groups   []*group
	callers  []*caller
	waits    []*wait
	contexts []*Context
	now      time.Duration
	events   []Event
	crashed  bool
	open     bool
	answered []*wait // that the landing under way has answered
}

// Options are those of a group.
type Options struct {
	CancelAbandoned bool
	Recover         bool
	Clone           bool
	FlightTimeout   time.Duration
}

type group struct {
	options Options
	table   map[string]*flight // by key: the flight that has neither landed nor been forgotten
	flights []*flight          // all that have not landed, the forgotten ones too
}

// New returns a model of one group for each of the options.
func New(options ...Options) *Model {
	m := new(Model)
	for _, o := range options {
		m.groups = append(m.groups, &group{options: o, table: make(map[string]*flight)})
	}
	return m
}

// A Call is one call of Do, DoChan, DoContext or DoChanContext.
type Call struct {
	Caller     int
	Group      int
	Key        string
	Channel    bool     // DoChan or DoChanContext
	Context    *Context // nil for Do and DoChan
	NilContext bool
	NilFunc    bool
}

// Call makes a call.
func (m *Model) Call(call Call) {
	if call.NilContext { // 12
		m.happened(Event{Caller: call.Caller, What: Panics, Panic: &Panic{Text: NilContextText, Bare: true}})
		return
	}
	c := &caller{Call: call, group: m.groups[call.Group]}
	m.callers = append(m.callers, c)
	if c.Context != nil && c.Context.err != "" { // 12
		m.refuse(c, c.Context.err)
		return
	}
	at := c.group.table[c.Key]
	switch {
	case at == nil:
		m.lead(c, nil)
	case !at.cancelled:
		m.joinOrRefuse(c, at)
	case at.successor != nil: // 16
		m.joinOrRefuse(c, at.successor)
	case m.wouldWait(c, at): // 18
		m.refuse(c, ErrDeadlock)
	default: // 16
		m.lead(c, at)
	}
}

func (m *Model) joinOrRefuse(c *caller, f *flight) {
	if m.wouldWait(c, f) { // 18
		m.refuse(c, ErrDeadlock)
		return
	}
	f.board(c)
}

// Forget forgets a key (9). The flight and its successor go on without it.
func (m *Model) Forget(group int, key string) {
	delete(m.groups[group].table, key)
}

// ForgetUnshared forgets a key unless its flight is shared (10).
func (m *Model) ForgetUnshared(group int, key string) bool {
	g := m.groups[group]
	at := g.table[key]
	if at != nil && at.cancelled {
		at = at.successor // the one that a call would join, or none
	}
	if at != nil && at.boarded > 1 {
		return false
	}
	delete(g.table, key)
	return true
}

// A wait is one call of Wait that has not returned.
type wait struct {
	caller  int
	context *Context
	flights []*flight // not landed
}

// Wait calls Wait (19). What it returns where two of its results apply at once
// (a context that has ended and nothing to wait for, or a cycle) is open.
func (m *Model) Wait(caller, group int, ctx *Context) {
	w := &wait{caller: caller, context: ctx, flights: slices.Clone(m.groups[group].flights)}
	m.waits = append(m.waits, w)
	switch {
	case ctx.err != "":
		m.endWait(w, ctx.err)
	case slices.ContainsFunc(w.flights, func(f *flight) bool { return m.waitsFor(f, ctx.flight) }):
		m.endWait(w, ErrDeadlock)
	case len(w.flights) == 0:
		m.endWait(w, "")
	}
}

// WaitDetermined reports whether the contract says what Wait would return.
func (m *Model) WaitDetermined(group int, ctx *Context) bool {
	flights := m.groups[group].flights
	return ctx.err == "" || len(flights) > 0 &&
		!slices.ContainsFunc(flights, func(f *flight) bool { return m.waitsFor(f, ctx.flight) })
}

func (m *Model) endWait(w *wait, err string) {
	m.waits = slices.DeleteFunc(m.waits, func(other *wait) bool { return other == w })
	m.happened(Event{Caller: w.caller, What: Returns, Err: err})
}

// waitLanded tells the waits that a flight has landed.
func (m *Model) waitLanded(f *flight) {
	for _, w := range slices.Clone(m.waits) {
		before := len(w.flights)
		w.flights = slices.DeleteFunc(w.flights, func(other *flight) bool { return other == f })
		if before > 0 && len(w.flights) == 0 {
			m.endWait(w, "")
			m.answered = append(m.answered, w)
		}
	}
}

// Crashed reports whether the process has crashed. Nothing is determined after that.
func (m *Model) Crashed() bool { return m.crashed }

// Open reports whether something happened of which the contract leaves open what
// comes of it: a landing that answers a call of Wait also ends the context of that
// call, over other flights. Whether a flight's context ends before or after its
// outcome is handed out is not said, so that Wait may return either.
func (m *Model) Open() bool { return m.open }

// Leaders returns the callers whose functions run, the earliest call first.
func (m *Model) Leaders() []int {
	var leaders []int
	for _, c := range m.callers {
		if f := m.led(c.Caller); f != nil {
			leaders = append(leaders, c.Caller)
		}
	}
	return leaders
}

// Waiting returns the callers that have not got an answer, of Wait too.
func (m *Model) Waiting() []int {
	var waiting []int
	for _, c := range m.callers {
		if c.flight != nil {
			waiting = append(waiting, c.Caller)
		}
	}
	for _, w := range m.waits {
		waiting = append(waiting, w.caller)
	}
	slices.Sort(waiting)
	return waiting
}

// ChannelWaits reports whether a channel caller is on the flight that the caller leads.
func (m *Model) ChannelWaits(leader int) bool {
	f := m.led(leader)
	return f != nil && len(f.channelCallers()) > 0
}

// led returns the running flight that the caller leads, or nil.
func (m *Model) led(leader int) *flight {
	for _, g := range m.groups {
		for _, f := range g.flights {
			if f.running && f.leader.Caller == leader {
				return f
			}
		}
	}
	return nil
}
