package waitfor

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A Context is the context that a flight's function gets: it has the values of
// the leader's context, without its cancellation. It is also the flight's node
// in the graph.
//
// Every flight that a call with a context leads has one, most functions never
// look at it, and few flights wait for another. So it is kept small: more is
// made when somebody looks, or waits. That takes an unshared DoContext 11 %
// less time than a Context with all of it inside.
type Context struct {
	Leader context.Context // of the leader's call; nil if that has none; doesn't change
	more   atomic.Pointer[more]
}

// more is what few Contexts need.
type more struct {
	standard   atomic.Pointer[standardContext]
	landed     atomic.Bool
	leaderLeft atomic.Bool
	links      atomic.Pointer[links] // set under mu; nil until a search or a call needs them
}

// landedUnused stands for what a Context has whose flight landed before anybody
// needed more of it.
var landedUnused more

// open returns what the Context has more of.
func (c *Context) open() *more {
	for {
		m := c.more.Load()
		if m != nil && m != &landedUnused {
			return m
		}
		opened := new(more)
		if m != nil {
			opened.landed.Store(true)
			opened.standard.Store(&endedUnused)
		}
		if c.more.CompareAndSwap(m, opened) {
			return opened
		}
	}
}

// Land says that the flight lands or is dropped: the context is done, nobody
// waits for the flight any more, and no call belongs to it. The lock of the
// group's table must be held; nothing of the user's is called.
func (c *Context) Land() {
	if !c.more.CompareAndSwap(nil, &landedUnused) {
		c.open().land()
	}
}

func (m *more) land() {
	m.landed.Store(true)
	m.end()
	m.unlink()
}

// landed reports whether Land was called.
func (c *Context) landed() bool {
	m := c.more.Load()
	return m == &landedUnused || m != nil && m.landed.Load()
}

// LeaderLeft says that the leader has detached.
func (c *Context) LeaderLeft() { c.open().leaderLeft.Store(true) }

// A standardContext is a context of the standard library, which does all the
// work of one that is used: it is derived from the leader's by WithoutCancel,
// and cancel ends it.
type standardContext struct {
	context.Context
	cancel context.CancelFunc
}

// endedUnused stands for a standard context that ended before anybody used it.
var endedUnused standardContext

// use returns the standard context.
func (c *Context) use() *standardContext {
	m := c.open()
	standard := m.standard.Load()
	if standard == nil || standard == &endedUnused {
		return m.install(context.WithCancel(context.WithoutCancel(c.Leader)))
	}
	return standard
}

// install makes ctx the standard context, unless there is one, and returns the
// one that is. If the flight has ended, it is ended too before anybody sees it.
func (m *more) install(ctx context.Context, cancel context.CancelFunc) *standardContext {
	standard := &standardContext{ctx, cancel}
	if m.standard.CompareAndSwap(nil, standard) {
		return standard
	}
	cancel()
	m.standard.CompareAndSwap(&endedUnused, standard)
	return m.standard.Load()
}

// SetTimeout sets the deadline, as the function starts.
func (c *Context) SetTimeout(timeout time.Duration) {
	c.open().install(context.WithTimeout(context.WithoutCancel(c.Leader), timeout))
}

// End makes the context done.
func (c *Context) End() { c.open().end() }

func (m *more) end() {
	if !m.standard.CompareAndSwap(nil, &endedUnused) {
		if standard := m.standard.Load(); standard != &endedUnused {
			standard.cancel()
		}
	}
}

func (c *Context) Deadline() (time.Time, bool) { return c.use().Deadline() }

func (c *Context) Done() <-chan struct{} { return c.use().Done() }

func (c *Context) Err() error {
	m := c.more.Load()
	if m == nil {
		return nil
	}
	if m == &landedUnused {
		return context.Canceled
	}
	switch standard := m.standard.Load(); standard {
	case nil:
		return nil
	case &endedUnused:
		return context.Canceled
	default:
		return standard.Err()
	}
}

// key is the key under which a Context finds itself in those derived from it.
type key struct{}

// Value answers for the flight itself, and leaves all else to the standard
// context: if a key were passed on to the leader's context, context.Cause
// would find the leader's cause.
func (c *Context) Value(k any) any {
	if k == (key{}) {
		return c
	}
	return c.use().Value(k)
}

// String is here so that printing the context doesn't read its fields.
func (c *Context) String() string {
	return fmt.Sprintf("singleflight.Flight(%p)", c)
}
