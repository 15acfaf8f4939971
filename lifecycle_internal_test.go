package singleflight

import (
	"flag"
	"math/bits"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var checkedCalls = flag.Int("checker.calls", 0, "how many calls TestLifeCycle makes, at most 6; 0: as many as fit in a test run")

// TestLifeCycle takes a group and its model through all orders of the steps that
// flights can take under their lock, for two keys of one shard and a few calls,
// and compares the two after each step.
//
// It goes through the states by their distance from the beginning, so that what
// it reports is a shortest way to the fault. States that have the same future
// count as one. Since a group can't be copied, each step is taken by a new one
// that is led to the state first.
func TestLifeCycle(t *testing.T) {
	for _, sc := range scopes {
		switch {
		case *checkedCalls > 0:
			sc.calls = min(*checkedCalls, mostCalls)
		case underRace() || bits.UintSize == 32: // which may be in an emulator
			sc.calls = 2
		case testing.Short():
			sc.calls--
		}
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			x := &explorer{scope: &sc, seen: make(map[string]bool)}
			began := time.Now()
			synctest.Test(t, x.explore)
			t.Logf("%d calls: %d states, %d steps between them, in %v",
				sc.calls, len(x.states), x.steps, time.Since(began).Round(time.Millisecond))
		})
	}
}

var (
	allWays  = []way{wayDo, wayDoContext, wayBackground, wayDoChan, wayDoChanContext}
	mostWays = []way{wayDo, wayDoContext, wayDoChanContext}
)

// scopes are what TestLifeCycle goes through. The options are all set together
// with those that change most, to meet each other.
var scopes = []scope{
	{name: "no options", calls: 3, ways: allWays},
	{name: "CancelAbandoned", calls: 3, ways: allWays, cancelAbandoned: true},
	{name: "four calls", calls: 4, ways: mostWays, cancelAbandoned: true},
	{name: "Wait", calls: 3, ways: mostWays, cancelAbandoned: true, waits: true, used: true},
	{name: "watches", calls: 3, ways: []way{wayDo, wayDoChan, wayDoChanContext}, cancelAbandoned: true, watches: true},
	{name: "ForgetAfter", calls: 3, ways: []way{wayDo, wayDoContext}, cancelAbandoned: true, forgetAfter: true},
	{name: "Clone", calls: 3, ways: allWays, cancelAbandoned: true, clone: true, used: true},
	{name: "Trace", calls: 3, ways: []way{wayDoContext, wayDoChan, wayDoChanContext}, cancelAbandoned: true, trace: true, watches: true},
}

// underRace reports whether the race detector slows the test down.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// A place is a state that was reached.
type place struct {
	model *model
	from  int // the place before
	by    step
}

// An explorer goes through the states of a scope.
type explorer struct {
	scope  *scope
	states []place
	seen   map[string]bool
	steps  int
}

func (x *explorer) explore(t *testing.T) {
	x.states = []place{{model: newModel(), from: none}}
	var steps []step
	for i := 0; i < len(x.states); i++ {
		before := x.states[i].model
		path := x.path(i)
		steps = before.steps(x.scope, steps)
		for _, s := range steps {
			after := new(model)
			*after = *before
			after.take(x.scope, s)
			x.steps++
			tr := &transition{scope: x.scope, before: before, after: after}
			print := tr.replay(append(path, s))
			if len(tr.faults) > 0 {
				t.Fatalf("after\n\t%s\n%s", text(append(path, s)), strings.Join(tr.faults, "\n"))
			}
			if !x.seen[print] {
				x.seen[print] = true
				x.states = append(x.states, place{after, i, s})
			}
		}
	}
}

// path returns the steps that lead to a place, with room for another.
func (x *explorer) path(i int) (steps []step) {
	for ; x.states[i].from != none; i = x.states[i].from {
		steps = append(steps, x.states[i].by)
	}
	slices.Reverse(steps)
	return slices.Grow(steps, 1)
}

func text(steps []step) string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, s.String())
	}
	return strings.Join(lines, "\n\t")
}

// replay takes a new group through the steps and checks it after the last. It
// returns by what the state is known.
func (tr *transition) replay(steps []step) (print string) {
	tr.u = newSubject(tr.scope)
	tr.run(steps)
	tr.want(tr.checked || len(tr.faults) > 0, "the landing hasn't stopped at a copy")
	return tr.print
}

// run takes the steps. It returns those that are left after the one that ends the
// landing in which it was called.
func (tr *transition) run(steps []step) (rest []step) {
	defer func() {
		if r := recover(); r != nil {
			tr.fault("panic: %v\n%s", r, debug.Stack())
		}
	}()
	for len(steps) > 0 {
		s := steps[0]
		steps = steps[1:]
		if len(steps) == 0 {
			tr.lives = tr.u.lives()
		}
		if s.do == doSend {
			return steps
		}
		if s.do == doLand {
			tr.u.during = func() { steps = tr.run(steps) }
		}
		tr.u.take(s)
		tr.u.during = nil
	}
	if !tr.checked {
		tr.checked = true
		synctest.Wait()
		flights, kept := tr.u.hidden()
		tr.print = string(kept) + tr.after.print(flights)
		tr.check()
	}
	return nil
}
