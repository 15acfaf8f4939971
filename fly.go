package singleflight

import "context"

// A function is what the leader wants done: plain for Do and DoChan, bound to
// the flight's context for the others.
type function[V any] struct {
	plain func() (V, error)
	bound func(context.Context) (V, error)
}

// flyHere runs the flight's function on the goroutine of its leader, when its
// turn has come. It lets go of the lock.
func (f *flight[K, V]) flyHere(fn function[V]) (v V, err error, shared bool) {
	s := f.shard
	var turn chan struct{}
	if f.waits() {
		turn = make(chan struct{})
		f.crowd.turn = turn
	}
	s.Unlock()
	if turn != nil {
		<-turn
	}
	var o outcome[V]
	f.fly(fn, false, &o)
	if o.ending == returned && !o.shared {
		return o.val, o.err, false
	}
	return s.group.result(&o)
}

// begin lets a flight begin that the caller leads and that runs on a goroutine
// of its own, or calls the hook for a caller that joined. It lets go of the
// lock. l is empty for a blocking caller, and h nil for a channel caller.
func (c *call[K, V]) begin(ctx context.Context, fn function[V], l listener[K, V], h *handout[V]) {
	if c.leads {
		c.crowd.flight.flyApart(fn)
		return
	}
	c.crowd.shard.Unlock()
	if c.trace != nil {
		c.traceJoin(ctx, l, h)
	}
}

// flyApart runs the flight's function on a goroutine of its own, when its turn
// has come. It lets go of the lock.
func (f *flight[K, V]) flyApart(fn function[V]) {
	c := f.crowd
	c.fn = fn
	if c.start == nil {
		c.start = c.run
	}
	f.since = now()
	waits, start := c.predecessor != nil, c.start
	f.shard.Unlock()
	if !waits {
		go start()
	}
}

func (c *crowd[K, V]) run() {
	f, fn := c.flight, c.fn
	c.fn = function[V]{}
	var o outcome[V]
	f.fly(fn, true, &o)
}

// depart lets a successor run.
func (f *flight[K, V]) depart() {
	if turn := f.crowd.turn; turn != nil {
		close(turn)
	} else {
		go f.crowd.start()
	}
}

// fly runs the flight's function on this goroutine and lands it. apart says that
// the goroutine isn't the leader's. A panic goes on if the leader runs it and the
// options don't say otherwise; if the function calls runtime.Goexit, fly doesn't
// return.
func (f *flight[K, V]) fly(fn function[V], apart bool, o *outcome[V]) {
	o.ending = exited
	defer func() {
		if o.ending == returned {
			return
		}
		o.fail(recover())
		if !apart && o.ending == panicked && !f.shard.group.Options.Recover {
			defer panic(o.err) // whatever a hook does
		}
		f.land(o)
	}()
	switch {
	case f.shard.hooked:
		o.val, o.err = f.call(fn)
	case fn.bound != nil:
		o.val, o.err = fn.bound(f.context)
	default:
		o.val, o.err = fn.plain()
	}
	o.ending = returned
	f.land(o)
}

// call calls the function of a flight with hooks or a time limit.
func (f *flight[K, V]) call(fn function[V]) (V, error) {
	opts := &f.shard.group.Options
	ctx := context.Background()
	bound := f.context != nil && f.context.Leader != nil // fn may be nil
	if bound {
		if opts.FlightTimeout > 0 {
			f.context.SetTimeout(opts.FlightTimeout, ErrFlightTimeout, opts.CancelAbandoned)
		}
		ctx = f.context
	}
	if opts.Trace != nil {
		ctx = f.crowd.trace.started(ctx)
	}
	if opts.ForgetAfter > 0 {
		f.shard.Lock()
		f.since, f.crowd.began = now(), true
		f.shard.Unlock()
	}
	if bound {
		return fn.bound(ctx)
	}
	return fn.plain()
}
