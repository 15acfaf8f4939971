package otelsingleflight

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-737f55c4/singleflight"
)

// The hooks of one flight in the orders that scheduling allows. A digit names
// a caller: S and L are the flight's Start and Land, J and D the Join and
// Detach of the caller that follows; caller 0 leads.
func TestOrdersOfHooks(t *testing.T) {
	for _, c := range []struct {
		name   string
		hooks  string
		linked string // the callers with a link
		kept   int    // flights that are doubtful afterwards
	}{
		{"alone", "S L", "", 0},
		{"joined in the air", "S J1 J2 L", "12", 0},
		{"joined before the start", "J1 J2 S L", "12", 0},
		{"joined before, within and after", "J1 S J2 L J3", "123", 0},
		{"every Join is late", "S L J1 J2", "12", 0},
		{"detached in the air", "S J1 D1 L", "1", 0},
		{"detached before the start", "J1 D1 S L", "", 1},
		{"detached before the start, others stay", "J1 J2 D1 S L", "2", 0},
		{"late Detach", "S J1 L D1", "1", 0},
		{"leader detached before the start", "D0 S L", "", 0},
		{"leader detached, a joiner stays", "D0 J1 S L", "1", 0},
		{"leader detached after a Join", "J1 D0 S L", "1", 0},
		{"dropped", "D0", "", 0},
		{"dropped with joiners", "J1 J2 D0 D1 D2", "", 0},
		{"dropped, leader last", "J1 D1 D0", "", 0},
		{"dropped, leader first", "D0 J1 D1 J2 D2", "", 0},
		{"all gone before the start, one more Join late", "D0 J1 D1 S L J2", "2", 1},
		{"all gone before the start, one more Join and Detach late", "D0 J1 D1 S L J2 D2", "2", 1},
		{"Start panicked", "L", "", 0},
		{"Start panicked before the Joins", "J1 L J2", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, singleflight.Options[string, int]{}, nil)
				f := r.newHooked(1, c.hooks)
				for _, hook := range f.hooks {
					f.run(hook)
				}
				for number, span := range f.requests {
					links := len(span.(sdktrace.ReadOnlySpan).Links())
					want := 0
					for _, n := range c.linked {
						if number == n {
							want = 1
						}
					}
					if links != want {
						t.Errorf("%d links from caller %c, want %d", links, number, want)
					}
				}
				r.wantKept(c.kept)
				time.Sleep(doubt)
				synctest.Wait()
				r.wantNothingKept()
			})
		})
	}
}

// At rest nothing is kept about doubtful flights, however many there were: not
// for longer than a Join may be late.
func TestDoubtfulFlightsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{}, nil)
		var last *hooked
		for id := range uint64(500) {
			last = r.newHooked(id, "J1 D1 S L J2")
			for _, hook := range last.hooks[:4] {
				last.run(hook)
			}
		}
		r.wantKept(500)
		time.Sleep(doubt - time.Millisecond)
		synctest.Wait()
		r.wantKept(500)
		last.run("J2")
		r.wantLinks(last.requests['2'], r.flights()[499], 1)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.wantNothingKept()
	})
}

// A flight whose Detaches were all seen is not doubtful: a Join gets its link
// however late it comes.
func TestLateJoinsAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{}, nil)
		f := r.newHooked(1, "S J1 D1 L J2")
		for _, hook := range f.hooks[:4] {
			f.run(hook)
		}
		time.Sleep(100 * doubt)
		f.run("J2")
		r.wantLinks(f.requests['2'], r.flight(), 1)
		r.wantNothingKept()
	})
}

// Callers of one span are told apart by their number only.
func TestCallersThatShareASpan(t *testing.T) {
	r := newRig(t, singleflight.Options[string, int]{}, nil)
	f := r.newHooked(1, "J1 J2 J3 D1 S L")
	shared, span := r.request("shared")
	for number := range f.contexts {
		f.contexts[number] = shared
	}
	for _, hook := range f.hooks {
		f.run(hook)
	}
	r.wantLinks(span, r.flight(), 2)
	r.wantNothingKept()
}

// A hooked is a flight whose hooks a test calls itself.
type hooked struct {
	*rig
	id       uint64
	hooks    []string
	contexts map[rune]context.Context
	requests map[rune]trace.Span
	ctx      context.Context
	landing  singleflight.Landing
}

func (r *rig) newHooked(id uint64, hooks string) *hooked {
	f := &hooked{rig: r, id: id, hooks: strings.Fields(hooks), contexts: make(map[rune]context.Context), requests: make(map[rune]trace.Span)}
	f.ctx, f.requests['0'] = r.request("leader")
	f.contexts['0'] = f.ctx
	f.landing.Callers = 1
	for _, hook := range f.hooks {
		number := rune(hook[len(hook)-1])
		switch hook[0] {
		case 'J':
			f.landing.Callers++
			f.contexts[number], f.requests[number] = r.request("joiner")
		case 'D':
			f.landing.Detached++
		}
	}
	return f
}

func (f *hooked) run(hook string) {
	trace := f.recorder.trace()
	switch hook[0] {
	case 'S':
		f.ctx = trace.Start(f.ctx, "k", f.id)
	case 'L':
		trace.Land(f.ctx, "k", f.id, f.landing)
	case 'J':
		trace.Join(f.contexts[rune(hook[1])], "k", f.id)
	case 'D':
		trace.Detach(f.contexts[rune(hook[1])], "k", f.id, context.Canceled)
	}
}

// In any order in which the hooks of a flight can run, if no caller detaches
// before the start, nothing is kept and every joiner is linked.
func TestAnyOrderOfHooks(t *testing.T) {
	const hooks = "S L J1 D1 J2 D2 J3 J4 D0"
	random := rand.New(rand.NewPCG(1, 2))
	names := strings.Fields(hooks)
	for tried := 0; tried < 200; {
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		at := make(map[string]int)
		for i, name := range names {
			at[name] = i
		}
		if at["L"] < at["S"] || at["D0"] < at["S"] || at["D1"] < max(at["S"], at["J1"]) || at["D2"] < max(at["S"], at["J2"]) {
			continue
		}
		tried++

		r := newRig(t, singleflight.Options[string, int]{}, nil)
		f := r.newHooked(1, hooks)
		for _, name := range names {
			f.run(name)
		}
		flight := r.flight()
		for number, span := range f.requests {
			if number != '0' {
				r.wantLinks(span, flight, 1)
			}
		}
		r.wantNothingKept()
		if t.Failed() {
			t.Fatalf("order %v", names)
		}
	}
}
