package waitfor_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// visits returns how many nodes searches visit during do.
func visits(do func()) int64 {
	before := waitfor.Visited()
	do()
	return waitfor.Visited() - before
}

// mustJoin lets a call of from join to.
func mustJoin(tb testing.TB, from, to *flight) {
	if _, ok := join(from, to); !ok {
		tb.Fatal("a call was refused that closes no cycle")
	}
}

// A layered is a graph of layers of flights, each of which is to join all of
// the next layer.
type layered [layers][width]*flight

const (
	layers = 20
	width  = 40
	joins  = (layers - 1) * width * width
)

func newLayered() *layered {
	var l layered
	for i := range l {
		for j := range l[i] {
			l[i][j] = outside()
		}
	}
	return &l
}

// orders are some in which the flights join, by the layer and the place in it.
var orders = map[string]func(yield func(layer, place int)){
	"from the top": func(yield func(int, int)) {
		for i := range layers - 1 {
			for j := range width {
				yield(i, j)
			}
		}
	},
	"from the bottom": func(yield func(int, int)) {
		for i := layers - 2; i >= 0; i-- {
			for j := range width {
				yield(i, j)
			}
		}
	},
	"in columns": func(yield func(int, int)) {
		for j := range width {
			for i := range layers - 1 {
				yield(i, j)
			}
		}
	},
	"in any order": func(yield func(int, int)) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range r.Perm((layers - 1) * width) {
			yield(n/width, n%width)
		}
	},
}

func (l *layered) join(tb testing.TB, order func(func(int, int))) {
	order(func(i, j int) {
		for _, to := range l[i+1] {
			mustJoin(tb, l[i][j], to)
		}
	})
}

func (l *layered) land() {
	for i := range l {
		for _, f := range l[i] {
			f.land()
		}
	}
}

// A join costs the same whatever has joined before.
func TestLayersTakeFewVisits(t *testing.T) {
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			l := newLayered()
			defer l.land()
			n := visits(func() { l.join(t, order) })
			t.Logf("%.3f visits a join", float64(n)/float64(joins))
			if n > 5*joins {
				t.Errorf("%d visits in %d joins", n, joins)
			}
			if _, ok := join(l[layers-1][0], l[0][0]); ok {
				t.Error("a cycle was closed")
			}
		})
	}
}

// hub returns a flight for which n others wait, and flights that began before
// it, for it to join.
func hub(tb testing.TB, waiters, targets int) (h *flight, before []*flight, land func()) {
	for range targets {
		before = append(before, outside())
	}
	for _, f := range before {
		met := outside()
		mustJoin(tb, met, f)
		met.land()
	}
	h = outside()
	var waiting []*flight
	for range waiters {
		w := outside()
		mustJoin(tb, w, h)
		waiting = append(waiting, w)
	}
	return h, before, func() {
		for _, f := range append(append(waiting, before...), h) {
			f.land()
		}
	}
}

// What a call of a flight costs doesn't grow with how many wait for the flight,
// if what it joins waits for nothing.
func TestHubTakesNoSearch(t *testing.T) {
	h, before, land := hub(t, 10000, 200)
	defer land()
	if n := visits(func() {
		for _, to := range before {
			mustJoin(t, h, to)
		}
	}); n != 0 {
		t.Errorf("200 joins took %d visits", n)
	}
	if n := visits(func() {
		for range 100 {
			mustJoin(t, outside(), h)
		}
	}); n != 0 {
		t.Errorf("100 flights that nobody waits for took %d visits to join", n)
	}
}

// A successor of a flight that waits for nothing, or that stands behind the
// successor's leader, takes no search, nor does a join of the successor.
func TestSuccessorTakesNoSearch(t *testing.T) {
	h, before, land := hub(t, 1000, 200)
	defer land()
	successors := make([]*flight, len(before))
	if n := visits(func() {
		for i, predecessor := range before {
			successors[i] = outside()
			if !succeed(&h.Context, predecessor, successors[i]) {
				t.Fatal("a successor was refused that closes no cycle")
			}
		}
		for _, s := range successors {
			mustJoin(t, h, s)
			mustJoin(t, outside(), s)
		}
	}); n != 0 {
		t.Errorf("they took %d visits", n)
	}
	for i, predecessor := range before {
		if _, ok := join(predecessor, h); ok {
			t.Error("a cycle over a successor was closed")
		}
		predecessor.land()
		if n := visits(func() { mustJoin(t, successors[i], outside()) }); n != 0 {
			t.Errorf("the first join of a successor that runs took %d visits", n)
		}
		if _, ok := join(successors[i], h); ok {
			t.Error("a cycle over the call of a successor's leader was closed")
		}
	}
}

// Only what stands between the two flights of a call is searched.
func TestSearchIsBounded(t *testing.T) {
	chain := make([]*flight, 1000)
	for i := range chain {
		chain[i] = outside()
		if i > 0 {
			mustJoin(t, chain[i-1], chain[i])
		}
	}
	late := outside()
	mustJoin(t, outside(), late)
	mustJoin(t, late, chain[990])
	// Late stands before the chain now, and nobody can tell but by a search
	// that the end of the chain doesn't wait for it.
	if n := visits(func() {
		if _, ok := join(chain[999], late); ok {
			t.Error("a cycle was closed")
		}
	}); n > 1001 {
		t.Errorf("a search of a chain took %d visits", n)
	}
	if n := visits(func() {
		if _, ok := join(chain[999], chain[995]); ok {
			t.Error("a cycle was closed")
		}
	}); n > 5 {
		t.Errorf("a search of five flights took %d visits", n)
	}
}

// However many times a flight joins another, they have one edge, and none that
// has died stays for long.
func TestEdgesDoNotPileUp(t *testing.T) {
	from, to := outside(), outside()
	for range 100000 {
		e, _ := join(from, to)
		to.leave(e)
	}
	if outwards, _ := from.Edges(); outwards != 1 {
		t.Errorf("%d edges of one pair", outwards)
	}
	for range 1000 {
		f := outside()
		mustJoin(t, from, f)
		f.land()
	}
	if outwards, _ := from.Edges(); outwards != 1 {
		t.Errorf("%d edges to flights that landed", outwards-1)
	}
	// Those to flights that go on are unlinked by who meets them: by a search,
	// unless none is needed because there are no others.
	detach := func() {
		for range 100 {
			f := outside()
			e, _ := join(from, f)
			f.leave(e)
		}
	}
	mustJoin(t, outside(), to)
	detach()
	if n := visits(func() { mustJoin(t, to, from) }); n != 0 {
		t.Errorf("a join of a flight that all calls have left took %d visits", n)
	}
	if outwards, _ := from.Edges(); outwards != 0 {
		t.Errorf("%d edges of calls that detached", outwards)
	}
	detach()
	mustJoin(t, from, outside())
	after := outside()
	mustJoin(t, outside(), after)
	mustJoin(t, after, from)
	if outwards, _ := from.Edges(); outwards != 1 {
		t.Errorf("%d edges of calls that detached, after a search", outwards-1)
	}
}

// A flight that its leader has left, or whose leader's flight has landed, is no
// longer tied to that.
func TestNoEdgeFromWhoDoesNotWait(t *testing.T) {
	met, landed := outside(), outside()
	mustJoin(t, outside(), met)
	mustJoin(t, outside(), landed)
	left, orphan := led(met.context()), led(landed.context())
	left.leaderLeft()
	landed.land()
	mustJoin(t, left, outside())
	mustJoin(t, orphan, outside())
	for _, f := range []*flight{met, landed} {
		if outwards, _ := f.Edges(); outwards != 0 {
			t.Errorf("%d edges", outwards)
		}
	}
}

// The flight of a call, or the one that it wants, may have landed when the graph
// learns of it.
func TestLandedFlightsGetNoEdge(t *testing.T) {
	landed, other := outside(), outside()
	mustJoin(t, landed, outside())
	landed.land()
	g := waitfor.Lock()
	for _, pair := range [][2]*flight{{landed, other}, {other, landed}} {
		from, to := &pair[0].Context, &pair[1].Context
		if g.Order(from, to) != nil {
			t.Error("Order found a cycle")
		}
		if e, ok := g.Join(from, to); e != nil || !ok {
			t.Errorf("Join returned %v, %v", e, ok)
		}
	}
	s := outside()
	if !g.Succeed(&landed.Context, &s.Context) || s.Met() {
		t.Error("the successor of a flight that has landed waits")
	}
	g.Unlock()
	for _, f := range []*flight{landed, other} {
		if outwards, inwards := f.Edges(); outwards+inwards != 0 {
			t.Errorf("%d edges", outwards+inwards)
		}
	}
}

// Under a shard's lock only a few dead edges, or flights that the graph hasn't
// met, are looked at.
func TestShortWayIsShort(t *testing.T) {
	from, to := outside(), outside()
	mustJoin(t, outside(), from)
	for range 1000 {
		f := outside()
		e, _ := join(to, f)
		f.leave(e)
	}
	mustJoin(t, to, outside()) // behind the dead ones
	nested := outside()
	for range 1000 {
		nested = led(nested.context())
	}
	if _, ok := waitfor.TryJoin(&nested.Context, &to.Context); ok || nested.Met() {
		t.Error("1001 flights were placed under a shard's lock")
	}
	mustJoin(t, nested, to)
	if !nested.Met() {
		t.Error("the nested flight joins without a node")
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
	if n := visits(func() {
		if _, ok := join(bottom, top); ok {
			t.Error("a cycle was closed")
		}
	}); n > 403 {
		t.Errorf("the search visited %d nodes of 403", n)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("the search took %v", d)
	}
}

func BenchmarkLayers(b *testing.B) {
	for name, order := range orders {
		b.Run(name, func(b *testing.B) {
			for range b.N/joins + 1 {
				b.StopTimer()
				l := newLayered()
				b.StartTimer()
				l.join(b, order)
				b.StopTimer()
				l.land()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkHub has a flight for which others wait join flights that began
// before it.
func BenchmarkHub(b *testing.B) {
	for _, waiters := range []int{1, 10000} {
		b.Run(fmt.Sprint(waiters), func(b *testing.B) {
			for done := 0; done < b.N; done += 200 {
				b.StopTimer()
				h, before, land := hub(b, waiters, 200)
				b.StartTimer()
				for _, to := range before {
					mustJoin(b, h, to)
				}
				b.StopTimer()
				land()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkLand lands a flight that nobody has used.
func BenchmarkLand(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		new(waitfor.Context).Land()
	}
}

// BenchmarkUse is what a function that uses its context pays.
func BenchmarkUse(b *testing.B) {
	for name, use := range map[string]func(*flight){
		"Done":    func(f *flight) { f.Done() },
		"Value":   func(f *flight) { f.Value(valueKey{}) },
		"timeout": func(f *flight) { f.SetTimeout(time.Hour, errTimeout, false); f.Done() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f := outside()
				use(f)
				f.land()
			}
		})
	}
}
