package singleflight

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/inflight"
	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// The part of the checker that knows flight.go, shard.go and listen.go: it takes
// the steps of a model with a group, each call as far as it gets without
// waiting, and looks at what the group then holds.

// A subject is a group under check.
type subject struct {
	scope   *scope
	group   *Group[int, int]
	shard   *shard[int, int]
	keys    [2]int
	made    time.Time
	calls   []*subjectCall
	flights []*subjectFlight // by the numbers of their leaders; nil if the call leads none

	starts   atomic.Int64 // goroutines started for flights
	landings []Landing    // that the Land hook was told of
	detaches int          // that the Detach hook was told of
	during   func()       // called once by the next Clone that is part of a landing
	copies   int          // how many a landing has made
	waited   int          // flights that Wait was to wait for
	answer   bool         // of the last ForgetUnshared
}

type subjectCall struct {
	way    way
	ctx    *callContext // nil if the call can't detach
	call   call[int, int]
	h      *handout[int] // of a blocking caller
	l      listener[int, int]
	ch     chan Result[int]
	own    *outcome[int] // of a leader that runs its function
	refuse error
}

type subjectFlight struct {
	f       *flight[int, int]
	context *waitfor.Context // nil if it has none
	turn    chan struct{}    // of a successor that its leader runs
	awaited chan struct{}
}

// forgetAfter is the option, and passing how long doPass takes.
const (
	forgetAfter = time.Millisecond
	passing     = 2 * forgetAfter
)

// copied is what Clone adds to a value.
const copied = 1000

func valueOf(n int8) int { return int(n) + 1 }

var (
	errFunction = errors.New("an error")
	errPanic    = &PanicError{Value: "a panic"}
	errHook     = errors.New("the hook's panic")
)

func newSubject(sc *scope) *subject {
	u := &subject{scope: sc, keys: keysOfOneShard(), made: time.Now()}
	opts := Options[int, int]{Recover: true, CancelAbandoned: sc.cancelAbandoned}
	if sc.forgetAfter {
		opts.ForgetAfter = forgetAfter
	}
	if sc.clone {
		opts.Clone = u.clone
	}
	if sc.trace {
		opts.Trace = &Trace[int]{
			Detach: func(context.Context, int, uint64, error) { u.detaches++ },
			Land:   func(_ context.Context, _ int, _ uint64, l Landing) { u.landings = append(u.landings, l) },
		}
	}
	u.group = New(opts)
	u.shard = u.group.shard(inflight.Hash(u.keys[0]))
	return u
}

func (u *subject) clone(v int) int {
	u.copies++
	if during := u.during; during != nil {
		u.during = nil
		during()
	}
	return v + copied
}

// keysOfOneShard are two keys whose flights are in one shard, and there in one
// bucket as long as there are no more than eight.
var keysOfOneShard = sync.OnceValue(func() [2]int {
	var g Group[int, int]
	place := func(key int) (*shard[int, int], uint64) {
		hash := inflight.Hash(key)
		return g.shard(hash), hash % 8
	}
	s, bucket := place(1)
	for key := 2; ; key++ {
		if other, b := place(key); other == s && b == bucket {
			return [2]int{1, key}
		}
	}
})

// take takes a step.
func (u *subject) take(s step) {
	switch s.do {
	case doCall:
		u.arrive(way(s.how), u.keys[s.key])
	case doWatch:
		u.calls[s.n].l.watch.begin()
	case doBegin:
		u.begin(s.n)
	case doLand:
		u.land(s.n, s.how)
	case doDetach:
		u.detach(u.calls[s.n])
	case doBreak:
		u.breakOff(u.calls[s.n])
	case doForget:
		u.group.Forget(u.keys[s.n])
	case doForgetUnshared:
		u.answer = u.group.ForgetUnshared(u.keys[s.n])
	case doPass:
		time.Sleep(passing) // in a bubble
	case doWait:
		u.wait()
	}
}

// arrive is Do, DoContext, DoChan or DoChanContext until the caller would wait.
func (u *subject) arrive(w way, key int) {
	c := &subjectCall{way: w}
	var ctx context.Context
	switch {
	case w == wayBackground:
		ctx = context.Background()
	case w.detachable():
		c.ctx = &callContext{done: make(chan struct{})}
		ctx = c.ctx
	}
	f, leads, edge, err := u.group.arrive(key, ctx)
	u.calls = append(u.calls, c)
	if c.refuse = err; err != nil {
		u.flights = append(u.flights, nil)
		return
	}
	var flight *subjectFlight
	if leads {
		flight = &subjectFlight{f: f, context: f.context}
		if u.scope.used && f.context != nil {
			f.context.Done()
		}
	}
	u.flights = append(u.flights, flight)
	switch {
	case w.channel():
		c.ch = make(chan Result[int], 1)
		f.gather()
		c.call = f.newCall(leads, edge)
		c.l.ch = c.ch
		if c.ctx != nil {
			c.l.watch = c.call.newWatch(ctx, c.ch)
		}
		f.listen(leads, c.l)
	case leads && w.runs():
		c.own = new(outcome[int])
		if f.waits() {
			flight.turn = make(chan struct{})
			f.crowd.turn = flight.turn
		}
		u.shard.Unlock()
		return
	default:
		c.h = f.waitable()
		c.call = f.newCall(leads, edge)
	}
	if leads {
		f.crowd.start = func() { u.starts.Add(1) }
	}
	c.call.begin(ctx, function[int]{}, c.l, c.h)
	if c.ctx != nil && w.channel() && !u.scope.watches {
		c.l.watch.begin()
	}
}

// begin is the beginning of fly.
func (u *subject) begin(n int8) {
	if w := u.calls[n].way; w.bound() {
		u.flights[n].f.call(function[int]{bound: func(context.Context) (int, error) { return 0, nil }})
	} else {
		u.flights[n].f.call(function[int]{plain: func() (int, error) { return 0, nil }})
	}
}

// land is the rest of fly.
func (u *subject) land(n int8, how uint8) {
	o := u.calls[n].own
	if o == nil {
		o = new(outcome[int])
	}
	switch how {
	case withValue:
		o.val = valueOf(n)
	case withError:
		o.val, o.err = valueOf(n), errFunction
	case withPanic:
		o.err, o.ending = errPanic, panicked
	case withGoexit:
		o.err, o.ending = ErrGoexit, exited
	}
	u.flights[n].f.land(o)
}

// detach is what happens when a call's context ends.
func (u *subject) detach(c *subjectCall) {
	c.ctx.err = context.Canceled
	switch {
	case c.way.channel() && c.ctx.registered == 0:
		c.ctx.atOnce = c.l.watch.leave
		c.l.watch.begin()
		return
	case c.way.channel():
		c.l.watch.leave()
		return
	}
	if c.call.detach(listener[int, int]{}, context.Canceled) && c.call.trace != nil {
		c.call.trace.detached(c.ctx, context.Canceled)
	}
}

// breakOff is what happens when the Join hook of a call panics.
func (u *subject) breakOff(c *subjectCall) {
	defer func() {
		if r := recover(); r != errHook {
			panic(r)
		}
	}()
	c.call.trace.hooks.Join = func(context.Context, int, uint64) { panic(errHook) }
	defer func() { c.call.trace.hooks.Join = nil }()
	c.call.traceJoin(context.Background(), c.l, c.h)
}

// detachesLate reports whether a call can still detach.
func (u *subject) detachesLate(c *subjectCall) bool {
	return c.call.detach(listener[int, int]{}, nil)
}

// wait is Wait until it would wait.
func (u *subject) wait() {
	landed, _ := u.group.inTheAir(false)
	u.waited = len(landed)
	for _, f := range u.inAir() {
		if f.crowd != nil && f.crowd.handout != nil {
			u.owner(f).awaited = f.crowd.handout.done
		}
	}
}

// owner returns the last flight that was made of f.
func (u *subject) owner(f *flight[int, int]) *subjectFlight {
	for _, flight := range slices.Backward(u.flights) {
		if flight != nil && flight.f == f {
			return flight
		}
	}
	return nil
}

// inAir returns the flights of the table and their successors.
func (u *subject) inAir() (all []*flight[int, int]) {
	all = make([]*flight[int, int], 0, mostCalls)
	for f := range u.shard.flights.All() {
		for ; f != nil && len(all) < 2*mostCalls; f = f.successor() {
			all = append(all, f)
		}
	}
	return all
}

// A sight is what the shard says of one flight.
type sight struct {
	f                      *flight[int, int]
	key, callers, joined   int
	aside, gathered        bool
	stamped                bool // it is known when it began
	crowd                  *crowd[int, int]
	crowdsFlight           *flight[int, int]
	cancelled              bool
	successor, predecessor *flight[int, int]
	leader                 chan Result[int]
	joiners                []chan Result[int]
	misplaced              bool // a watch doesn't know its place among the joiners
	context                *waitfor.Context
	handout                *handout[int]
}

func (u *subject) look(f *flight[int, int]) sight {
	s := sight{f: f, key: f.Key(), callers: f.callers(), aside: f.Aside(), stamped: f.since != 0, context: f.context, crowd: f.crowd}
	c := f.crowd
	if c == nil {
		return s
	}
	s.gathered, s.crowdsFlight, s.joined, s.cancelled = true, c.flight, int(c.joined), c.cancelled
	s.successor, s.predecessor, s.handout = c.successor, c.predecessor, c.handout
	s.leader = c.leader.ch
	for _, block := range c.joiners.blocks {
		s.misplaced = s.misplaced || len(block) == 0
		for i, l := range block {
			s.joiners = append(s.joiners, l.ch)
			s.misplaced = s.misplaced || l.watch != nil && l.watch.place != &block[i]
		}
	}
	return s
}

// tabled returns what is in the table, and how much the table says that is.
func (u *subject) tabled() ([]*flight[int, int], int) {
	return slices.Collect(u.shard.flights.All()), u.shard.flights.Len()
}

// find returns the flight that a call of a key would find.
func (u *subject) find(key int) *flight[int, int] {
	return u.shard.flights.Find(inflight.Hash(key), key)
}

// free reports whether the lock is.
func (u *subject) free() bool {
	if !u.shard.TryLock() {
		return false
	}
	u.shard.Unlock()
	return true
}

// spares returns what is kept to be used again.
func (u *subject) spares() [3]any {
	return [3]any{u.shard.spare, u.shard.spareCrowd, u.shard.spareWatch}
}

// dirty returns what spare things still hold of their last use.
func (u *subject) dirty() (all []string) {
	if f := u.shard.spare; f != nil {
		if f.Key() != 0 || f.context != nil || f.crowd != nil || f.since != 0 {
			all = append(all, "flight")
		}
	}
	if c := u.shard.spareCrowd; c != nil && !reflect.ValueOf(&c.gathering).Elem().IsZero() {
		all = append(all, "crowd")
	}
	if w := u.shard.spareWatch; w != nil {
		leave := w.leave
		w.leave = nil
		if !reflect.ValueOf(w).Elem().IsZero() {
			all = append(all, "watch")
		}
		w.leave = leave
	}
	return all
}

// A lived is a crowd and how many lives it has ended.
type lived struct {
	crowd *crowd[int, int]
	life  uint64
}

// lives returns the crowds that there are: by the numbers of their flights and
// last the spare one.
func (u *subject) lives() (all [mostCalls + 1]lived) {
	for _, f := range u.inAir() {
		all[slices.Index(u.flights, u.owner(f))].crowd = f.crowd
	}
	all[mostCalls].crowd = u.shard.spareCrowd
	for i := range all {
		if c := all[i].crowd; c != nil {
			all[i].life = c.life
		}
	}
	return all
}

// hidden returns what the group knows and the model doesn't: of the flights, by
// their numbers, and of what is kept to be used again.
func (u *subject) hidden() (flights [mostCalls]byte, kept byte) {
	for _, f := range u.inAir() {
		flights[slices.Index(u.flights, u.owner(f))] = flags(f.crowd != nil, f.crowd != nil && f.crowd.handout != nil)
	}
	return flights, flags(u.shard.spare != nil, u.shard.spareCrowd != nil, u.shard.spareWatch != nil)
}

// A callContext is the context of a call that can detach.
type callContext struct {
	done                chan struct{}
	err                 error
	registered, stopped int
	atOnce              func() // called by AfterFunc
}

func (*callContext) Deadline() (deadline time.Time, ok bool) { return }

func (c *callContext) Done() <-chan struct{} { return c.done }

func (c *callContext) Err() error { return c.err }

func (*callContext) Value(any) any { return nil }

// AfterFunc never calls f: the checker does what f would.
func (c *callContext) AfterFunc(func()) (stop func() bool) {
	c.registered++
	if c.atOnce != nil {
		c.atOnce()
	}
	return func() bool {
		c.stopped++
		return true
	}
}
