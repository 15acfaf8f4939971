package singleflight

import (
	"cmp"
	"context"
)

// A place is where a channel caller waits. The lock of the flight's shard
// guards it until the flight lands; then it belongs to the goroutine that lands
// it.
type place[K comparable, V any] struct {
	ch         chan Result[V] // doesn't change
	watch      *watch[K, V]   // doesn't change; nil if the caller can't detach
	prev, next *place[K, V]
}

// newPlace returns a place for a, which joins.
func (s *shard[K, V]) newPlace(a *arrival[K, V]) *place[K, V] {
	if a.done != nil {
		w := s.newWatch(a)
		w.place.ch, w.place.watch = a.ch, w
		return &w.place
	}
	p := s.extras().sparePlaces.take()
	if p == nil {
		p = new(place[K, V])
	}
	p.ch = a.ch
	return p
}

// A watch lets a channel caller detach when its context ends. But for what is
// guarded as a place is, its fields don't change while the caller waits.
type watch[K comparable, V any] struct {
	call[K, V]
	place place[K, V] // unless the caller leads
	ch    chan Result[V]
	ctx   context.Context
	leave func()      // contextEnded
	stop  func() bool // ends the watch over ctx; guarded
	left  bool        // the caller has detached; guarded
}

// newWatch returns a watch over a, which knows its flight. It begins with begin.
func (s *shard[K, V]) newWatch(a *arrival[K, V]) *watch[K, V] {
	w := s.extras().spareWatches.take()
	if w == nil {
		w = new(watch[K, V])
		w.leave = w.contextEnded
	}
	w.call, w.ch, w.ctx = a.call, a.ch, a.ctx
	return w
}

// begin lets the caller detach from now on. If the user's context panics, the
// caller leaves the flight at once.
func (w *watch[K, V]) begin() {
	asked := false
	defer func() {
		if !asked {
			w.detachWith(nil)
		}
	}()
	stop := context.AfterFunc(w.ctx, w.leave) // calls the user's context, so no lock is held
	asked = true
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

// contextEnded takes the caller off the flight, unless that has landed before.
func (w *watch[K, V]) contextEnded() {
	err := cmp.Or(w.ctx.Err(), context.Canceled) // a context of the user's may be late
	if w.detachWith(err) && w.trace != nil {
		w.trace.detached(w.ctx, err)
	}
}

// detachWith is detach of a caller with a watch.
func (w *watch[K, V]) detachWith(err error) bool {
	if w.leads {
		return w.detach(nil, w, err)
	}
	return w.detach(&w.place, w, err)
}

// A line is where the channel callers of a flight wait.
type line[K comparable, V any] struct {
	leader chan Result[V] // nil if the leader is none, or has detached
	last   *place[K, V]   // of a ring of those that joined, in the order of their arrival
}

func (l *line[K, V]) empty() bool { return l.leader == nil && l.last == nil }

func (l *line[K, V]) join(p *place[K, V]) {
	if l.last == nil {
		p.prev, p.next = p, p
	} else {
		p.prev, p.next = l.last, l.last.next
		p.prev.next, p.next.prev = p, p
	}
	l.last = p
}

func (l *line[K, V]) leave(p *place[K, V]) {
	switch {
	case p.next == p:
		l.last = nil
	case p == l.last:
		l.last = p.prev
		fallthrough
	default:
		p.prev.next, p.next.prev = p.next, p.prev
	}
	p.prev, p.next = nil, nil
}

// open makes the ring a list and returns the first of those that joined.
func (l *line[K, V]) open() *place[K, V] {
	if l.last == nil {
		return nil
	}
	first := l.last.next
	l.last.next = nil
	return first
}

// beginSending lets Wait know of a flight that has left the table while its
// Results are being sent. A Result that is the only one is sent under the lock
// instead: that can't block, and takes less time.
func (s *shard[K, V]) beginSending(h *handout[V]) *handout[V] {
	if h == nil {
		h = s.newHandout()
	}
	more := s.extras()
	if more.sending == nil {
		more.sending = make(map[*handout[V]]struct{})
	}
	more.sending[h] = struct{}{}
	return h
}

func (s *shard[K, V]) endSending(h *handout[V]) {
	s.Lock()
	defer s.Unlock()
	more := s.more
	if delete(more.sending, h); len(more.sending) == 0 {
		more.sending = nil // a map keeps the size that it had
	}
}

// send hands the outcome out to the leader and those that joined. It returns
// when all have their Results.
func (g *Group[K, V]) send(o *outcome[V], leader chan Result[V], joined *place[K, V]) {
	if g.copies(o) {
		sent := make(chan struct{})
		go g.sendCopies(o.val, leader, joined, sent)
		<-sent
		return
	}
	if leader != nil {
		leader <- Result[V]{o.val, o.err, o.shared, true}
	}
	for p := joined; p != nil; p = p.next {
		p.ch <- Result[V]{o.val, o.err, o.shared, false}
	}
}

// sendCopies sends each a copy of val, and closes sent. It has a goroutine of
// its own, since Clone may end that by runtime.Goexit; then another one goes
// on with the next.
func (g *Group[K, V]) sendCopies(val V, leader chan Result[V], joined *place[K, V], sent chan<- struct{}) {
	defer func() {
		if leader != nil || joined != nil {
			go g.sendCopies(val, leader, joined, sent)
		} else {
			close(sent)
		}
	}()
	if ch := leader; ch != nil {
		leader = nil
		g.sendCopy(val, ch, true)
	}
	for p := joined; p != nil; p = joined {
		joined = p.next
		g.sendCopy(val, p.ch, false)
	}
}

func (g *Group[K, V]) sendCopy(val V, ch chan<- Result[V], leads bool) {
	o := outcome[V]{ending: exited}
	defer func() {
		if o.ending != returned {
			o.fail(recover())
		}
		if o.ending == panicked && !g.opts.Recover {
			crash(o.err)
		}
		ch <- Result[V]{o.val, o.err, true, leads}
	}()
	o.val = g.opts.Clone(val)
	o.ending = returned
}

// endWatches ends the watches of the leader and of those that joined, and keeps
// some watches and places for use again: those that nothing can reach any more.
// If the user's context of one panics, those of the others are ended all the
// same.
func (s *shard[K, V]) endWatches(leader *watch[K, V], joined *place[K, V]) {
	defer func() {
		if joined != nil {
			s.endWatches(nil, joined)
		}
	}()
	if leader != nil && leader.end() {
		s.Lock()
		s.extras().spareWatches.give(leader)
		s.Unlock()
	}
	for n := 0; joined != nil; {
		p := joined
		joined = p.next
		w := p.watch
		if w != nil && !w.end() || n == maxSpares {
			continue
		}
		n++
		s.Lock()
		if w != nil {
			s.extras().spareWatches.give(w)
		} else {
			*p = place[K, V]{}
			s.extras().sparePlaces.give(p)
		}
		s.Unlock()
	}
}

// end ends the watch, after the landing. It reports whether the watch can be
// used again: not if it is just beginning, or if the caller is detaching, too
// late.
func (w *watch[K, V]) end() bool {
	if w.stop == nil || !w.stop() {
		return false
	}
	*w = watch[K, V]{leave: w.leave}
	return true
}
