package singleflight

import (
	"context"
	"slices"
)

// A watch lets a channel caller detach when its context ends. But for what is
// guarded as a queue is, its fields don't change while the caller waits.
type watch[K comparable, V any] struct {
	call[K, V]
	ch         chan Result[V]
	ctx        context.Context
	leave      func()       // contextEnded
	stop       func() bool  // ends the watch over ctx; guarded
	left       bool         // the caller has detached; guarded
	prev, next *watch[K, V] // in the queue, unless the caller leads; guarded. endWatches uses next for all
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
			w.detach(nil, w, nil)
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
	err := endOf(w.ctx)
	if w.detach(nil, w, err) && w.trace != nil {
		w.trace.detached(w.ctx, err)
	}
}

// A line is where the channel callers of a flight wait.
type line[K comparable, V any] struct {
	leader chan Result[V] // nil if the leader is none, or has detached
	joined *queue[K, V]   // nil until a channel caller joins
}

func (l *line[K, V]) empty() bool { return l.leader == nil && l.joined.empty() }

// A queue is where those channel callers of a flight wait that joined it. The
// lock of the flight's shard guards it until the flight lands; then, but for
// sent and its neighbours, it belongs to the goroutine that lands the flight.
type queue[K comparable, V any] struct {
	// Those that can't detach, in blocks, so that none pays for those before it.
	// There is one in channels if there is any.
	channels []chan Result[V]
	full     [][]chan Result[V]

	last *watch[K, V] // of a ring of those that can

	sent       chan struct{} // closed when all Results are sent; made by the first that waits for that
	prev, next *queue[K, V]  // of those whose Results are being sent
}

// The first block of a queue has room for so many, and each other one for twice
// as many as the one before, up to the largest.
const (
	firstBlock   = 4
	largestBlock = 512
)

func (q *queue[K, V]) empty() bool { return q == nil || len(q.channels) == 0 && q.last == nil }

func (q *queue[K, V]) join(ch chan Result[V]) {
	if size := cap(q.channels); len(q.channels) == size {
		if size > 0 {
			q.full = append(q.full, q.channels)
		}
		q.channels = make([]chan Result[V], 0, min(max(2*size, firstBlock), largestBlock))
	}
	q.channels = append(q.channels, ch)
}

// leave undoes join: the last channel takes the place of the one that leaves.
func (q *queue[K, V]) leave(ch chan Result[V]) {
	last := len(q.channels) - 1
	for block, n := q.channels, len(q.full); ; block = q.full[n] {
		if i := slices.Index(block, ch); i >= 0 {
			block[i] = q.channels[last]
			break
		}
		n--
	}
	q.channels[last] = nil
	q.channels = q.channels[:last]
	if n := len(q.full) - 1; last == 0 && n >= 0 {
		q.channels, q.full = q.full[n], q.full[:n]
	}
}

func (q *queue[K, V]) joinWatched(w *watch[K, V]) {
	if q.last == nil {
		w.prev, w.next = w, w
	} else {
		w.prev, w.next = q.last, q.last.next
		w.prev.next, w.next.prev = w, w
	}
	q.last = w
}

// leaveWatched undoes joinWatched.
func (q *queue[K, V]) leaveWatched(w *watch[K, V]) {
	switch {
	case w.next == w:
		q.last = nil
	case w == q.last:
		q.last = w.prev
		fallthrough
	default:
		w.prev.next, w.next.prev = w.next, w.prev
	}
	w.prev, w.next = nil, nil
}

// open makes the ring of those that can detach a list and returns its first.
func (q *queue[K, V]) open() *watch[K, V] {
	if q == nil || q.last == nil {
		return nil
	}
	first := q.last.next
	q.last.next = nil
	return first
}

// beginSending lets Wait know of a flight that has left the table while its
// Results are being sent. The Result of a leader, where nobody else gets one and
// it is no copy, is sent under the lock instead: that takes less time.
func (s *shard[K, V]) beginSending(q *queue[K, V]) *queue[K, V] {
	if q == nil {
		q = s.newQueue()
	}
	more := s.extras()
	if q.next = more.sending; q.next != nil {
		q.next.prev = q
	}
	more.sending = q
	return q
}

// endSending is called when all Results are sent. It keeps a small queue for use
// again.
func (s *shard[K, V]) endSending(q *queue[K, V]) {
	s.Lock()
	if q.next != nil {
		q.next.prev = q.prev
	}
	if q.prev != nil {
		q.prev.next = q.next
	} else {
		s.more.sending = q.next
	}
	sent, channels := q.sent, q.channels
	if len(q.full) > 0 {
		channels = nil
	}
	clear(channels)
	*q = queue[K, V]{channels: channels[:0]}
	s.more.spareQueues.give(q)
	s.Unlock()
	if sent != nil {
		close(sent)
	}
}

// waitable returns a channel that is closed when all Results are sent.
func (q *queue[K, V]) waitable() <-chan struct{} {
	if q.sent == nil {
		q.sent = make(chan struct{})
	}
	return q.sent
}

// send hands the outcome out to the leader, to those of the queue, and to those
// that can detach, given by the first of their list. It returns when all have
// their Results.
func (g *Group[K, V]) send(o *outcome[V], leader chan Result[V], joined *queue[K, V], watched *watch[K, V]) {
	if g.copies(o) {
		sent := make(chan struct{})
		go g.sendCopies(o.val, leader, joined.all(watched), sent)
		<-sent
		return
	}
	if leader != nil {
		o.send(leader, true)
	}
	for _, block := range joined.full {
		sendAll(o, block)
	}
	sendAll(o, joined.channels)
	for w := watched; w != nil; w = w.next {
		o.send(w.ch, false)
	}
}

func sendAll[V any](o *outcome[V], joined []chan Result[V]) {
	for _, ch := range joined {
		o.send(ch, false)
	}
}

// all returns the channels of all that joined.
func (q *queue[K, V]) all(watched *watch[K, V]) []chan Result[V] {
	all := append(slices.Concat(q.full...), q.channels...)
	for w := watched; w != nil; w = w.next {
		all = append(all, w.ch)
	}
	return all
}

// sendCopies sends each a copy of val, and closes sent. It has a goroutine of
// its own, since Clone may end that by runtime.Goexit; then another one goes
// on with the next.
func (g *Group[K, V]) sendCopies(val V, leader chan Result[V], joined []chan Result[V], sent chan<- struct{}) {
	defer func() {
		if leader != nil || len(joined) > 0 {
			go g.sendCopies(val, leader, joined, sent)
		} else {
			close(sent)
		}
	}()
	if ch := leader; ch != nil {
		leader = nil
		g.sendCopy(val, ch, true)
	}
	for len(joined) > 0 {
		ch := joined[0]
		joined = joined[1:]
		g.sendCopy(val, ch, false)
	}
}

func (g *Group[K, V]) sendCopy(val V, ch chan<- Result[V], leads bool) {
	o := outcome[V]{ending: exited, shared: true}
	defer func() {
		if o.ending != returned {
			o.fail(recover())
		}
		if o.ending == panicked && !g.opts.Recover {
			crash(o.err)
		}
		o.send(ch, leads)
	}()
	o.val = g.opts.Clone(val)
	o.ending = returned
}

// endWatches ends the watches of the leader and of those that joined, and keeps
// some for use again: those that nothing can reach any more. If the user's
// context of one panics, those of the others are ended all the same.
func (s *shard[K, V]) endWatches(leader, joined *watch[K, V]) {
	if leader != nil {
		leader.next, joined = joined, leader
	}
	defer func() {
		if joined != nil {
			s.endWatches(nil, joined)
		}
	}()
	for spared := 0; joined != nil; {
		w := joined
		joined = w.next
		if w.end() && spared < maxSpares {
			spared++
			s.Lock()
			s.extras().spareWatches.give(w)
			s.Unlock()
		}
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
