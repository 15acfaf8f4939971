// Package peer puts every library that is measured behind the same small
// adapter, so that one loop measures them all.
//
// An adapter adds the call of one function value to each measured call, the
// same for all libraries.
package peer

import "context"

// Library is one library that deduplicates calls. Each of its functions makes
// a new group and binds a function to it; one that the library has no entry
// point for is nil.
type Library[K comparable] struct {
	Name   string // in tables and charts
	Module string // module path; empty for the baseline

	// Do waits on the caller's goroutine and knows no context.
	Do func(Function) func(K) (int, error)

	// DoChan calls the function that returns a channel, and receives from it.
	DoChan func(Function) func(K) (int, error)

	// DoContext waits on the caller's goroutine until the context ends.
	DoContext func(Function) func(context.Context, K) (int, error)

	// DoChanContext is DoChan with a context.
	DoChanContext func(Function) func(context.Context, K) (int, error)

	// Flights is DoChan with the receiving left for later. It has room for
	// n calls.
	Flights func(fn Function, n int) Flights[K]

	// ContextFlights is DoChanContext with the receiving left for later. It
	// has room for n calls.
	ContextFlights func(fn Function, n int) ContextFlights[K]
}

// Flights calls now and receives later.
type Flights[K comparable] interface {
	// Start makes a call and keeps its channel.
	Start(K)
	// Receive waits for a result from every channel kept but the first so
	// many, drops those it received from, and returns the number of results
	// that came without an error.
	Receive(first int) int
}

// ContextFlights is Flights of calls that have a context.
type ContextFlights[K comparable] interface {
	Start(context.Context, K)
	Receive(first int) int
}

// Strings returns all libraries with string keys: this one first, and the
// baseline last.
func Strings() []Library[string] {
	return []Library[string]{
		This[string](),
		XSync(),
		Resenje[string](),
		Tailscale[string](),
		Msync[string](),
		Bare[string](),
	}
}
