package singleflight

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// What must hold between steps: the invariants that the comment of type flight
// states, and that callers get what the contract says.

// A transition is a step that was taken.
type transition struct {
	scope         *scope
	before, after *model
	u             *subject
	lives         [mostCalls + 1]lived // before the step
	checked       bool
	print         string // by what the state after it is known
	faults        []string
}

func (tr *transition) fault(format string, args ...any) {
	tr.faults = append(tr.faults, fmt.Sprintf(format, args...))
}

func (tr *transition) want(ok bool, format string, args ...any) {
	if !ok {
		tr.fault(format, args...)
	}
}

// check finds what doesn't hold after the step. It may change the subject.
func (tr *transition) check() {
	if !tr.u.free() {
		tr.fault("the lock is held")
		return
	}
	for n := range tr.after.n {
		if err := tr.u.calls[n].refuse; err != nil {
			tr.fault("call %d is refused: %v", n, err)
			return
		}
		leads := tr.u.flights[n] != nil
		if want := tr.after.calls[n].flight == n; leads != want {
			tr.fault("that call %d leads is %t", n, leads)
			return
		}
	}
	tr.checkTable()
	for n := range tr.after.n {
		if tr.after.flights[n].inAir() {
			tr.checkFlight(n)
		}
		if tr.u.flights[n] != nil {
			tr.checkContext(n)
			tr.checkStart(n)
		}
		tr.checkAnswer(n)
		tr.checkWatch(n)
	}
	tr.checkLives()
	tr.checkSpares()
	tr.checkHooks()
	tr.checkStats("")
	tr.checkInFlight()
	tr.checkLateDetaching()
}

func (tr *transition) flight(n int8) *flight[int, int] {
	if n == none {
		return nil
	}
	return tr.u.flights[n].f
}

// checkTable is about invariants 1 and 2.
func (tr *transition) checkTable() {
	tabled, length := tr.u.tabled()
	tr.want(len(tabled) == length, "%d flights are in the table, and its Len is %d", len(tabled), length)
	for n := range tr.after.n {
		f := &tr.after.flights[n]
		if !f.inAir() {
			continue
		}
		i := slices.Index(tabled, tr.flight(n))
		tr.want((i >= 0) == (f.status != waiting), "that flight %d is in the table is %t", n, i >= 0)
		if i >= 0 {
			tabled = slices.Delete(tabled, i, i+1)
		}
	}
	tr.want(len(tabled) == 0, "%d flights too many are in the table", len(tabled))
	for key, n := range tr.after.table {
		tr.want(tr.u.find(tr.u.keys[key]) == tr.flight(n), "key %d finds not flight %d", key, n)
	}
}

// checkFlight is about what a flight in the air and its crowd hold: invariant 3,
// and both ends of what binds a successor.
func (tr *transition) checkFlight(n int8) {
	f, s := &tr.after.flights[n], tr.u.look(tr.flight(n))
	tr.want(s.key == tr.u.keys[f.key], "flight %d has another key", n)
	if f.status != waiting {
		tr.want(s.aside == (f.forgotten || f.status == sending), "that flight %d is set aside is %t", n, s.aside)
	}
	tr.want(s.callers == f.callers(), "flight %d has %d callers, want %d", n, s.callers, f.callers())
	tr.want(s.stamped || f.boarded == 1 && f.status == running, "it isn't known when flight %d began", n)
	if !s.gathered {
		alone := f.boarded == 1 && tr.after.calls[n].way.runs() && !f.awaited && f.status == running && !tr.scope.begins()
		tr.want(alone, "flight %d has no crowd", n)
		return
	}
	tr.want(s.crowdsFlight == s.f, "the crowd of flight %d is another's", n)
	tr.want(s.joined == int(f.boarded)-1, "%d callers have joined flight %d", s.joined, n)
	tr.want(s.cancelled == f.cancelled, "that flight %d is cancelled is %t", n, s.cancelled)
	tr.want(s.successor == tr.flight(f.successor), "flight %d hasn't flight %d as its successor", n, f.successor)
	tr.want(s.predecessor == tr.flight(f.predecessor), "flight %d hasn't flight %d as its predecessor", n, f.predecessor)
	tr.want(s.handout != nil || !f.awaited, "flight %d has no handout", n)
	tr.checkListeners(n, s)
}

func (tr *transition) checkListeners(n int8, s sight) {
	f := &tr.after.flights[n]
	tr.want(!s.misplaced, "a listener of flight %d isn't where its watch says, or a block is empty", n)
	for c := range tr.after.n {
		if f.on>>c&1 == 0 || !tr.after.calls[c].way.channel() {
			continue
		}
		ch := tr.u.calls[c].ch
		if c == n {
			tr.want(s.leader == ch, "flight %d doesn't know its leader's channel", n)
			s.leader = nil
		} else if i := slices.Index(s.joiners, ch); i >= 0 {
			s.joiners = slices.Delete(s.joiners, i, i+1)
		} else {
			tr.fault("flight %d doesn't know the channel of call %d", n, c)
		}
	}
	tr.want(s.leader == nil && len(s.joiners) == 0, "flight %d has listeners that aren't on it", n)
}

// checkContext is clause 15, and Forgotten.
func (tr *transition) checkContext(n int8) {
	f, ctx := &tr.after.flights[n], tr.u.flights[n].context
	bound := tr.after.calls[n].way.bound() || f.succeeds
	if (ctx != nil) != bound {
		tr.fault("that flight %d has a context is %t", n, ctx != nil)
	}
	if ctx == nil {
		return
	}
	if f.inAir() && f.status != sending {
		tr.want(tr.flight(n).context == ctx, "flight %d has another context than before", n)
	}
	over := f.status >= sending
	tr.want((waitfor.Of(ctx) == nil) == over, "that calls belong to flight %d is %t", n, waitfor.Of(ctx) != nil)
	tr.want(Forgotten(ctx) == f.forgotten, "Forgotten of flight %d is %t", n, Forgotten(ctx))
	ended := over || f.cancelled
	tr.want((ctx.Err() != nil) == ended, "the context of flight %d has the error %v", n, ctx.Err())
	if cause := context.Canceled; ended {
		if f.cancelled {
			cause = ErrAbandoned
		}
		tr.want(context.Cause(ctx) == cause, "the context of flight %d has the cause %v", n, context.Cause(ctx))
		tr.want(closed(ctx.Done()), "the context of flight %d isn't done", n)
	}
}

// checkStart is about who may run his function.
func (tr *transition) checkStart(n int8) {
	if turn := tr.u.flights[n].turn; turn != nil {
		waits := tr.after.flights[n].status == waiting
		tr.want(closed(turn) != waits, "that it is the turn of flight %d is %t", n, closed(turn))
	}
	if n > 0 {
		return
	}
	want := 0
	for n := range tr.after.n {
		f := &tr.after.flights[n]
		if tr.u.flights[n] != nil && !tr.after.calls[n].way.runs() && f.status != waiting && f.status != dropped {
			want++
		}
	}
	tr.want(int(tr.u.starts.Load()) == want, "%d goroutines were started for flights, want %d", tr.u.starts.Load(), want)
}

// checkAnswer is clauses 3, 8, 13, 14, 17 and 21, and invariant 5: a call gets
// the outcome or leaves, and nobody is woken before all Results are sent.
func (tr *transition) checkAnswer(n int8) {
	m, c := &tr.after.calls[n], tr.u.calls[n]
	f := &tr.after.flights[m.flight]
	if awaited := tr.u.flights[m.flight].awaited; m.flight == n && f.awaited {
		tr.want(awaited != nil && closed(awaited) == f.over(), "that Wait has waited for flight %d isn't %t", n, f.over())
	}
	if c.h != nil {
		tr.want(closed(c.h.done) == f.over(), "that blocking call %d is woken isn't %t", n, f.over())
	}
	served := !m.left && f.status == landed
	switch {
	case c.ch != nil:
		var want []Result[int]
		if served {
			want = append(want, tr.outcome(n))
		} else if m.left && !m.broken {
			want = append(want, Result[int]{Err: context.Canceled})
		}
		got := received(c.ch)
		tr.want(slices.Equal(got, want), "channel call %d received %v, want %v", n, got, want)
	case served && c.h != nil && closed(c.h.done):
		tr.checkResult(n, &c.h.outcome)
	case served && c.own != nil && f.how != withGoexit: // which ends its goroutine
		tr.checkResult(n, c.own)
	}
}

func (tr *transition) checkResult(n int8, o *outcome[int]) {
	v, err, shared := tr.u.group.result(o)
	got, want := Result[int]{Val: v, Err: err, Shared: shared}, tr.outcome(n)
	want.Leader = false // DoResult's to say
	tr.want(got == want, "call %d got %v, want %v", n, got, want)
}

// outcome is what a call on a flight that has landed gets.
func (tr *transition) outcome(n int8) Result[int] {
	leader := tr.after.calls[n].flight
	f := &tr.after.flights[leader]
	r := Result[int]{Shared: f.shared(), Leader: leader == n}
	switch f.how {
	case withValue:
		r.Val = valueOf(leader)
		if tr.after.copied(tr.scope, leader) {
			r.Val += copied
		}
	case withError:
		r.Val, r.Err = valueOf(leader), errFunction
	case withPanic:
		r.Err = errPanic
	case withGoexit:
		r.Err = ErrGoexit
	}
	return r
}

// checkWatch is about the watch over a channel caller's context: it ends with
// the flight.
func (tr *transition) checkWatch(n int8) {
	m, ctx := &tr.after.calls[n], tr.u.calls[n].ctx
	if m.way != wayDoChanContext || m.left {
		return
	}
	registered, stopped := 0, 0
	if m.watched {
		registered = 1
		if tr.after.flights[m.flight].over() {
			stopped = 1
		}
	}
	tr.want(ctx.registered == registered && ctx.stopped == stopped,
		"the watch over call %d began %d times and ended %d times, want %d and %d", n, ctx.registered, ctx.stopped, registered, stopped)
}

// checkLives is invariant 4.
func (tr *transition) checkLives() {
	alone := false // a flight without a crowd has landed; it may have needed one for that
	for n := range tr.after.n {
		before, after := tr.before.flights[n].status, tr.after.flights[n].status
		ended := uint64(0)
		if n < tr.before.n && before < sending && after >= sending {
			ended = 1
		}
		was := tr.lives[n]
		if was.crowd == nil {
			alone = alone || ended > 0
			continue
		}
		tr.want(was.crowd.life == was.life+ended, "the crowd of flight %d has ended %d lives, and %d before", n, was.crowd.life, was.life)
	}
	if was := tr.lives[mostCalls]; was.crowd != nil {
		grown := was.crowd.life - was.life
		tr.want(grown == 0 || grown == 1 && alone, "the spare crowd has ended %d lives", grown)
	}
}

// checkSpares: what is kept to be used again isn't in use, and holds nothing.
func (tr *transition) checkSpares() {
	var inUse []any
	use := func(what any) bool {
		other := !slices.Contains(inUse, what)
		inUse = append(inUse, what)
		return other
	}
	for n := range tr.after.n {
		if !tr.after.flights[n].inAir() {
			continue
		}
		f := tr.flight(n)
		tr.want(use(f), "flight %d is another one as well", n)
		if c := f.crowd; c != nil {
			tr.want(use(c), "the crowd of flight %d is another's as well", n)
		}
		for c := range tr.after.n {
			if m := &tr.after.calls[c]; m.flight == n && !m.left {
				if w := tr.u.calls[c].l.watch; w != nil {
					tr.want(use(w), "the watch of call %d is another's as well", c)
				}
			}
		}
	}
	for _, spare := range tr.u.spares() {
		tr.want(!slices.Contains(inUse, spare), "a spare %T is in use", spare)
	}
	for _, what := range tr.u.dirty() {
		tr.fault("the spare %s holds something", what)
	}
}

// checkHooks is about Land and Detach.
func (tr *transition) checkHooks() {
	if !tr.scope.trace {
		return
	}
	landings, detaches := 0, 0
	for n := range tr.after.n {
		c, f := &tr.after.calls[n], &tr.after.flights[n]
		if c.left && !c.broken {
			detaches++
		}
		if f.status != landed {
			continue
		}
		landings++
		if n >= tr.before.n || tr.before.flights[n].status == landed {
			continue
		}
		want := Landing{Callers: int(f.boarded), Detached: int(f.boarded) - f.callers(), Err: tr.outcome(n).Err}
		if k := len(tr.u.landings); k > 0 {
			got := tr.u.landings[k-1]
			got.Duration = 0
			tr.want(got == want, "Land is told of %v, want %v", got, want)
		}
	}
	tr.want(len(tr.u.landings) == landings, "Land was called %d times, want %d", len(tr.u.landings), landings)
	tr.want(tr.u.detaches == detaches, "Detach was called %d times, want %d", tr.u.detaches, detaches)
}

func (tr *transition) checkStats(when string) {
	got, want := tr.u.group.Stats(), tr.after.stats
	tr.want(got == want, "%sStats are %+v, want %+v", when, got, want)
	tr.want(tr.u.answer == tr.after.answer, "ForgetUnshared returned %t", tr.u.answer)
	awaited := 0
	for n := range tr.after.n {
		if tr.after.flights[n].awaited {
			awaited++
		}
	}
	tr.want(tr.u.waited == awaited, "Wait would wait for %d flights, want %d", tr.u.waited, awaited)
}

func (tr *transition) checkInFlight() {
	listed := tr.u.group.InFlight()
	for i := range listed {
		listed[i].Since = listed[i].Since.Round(0)
	}
	for n := range tr.after.n {
		f := &tr.after.flights[n]
		if !f.inAir() {
			continue
		}
		state := Running
		switch {
		case f.status == waiting:
			state = Waiting
		case f.cancelled:
			state = Cancelled
		case f.on == 0:
			state = Abandoned
		}
		since := tr.u.made.Add(time.Duration(f.since) * passing).Round(0)
		want := Flight[int]{tr.u.keys[f.key], f.callers(), state, f.forgotten, since}
		if i := slices.Index(listed, want); i >= 0 {
			listed = slices.Delete(listed, i, i+1)
		} else {
			tr.fault("InFlight hasn't %+v of flight %d", want, n)
		}
	}
	tr.want(len(listed) == 0, "InFlight has %+v as well", listed)
}

// checkLateDetaching is the other half of clause 14: who is on a flight that has
// landed can't leave it.
func (tr *transition) checkLateDetaching() {
	for n := range tr.after.n {
		c := &tr.after.calls[n]
		if !c.left && c.way.detachable() && tr.after.flights[c.flight].status >= sending {
			tr.want(!tr.u.detachesLate(tr.u.calls[n]), "call %d detaches after its flight has landed", n)
			if !tr.u.free() {
				tr.fault("the lock is held when call %d has tried to detach", n)
				return
			}
		}
	}
	tr.checkStats("after late calls of detach ")
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// received takes what is in a channel.
func received(ch chan Result[int]) (all []Result[int]) {
	for len(ch) > 0 {
		all = append(all, <-ch)
	}
	return all
}
