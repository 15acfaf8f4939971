// Package singleflight merges identical concurrent calls into one.
//
// While a function runs for a key, a [Group] lets every further call with that
// key join it: all of them get the one outcome. It is the successor of
// golang.org/x/sync/singleflight, with types instead of interfaces, and with
// calls that end with the caller's context while the work goes on for the
// others.
//
// # Words
//
// A flight is one execution of a function for a key. It runs from the call of
// its function until it lands: the function has returned, panicked or called
// [runtime.Goexit], and the outcome is handed out.
//
// A caller is one call of [Group.Do], [Group.DoChan], [Group.DoContext] or
// [Group.DoChanContext]. The leader is the caller whose function the flight
// runs; the others that share it have joined it. The callers of Do and
// DoContext are blocking callers, those of DoChan and DoChanContext channel
// callers.
//
// A caller detaches when it leaves before the landing because its own context
// ended. A flight whose last caller has detached is abandoned. A successor is
// a flight that waits for a cancelled one of its key to land before it runs;
// see [Options].CancelAbandoned.
//
// # Moving from x/sync
//
// Change the import path, Group to Group[string, any] and Result to
// Result[any]. Behaviour differs from x/sync v0.24.0 in this only: a channel
// caller whose flight ends in runtime.Goexit receives [ErrGoexit] (there it
// waits forever, golang/go#52557); the value that callers panic with is an
// exported [*PanicError]; one that comes from a nested flight isn't wrapped
// again; a function that returns one has not panicked; a panic during Goexit
// isn't lost; and [Result] has a fourth field.
package singleflight

import (
	"context"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// A Group merges concurrent calls that have the same key. The zero Group is
// ready for use; [New] makes one with options. A Group must not be copied, and
// all its methods may be called by any number of goroutines at once, also from
// inside the functions that it runs.
//
// Any comparable key works. A key that doesn't equal itself (NaN) never joins.
// A key that is or holds an interface whose dynamic type can't be compared
// makes every method that takes it panic, unless the call's context has ended,
// and changes nothing. A key must tell apart all that the function's result
// depends on, credentials included: who joins gets what was made for the leader.
//
// Values take at most 65,504 bytes; larger ones are passed by pointers. Go has
// no channels of elements of 64 kB, so a Group of larger values doesn't compile:
// "channel element type too large".
//
// A Group can be used inside the bubbles of [testing/synctest], in one after
// another, and outside them, but the callers of one flight must all be in one
// bubble, or all outside; and so must be a call of Wait, or a successor's
// leader, with the flights that it waits for.
type Group[K comparable, V any] struct {
	// Options are those of the group. They are set before its first call, and
	// neither they nor what Trace points to may be changed after it.
	Options Options[K, V]

	table table[K, V]
}

// Do calls fn and returns its results, unless a flight with this key is in the
// air: then it joins that, waits for it and returns its results. At most one
// flight per key runs at a time, unless the key is forgotten meanwhile.
//
// The leader's fn runs on the goroutine that called Do. shared tells whether
// another caller joined the flight, the leader's included: it doesn't tell
// whether this call was spared the work.
//
// What fn did happens before any caller returns with its outcome, and before a
// later flight of the same key runs, unless the key was forgotten. A call that
// begins after any caller has returned with an outcome never gets that
// outcome.
//
// If fn panics, Do panics with a [*PanicError], in every caller of the flight.
// If one of the callers waits for a channel, the process crashes with that
// panic, since it couldn't be delivered, as it does if nobody is left on the
// flight. If fn calls [runtime.Goexit], the goroutines of all blocking callers
// exit. [Options].Recover turns both into errors. A nil fn is one that panics.
//
// If fn calls Do with its own key, it waits for itself forever;
// [Group.DoContext] notices that.
func (g *Group[K, V]) Do(key K, fn func() (V, error)) (v V, err error, shared bool) {
	hash := inflight.Hash(key)
	s := g.shard(hash)
	s.Lock()
	f := s.flights.Find(hash, key)
	if f == nil {
		return s.lead(hash, key, nil, nil).flyHere(function[V]{plain: fn})
	}
	f, leads, _, _ := f.arrive(hash, key, nil, nil)
	if leads {
		return f.flyHere(function[V]{plain: fn})
	}
	h := f.waitable()
	c := f.newCall(false, nil)
	c.begin(context.Background(), function[V]{}, listener[K, V]{}, h)
	<-h.done
	return g.result(&h.outcome)
}

// DoChan is like [Group.Do] but returns at once, with a channel that will
// receive the one Result when the flight has landed. The channel has room for
// it, so that nobody has to receive it, and is never closed. The leader's fn
// runs on a new goroutine.
//
// If fn panics, the process crashes; if it calls [runtime.Goexit], the channel
// receives [ErrGoexit]. With [Options].Recover the channel receives a
// [*PanicError] instead of the crash.
func (g *Group[K, V]) DoChan(key K, fn func() (V, error)) <-chan Result[V] {
	ch := make(chan Result[V], 1) // doesn't compile if V is too large: see Group
	l := listener[K, V]{ch: ch}
	f, leads, _, _ := g.arrive(key, nil)
	f.gather()
	f.listen(leads, l)
	c := f.newCall(leads, nil)
	c.begin(context.Background(), function[V]{plain: fn}, l, nil)
	return ch
}

// Forget makes the next call with this key start a new flight at once, beside
// the one in the air and its successor if there are any. The callers of those
// still get their outcomes. A function that writes what the flights read
// forgets the key after the write, so that nobody is given what was read
// before. Where the flights also fill a cache that isn't enough: see
// [Forgotten].
func (g *Group[K, V]) Forget(key K) {
	hash := inflight.Hash(key)
	s := g.shard(hash)
	s.Lock()
	defer s.Unlock()
	if f := s.flights.Find(hash, key); f != nil {
		f.forget()
	}
}

// ForgetUnshared does what [Group.Forget] does, but only if no second caller
// ever joined the flight that a call with this key would join now, or if there
// is none to join, such as one that [Options].ForgetAfter calls too old. It
// reports whether that was so.
func (g *Group[K, V]) ForgetUnshared(key K) bool {
	hash := inflight.Hash(key)
	s := g.shard(hash)
	s.Lock()
	defer s.Unlock()
	f := s.find(hash, key)
	if f == nil {
		return true
	}
	if joinable := f.joinable(); !joinable.cancelled() && joinable.crowd != nil && joinable.crowd.joined > 0 {
		return false
	}
	f.forget()
	return true
}

// Wait returns nil once every flight that was in the air when it was called
// has landed, with its results sent: also those that were abandoned,
// cancelled or forgotten, and successors. If ctx ends first it returns
// ctx.Err(). It cancels nothing and changes nothing for the flights; a service
// calls it on shutdown, after its last call and before it closes what the
// functions use.
//
// A call from inside a flight that it would wait for, or that one of those
// waits for, returns [ErrDeadlock]; Wait knows by ctx where it is called from,
// as [Group.DoContext] does. A flight that begins to wait for the caller's own
// after that isn't noticed, nor is a call from [Options].Clone, which would wait
// for its own flight. A nil ctx panics. In a bubble of
// [testing/synctest] there must be no flight of the group outside of it, and
// the other way round.
func (g *Group[K, V]) Wait(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	from := waitfor.Of(ctx)
	landed, flights := g.inTheAir(from != nil)
	if from != nil && waitfor.Holds(flights, from) {
		return ErrDeadlock
	}
	for _, landed := range landed {
		select {
		case <-landed:
		case <-ctx.Done():
			select {
			case <-landed: // before ctx ended, perhaps
			default:
				return endOf(ctx)
			}
		}
	}
	return nil
}

// inTheAir returns, for each flight in the air, a channel that is closed when
// that has landed. If it is to, it also returns the contexts of the flights, as
// far as they have one, without successors: these wait only for the flights that
// they succeed.
func (g *Group[K, V]) inTheAir(withContexts bool) (landed []<-chan struct{}, flights map[*waitfor.Context]bool) {
	if withContexts {
		flights = make(map[*waitfor.Context]bool)
	}
	for _, s := range g.parts() {
		s.Lock()
		for f := range s.flights.All() {
			if withContexts && f.context != nil {
				flights[f.context] = true
			}
			for ; f != nil; f = f.successor() {
				landed = append(landed, f.waitable().done)
			}
		}
		s.Unlock()
	}
	return landed, flights
}
