package singleflight

import (
	"context"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A place is where a channel caller waits. The lock of the flight's shard
// guards it until the flight lands; then it belongs to the goroutine that lands
// it.
type place[K comparable, V any] struct {
	ch         chan Result[V] // doesn't change
	watch      *watch[K, V]   // doesn't change; nil if the caller can't detach
	prev, next *place[K, V]
}

// newPlace returns a place for c on f.
func (s *shard[K, V]) newPlace(f *flight[K, V], c *call[K, V]) *place[K, V] {
	if c.done != nil {
		return &s.newWatch(f, c).place
	}
	p := s.sparePlaces.take()
	if p == nil {
		p = new(place[K, V])
	}
	p.ch = c.ch
	return p
}

// A watch is a place whose caller detaches when its context ends. But for what
// is guarded as the place is, its fields don't change while the caller waits.
type watch[K comparable, V any] struct {
	place  place[K, V]
	flight *flight[K, V]
	ctx    context.Context
	leads  bool
	edge   *waitfor.Call
	trace  *tracing[K]
	leave  func()      // detach
	stop   func() bool // ends the watch over ctx; guarded
	left   bool        // the caller has detached; guarded
}

// newWatch returns a place for c on f with a watch over the context, which
// begin begins.
func (s *shard[K, V]) newWatch(f *flight[K, V], c *call[K, V]) *watch[K, V] {
	w := s.spareWatches.take()
	if w == nil {
		w = new(watch[K, V])
		w.leave = func() { w.detach() }
	}
	w.place.ch, w.place.watch = c.ch, w
	w.flight, w.ctx, w.leads, w.edge, w.trace = f, c.ctx, c.leads, c.edge, c.trace
	return w
}

// begin lets the caller detach from now on.
func (w *watch[K, V]) begin() {
	stop := context.AfterFunc(w.ctx, w.leave) // calls the user's context, so no lock is held
	w.flight.shard.Lock()
	begun := !w.left && !w.flight.landed
	if begun {
		w.stop = stop
	}
	w.flight.shard.Unlock()
	if !begun {
		stop()
	}
}

// detach takes the caller off the flight, since its context has ended, unless
// the flight has landed before.
func (w *watch[K, V]) detach() {
	if !w.flight.detach(w.leads, w.edge, &w.place) {
		return
	}
	err := w.ctx.Err()
	w.place.ch <- Result[V]{Err: err}
	if w.trace != nil {
		w.trace.detached(w.ctx, err)
	}
}

// A line is where the channel callers of a flight wait, in the order of their
// arrival.
type line[K comparable, V any] struct {
	first, last *place[K, V]
}

func (l *line[K, V]) add(p *place[K, V]) {
	if l.last == nil {
		l.first = p
	} else {
		l.last.next, p.prev = p, l.last
	}
	l.last = p
}

// leave takes a place out of the line.
func (l *line[K, V]) leave(p *place[K, V]) {
	if p.prev == nil {
		l.first = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.last = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.prev, p.next = nil, nil
	if p.watch != nil {
		p.watch.left, p.watch.stop = true, nil
	}
}

// send hands the outcome out, to the flight's leader perhaps first. It returns
// when all have their Results.
func (l line[K, V]) send(g *Group[K, V], o *outcome[V], leaderFirst bool) {
	if l.first != nil && g.copies(o) {
		sent := make(chan struct{})
		go l.first.sendCopies(g, o.val, leaderFirst, sent)
		<-sent
		return
	}
	for p := l.first; p != nil; p = p.next {
		p.send(o, leaderFirst)
		leaderFirst = false
	}
}

func (p *place[K, V]) send(o *outcome[V], leads bool) {
	p.ch <- Result[V]{o.val, o.err, o.shared, leads}
}

// sendCopies sends a copy of val to p and to each place after it, and closes
// sent. It has a goroutine of its own, since Clone may end that by
// runtime.Goexit; then another one goes on with the next place.
func (p *place[K, V]) sendCopies(g *Group[K, V], val V, leads bool, sent chan<- struct{}) {
	defer func() {
		if p == nil {
			close(sent)
		} else {
			go p.next.sendCopies(g, val, false, sent)
		}
	}()
	for ; p != nil; p = p.next {
		p.sendCopy(g, val, leads)
		leads = false
	}
}

func (p *place[K, V]) sendCopy(g *Group[K, V], val V, leads bool) {
	o := outcome[V]{shared: true, ending: exited}
	defer func() {
		if o.ending != returned {
			o.fail(recover())
		}
		if o.ending == panicked && !g.opts.Recover {
			crash(o.err)
		}
		p.send(&o, leads)
	}()
	o.val = g.opts.Clone(val)
	o.ending = returned
}

// clear ends the watches over the callers' contexts and keeps some of the
// places for use again: those that no watch can reach any more.
func (l line[K, V]) clear(s *shard[K, V]) {
	var spare line[K, V]
	for n := 0; l.first != nil; {
		p := l.first
		l.first = p.next
		w := p.watch
		if w != nil && (w.stop == nil || !w.stop()) || n == maxSpares {
			continue
		}
		n++
		if w == nil {
			*p = place[K, V]{}
		} else {
			*w = watch[K, V]{leave: w.leave}
			p.watch = w
		}
		spare.add(p)
	}
	if spare.first != nil {
		s.recyclePlaces(spare)
	}
}

func (s *shard[K, V]) recyclePlaces(l line[K, V]) {
	s.Lock()
	defer s.Unlock()
	for p := l.first; p != nil; {
		next := p.next
		p.prev, p.next = nil, nil
		if p.watch != nil {
			s.spareWatches.give(p.watch)
		} else {
			s.sparePlaces.give(p)
		}
		p = next
	}
}
