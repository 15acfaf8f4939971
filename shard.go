package singleflight

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A table is where a group keeps its flights: in independently locked parts, so
// that calls with different keys are rarely in each other's way. There are
// rowLength rows of as many shards, each made when it is first used, so that a
// group for few keys is small. docs/design.md has what other numbers of shards
// cost.
type table[K comparable, V any] [rowLength]atomic.Pointer[row[K, V]]

type row[K comparable, V any] [rowLength]atomic.Pointer[shard[K, V]]

const rowLength = 8

// shard returns the part of the group's table that holds the keys with this
// hash.
func (g *Group[K, V]) shard(hash uint64) *shard[K, V] {
	if r := g.table.row(hash).Load(); r != nil {
		if s := r.place(hash).Load(); s != nil {
			return s
		}
	}
	return g.makeShard(hash)
}

// The low bits of a hash choose a bucket inside the shard.

func (t *table[K, V]) row(hash uint64) *atomic.Pointer[row[K, V]] { return &t[hash>>32%rowLength] }

func (r *row[K, V]) place(hash uint64) *atomic.Pointer[shard[K, V]] { return &r[hash>>40%rowLength] }

func (g *Group[K, V]) makeShard(hash uint64) *shard[K, V] {
	r := g.table.row(hash)
	if r.Load() == nil {
		made := new(firstShard[K, V])
		made.shard.group = g
		made.row.place(hash).Store(&made.shard)
		if r.CompareAndSwap(nil, &made.row) {
			return &made.shard
		}
	}
	place := r.Load().place(hash)
	place.CompareAndSwap(nil, &shard[K, V]{group: g})
	return place.Load()
}

// A firstShard is the first shard of a row, with the row: a group's first call
// takes less time with one allocation than with two.
type firstShard[K comparable, V any] struct {
	row   row[K, V]
	shard shard[K, V]
}

// parts returns the parts of the group's table that have been used.
func (g *Group[K, V]) parts() []*shard[K, V] {
	var parts []*shard[K, V]
	for i := range g.table {
		r := g.table[i].Load()
		if r == nil {
			continue
		}
		for i := range r {
			if s := r[i].Load(); s != nil {
				parts = append(parts, s)
			}
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
	flights       inflight.Table[K, flight[K, V]]
	group         *Group[K, V]
	led           uint64 // see counters
	joined        uint64
	spareFlights  spares[flight[K, V]]
	spareRunners  spares[runner[K, V]]
	spareHandouts spares[handout[V]]

	more *shardExtras[K, V] // nil until needed

	_ [16]byte // makes it two cache lines where pointers have 64 bits, so that neighbours share none
}

// shardExtras are what a shard has whose callers leave, or wait at channels
// beside others, or whose functions panic.
type shardExtras[K comparable, V any] struct {
	counters     counters
	spareQueues  spares[queue[K, V]]
	spareWatches spares[watch[K, V]]
	sending      *queue[K, V] // first of those of flights that have left the table, and not yet sent all their Results
}

// extras returns what the shard has more of.
func (s *shard[K, V]) extras() *shardExtras[K, V] {
	if s.more == nil {
		s.more = new(shardExtras[K, V])
	}
	return s.more
}

// spares are a few objects to be used again, so that a call that nobody joins
// allocates nothing for the group's own sake. A burst must not leave its memory
// here.
type spares[T any] [maxSpares]*T

const maxSpares = 2

// take returns a spare, or nil.
func (s *spares[T]) take() *T {
	for i, spare := range s {
		if spare != nil {
			s[i] = nil
			return spare
		}
	}
	return nil
}

func (s *spares[T]) give(spare *T) {
	for i := range s {
		if s[i] == nil {
			s[i] = spare
			return
		}
	}
}

// newFlight returns a flight without extras, unless the group has hooks. The
// leader has the given context, or none. The flight isn't in the table yet.
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
		f.context = &waitfor.Context{Leader: leader}
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

func (s *shard[K, V]) newQueue() *queue[K, V] {
	q := s.extras().spareQueues.take()
	if q == nil {
		q = new(queue[K, V])
	}
	return q
}

// newExtendedFlight is newFlight for any flight.
func (s *shard[K, V]) newExtendedFlight(hash uint64, key K, leader context.Context) *flight[K, V] {
	f := new(extendedFlight[K, V])
	f.shard = s
	f.context = &f.Context
	f.context.Leader = leader
	f.more = &f.extras
	f.more.trace = newTracing(s.group.opts.Trace, key)
	f.Init(hash, key, &f.flight)
	f.callers = 1
	return &f.flight
}

// launch puts a new flight into the table.
func (s *shard[K, V]) launch(f *flight[K, V]) {
	s.flights.Insert(&f.Entry)
	s.led++
}

// countPanic counts a flight that ended in a panic or Goexit.
func (s *shard[K, V]) countPanic() {
	s.Lock()
	defer s.Unlock()
	s.extras().counters.panics++
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
