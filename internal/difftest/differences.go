package difftest

import (
	"slices"
	"strings"
)

// A difference is something that package singleflight does otherwise than x/sync
// on purpose.
type difference struct {
	name   string
	reason string

	// translate makes of a trace of x/sync what this package shows instead.
	translate func(Script, Trace) Trace
	// witness is a script whose traces differ by this.
	witness Script
	// crash, unless empty, is a script that crashes one of them and not the other.
	crash          Script
	crashesXSync   bool
	crashesPackage bool
}

// differences are all of them: the last section of the contract. Their
// translations are made in this order.
var differences = []difference{{
	name: "a returned PanicError is an error",
	reason: "Only a panic is a panic. x/sync tells one by the type of the error, so that a function which " +
		"recovered what another flight panicked with, and returns it as its error, panics once more.",
	translate: translateReturnedPanic,
	witness:   Steps(Do(0, "a"), Do(1, "a"), End(0, WithReturnedPanic)),
	crash:     Steps(DoChan(0, "a"), End(0, WithReturnedPanic)), crashesXSync: true,
}, {
	name: "a nested flight's panic is not wrapped again",
	reason: "The stack that matters is the first. x/sync puts one panicError into another at each level, " +
		"so that a caller must unwrap as often as flights were nested.",
	translate: translateNestedPanic,
	witness:   Steps(Do(0, "a"), Do(1, "a"), End(0, WithNestedPanic)),
}, {
	name: "a panic during Goexit is not lost",
	reason: "A panic is never swallowed. In x/sync the deferred function's panic is recovered " +
		"and the flight counts as one that called Goexit.",
	translate: translatePanicDuringGoexit,
	witness:   Steps(Do(0, "a"), Do(1, "a"), End(0, WithPanicDuringGoexit)),
	crash:     Steps(DoChan(0, "a"), End(0, WithPanicDuringGoexit)), crashesPackage: true,
}, {
	name: "Goexit reaches channel callers",
	reason: "In x/sync they wait forever (golang/go#52557, golang/go#67087). Here they receive ErrGoexit, " +
		"since a goroutine that reads a channel can't be made to exit.",
	translate: translateGoexit,
	witness:   Steps(Do(0, "a"), DoChan(1, "a"), End(0, WithGoexit)),
}, {
	name: "Result.Leader",
	reason: "Shared doesn't tell who was spared the work (golang/go#74880). x/sync's Result " +
		"has no such field, so that its adapter leaves it false.",
	translate: translateLeader,
	witness:   Steps(DoChan(0, "a"), DoChan(1, "a"), End(0, WithValue)),
}, {
	name:      "PanicError is exported",
	reason:    "Who recovers it wants its value and stack apart; x/sync's panicError gives its text only.",
	translate: translateExported,
	witness:   Steps(Do(0, "a"), End(0, WithPanic)),
}}

// translate makes of a trace of x/sync what this package shows instead. It leaves
// out the difference with that name, if there is one.
func translate(s Script, t Trace, except string) Trace {
	for _, d := range differences {
		if d.name != except {
			t = d.translate(s, t)
		}
	}
	return t
}

func translateReturnedPanic(s Script, t Trace) Trace {
	on := flightsOf(s, t)
	return t.each(func(e Event) Event {
		leader, ending, ended := s.endingAt(e.Step)
		if ended && ending == WithReturnedPanic && e.What == Panics && on[e.Caller] == leader {
			return Event{Step: e.Step, Caller: e.Caller, What: Returns, Err: e.Panic, Shared: shared(on, leader)}
		}
		return e
	})
}

func translateNestedPanic(_ Script, t Trace) Trace {
	return t.each(func(e Event) Event {
		if inner, nested := strings.CutPrefix(e.Panic, "panicError(panicError("); nested {
			e.Panic = "panicError(" + strings.TrimSuffix(inner, ")")
		}
		return e
	})
}

func translatePanicDuringGoexit(s Script, t Trace) Trace {
	on := flightsOf(s, t)
	var translated Trace
	for _, e := range t {
		leader, ending, ended := s.endingAt(e.Step)
		if !ended || ending != WithPanicDuringGoexit || e.What != Exits || on[e.Caller] != leader {
			translated = append(translated, e)
			continue
		}
		text := ending.outcome(leader).Panic.Text
		translated = append(translated, Event{Step: e.Step, Caller: e.Caller, What: Panics,
			Panic: panicDescription("panicError", text, false, true)})
		if e.Caller == leader { // recovering doesn't stop its Goexit
			translated = append(translated, e)
		}
	}
	return translated
}

func translateGoexit(s Script, t Trace) Trace {
	on := flightsOf(s, t)
	isChannel := make(map[int]bool)
	for _, step := range s.Steps {
		if step.Op == OpDoChan {
			isChannel[step.Caller] = true
		}
	}
	var translated Trace
	for _, e := range t {
		if at, ended := s.endOf(on, e.Caller); e.What == Waits && isChannel[e.Caller] && ended && at < e.Step {
			continue
		}
		translated = append(translated, e)
	}
	for caller := range isChannel {
		if at, ended := s.endOf(on, caller); ended && s.Steps[at].Ending == WithGoexit {
			translated = append(translated, Event{Step: at, Caller: caller, What: Receives,
				Err: "ErrGoexit", Shared: shared(on, on[caller])})
		}
	}
	slices.SortStableFunc(translated, compareEvents)
	return translated
}

func translateLeader(_ Script, t Trace) Trace {
	led := make(map[int]bool)
	return t.each(func(e Event) Event {
		switch e.What {
		case Runs:
			led[e.Caller] = true
		case Receives:
			e.Leader = led[e.Caller]
		}
		return e
	})
}

func translateExported(_ Script, t Trace) Trace {
	return t.each(func(e Event) Event {
		e.Panic = strings.ReplaceAll(e.Panic, "panicError(", "PanicError(")
		e.Err = strings.ReplaceAll(e.Err, "panicError(", "PanicError(")
		return e
	})
}

// each returns the trace with every event replaced.
func (t Trace) each(replace func(Event) Event) Trace {
	replaced := make(Trace, len(t))
	for i, e := range t {
		replaced[i] = replace(e)
	}
	return replaced
}

// endingAt returns what the step with that number lets end.
func (s Script) endingAt(step int) (leader int, ending Ending, ok bool) {
	if step >= len(s.Steps) || s.Steps[step].Op != OpEnd {
		return 0, 0, false
	}
	return s.Steps[step].Caller, s.Steps[step].Ending, true
}

// endOf returns the number of the step that ends the flight that the caller is on.
func (s Script) endOf(on map[int]int, caller int) (step int, ok bool) {
	leader, ok := on[caller]
	if !ok {
		return 0, false
	}
	step = slices.IndexFunc(s.Steps, func(step Step) bool { return step.Op == OpEnd && step.Caller == leader })
	return step, step >= 0
}

// flightsOf returns for each caller the leader of the flight that it is on: the
// one whose function was the last to be called for the key until the call was made.
// A caller with a nil function that led is on none that anybody else could be on.
func flightsOf(s Script, t Trace) map[int]int {
	on := make(map[int]int)
	newest := make(map[string]int)
	for i, step := range s.Steps {
		if !step.Op.call() {
			continue
		}
		if t.contains(i, step.Caller, Runs) {
			newest[step.Key] = step.Caller
		}
		if leader, ok := newest[step.Key]; ok && !t.contains(i, step.Caller, Panics) {
			on[step.Caller] = leader
		}
	}
	return on
}

func (t Trace) contains(step, caller int, what What) bool {
	return slices.ContainsFunc(t, func(e Event) bool {
		return e.Step == step && e.Caller == caller && e.What == what
	})
}

// shared reports whether the flight of the leader has more than one caller.
func shared(on map[int]int, leader int) bool {
	callers := 0
	for _, l := range on {
		if l == leader {
			callers++
		}
	}
	return callers > 1
}
