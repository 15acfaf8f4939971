package singleflight

import (
	"context"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A place is where a channel caller waits. Where nothing else is said its
// fields are guarded by the lock of the flight's shard until the flight lands,
// and then belong to the goroutine that lands it.
type place[K comparable, V any] struct {
	flight *flight[K, V]   // doesn't change
	ch     chan Result[V]  // doesn't change
	leads  bool            // doesn't change
	ctx    context.Context // doesn't change; nil if the caller can't detach
	edge   *waitfor.Call   // doesn't change
	trace  *tracing[K]     // doesn't change; the flight's

	leave func()      // detach
	stop  func() bool // ends the watch over ctx
	left  bool        // the caller has detached

	prev, next *place[K, V]
}

// newPlace returns a place for c on f.
func (s *shard[K, V]) newPlace(f *flight[K, V], c *call[K, V]) *place[K, V] {
	p := s.sparePlaces.take()
	if p == nil {
		p = new(place[K, V])
		p.leave = p.detach
	}
	p.flight, p.ch, p.leads, p.edge, p.trace = f, c.ch, c.leads, c.edge, c.trace
	if c.done != nil {
		p.ctx = c.ctx
	}
	return p
}

// watch lets the caller detach when ctx ends.
func (p *place[K, V]) watch(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.leave) // calls the user's context, so no lock is held
	f := p.flight
	f.shard.Lock()
	watching := !p.left && !f.landed
	if watching {
		p.stop = stop
	}
	f.shard.Unlock()
	if !watching {
		stop()
	}
}

// detach takes the caller off the flight, since its context has ended.
func (p *place[K, V]) detach() {
	if p.flight.detach(p.leads, p.edge, p) {
		err := p.ctx.Err()
		p.ch <- Result[V]{Err: err}
		if p.trace != nil {
			p.trace.detached(p.ctx, err)
		}
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

func (l *line[K, V]) remove(p *place[K, V]) {
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
}

// send hands the outcome out. It returns when all have their Results.
func (l line[K, V]) send(g *Group[K, V], o *outcome[V]) {
	if l.first != nil && g.copies(o) {
		sent := make(chan struct{})
		go l.first.sendCopies(g, o.val, sent)
		<-sent
		return
	}
	for p := l.first; p != nil; p = p.next {
		p.send(o)
	}
}

func (p *place[K, V]) send(o *outcome[V]) {
	p.ch <- Result[V]{o.val, o.err, o.shared, p.leads}
}

// sendCopies sends a copy of val to p and to each place after it, and closes
// sent. It has a goroutine of its own, since Clone may end that by
// runtime.Goexit; then another one goes on with the next place.
func (p *place[K, V]) sendCopies(g *Group[K, V], val V, sent chan<- struct{}) {
	defer func() {
		if p == nil {
			close(sent)
		} else {
			go p.next.sendCopies(g, val, sent)
		}
	}()
	for ; p != nil; p = p.next {
		p.sendCopy(g, val)
	}
}

func (p *place[K, V]) sendCopy(g *Group[K, V], val V) {
	o := outcome[V]{shared: true, ending: exited}
	defer func() {
		if o.ending != returned {
			o.fail(recover())
		}
		if o.ending == panicked && !g.opts.Recover {
			crash(o.err)
		}
		p.send(&o)
	}()
	o.val = g.opts.Clone(val)
	o.ending = returned
}

// clear ends the watches over the callers' contexts and keeps some of the
// places for use again: those that no watch can reach any more.
func (l line[K, V]) clear(s *shard[K, V]) {
	var spare *place[K, V]
	for n := 0; l.first != nil; {
		p := l.first
		l.first = p.next
		reachable := p.ctx != nil && (p.stop == nil || !p.stop())
		if !reachable && n < maxSpares {
			*p = place[K, V]{leave: p.leave, next: spare}
			spare = p
			n++
		}
	}
	if spare == nil {
		return
	}
	s.Lock()
	defer s.Unlock()
	for spare != nil {
		next := spare.next
		spare.next = nil
		s.sparePlaces.give(spare)
		spare = next
	}
}
