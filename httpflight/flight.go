package httpflight

import (
	"context"
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// A merger is what a Handler and a Transport have in common: the group of its
// flights, and what is known of them beside that.
//
// A flight ends with the header of the response, so that those who joined it
// are woken then. The body goes on as a stream.
type merger struct {
	opts   Options
	name   string // in Cache-Status
	group  *singleflight.Group[string, *flight]
	limits limits
	past   past
	writes writes

	requests, bypassed, led, collapsed, late, refused atomic.Uint64
	underWay                                          atomic.Int64 // forwarded requests

	mu  sync.Mutex
	air map[string]*flight   // by key: that requests can join, before the header or after it
	all map[*flight]struct{} // whose forwarded requests are under way
}

// A flight is one forwarded request and its response. It is made by the Start
// hook, and what isn't guarded is set before the flight lands.
type flight struct {
	m      *merger
	key    string
	hash   uint64 // of the key without what is remembered
	fields http.Header
	host   string // with fields, what the leader asked
	path   string // for people to read
	ctx    context.Context
	cancel context.CancelFunc
	stream *stream

	began     time.Time
	landed    chan struct{} // closed when callers is set
	callers   int           // that got the outcome
	panicked  atomic.Bool   // somebody has taken the panic
	once      sync.Once     // who has the response's body of a transport
	finished  chan struct{} // closed when the forwarded request is over
	staleAt   time.Time     // while its body is on its way others join until then; guarded by m.mu
	undecided bool          // guarded by m.mu

	// The outcome.
	outcome  outcome
	verdict  verdict
	headerAt time.Time
	answer   answer         // of a handler
	response *http.Response // of a transport, as it is copied for each
	upstream *http.Response // the same as it came
	err      error

	trailer http.Header // set before the stream ends
}

// An outcome says what those get who joined a flight.
type outcome int

const (
	refused outcome = iota // nothing: they run alone
	shared                 // the response
	failed                 // an error
	again                  // there was another to join: they look for it
)

// within is the key of a context's value: the innermost flight of a merger.
type within struct{ m *merger }

func newMerger(opts Options) *merger {
	opts = opts.withDefaults()
	m := &merger{opts: opts, air: make(map[string]*flight), all: make(map[*flight]struct{})}
	m.name = statusName(opts.Name)
	m.limits.maxBuffer, m.limits.maxStall, m.limits.memory.limit = opts.MaxBuffer, opts.MaxStall, opts.MaxMemory
	m.past.length = opts.Remember
	m.group = singleflight.New(singleflight.Options[string, *flight]{
		CancelAbandoned: true,
		Recover:         true,
		Trace:           &singleflight.Trace[string]{Start: m.start, Land: m.land},
	})
	return m
}

// start is the hook that gives a flight's context its flight.
func (m *merger) start(ctx context.Context, key string, _ uint64) context.Context {
	f := &flight{m: m, key: key, landed: make(chan struct{}), finished: make(chan struct{})}
	f.stream = newStream(&m.limits, f.over, f.leaveAir, f.tooLong)
	return context.WithValue(ctx, within{m}, f)
}

// land is the hook that tells a flight how many have got its outcome.
func (m *merger) land(ctx context.Context, _ string, _ uint64, info singleflight.Landing) {
	f := m.flightOf(ctx)
	f.callers = info.Callers - info.Detached
	close(f.landed)
	f.stream.land(f.callers)
	if p, ok := f.err.(*singleflight.PanicError); ok && f.callers == 0 {
		m.logPanic(p)
	}
}

func (m *merger) logPanic(p *singleflight.PanicError) {
	if p.Value != http.ErrAbortHandler {
		m.opts.ErrorLog.Printf("httpflight: panic that no request is left for: %v\n%s", p.Value, p.Stack)
	}
}

// flightOf returns the innermost flight of this merger that a context belongs
// to, or nil.
func (m *merger) flightOf(ctx context.Context) *flight {
	f, _ := ctx.Value(within{m}).(*flight)
	return f
}

// An entry is a request that may be merged.
type entry struct {
	r    *http.Request
	key  string
	hash uint64
}

// admit decides whether a request may be merged. own is the header that the
// request's ResponseWriter has already.
func (m *merger) admit(r *http.Request, bodyless bool, own http.Header) (e entry, ok bool) {
	m.requests.Add(1)
	if !bodyless || !mergeable(r) || mayWrite(r) || !m.opts.Eligible(r) {
		return e, false
	}
	if len(own) > 0 && !judge(r, http.StatusOK, own, nil, m.opts.MaxBuffer).share {
		return e, false
	}
	e.r = r
	written, ok := m.writes.now(m.writes.slot(r))
	if !ok {
		return e, false
	}
	key, ok := m.opts.Key(r)
	if !ok {
		return e, false
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	full := make([]byte, 0, len(key)+24)
	full = appendPart(full, method)
	full = appendPart(full, key)
	e.hash = maphashBytes(full)
	lesson := m.past.of(e.hash)
	if lesson.alone || !m.limits.roomForOne() {
		return e, false
	}
	full = binary.AppendUvarint(full, written)
	for _, name := range lesson.vary {
		full = appendPart(full, name)
		full = appendList(full, fieldOf(r.Header, hostOf(r), name))
	}
	e.key = string(full)
	return e, true
}

// begin makes the flight that ctx belongs to the one that requests of e join.
// It reports false if there is another one to join by now.
func (m *merger) begin(ctx context.Context, e *entry, fields http.Header) (f *flight, ok bool) {
	f = m.flightOf(ctx)
	f.hash, f.fields, f.host, f.path = e.hash, fields, hostOf(e.r), e.r.URL.Path
	f.began, f.undecided = time.Now(), true
	f.ctx, f.cancel = context.WithoutCancel(ctx), nil
	if m.opts.FlightTimeout > 0 {
		f.ctx, f.cancel = context.WithTimeout(f.ctx, m.opts.FlightTimeout)
	} else {
		f.ctx, f.cancel = context.WithCancel(f.ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if other := m.air[f.key]; other != nil && other.joinableAt(f.began) {
		f.outcome = again
		f.cancel()
		close(f.finished)
		return f, false
	}
	m.air[f.key] = f
	m.all[f] = struct{}{}
	m.underWay.Add(1)
	m.led.Add(1)
	return f, true
}

// joinableAt reports whether the body of a fresh response is on its way.
func (f *flight) joinableAt(now time.Time) bool {
	return !f.undecided && now.Before(f.staleAt)
}

// findLate returns a flight that e can join although its header is there, if
// there is one. It reports false if e must run alone. It forgets a flight that
// has waited for its header too long.
func (m *merger) findLate(e *entry) (f *flight, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f = m.air[e.key]
	if f == nil {
		return nil, true
	}
	now := time.Now()
	if f.undecided {
		if after := m.opts.ForgetAfter; after > 0 && now.Sub(f.began) > after {
			delete(m.air, e.key)
			m.group.Forget(e.key)
		}
		return nil, true
	}
	if !f.joinableAt(now) {
		delete(m.air, e.key)
		return nil, true
	}
	// One that comes from within a flight would perhaps wait for its own. And
	// Cache-Control may ask for something younger.
	return f, m.flightOf(e.r.Context()) == nil && len(fieldOf(e.r.Header, "", "Cache-Control")) == 0
}

// decide sets what those get who joined: after it the flight can land. header is
// the response's as the leader would get it.
func (f *flight) decide(r *http.Request, status int, header, trailer http.Header, declared int64) {
	m := f.m
	v := judge(r, status, header, trailer, m.opts.MaxBuffer)
	if declared > m.opts.MaxBuffer || v.share && m.opts.Forbid != nil && m.opts.Forbid(r, status, header) {
		v.share = false
	}
	f.verdict, f.headerAt = v, time.Now()
	if !v.share {
		m.past.learn(f.hash, true, nil)
	}
	late := v.fresh > 0
	open := v.share && f.stream.open(declared, late)
	if open {
		f.outcome = shared
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f.undecided = false
	if m.air[f.key] != f {
		return
	}
	if open && late {
		f.staleAt = f.headerAt.Add(v.fresh)
	} else {
		delete(m.air, f.key)
	}
}

// fail sets an error as what those get who joined.
func (f *flight) fail(err error) {
	f.outcome, f.err = failed, err
	f.leaveAir()
}

func (f *flight) leaveAir() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.undecided = false
	if f.m.air[f.key] == f {
		delete(f.m.air, f.key)
	}
}

// over is called when nobody reads the response any more and nobody will.
func (f *flight) over() {
	f.leaveAir()
	if f.cancel != nil {
		f.cancel()
	}
	if f.upstream != nil && f.outcome != failed {
		f.once.Do(func() { // nobody has taken the body
			f.upstream.Body.Close()
			f.finish()
		})
	}
}

// tooLong is called when the body is longer than the buffer. Its like isn't
// shared for a while.
func (f *flight) tooLong() {
	f.m.past.learn(f.hash, true, nil)
}

// finish is the end of the forwarded request.
func (f *flight) finish() {
	f.leaveAir()
	f.cancel()
	f.m.mu.Lock()
	delete(f.m.all, f)
	f.m.mu.Unlock()
	f.m.underWay.Add(-1)
	close(f.finished)
}

// fits reports whether the response was chosen for r as for the leader. It
// learns which fields choose if it was not.
func (f *flight) fits(r *http.Request, vary []string) bool {
	for _, name := range vary {
		if !slices.Equal(fieldOf(f.fields, f.host, name), fieldOf(r.Header, hostOf(r), name)) {
			f.m.past.learn(f.hash, false, vary)
			return false
		}
	}
	return true
}

// forbids asks Forbid for one who would share the response. If that panics, the
// flight doesn't wait for the request.
func (f *flight) forbids(r *http.Request, status int, header http.Header, late bool) bool {
	if f.m.opts.Forbid == nil {
		return false
	}
	asked := false
	defer func() {
		if !asked && !late {
			f.stream.decline()
		}
	}()
	forbidden := f.m.opts.Forbid(r, status, header)
	asked = true
	return forbidden
}

// Wait of the Handler and the Transport.
func (m *merger) wait(ctx context.Context) error {
	if err := m.group.Wait(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	all := make([]*flight, 0, len(m.all))
	for f := range m.all {
		all = append(all, f)
	}
	m.mu.Unlock()
	for _, f := range all {
		select {
		case <-f.finished:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
