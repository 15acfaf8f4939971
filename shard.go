package singleflight

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
)

// A table is where a group keeps its flights: in independently locked parts, so
// that calls with different keys are rarely in each other's way. There are
// rowLength rows of as many shards, each made when it is first used, so that a
// group for few keys is small and its first call quick.
type table[K comparable, V any] [rowLength]atomic.Pointer[row[K, V]]

type row[K comparable, V any] [rowLength]atomic.Pointer[shard[K, V]]

const rowLength = 8

// shard returns the part of the group's table that holds the keys with this
// hash. It panics if the options make no sense.
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
	g.Options.check()
	r := g.table.row(hash)
	if r.Load() == nil {
		made := new(firstShard[K, V])
		made.shard.init(g)
		made.row.place(hash).Store(&made.shard)
		if r.CompareAndSwap(nil, &made.row) {
			return &made.shard
		}
	}
	s := new(shard[K, V])
	s.init(g)
	place := r.Load().place(hash)
	place.CompareAndSwap(nil, s)
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

// A shard is a part of a group's table, with its lock, which guards all of it
// but what doesn't change. Nothing of the user's runs under that lock. A flight
// and its successors are in one shard for life.
//
// The lock of the graph of who waits for whom comes before that of a shard: under
// the latter the former is only tried.
//
// Where pointers have 64 bits a shard is two cache lines, so that neighbours
// share none, and an unshared Do writes to the first alone.
type shard[K comparable, V any] struct {
	sync.Mutex
	flights inflight.Table[K, flight[K, V]]
	group   *Group[K, V] // doesn't change
	led     uint64       // see counters

	// One of each is kept to be used again, so that a call that nobody joins
	// allocates little, and a burst doesn't leave its memory here.
	spare      *flight[K, V]
	spareCrowd *crowd[K, V]

	spareWatch *watch[K, V]
	joined     uint64 // see counters
	counters   counters
	hooked     bool // the options have hooks or time limits; doesn't change
}

func (s *shard[K, V]) init(g *Group[K, V]) {
	s.group = g
	s.hooked = g.Options.Trace != nil || g.Options.FlightTimeout > 0 || g.Options.ForgetAfter > 0
}

// newFlight returns a flight that isn't in the table yet, with a leader.
func (s *shard[K, V]) newFlight(hash uint64, key K) *flight[K, V] {
	f := s.spare
	if f != nil {
		s.spare = nil
	} else {
		f = &flight[K, V]{shard: s}
	}
	f.Init(hash, key, f)
	if s.hooked && (s.group.Options.Trace != nil || s.group.Options.ForgetAfter > 0) {
		f.gather()
		f.since = now()
	}
	return f
}

// newCrowd returns a crowd for f, with its leader in it.
func (s *shard[K, V]) newCrowd(f *flight[K, V]) *crowd[K, V] {
	c := s.spareCrowd
	if c != nil {
		s.spareCrowd = nil
	} else {
		c = &crowd[K, V]{shard: s}
	}
	c.flight, c.callers = f, 1
	if trace := s.group.Options.Trace; trace != nil {
		c.trace = newTracing(trace, f.Key())
	}
	return c
}

// retire takes a flight that has ended off the table.
func (s *shard[K, V]) retire(f *flight[K, V]) {
	s.flights.Remove(&f.Entry)
	s.giveBack(f)
}

// giveBack keeps a flight that has ended to be used again. It keeps nothing of
// the user's.
func (s *shard[K, V]) giveBack(f *flight[K, V]) {
	f.Clear()
	f.context, f.crowd, f.since = nil, nil, 0
	s.spare = f
}

// disband does for a crowd what giveBack does for a flight.
func (s *shard[K, V]) disband(c *crowd[K, V]) {
	c.gathering = gathering[K, V]{}
	s.spareCrowd = c
}

// A moment is a time on the clock that never goes back, as nanoseconds since
// some moment; 0 is none.
type moment int64

var epoch = time.Now()

func now() moment { return moment(time.Since(epoch)) }

func momentOf(t time.Time) moment { return moment(t.Sub(epoch)) }
