package waitfor

import "fmt"

// Visited returns how many nodes all searches have visited.
func Visited() int64 {
	g := Lock()
	defer g.Unlock()
	return g.visits
}

// Met reports whether the graph has met the flight.
func (c *Context) Met() bool { return c.node() != nil }

// Edges returns how many edges, dead ones too, the flight has.
func (c *Context) Edges() (outwards, inwards int) {
	g := Lock()
	defer g.Unlock()
	n := c.node()
	if n == nil {
		return 0, 0
	}
	return n.count(outward), n.count(inward)
}

func (n *node) count(d direction) (count int) {
	for e := n.edges[d]; e != nil; e = e.next[d] {
		count++
	}
	return count
}

// Check says what is wrong with the graph of the flights, none of which may
// change meanwhile: their order or their links.
func Check(flights []*Context) error {
	g := Lock()
	defer g.Unlock()
	numbers := make(map[int64]bool)
	for i, c := range flights {
		n := c.node()
		if n == nil {
			continue
		}
		if n.flags.has(landed) != c.has(landed) || n.flags.has(leaderLeft) != c.has(leaderLeft) {
			return fmt.Errorf("the flags of %d are %b, those of its node %b", i, c.more.Load().flags.bits.Load(), n.flags.bits.Load())
		}
		if n.predecessor == nil {
			if n.number == 0 || numbers[n.number] {
				return fmt.Errorf("the number of %d is %d, which isn't its own", i, n.number)
			}
			numbers[n.number] = true
		}
		if p := c.Parent; p != nil && !p.has(landed) && !c.has(landed|leaderLeft) {
			if p.node() == nil {
				return fmt.Errorf("the parent of %d has no node", i)
			}
			if e := p.node().targets[n]; e == nil || !e.leads {
				return fmt.Errorf("no edge from the parent of %d", i)
			}
		}
		if err := n.check(); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	return nil
}

func (n *node) check() error {
	if n.targets != nil && len(n.targets) == 0 {
		return fmt.Errorf("an empty map is kept")
	}
	if n.count(outward) != len(n.targets) {
		return fmt.Errorf("%d edges, %d targets", n.count(outward), len(n.targets))
	}
	for d := range direction(2) {
		var prev *Edge
		for e := n.edges[d]; e != nil; prev, e = e, e.next[d] {
			if e.ends[d] != n || e.prev[d] != prev {
				return fmt.Errorf("a list of edges is broken")
			}
			if d == outward && n.targets[e.ends[inward]] != e {
				return fmt.Errorf("an edge isn't found")
			}
		}
	}
	for e := n.edges[outward]; e != nil; e = e.next[outward] {
		if to := e.ends[inward]; e.live() && n.predecessor != to && standing(n) >= standing(to) {
			return fmt.Errorf("an edge from %d to %d", standing(n), standing(to))
		}
	}
	return nil
}

// standing is as unit(n).number, but changes nothing.
func standing(n *node) int64 {
	switch {
	case n.predecessor == nil:
		return n.number
	case n.predecessor.flags.has(landed):
		return graph.end + 1
	}
	return standing(n.predecessor)
}
