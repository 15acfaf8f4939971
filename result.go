package singleflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// A Result is what a channel caller receives, and what [Group.DoResult] returns:
// the results of [Group.Do] in one value.
type Result[V any] struct {
	Val    V
	Err    error
	Shared bool // as the third result of Do
	Leader bool // this caller's function ran, and this is its outcome
}

// ErrGoexit is what a channel caller receives when the function that ran for
// it called [runtime.Goexit]. With [Options].Recover blocking callers get it
// too. Compare with [errors.Is].
var ErrGoexit = errors.New("singleflight: runtime.Goexit was called")

// ErrDeadlock is what a call gets that was made from inside a flight and would
// make that flight wait for itself, directly or over other flights; see
// [Group.DoContext]. Compare with [errors.Is].
var ErrDeadlock = errors.New("singleflight: call would make its flight wait for itself")

// ErrFlightTimeout is the [context.Cause] of a flight's context that ended by
// [Options].FlightTimeout. It matches [context.DeadlineExceeded] by [errors.Is],
// and its Timeout method reports true, as that of DeadlineExceeded does.
var ErrFlightTimeout error = &cause{"singleflight: flight timeout", context.DeadlineExceeded}

// ErrAbandoned is the [context.Cause] of a flight's context that ended by
// [Options].CancelAbandoned. It matches [context.Canceled] by [errors.Is].
var ErrAbandoned error = &cause{"singleflight: flight abandoned by its callers", context.Canceled}

// A cause says why a flight's context has ended, and matches its Err.
type cause struct {
	text string
	err  error
}

func (c *cause) Error() string     { return c.text }
func (c *cause) Is(err error) bool { return err == c.err }
func (c *cause) Timeout() bool     { return c.err == context.DeadlineExceeded }
func (c *cause) Temporary() bool   { return c.Timeout() }

// A PanicError is a panic in a function that a flight ran. All callers of the
// flight share one *PanicError: they panic with it, or, with
// [Options].Recover, get it as an error.
type PanicError struct {
	Value any    // what the function panicked with
	Stack []byte // of the goroutine that panicked, as by debug.Stack without its first line
}

// Error returns the panic's value and its stack; of a nil *PanicError "<nil>".
func (p *PanicError) Error() string {
	if p == nil {
		return "<nil>" // a function may return a nil *PanicError, or panic with one
	}
	return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the panic's value if that is an error, otherwise nil.
func (p *PanicError) Unwrap() error {
	if p == nil {
		return nil
	}
	err, _ := p.Value.(error)
	return err
}

// newPanicError wraps a recovered value. It must be called by the deferred
// function that recovered it, while the stack of the panic is still there. The
// *PanicError of a nested flight stays what it is.
func newPanicError(value any) *PanicError {
	if p, ok := value.(*PanicError); ok && p != nil {
		return p
	}
	// The first line names the goroutine and its state. Neither may be true by
	// the time somebody reads it, and the goroutine may be gone.
	_, stack, _ := bytes.Cut(debug.Stack(), []byte("\n"))
	return &PanicError{Value: value, Stack: stack}
}

// crash ends the process with a panic that nobody can recover. It doesn't
// return.
func crash(err error) {
	go panic(err)
	select {} // stays, so that this goroutine is in the crash dump
}

// An outcome is how a function ended: with results, in a panic, or by
// runtime.Goexit.
type outcome[V any] struct {
	val    V
	err    error // of a panic its *PanicError, of Goexit ErrGoexit
	ending ending
	shared bool // another caller joined the flight
}

type ending uint8

const (
	returned ending = iota
	panicked
	exited
)

// fail says that a function didn't return. It must be called by the deferred
// function that sees this, with what recover returned to that.
func (o *outcome[V]) fail(recovered any) {
	if recovered == nil && (!nilPanicsAreLost() || exiting()) {
		o.err, o.ending = ErrGoexit, exited
	} else {
		o.err, o.ending = newPanicError(recovered), panicked
	}
}

// result returns an outcome to a blocking caller, on that caller's goroutine.
func (g *Group[K, V]) result(o *outcome[V]) (v V, err error, shared bool) {
	if o.ending != returned && !g.Options.Recover {
		if o.ending == panicked {
			panic(o.err)
		}
		runtime.Goexit()
	}
	if g.copies(o) {
		return g.Options.Clone(o.val), nil, true
	}
	return o.val, o.err, o.shared
}

// copies reports whether each caller gets a copy of the outcome's value.
func (g *Group[K, V]) copies(o *outcome[V]) bool {
	return o.shared && o.err == nil && g.Options.Clone != nil
}

// send sends the outcome to a channel caller. It isn't inlined, so that the
// Result is off the stack when what follows needs that: a flight's goroutine
// that outgrows the stack that it began with takes much longer.
//
//go:noinline
func (o *outcome[V]) send(ch chan<- Result[V], leads bool) {
	ch <- Result[V]{o.val, o.err, o.shared, leads}
}

// nilPanicsAreLost reports whether panic(nil) panics with nil, so that recover
// can't tell it from runtime.Goexit: it does under GODEBUG=panicnil=1.
func nilPanicsAreLost() (lost bool) {
	defer func() { lost = recover() == nil }()
	var none any
	panic(none)
}

// exiting reports whether the deferred function that called fail was called by
// runtime.Goexit.
func exiting() bool {
	var caller [1]uintptr
	runtime.Callers(4, caller[:]) // this function, fail, and the deferred one are left out
	frame, _ := runtime.CallersFrames(caller[:]).Next()
	return frame.Function == "runtime.Goexit"
}
