package model

import "time"

// Names of the errors that the contract speaks of.
const (
	Canceled         = "context canceled"
	DeadlineExceeded = "context deadline exceeded"
	ErrDeadlock      = "ErrDeadlock"
	ErrGoexit        = "ErrGoexit"
)

// Texts of panics. The contract leaves open what a call with a nil context panics
// with, so that its text is only a name.
const (
	NilFuncText    = "runtime error: invalid memory address or nil pointer dereference"
	NilContextText = "nil context"
)

// Nobody is the caller of an event that concerns no caller.
const Nobody = -1

// What tells what happened.
type What string

// What can happen.
const (
	Runs        What = "runs"         // the caller's function was called
	Returns     What = "returns"      // the caller returned
	Receives    What = "receives"     // the caller's channel received a Result
	Panics      What = "panics"       // the caller panicked
	Exits       What = "exits"        // the caller's goroutine exits
	ContextEnds What = "context ends" // that of the flight that the caller leads
	Clones      What = "clones"       // Clone was called
	Crashes     What = "crashes"      // the process crashes
)

// An Event is one thing that somebody observes.
type Event struct {
	Caller   int
	What     What
	Value    *Value
	Err      string
	Panic    *Panic // what was panicked with, or the *PanicError that was returned or received
	Shared   bool
	Leader   bool          // Result.Leader
	OnCaller bool          // of Runs: on the caller's own goroutine
	Deadline time.Duration // of Runs: that of the context, from now; 0 without one
	Sent     []int         // of Returns of a Do whose function ran: the channel callers who had their Results before (5)
}

// A Value is what a function returns. Two callers hold the same V if theirs is
// the same pointer.
type Value struct {
	Label string
	Clone CloneEnding
}

// A CloneEnding says how Clone ends for a value.
type CloneEnding int

// How Clone ends.
const (
	CloneReturns CloneEnding = iota
	ClonePanics
	CloneExits
)

// A Panic is a *PanicError. Two callers got the same one if theirs is the same pointer.
type Panic struct {
	Text    string // of its value
	Unwraps bool   // its value is an error
	Raised  bool   // its stack shows where the script raised it
	Bare    bool   // it is the value itself, not in a *PanicError
}

// Events returns what happened since the last call of Events.
func (m *Model) Events() []Event {
	events := m.events
	m.events = nil
	return events
}

func (m *Model) happened(e Event) { m.events = append(m.events, e) }

// answer makes e the event by which the caller gets an answer.
func (m *Model) answer(c *caller, e Event) Event {
	e.Caller, e.What = c.Caller, Returns
	if c.Channel {
		e.What = Receives
	}
	return e
}

func (m *Model) crash(p *Panic) {
	m.crashed = true
	m.happened(Event{Caller: Nobody, What: Crashes, Panic: p})
}
