// Package difftest runs the same scripts against golang.org/x/sync/singleflight,
// against package singleflight and against the model of its contract, and
// compares what their callers observed.
//
// A [Script] is a short program over a few keys and callers. [Run] executes it in
// a testing/synctest bubble, one [Step] after another, each only when everything
// that followed from the step before has come to rest. What callers and functions
// observed is a [Trace]; because of the rest between steps it is determined by
// the script alone, so that any difference of two traces is a difference of
// behaviour.
package difftest

import (
	"fmt"
	"strings"
	"time"
)

// A Script is a program of steps over one or more groups.
type Script struct {
	Groups []Options // none: one group with the zero options
	Steps  []Step
}

// Steps returns a script of one group with the zero options.
func Steps(steps ...Step) Script { return Script{Steps: steps} }

// Options are those of a group. Clone stands for a function that copies.
type Options struct {
	CancelAbandoned bool
	Recover         bool
	Clone           bool
	FlightTimeout   time.Duration
}

// groups returns the options of the script's groups, at least one.
func (s Script) groups() []Options {
	if len(s.Groups) == 0 {
		return []Options{{}}
	}
	return s.Groups
}

// An Op is what a step does.
type Op byte

// The ops. The fuzz corpora depend on their order.
const (
	OpDo Op = iota
	OpDoChan
	OpEnd
	OpForget
	OpDoContext
	OpDoChanContext
	OpFunc
	OpCancel
	OpForgetUnshared
	OpWait
	OpSleep
	opCount
)

var opNames = [opCount]string{
	"Do", "DoChan", "End", "Forget",
	"DoContext", "DoChanContext", "Func", "Cancel", "ForgetUnshared", "Wait", "Sleep",
}

// call reports whether the op starts a call that may lead a flight.
func (o Op) call() bool { return o.blocks() || o == OpDoChan || o == OpDoChanContext }

// blocks reports whether the op is a call that may lead a flight and blocks.
func (o Op) blocks() bool { return o == OpDo || o == OpDoContext || o == OpFunc }

// takesContext reports whether the op's method has a context.
func (o Op) takesContext() bool {
	return o == OpDoContext || o == OpDoChanContext || o == OpFunc || o == OpWait
}

// A Step is one step of a script. Do, End and the others make them.
type Step struct {
	Op       Op
	Caller   int
	Group    int
	Key      string
	Context  Context
	Ending   Ending
	NilFunc  bool
	Duration time.Duration
}

// Do is a call of Do by a caller. Callers are numbered from 0 in the order of
// their calls, and each makes one.
func Do(caller int, key string) Step { return Step{Op: OpDo, Caller: caller, Key: key} }

// DoChan is a call of DoChan by a caller.
func DoChan(caller int, key string) Step { return Step{Op: OpDoChan, Caller: caller, Key: key} }

// DoContext is a call of DoContext by a caller.
func DoContext(caller int, key string, ctx Context) Step {
	return Step{Op: OpDoContext, Caller: caller, Key: key, Context: ctx}
}

// DoChanContext is a call of DoChanContext by a caller.
func DoChanContext(caller int, key string, ctx Context) Step {
	return Step{Op: OpDoChanContext, Caller: caller, Key: key, Context: ctx}
}

// Func is a call by a caller of what the method Func returned.
func Func(caller int, key string, ctx Context) Step {
	return Step{Op: OpFunc, Caller: caller, Key: key, Context: ctx}
}

// Wait is a call of Wait by a caller.
func Wait(caller int, ctx Context) Step { return Step{Op: OpWait, Caller: caller, Context: ctx} }

// End lets the running function of a caller, who leads, end.
func End(caller int, ending Ending) Step { return Step{Op: OpEnd, Caller: caller, Ending: ending} }

// Cancel cancels the context of a caller.
func Cancel(caller int) Step { return Step{Op: OpCancel, Caller: caller} }

// Forget forgets a key.
func Forget(key string) Step { return Step{Op: OpForget, Key: key} }

// ForgetUnshared forgets a key whose flight is not shared.
func ForgetUnshared(key string) Step { return Step{Op: OpForgetUnshared, Key: key} }

// Sleep lets time pass.
func Sleep(d time.Duration) Step { return Step{Op: OpSleep, Duration: d} }

// In returns the step with another group than the first.
func (s Step) In(group int) Step { s.Group = group; return s }

// WithNilFunc returns the step, a call, with a nil function.
func (s Step) WithNilFunc() Step { s.NilFunc = true; return s }

// A Context says what context a call gets.
type Context struct {
	Kind   ContextKind
	Flight int // the leader of the flight that it derives from
}

// A ContextKind is a kind of context.
type ContextKind byte

// The kinds of contexts. The fuzz corpora depend on their order.
const (
	KindBackground  ContextKind = iota // cannot end
	KindCancellable                    // Cancel ends it
	KindDone                           // has been cancelled
	KindTimeout                        // ends after CallTimeout
	KindNil                            // nil
	KindFlight                         // that of a flight's function
	KindFlightCancellable
	KindFlightWithoutCancel
	kindCount
)

var kindNames = [kindCount]string{
	"Background", "Cancellable", "Done", "Timeout", "Nil",
	"FlightContext", "FlightCancellable", "FlightWithoutCancel",
}

// CallTimeout is that of a Timeout context. FlightTimeout is meant for Options:
// no sleep of whole seconds ends a call's and a flight's time at one instant.
const (
	CallTimeout   = time.Second
	FlightTimeout = 1500 * time.Millisecond
)

// Contexts that don't derive from a flight's.
var (
	Background  = Context{Kind: KindBackground}
	Cancellable = Context{Kind: KindCancellable}
	Done        = Context{Kind: KindDone}
	Timeout     = Context{Kind: KindTimeout}
	Nil         = Context{Kind: KindNil}
)

// FlightContext is the context that the function of a leader got.
func FlightContext(leader int) Context { return Context{KindFlight, leader} }

// FlightCancellable is a child of the context that the function of a leader got.
func FlightCancellable(leader int) Context { return Context{KindFlightCancellable, leader} }

// FlightWithoutCancel is context.WithoutCancel of the context that the function
// of a leader got.
func FlightWithoutCancel(leader int) Context { return Context{KindFlightWithoutCancel, leader} }

func (c Context) derives() bool { return c.Kind >= KindFlight }

func (c Context) cancellable() bool {
	return c.Kind == KindCancellable || c.Kind == KindFlightCancellable
}

// String returns the context as a Go expression.
func (c Context) String() string {
	if c.derives() {
		return fmt.Sprintf("%s(%d)", kindNames[c.Kind], c.Flight)
	}
	return kindNames[c.Kind]
}

// String returns the script as a Go test that runs it.
func (s Script) String() string {
	var b strings.Builder
	b.WriteString("func TestFound(t *testing.T) {\n\tcheck(t, Script{\n")
	if len(s.Groups) > 0 {
		b.WriteString("\t\tGroups: []Options{\n")
		for _, o := range s.Groups {
			fmt.Fprintf(&b, "\t\t\t{%s},\n", o)
		}
		b.WriteString("\t\t},\n")
	}
	b.WriteString("\t\tSteps: []Step{\n")
	for _, step := range s.Steps {
		fmt.Fprintf(&b, "\t\t\t%s,\n", step)
	}
	b.WriteString("\t\t},\n\t})\n}\n")
	return b.String()
}

// String returns the set options as fields of a Go composite literal.
func (o Options) String() string {
	var fields []string
	if o.CancelAbandoned {
		fields = append(fields, "CancelAbandoned: true")
	}
	if o.Recover {
		fields = append(fields, "Recover: true")
	}
	if o.Clone {
		fields = append(fields, "Clone: true")
	}
	if o.FlightTimeout != 0 {
		fields = append(fields, "FlightTimeout: "+goDuration(o.FlightTimeout))
	}
	return strings.Join(fields, ", ")
}

// String returns the step as a Go expression.
func (s Step) String() string {
	var arguments []string
	if s.Op.call() || s.Op == OpWait || s.Op == OpEnd || s.Op == OpCancel {
		arguments = append(arguments, fmt.Sprint(s.Caller))
	}
	if s.Key != "" {
		arguments = append(arguments, fmt.Sprintf("%q", s.Key))
	}
	if s.Op.takesContext() {
		arguments = append(arguments, s.Context.String())
	}
	if s.Op == OpEnd {
		arguments = append(arguments, s.Ending.String())
	}
	if s.Op == OpSleep {
		arguments = append(arguments, goDuration(s.Duration))
	}
	expression := fmt.Sprintf("%s(%s)", opNames[s.Op], strings.Join(arguments, ", "))
	if s.Group != 0 {
		expression += fmt.Sprintf(".In(%d)", s.Group)
	}
	if s.NilFunc {
		expression += ".WithNilFunc()"
	}
	return expression
}

func goDuration(d time.Duration) string {
	if d == FlightTimeout {
		return "FlightTimeout"
	}
	if d%time.Second == 0 {
		return fmt.Sprintf("%d * time.Second", d/time.Second)
	}
	return fmt.Sprintf("%d", d)
}
