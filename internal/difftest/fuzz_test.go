package difftest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzDifferential runs the script that the bytes decode into against x/sync, the
// package and the model.
func FuzzDifferential(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) { check(t, DecodeBoth(data)) })
}

// FuzzModel runs the script that the bytes decode into against the package and
// the model of the contract.
func FuzzModel(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) { check(t, Decode(data)) })
}

// A corpusEntry is a script of which the corpus of a fuzz target has a file.
type corpusEntry struct {
	name   string
	script Script
}

// The corpora. go test runs the files; TestCorpus keeps them equal to these.
var corpora = map[string][]corpusEntry{
	"FuzzDifferential": {
		{"join", Steps(Do(0, "a"), Do(1, "a"), DoChan(2, "a"), End(0, WithValue))},
		{"channel_leads", Steps(DoChan(0, "a"), Do(1, "a"), DoChan(2, "a"), End(0, WithError))},
		{"unshared", Steps(Do(0, "a"), Do(1, "b"), End(0, WithValue), End(1, WithValueAndError), Do(2, "a"))},
		{"forgotten_lands_last", Steps(
			Do(0, "a"), Forget("a"), Do(1, "a"), Do(2, "a"), End(1, WithValue), Do(3, "a"), End(0, WithValue), Do(4, "a"))},
		{"forgotten_lands_first", Steps( // golang/go#31420
			Do(0, "a"), Forget("a"), Do(1, "a"), End(0, WithValue), Do(2, "a"), End(1, WithValue))},
		{"forgotten_twice", Steps(
			DoChan(0, "a"), Forget("a"), DoChan(1, "a"), Forget("a"), Do(2, "a"),
			End(1, WithValue), End(0, WithValue), Do(3, "a"), End(2, WithValue))},
		{"panic", Steps( // golang/go#33519
			Do(0, "a"), Do(1, "a"), End(0, WithPanic), Do(2, "a"), End(2, WithErrorPanic))},
		{"panic_forgotten", Steps(Do(0, "a"), Do(1, "a"), Forget("a"), DoChan(2, "a"), End(0, WithPanic), End(2, WithValue))},
		{"nested_panic", Steps(Do(0, "a"), Do(1, "a"), End(0, WithNestedPanic))},
		{"returned_panic", Steps(Do(0, "a"), Do(1, "a"), End(0, WithReturnedPanic))},
		{"goexit", Steps( // golang/go#52557
			Do(0, "a"), Do(1, "a"), DoChan(2, "a"), End(0, WithGoexit), DoChan(3, "a"), End(3, WithGoexit), Do(4, "a"))},
		{"panic_during_goexit", Steps(Do(0, "a"), Do(1, "a"), End(0, WithPanicDuringGoexit), Do(2, "a"))},
		{"nil_function", Steps(Do(0, "a").WithNilFunc(), Do(1, "a"), Do(2, "a").WithNilFunc(), End(1, WithValue))},
	},
	"FuzzModel": {
		{"detach", Script{Steps: []Step{
			DoContext(0, "a", Cancellable), DoContext(1, "a", Cancellable), Cancel(0), End(0, WithValue)}}},
		{"abandoned_joined", Script{Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), DoChanContext(1, "a", Timeout), Do(2, "a"), Sleep(time.Second), End(0, WithValue)}}},
		{"never_abandoned", Script{Groups: []Options{{CancelAbandoned: true}}, Steps: []Step{
			DoContext(0, "a", Cancellable), DoChan(1, "a"), Cancel(0), Do(2, "a"), End(0, WithGoexit)}}},
		{"successor", Script{Groups: []Options{{CancelAbandoned: true}}, Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), Do(1, "a"), DoContext(2, "a", Cancellable),
			Cancel(2), End(0, WithValue), DoChan(3, "a"), End(1, WithValue)}}},
		{"dropped", Script{Groups: []Options{{CancelAbandoned: true}}, Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), DoChanContext(1, "a", Cancellable), Wait(2, Background), Cancel(1),
			DoContext(3, "a", Cancellable), End(0, WithError), End(3, WithValue)}}},
		{"forgotten_successor", Script{Groups: []Options{{CancelAbandoned: true}}, Steps: []Step{
			DoContext(0, "a", Cancellable), Cancel(0), Do(1, "a"), ForgetUnshared("a"), Do(2, "a"),
			End(2, WithValue), End(0, WithValue), Do(3, "a"), End(1, WithValue)}}},
		{"forget_unshared", Script{Steps: []Step{
			DoContext(0, "a", Cancellable), DoContext(1, "a", Cancellable), Cancel(1),
			ForgetUnshared("a"), ForgetUnshared("b"), End(0, WithValue), ForgetUnshared("a")}}},
		{"recover", Script{Groups: []Options{{Recover: true}}, Steps: []Step{
			Do(0, "a"), DoContext(1, "a", Background), DoChan(2, "a"), End(0, WithPanic),
			DoContext(3, "a", Cancellable), Do(4, "a"), DoChanContext(5, "a", Cancellable), End(3, WithGoexit)}}},
		{"recover_panic_during_goexit", Script{Groups: []Options{{Recover: true}}, Steps: []Step{
			Do(0, "a"), Do(1, "a"), DoChan(2, "a"), End(0, WithPanicDuringGoexit)}}},
		{"clone", Script{Groups: []Options{{Clone: true}}, Steps: []Step{
			Do(0, "a"), DoChan(1, "a"), DoContext(2, "a", Cancellable), Cancel(2), End(0, WithValue), Do(3, "a"), End(3, WithValue)}}},
		{"clone_fails", Script{Groups: []Options{{Clone: true, Recover: true}}, Steps: []Step{
			Do(0, "a"), DoChan(1, "a"), End(0, WithValueCloneCantCopy), DoChan(2, "a"), Do(3, "a"), End(2, WithValueCloneExits)}}},
		{"recursion", Script{Steps: []Step{
			DoContext(0, "a", Cancellable), DoContext(1, "a", FlightContext(0)), DoContext(2, "a", FlightWithoutCancel(0)),
			End(0, WithValue), DoContext(3, "a", FlightWithoutCancel(0)), DoContext(4, "a", FlightContext(0))}}},
		{"cycle_over_groups", Script{Groups: []Options{{}, {}}, Steps: []Step{
			DoContext(0, "a", Cancellable), DoContext(1, "a", Cancellable).In(1), DoChanContext(2, "a", FlightCancellable(0)).In(1),
			DoContext(3, "a", FlightCancellable(1)), Cancel(2), DoContext(4, "a", FlightCancellable(1)),
			Wait(5, FlightCancellable(0)), Wait(6, FlightCancellable(0)).In(1)}}},
		{"cycle_by_successor", Script{Groups: []Options{{CancelAbandoned: true}}, Steps: []Step{
			DoContext(0, "a", Cancellable), DoContext(1, "b", FlightWithoutCancel(0)), Cancel(0),
			DoContext(2, "a", FlightWithoutCancel(1)), DoContext(3, "a", FlightWithoutCancel(0)), DoContext(4, "a", Cancellable)}}},
		{"wait", Script{Groups: []Options{{CancelAbandoned: true}}, Steps: []Step{
			DoContext(0, "a", Cancellable), Forget("a"), DoChan(1, "a"), Wait(2, Background), Wait(3, Cancellable), Cancel(3),
			Cancel(0), Do(4, "b"), Wait(5, FlightWithoutCancel(0)), End(1, WithValue), End(0, WithValue)}}},
		{"timeout", Script{Groups: []Options{{FlightTimeout: FlightTimeout}}, Steps: []Step{
			Func(0, "a", Timeout), Do(1, "a"), Sleep(time.Second), Sleep(time.Second), DoContext(2, "a", Nil), Do(3, "a"),
			End(0, WithValue), DoContext(4, "a", Done)}}},
	},
}

var writeCorpus = flag.Bool("difftest.write", false, "write the corpora under testdata")

// TestCorpus checks that testdata has the scripts of the corpora, as they are.
func TestCorpus(t *testing.T) {
	for target, entries := range corpora {
		for _, entry := range entries {
			data := Encode(entry.script)
			if diff := cmp.Diff(entry.script, Decode(data)); diff != "" {
				t.Errorf("%s/%s isn't what it decodes to (-script +decoded):\n%s", target, entry.name, diff)
			}
			file := filepath.Join("testdata", "fuzz", target, entry.name)
			want := fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", data)
			if *writeCorpus {
				writeFile(t, file, want)
			}
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what the script encodes to (%v); write it with -difftest.write", file, err)
			}
		}
	}
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCorpusApplies checks that no step of the corpora is left out because it
// doesn't apply: each script does what its name says.
func TestCorpusApplies(t *testing.T) {
	for target, entries := range corpora {
		for _, entry := range entries {
			if diff := cmp.Diff(entry.script, Determined(entry.script, target == "FuzzDifferential")); diff != "" {
				t.Errorf("%s/%s (-script +what applies):\n%s", target, entry.name, diff)
			}
		}
	}
}
