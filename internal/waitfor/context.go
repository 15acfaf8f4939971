package waitfor

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A Context is the context that a flight's function gets: it has the values of
// the leader's context, without its cancellation. It also stands for the flight
// in the graph.
//
// Every flight that a call with a context leads has one, most functions never
// look at it, and few flights wait for another. So it is kept small: more is
// made when somebody looks, or waits.
//
// A flight lands in two steps, because ending a context ends all that were
// derived from it, which takes its time. Land, under the lock of the flight's
// shard, says that the flight has landed; Finish, without it, ends the context.
// Between the two the context of a landed flight may still be alive, but one
// that is done is that of a flight that has landed, or was cancelled before.
// Err is never set before Done is closed, as with a context of the standard
// library.
type Context struct {
	Leader context.Context // of the leader's call; nil if that has none; doesn't change
	Parent *Context        // the flight that the leader's call belongs to, or nil; doesn't change
	more   atomic.Pointer[more]
}

// more is what few Contexts need.
type more struct {
	standard atomic.Pointer[standardContext] // from nil to one of its own or, over endedUnused, to one that ended
	node     atomic.Pointer[node]            // set once, by enroll
	flags    flags
}

// flags only ever get more. A node has a copy of those of its flight, since it
// must not keep the Context: who sets one stores it in more, then looks for the
// node; who makes a node stores that, then looks for flags. So none is missed.
type flags struct{ bits atomic.Uint32 }

const (
	landed     = 1 << iota
	leaderLeft // the leader has detached
	forgotten
)

func (f *flags) has(bit uint32) bool { return f.bits.Load()&bit != 0 }

func (m *more) set(bit uint32) {
	m.flags.bits.Or(bit)
	if n := m.node.Load(); n != nil {
		n.flags.bits.Or(bit)
	}
}

// landedUnused stands for what a Context has whose flight landed before anybody
// needed more of it, and endedUnused for a standard context that ended before
// anybody used it. They don't change.
var (
	landedUnused more
	endedUnused  standardContext
)

func init() {
	landedUnused.set(landed)
	landedUnused.standard.Store(&endedUnused)
}

// open returns what the Context has more of, to be changed.
func (c *Context) open() *more {
	for {
		m := c.more.Load()
		if m != nil && m != &landedUnused {
			return m
		}
		opened := new(more)
		if m != nil {
			opened.set(landed)
			opened.standard.Store(&endedUnused)
		}
		if c.more.CompareAndSwap(m, opened) {
			return opened
		}
	}
}

func (c *Context) has(bit uint32) bool {
	m := c.more.Load()
	return m != nil && m.flags.has(bit)
}

// Land says that the flight lands or is dropped: from now on no call belongs to
// it, and nobody waits for it. It is called once, under the lock of the
// flight's shard. If it returns true the caller calls Finish when it has let go
// of that lock, and before anybody gets the flight's outcome; otherwise the
// context is done, and there is nothing to finish.
func (c *Context) Land() (unfinished bool) {
	if c.more.CompareAndSwap(nil, &landedUnused) {
		return false
	}
	m := c.open()
	m.set(landed)
	return !m.standard.CompareAndSwap(nil, &endedUnused) || m.node.Load() != nil
}

// Finish ends the context of a flight that has landed and takes the flight out
// of the graph. No lock must be held.
func (c *Context) Finish() {
	m := c.open()
	if standard := m.standard.Load(); standard != &endedUnused {
		standard.cancel(nil)
	}
	if n := m.node.Load(); n != nil {
		n.unlink()
	}
}

// LeaderLeft says that the leader has detached. The lock of the flight's shard
// must be held.
func (c *Context) LeaderLeft() { c.open().set(leaderLeft) }

// Forget says that the flight was forgotten, unless it has landed. The lock of
// the flight's shard must be held.
func (c *Context) Forget() {
	m := c.open()
	for {
		bits := m.flags.bits.Load()
		if bits&landed != 0 || m.flags.bits.CompareAndSwap(bits, bits|forgotten) {
			return
		}
	}
}

// Forgotten reports whether the flight was forgotten before it landed. After
// the landing that doesn't change.
func (c *Context) Forgotten() bool { return c.has(forgotten) }

// key is the key under which a Context finds itself in those derived from it.
type key struct{}

// Of returns the innermost flight whose context ctx is, or derives from: the one
// that a call with ctx belongs to. It returns nil if there is none, or if that
// flight has landed. It asks ctx, which is the user's, so no lock must be held.
func Of(ctx context.Context) *Context {
	c := Innermost(ctx)
	if c == nil || c.has(landed) {
		return nil
	}
	return c
}

// Innermost is as Of, but also returns a flight that has landed.
func Innermost(ctx context.Context) *Context {
	c, _ := ctx.Value(key{}).(*Context)
	return c
}

// A standardContext is a context of the standard library, which does all the
// work of one that is used. cancel ends it.
type standardContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

// use returns the standard context.
func (c *Context) use() *standardContext {
	m := c.open()
	standard := m.standard.Load()
	if standard == nil || standard == &endedUnused {
		ctx, cancel := context.WithCancelCause((*values)(c))
		return m.install(&standardContext{ctx, cancel})
	}
	return standard
}

// install makes a context the standard context, unless there is one, and
// returns the one that is. If the flight has landed, it ends before anybody
// sees it.
func (m *more) install(standard *standardContext) *standardContext {
	if m.standard.CompareAndSwap(nil, standard) {
		return standard
	}
	standard.cancel(nil)
	m.standard.CompareAndSwap(&endedUnused, standard)
	return m.standard.Load()
}

// SetTimeout sets the deadline, as the function starts. When it has passed,
// Err is context.DeadlineExceeded, and the cause is the given one. It changes
// nothing if the context has ended.
//
// Only if mayEnd is true End may come later and give a cause of its own. That
// makes it dearer: of a context with a timeout only the parent's end can do so.
func (c *Context) SetTimeout(timeout time.Duration, cause error, mayEnd bool) {
	var parent context.Context = (*values)(c)
	end := func(error) {}
	if mayEnd {
		parent, end = context.WithCancelCause(parent)
	}
	ctx, stop := context.WithTimeoutCause(parent, timeout, cause)
	c.open().install(&standardContext{ctx, func(cause error) {
		end(cause)
		stop()
	}})
}

// End ends the context, unless it has ended: Err is context.Canceled, and the
// cause is the given one. No lock must be held.
func (c *Context) End(cause error) { c.use().cancel(cause) }

func (c *Context) Deadline() (time.Time, bool) { return c.use().Deadline() }

func (c *Context) Done() <-chan struct{} { return c.use().Done() }

func (c *Context) Err() error {
	m := c.more.Load()
	if m == nil {
		return nil
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

// Value answers for the flight itself, and leaves all else to the standard
// context: if a key were passed on to the leader's context, context.Cause
// would find the leader's cause, and a context derived from this one would
// need a goroutine to learn of its end.
func (c *Context) Value(k any) any {
	if k == (key{}) {
		return c
	}
	return c.use().Value(k)
}

// String is as of the standard library's contexts, after that of the leader's.
// It reads nothing that changes.
func (c *Context) String() string {
	const name = "singleflight.Flight"
	switch leader := c.Leader.(type) {
	case nil:
		return name
	case fmt.Stringer:
		return leader.String() + "." + name
	default:
		return fmt.Sprintf("%T.%s", leader, name)
	}
}

// values are a Context as the parent of its standard context: the values of the
// leader's context, and nothing that ends. context.WithoutCancel would do the
// same, but takes an allocation.
type values Context

func (*values) Deadline() (deadline time.Time, ok bool) { return }

func (*values) Done() <-chan struct{} { return nil }

func (*values) Err() error { return nil }

func (v *values) Value(k any) any {
	if v.Leader == nil {
		return nil
	}
	return v.Leader.Value(k)
}
