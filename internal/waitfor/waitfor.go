// Package waitfor is the graph of which flight waits for which, over all
// groups of the process. It refuses the calls that would close a cycle.
//
// A call belongs to the innermost flight whose context its own derives from.
// Flight F waits for flight G while a call that belongs to F is a caller of G,
// and while F is G's successor.
//
// The graph is kept and searched backwards: each Node knows who waits for it.
// That way the leader's part costs a leader nothing. Its call belongs to the
// flight that its context names, and that is looked up when a search comes
// by, not before. Only a joining call and the leader of a successor can close
// a cycle, so only they search.
package waitfor

import (
	"context"
	"sync"
	"sync/atomic"
)

// mu guards the links between nodes. Callers of this package may hold the lock
// of a group's table when they come here, never the other way round. No
// context is asked for anything while mu is held.
var mu sync.Mutex

// visits numbers the searches, so that a search knows its marks from older
// ones. It is guarded by mu.
var visits uint32

// Key is the key under which a flight's context holds its *Node.
type Key struct{}

// A Home is the identity of a group.
type Home struct{ _ byte }

// A Node is a flight in the graph. Its exported fields are set before any
// other goroutine sees it, and don't change.
type Node struct {
	Leader context.Context // of the leader's call; nil if that has none
	Home   *Home           // the group

	leaderLeft atomic.Bool
	landed     atomic.Bool

	linked bool // calls or successor was ever set; guarded by the lock of the group's table

	// guarded by mu
	asked     bool   // parent is known
	visit     uint32 // the last search that came by
	parent    *Node
	calls     *Call // a list of those that joined
	successor *Node

	handle atomic.Pointer[handle] // set under mu; nil until a call needs it
}

// A handle is how a call refers to the flight that it belongs to: the call may
// outlive that flight, and must not keep its contexts alive.
type handle struct{ node *Node } // nil once the flight has landed; guarded by mu

// A Call is one that belongs to a flight and has joined another.
type Call struct {
	from       *handle
	to         *Node
	prev, next *Call
}

// Of returns the node of the flight that a call with this context belongs to,
// or nil if it belongs to none, or to one that has landed. It asks ctx, so the
// caller must hold no lock.
func Of(ctx context.Context) *Node {
	n, _ := ctx.Value(Key{}).(*Node)
	if n == nil || n.landed.Load() {
		return nil
	}
	return n
}

// A Verdict says what came of a call that asked to wait.
type Verdict int

const (
	Granted Verdict = iota
	Refused         // it would close a cycle
	Unknown         // a node must be asked first; see Node.Ask
)

// Join lets a call that belongs to flight from wait for flight to. Unless the
// verdict is Granted nothing has changed. If it is Unknown, the caller lets go
// of its locks, calls Ask on the returned node, and tries again. The returned
// Call may be nil, if from has landed.
//
// The lock of to's table must be held.
func Join(from, to *Node) (*Call, Verdict, *Node) {
	mu.Lock()
	defer mu.Unlock()
	h := from.handle.Load()
	if h == nil {
		h = &handle{from}
		from.handle.Store(h)
	}
	// Land looks for the handle after it has said so.
	if from.landed.Load() {
		return nil, Granted, nil
	}
	if verdict, unknown := search(from, func(n *Node) bool { return n == to }); verdict != Granted {
		return nil, verdict, unknown
	}
	c := &Call{from: h, to: to, next: to.calls}
	if c.next != nil {
		c.next.prev = c
	}
	to.calls = c
	to.linked = true
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
func Succeed(from, predecessor, successor *Node) (Verdict, *Node) {
	mu.Lock()
	defer mu.Unlock()
	if from != nil {
		if verdict, unknown := search(from, func(n *Node) bool { return n == predecessor }); verdict != Granted {
			return verdict, unknown
		}
	}
	successor.asked = true
	successor.parent = from
	predecessor.successor = successor
	predecessor.linked = true
	return Granted, nil
}

// DropSuccessor makes the node's successor wait for it no longer.
func (n *Node) DropSuccessor() {
	mu.Lock()
	defer mu.Unlock()
	n.successor = nil
}

// LeaderLeft says that the leader has detached.
func (n *Node) LeaderLeft() { n.leaderLeft.Store(true) }

// Land says that the flight has landed or was dropped: nobody waits for it any
// more, and no call belongs to it. The lock of its table must be held.
func (n *Node) Land() {
	n.landed.Store(true)
	h := n.handle.Load()
	if h == nil && !n.linked {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	n.calls, n.successor = nil, nil
	if h != nil {
		h.node = nil
	}
}

// Ask finds out to which flight the call of the node's leader belongs, and the
// same for that flight's leader, as far as it isn't known yet. It asks their
// contexts, so the caller must hold no lock.
func (n *Node) Ask() {
	for n != nil && n.Leader != nil {
		mu.Lock()
		known := n.asked
		mu.Unlock()
		if known {
			return
		}
		parent := Of(n.Leader)
		mu.Lock()
		n.asked, n.parent = true, parent
		mu.Unlock()
		n = parent
	}
}

// Holds reports whether from is a flight of the group home, or whether one of
// its flights waits for from, directly or over others.
func Holds(home *Home, from *Node) bool {
	for {
		mu.Lock()
		verdict, unknown := search(from, func(n *Node) bool { return n.Home == home })
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
func search(from *Node, found func(*Node) bool) (Verdict, *Node) {
	if visits++; visits == 0 {
		visits = 1 // 0 is the mark of a new node
	}
	var unknown *Node
	var pending []*Node
	visit := func(n *Node) {
		if n != nil && n.visit != visits && !n.landed.Load() {
			n.visit = visits
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
		if n.Leader != nil && !n.leaderLeft.Load() {
			if n.asked {
				visit(n.parent)
			} else {
				unknown = n
			}
		}
		for c := n.calls; c != nil; c = c.next {
			visit(c.from.node)
		}
		visit(n.successor)
	}
	if unknown != nil {
		return Unknown, unknown
	}
	return Granted, nil
}
