package singleflight

import (
	"fmt"
	"time"
)

// Options configure a group. The zero Options make the zero Group.
type Options[K comparable, V any] struct {
	// CancelAbandoned cancels a flight's context when its last caller
	// detaches. Nobody joins the flight any more and nobody gets its outcome;
	// the next call of its key leads a successor, which runs once the
	// cancelled flight has landed. Without it an abandoned flight goes on,
	// and later calls join it.
	//
	// A function that ignores its context keeps the key's next callers
	// waiting until it returns, or their own contexts end. What helps is
	// ForgetAfter, or Group.Forget: after them the next call doesn't wait.
	CancelAbandoned bool

	// Recover hands a panic in a function to the flight's callers as a
	// *PanicError and runtime.Goexit as ErrGoexit, with the zero value,
	// instead of letting them panic and exit; and a panic never crashes the
	// process. If nobody is left on the flight, a panic goes to nobody.
	//
	// One thing can't be helped, since Go can't stop a Goexit: where a
	// function ran on its leader's own goroutine, that goroutine exits.
	Recover bool

	// FlightTimeout is the time after which the context that a function gets
	// is done, counted from the start of the function, or of the Start hook
	// before it; 0 means never. It ends nothing else: callers wait until the
	// function returns or their own context ends, and a flight past it is
	// still joined. The functions of Do and DoChan get no context, so it
	// doesn't bind them.
	FlightTimeout time.Duration

	// ForgetAfter is the time after which a flight no longer holds its key: a
	// call that finds it held by a flight whose function has run for longer
	// forgets that flight, as Forget does, and leads a new one beside it. So a
	// function that never returns doesn't hold its key for good. 0 means never.
	// Until there is such a call nothing is forgotten. The callers of the
	// forgotten flight stay with it; a successor that waits for it is forgotten
	// too, and otherwise has its own time, from the call of its own function.
	// Group.InFlight and Forgotten tell that a flight was forgotten.
	ForgetAfter time.Duration

	// Clone makes each caller of a shared result its own copy, so that none
	// sees what another does to it. It is called once for each of them, the
	// leader included, if the error is nil; never for a result that isn't
	// shared. The value that it is given is never handed out, and calls for
	// several callers may run at the same time.
	//
	// Handing out copies is part of the landing, so Clone must be quick, and
	// one that calls Group.Wait waits for itself.
	//
	// A blocking caller's copy is made on its own goroutine; a panic or
	// Goexit in Clone is that caller's alone. For a channel caller Clone runs
	// on a goroutine of the flight, before the Result is sent. There a panic
	// crashes the process and Goexit is received as ErrGoexit, for this
	// caller alone; with Recover the panic is received as a *PanicError.
	Clone func(V) V

	// Trace holds hooks that are called as flights start, are joined, lose a
	// caller and land.
	Trace *Trace[K]
}

// New returns a group with the given options. It panics if one of the durations
// is negative, and names it. So does every method that takes a key, on a group
// whose field has such Options.
func New[K comparable, V any](opts Options[K, V]) *Group[K, V] {
	opts.check()
	return &Group[K, V]{Options: opts}
}

// check panics if the options make no sense.
func (o *Options[K, V]) check() {
	if o.FlightTimeout < 0 {
		panic(fmt.Sprintf("singleflight: Options.FlightTimeout is negative: %v", o.FlightTimeout))
	}
	if o.ForgetAfter < 0 {
		panic(fmt.Sprintf("singleflight: Options.ForgetAfter is negative: %v", o.ForgetAfter))
	}
}
