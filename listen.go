package singleflight

import (
	"context"
	"slices"
)

// A listener is a channel caller.
type listener[K comparable, V any] struct {
	ch    chan Result[V]
	watch *watch[K, V] // nil if the caller can't detach
}

// listen puts a channel caller that has just arrived into the crowd.
func (f *flight[K, V]) listen(leads bool, l listener[K, V]) {
	if leads {
		f.crowd.leader = l
	} else {
		f.crowd.joiners.add(l)
	}
}

// listening reports whether there are channel callers.
func (c *crowd[K, V]) listening() bool {
	return c.leader.ch != nil || len(c.joiners.blocks) > 0
}

// listeners are channel callers in blocks, none of which is empty. A block never
// moves, so that no caller pays for those before it.
type listeners[K comparable, V any] struct {
	blocks [][]listener[K, V]
}

// The first block has room for so many, and each other one for twice as many as
// the one before, up to the largest.
const (
	firstBlock   = 4
	largestBlock = 512
)

func (q *listeners[K, V]) add(l listener[K, V]) {
	n := len(q.blocks)
	if n == 0 || len(q.blocks[n-1]) == cap(q.blocks[n-1]) {
		size := firstBlock
		if n > 0 {
			size = min(2*cap(q.blocks[n-1]), largestBlock)
		}
		q.blocks = append(q.blocks, make([]listener[K, V], 0, size))
		n++
	}
	block := append(q.blocks[n-1], l)
	q.blocks[n-1] = block
	if l.watch != nil {
		l.watch.place = &block[len(block)-1]
	}
}

// remove undoes add: the last listener takes the place of the one that leaves.
func (q *listeners[K, V]) remove(l listener[K, V]) {
	place := q.place(l)
	n := len(q.blocks) - 1
	block := q.blocks[n]
	last := len(block) - 1
	*place = block[last]
	if place.watch != nil {
		place.watch.place = place
	}
	block[last] = listener[K, V]{}
	q.blocks[n] = block[:last]
	if last == 0 {
		q.blocks[n] = nil
		q.blocks = q.blocks[:n]
	}
}

func (q *listeners[K, V]) place(l listener[K, V]) *listener[K, V] {
	if l.watch != nil {
		return l.watch.place
	}
	for _, block := range q.blocks { // only if a Join hook broke the caller off
		if i := slices.Index(block, l); i >= 0 {
			return &block[i]
		}
	}
	panic("singleflight: a listener is in no block")
}

// A rest is what is left of listeners that are taken one after another, whatever
// goes wrong with one of them.
type rest[K comparable, V any] struct {
	block  []listener[K, V]
	blocks [][]listener[K, V]
}

func (q *listeners[K, V]) all() rest[K, V] { return rest[K, V]{blocks: q.blocks} }

// next takes a listener; there is none left if it has no channel.
func (r *rest[K, V]) next() (l listener[K, V]) {
	for len(r.block) == 0 {
		if len(r.blocks) == 0 {
			return l
		}
		r.block, r.blocks = r.blocks[0], r.blocks[1:]
	}
	l, r.block = r.block[0], r.block[1:]
	return l
}

// A watch lets a channel caller detach when its context ends. Of its fields,
// those that change while the caller waits are guarded by the flight's shard.
type watch[K comparable, V any] struct {
	call[K, V]
	listener[K, V]
	ctx   context.Context
	leave func()          // contextEnded; bound once
	stop  func() bool     // ends the watch over ctx; guarded, and after the landing the lander's
	left  bool            // the caller has detached; guarded
	place *listener[K, V] // among those that joined; guarded
}

// newWatch returns a watch over ctx for a channel caller that has just arrived.
func (c call[K, V]) newWatch(ctx context.Context, ch chan Result[V]) *watch[K, V] {
	s := c.crowd.shard
	w := s.spareWatch
	s.spareWatch = nil
	if w == nil {
		w = new(watch[K, V])
		w.leave = w.contextEnded
	}
	w.call, w.ch, w.ctx = c, ch, ctx
	w.watch = w
	return w
}

// begin lets the caller detach from now on. If the user's context panics, the
// caller leaves the flight at once.
func (w *watch[K, V]) begin() {
	asked := false
	defer func() {
		if !asked {
			w.detach(w.listener, nil)
		}
	}()
	stop := context.AfterFunc(w.ctx, w.leave) // calls the user's context, so no lock is held
	asked = true
	s := w.crowd.shard
	s.Lock()
	begun := !w.left && w.crowd.life == w.life
	if begun {
		w.stop = stop
	}
	s.Unlock()
	if !begun {
		stop()
	}
}

// contextEnded takes the caller off the flight, unless that has landed before.
func (w *watch[K, V]) contextEnded() {
	err := endOf(w.ctx)
	if w.detach(w.listener, err) && w.trace != nil {
		w.trace.detached(w.ctx, err)
	}
}

// endWatches ends the watches over the contexts of the callers of a flight that
// has landed. The contexts are the user's: if one panics, the others' watches are
// ended all the same.
func (c *crowd[K, V]) endWatches() {
	joiners := c.joiners.all()
	defer joiners.endWatches()
	if c.leader.watch != nil {
		c.shard.endWatch(c.leader.watch)
	}
}

// endWatches ends the watches of the listeners that are left.
func (r *rest[K, V]) endWatches() {
	all := false
	defer func() {
		if !all {
			r.endWatches()
		}
	}()
	for l := r.next(); l.ch != nil; l = r.next() {
		if l.watch != nil && l.watch.stop != nil {
			l.watch.stop()
		}
	}
	all = true
}

// endWatch ends the leader's watch and keeps it for use again if nothing can
// reach it any more: not if it is just beginning, or if the caller is detaching,
// too late.
func (s *shard[K, V]) endWatch(w *watch[K, V]) {
	if w.stop == nil || !w.stop() {
		return
	}
	*w = watch[K, V]{leave: w.leave}
	s.Lock()
	s.spareWatch = w
	s.Unlock()
}

// send hands the outcome out to the channel callers. It returns when all have
// their Results.
func (g *Group[K, V]) send(o *outcome[V], c *crowd[K, V]) {
	if g.copies(o) {
		sent := make(chan struct{})
		go g.sendCopies(o.val, c.leader.ch, c.joiners.all(), sent)
		<-sent
		return
	}
	if c.leader.ch != nil {
		o.send(c.leader.ch, true)
	}
	for _, block := range c.joiners.blocks {
		for _, l := range block {
			o.send(l.ch, false)
		}
	}
}

// sendCopies sends each a copy of val of its own, and closes sent. It runs on a
// goroutine made for that, since Clone may end it by runtime.Goexit; then
// another one goes on with the rest.
func (g *Group[K, V]) sendCopies(val V, leader chan Result[V], joiners rest[K, V], sent chan<- struct{}) {
	all := false
	defer func() {
		if all {
			close(sent)
		} else {
			go g.sendCopies(val, leader, joiners, sent)
		}
	}()
	if ch := leader; ch != nil {
		leader = nil
		g.sendCopy(val, ch, true)
	}
	for l := joiners.next(); l.ch != nil; l = joiners.next() {
		g.sendCopy(val, l.ch, false)
	}
	all = true
}

func (g *Group[K, V]) sendCopy(val V, ch chan<- Result[V], leads bool) {
	o := outcome[V]{ending: exited, shared: true}
	defer func() {
		if o.ending != returned {
			o.fail(recover())
		}
		if o.ending == panicked && !g.Options.Recover {
			crash(o.err)
		}
		o.send(ch, leads)
	}()
	o.val = g.Options.Clone(val)
	o.ending = returned
}
