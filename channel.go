package singleflight

import (
	"context"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A channelCaller is a caller that gets its outcome through a channel. Where
// nothing else is said its fields are guarded by the lock of the flight's
// shard until the flight lands; from then on they belong to the goroutine that
// lands it.
type channelCaller[K comparable, V any] struct {
	flight     *flight[K, V]   // doesn't change
	ctx        context.Context // doesn't change; nil for DoChan
	edge       *waitfor.Call   // doesn't change
	leads      bool            // doesn't change
	ch         chan Result[V]
	left       bool        // it has detached
	stop       func() bool // ends the watch over ctx
	prev, next *channelCaller[K, V]
}

// channelCallers are the channel callers on a flight, in the order of their
// arrival.
type channelCallers[K comparable, V any] struct {
	first, last *channelCaller[K, V]
}

func (cs *channelCallers[K, V]) add(c *channelCaller[K, V]) {
	if cs.last == nil {
		cs.first = c
	} else {
		cs.last.next, c.prev = c, cs.last
	}
	cs.last = c
}

func (cs *channelCallers[K, V]) remove(c *channelCaller[K, V]) {
	if c.prev == nil {
		cs.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		cs.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// watch lets the caller detach when its context ends.
func (c *channelCaller[K, V]) watch() {
	// This may call methods of the user's context, so not under the lock.
	stop := context.AfterFunc(c.ctx, c.detach)
	s := c.flight.shard
	s.Lock()
	if !c.left && !c.flight.landed {
		c.stop = stop
		stop = nil
	}
	s.Unlock()
	if stop != nil {
		stop()
	}
}

// detach takes the caller off the flight, since its context has ended.
func (c *channelCaller[K, V]) detach() {
	if c.flight.detach(c.leads, c.edge, c) {
		c.ch <- Result[V]{Err: c.ctx.Err()}
	}
}

// send hands the outcome out to the callers. It returns when all have their
// Results.
func (cs channelCallers[K, V]) send(g *Group[K, V], o *outcome[V]) {
	if cs.first != nil && g.copies(o) {
		sent := make(chan struct{})
		go cs.first.sendCopies(g, o.val, sent)
		<-sent
		return
	}
	for c := cs.first; c != nil; c = c.next {
		c.send(o)
	}
}

func (c *channelCaller[K, V]) send(o *outcome[V]) {
	c.ch <- Result[V]{o.val, o.err, o.shared, c.leads}
}

// sendCopies sends a copy of val to c and to each caller after it, and closes
// sent. It has a goroutine of its own, since Clone may end that by
// runtime.Goexit; then another one goes on with the next caller.
func (c *channelCaller[K, V]) sendCopies(g *Group[K, V], val V, sent chan<- struct{}) {
	defer func() {
		if c == nil {
			close(sent)
		} else {
			go c.next.sendCopies(g, val, sent)
		}
	}()
	for ; c != nil; c = c.next {
		c.sendCopy(g, val)
	}
}

func (c *channelCaller[K, V]) sendCopy(g *Group[K, V], val V) {
	o := outcome[V]{shared: true, ending: exited}
	defer func() {
		if o.ending != returned {
			o.fail(recover())
		}
		if o.ending == panicked && !g.opts.Recover {
			crash(o.err)
		}
		c.send(&o)
	}()
	o.val = g.opts.Clone(val)
	o.ending = returned
}

// release ends the watches over the callers' contexts, and lets go of what the
// callers refer to: one of them may be part of a flight whose context somebody
// keeps.
func (cs channelCallers[K, V]) release() {
	for c := cs.first; c != nil; {
		next, stop := c.next, c.stop
		c.ch, c.stop, c.prev, c.next = nil, nil, nil, nil
		if stop != nil {
			stop()
		}
		c = next
	}
}
