package singleflight

import (
	"context"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A flight is one execution of a function for a key. Its states:
//
//	         lead                         land
//	   ────────────────▶ running ───────────────────▶ landed
//	                      ▲   │ abandon, if options      ▲
//	the predecessor lands │   │ say CancelAbandoned      │ land
//	        succeed       │   └────────▶ cancelled ──────┘
//	   ────────────────▶ waiting ────────────────────▶ dropped
//	                             abandon
//
// To abandon is what the last caller does that detaches. Without CancelAbandoned
// a running flight that is abandoned runs on, and can be joined again. One whose
// panic can't be delivered stays as it is until that has ended the process. One
// that was forgotten goes through the same states, and isn't found by its key.
//
// All transitions are made under the lock of the flight's shard, which guards
// every field where nothing else is said. Functions that let go of it say so.
// These hold whenever it is free:
//
//  1. A flight is in the table if and only if it is running or cancelled, or has
//     landed and its context isn't done yet, or not all of its Results are sent.
//     One that waits hangs on its predecessor, which is cancelled and knows it as
//     its successor, and comes into the table when that lands.
//  2. A flight in the table is found by its key unless it is set aside, because
//     it was forgotten or has landed. At most one is found by each key.
//  3. A flight has a crowd if a caller has joined it, if its leader isn't the one
//     who runs the function, if Wait waits for it, or if the options need one. The
//     number of callers in it is that of the calls of this flight that have not
//     detached.
//  4. The crowd's life grows exactly when its flight lands or is dropped. Who
//     refers to a crowd from outside the table remembers its life, and sees by
//     that whether the flight which it means is still in the air. So a flight
//     and its crowd can be used again at once, but for the handout, which its
//     waiting callers still read.
//  5. A handout's channel is closed once, after the flight's context is done and
//     every Result of the flight has been sent.
//  6. Nothing of the user's runs under the lock: no function, no hook, no method
//     of a context.
type flight[K comparable, V any] struct {
	inflight.Entry[K, flight[K, V]]

	// context is what the function gets, and the flight's node in the graph of
	// who waits for whom; nil if the leader has no context, unless the flight is
	// a successor. It is set before anybody else knows the flight and cleared by
	// the landing, so the goroutine that runs the function reads it without the
	// lock.
	context *waitfor.Context

	crowd *crowd[K, V]
	since moment       // when the flight began; 0 until somebody asks, if the leader runs it: see Flight.Since
	shard *shard[K, V] // doesn't change
}

// A crowd is what a flight has for all but a leader alone that runs the function
// itself.
type crowd[K comparable, V any] struct {
	shard *shard[K, V] // doesn't change
	life  uint64       // how many lives have ended: see invariant 4
	start func()       // run, bound once: so to start the goroutine of a flight allocates nothing

	gathering[K, V]
}

// A gathering is what a crowd has for one life. What holds for the fields of a
// flight holds for these.
type gathering[K comparable, V any] struct {
	flight *flight[K, V]
	fn     function[V] // what run runs; written before the goroutine starts, and then by it
	trace  *tracing[K] // nil if the group has no Trace

	callers int64           // on the flight now
	joined  int64           // that ever joined, so without the leader
	handout *handout[V]     // where blocking callers wait; made by the first that needs it
	leader  listener[K, V]  // if that is a channel caller, and hasn't detached
	joiners listeners[K, V] // channel callers that joined

	cancelled bool // abandoned and cancelled: joined by nobody any more
	began     bool // in a group with ForgetAfter, the function was called
	landed    bool // and set aside until its context is done and all Results are sent
	forgotten bool // of a flight that has landed: it was forgotten before

	successor   *flight[K, V] // waits for this flight, which was cancelled
	predecessor *flight[K, V] // this flight waits for it
	turn        chan struct{} // closed when a successor may run, for the leader that runs it
}

// A handout is where a flight leaves its outcome for blocking callers.
type handout[V any] struct {
	done    chan struct{}
	outcome outcome[V] // written before done is closed; not if the flight was dropped: then only Wait is left
}

// A call is the place in a crowd of a caller that may leave it.
type call[K comparable, V any] struct {
	crowd *crowd[K, V]
	life  uint64        // of the crowd: if that has another one, the flight has landed, or was dropped
	edge  *waitfor.Edge // lets the flight that the call belongs to wait for this one; nil if it needn't
	trace *tracing[K]   // the flight's
	leads bool
}

// arrive puts a call on the flight of its key: one that it leads, or one that it
// joins. It returns with the flight's shard locked, so that the caller can say
// how it gets the outcome before anything else happens to the flight. It returns
// ErrDeadlock, and nothing is locked or changed, if the call would close a cycle
// of flights that wait for each other.
func (g *Group[K, V]) arrive(key K, ctx context.Context) (f *flight[K, V], leads bool, edge *waitfor.Edge, err error) {
	var from *waitfor.Context
	if ctx != nil {
		from = waitfor.Of(ctx) // asks the user's context, so before the lock
	}
	hash := inflight.Hash(key)
	s := g.shard(hash)
	s.Lock()
	f = s.flights.Find(hash, key)
	if f == nil {
		return s.lead(hash, key, ctx, from), true, nil, nil
	}
	return f.arrive(hash, key, ctx, from)
}

// arrive is Group.arrive, under the lock, for a key that was found to be f's.
func (f *flight[K, V]) arrive(hash uint64, key K, ctx context.Context, from *waitfor.Context) (_ *flight[K, V], leads bool, edge *waitfor.Edge, err error) {
	s := f.shard
	if f.overdue() {
		f.forget()
		return s.lead(hash, key, ctx, from), true, nil, nil
	}
	f, leads, edge, ok := f.admit(ctx, from, nil)
	if !ok {
		s.Unlock()
		return s.arriveSlow(hash, key, ctx, from)
	}
	return f, leads, edge, nil
}

// admit is arrive where the key's flight is f. It reports false, and has changed
// nothing, if the graph must be searched first. graph is nil, or the graph,
// locked and searched for this call.
func (f *flight[K, V]) admit(ctx context.Context, from *waitfor.Context, graph *waitfor.Graph) (_ *flight[K, V], leads bool, edge *waitfor.Edge, ok bool) {
	f = f.joinable()
	if f.cancelled() {
		f, ok = f.succeed(ctx, from, graph)
		return f, true, nil, ok
	}
	if from != nil && f.context != nil {
		if graph == nil {
			edge, ok = waitfor.TryJoin(from, f.context)
		} else {
			edge, ok = graph.Join(from, f.context)
		}
		if !ok {
			return nil, false, nil, false
		}
	}
	f.addCaller()
	return f, false, edge, true
}

// arriveSlow is arrive for a call for which the graph of who waits for whom is
// locked, or must be searched. The search is under the graph's lock alone, so the
// flight may be another when it is done.
func (s *shard[K, V]) arriveSlow(hash uint64, key K, ctx context.Context, from *waitfor.Context) (f *flight[K, V], leads bool, edge *waitfor.Edge, err error) {
	graph := waitfor.Lock()
	defer graph.Unlock()
	for {
		s.Lock()
		f = s.find(hash, key)
		if f == nil {
			return s.lead(hash, key, ctx, from), true, nil, nil
		}
		if f, leads, edge, ok := f.admit(ctx, from, graph); ok {
			return f, leads, edge, nil
		}
		to := f.joinable().context
		s.Unlock()
		cycle := graph.Order(from, to)
		if cycle == nil {
			continue
		}
		s.Lock()
		f = s.find(hash, key)
		refused := f != nil && f.joinable().context == to && cycle.Live()
		s.Unlock()
		if refused {
			return nil, false, nil, ErrDeadlock
		}
	}
}

// find returns the flight of a key, or nil. One that is overdue it forgets.
func (s *shard[K, V]) find(hash uint64, key K) *flight[K, V] {
	f := s.flights.Find(hash, key)
	if f != nil && f.overdue() {
		f.forget()
		return nil
	}
	return f
}

// lead puts a new flight into the table.
func (s *shard[K, V]) lead(hash uint64, key K, ctx context.Context, from *waitfor.Context) *flight[K, V] {
	f := s.newFlight(hash, key)
	if ctx != nil {
		f.context = &waitfor.Context{Leader: ctx, Parent: from} // never used again: the function may keep it
	}
	s.flights.Insert(&f.Entry)
	s.led++
	return f
}

// succeed makes a flight that waits for f, which is cancelled, to land. For ok
// see admit.
func (f *flight[K, V]) succeed(ctx context.Context, from *waitfor.Context, graph *waitfor.Graph) (successor *flight[K, V], ok bool) {
	node := &waitfor.Context{Leader: ctx, Parent: from}
	if graph == nil && !waitfor.TrySucceed(f.context, node) || graph != nil && !graph.Succeed(f.context, node) {
		return nil, false
	}
	s := f.shard
	successor = s.newFlight(f.Hash(), f.Key())
	successor.context = node
	successor.since = now()
	f.crowd.successor = successor
	successor.gather().predecessor = f
	s.led++
	s.counters.waiting++
	return successor, true
}

// addCaller counts a caller that joins.
func (f *flight[K, V]) addCaller() {
	c := f.gather()
	c.callers++
	c.joined++
	f.shard.joined++
	if f.since == 0 {
		f.since = now()
	}
}

// gather returns the flight's crowd.
func (f *flight[K, V]) gather() *crowd[K, V] {
	if f.crowd == nil {
		f.crowd = f.shard.newCrowd(f)
	}
	return f.crowd
}

// newCall returns the place of a caller that has just arrived.
func (f *flight[K, V]) newCall(leads bool, edge *waitfor.Edge) call[K, V] {
	c := f.crowd
	return call[K, V]{c, c.life, edge, c.trace, leads}
}

// waitable returns the flight's handout.
func (f *flight[K, V]) waitable() *handout[V] {
	c := f.gather()
	if c.handout == nil {
		c.handout = &handout[V]{done: make(chan struct{})}
	}
	return c.handout
}

// joinable returns the flight that a call of f's key joins: f, or the successor
// of one that is cancelled. It is f, cancelled, if a call would lead a successor.
func (f *flight[K, V]) joinable() *flight[K, V] {
	if f.cancelled() && f.crowd.successor != nil {
		return f.crowd.successor
	}
	return f
}

func (f *flight[K, V]) cancelled() bool { return f.crowd != nil && f.crowd.cancelled }

// waits reports whether f is a successor whose predecessor hasn't landed.
func (f *flight[K, V]) waits() bool { return f.crowd != nil && f.crowd.predecessor != nil }

func (f *flight[K, V]) successor() *flight[K, V] {
	if f.crowd == nil {
		return nil
	}
	return f.crowd.successor
}

// overdue reports whether the next call of its key forgets the flight, because
// its function has run for too long.
func (f *flight[K, V]) overdue() bool {
	if !f.shard.hooked || f.crowd == nil || !f.crowd.began {
		return false
	}
	return now()-f.since > moment(f.shard.group.Options.ForgetAfter)
}

// forget makes the next call of its key start anew, beside the flight and its
// successor.
func (f *flight[K, V]) forget() {
	f.shard.flights.SetAside(&f.Entry)
	for ; f != nil; f = f.successor() {
		if f.context != nil {
			f.context.Forget()
		}
	}
}

// land ends a flight. Its key leaves the table and its successor takes its place
// under one lock; then its context is done; then the outcome is handed out, first
// to channel callers, then to blocking ones. Until all that but the last is done,
// the flight is kept where Wait finds it. A flight whose panic can't be delivered
// stays as it is, and the process crashes.
func (f *flight[K, V]) land(o *outcome[V]) {
	s := f.shard
	s.Lock()
	if o.ending != returned {
		if o.ending == panicked && !s.group.Options.Recover && f.cannotDeliver() {
			s.Unlock()
			crash(o.err)
		}
		s.counters.panics++
	}
	used := f.end()
	if f.crowd == nil && used == nil { // nobody but the leader, who runs this, knows of the flight
		s.retire(f)
		s.Unlock()
		return
	}
	c := f.gather()
	o.shared = c.joined > 0
	successor, aside := c.successor, f.Aside()
	lasts := used != nil || len(c.joiners.blocks) > 0 || c.leader.ch != nil && s.group.copies(o)
	if lasts {
		c.landed, c.forgotten = true, aside
		s.flights.SetAside(&f.Entry)
	} else {
		if c.leader.ch != nil {
			o.send(c.leader.ch, true) // there is room, so this takes less time than to unlock and lock
		}
		s.retire(f)
	}
	if successor != nil {
		s.inherit(successor, aside)
	}
	if lasts {
		s.Unlock()
		if used != nil {
			used.Finish()
		}
		s.group.send(o, c)
		s.Lock()
		s.retire(f)
	}
	h, watch := c.handout, c.leader.watch // Wait may have made the handout meanwhile
	more := c.trace != nil || len(c.joiners.blocks) > 0
	if !more {
		s.disband(c)
	}
	s.Unlock()
	if successor != nil {
		successor.depart()
	}
	if h != nil {
		h.outcome = *o
		close(h.done)
	}
	// What follows calls what is the user's, so all callers are served before.
	if more {
		c.finish(o.err)
	} else if watch != nil {
		s.endWatch(watch)
	}
}

// cannotDeliver reports whether a panic of the flight's function could be given
// to nobody, or not to all: a channel caller can't be made to panic.
func (f *flight[K, V]) cannotDeliver() bool {
	c := f.crowd
	return c != nil && (c.callers == 0 || c.listening())
}

// finish does for the crowd of a flight that has landed what is done last.
func (c *crowd[K, V]) finish(err error) {
	if c.trace == nil {
		c.endWatches()
	} else {
		c.trace.landed(int(1+c.joined), int(1+c.joined-c.callers), err, c.endWatches)
	}
	c.shard.Lock()
	c.shard.disband(c)
	c.shard.Unlock()
}

// end ends the flight's life: nobody detaches any more, and no call belongs to
// the flight. It returns the context if that must be finished without the lock.
func (f *flight[K, V]) end() (used *waitfor.Context) {
	if f.crowd != nil {
		f.crowd.life++
	}
	if f.context != nil && f.context.Land() {
		return f.context
	}
	return nil
}

// inherit puts the successor of a flight that has left the table in its place.
func (s *shard[K, V]) inherit(successor *flight[K, V], aside bool) {
	successor.crowd.predecessor = nil
	successor.since = now()
	s.counters.waiting--
	if aside {
		s.flights.InsertAside(&successor.Entry)
	} else {
		s.flights.Insert(&successor.Entry)
	}
}

// detach takes a caller off its flight because its context has ended, or a hook
// broke it off. It reports false if the flight has landed before: then the
// caller gets the outcome. A channel caller comes with its listener; it is sent
// err, unless that is nil because it never got its channel.
func (c *call[K, V]) detach(l listener[K, V], err error) bool {
	s := c.crowd.shard
	s.Lock()
	if c.crowd.life != c.life || l.watch != nil && l.watch.left {
		s.Unlock()
		return false
	}
	f := c.crowd.flight
	c.crowd.callers--
	s.counters.detached++
	if c.leads {
		f.context.LeaderLeft()
		c.crowd.leader = listener[K, V]{}
	} else if l.ch != nil {
		c.crowd.joiners.remove(l)
	}
	if c.edge != nil {
		c.edge.Leave()
	}
	if l.watch != nil {
		l.watch.left, l.watch.stop = true, nil
	}
	if l.ch != nil && err != nil {
		l.ch <- Result[V]{Err: err} // before the flight can land without this caller
	}
	if c.crowd.callers == 0 {
		f.abandon()
	} else {
		s.Unlock()
	}
	return true
}

// abandon is what happens to a flight when its last caller has detached: a
// successor that waits is dropped, and a flight that runs is cancelled, if the
// options say so. It lets go of the lock.
func (f *flight[K, V]) abandon() {
	s := f.shard
	s.counters.abandoned++
	switch {
	case f.waits():
		f.drop()
	case s.group.Options.CancelAbandoned:
		f.crowd.cancelled = true
		context := f.context // there is one: the leader could detach
		s.Unlock()
		context.End(ErrAbandoned)
	default: // it runs on, and can be joined again
		s.Unlock()
	}
}

// drop ends a successor that waits. It lets go of the lock.
func (f *flight[K, V]) drop() {
	s := f.shard
	s.counters.waiting--
	s.counters.dropped++
	f.crowd.predecessor.crowd.successor = nil
	h, used := f.crowd.handout, f.end()
	s.disband(f.crowd)
	s.giveBack(f)
	s.Unlock()
	if used != nil {
		used.Finish()
	}
	if h != nil {
		close(h.done)
	}
}
