package waitfor

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// A node is a flight's place in the graph. Calls and other flights refer to it,
// and may outlive the flight, so it refers to nothing of the user's.
//
// A flight has none until the graph meets it. Until then it waits for nothing,
// but perhaps, as the leader's flight, for others that the graph hasn't met: it
// counts as standing at the end, where it gets its number, after its Parent. So
// for each flight with a node, all that wait for it have one.
//
// A successor that waits has no number of its own. It stands just before its
// predecessor, and moves with it: whatever waits for the one waits for the
// other, and it waits for nothing else, as its function doesn't run yet. When
// the predecessor has landed, it gets a number at the end as soon as the graph
// meets it again.
//
// The invariant: where an edge is alive, the number of its first end is lower
// than that of its second, or the first end waits for the second as its
// successor.
//
// All fields but flags are guarded by the graph's lock.
type node struct {
	flags       flags           // landed and leaderLeft, as in the Context's more
	number      int64           // no other node has the same; 0 if there is a predecessor
	predecessor *node           // nil if there is none, or it was found to have landed
	seen        int64           // Graph.visits, when a search came by last
	edges       [2]*Edge        // the first in a list for each direction
	targets     map[*node]*Edge // the edges outward by their other end
}

// An Edge is from a flight to one that it waits for, because of a call that
// leads it, of any number that have joined it, or because it is its successor.
type Edge struct {
	ends       [2]*node // the one that waits, and the one that it waits for; they don't change
	prev, next [2]*Edge // in the two lists of edges; guarded by the graph's lock
	leads      bool     // a call of the first leads the second; guarded by the graph's lock
	// calls counts those that have joined and not detached, and being its
	// successor as one that never does. It grows under the graph's lock and
	// the shard's of the second end; it falls under the latter.
	calls atomic.Int32
}

// A direction is that of a search, and which end of an edge has it in its list.
type direction int

const (
	outward direction = iota // to what a flight waits for
	inward                   // to what waits for it
)

// Leave ends the wait of one call, which detaches. The lock of the shard of the
// flight that it joined must be held, and that flight must not have landed.
func (e *Edge) Leave() { e.calls.Add(-1) }

// live reports whether the edge's first end waits for its second. If it doesn't
// it won't again until another call joins, which takes the graph's lock.
func (e *Edge) live() bool {
	from, to := e.ends[outward], e.ends[inward]
	return (e.calls.Load() > 0 || e.leads && !to.flags.has(leaderLeft)) && !from.flags.has(landed) && !to.flags.has(landed)
}

// link returns the edge between two nodes; it makes one if there is none.
func link(from, to *node) *Edge {
	if e := from.targets[to]; e != nil {
		return e
	}
	e := &Edge{ends: [2]*node{from, to}}
	for d, n := range e.ends {
		if e.next[d] = n.edges[d]; e.next[d] != nil {
			e.next[d].prev[d] = e
		}
		n.edges[d] = e
	}
	if from.targets == nil {
		from.targets = make(map[*node]*Edge)
	}
	from.targets[to] = e
	return e
}

// unlink takes a dead edge out of the graph.
func (e *Edge) unlink() {
	for d, n := range e.ends {
		if e.next[d] != nil {
			e.next[d].prev[d] = e.prev[d]
		}
		if e.prev[d] != nil {
			e.prev[d].next[d] = e.next[d]
		} else {
			n.edges[d] = e.next[d]
		}
	}
	e.prev, e.next = [2]*Edge{}, [2]*Edge{}
	from := e.ends[outward]
	delete(from.targets, e.ends[inward])
	if len(from.targets) == 0 {
		from.targets = nil // which would stay as large as it ever was
	}
}

// unlink unlinks all edges of a flight that has landed. None comes in addition:
// before one is entered, both ends are looked at under the graph's lock.
func (n *node) unlink() {
	defer Lock().Unlock()
	for d := range n.edges {
		for n.edges[d] != nil {
			n.edges[d].unlink()
		}
	}
	if n.predecessor != nil { // or each flight of a key would keep the one before
		n.predecessor, n.number = nil, graph.toEnd()
	}
}

func (c *Context) node() *node {
	if m := c.more.Load(); m != nil {
		return m.node.Load()
	}
	return nil
}

// place returns the flight's node; nil if the flight has landed. If it has none
// yet it gets one at the end, after those that it needs for the flights that
// wait for it. If these are more than most in all, place makes none and is not
// ok.
func (g *Graph) place(c *Context, most int) (n *node, ok bool) {
	var buffer [4]*Context
	unmet := buffer[:0]
	for c := c; c != nil && c.node() == nil && !c.has(landed); c = c.Parent {
		if len(unmet) == most {
			return nil, false
		}
		unmet = append(unmet, c)
	}
	for _, c := range slices.Backward(unmet) {
		g.enroll(c, nil)
	}
	if n = c.node(); n == nil || n.flags.has(landed) {
		return nil, true
	}
	return n, true
}

// enroll gives a flight its node, at the end or just before its predecessor,
// and an edge from its Parent, which must have a node unless it doesn't wait.
func (g *Graph) enroll(c *Context, predecessor *node) {
	m := c.open()
	n := &node{predecessor: predecessor}
	m.node.Store(n)
	n.flags.bits.Or(m.flags.bits.Load())
	if c.Parent != nil && !n.flags.has(landed|leaderLeft) {
		if parent := c.Parent.node(); parent != nil && !parent.flags.has(landed) {
			g.unit(parent) // if it is to get a number, then before its child
			link(parent, n).leads = true
		}
	}
	if predecessor == nil {
		n.number = g.toEnd()
	} else {
		link(n, predecessor).calls.Add(1)
	}
}

// toEnd returns the number of a node that comes to stand at the end.
func (g *Graph) toEnd() int64 {
	g.end++
	return g.end
}

// unit returns the node by whose number this one stands: itself, or its
// predecessor.
func (g *Graph) unit(n *node) *node {
	switch {
	case n.predecessor == nil:
		return n
	case !n.predecessor.flags.has(landed):
		return g.unit(n.predecessor)
	}
	n.predecessor, n.number = nil, g.toEnd()
	return n
}

// precedes reports whether from stands before to. It moves one of them if that
// helps and needs no search. It looks at no more than most dead edges of each.
func (g *Graph) precedes(from, to *node, most int) bool {
	from, to = g.unit(from), g.unit(to)
	switch {
	case from == to: // the same flight, or a successor and its predecessor
		return false
	case from.number < to.number:
	case to.idle(outward, most):
		to.number = g.toEnd()
	case from.idle(inward, most):
		g.front--
		from.number = g.front
	default:
		return false
	}
	return true
}

// idle reports whether the node has no edge that is alive. It gives up after
// most dead ones, which it unlinks.
func (n *node) idle(d direction, most int) bool {
	for range most {
		e := n.edges[d]
		if e == nil {
			return true
		}
		if e.live() {
			return false
		}
		e.unlink()
	}
	return false
}

// A visit is what a search remembers of a node.
type visit struct {
	node     *node
	glued    bool  // it stood by its predecessor's number
	by       *Edge // that led to it; nil for the first
	previous int   // index of the visit at the other end of by
}

// search visits n and the nodes that edges in direction d lead to, directly or
// over others, as far as their numbers are from low to high, until it finds
// goal. It unlinks the dead edges that it meets.
func (g *Graph) search(n *node, d direction, low, high int64, goal *node) (visited []visit, found bool) {
	old := g.visits
	come := func(n *node, by *Edge, previous int) {
		unit := g.unit(n)
		if by == nil || n.seen <= old && low <= unit.number && unit.number <= high {
			g.visits++
			n.seen = g.visits
			visited = append(visited, visit{n, unit != n, by, previous})
		}
	}
	come(n, nil, 0)
	for i := 0; i < len(visited); i++ {
		n := visited[i].node
		if n == goal {
			return visited[:i+1], true
		}
		for e := n.edges[d]; e != nil; {
			next := e.next[d]
			if e.live() {
				come(e.ends[1-d], e, i)
			} else {
				e.unlink()
			}
			e = next
		}
	}
	return visited, false
}

// reorder gives the nodes of before, which a search inward visited, and those of
// after, which one outward visited, each other's numbers: lower ones to the
// former, in the order that they have among themselves.
//
// Since no edge came to life meanwhile, no node is in both.
func reorder(before, after []visit) {
	var nodes []*node
	var numbers []int64
	for _, visited := range [][]visit{before, after} {
		first := len(nodes)
		for _, v := range visited {
			if !v.glued {
				nodes = append(nodes, v.node)
				numbers = append(numbers, v.node.number)
			}
		}
		slices.SortFunc(nodes[first:], func(a, b *node) int { return cmp.Compare(a.number, b.number) })
	}
	slices.Sort(numbers)
	for i, n := range nodes {
		n.number = numbers[i]
	}
}
