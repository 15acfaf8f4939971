package difftest

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A Scope is a set of scripts: those over some groups and keys, of some ops,
// contexts and endings, in which not more than some callers wait at a time.
//
// Scripts that differ in names alone are one: callers are numbered in the order
// of their calls, and a key is used only after the keys before it. That is sound
// for keys because no implementation can tell one from another but by equality,
// and for callers because numbers are the script's, not the implementation's.
type Scope struct {
	Groups   []Options
	Keys     []string
	Callers  int
	Ops      []Op
	Contexts []ContextKind
	Endings  []Ending
	NilFuncs bool
	XSync    bool // leave out what would crash x/sync
}

// next returns all steps of the scope that apply now.
func (s Scope) next(r *modelRun) []Step {
	var steps []Step
	for _, op := range s.Ops {
		steps = append(steps, s.nextOf(op, r)...)
	}
	return s.applicable(steps, r)
}

func (s Scope) applicable(steps []Step, r *modelRun) []Step {
	return slices.DeleteFunc(steps, func(step Step) bool {
		return !r.applies(step) || s.XSync && r.crashesXSync(step)
	})
}

// nextOf returns the steps of one op that may apply now.
func (s Scope) nextOf(op Op, r *modelRun) []Step {
	var steps []Step
	switch {
	case op.call() || op == OpWait:
		steps = s.calls(op, r)
	case op == OpEnd:
		for _, leader := range r.model.Leaders() {
			for _, ending := range s.Endings {
				steps = append(steps, End(leader, ending))
			}
		}
	case op == OpCancel:
		for _, c := range r.calls {
			if c.Step.Context.cancellable() && !r.model.Ended(c.context) {
				steps = append(steps, Cancel(c.Caller))
			}
		}
	case op == OpForget || op == OpForgetUnshared:
		for group := range r.script.groups() {
			for _, key := range usedKeys(r, s.Keys) {
				steps = append(steps, Step{Op: op, Key: key, Group: group})
			}
		}
	case op == OpSleep:
		steps = append(steps, Sleep(time.Second), Sleep(2*time.Second))
	}
	return steps
}

// calls returns the calls by another caller.
func (s Scope) calls(op Op, r *modelRun) []Step {
	if len(r.model.Waiting()) >= s.Callers {
		return nil
	}
	keys := s.Keys[:min(len(usedKeys(r, s.Keys))+1, len(s.Keys))]
	if op == OpWait {
		keys = []string{""}
	}
	var steps []Step
	for group := range r.script.groups() {
		for _, key := range keys {
			call := Step{Op: op, Caller: len(r.calls), Group: group, Key: key}
			steps = append(steps, s.withContexts(call, r)...)
			if s.NilFuncs && op != OpWait {
				steps = append(steps, call.WithNilFunc())
			}
		}
	}
	return steps
}

// withContexts returns the call with each context that it may have.
func (s Scope) withContexts(call Step, r *modelRun) []Step {
	if !call.Op.takesContext() {
		return []Step{call}
	}
	var steps []Step
	for _, kind := range s.Contexts {
		call.Context = Context{Kind: kind}
		if !call.Context.derives() {
			steps = append(steps, call)
			continue
		}
		for _, c := range r.calls {
			if r.model.FlightContext(c.Caller) != nil {
				call.Context.Flight = c.Caller
				steps = append(steps, call)
			}
		}
	}
	return steps
}

// usedKeys returns the first keys of which all have been used.
func usedKeys(r *modelRun, keys []string) []string {
	used := 0
	for _, c := range r.calls {
		used = max(used, slices.Index(keys, c.Key)+1)
	}
	return keys[:used]
}

// All calls visit with every script of the scope that has length steps, or fewer
// because it crashes the process at its last. The shorter scripts are beginnings
// of these, and so are their traces, but for the landing of what still runs,
// which may crash the process too. What the contract leaves open counts as a
// crash. It stops if visit returns false.
func (s Scope) All(length int, visit func(script Script, crashes bool) bool) {
	s.extend(Script{Groups: s.Groups}, length, visit)
}

func (s Scope) extend(script Script, length int, visit func(Script, bool) bool) bool {
	r := replay(script)
	if r.model.Crashed() || len(script.Steps) == length {
		r.landAll()
		return visit(Script{script.Groups, slices.Clone(script.Steps)}, r.model.Crashed() || r.model.Open())
	}
	for _, step := range s.next(r) {
		extended := Script{script.Groups, append(script.Steps, step)}
		if !s.extend(extended, length, visit) {
			return false
		}
	}
	return true
}

// Random returns a script of the scope with at most length steps, that doesn't
// crash the process. Each step is of a random op among those that apply.
func (s Scope) Random(random *rand.Rand, length int) Script {
	script := Script{Groups: s.Groups}
	r := newModelRun(script)
	for range length {
		step, ok := s.pick(random, r)
		if !ok {
			break
		}
		if r.perform(step); r.model.Crashed() || r.model.Open() {
			r = replay(script)
			continue
		}
		script.Steps = append(script.Steps, step)
	}
	return script.thatEnds()
}

// pick returns a step that applies now. A quarter of them are endings, so that
// flights come and go.
func (s Scope) pick(random *rand.Rand, r *modelRun) (Step, bool) {
	for range 10 * len(s.Ops) {
		op := OpEnd
		if random.IntN(4) > 0 {
			op = s.Ops[random.IntN(len(s.Ops))]
		}
		if steps := s.applicable(s.nextOf(op, r), r); len(steps) > 0 {
			return steps[random.IntN(len(steps))], true
		}
	}
	return Step{}, false
}
