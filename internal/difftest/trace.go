package difftest

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// A Trace is what the callers and the functions of a script observed, in order of
// steps, and within a step in order of callers. After the last step of the script
// come those of landing whatever still runs, in order of leaders.
type Trace []Event

// An Event is one thing that was observed.
type Event struct {
	Step   int
	Caller int // nobody: the event concerns no caller
	What   What
	Value  string // the label, with a number if it isn't the first of its label
	Err    string
	Panic  string
	Shared bool
	Leader bool
	Detail string
}

const nobody = -1

// What tells what was observed.
type What byte

// What can be observed.
const (
	Runs         What = iota // the caller's function was called; Detail: where, with what context
	Returns                  // the caller returned
	Receives                 // the caller's channel received a Result
	Panics                   // the caller panicked and recovered
	Exits                    // the caller's goroutine exits
	ContextEnds              // that of the caller's function
	Waits                    // the caller waits for an answer, at the end of the script or for good
	Reports                  // Detail: what ForgetUnshared returned
	Clones                   // Detail: how often Clone was called
	Crashes                  // the process crashes
	Inapplicable             // the step doesn't apply: no such function runs
)

var whatNames = [...]string{
	"runs", "returns", "receives", "panics", "exits", "context ends", "waits", "reports", "clones", "crashes",
	"inapplicable",
}

// String returns a name.
func (w What) String() string { return whatNames[w] }

// compareEvents orders the events of a trace.
func compareEvents(a, b Event) int {
	return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.What, b.What))
}

// A naming gives names to values and panics. Two that are not identical have
// different names, whatever their texts.
type naming struct {
	seen map[string][]any
}

// name returns the text, and which of those with that text the pointer is.
func (n *naming) name(text string, pointer any) string {
	if n.seen == nil {
		n.seen = make(map[string][]any)
	}
	at := slices.Index(n.seen[text], pointer)
	if at < 0 {
		at = len(n.seen[text])
		n.seen[text] = append(n.seen[text], pointer)
	}
	if at == 0 {
		return text
	}
	return fmt.Sprintf("%s (another, %d)", text, at)
}

func (n *naming) value(v *Value) string {
	if v == nil {
		return ""
	}
	return n.name(v.label, v)
}

// err describes an error that was returned.
func (n *naming) err(err error, in implementation) string {
	switch {
	case err == nil:
		return ""
	case isPanicError(err):
		return n.panic(err)
	case in.errGoexit != nil && errors.Is(err, in.errGoexit):
		return "ErrGoexit"
	case in.errDeadlock != nil && errors.Is(err, in.errDeadlock):
		return "ErrDeadlock"
	}
	return err.Error()
}

// panic describes what was panicked with.
func (n *naming) panic(v any) string {
	err, ok := v.(error)
	if !ok || !isPanicError(err) {
		return fmt.Sprint(v)
	}
	return n.name(describePanicError(err), err)
}

// isPanicError reports whether the error is what either package panics with.
func isPanicError(err error) bool { return panicTypeName(err) != "" }

func panicTypeName(err error) string {
	name := fmt.Sprintf("%T", err)
	if name == "*singleflight.PanicError" || name == "*singleflight.panicError" {
		return strings.TrimPrefix(name, "*singleflight.")
	}
	return ""
}

// describePanicError tells the type of the error, its text up to the stack,
// whether it unwraps to an error, and whether its stack shows the origin.
func describePanicError(err error) string {
	if inner := errors.Unwrap(err); inner != nil && isPanicError(inner) {
		return fmt.Sprintf("%s(%s)", panicTypeName(err), describePanicError(inner))
	}
	text, stack, _ := strings.Cut(err.Error(), "\n\n")
	if strings.HasPrefix(stack, "goroutine ") {
		text += ", with the goroutine's number"
	}
	return panicDescription(panicTypeName(err), text, errors.Unwrap(err) != nil, strings.Contains(stack, "difftest.raise("))
}

func panicDescription(typeName, text string, unwraps, raised bool) string {
	description := text
	if unwraps {
		description += ", unwraps"
	}
	if raised {
		description += ", stack of raise"
	}
	return fmt.Sprintf("%s(%s)", typeName, description)
}

// onCallersGoroutine reports whether it was called, at any depth, by the function
// that runs on a caller's goroutine.
func onCallersGoroutine() bool {
	var pcs [32]uintptr
	for _, pc := range pcs[:runtime.Callers(2, pcs[:])] {
		if f := runtime.FuncForPC(pc - 1); f != nil && strings.HasSuffix(f.Name(), "difftest.(*caller).call") {
			return true
		}
	}
	return false
}
