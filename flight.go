package singleflight

import (
	"context"
	"runtime"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A flight's life: calls arrive, and the first of them leads; its function
// runs (fly); the outcome is handed out (land). The entry points differ in who
// runs the function and in how a caller gets the outcome. But for the shorter
// ways that the usual calls take they go through the same functions.

// A flight is one execution of a function for a key. Where nothing else is
// said its fields are guarded by the lock of its shard.
type flight[K comparable, V any] struct {
	inflight.Entry[K, flight[K, V]]
	shard   *shard[K, V]     // doesn't change
	context *waitfor.Context // doesn't change until the landing; nil unless the leader has one, or the flight is an extendedFlight
	more    *extras[K, V]    // doesn't change; nil if the flight needs none of it

	joined    int64 // callers that ever joined, so without the leader
	callers   int32 // on the flight now
	plain     bool  // nobody but the leader has touched the flight, and it has no extras
	apart     bool  // the function runs on a goroutine of its own
	cancelled bool  // abandoned and cancelled: joined by nobody any more
	landed    bool  // or dropped

	since   int64       // see Flight; in nanoseconds as of time.UnixNano, or 0
	handout *handout[V] // where blocking callers wait; made by the first that needs it
	line    line[K, V]  // where channel callers wait
}

// extras are what a flight has that may be cancelled, is a successor, has hooks,
// or is led by a channel caller that may detach.
type extras[K comparable, V any] struct {
	trace       *tracing[K]   // doesn't change until the landing; nil if the group has no Trace
	watch       *watch[K, V]  // over the context of the leader, if that is a channel caller
	successor   *flight[K, V] // waits for this flight, which was cancelled
	predecessor *flight[K, V] // this flight waits for it
	runner      *runner[K, V] // runs a successor
	turn        chan struct{} // closed when a successor may run, for the leader that runs it; doesn't change
}

// An extendedFlight is a flight with all that one can have, in one allocation.
type extendedFlight[K comparable, V any] struct {
	flight[K, V]
	waitfor.Context
	extras[K, V]
}

// successor returns the flight that waits for f, or nil.
func (f *flight[K, V]) successor() *flight[K, V] {
	if f.more == nil {
		return nil
	}
	return f.more.successor
}

// trace returns the flight's hooks, or nil.
func (f *flight[K, V]) trace() *tracing[K] {
	if f.more == nil {
		return nil
	}
	return f.more.trace
}

// waits reports whether f is a successor whose predecessor hasn't landed.
func (f *flight[K, V]) waits() bool {
	return f.more != nil && f.more.predecessor != nil
}

// A function is what the caller wants done: plain for Do and DoChan, bound to
// the flight's context for the others.
type function[V any] struct {
	plain func() (V, error)
	bound func(context.Context) (V, error)
}

// A runner runs a flight on a new goroutine. It is an object of its own, with
// its method bound once, so that starting the goroutine allocates nothing.
type runner[K comparable, V any] struct {
	flight *flight[K, V]
	fn     function[V]
	start  func() // run
}

func (r *runner[K, V]) run() {
	f, fn := r.flight, r.fn
	s := f.shard
	s.Lock()
	s.recycleRunner(r)
	s.Unlock()
	var o outcome[V]
	f.fly(fn, &o)
}

// An arrival is a call on its way to a flight: what one of the entry points was
// called with, and what came of it. It is never shared between goroutines.
type arrival[K comparable, V any] struct {
	ctx  context.Context // nil for Do and DoChan
	done <-chan struct{} // ctx.Done(); nil for a caller that can't detach
	fn   function[V]     // unset for a blocking caller that can't detach: what is stored here moves to the heap
	ch   chan Result[V]  // nil for a blocking caller

	asked bool             // from is known
	from  *waitfor.Context // the flight that the call belongs to

	call[K, V]
	watch  *watch[K, V]  // of a channel caller that may detach
	runner *runner[K, V] // to be started
}

// apart reports whether a flight that this call leads runs on a goroutine of
// its own, since the caller doesn't wait, or may stop waiting.
func (a *arrival[K, V]) apart() bool { return a.ch != nil || a.done != nil }

// watched reports whether this is a channel caller that may detach.
func (a *arrival[K, V]) watched() bool { return a.ch != nil && a.done != nil }

// A call is all that a caller that may detach keeps while it waits.
type call[K comparable, V any] struct {
	flight  *flight[K, V]
	handout *handout[V]   // nil for a channel caller, and for a leader that runs its function itself
	edge    *waitfor.Call // lets the flight that the call belongs to wait for flight
	trace   *tracing[K]   // the flight's
	leads   bool
}

// arrive puts a call on a flight: one that it leads, or one that it joins. It
// returns ErrDeadlock if it would close a cycle of flights that wait for each
// other.
func (g *Group[K, V]) arrive(key K, a *arrival[K, V]) error {
	hash := inflight.Hash(key)
	s := g.shard(hash)
	s.Lock()
	return s.arrive(hash, key, a)
}

// arrive is the rest of Group.arrive. The lock is held, and let go of.
func (s *shard[K, V]) arrive(hash uint64, key K, a *arrival[K, V]) error {
	verdict, unknown := s.board(hash, key, a)
	for verdict == waitfor.Unknown {
		s.Unlock() // contexts are the user's: they are asked without it
		if unknown != nil {
			unknown.Ask()
		} else {
			a.from, a.asked = waitfor.Of(a.ctx), true
		}
		s.Lock()
		verdict, unknown = s.board(hash, key, a)
	}
	s.Unlock()
	if verdict == waitfor.Refused {
		return ErrDeadlock
	}
	if a.runner != nil {
		go a.runner.start()
	}
	if a.trace != nil && !a.leads {
		a.traceJoin()
	}
	if a.watch != nil {
		a.watch.begin()
	}
	return nil
}

// Most calls lead a flight of a key that has none, and most others wait on a
// flight that has no extras. Unless they are watched they do without an arrival
// and what comes with it: that took half the time of an unshared Do, a tenth of
// that of DoChan callers that share a flight, and a sixth of the time of 1,000
// goroutines that share a flight by Do, whose stacks are young, so that what is
// used of them isn't in the cache yet. The rest of what follows is for the other
// blocking calls; DoChan has it in itself.

// leadHere is arrive, and all that follows, for a leader that can't leave, on a
// key that has no flight. The lock is held, and let go of.
func (s *shard[K, V]) leadHere(hash uint64, key K, ctx context.Context, fn function[V]) (v V, err error, shared bool) {
	f := s.newFlight(hash, key, ctx)
	s.launch(f)
	s.Unlock()
	var o outcome[V]
	f.fly(fn, &o)
	if o.ending == returned && !o.shared {
		return o.val, o.err, false
	}
	return s.group.result(&o)
}

// arriveToStay is arrive for a blocking caller that can't leave. It returns the
// flight, and where to wait for it; that is nil for a leader, who runs it. The
// lock is held, and let go of. It isn't inlined, so that the arrival is off the
// stack while the caller waits, or runs its function.
//
//go:noinline
func (s *shard[K, V]) arriveToStay(hash uint64, key K, ctx context.Context) (*flight[K, V], *handout[V], error) {
	a := arrival[K, V]{ctx: ctx}
	err := s.arrive(hash, key, &a)
	return a.flight, a.handout, err
}

// arriveToWait is arrive for a blocking caller that can leave. It isn't
// inlined, so that its variables are off the stack while the caller waits.
//
//go:noinline
func (g *Group[K, V]) arriveToWait(ctx context.Context, done <-chan struct{}, key K, fn func(context.Context) (V, error), c *call[K, V]) error {
	// Contexts are the user's: they are asked without the lock. A leader needn't
	// know, but 1,000 callers that share a flight take 3 % longer if each lets go
	// of the lock to ask, and takes it again.
	from := waitfor.Of(ctx)
	hash := inflight.Hash(key)
	s := g.shard(hash)
	s.Lock()
	f := s.flights.Find(hash, key)
	switch {
	case f == nil && !g.opts.CancelAbandoned:
		s.leadApart(hash, key, ctx, fn, c)
		return nil
	case f != nil && f.more == nil && (from == nil || f.context == nil):
		c.flight, c.handout = f, f.seat()
		s.Unlock()
		return nil
	default:
		a := arrival[K, V]{ctx: ctx, done: done, fn: function[V]{bound: fn}, asked: true, from: from}
		err := s.arrive(hash, key, &a)
		*c = a.call
		return err
	}
}

// leadApart is arrive for a leader that can leave, on a key that has no flight.
// The lock is held, and let go of.
func (s *shard[K, V]) leadApart(hash uint64, key K, ctx context.Context, fn func(context.Context) (V, error), c *call[K, V]) {
	f := s.newFlight(hash, key, ctx)
	s.launch(f)
	runner := f.flyApart(function[V]{bound: fn})
	f.handout = s.newHandout()
	c.flight, c.handout, c.trace, c.leads = f, f.handout, f.trace(), true
	s.Unlock()
	go runner.start()
}

// board finds the flight for a call. Unless the verdict is Granted it changes
// nothing. If it is Unknown, board wants to be called again when unknown has
// been asked, or, if that is nil, when the flight is known that the call
// belongs to.
func (s *shard[K, V]) board(hash uint64, key K, a *arrival[K, V]) (verdict waitfor.Verdict, unknown *waitfor.Context) {
	f := s.flights.Find(hash, key)
	if f == nil {
		if a.watched() || a.done != nil && s.group.opts.CancelAbandoned {
			f = s.newExtendedFlight(hash, key, a.ctx)
		} else {
			f = s.newFlight(hash, key, a.ctx)
		}
		s.launch(f)
		f.lead(a)
		return waitfor.Granted, nil
	}
	if joinable := f.joinable(); joinable != nil {
		return joinable.join(a)
	}
	return f.succeed(hash, key, a)
}

// joinable returns the flight that a call of f's key joins: f, or its
// successor if it was cancelled. That may be nil.
func (f *flight[K, V]) joinable() *flight[K, V] {
	if f.cancelled {
		return f.successor()
	}
	return f
}

// lead makes a the leader of a flight that was made for it.
func (f *flight[K, V]) lead(a *arrival[K, V]) {
	a.flight, a.leads, a.trace = f, true, f.trace()
	if !a.apart() {
		return
	}
	a.runner = f.flyApart(a.fn)
	if a.ch == nil {
		f.handout = f.shard.newHandout()
		a.handout = f.handout
		return
	}
	f.line.leader = a.ch
	if a.watched() {
		a.watch = f.shard.newWatch(a)
		f.more.watch = a.watch
	}
}

// flyApart returns what runs the flight on a goroutine of its own.
func (f *flight[K, V]) flyApart(fn function[V]) *runner[K, V] {
	f.plain, f.apart = f.more == nil, true
	return f.shard.newRunner(f, fn)
}

// join puts a on a flight that another caller leads. For the results see
// board.
func (f *flight[K, V]) join(a *arrival[K, V]) (verdict waitfor.Verdict, unknown *waitfor.Context) {
	// A flight without a context waits for nobody, so no cycle goes through it.
	if a.ctx != nil && f.context != nil {
		if !a.asked {
			return waitfor.Unknown, nil
		}
		if a.from != nil {
			if a.edge, verdict, unknown = waitfor.Join(a.from, f.context); verdict != waitfor.Granted {
				return verdict, unknown
			}
		}
	}
	a.flight, a.trace = f, f.trace()
	if a.ch == nil {
		a.handout = f.seat()
	} else if q := f.queue(); a.done == nil {
		q.join(a.ch)
	} else {
		a.watch = f.shard.newWatch(a)
		q.joinWatched(a.watch)
	}
	return waitfor.Granted, nil
}

// queue counts a channel caller that joins and returns where it waits.
func (f *flight[K, V]) queue() *queue[K, V] {
	f.addCaller()
	if f.line.joined == nil {
		f.line.joined = f.shard.newQueue()
	}
	return f.line.joined
}

// seat puts a blocking caller on the flight and returns where it waits.
func (f *flight[K, V]) seat() *handout[V] {
	f.addCaller()
	return f.waitable()
}

// addCaller counts a caller that joins.
func (f *flight[K, V]) addCaller() {
	f.callers++
	f.joined++
	f.shard.joined++
	if f.joined == 1 {
		f.knownSince(time.Now().UnixNano())
	}
}

// succeed makes a the leader of the cancelled flight's successor. For the
// results see board.
func (f *flight[K, V]) succeed(hash uint64, key K, a *arrival[K, V]) (verdict waitfor.Verdict, unknown *waitfor.Context) {
	if a.ctx != nil && !a.asked {
		return waitfor.Unknown, nil
	}
	successor := f.shard.newExtendedFlight(hash, key, a.ctx)
	if verdict, unknown = waitfor.Succeed(a.from, f.context, successor.context); verdict != waitfor.Granted {
		return verdict, unknown
	}
	f.more.successor, successor.more.predecessor = successor, f
	f.shard.led++
	f.shard.extras().counters.waiting++
	successor.lead(a)
	if a.apart() {
		successor.more.runner, a.runner = a.runner, nil // the landing of f starts it
	} else {
		successor.more.turn = make(chan struct{})
	}
	return waitfor.Granted, nil
}

// A handout is where a flight leaves its outcome for those who wait. It is
// apart from the flight, since the flight's context may be kept by anybody
// and must not keep the outcome alive.
type handout[V any] struct {
	done    chan struct{} // closed when the outcome is there and all Results are sent
	outcome outcome[V]    // not set if the flight was dropped
}

// waitable returns the flight's handout.
func (f *flight[K, V]) waitable() *handout[V] {
	f.plain = false
	if f.handout == nil {
		f.handout = f.shard.newHandout()
	}
	return f.handout
}

// result returns the flight's outcome to a blocking caller that has waited.
func (c *call[K, V]) result() (v V, err error, shared bool) {
	group := c.flight.shard.group
	if c.leads {
		o := c.handout.outcome
		c.flight.recycle(c.handout)
		return group.result(&o)
	}
	return group.result(&c.handout.outcome)
}

// recycle keeps the flight and its handout for use again, if only its leader
// was ever on it. The leader calls it when it has the outcome: nobody else
// refers to them then.
func (f *flight[K, V]) recycle(h *handout[V]) {
	if f.joined > 0 || f.more != nil {
		return
	}
	s := f.shard
	f.context, f.apart, f.landed = nil, false, false
	*h = handout[V]{}
	s.Lock()
	s.spareFlights.give(f)
	s.spareHandouts.give(h)
	s.Unlock()
}

// flyHere runs the flight's function on the goroutine of its leader, when its
// turn has come.
func (f *flight[K, V]) flyHere(fn function[V]) (v V, err error, shared bool) {
	if f.more != nil && f.more.turn != nil {
		<-f.more.turn
	}
	var o outcome[V]
	f.fly(fn, &o)
	return f.shard.group.result(&o)
}

// result returns an outcome to a blocking caller, on that caller's goroutine.
func (g *Group[K, V]) result(o *outcome[V]) (v V, err error, shared bool) {
	if o.ending != returned && !g.opts.Recover {
		if o.ending == panicked {
			panic(o.err)
		}
		runtime.Goexit()
	}
	if g.copies(o) {
		return g.opts.Clone(o.val), nil, true
	}
	return o.val, o.err, o.shared
}

// copies reports whether each caller gets a copy of the outcome's value.
func (g *Group[K, V]) copies(o *outcome[V]) bool {
	return o.shared && o.err == nil && g.opts.Clone != nil
}

// fly runs the flight's function on this goroutine and lands it. A panic goes
// on if the leader runs it and the options don't say otherwise; if the function
// calls runtime.Goexit, fly doesn't return.
func (f *flight[K, V]) fly(fn function[V], o *outcome[V]) {
	o.ending = exited
	defer func() {
		if o.ending == returned {
			return
		}
		o.fail(recover())
		f.shard.countPanic()
		if !f.apart && o.ending == panicked && !f.shard.group.opts.Recover {
			defer panic(o.err) // whatever a hook does
		}
		f.land(o)
	}()
	switch {
	case f.context == nil:
		o.val, o.err = fn.plain()
	case f.more == nil && f.shard.group.opts.FlightTimeout == 0: // what call does, in less time
		o.val, o.err = fn.bound(f.context)
	default:
		o.val, o.err = f.call(fn)
	}
	o.ending = returned
	f.land(o)
}

// call calls the function of a flight with a context or hooks.
func (f *flight[K, V]) call(fn function[V]) (V, error) {
	ctx := context.Background()
	bound := f.context.Leader != nil
	if bound {
		if timeout := f.shard.group.opts.FlightTimeout; timeout > 0 {
			f.context.SetTimeout(timeout)
		}
		ctx = f.context
	}
	if trace := f.trace(); trace != nil {
		ctx = trace.started(ctx)
	}
	if bound {
		return fn.bound(ctx)
	}
	return fn.plain()
}

// land ends a flight: its key leaves the table and its context ends, under one
// lock, so that nobody sees one of them before the other. Then a successor is
// started and the outcome handed out.
func (f *flight[K, V]) land(o *outcome[V]) {
	s := f.shard
	s.Lock()
	s.flights.Remove(&f.Entry)
	if f.plain && !f.apart {
		f.Clear()
		if f.context != nil {
			f.context.Land()
			f.context = nil
		}
		s.spareFlights.give(f)
		s.Unlock()
		return
	}
	if f.plain && o.ending == returned {
		f.landApart(o)
		return
	}
	o.shared = f.joined > 0
	group := s.group
	if o.ending == panicked && !group.opts.Recover && (f.callers == 0 || !f.line.empty()) {
		s.Unlock()
		crash(o.err)
	}
	successor := f.letGo()
	callers, detached := int(1+f.joined), int(1+f.joined-int64(f.callers))
	trace := f.trace()
	handout, line, watch := f.disembark()
	sending := !line.joined.empty() || line.leader != nil && group.copies(o)
	if sending {
		line.joined = s.beginSending(line.joined)
	} else if line.leader != nil {
		o.send(line.leader, true)
	}
	s.Unlock()

	if successor != nil {
		successor.depart()
	}
	watched := line.joined.open()
	if sending {
		group.send(o, line.leader, line.joined, watched)
	}
	if handout != nil {
		handout.outcome = *o
		close(handout.done)
	}
	if sending {
		s.endSending(line.joined)
	}
	// What follows calls what is the user's, so all callers are served before.
	if trace != nil {
		trace.landed(callers, detached, o.err, func() { s.endWatches(watch, watched) })
	} else if watch != nil || watched != nil {
		s.endWatches(watch, watched)
	}
}

// landApart is the rest of land for a flight that runs apart and that nobody
// but its leader has touched. It lets go of the shard's lock. With the steps for
// all flights instead, a DoContext with a context that can end takes 4 % longer.
func (f *flight[K, V]) landApart(o *outcome[V]) {
	s := f.shard
	f.Clear()
	if f.context != nil {
		f.context.Land()
		f.context = nil
	}
	f.apart = false
	if ch := f.line.leader; ch != nil {
		f.line.leader = nil
		s.spareFlights.give(f)
		o.send(ch, true)
		s.Unlock()
		return
	}
	handout := f.handout
	f.handout, f.landed = nil, true
	s.Unlock()
	handout.outcome = *o
	close(handout.done)
}

// letGo takes the successor off a flight that lands, and puts it in its place
// in the table.
func (f *flight[K, V]) letGo() *flight[K, V] {
	successor := f.successor()
	if successor == nil {
		return nil
	}
	f.more.successor, successor.more.predecessor = nil, nil
	f.shard.more.counters.waiting--
	if f.Aside() {
		f.shard.flights.InsertAside(&successor.Entry)
	} else {
		f.shard.flights.Insert(&successor.Entry)
	}
	return successor
}

// depart lets a successor run.
func (f *flight[K, V]) depart() {
	if turn := f.more.turn; turn != nil {
		close(turn)
	} else {
		go f.more.runner.start()
	}
}

// disembark marks a flight as landed, lets go of all that it refers to but its
// context, and returns those who wait for the outcome.
func (f *flight[K, V]) disembark() (handout *handout[V], waiting line[K, V], leader *watch[K, V]) {
	handout, waiting = f.handout, f.line
	f.handout, f.line, f.since = nil, line[K, V]{}, 0
	f.Clear()
	if f.more != nil {
		leader = f.more.watch
		f.more.watch, f.more.runner, f.more.trace = nil, nil, nil
	}
	if f.context != nil {
		f.context.Land()
	} else if f.joined == 0 {
		f.apart = false
		f.shard.spareFlights.give(f) // only its leader, who can't detach, was on it
		return handout, waiting, nil
	}
	f.landed = true
	return handout, waiting, leader
}
