package httpflight

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"

	"github.com/seed-737f55c4/singleflight"
)

// A Transport merges identical requests to the [http.RoundTripper] that it
// wraps: see the package comment.
//
// A request whose context ends returns at once, and the forwarded one goes on as
// long as others wait for it. So what the leader's context holds (an
// httptrace.ClientTrace, a span) may be used after its RoundTrip has returned.
//
// If the wrapped RoundTripper panics, one of the requests panics with a
// [*singleflight.PanicError], and the others get it as an error. If it calls
// [runtime.Goexit], they get [singleflight.ErrGoexit].
type Transport struct {
	base http.RoundTripper
	m    *merger
}

// NewTransport returns a Transport around base, which is [http.DefaultTransport]
// if it is nil. It panics if an option makes no sense.
func NewTransport(base http.RoundTripper, opts Options) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	return &Transport{base, newMerger(opts)}
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	m := t.m
	if r.URL == nil {
		return t.base.RoundTrip(r) // for its error
	}
	if mayWrite(r) {
		return t.write(r)
	}
	e, ok := m.admit(r, (r.Body == nil || r.Body == http.NoBody) && !cancels(r), nil)
	if !ok {
		return t.bypass(r)
	}
	for {
		f, ok := m.findLate(&e)
		if !ok {
			return t.bypass(r)
		}
		if f != nil {
			if resp := f.join(r, late); resp != nil {
				return resp, nil
			}
			m.refused.Add(1)
			return t.alone(r, statusRefused)
		}
		leads := false
		e.r = r.Clone(r.Context()) // the flight may begin when r's owner has it back
		f, err, joined := m.group.DoContext(r.Context(), e.key, func(ctx context.Context) (*flight, error) {
			leads = true
			return t.fly(ctx, e)
		})
		switch {
		case errors.Is(err, singleflight.ErrDeadlock):
			return t.bypass(r)
		case err != nil:
			return nil, err
		case f.outcome == again:
			f.stream.decline()
			continue
		case f.outcome == failed:
			f.stream.decline()
			return nil, f.failure()
		case leads && (f.outcome == refused || !joined && f.staleAt.IsZero()):
			return f.straight(r), nil
		case leads:
			return f.join(r, leader), nil // the flight waits for it, so it gets it
		case f.outcome == refused:
			f.stream.decline()
		default:
			if resp := f.join(r, follower); resp != nil {
				return resp, nil
			}
		}
		m.refused.Add(1)
		return t.alone(r, statusRefused)
	}
}

// cancels reports whether a request may be cancelled by Request.Cancel alone.
// http.Client with a Timeout sets that too, beside a context with that deadline.
func cancels(r *http.Request) bool {
	_, ends := r.Context().Deadline()
	return r.Cancel != nil && !ends //lint:ignore SA1019 it is still there
}

func (t *Transport) bypass(r *http.Request) (*http.Response, error) {
	t.m.bypassed.Add(1)
	return t.alone(r, statusBypass)
}

// alone forwards a request as if the package weren't there.
func (t *Transport) alone(r *http.Request, status string) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err == nil && resp != nil {
		t.m.addStatus(resp.Header, status)
	}
	return resp, err
}

// write forwards a request that may change what others get. It is over with its
// response's body.
func (t *Transport) write(r *http.Request) (*http.Response, error) {
	t.m.requests.Add(1)
	slot := t.m.writes.slot(r)
	t.m.writes.begin(slot)
	defer t.m.writes.end(slot)
	resp, err := t.bypass(r)
	if err == nil && resp != nil && resp.Body != nil && resp.Body != http.NoBody && resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body = &writtenBody{ReadCloser: resp.Body, done: func() {
			t.m.writes.begin(slot)
			t.m.writes.end(slot)
		}}
	}
	return resp, err
}

// fly forwards the leader's request, of which e has a copy. It returns when the
// response's header is there.
func (t *Transport) fly(ctx context.Context, e entry) (f *flight, err error) {
	f, ok := t.m.begin(ctx, &e, e.r.Header)
	if !ok {
		return f, nil
	}
	stop := context.AfterFunc(ctx, f.cancel) // all have left
	var resp *http.Response
	returned := false
	defer func() {
		stop()
		if returned && f.outcome != failed {
			return
		}
		if !returned {
			f.fail(singleflight.ErrGoexit)
			if value := recover(); value != nil {
				f.fail(&singleflight.PanicError{Value: value, Stack: debug.Stack()})
			}
		}
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		f.finish()
	}()
	out := e.r.WithContext(f.ctx)
	out.Header = e.r.Header.Clone()
	out.Cancel = nil //lint:ignore SA1019 the leader's
	resp, err = t.base.RoundTrip(out)
	switch {
	case err != nil:
		f.fail(err)
	case !stop(): // so the response is cancelled, and nobody may come late
		f.fail(context.Canceled)
	case resp == nil:
		f.fail(errors.New("httpflight: RoundTripper returned a nil *http.Response with a nil error"))
	default:
		t.decide(f, e.r, resp)
	}
	returned = true
	return f, nil
}

func (t *Transport) decide(f *flight, r *http.Request, resp *http.Response) {
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	declared := resp.ContentLength
	if r.Method == http.MethodHead {
		declared = -1
	}
	f.upstream, f.response = resp, new(http.Response)
	*f.response = *resp
	f.response.Trailer = resp.Trailer.Clone() // net/http adds to the other one while others look at this
	f.decide(r, resp.StatusCode, resp.Header, resp.Trailer, declared)
}

// failure returns the error of a flight that has failed. A panic goes on in one
// of those who get it.
func (f *flight) failure() error {
	if p, ok := f.err.(*singleflight.PanicError); ok && f.panicked.CompareAndSwap(false, true) {
		panic(p)
	}
	return f.err
}

// A role is what a request is to the flight whose response it shares.
type role int

const (
	leader role = iota
	follower
	late // it came after the header
)

// join returns the flight's response for r, or nil if r must be forwarded alone
// after all.
func (f *flight) join(r *http.Request, as role) *http.Response {
	header, ok := f.headerFor(r, as)
	if !ok {
		if as != late {
			f.stream.decline()
		}
		return nil
	}
	resp := *f.response
	resp.Header, resp.Request = header, r
	resp.Trailer = nil
	for name := range f.response.Trailer {
		addTrailers(trailerOf(&resp), http.Header{name: nil}, as != leader)
	}
	rd := new(reader)
	if !f.stream.attach(rd, as == late) {
		return nil
	}
	f.once.Do(func() { go f.pump() })
	if as != leader {
		f.m.collapsed.Add(1)
	}
	if as == late {
		f.m.late.Add(1)
	}
	resp.Body = newBody(r.Context(), f, rd, &resp, as != leader)
	return &resp
}

func trailerOf(resp *http.Response) http.Header {
	if resp.Trailer == nil {
		resp.Trailer = make(http.Header)
	}
	return resp.Trailer
}

// headerFor returns a copy of the header for r. It reports false if r can't
// share the response.
func (f *flight) headerFor(r *http.Request, as role) (http.Header, bool) {
	header := f.response.Header.Clone()
	if as == leader {
		f.m.addStatus(header, statusMiss)
		return header, true
	}
	if !f.fits(r, f.verdict.vary) || f.forbids(r, f.response.StatusCode, header, as == late) {
		return nil, false
	}
	if as == late {
		age(header, f.headerAt)
	}
	f.m.addStatus(header, statusCollapsed)
	return header, true
}

// straight returns the response to the one who gets it alone.
func (f *flight) straight(r *http.Request) *http.Response {
	f.once.Do(func() {})
	resp := f.upstream
	resp.Request = r
	f.m.addStatus(resp.Header, statusMiss)
	f.stream.take()
	if resp.Body == http.NoBody {
		f.release()
		return resp
	}
	resp.Body = &straightBody{
		ReadCloser: resp.Body,
		f:          f,
		ctx:        r.Context(),
		stop:       context.AfterFunc(r.Context(), f.cancel),
	}
	return resp
}

func (f *flight) release() {
	f.stream.release()
	f.finish()
}

// CloseIdleConnections closes those of the wrapped RoundTripper, if that has such
// a method.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// Stats returns the counters.
func (t *Transport) Stats() Stats { return t.m.stats() }

// Flights is a view of the requests that wait for their header, for package
// flightz.
func (t *Transport) Flights() Flights { return Flights{t.m} }

// Wait returns nil once every forwarded request that was under way when it was
// called is over, with its body, or ctx.Err() if ctx ends first.
func (t *Transport) Wait(ctx context.Context) error { return t.m.wait(ctx) }

// Forget makes requests with the target of r (host and path) join nothing that
// began before. It is for writes that went another way: requests with a method
// that may write (all but GET, HEAD, OPTIONS and TRACE) do it themselves, if they
// go through this Transport.
func (t *Transport) Forget(r *http.Request) { t.m.forget(r) }
