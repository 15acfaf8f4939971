package waitfor_test

import (
	"context"
	"sync"
	"testing"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A flight is a node of the graph, the context that its function would get, and
// a shard of its own.
type flight struct {
	waitfor.Context
	shard sync.Mutex
}

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
	return &flight{Context: waitfor.Context{Leader: leader, Parent: waitfor.Of(leader)}}
}

func outside() *flight { return led(context.Background()) }

// land lands the flight.
func (f *flight) land() {
	f.shard.Lock()
	unfinished := f.Land()
	f.shard.Unlock()
	if unfinished {
		f.Finish()
	}
}

func (f *flight) leaderLeft() {
	f.shard.Lock()
	defer f.shard.Unlock()
	f.LeaderLeft()
}

func (f *flight) leave(e *waitfor.Edge) {
	f.shard.Lock()
	defer f.shard.Unlock()
	e.Leave()
}

// enter enters an edge from flight from, which may be nil, to flight to: first
// with try, and if that fails the long way, with slow. It reports false if that
// would close a cycle.
func enter(from *waitfor.Context, to *flight, try func() bool, slow func(*waitfor.Graph) bool) bool {
	to.shard.Lock()
	ok := try()
	to.shard.Unlock()
	if ok {
		return true
	}
	g := waitfor.Lock()
	defer g.Unlock()
	for {
		cycle := g.Order(from, &to.Context)
		to.shard.Lock()
		switch {
		case cycle == nil:
			ok = slow(g)
			to.shard.Unlock()
			if !ok {
				panic("not entered though Order found no cycle")
			}
			return true
		case cycle.Live():
			to.shard.Unlock()
			return false
		}
		to.shard.Unlock()
	}
}

// join lets a call of from wait for to, as the package's users do.
func join(from, to *flight) (e *waitfor.Edge, ok bool) {
	ok = enter(&from.Context, to, func() bool {
		e, ok = waitfor.TryJoin(&from.Context, &to.Context)
		return ok
	}, func(g *waitfor.Graph) bool {
		e, ok = g.Join(&from.Context, &to.Context)
		return ok
	})
	return e, ok
}

// succeed makes successor wait for predecessor, as the package's users do.
// From is the flight of the leader's call; it may be nil.
func succeed(from *waitfor.Context, predecessor, successor *flight) bool {
	successor.Parent = from
	return enter(from, predecessor, func() bool {
		return waitfor.TrySucceed(&predecessor.Context, &successor.Context)
	}, func(g *waitfor.Graph) bool {
		return g.Succeed(&predecessor.Context, &successor.Context)
	})
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
	f.land()
	if got := waitfor.Of(f.context()); got != nil {
		t.Error("a call belongs to a flight that has landed")
	}
	// A flight outside it that still runs isn't the call's.
	inner = led(outside().context())
	inner.land()
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
	b.leave(ab)
	if _, ok := join(b, a); ok {
		t.Error("the second call of a doesn't count")
	}
}

func TestLeadersCount(t *testing.T) {
	a := outside()
	b := led(a.context())
	c := led(context.WithValue(b.context(), valueKey{}, 1))
	for _, to := range []*flight{a, b, c} {
		if _, ok := join(c, to); ok {
			t.Error("a cycle over leaders was closed")
		}
	}
	b.leaderLeft()
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
	b.land()
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
	if succeed(&a.Context, a, s) {
		t.Error("a flight may wait for its own successor")
	}
	join(a, b)
	if succeed(&b.Context, a, s) {
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
	s.land()
	if !succeed(nil, a, outside()) {
		t.Error("a may have no other successor")
	}
	c := outside()
	join(c, a)
	a.land()
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
	if waitfor.Holds(map[*waitfor.Context]bool{&a.Context: false}, &d.Context) {
		t.Error("a flight counts that isn't in the set")
	}
	b.land()
	if waitfor.Holds(set(a), &d.Context) {
		t.Error("a flight waits over one that has landed")
	}
	join(a, c)
	a.Land()
	if waitfor.Holds(set(a), &c.Context) {
		t.Error("a flight that has landed waits")
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

// What Order finds while no shard is locked may have gone when the call comes
// back to the shard: then the call isn't refused.
func TestCycleDies(t *testing.T) {
	for name, end := range map[string]func(a, b, c *flight, ab, bc *waitfor.Edge){
		"the first call detaches":  func(a, b, c *flight, ab, bc *waitfor.Edge) { b.leave(ab) },
		"the last call detaches":   func(a, b, c *flight, ab, bc *waitfor.Edge) { c.leave(bc) },
		"a flight between lands":   func(a, b, c *flight, ab, bc *waitfor.Edge) { b.Land() },
		"the call's flight lands":  func(a, b, c *flight, ab, bc *waitfor.Edge) { c.Land() },
		"the flight it wants ends": func(a, b, c *flight, ab, bc *waitfor.Edge) { a.Land() },
	} {
		t.Run(name, func(t *testing.T) {
			a, b, c := outside(), outside(), outside()
			ab, _ := join(a, b)
			bc, _ := join(b, c)
			g := waitfor.Lock()
			cycle := g.Order(&c.Context, &a.Context)
			if cycle == nil || !cycle.Live() {
				t.Fatal("there is no cycle")
			}
			end(a, b, c, ab, bc)
			if cycle.Live() {
				t.Error("the cycle goes on")
			}
			g.Unlock()
			if _, ok := join(c, a); !ok {
				t.Error("the call was refused")
			}
		})
	}
	t.Run("it is its own and lands", func(t *testing.T) {
		a := outside()
		g := waitfor.Lock()
		defer g.Unlock()
		cycle := g.Order(&a.Context, &a.Context)
		if cycle == nil || !cycle.Live() {
			t.Fatal("there is no cycle")
		}
		a.Land()
		if cycle.Live() {
			t.Error("the cycle goes on")
		}
	})
	t.Run("the leader detaches", func(t *testing.T) {
		a := outside()
		b := led(a.context())
		g := waitfor.Lock()
		defer g.Unlock()
		cycle := g.Order(&b.Context, &a.Context)
		if cycle == nil || !cycle.Live() {
			t.Fatal("there is no cycle")
		}
		b.leaderLeft()
		if cycle.Live() {
			t.Error("the cycle goes on")
		}
	})
	t.Run("the predecessor lands", func(t *testing.T) {
		a, b, s := outside(), outside(), outside()
		succeed(nil, b, s)
		mustJoin(t, a, s)
		g := waitfor.Lock()
		defer g.Unlock()
		cycle := g.Order(&b.Context, &a.Context) // a waits for s waits for b
		if cycle == nil || !cycle.Live() {
			t.Fatal("there is no cycle")
		}
		b.Land()
		if cycle.Live() {
			t.Error("the cycle goes on")
		}
	})
}

// The predecessor of the successor that a call wants may land between Order
// and Join.
func TestSuccessorBeginsMeanwhile(t *testing.T) {
	p, s, from := outside(), outside(), outside()
	succeed(nil, p, s)
	mustJoin(t, p, outside())
	mustJoin(t, outside(), from)
	g := waitfor.Lock()
	if g.Order(&from.Context, &s.Context) != nil {
		t.Fatal("there is a cycle")
	}
	p.Land()
	if _, ok := g.Join(&from.Context, &s.Context); !ok {
		t.Error("not joined though Order found no cycle")
	}
	g.Unlock()
	p.Finish()
	if _, ok := join(s, from); ok {
		t.Error("a cycle was closed")
	}
}

// Under a shard's lock the graph's isn't waited for.
func TestTryWaitsForNothing(t *testing.T) {
	a, b, s := outside(), outside(), outside()
	g := waitfor.Lock()
	defer g.Unlock()
	if _, ok := waitfor.TryJoin(&a.Context, &b.Context); ok || a.Met() || b.Met() {
		t.Error("joined while the graph was locked")
	}
	if waitfor.TrySucceed(&a.Context, &s.Context) || a.Met() || s.Met() {
		t.Error("succeeded while the graph was locked")
	}
	a.Land()
	if e, ok := waitfor.TryJoin(&a.Context, &b.Context); !ok || e != nil {
		t.Error("a call that belongs to no flight needs the graph")
	}
	if unfinished := b.Land(); unfinished {
		t.Error("there is something to finish of a flight that the graph hasn't met")
	}
}

// A successor that is refused, or dropped, leaves nothing behind.
func TestRefusedAndDroppedSuccessors(t *testing.T) {
	a := outside()
	refused := outside()
	if succeed(&a.Context, a, refused) {
		t.Fatal("a flight leads its own successor")
	}
	if refused.Met() {
		t.Error("the graph has met a refused successor")
	}
	for range 3 {
		s := outside()
		succeed(nil, a, s)
		s.land()
	}
	if outwards, inwards := a.Edges(); outwards+inwards != 0 {
		t.Errorf("%d edges to and %d from dropped successors", outwards, inwards)
	}
}
