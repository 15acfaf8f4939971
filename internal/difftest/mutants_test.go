package difftest

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

// TestMutants checks that the harness can fail. It runs the short scripts against
// a naive implementation, which is right, and against the same with one fault,
// which must show.
func TestMutants(t *testing.T) {
	if diff := findDifference(t, noFault, 4); diff != "" {
		t.Errorf("the naive implementation has no fault, but %s", diff)
	}
	for fault, name := range faultNames {
		t.Run(name, func(t *testing.T) {
			if findDifference(t, fault, 5) == "" {
				t.Error("not found")
			}
		})
	}
}

// findDifference returns how the naive implementation with the fault differs from
// x/sync in the first script in which it does, if that has at most length steps.
func findDifference(t *testing.T, f fault, length int) (diff string) {
	naive := subject{"naive", func(s Script) Trace {
		return Run(s, implementation{
			name:      "naive",
			newGroup:  func(Options, func(*Value) *Value) group { return newNaiveGroup(f) },
			errGoexit: errNaiveGoexit,
		})
	}}
	scope := basicScope
	scope.Endings = append(scope.Endings[:4:4], WithValueAndError, WithNestedPanic, WithReturnedPanic, WithPanicDuringGoexit)
	synctest.Test(t, func(*testing.T) {
		for length := range length + 1 {
			scope.All(length, func(s Script, crashes bool) bool {
				if !crashes {
					diff = compare(s, theXSync, naive)
				}
				return diff == ""
			})
			if diff != "" {
				return
			}
		}
	})
	return diff
}

// A fault is a mistake of the naive implementation.
type fault int

const (
	noFault fault = iota
	landingRemovesSuccessor
	keyStaysAfterPanic
	keyStaysAfterGoexit
	forgetDoesNothing
	forgetEndsJoining
	neverJoins
	leaderNotShared
	joinerNotShared
	alwaysShared
	joinerGetsZero
	joinerLosesError
	valueBesideErrorLost
	joinerSwallowsPanic
	onePanicEach
	nestedPanicWrapped
	returnedPanicRaised
	panicDuringGoexitLost
	joinerReturnsOnGoexit
	channelMissesGoexit
	resultsAfterReturn
	leaderOnNewGoroutine
	everybodyLeads
	keysShareFlight
	stackLost
)

var faultNames = map[fault]string{
	landingRemovesSuccessor: "landing removes the flight after a forgotten one",
	keyStaysAfterPanic:      "the key stays in the table after a panic",
	keyStaysAfterGoexit:     "the key stays in the table after Goexit",
	forgetDoesNothing:       "Forget does nothing",
	forgetEndsJoining:       "Forget makes later calls never join",
	neverJoins:              "no call joins",
	leaderNotShared:         "shared is false for the leader",
	joinerNotShared:         "shared is false for who joined",
	alwaysShared:            "shared is always true",
	joinerGetsZero:          "who joined gets the zero value",
	joinerLosesError:        "who joined gets no error",
	valueBesideErrorLost:    "a value beside an error is lost",
	joinerSwallowsPanic:     "who joined does not panic",
	onePanicEach:            "every caller has its own PanicError",
	nestedPanicWrapped:      "a nested flight's PanicError is wrapped",
	returnedPanicRaised:     "a returned PanicError is raised",
	panicDuringGoexitLost:   "a panic during Goexit is lost",
	joinerReturnsOnGoexit:   "Goexit makes who joined return",
	channelMissesGoexit:     "a channel caller hears nothing of Goexit",
	resultsAfterReturn:      "Results are sent after the leader of Do has returned",
	leaderOnNewGoroutine:    "Do runs the function on a new goroutine",
	everybodyLeads:          "Result.Leader is always true",
	keysShareFlight:         "all keys share a flight",
	stackLost:               "the PanicError has no stack",
}

var errNaiveGoexit = errors.New("Goexit")

// A naiveGroup is a simple implementation of what x/sync has.
type naiveGroup struct {
	fault   fault
	mu      sync.Mutex
	flights map[string]*naiveFlight
	spoiled bool
}

type naiveFlight struct {
	landed   chan struct{}
	value    *Value
	err      error
	panicked *singleflight.PanicError
	goexit   bool
	callers  int
	channels []naiveWaiter
}

type naiveWaiter struct {
	channel naiveChannel
	leads   bool
}

type naiveChannel chan result

func (c naiveChannel) length() int     { return len(c) }
func (c naiveChannel) receive() result { return <-c }

func newNaiveGroup(f fault) *naiveGroup {
	return &naiveGroup{fault: f, flights: make(map[string]*naiveFlight)}
}

// board returns the flight of the key, and whether the caller leads it.
func (g *naiveGroup) board(key string) (f *naiveFlight, leads bool) {
	if g.fault == keysShareFlight {
		key = ""
	}
	if f := g.flights[key]; f != nil && g.fault != neverJoins && !g.spoiled {
		f.callers++
		return f, false
	}
	f = &naiveFlight{landed: make(chan struct{}), callers: 1}
	g.flights[key] = f
	return f, true
}

func (g *naiveGroup) Do(key string, fn func() (*Value, error)) (*Value, error, bool) {
	g.mu.Lock()
	f, leads := g.board(key)
	g.mu.Unlock()
	switch {
	case !leads:
		<-f.landed
	case g.fault == leaderOnNewGoroutine:
		go g.fly(f, key, fn)
		<-f.landed
	default:
		g.fly(f, key, fn)
	}
	return g.outcome(f, leads)
}

// outcome ends a blocking call as the flight ended.
func (g *naiveGroup) outcome(f *naiveFlight, leads bool) (*Value, error, bool) {
	switch {
	case f.panicked != nil && (leads || g.fault != joinerSwallowsPanic):
		if g.fault == onePanicEach {
			panic(&singleflight.PanicError{Value: f.panicked.Value, Stack: f.panicked.Stack})
		}
		panic(f.panicked)
	case f.goexit && g.fault != joinerReturnsOnGoexit:
		runtime.Goexit()
	}
	value, err, shared := f.value, f.err, f.callers > 1
	switch {
	case g.fault == leaderNotShared && leads, g.fault == joinerNotShared && !leads:
		shared = false
	case g.fault == alwaysShared:
		shared = true
	case g.fault == joinerGetsZero && !leads:
		value = nil
	case g.fault == joinerLosesError && !leads:
		err = nil
	case g.fault == valueBesideErrorLost && err != nil:
		value = nil
	}
	return value, err, shared
}

func (g *naiveGroup) DoChan(key string, fn func() (*Value, error)) channel {
	channel := make(naiveChannel, 1)
	g.mu.Lock()
	f, leads := g.board(key)
	f.channels = append(f.channels, naiveWaiter{channel, leads})
	g.mu.Unlock()
	if leads {
		go g.fly(f, key, fn)
	}
	return channel
}

func (g *naiveGroup) Forget(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spoiled = g.fault == forgetEndsJoining
	if g.fault != forgetDoesNothing {
		delete(g.flights, key)
	}
}

// fly calls the function and lands. A leader of Do goes on with a panic or Goexit.
func (g *naiveGroup) fly(f *naiveFlight, key string, fn func() (*Value, error)) {
	exits := true
	defer func() {
		if exits && g.fault == panicDuringGoexitLost {
			f.panicked = nil
		}
		f.goexit = exits && f.panicked == nil
		g.land(f, key)
		if exits && f.panicked != nil {
			panic(f.panicked)
		}
	}()
	func() {
		defer func() {
			if r := recover(); r != nil {
				f.panicked = g.newPanic(r)
			}
		}()
		f.value, f.err = fn()
	}()
	exits = false
	if nested := new(singleflight.PanicError); g.fault == returnedPanicRaised && errors.As(f.err, &nested) {
		f.panicked = nested
	}
}

func (g *naiveGroup) newPanic(value any) *singleflight.PanicError {
	stack := debug.Stack()
	for stack[0] != '\n' { // the line with the goroutine's number
		stack = stack[1:]
	}
	if g.fault == stackLost {
		stack = nil
	}
	if nested, ok := value.(*singleflight.PanicError); ok && g.fault != nestedPanicWrapped {
		return nested
	}
	return &singleflight.PanicError{Value: value, Stack: stack}
}

func (g *naiveGroup) land(f *naiveFlight, key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	stays := g.fault == keyStaysAfterPanic && f.panicked != nil || g.fault == keyStaysAfterGoexit && f.goexit
	if g.fault == keysShareFlight {
		key = ""
	}
	if !stays && (g.flights[key] == f || g.fault == landingRemovesSuccessor) {
		delete(g.flights, key)
	}
	if g.fault == resultsAfterReturn {
		defer func() { go g.send(f) }()
	} else {
		g.send(f)
	}
	close(f.landed)
}

func (g *naiveGroup) send(f *naiveFlight) {
	for _, waiter := range f.channels {
		r := result{f.value, f.err, f.callers > 1, waiter.leads || g.fault == everybodyLeads}
		if f.goexit {
			if g.fault == channelMissesGoexit {
				continue
			}
			r.err = errNaiveGoexit
		}
		waiter.channel <- r
	}
}
