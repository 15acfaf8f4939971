package difftest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Steps that crash the process run in a child: this test binary, told by the
// environment to run one script against one implementation.
const (
	childScript         = "DIFFTEST_CHILD_SCRIPT"
	childImplementation = "DIFFTEST_CHILD_IMPLEMENTATION"
)

// TestChild is what runs in a child.
func TestChild(t *testing.T) {
	encoded, ok := os.LookupEnv(childScript)
	if !ok {
		t.Skip("not a child")
	}
	data, err := hex.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	in := packageImplementation
	if os.Getenv(childImplementation) == xsyncImplementation.name {
		in = xsyncImplementation
	}
	inBubble(t, func() { Run(Decode(data), in) })
}

// A death is how a child ended.
type death struct {
	Status int
	Panic  string // the text of the panic up to its stack
	Raised bool   // the stack of the function that panicked was printed
}

func (d death) crashed() bool { return d.Status != 0 }

// runChild runs the script in a child.
func runChild(t *testing.T, s Script, in implementation) death {
	t.Helper()
	data := Encode(s)
	if diff := cmp.Diff(s, Decode(data)); diff != "" {
		t.Fatalf("the script can't be encoded:\n%s", diff)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childScript+"="+hex.EncodeToString(data), childImplementation+"="+in.name)
	var output bytes.Buffer
	child.Stderr = &output
	err := child.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return death{
		Status: child.ProcessState.ExitCode(),
		Panic:  panicOf(output.String()),
		Raised: strings.Contains(output.String(), "difftest.raise("),
	}
}

// panicOf returns the text of the panic in what a crashed process wrote.
func panicOf(output string) string {
	_, text, found := strings.Cut("\n"+output, "\npanic: ")
	if !found {
		return ""
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// TestCrashes runs every short script that crashes the process at its last step
// against x/sync and the package, in a child each, and compares how they died.
func TestCrashes(t *testing.T) {
	length := 4
	if reduced() {
		length = 3
	}
	scope := basicScope
	scope.XSync = false
	scope.Endings = []Ending{WithPanic}
	count := 0
	for length := range length + 1 {
		scope.All(length, func(s Script, crashes bool) bool {
			if crashes && len(s.Steps) == length {
				count++
				t.Run(fmt.Sprint(count), func(t *testing.T) {
					t.Parallel()
					compareDeaths(t, s)
				})
			}
			return true
		})
	}
	compareDeaths(t, Steps(DoChan(0, "a").WithNilFunc()))
	compareDeaths(t, Steps(Do(0, "a"), DoChan(1, "a"), End(0, WithErrorPanic)))
	t.Logf("%d scripts of up to %d steps", count+2, length)
}

func compareDeaths(t *testing.T, s Script) {
	t.Helper()
	theirs := runChild(t, s, xsyncImplementation)
	ours := runChild(t, s, packageImplementation)
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("deaths differ (-x/sync +package):\n%s\n%s", diff, s)
	}
	if theirs.Status == 0 {
		t.Errorf("nobody died:\n%s", s)
	}
}

// TestModelCrashes runs scripts that crash the process by clauses that x/sync
// hasn't against the package, in a child, and the model.
func TestModelCrashes(t *testing.T) {
	cancelAbandoned := []Options{{CancelAbandoned: true}}
	for name, s := range map[string]Script{
		"nobody left": Steps(DoContext(0, "a", Cancellable), Cancel(0), End(0, WithPanic)),
		"nobody left on a channel": Steps(
			DoChanContext(0, "a", Cancellable), Cancel(0), End(0, WithErrorPanic)),
		"nobody left of a forgotten flight": Steps(
			DoContext(0, "a", Cancellable), Forget("a"), Do(1, "a"), Cancel(0), End(0, WithPanic)),
		"channel caller joined": Steps(
			DoContext(0, "a", Background), DoChanContext(1, "a", Cancellable), End(0, WithPanic)),
		"channel caller leads": Steps(DoChanContext(0, "a", Cancellable), End(0, WithPanic)),
		"nested panic":         Steps(DoChanContext(0, "a", Background), End(0, WithNestedPanic)),
		"panic during Goexit":  Steps(DoContext(0, "a", Cancellable), DoChan(1, "a"), End(0, WithPanicDuringGoexit)),
		"cancelled": {Groups: cancelAbandoned, Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), End(0, WithPanic)}},
		"cancelled, with a successor": {Groups: cancelAbandoned, Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), Do(1, "a"), End(0, WithPanic)}},
		"successor": {Groups: cancelAbandoned, Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), DoChan(1, "a"), End(0, WithValue), End(1, WithPanic)}},
		"successor with a nil function": {Groups: cancelAbandoned, Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), DoChan(1, "a").WithNilFunc(), End(0, WithValue)}},
		"nil function": Steps(DoChanContext(0, "a", Background).WithNilFunc()),
		"Clone": {Groups: []Options{{Clone: true}}, Steps: []Step{
			DoChan(0, "a"), DoChanContext(1, "a", Cancellable), Cancel(1), End(0, WithValueCloneCantCopy)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runChild(t, s, packageImplementation)
			if diff := cmp.Diff(deathInModel(t, s), got); diff != "" {
				t.Errorf("deaths differ (-model +package):\n%s\n%s", diff, s)
			}
		})
	}
}

// deathInModel returns how the process dies by the model.
func deathInModel(t *testing.T, s Script) death {
	t.Helper()
	r := replay(s)
	for _, e := range r.model.Events() {
		if modelWhat[e.What] == Crashes {
			return death{Status: 2, Panic: e.Panic.Text, Raised: e.Panic.Raised}
		}
	}
	t.Fatalf("the model doesn't crash:\n%s", s)
	return death{}
}
