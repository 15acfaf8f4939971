package waitfor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A service is a number of flights whose functions call for one another at the
// same time. A call that isn't refused waits until the flight that it joined,
// or led, has landed, or until it loses patience. If the graph lets a cycle be
// closed by calls that are patient, their bubble is deadlocked.
type service struct {
	t       *testing.T
	flights []*job
	wg      sync.WaitGroup
	mu      sync.Mutex
	waits   map[[2]*job]int // who waits for whom, and a little longer
	refused int
}

type job struct {
	flight
	at        *sync.Mutex // of the shard: its own, or its predecessor's
	done      chan struct{}
	cancelled bool // guarded by the shard's lock, as all below
	successor *job
	landed    bool
}

func newJob() *job {
	f := &job{done: make(chan struct{})}
	f.Leader, f.at = context.Background(), &f.shard
	return f
}

// fork returns random numbers for another goroutine.
func fork(r *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(r.Uint64(), 0)) }

func (s *service) wait(from, to *job, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits[[2]*job{from, to}] += change
}

// cycle checks that to waits for from, as far as one can tell.
func (s *service) cycle(from, to *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	seen := map[*job]bool{to: true}
	for pending := []*job{to}; len(pending) > 0; {
		f := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if f == from {
			return
		}
		for e, n := range s.waits {
			if e[0] == f && n > 0 && !seen[e[1]] {
				seen[e[1]] = true
				pending = append(pending, e[1])
			}
		}
	}
	s.t.Error("a call was refused that closes no cycle")
}

// run is the flight's function and its landing.
func (s *service) run(f *job, r *rand.Rand, depth int) {
	var calls sync.WaitGroup
	for range 1 + r.IntN(3) {
		r := fork(r)
		calls.Go(func() { s.call(f, r, depth) })
	}
	calls.Wait()
	f.at.Lock()
	f.landed = true
	unfinished := f.Land()
	successor := f.successor
	f.at.Unlock()
	if unfinished {
		f.Finish()
	}
	if successor != nil {
		s.wait(successor, f, -1)
		r := fork(r)
		s.wg.Go(func() { s.run(successor, r, depth+1) })
	}
	close(f.done)
}

// call is one from flight from: it joins another flight, leads a new one, or
// leads the successor of a cancelled one.
func (s *service) call(from *job, r *rand.Rand, depth int) {
	if depth < 3 && r.IntN(4) == 0 {
		f := newJob()
		f.Parent = &from.Context
		s.wait(from, f, 1)
		its := fork(r)
		s.wg.Go(func() { s.run(f, its, depth+1) })
		s.patience(from, f, r, f.leaderLeft)
		return
	}
	to := s.flights[r.IntN(len(s.flights))]
	if r.IntN(4) == 0 {
		to.at.Lock()
		to.cancelled = true
		to.at.Unlock()
	}
	s.arrive(from, to, r)
}

// arrive is the protocol of the package, with Do the way for a flight that has
// landed.
func (s *service) arrive(from, to *job, r *rand.Rand) {
	shard := to.at
	var edge *waitfor.Edge
	// find returns the flight that the call would wait for, and whether it is
	// a new successor.
	find := func() (target *job, leads bool) {
		switch {
		case to.landed && (to.successor == nil || to.successor.landed):
			return nil, false
		case to.landed || to.successor != nil:
			return to.successor, false
		case to.cancelled:
			return to, true
		}
		return to, false
	}
	enter := func(target *job, leads bool, join func(from, to *waitfor.Context) (*waitfor.Edge, bool), succeed func(predecessor, successor *waitfor.Context) bool) (*job, bool) {
		if !leads {
			s.wait(from, target, 1)
			var ok bool
			if edge, ok = join(&from.Context, &target.Context); !ok {
				s.wait(from, target, -1)
				return nil, false
			}
			return target, true
		}
		successor := newJob()
		successor.Parent, successor.at = &from.Context, target.at
		s.wait(from, successor, 1)
		s.wait(successor, target, 1)
		if !succeed(&target.Context, &successor.Context) {
			s.wait(from, successor, -1)
			s.wait(successor, target, -1)
			return nil, false
		}
		target.successor = successor
		return successor, true
	}
	shard.Lock()
	target, leads := find()
	if target == nil {
		shard.Unlock()
		return
	}
	on, ok := enter(target, leads, waitfor.TryJoin, waitfor.TrySucceed)
	shard.Unlock()
	if !ok {
		if on, ok = s.arriveSlowly(from, shard, find, enter); !ok {
			return
		}
	}
	s.patience(from, on, r, func() {
		shard.Lock()
		defer shard.Unlock()
		switch {
		case on.landed:
		case edge != nil:
			edge.Leave()
		default:
			on.LeaderLeft()
		}
	})
}

func (s *service) arriveSlowly(from *job, shard *sync.Mutex, find func() (*job, bool), enter func(*job, bool, func(from, to *waitfor.Context) (*waitfor.Edge, bool), func(predecessor, successor *waitfor.Context) bool) (*job, bool)) (on *job, ok bool) {
	g := waitfor.Lock()
	defer g.Unlock()
	for {
		shard.Lock()
		target, leads := find()
		shard.Unlock()
		if target == nil {
			return nil, false
		}
		cycle := g.Order(&from.Context, &target.Context)
		shard.Lock()
		if t, l := find(); t != target || l != leads {
			shard.Unlock()
			continue
		}
		if cycle == nil {
			if on, ok = enter(target, leads, g.Join, g.Succeed); !ok {
				s.t.Error("not entered though Order found no cycle")
			}
			shard.Unlock()
			return on, ok
		}
		if cycle.Live() {
			s.cycle(from, target)
			shard.Unlock()
			return nil, false
		}
		shard.Unlock()
	}
}

// patience waits for a flight, and perhaps leaves early.
func (s *service) patience(from, on *job, r *rand.Rand, leave func()) {
	var timeout <-chan time.Time
	if r.IntN(3) == 0 {
		timeout = time.After(time.Duration(r.IntN(3)) * time.Millisecond)
	}
	select {
	case <-on.done:
	case <-timeout:
		leave()
	}
	s.wait(from, on, -1)
}

// Whatever happens at the same time, no cycle is closed: the bubble would be
// deadlocked. And no call is refused that closes none.
func TestFlightsThatCallOneAnother(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	refused := 0
	for range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 0))
				s := &service{t: t, waits: make(map[[2]*job]int)}
				for range 4 + r.IntN(12) {
					s.flights = append(s.flights, newJob())
				}
				for _, f := range s.flights {
					r := fork(r)
					s.wg.Go(func() { s.run(f, r, 0) })
				}
				s.wg.Wait()
				refused += s.refused
			})
		})
	}
	if refused == 0 {
		t.Error("no call was refused")
	}
}
