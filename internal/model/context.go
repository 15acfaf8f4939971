package model

import (
	"slices"
	"time"
)

// A Context is what a call or a function gets: of the standard library, or of a
// flight, or derived from one of a flight.
type Context struct {
	flight   *flight // the innermost flight whose context it is or derives from (18)
	own      bool    // it is that flight's own
	canEnd   bool    // Done() != nil
	err      string  // "" until it has ended
	deadline time.Duration
	children []*Context // that end with it
}

// Background returns a context that cannot end.
func (m *Model) Background() *Context { return new(Context) }

// Cancellable returns a context that Cancel ends.
func (m *Model) Cancellable() *Context { return &Context{canEnd: true} }

// Timeout returns a context that ends after d.
func (m *Model) Timeout(d time.Duration) *Context {
	ctx := &Context{canEnd: true, deadline: m.now + d}
	m.contexts = append(m.contexts, ctx)
	return ctx
}

// FlightContext returns the context that the function of the leader got, or nil
// if its function got none or has not been called, which a nil one never is.
func (m *Model) FlightContext(leader int) *Context {
	for _, ctx := range m.contexts {
		if ctx.own && ctx.flight.leader.Caller == leader && !ctx.flight.leader.NilFunc {
			return ctx
		}
	}
	return nil
}

// WithCancel returns a child that ends with its parent or by Cancel.
func (m *Model) WithCancel(parent *Context) *Context {
	child := &Context{flight: parent.flight, canEnd: true, err: parent.err}
	parent.children = append(parent.children, child)
	return child
}

// WithoutCancel returns a child that cannot end. It derives from a flight's
// context all the same (18).
func (m *Model) WithoutCancel(parent *Context) *Context {
	return &Context{flight: parent.flight}
}

// flightContext makes the context that the function of f gets (15, 22).
func (m *Model) flightContext(f *flight) *Context {
	ctx := &Context{flight: f, own: true, canEnd: true}
	if timeout := f.group.options.FlightTimeout; timeout > 0 {
		ctx.deadline = m.now + timeout
	}
	m.contexts = append(m.contexts, ctx)
	return ctx
}

// Cancel cancels a context.
func (m *Model) Cancel(ctx *Context) { m.end(ctx, Canceled) }

// Advance lets time pass. Contexts whose deadlines come end one after another.
func (m *Model) Advance(d time.Duration) {
	until := m.now + d
	for {
		next := m.nextDeadline(until)
		if next == nil {
			break
		}
		m.now = next.deadline
		m.end(next, DeadlineExceeded)
	}
	m.now = until
}

func (m *Model) nextDeadline(until time.Duration) *Context {
	var next *Context
	for _, ctx := range m.contexts {
		if ctx.err == "" && ctx.deadline > 0 && ctx.deadline <= until && (next == nil || ctx.deadline < next.deadline) {
			next = ctx
		}
	}
	return next
}

// end ends a context: its children end, and calls made with it return. The error
// of a context that has ended never changes (15).
func (m *Model) end(ctx *Context, err string) {
	if ctx.err != "" {
		return
	}
	ctx.err = err
	m.open = m.open || slices.ContainsFunc(m.answered, func(w *wait) bool { return w.context == ctx })
	if ctx.own && !ctx.flight.leader.NilFunc { // nobody sees that of a nil function
		m.happened(Event{Caller: ctx.flight.leader.Caller, What: ContextEnds, Err: err})
	}
	for _, c := range m.callers {
		if c.flight != nil && c.Context == ctx {
			m.detach(c, err)
		}
	}
	for _, w := range slices.Clone(m.waits) {
		if w.context == ctx {
			m.endWait(w, err)
		}
	}
	for _, child := range ctx.children {
		m.end(child, err)
	}
}

// Ended reports whether a context has ended.
func (m *Model) Ended(ctx *Context) bool { return ctx.err != "" }
