package difftest

import (
	"fmt"
	"runtime"

	"github.com/seed-737f55c4/singleflight/internal/model"
)

// An Ending is a way in which the function of a flight ends.
type Ending byte

// The endings. The fuzz corpora depend on their order.
const (
	WithValue Ending = iota
	WithError
	WithPanic
	WithGoexit
	WithValueAndError
	WithErrorPanic         // panics with an error
	WithNestedPanic        // panics as a flight of another group did, which it led
	WithReturnedPanic      // returns what a flight of another group panicked with
	WithPanicDuringGoexit  // a deferred function panics
	WithReturnedErrGoexit  // returns the exported error, which x/sync lacks
	WithReturnedDeadlock   // returns ErrDeadlock
	WithValueCloneCantCopy // Clone panics
	WithValueCloneExits    // Clone calls Goexit
	endingCount
)

var endingNames = [endingCount]string{
	"WithValue", "WithError", "WithPanic", "WithGoexit",
	"WithValueAndError", "WithErrorPanic", "WithNestedPanic", "WithReturnedPanic",
	"WithPanicDuringGoexit", "WithReturnedErrGoexit", "WithReturnedDeadlock",
	"WithValueCloneCantCopy", "WithValueCloneExits",
}

// String returns the Go name of the ending.
func (e Ending) String() string { return endingNames[e] }

// inBoth reports whether x/sync knows the ending too.
func (e Ending) inBoth() bool { return e < WithReturnedErrGoexit }

// onlyWithClone reports whether the ending concerns groups with Clone alone.
func (e Ending) onlyWithClone() bool { return e >= WithValueCloneCantCopy }

// panicsInXSync reports whether x/sync takes the ending for a panic that reaches callers.
func (e Ending) panicsInXSync() bool {
	return e == WithPanic || e == WithErrorPanic || e == WithNestedPanic || e == WithReturnedPanic
}

// A Value is what functions return. Clone makes copies of it.
type Value struct {
	label string
	clone model.CloneEnding
}

// scriptError is an error that a function returns or panics with.
type scriptError struct{ text string }

func (e *scriptError) Error() string { return e.text }

// perform ends a function of the caller in this way.
func (e Ending) perform(caller int, in implementation) (*Value, error) {
	value := &Value{label: fmt.Sprint("value of ", caller)}
	failure := &scriptError{fmt.Sprint("error of ", caller)}
	switch e {
	case WithValue:
		return value, nil
	case WithError:
		return nil, failure
	case WithValueAndError:
		return value, failure
	case WithPanic:
		raise(fmt.Sprint("panic of ", caller))
	case WithErrorPanic:
		raise(failure)
	case WithNestedPanic:
		raise(panicOfFlight(caller, in))
	case WithReturnedPanic:
		return nil, panicOfFlight(caller, in).(error)
	case WithGoexit:
		runtime.Goexit()
	case WithPanicDuringGoexit:
		defer raise(fmt.Sprint("panic of ", caller))
		runtime.Goexit()
	case WithReturnedErrGoexit:
		return nil, in.errGoexit
	case WithReturnedDeadlock:
		return nil, in.errDeadlock
	case WithValueCloneCantCopy:
		value.clone = model.ClonePanics
		return value, nil
	case WithValueCloneExits:
		value.clone = model.CloneExits
		return value, nil
	}
	panic("no such ending")
}

// raise panics. Its name is looked for in stacks.
//
//go:noinline
func raise(v any) { panic(v) }

// panicOfFlight returns what a flight of another group panics with.
func panicOfFlight(caller int, in implementation) (recovered any) {
	defer func() { recovered = recover() }()
	in.newGroup(Options{}, nil).Do("nested", func() (*Value, error) {
		raise(fmt.Sprint("nested panic of ", caller))
		return nil, nil
	})
	return nil
}

// outcome returns the ending as the model knows it.
func (e Ending) outcome(caller int) model.Outcome {
	value := &model.Value{Label: fmt.Sprint("value of ", caller)}
	failure := fmt.Sprint("error of ", caller)
	raised := &model.Panic{Text: fmt.Sprint("panic of ", caller), Raised: true}
	nested := &model.Panic{Text: fmt.Sprint("nested panic of ", caller), Raised: true}
	switch e {
	case WithValue:
		return model.Outcome{Value: value}
	case WithError:
		return model.Outcome{Err: failure}
	case WithValueAndError:
		return model.Outcome{Value: value, Err: failure}
	case WithPanic:
		return model.Outcome{Panic: raised}
	case WithErrorPanic:
		return model.Outcome{Panic: &model.Panic{Text: failure, Unwraps: true, Raised: true}}
	case WithNestedPanic: // 6: passed on, not wrapped again
		return model.Outcome{Panic: nested}
	case WithReturnedPanic: // 6: only a panic is a panic
		return model.Outcome{Err: panicText(nested)}
	case WithGoexit:
		return model.Outcome{Goexit: true}
	case WithPanicDuringGoexit:
		return model.Outcome{Panic: raised, Goexit: true}
	case WithReturnedErrGoexit:
		return model.Outcome{Err: model.ErrGoexit}
	case WithReturnedDeadlock:
		return model.Outcome{Err: model.ErrDeadlock}
	case WithValueCloneCantCopy:
		value.Clone = model.ClonePanics
		return model.Outcome{Value: value}
	case WithValueCloneExits:
		value.Clone = model.CloneExits
		return model.Outcome{Value: value}
	}
	panic("no such ending")
}
