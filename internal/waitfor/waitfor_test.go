package waitfor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A flight is a node of the graph, and the context that its function would
// get.
type flight struct {
	waitfor.Context
	name  string
	group int
}

// groups is how many groups there are in random graphs.
const groups = 4

func set(flights ...*flight) map[*waitfor.Context]bool {
	contexts := make(map[*waitfor.Context]bool)
	for _, f := range flights {
		contexts[&f.Context] = true
	}
	return contexts
}

func (f *flight) context() context.Context { return &f.Context }

// led returns a flight whose leader's call has the context.
func led(leader context.Context) *flight {
	return &flight{Context: waitfor.Context{Leader: leader}}
}

func outside() *flight { return led(context.Background()) }

// join is waitfor.Join as its callers use it.
func join(from, to *flight) (*waitfor.Call, bool) {
	for {
		call, verdict, unknown := waitfor.Join(&from.Context, &to.Context)
		if verdict != waitfor.Unknown {
			return call, verdict == waitfor.Granted
		}
		unknown.Ask()
	}
}

// succeed is waitfor.Succeed as its callers use it. From may be nil.
func succeed(from, predecessor, successor *flight) bool {
	var node *waitfor.Context
	if from != nil {
		node = &from.Context
	}
	for {
		verdict, unknown := waitfor.Succeed(node, &predecessor.Context, &successor.Context)
		if verdict != waitfor.Unknown {
			return verdict == waitfor.Granted
		}
		unknown.Ask()
	}
}

type valueKey struct{}

func TestOf(t *testing.T) {
	f := outside()
	inner := led(f.context())
	for name, test := range map[string]struct {
		ctx  context.Context
		want *flight
	}{
		"none":          {context.Background(), nil},
		"its own":       {f.context(), f},
		"value":         {context.WithValue(f.context(), valueKey{}, 1), f},
		"WithoutCancel": {context.WithoutCancel(f.context()), f},
		"innermost":     {inner.context(), inner},
	} {
		got := waitfor.Of(test.ctx)
		if test.want == nil && got != nil || test.want != nil && got != &test.want.Context {
			t.Errorf("%s: got %p, want %p", name, got, test.want)
		}
	}
	f.Land()
	if got := waitfor.Of(f.context()); got != nil {
		t.Error("a call belongs to a flight that has landed")
	}
	// A flight outside it that still runs isn't the call's.
	inner = led(outside().context())
	inner.Land()
	if got := waitfor.Of(inner.context()); got != nil {
		t.Error("a call belongs to a flight outside its own")
	}
}

func TestJoinRefusesCycles(t *testing.T) {
	a, b, c := outside(), outside(), outside()
	if _, ok := join(a, a); ok {
		t.Error("a flight may wait for itself")
	}
	ab, ok := join(a, b)
	if !ok {
		t.Error("a may not wait for b")
	}
	if _, ok := join(a, b); !ok {
		t.Error("a may not wait for b twice")
	}
	if _, ok := join(b, c); !ok {
		t.Error("b may not wait for c")
	}
	if _, ok := join(a, c); !ok {
		t.Error("a may not wait for c over two paths")
	}
	for _, to := range []*flight{a, b} {
		if _, ok := join(c, to); ok {
			t.Error("a cycle was closed")
		}
	}
	ab.Leave()
	if _, ok := join(b, a); ok {
		t.Error("the second call of a doesn't count")
	}
}

func TestLeaderIsFoundWhenAsked(t *testing.T) {
	a := outside()
	b := led(a.context())
	c := led(context.WithValue(b.context(), valueKey{}, 1))
	if _, verdict, unknown := waitfor.Join(&c.Context, &a.Context); verdict != waitfor.Unknown || unknown == nil {
		t.Errorf("the verdict is %v before any leader was asked, want Unknown", verdict)
	}
	for _, to := range []*flight{a, b, c} {
		if _, ok := join(c, to); ok {
			t.Error("a cycle over leaders was closed")
		}
	}
	b.LeaderLeft()
	if _, ok := join(c, a); !ok {
		t.Error("c may not wait for a, whose call to b has gone")
	}
	if _, ok := join(c, b); ok {
		t.Error("a cycle of c's leader was closed")
	}
}

func TestLandedFlightsWaitForNothing(t *testing.T) {
	a, b, c := outside(), outside(), outside()
	join(a, b)
	join(b, c)
	b.Land()
	if _, ok := join(c, a); !ok {
		t.Error("c may not wait for a, though b has landed")
	}
	if call, ok := join(b, b); !ok || call != nil {
		t.Errorf("a call that belongs to no flight in the air: %v, %v", call, ok)
	}
}

func TestSuccessorWaits(t *testing.T) {
	a, b := outside(), outside()
	s := outside()
	if succeed(a, a, s) {
		t.Error("a flight may wait for its own successor")
	}
	join(a, b)
	if succeed(b, a, s) {
		t.Error("b, for which a waits, may lead a's successor")
	}
	if !succeed(nil, a, s) {
		t.Error("a may have no successor")
	}
	for _, from := range []*flight{a, b} {
		if _, ok := join(from, s); ok {
			t.Error("a cycle through a successor was closed")
		}
	}
	a.DropSuccessor()
	s.Land()
	if !succeed(nil, a, outside()) {
		t.Error("a may have no other successor")
	}
	c := outside()
	join(c, a)
	a.Land()
	if _, ok := join(b, c); !ok {
		t.Error("b may not wait for c, though a has landed")
	}
}

func TestHolds(t *testing.T) {
	a, b, c := outside(), outside(), outside()
	join(a, b)
	d := led(b.context()) // a waits for b waits for d
	for _, test := range []struct {
		of, from *flight
		want     bool
	}{{a, a, true}, {a, b, true}, {a, d, true}, {b, a, false}, {d, a, false}, {b, d, true}, {c, a, false}, {a, c, false}} {
		if got := waitfor.Holds(set(test.of), &test.from.Context); got != test.want {
			t.Errorf("%v, want %v", got, test.want)
		}
	}
	b.Land()
	if waitfor.Holds(set(a), &d.Context) {
		t.Error("a flight waits over one that has landed")
	}
}

// A world is a graph and a naive model of it: lists of who waits for whom.
type world struct {
	rand    *rand.Rand
	flights []*flight // in the air
	edges   []edge
}

type edge struct {
	from, to *flight
	call     *waitfor.Call // of a joiner
	leads    bool          // from's call leads to
	succeeds bool          // from is to's successor
}

// reaches reports whether from is to, or waits for it, directly or over
// others.
func (w *world) reaches(from, to *flight, seen map[*flight]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, e := range w.edges {
		if e.from == from && w.reaches(e.to, to, seen) {
			return true
		}
	}
	return false
}

func (w *world) any() *flight {
	if len(w.flights) == 0 {
		return nil
	}
	return w.flights[w.rand.IntN(len(w.flights))]
}

// without forgets the edges that drop reports.
func (w *world) without(drop func(e edge) bool) {
	kept := w.edges[:0]
	for _, e := range w.edges {
		if !drop(e) {
			kept = append(kept, e)
		}
	}
	w.edges = kept
}

func (w *world) successorOf(f *flight) *flight {
	for _, e := range w.edges {
		if e.succeeds && e.to == f {
			return e.from
		}
	}
	return nil
}

func (w *world) waits(f *flight) bool {
	for _, e := range w.edges {
		if e.succeeds && e.from == f {
			return true
		}
	}
	return false
}

// add adds a flight, led from another or from outside.
func (w *world) add(t *testing.T, name string) {
	f := &flight{name: name}
	f.group = w.rand.IntN(groups)
	leader := w.any()
	f.Leader = context.Background()
	if leader != nil && w.rand.IntN(3) > 0 {
		f.Leader = leader.context()
	} else {
		leader = nil
	}
	e := edge{from: leader, to: f, leads: true}
	predecessor := w.any()
	if predecessor != nil && w.rand.IntN(4) == 0 && w.successorOf(predecessor) == nil {
		want := leader == nil || !w.reaches(predecessor, leader, map[*flight]bool{})
		if got := succeed(leader, predecessor, f); got != want {
			t.Fatalf("%v leads %s, successor of %s: granted is %v, want %v", leader, name, predecessor.name, got, want)
		}
		if !want {
			return
		}
		w.edges = append(w.edges, edge{from: f, to: predecessor, succeeds: true})
	}
	if leader != nil {
		w.edges = append(w.edges, e)
	}
	w.flights = append(w.flights, f)
}

func (w *world) step(t *testing.T, i int) {
	switch w.rand.IntN(10) {
	case 0, 1:
		w.add(t, fmt.Sprint(i))
	case 2, 3, 4, 5:
		from, to := w.any(), w.any()
		if from == nil {
			return
		}
		want := !w.reaches(to, from, map[*flight]bool{})
		call, got := join(from, to)
		if got != want {
			t.Fatalf("step %d: %s joins %s: granted is %v, want %v", i, from.name, to.name, got, want)
		}
		if got {
			w.edges = append(w.edges, edge{from: from, to: to, call: call})
		}
	case 6: // a call detaches
		if len(w.edges) == 0 {
			return
		}
		gone := w.edges[w.rand.IntN(len(w.edges))]
		switch {
		case gone.succeeds:
			return
		case gone.leads:
			gone.to.LeaderLeft()
		default:
			gone.call.Leave()
		}
		w.without(func(e edge) bool { return e == gone })
	case 7: // a flight lands, or is dropped
		f := w.any()
		if f == nil {
			return
		}
		if w.waits(f) {
			for _, e := range w.edges {
				if e.succeeds && e.from == f {
					e.to.DropSuccessor()
				}
			}
		}
		f.Land()
		w.without(func(e edge) bool { return e.from == f || e.to == f })
		for i := range w.flights {
			if w.flights[i] == f {
				w.flights = append(w.flights[:i], w.flights[i+1:]...)
				break
			}
		}
	default:
		from, group := w.any(), w.rand.IntN(groups)
		if from == nil {
			return
		}
		var of []*flight
		want := false
		for _, f := range w.flights {
			if f.group == group {
				of = append(of, f)
				want = want || w.reaches(f, from, map[*flight]bool{})
			}
		}
		if got := waitfor.Holds(set(of...), &from.Context); got != want {
			t.Fatalf("step %d: Holds is %v, want %v", i, got, want)
		}
	}
}

func TestRandomGraphs(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := &world{rand: rand.New(rand.NewPCG(seed, 0))}
			for i := range 200 {
				w.step(t, i)
			}
		})
	}
}

func TestOneOfTheCallsThatCloseARingIsRefused(t *testing.T) {
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	for round := range rounds {
		size := 2 + round%5
		ring := make([]*flight, size)
		for i := range ring {
			ring[i] = outside()
			if i > 0 && round%3 == 0 {
				ring[i] = led(ring[i-1].context())
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for i := range ring {
			wg.Go(func() {
				if _, ok := join(ring[i], ring[(i+1)%size]); !ok {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if refused != 1 {
			t.Fatalf("%d calls of %d were refused, want 1", refused, size)
		}
	}
}

func TestManyWaitersDoNotMakeTheSearchSlow(t *testing.T) {
	// A search visits each flight once, however many paths lead to it: here there are 2 to the power of 200.
	bottom := outside()
	layer := []*flight{outside(), outside()}
	top := layer[0]
	for range 200 {
		next := []*flight{outside(), outside()}
		for _, from := range layer {
			for _, to := range next {
				join(from, to)
			}
		}
		layer = next
	}
	join(layer[0], bottom)
	join(layer[1], bottom)
	start := time.Now()
	if _, ok := join(bottom, top); ok {
		t.Error("a cycle was closed")
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("the search took %v", d)
	}
}
