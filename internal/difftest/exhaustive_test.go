package difftest

import (
	"testing"
	"time"
)

// basicScope is what x/sync and this package share.
var basicScope = Scope{
	Keys:    []string{"a", "b"},
	Callers: 3,
	Ops:     []Op{OpDo, OpDoChan, OpEnd, OpForget},
	Endings: []Ending{WithValue, WithError, WithPanic, WithGoexit},
	XSync:   true,
}

// TestExhaustive runs every script of some length over two keys and three callers
// at a time against x/sync, the package and the model. The shorter ones are
// beginnings of them, and every step is observed.
func TestExhaustive(t *testing.T) {
	length := 6
	if reduced() {
		length = 5
	}
	began := time.Now()
	count := compareAll(t, basicScope.scripts(length), theModel, thePackage, theXSync)
	t.Logf("%d scripts of %d steps in %v", count, length, time.Since(began).Round(time.Millisecond))
}

// scripts yields the scripts of the scope that don't crash the process.
func (s Scope) scripts(length int) func(yield func(Script) bool) {
	return func(yield func(Script) bool) {
		s.All(length, func(script Script, crashes bool) bool { return crashes || yield(script) })
	}
}

// TestExhaustiveModel runs every script of some length and scope against the
// package and the model. Each scope is about a group of clauses.
func TestExhaustiveModel(t *testing.T) {
	for _, test := range []struct {
		name          string
		length, under int // under the race detector and -short
		scope         Scope
	}{{
		name: "detaching", length: 6, under: 5,
		scope: Scope{
			Keys: []string{"a"}, Callers: 3,
			Ops:      []Op{OpDoContext, OpDoChanContext, OpDo, OpEnd, OpCancel},
			Contexts: []ContextKind{KindCancellable},
			Endings:  []Ending{WithValue, WithGoexit},
		},
	}, {
		name: "successors", length: 7, under: 5,
		scope: Scope{
			Groups: []Options{{CancelAbandoned: true}},
			Keys:   []string{"a"}, Callers: 2,
			Ops:      []Op{OpDoContext, OpDoChan, OpEnd, OpCancel, OpForget, OpForgetUnshared},
			Contexts: []ContextKind{KindCancellable},
			Endings:  []Ending{WithValue},
		},
	}, {
		name: "Recover", length: 4, under: 3,
		scope: Scope{
			Groups: []Options{{Recover: true, CancelAbandoned: true}},
			Keys:   []string{"a"}, Callers: 3,
			Ops:      []Op{OpDo, OpDoChan, OpDoContext, OpDoChanContext, OpEnd, OpCancel},
			Contexts: []ContextKind{KindBackground, KindCancellable},
			Endings:  []Ending{WithValue, WithPanic, WithNestedPanic, WithGoexit, WithPanicDuringGoexit, WithReturnedPanic},
		},
	}, {
		name: "Clone", length: 4, under: 3,
		scope: Scope{
			Groups: []Options{{Clone: true, Recover: true}},
			Keys:   []string{"a"}, Callers: 3,
			Ops:      []Op{OpDo, OpDoChan, OpDoContext, OpDoChanContext, OpEnd, OpCancel},
			Contexts: []ContextKind{KindBackground, KindCancellable},
			Endings:  []Ending{WithValue, WithValueAndError, WithError, WithValueCloneCantCopy, WithValueCloneExits},
		},
	}, {
		name: "cycles", length: 4, under: 3,
		scope: Scope{
			Groups: []Options{{CancelAbandoned: true}, {}},
			Keys:   []string{"a", "b"}, Callers: 3,
			Ops:      []Op{OpDoContext, OpWait, OpEnd, OpCancel},
			Contexts: []ContextKind{KindCancellable, KindFlightCancellable, KindFlightWithoutCancel},
			Endings:  []Ending{WithValue},
		},
	}, {
		name: "longer cycles", length: 5, under: 4,
		scope: Scope{
			Groups: []Options{{CancelAbandoned: true}},
			Keys:   []string{"a", "b", "c"}, Callers: 4,
			Ops:      []Op{OpDoChanContext, OpEnd, OpCancel},
			Contexts: []ContextKind{KindCancellable, KindFlightCancellable, KindFlightWithoutCancel},
			Endings:  []Ending{WithValue},
		},
	}, {
		name: "Wait", length: 5, under: 4,
		scope: Scope{
			Groups: []Options{{CancelAbandoned: true}},
			Keys:   []string{"a"}, Callers: 4,
			Ops:      []Op{OpDoContext, OpWait, OpEnd, OpCancel, OpForget},
			Contexts: []ContextKind{KindCancellable, KindFlight},
			Endings:  []Ending{WithValue},
		},
	}, {
		name: "time", length: 5, under: 4,
		scope: Scope{
			Groups: []Options{{CancelAbandoned: true, FlightTimeout: FlightTimeout}},
			Keys:   []string{"a"}, Callers: 3,
			Ops:      []Op{OpDoContext, OpDoChanContext, OpEnd, OpSleep},
			Contexts: []ContextKind{KindBackground, KindTimeout, KindFlight},
			Endings:  []Ending{WithValue},
		},
	}} {
		t.Run(test.name, func(t *testing.T) {
			length := test.length
			if reduced() {
				length = test.under
			}
			began := time.Now()
			count := compareAll(t, test.scope.scripts(length), theModel, thePackage)
			t.Logf("%d scripts of %d steps in %v", count, length, time.Since(began).Round(time.Millisecond))
		})
	}
}
