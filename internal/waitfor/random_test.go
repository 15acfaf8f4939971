package waitfor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A world is a graph and a naive model of it: lists of who waits for whom.
type world struct {
	rand       *rand.Rand
	flights    []*named // in the air
	edges      []edge
	unfinished []*named           // landed
	all        []*waitfor.Context // that were ever in the air
}

type named struct {
	flight
	name  string
	group int
}

// groups is how many groups there are.
const groups = 4

type edge struct {
	from, to *named
	call     *waitfor.Edge // of a joiner
	leads    bool          // from's call leads to
	succeeds bool          // from is to's successor
}

// reaches reports whether from is to, or waits for it, directly or over
// others.
func (w *world) reaches(from, to *named, seen map[*named]bool) bool {
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

func (w *world) any() *named {
	if len(w.flights) == 0 {
		return nil
	}
	return w.flights[w.rand.IntN(len(w.flights))]
}

// running returns a flight that can make calls: one that isn't a successor that
// waits. It may return nil.
func (w *world) running() *named {
	f := w.any()
	if f != nil && w.waits(f) {
		return nil
	}
	return f
}

func (w *world) waits(f *named) bool {
	return slices.ContainsFunc(w.edges, func(e edge) bool { return e.succeeds && e.from == f })
}

// add adds a flight, led from another or from outside.
func (w *world) add(t *testing.T, name string) {
	f := &named{name: name, group: w.rand.IntN(groups)}
	leader := w.running()
	if leader != nil && w.rand.IntN(3) > 0 {
		f.Parent = &leader.Context
	} else {
		leader = nil
	}
	predecessor := w.any()
	if predecessor != nil && w.rand.IntN(4) == 0 {
		want := leader == nil || !w.reaches(predecessor, leader, map[*named]bool{})
		if got := succeed(f.Parent, &predecessor.flight, &f.flight); got != want {
			t.Fatalf("%s, successor of %s: granted is %v, want %v", name, predecessor.name, got, want)
		}
		if !want {
			return
		}
		w.edges = append(w.edges, edge{from: f, to: predecessor, succeeds: true})
	}
	if leader != nil {
		w.edges = append(w.edges, edge{from: leader, to: f, leads: true})
	}
	w.flights = append(w.flights, f)
	w.all = append(w.all, &f.Context)
}

// join lets a call of one flight join another.
func (w *world) join(t *testing.T) {
	from, to := w.running(), w.any()
	if from == nil {
		return
	}
	want := !w.reaches(to, from, map[*named]bool{})
	call, got := join(&from.flight, &to.flight)
	if got != want {
		t.Fatalf("%s joins %s: granted is %v, want %v", from.name, to.name, got, want)
	}
	if got {
		w.edges = append(w.edges, edge{from: from, to: to, call: call})
	}
}

// detach lets a call leave.
func (w *world) detach() {
	if len(w.edges) == 0 {
		return
	}
	i := w.rand.IntN(len(w.edges))
	switch e := w.edges[i]; {
	case e.succeeds:
		return
	case e.leads:
		e.to.leaderLeft()
	default:
		e.to.leave(e.call)
	}
	w.edges = slices.Delete(w.edges, i, i+1)
}

// land lands a flight, or drops it if it is a successor that waits. It may be
// finished later.
func (w *world) land() {
	f := w.any()
	if f == nil {
		return
	}
	if f.Land() {
		w.unfinished = append(w.unfinished, f)
	}
	w.edges = slices.DeleteFunc(w.edges, func(e edge) bool { return e.from == f || e.to == f })
	w.flights = slices.DeleteFunc(w.flights, func(g *named) bool { return f == g })
}

// finish finishes a flight that has landed.
func (w *world) finish(t *testing.T) {
	if len(w.unfinished) == 0 {
		return
	}
	i := w.rand.IntN(len(w.unfinished))
	f := w.unfinished[i]
	f.Finish()
	if outwards, inwards := f.Edges(); outwards+inwards != 0 {
		t.Fatalf("%s has %d and %d edges after it has finished", f.name, outwards, inwards)
	}
	w.unfinished = slices.Delete(w.unfinished, i, i+1)
}

// holds asks whether a group has a flight that is another or waits for it.
func (w *world) holds(t *testing.T) {
	from, group := w.any(), w.rand.IntN(groups)
	if from == nil {
		return
	}
	of := make(map[*waitfor.Context]bool)
	want := false
	for _, f := range w.flights {
		if f.group == group {
			of[&f.Context] = true
			want = want || w.reaches(f, from, map[*named]bool{})
		}
	}
	if got := waitfor.Holds(of, &from.Context); got != want {
		t.Fatalf("Holds is %v, want %v", got, want)
	}
}

// step lets one thing happen.
func (w *world) step(t *testing.T, name string) {
	switch w.rand.IntN(12) {
	case 0, 1:
		w.add(t, name)
	case 2, 3, 4, 5, 6:
		w.join(t)
	case 7:
		w.detach()
	case 8:
		if w.rand.IntN(2) == 0 {
			w.land()
		}
	case 9:
		w.finish(t)
	default:
		w.holds(t)
	}
}

func TestRandomGraphs(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := &world{rand: rand.New(rand.NewPCG(seed, 0))}
			for i := range 400 {
				w.step(t, fmt.Sprint(i))
				if err := waitfor.Check(w.all); err != nil {
					t.Fatalf("after step %d: %v", i, err)
				}
			}
		})
	}
}
