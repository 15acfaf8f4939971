package singleflight

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// What the contract says of flights and their callers, as a state and the steps
// from one state to the next. It shares nothing with the code but the names of
// the options and of the counters. The numbers are those of the clauses.

// mostCalls is how many calls a state has room for. Flights have the numbers of
// the calls that lead them.
const mostCalls = 6

const none = -1

// A way is one to call a group.
type way uint8

const (
	wayDo way = iota
	wayDoContext
	wayBackground // DoContext with a context that can't end
	wayDoChan
	wayDoChanContext
	ways
)

var wayNames = [...]string{"Do", "DoContext", "DoContext(Background)", "DoChan", "DoChanContext"}

func (w way) channel() bool    { return w == wayDoChan || w == wayDoChanContext }
func (w way) detachable() bool { return w == wayDoContext || w == wayDoChanContext }
func (w way) bound() bool      { return w == wayDoContext || w == wayBackground || w == wayDoChanContext }

// runs reports whether a leader's function runs on its own goroutine (4, 13).
func (w way) runs() bool { return w == wayDo || w == wayBackground }

// An action is what a step does.
type action uint8

const (
	doCall           action = iota // a call arrives
	doWatch                        // the context of a channel caller is watched from now on
	doBegin                        // the function is called; without hooks and limits it is at once
	doLand                         // the function ends; if Results are copied, up to the first copy
	doSend                         // the rest of the landing that began last, if it stopped at a copy
	doDetach                       // the call's context ends
	doBreak                        // the Join hook of a call panics
	doForget                       // Forget
	doForgetUnshared               // ForgetUnshared
	doPass                         // more time than ForgetAfter
	doWait                         // Wait, as far as to what it waits for
)

// How a function ends.
const (
	withValue uint8 = iota
	withError
	withPanic
	withGoexit
	endings
)

var endingNames = [...]string{"a value", "an error", "a panic", "Goexit"}

// A step is one thing that happens.
type step struct {
	do  action
	n   int8  // of the call or flight, or the key
	how uint8 // the way of a call, or how a function ends
	key int8  // of a call
}

func (s step) String() string {
	switch s.do {
	case doCall:
		return fmt.Sprintf("call %d: %s(key %d)", s.n, wayNames[s.how], s.key)
	case doWatch:
		return fmt.Sprintf("call %d is watched", s.n)
	case doBegin:
		return fmt.Sprintf("flight %d begins", s.n)
	case doLand:
		return fmt.Sprintf("flight %d lands with %s", s.n, endingNames[s.how])
	case doSend:
		return fmt.Sprintf("flight %d has sent its Results", s.n)
	case doDetach:
		return fmt.Sprintf("call %d detaches", s.n)
	case doBreak:
		return fmt.Sprintf("the Join hook of call %d panics", s.n)
	case doForget:
		return fmt.Sprintf("Forget(key %d)", s.n)
	case doForgetUnshared:
		return fmt.Sprintf("ForgetUnshared(key %d)", s.n)
	case doPass:
		return "ForgetAfter passes"
	default:
		return "Wait"
	}
}

// A scope says which steps there are.
type scope struct {
	name            string
	calls           int // how many calls are made in all
	ways            []way
	cancelAbandoned bool
	forgetAfter     bool
	clone           bool
	trace           bool
	used            bool // functions look at their contexts
	watches         bool // that a watch begins is a step of its own
	waits           bool // there is a call of Wait
}

// begins reports whether that a function is called is a step of its own.
func (sc *scope) begins() bool { return sc.forgetAfter || sc.trace }

// A modelCall is a call. What it is on is the flight's to know.
type modelCall struct {
	way     way
	flight  int8
	left    bool // detached
	broken  bool // left because its hook panicked
	watched bool
}

// The statuses of a flight.
const (
	unborn uint8 = iota
	waiting
	running // or about to: see begun
	sending // landed, but for the last step
	landed
	dropped
)

type modelFlight struct {
	status    uint8
	key       int8
	on        uint8 // the callers on it, by their bits; after the landing those that it has served
	boarded   int8  // callers in its life
	cancelled bool
	forgotten bool
	begun     bool
	old       bool // more than ForgetAfter has passed since it began, or it hasn't begun and it did since it is there
	awaited   bool // a Wait waits for it
	succeeds  bool // it was a successor when it was made
	since     int8 // when it began, or its leader called, as a number of doPass

	successor, predecessor int8

	how uint8 // it ended
}

func (f *modelFlight) inAir() bool { return f.status >= waiting && f.status <= sending }

func (f *modelFlight) over() bool { return f.status >= landed }

func (f *modelFlight) callers() int { return bits.OnesCount8(f.on) }

// shared is clause 3.
func (f *modelFlight) shared() bool { return f.boarded > 1 }

// A model is a state. It can be copied.
type model struct {
	n       int8 // calls made
	calls   [mostCalls]modelCall
	flights [mostCalls]modelFlight
	table   [2]int8 // what is found by each key
	copying [mostCalls]int8
	depth   int8 // of copying: the landings that have stopped at a copy
	waits   int8
	passed  int8 // how often more time than ForgetAfter has passed
	stats   Stats
	answer  bool // of the last ForgetUnshared
}

func newModel() *model { return &model{table: [2]int8{none, none}} }

// steps returns what can happen next.
func (m *model) steps(sc *scope, steps []step) []step {
	steps = steps[:0]
	for _, w := range sc.ways {
		for key := range int8(2) {
			// The first key is as good as the second.
			if int(m.n) < sc.calls && (m.n > 0 || key == 0) {
				steps = append(steps, step{do: doCall, n: m.n, how: uint8(w), key: key})
			}
		}
	}
	aging := false
	for n := range m.n {
		steps = m.stepsOfCall(sc, n, steps)
		f := &m.flights[n]
		if f.status == running && sc.begins() && !f.begun {
			steps = append(steps, step{do: doBegin, n: n})
		}
		for how := uint8(0); how < endings && f.status == running && (f.begun || !sc.begins()); how++ {
			steps = append(steps, step{do: doLand, n: n, how: how})
		}
		aging = aging || sc.forgetAfter && f.inAir() && !f.old
	}
	if m.depth > 0 {
		steps = append(steps, step{do: doSend, n: m.copying[m.depth-1]})
	}
	for key := range int8(2) {
		if m.table[key] != none {
			steps = append(steps, step{do: doForget, n: key})
		}
		if m.table[key] != none || m.table[1-key] == none && key == 0 {
			steps = append(steps, step{do: doForgetUnshared, n: key})
		}
	}
	if aging {
		steps = append(steps, step{do: doPass})
	}
	if sc.waits && m.waits == 0 {
		steps = append(steps, step{do: doWait})
	}
	return steps
}

func (m *model) stepsOfCall(sc *scope, n int8, steps []step) []step {
	c := &m.calls[n]
	watches := c.way == wayDoChanContext
	if watches && !c.watched {
		steps = append(steps, step{do: doWatch, n: n})
	}
	if !m.on(n) {
		return steps
	}
	if c.way.detachable() && c.watched == watches {
		steps = append(steps, step{do: doDetach, n: n})
	}
	if sc.trace && c.flight != n && !c.watched {
		steps = append(steps, step{do: doBreak, n: n})
	}
	return steps
}

// on reports whether a call is on a flight that hasn't landed.
func (m *model) on(n int8) bool {
	c := &m.calls[n]
	f := &m.flights[c.flight]
	return !c.left && (f.status == waiting || f.status == running)
}

// take is what a step does.
func (m *model) take(sc *scope, s step) {
	switch s.do {
	case doCall:
		m.call(sc, s.n, way(s.how), s.key)
	case doWatch:
		m.calls[s.n].watched = true
	case doBegin:
		f := &m.flights[s.n]
		f.begun, f.old, f.since = true, false, m.passed // 22: from the call of its function
	case doLand:
		m.land(sc, s.n, s.how)
	case doSend:
		m.depth--
		m.flights[s.n].status = landed
		m.stats.InFlight--
	case doDetach, doBreak:
		m.leave(sc, s.n, s.do == doBreak)
	case doForget:
		m.forget(s.n)
	case doForgetUnshared:
		m.answer = m.forgetUnshared(sc, s.n)
	case doPass:
		m.passed++
		for n := range m.n {
			m.flights[n].old = m.flights[n].inAir()
		}
	case doWait:
		m.waits++
		for n := range m.n {
			m.flights[n].awaited = m.flights[n].inAir() // 19
		}
	}
}

func (m *model) call(sc *scope, n int8, w way, key int8) {
	m.n++
	m.stats.Calls++
	at := m.table[key]
	if at != none && m.overdue(sc, at) { // 22
		m.forget(key)
		at = none
	}
	switch {
	case at == none:
		m.lead(n, key, none)
	case !m.flights[at].cancelled: // 1
		m.join(n, at)
	case m.flights[at].successor != none: // 16
		m.join(n, m.flights[at].successor)
	default: // 16
		m.lead(n, key, at)
	}
	m.calls[n].way, m.calls[n].watched = w, w == wayDoChanContext && !sc.watches
}

func (m *model) lead(n, key, predecessor int8) {
	m.calls[n] = modelCall{flight: n}
	m.flights[n] = modelFlight{status: running, key: key, on: 1 << n, boarded: 1, since: m.passed, successor: none, predecessor: predecessor}
	m.stats.InFlight++
	if predecessor == none {
		m.table[key] = n
		m.stats.Flights++
		return
	}
	m.flights[n].status, m.flights[n].succeeds = waiting, true
	m.flights[predecessor].successor = n
}

func (m *model) join(n, at int8) {
	m.calls[n] = modelCall{flight: at}
	m.flights[at].on |= 1 << n
	m.flights[at].boarded++
	m.stats.Joined++
}

// overdue reports whether the next call of its key forgets a flight (22).
func (m *model) overdue(sc *scope, n int8) bool {
	f := &m.flights[n]
	return sc.forgetAfter && f.status == running && f.begun && f.old
}

// forget is clauses 9 and 22: a cancelled flight and its successor are forgotten
// together.
func (m *model) forget(key int8) {
	for n := m.table[key]; n != none; n = m.flights[n].successor {
		m.flights[n].forgotten = true
	}
	m.table[key] = none
}

// forgetUnshared is clause 10.
func (m *model) forgetUnshared(sc *scope, key int8) bool {
	joinable := m.table[key]
	if joinable != none && m.overdue(sc, joinable) {
		joinable = none
	} else if joinable != none && m.flights[joinable].cancelled {
		joinable = m.flights[joinable].successor
	}
	if joinable != none && m.flights[joinable].boarded > 1 {
		return false
	}
	m.forget(key)
	return true
}

// land is clauses 2, 5, 8 and 16.
func (m *model) land(sc *scope, n int8, how uint8) {
	f := &m.flights[n]
	f.how = how
	if m.table[f.key] == n {
		m.table[f.key] = f.successor
	}
	if how == withPanic || how == withGoexit {
		m.stats.Panics++
	}
	if s := f.successor; s != none {
		m.flights[s].status = running
		m.flights[s].predecessor = none
		m.flights[s].since = m.passed
		f.successor = none
		m.stats.Flights++
	}
	if m.copied(sc, n) && m.listening(n) {
		f.status = sending
		m.copying[m.depth] = n
		m.depth++
		return
	}
	f.status = landed
	m.stats.InFlight--
}

// copied reports whether each caller gets a copy of a flight's value (21).
func (m *model) copied(sc *scope, n int8) bool {
	return sc.clone && m.flights[n].shared() && m.flights[n].how == withValue
}

// listening reports whether there are channel callers on the flight.
func (m *model) listening(n int8) bool {
	for c := range m.n {
		if m.flights[n].on>>c&1 != 0 && m.calls[c].way.channel() {
			return true
		}
	}
	return false
}

// leave is clauses 13, 16 and 17.
func (m *model) leave(sc *scope, n int8, broken bool) {
	c := &m.calls[n]
	f := &m.flights[c.flight]
	c.left, c.broken = true, broken
	c.watched = c.watched || broken // there will be no watch
	f.on &^= 1 << n
	m.stats.Detached++
	if f.on != 0 {
		return
	}
	m.stats.Abandoned++
	if f.status == waiting {
		f.status = dropped
		m.flights[f.predecessor].successor = none
		m.stats.Dropped++
		m.stats.InFlight--
	} else if sc.cancelAbandoned {
		f.cancelled = true
	}
}

// print returns what tells the state from others as far as its future goes:
// nothing of flights that are over, nor the numbers of calls, nor which key is
// which, nor the key of a flight that was forgotten. hidden tells the flights
// apart by what the model doesn't know of them.
func (m *model) print(hidden [mostCalls]byte) string {
	unwatched, stale := byte(0), byte(0)
	for n := range m.n {
		if c := &m.calls[n]; !m.flights[c.flight].inAir() {
			if c.way == wayDoChanContext && !c.watched {
				unwatched++
			}
			if !c.left {
				stale = 1
			}
		}
	}
	head := string([]byte{byte(m.n), byte(m.waits), byte(m.depth), unwatched, stale})
	return head + min(m.printFlights(0, &hidden), m.printFlights(1, &hidden))
}

// printFlights is print with one of the keys as the first.
func (m *model) printFlights(first int8, hidden *[mostCalls]byte) string {
	var room [mostCalls]string
	all := room[:0]
	for n := range m.n {
		f := &m.flights[n]
		if !f.inAir() || f.status == waiting {
			continue
		}
		b := make([]byte, 0, 32)
		b = m.printFlight(b, n, first, hidden)
		if f.successor != none {
			b = m.printFlight(b, f.successor, first, hidden)
		}
		all = append(all, string(b))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

func (m *model) printFlight(b []byte, n, first int8, hidden *[mostCalls]byte) []byte {
	f := &m.flights[n]
	key := 2 + f.key ^ first
	if f.forgotten || f.status == sending {
		key = 0
	}
	b = append(b, byte(key), f.status, flags(f.cancelled, f.forgotten, f.begun, f.old, f.shared()), hidden[n], m.placeOf(n))
	if f.status == sending {
		b = append(b, f.how, byte(slices.Index(m.copying[:m.depth], n)))
	}
	joined := len(b)
	for c := range m.n {
		if m.calls[c].flight == n && c != n && !m.calls[c].left {
			b = append(b, m.placeOf(c))
		}
	}
	slices.Sort(b[joined:])
	return append(b, '|')
}

// placeOf tells a call on a flight from others.
func (m *model) placeOf(n int8) byte {
	c := &m.calls[n]
	w := c.way
	if c.flight != n && w == wayBackground { // among those that joined it is as good as Do
		w = wayDo
	}
	return byte(w) | flags(c.left, c.watched)<<4
}

func flags(all ...bool) (b byte) {
	for i, set := range all {
		if set {
			b |= 1 << i
		}
	}
	return b
}
