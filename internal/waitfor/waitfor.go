// Package waitfor is the graph of which flight waits for which, over all
// groups of the process. It refuses the calls that would close a cycle.
//
// A call belongs to the innermost flight whose context its own derives from.
// Flight F waits for flight G while a call that belongs to F is a caller of G,
// and while F is G's successor.
//
// The graph is kept and searched backwards: each node knows who waits for it.
// That way a leader has nothing to enter there. Its call belongs to the
// flight that its context names, and that is looked up when a search comes
// by, not before. Only a joining call and the leader of a successor can close
// a cycle, so only they search.
package waitfor

import (
	"context"
	"sync"
)

// mu guards the links between nodes. Callers of this package may hold the lock
// of a group's table when they come here, never the other way round. No
// context is asked for anything while mu is held.
var mu sync.Mutex

// visits numbers the searches, so that a search knows its marks from older
// ones. It is guarded by mu.
var visits uint64

// links are what a node knows of others, and how those refer to it: a call may
// outlive the flight that it belongs to, and must not keep its contexts alive.
// They are guarded by mu.
type links struct {
	node      *Context // nil once the flight has landed
	asked     bool     // parent is known
	parent    *Context // the flight that the leader's call belongs to
	calls     *Call    // a list of those that joined
	successor *Context
	visit     uint64 // the last search that came by
}

// linked returns the node's links. It is called under mu.
func (n *Context) linked() *links {
	m := n.open()
	l := m.links.Load()
	if l == nil {
		l = &links{node: n}
		m.links.Store(l)
	}
	return l
}

// A Call is one that belongs to a flight and has joined another.
type Call struct {
	from, to   *links
	prev, next *Call
}

// Of returns the node of the flight that a call with this context belongs to,
// or nil if it belongs to none, or to one that has landed. It asks ctx, so the
// caller must hold no lock.
func Of(ctx context.Context) *Context {
	n, _ := ctx.Value(key{}).(*Context)
	if n == nil || n.landed() {
		return nil
	}
	return n
}

// A Verdict says what came of a call that asked to wait.
type Verdict int

const (
	Granted Verdict = iota
	Refused         // it would close a cycle
	Unknown         // a node must be asked first; see Context.Ask
)

// Join lets a call that belongs to flight from wait for flight to. Unless the
// verdict is Granted nothing has changed. If it is Unknown, the caller lets go
// of its locks, calls Ask on the returned node, and tries again. The returned
// Call may be nil, if from has landed.
//
// The lock of to's table must be held.
func Join(from, to *Context) (*Call, Verdict, *Context) {
	mu.Lock()
	defer mu.Unlock()
	waits, awaited := from.linked(), to.linked()
	// Land looks for the links after it has said so.
	if from.landed() {
		return nil, Granted, nil
	}
	if verdict, unknown := search(from, func(n *Context) bool { return n == to }); verdict != Granted {
		return nil, verdict, unknown
	}
	c := &Call{from: waits, to: awaited, next: awaited.calls}
	if c.next != nil {
		c.next.prev = c
	}
	awaited.calls = c
	return c, Granted, nil
}

// Leave ends the wait of a call that detaches.
func (c *Call) Leave() {
	mu.Lock()
	defer mu.Unlock()
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else if c.to.calls == c {
		c.to.calls = c.next
	}
}

// Succeed makes successor wait for predecessor. The call that leads it belongs
// to flight from, or to none if from is nil. For the results see Join.
//
// The lock of the predecessor's table must be held.
func Succeed(from, predecessor, successor *Context) (Verdict, *Context) {
	mu.Lock()
	defer mu.Unlock()
	if from != nil {
		if verdict, unknown := search(from, func(n *Context) bool { return n == predecessor }); verdict != Granted {
			return verdict, unknown
		}
	}
	s := successor.linked()
	s.asked, s.parent = true, from
	predecessor.linked().successor = successor
	return Granted, nil
}

// DropSuccessor makes the node's successor wait for it no longer.
func (n *Context) DropSuccessor() {
	mu.Lock()
	defer mu.Unlock()
	n.linked().successor = nil
}

func (m *more) unlink() {
	l := m.links.Load()
	if l == nil {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	*l = links{}
}

// Ask finds out to which flight the call of the node's leader belongs, and the
// same for that flight's leader, as far as it isn't known yet. It asks their
// contexts, so the caller must hold no lock.
func (n *Context) Ask() {
	for n != nil && n.Leader != nil {
		mu.Lock()
		known := n.linked().asked
		mu.Unlock()
		if known {
			return
		}
		parent := parentOf(n.Leader)
		mu.Lock()
		if !n.landed() {
			l := n.linked()
			l.asked, l.parent = true, parent
		}
		mu.Unlock()
		n = parent
	}
}

// parentOf is Of for the context of a leader, on behalf of another caller. If
// its Value panics that isn't this one's trouble, and the leader counts as
// belonging to no flight.
func parentOf(leader context.Context) (parent *Context) {
	defer func() { recover() }()
	return Of(leader)
}

// Holds reports whether from is one of the flights, or whether one of these
// waits for from, directly or over others.
func Holds(flights map[*Context]bool, from *Context) bool {
	for {
		mu.Lock()
		verdict, unknown := search(from, func(n *Context) bool { return flights[n] })
		mu.Unlock()
		if verdict != Unknown {
			return verdict == Refused
		}
		unknown.Ask()
	}
}

// search visits from and the flights that wait for it, directly or over
// others, until it finds one. The verdict is Refused if it did, and Unknown if
// it didn't but had to leave out a leader whose flight isn't known.
func search(from *Context, found func(*Context) bool) (Verdict, *Context) {
	visits++
	var unknown *Context
	var pending []*Context
	visit := func(n *Context) {
		if n == nil || n.landed() {
			return
		}
		if l := n.linked(); l.visit != visits {
			l.visit = visits
			pending = append(pending, n)
		}
	}
	visit(from)
	for len(pending) > 0 {
		n := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if found(n) {
			return Refused, nil
		}
		l := n.linked()
		if n.Leader != nil && !n.open().leaderLeft.Load() {
			if l.asked {
				visit(l.parent)
			} else {
				unknown = n
			}
		}
		for c := l.calls; c != nil; c = c.next {
			visit(c.from.node)
		}
		visit(l.successor)
	}
	if unknown != nil {
		return Unknown, unknown
	}
	return Granted, nil
}
