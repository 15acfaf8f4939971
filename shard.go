package singleflight

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A group's table has this many independently locked parts, but one only where
// GOMAXPROCS is 1 when the group is first used. docs/design.md has what other
// numbers cost.
const shards = 64

// A table is the part of a group that its first call makes.
type table[K comparable, V any] struct {
	shards []shard[K, V] // a power of two of them
}

func newTable[K comparable, V any](g *Group[K, V]) *table[K, V] {
	n := 1
	if runtime.GOMAXPROCS(0) > 1 {
		n = shards
	}
	t := &table[K, V]{make([]shard[K, V], n)}
	for i := range t.shards {
		t.shards[i].group = g
	}
	return t
}

// shard returns the part of the table that holds the keys with this hash. The
// high bits choose it, since the low bits choose the bucket inside.
func (t *table[K, V]) shard(hash uint64) *shard[K, V] {
	return &t.shards[hash>>32&uint64(len(t.shards)-1)]
}

// parts returns the parts of the group's table, of which there are none before
// its first call.
func (g *Group[K, V]) parts() iter.Seq[*shard[K, V]] {
	return func(yield func(*shard[K, V]) bool) {
		t := g.table.Load()
		if t == nil {
			return
		}
		for i := range t.shards {
			if !yield(&t.shards[i]) {
				return
			}
		}
	}
}

// A shard is a part of a group's table, with its lock. Nothing of the user's
// runs under that lock. A flight and its successors are in one shard for life.
type shard[K comparable, V any] struct {
	sync.Mutex
	group    *Group[K, V]
	flights  inflight.Table[K, flight[K, V]]
	sending  map[*handout[V]]struct{} // of flights that have left the table, and not yet sent all their Results
	counters counters

	spareFlights spares[flight[K, V]]
	spareRunners spares[runner[K, V]]
	sparePlaces  spares[place[K, V]]
	spareWatches spares[watch[K, V]]

	_ [8]byte // makes it 256 bytes, so that neighbours are on cache lines of their own
}

// spares are a few objects to be used again, so that a call that nobody joins
// allocates nothing for the group's own sake.
type spares[T any] struct{ list []*T }

// maxSpares bounds each kind of spares: a burst must not leave its memory here.
const maxSpares = 4

// take returns a spare, or nil.
func (s *spares[T]) take() *T {
	last := len(s.list) - 1
	if last < 0 {
		return nil
	}
	spare := s.list[last]
	s.list[last] = nil
	s.list = s.list[:last]
	return spare
}

func (s *spares[T]) give(spare *T) {
	if len(s.list) < maxSpares {
		s.list = append(s.list, spare)
	}
}

// newFlight returns a flight that its leader runs, or that no context can make
// anybody leave. Its leader has the given context, or none. It isn't in the
// table yet.
func (s *shard[K, V]) newFlight(hash uint64, key K, leader context.Context) *flight[K, V] {
	if s.group.opts.Trace != nil {
		return s.newExtendedFlight(hash, key, leader)
	}
	f := s.spareFlights.take()
	if f == nil {
		f = &flight[K, V]{shard: s}
	}
	if leader != nil {
		// Not to be used again: the function may keep it.
		f.context = &waitfor.Context{Leader: leader, Home: &s.group.home}
	}
	f.Init(hash, key, f)
	f.callers = 1
	f.plain = true
	return f
}

// newExtendedFlight is newFlight for any flight.
func (s *shard[K, V]) newExtendedFlight(hash uint64, key K, leader context.Context) *flight[K, V] {
	f := new(extendedFlight[K, V])
	f.shard = s
	f.context = &f.Context
	f.context.Leader = leader
	f.context.Home = &s.group.home
	f.more = &f.extras
	f.more.trace = newTracing(s.group.opts.Trace, key)
	f.Init(hash, key, &f.flight)
	f.callers = 1
	return &f.flight
}

// launch puts a new flight into the table.
func (s *shard[K, V]) launch(f *flight[K, V]) {
	s.flights.Insert(&f.Entry)
	s.counters.led++
}

// countPanic counts a flight that ended in a panic or Goexit.
func (s *shard[K, V]) countPanic() {
	s.Lock()
	defer s.Unlock()
	s.counters.panics++
}

// newRunner returns a runner for f.
func (s *shard[K, V]) newRunner(f *flight[K, V], fn function[V]) *runner[K, V] {
	r := s.spareRunners.take()
	if r == nil {
		r = new(runner[K, V])
		r.start = r.run
	}
	r.flight, r.fn = f, fn
	return r
}

func (s *shard[K, V]) recycleRunner(r *runner[K, V]) {
	r.flight, r.fn = nil, function[V]{}
	s.spareRunners.give(r)
}
