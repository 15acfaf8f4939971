package difftest

import (
	"go/parser"
	"go/token"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestScriptString(t *testing.T) {
	s := Script{
		Groups: []Options{{CancelAbandoned: true, FlightTimeout: FlightTimeout}, {}},
		Steps: []Step{
			DoContext(0, "a", Cancellable),
			DoChanContext(1, "a", FlightContext(0)).In(1).WithNilFunc(),
			Wait(2, Timeout),
			End(0, WithGoexit),
			Cancel(0),
			Forget("a"),
			Sleep(2 * time.Second),
		},
	}
	want := `func TestFound(t *testing.T) {
	check(t, Script{
		Groups: []Options{
			{CancelAbandoned: true, FlightTimeout: FlightTimeout},
			{},
		},
		Steps: []Step{
			DoContext(0, "a", Cancellable),
			DoChanContext(1, "a", FlightContext(0)).In(1).WithNilFunc(),
			Wait(2, Timeout),
			End(0, WithGoexit),
			Cancel(0),
			Forget("a"),
			Sleep(2 * time.Second),
		},
	})
}
`
	if diff := cmp.Diff(want, s.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRandomScriptsAreGo checks that any script is printed as Go.
func TestRandomScriptsAreGo(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		s := randomScope(random).Random(random, 40)
		if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+s.String(), 0); err != nil {
			t.Fatalf("%v in\n%s", err, s)
		}
	}
}

// TestEncoding checks that every random script is what its encoding decodes to.
func TestEncoding(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		s := randomScope(random).Random(random, 40)
		if diff := cmp.Diff(s, Decode(Encode(s))); diff != "" {
			t.Fatalf("(-script +decoded):\n%s", diff)
		}
	}
}
