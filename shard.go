package singleflight

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A group's table has this many independently locked parts, but one only where
// GOMAXPROCS is 1 when the group is first used. docs/design.md has what other
// numbers cost.
const shards = 64

// A table is the part of a group that its first call makes.
type table[K comparable, V any] struct {
	shards []atomic.Pointer[shard[K, V]] // a power of two of them, each made when it is first used
}

// shard returns the part of the group's table that holds the keys with this
// hash.
func (g *Group[K, V]) shard(hash uint64) *shard[K, V] {
	t := g.table.Load()
	if t == nil {
		t = g.makeTable()
	}
	// The low bits choose the bucket inside.
	place := &t.shards[hash>>32&uint64(len(t.shards)-1)]
	if s := place.Load(); s != nil {
		return s
	}
	place.CompareAndSwap(nil, &shard[K, V]{group: g})
	return place.Load()
}

func (g *Group[K, V]) makeTable() *table[K, V] {
	n := 1
	if runtime.GOMAXPROCS(0) > 1 {
		n = shards
	}
	g.table.CompareAndSwap(nil, &table[K, V]{make([]atomic.Pointer[shard[K, V]], n)})
	return g.table.Load()
}

// parts returns the parts of the group's table that have been used.
func (g *Group[K, V]) parts() []*shard[K, V] {
	t := g.table.Load()
	if t == nil {
		return nil
	}
	parts := make([]*shard[K, V], 0, len(t.shards))
	for i := range t.shards {
		if s := t.shards[i].Load(); s != nil {
			parts = append(parts, s)
		}
	}
	return parts
}

// A shard is a part of a group's table, with its lock. Nothing of the user's
// runs under that lock. A flight and its successors are in one shard for life.
//
// What an unshared Do needs comes first, to be on few cache lines.
type shard[K comparable, V any] struct {
	sync.Mutex
	flights      inflight.Table[K, flight[K, V]]
	group        *Group[K, V]
	counters     counters
	spareFlights spares[flight[K, V]]

	spareRunners  spares[runner[K, V]]
	spareHandouts spares[handout[V]]
	sparePlaces   spares[place[K, V]]
	spareWatches  spares[watch[K, V]]
	sending       map[*handout[V]]struct{} // of flights that have left the table, and not yet sent all their Results

	_ [32]byte // makes it six cache lines, so that neighbours share none
}

// spares are a few objects to be used again, so that a call that nobody joins
// allocates nothing for the group's own sake.
type spares[T any] struct {
	n    int
	list [maxSpares]*T
}

// maxSpares bounds each kind of spares: a burst must not leave its memory here.
const maxSpares = 4

// take returns a spare, or nil.
func (s *spares[T]) take() *T {
	if s.n == 0 {
		return nil
	}
	s.n--
	last := &s.list[s.n]
	spare := *last
	*last = nil
	return spare
}

func (s *spares[T]) give(spare *T) {
	if s.n < len(s.list) {
		s.list[s.n] = spare
		s.n++
	}
}

// newFlight returns a flight whose leader can't leave. The leader has the given
// context, or none. The flight isn't in the table yet.
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

func (s *shard[K, V]) newHandout() *handout[V] {
	h := s.spareHandouts.take()
	if h == nil {
		h = new(handout[V])
	}
	h.done = make(chan struct{}) // one of another bubble of testing/synctest can't be used
	return h
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
