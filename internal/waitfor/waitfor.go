// Package waitfor is the graph of which flight waits for which, over all
// groups of the process. It refuses the calls that would close a cycle.
//
// A call belongs to the innermost flight whose context its own derives from.
// Flight F waits for flight G while a call that belongs to F is a caller of G,
// and while F is G's successor.
//
// The flights stand in an order in which each comes before those that it waits
// for, after Pearce and Kelly, "A Dynamic Topological Sort Algorithm for
// Directed Acyclic Graphs" (2006). So a call whose flight stands before the
// one that it joins closes no cycle, and only the others need a search, of what
// stands between the two. It finds a cycle, or a new order. Two kinds of flight
// are moved without one: to the end what waits for nothing, and to the front
// what nobody waits for.
//
// # Locks
//
// The graph's lock comes before those of the shards: whoever holds a shard's
// must not wait for the graph's, it may only try it, and must not search. So a
// call first takes the short way, TryJoin or TrySucceed, under the lock of the
// shard of the flight that it wants. If that fails it lets go of the shard,
// and takes the long way:
//
//	g := waitfor.Lock()
//	defer g.Unlock()
//	for {
//		// lock the shard, find the flight to, unlock the shard
//		cycle := g.Order(from, to)
//		// lock the shard, find the flight again; if it is another: unlock, continue
//		if cycle == nil {
//			edge, ok := g.Join(from, to) // ok, since Order was asked for the same
//		} else if cycle.Live() {
//			// refuse the call
//		} else {
//			// unlock the shard, continue
//		}
//	}
//
// Edges are entered under the graph's lock. They die without it, when a call
// detaches or a flight lands: that is under a shard's lock, and only sets a
// flag, which searches heed. A dead edge is unlinked later, under the graph's
// lock and no other, by Finish or by a search that comes by. It may stand
// against the order.
package waitfor

import (
	"math"
	"sync"
)

// A Graph is the graph, locked. There is only one.
type Graph struct {
	mu     sync.Mutex
	front  int64 // the lowest number given to a node
	end    int64 // the highest
	visits int64 // how many nodes all searches have visited
}

var graph Graph

// few is how many nodes without a number, or dead edges, are looked at under a
// shard's lock; all is how many without one.
const (
	few = 32
	all = math.MaxInt
)

// Lock waits for the graph's lock and returns the graph. No lock of a shard
// must be held.
func Lock() *Graph {
	graph.mu.Lock()
	return &graph
}

// Unlock lets go of the graph's lock.
func (g *Graph) Unlock() { g.mu.Unlock() }

// TryJoin lets a call that belongs to flight from wait for flight to. The
// returned edge is nil if from has landed, or to. If ok is false the call
// doesn't wait, and has to take the long way: the graph is locked, or the order
// doesn't say whether the call closes a cycle.
//
// The lock of to's shard must be held, and from must not be a successor that
// waits, whose function hasn't begun. TryJoin waits for nothing.
func TryJoin(from, to *Context) (e *Edge, ok bool) {
	if from.has(landed) {
		return nil, true
	}
	if !graph.mu.TryLock() {
		return nil, false
	}
	defer graph.mu.Unlock()
	return graph.Join(from, to)
}

// Join is as TryJoin, with the graph's lock held. It is ok if Order was asked
// about the same flights under the same lock and has returned nil.
func (g *Graph) Join(from, to *Context) (e *Edge, ok bool) {
	f, ok := g.place(from, few)
	if !ok {
		return nil, false
	}
	t, ok := g.place(to, few)
	if !ok || f == nil || t == nil {
		return nil, ok
	}
	if !g.precedes(f, t, few) {
		return nil, false
	}
	e = link(f, t)
	e.calls.Add(1)
	return e, true
}

// TrySucceed makes flight successor, which hasn't begun, wait for flight
// predecessor, and its Parent, if it has one, for successor. If it returns
// false neither waits, and the leader has to take the long way.
//
// The lock of predecessor's shard must be held. TrySucceed waits for nothing.
func TrySucceed(predecessor, successor *Context) bool {
	if !graph.mu.TryLock() {
		return false
	}
	defer graph.mu.Unlock()
	return graph.Succeed(predecessor, successor)
}

// Succeed is as TrySucceed, with the graph's lock held. It returns true if Order
// was asked about successor.Parent and predecessor under the same lock and has
// returned nil.
func (g *Graph) Succeed(predecessor, successor *Context) bool {
	p, ok := g.place(predecessor, few)
	if !ok {
		return false
	}
	if p == nil {
		return true
	}
	if successor.Parent != nil {
		f, ok := g.place(successor.Parent, few)
		if !ok || f != nil && !g.precedes(f, p, few) {
			return false
		}
	}
	g.enroll(successor, p)
	return true
}

// Order makes room for a call that belongs to flight from and is to wait for
// flight to: from comes to stand before to. If that can't be because to waits
// for from, Order returns how. It returns nil also if one of them has landed,
// and if from is nil: then it only readies the graph for to.
//
// No lock of a shard must be held. The search sees the flights and calls as
// they come and go meanwhile.
func (g *Graph) Order(from, to *Context) *Cycle {
	t, _ := g.place(to, all)
	if from == nil {
		return nil
	}
	f, _ := g.place(from, all)
	if f == nil || t == nil || g.precedes(f, t, all) {
		return nil
	}
	low, high := g.unit(t).number, f.number
	after, found := g.search(t, outward, low, high, f)
	if found {
		return &Cycle{after}
	}
	before, _ := g.search(f, inward, low, high, nil)
	reorder(before, after)
	return nil
}

// A Cycle is how the flight that a call wants waits for the call's own.
type Cycle struct {
	visited []visit // by the search, from the flight that the call wants; the last is of its own
}

// Live reports whether there is a moment, while it runs, at which the call could
// join and would close the cycle. The lock of the shard of the flight that the
// call wants must be held, besides the graph's.
//
// No edge comes to life while the graph is locked. So one that is found alive
// was so ever since Order found it, and if all are, they all were at the moment
// the first was looked at.
func (c *Cycle) Live() bool {
	if c.visited[0].node.flags.has(landed) {
		return false
	}
	for i := len(c.visited) - 1; i > 0; i = c.visited[i].previous {
		if !c.visited[i].by.live() {
			return false
		}
	}
	return true
}

// Holds reports whether from is one of the flights, or whether one of these
// waits for from, directly or over others. No lock must be held.
func Holds(flights map[*Context]bool, from *Context) bool {
	g := Lock()
	n, _ := g.place(from, all)
	var waiting []visit
	if n != nil {
		waiting, _ = g.search(n, inward, math.MinInt64, math.MaxInt64, nil)
	}
	g.Unlock()
	nodes := make(map[*node]bool, len(waiting))
	for _, v := range waiting {
		nodes[v.node] = true
	}
	for c, held := range flights {
		if held && nodes[c.node()] {
			return true
		}
	}
	return false
}
