package difftest

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
)

// A subject is what can be compared: something that makes a trace of a script as
// this package would.
type subject struct {
	name  string
	trace func(Script) Trace
}

// The subjects. All but the model's trace must be made in a synctest bubble.
var (
	theModel   = subject{"model", RunModel}
	thePackage = subject{"package", func(s Script) Trace { return Run(s, packageImplementation) }}
	theXSync   = subject{"x/sync", func(s Script) Trace {
		return translate(s, Run(s, xsyncImplementation), "")
	}}
)

// compare returns how the traces of the subjects differ from that of the first,
// with the script as Go code; or "".
func compare(s Script, want subject, others ...subject) string {
	wanted := want.trace(s)
	for _, other := range others {
		got := other.trace(s)
		if slices.Equal(wanted, got) { // much faster than cmp
			continue
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			return fmt.Sprintf("traces differ (-%s +%s):\n%s\n%s", want.name, other.name, diff, s)
		}
	}
	return ""
}

// InBoth reports whether x/sync can run the script.
func (s Script) InBoth() bool {
	return len(s.Groups) == 0 && !slices.ContainsFunc(s.Steps, func(step Step) bool {
		return step.Op > OpForget || step.Group != 0 || !step.Ending.inBoth()
	})
}
