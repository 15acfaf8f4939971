package httpflight

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// A Handler merges identical requests to the handler that it wraps: see the
// package comment.
//
// The wrapped handler runs on the goroutine of the request that leads, and that
// one's ServeHTTP returns when the handler has: so what routers keep in its
// context lives as long, [http.Server.Shutdown] waits for it, and a panic is
// logged by net/http as usual. If the leader's client hangs up, its requests'
// context isn't cancelled as long as others wait for the response.
//
// The ResponseWriter that the handler gets offers Flush and SetWriteDeadline
// (through [http.ResponseController]), and no hijacking, which only requests
// that aren't merged can do.
type Handler struct {
	next http.Handler
	m    *merger
}

// NewHandler returns a Handler around next. It panics if an option makes no
// sense.
func NewHandler(next http.Handler, opts Options) *Handler {
	if next == nil {
		panic("httpflight: nil http.Handler")
	}
	return &Handler{next, newMerger(opts)}
}

// Middleware is [NewHandler] as a function. Each use has flights of its own. What
// it returns is a *Handler.
func Middleware(opts Options) func(next http.Handler) http.Handler {
	opts.withDefaults() // panics here rather than at the first use
	return func(next http.Handler) http.Handler { return NewHandler(next, opts) }
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := h.m
	if mayWrite(r) {
		h.write(w, r)
		return
	}
	e, ok := m.admit(r, r.ContentLength == 0, w.Header())
	if !ok {
		h.bypass(w, r)
		return
	}
	for {
		f, ok := m.findLate(&e)
		if !ok {
			h.bypass(w, r)
			return
		}
		if f != nil {
			if !h.join(f, w, r, true) {
				h.alone(w, r, statusRefused, &m.refused)
			}
			return
		}
		c := &call{h: h, e: e, w: w, found: cloneOf(w.Header()), leads: make(chan struct{})}
		c.result = m.group.DoChanContext(r.Context(), e.key, c.fly)
		if c.wait() {
			c.lead()
			return
		}
		var err error
		f, err = c.landing.Val, c.landing.Err
		switch {
		case errors.Is(err, singleflight.ErrDeadlock):
			h.bypass(w, r)
			return
		case err != nil:
			unavailable(w, false)
			return
		case f.outcome == again:
			f.stream.decline()
		case f.outcome == failed:
			f.stream.decline()
			panic(http.ErrAbortHandler)
		case f.outcome == shared && h.join(f, w, r, false):
			return
		default:
			if f.outcome == refused {
				f.stream.decline()
			}
			h.alone(w, r, statusRefused, &m.refused)
			return
		}
	}
}

// write runs a request that may change what others get.
func (h *Handler) write(w http.ResponseWriter, r *http.Request) {
	h.m.requests.Add(1)
	slot := h.m.writes.slot(r)
	h.m.writes.begin(slot)
	defer h.m.writes.end(slot)
	h.bypass(w, r)
}

func (h *Handler) bypass(w http.ResponseWriter, r *http.Request) {
	h.alone(w, r, statusBypass, &h.m.bypassed)
}

// alone runs a request as if the package weren't there.
func (h *Handler) alone(w http.ResponseWriter, r *http.Request, status string, counter *atomic.Uint64) {
	counter.Add(1)
	if h.m.name == "" {
		h.next.ServeHTTP(w, r)
		return
	}
	mw := &marked{ResponseWriter: w, m: h.m, status: status}
	h.next.ServeHTTP(mw, r)
	mw.mark()
}

// join serves a request with the response of a flight. It reports false if the
// request must run alone after all. Unless late, the flight expects it.
func (h *Handler) join(f *flight, w http.ResponseWriter, r *http.Request, late bool) bool {
	header, ok := h.headerFor(f, w, r, late)
	if !ok {
		if !late {
			f.stream.decline()
		}
		return false
	}
	c := newConn(w)
	defer c.close()
	rd := &reader{abort: c.hang, setDeadline: c.setDeadline}
	if !f.stream.attach(rd, late) {
		return false
	}
	defer rd.leave()
	h.m.collapsed.Add(1)
	if late {
		h.m.late.Add(1)
	}
	replace(w.Header(), header)
	w.WriteHeader(f.answer.status)
	switch c.copy(rd, r.Context().Done()) {
	case io.EOF:
		addTrailers(w.Header(), f.trailer, true)
	case errWrite:
	default:
		c.abort()
	}
	return true
}

// headerFor returns the header of a request that shares a response. It reports
// false if it can't share it.
func (h *Handler) headerFor(f *flight, w http.ResponseWriter, r *http.Request, late bool) (http.Header, bool) {
	m := h.m
	own := w.Header()
	header := own.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if !f.answer.applyTo(header) {
		return nil, false
	}
	vary := f.verdict.vary
	if len(own) > 0 {
		v := judge(r, f.answer.status, header, nil, m.opts.MaxBuffer)
		if !v.share {
			return nil, false
		}
		vary = v.vary
	}
	if !f.fits(r, vary) || f.forbids(r, f.answer.status, header, late) {
		return nil, false
	}
	if late {
		age(header, f.headerAt)
	}
	m.addStatus(header, statusCollapsed)
	return header, true
}

// age makes a header that came before tell so.
func age(h http.Header, at time.Time) {
	if date, ok := h["Date"]; !ok || len(date) > 0 && date[0] == "" {
		h.Set("Date", at.UTC().Format(http.TimeFormat))
	}
	was, _ := ageOf(h)
	h.Set("Age", strconv.FormatInt(was+int64(time.Since(at)/time.Second), 10))
}

// cloneOf returns a copy of a header, or nil if it is empty.
func cloneOf(h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	return h.Clone()
}

// replace makes a header what another is.
func replace(own, header http.Header) {
	for name := range own {
		if _, ok := header[name]; !ok {
			delete(own, name)
		}
	}
	for name, values := range header {
		own[name] = values
	}
}

// unavailable answers a request whose context has ended before the header was
// there. If that is because its client has gone, the answer goes nowhere.
// If last, the connection takes no further request.
func unavailable(w http.ResponseWriter, last bool) {
	const text = "Service Unavailable\n"
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Expires"} {
		h.Del(name)
	}
	if last {
		h.Set("Connection", "close")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, text)
	http.NewResponseController(w).Flush()
}

// Stats returns the counters.
func (h *Handler) Stats() Stats { return h.m.stats() }

// Flights is a view of the requests that wait for their header, for package
// flightz.
func (h *Handler) Flights() Flights { return Flights{h.m} }

// Wait returns nil once every forwarded request that was under way when it was
// called is over, or ctx.Err() if ctx ends first. It must not be called by the
// wrapped handler.
func (h *Handler) Wait(ctx context.Context) error { return h.m.wait(ctx) }

// Forget makes requests with the target of r (host and path) join nothing that
// began before. It is for writes that went another way: requests with a method
// that may write (all but GET, HEAD, OPTIONS and TRACE) do it themselves, if they
// come through this Handler.
func (h *Handler) Forget(r *http.Request) { h.m.forget(r) }

// A conn is a request's ResponseWriter, of which other goroutines set deadlines
// while the request lasts.
type conn struct {
	w       http.ResponseWriter
	control *http.ResponseController
	mu      sync.Mutex
	closed  bool
}

func newConn(w http.ResponseWriter) *conn {
	return &conn{w: w, control: http.NewResponseController(w)}
}

// close ends that others set deadlines: the connection may get another request.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *conn) setDeadline(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.control.SetWriteDeadline(at)
	}
}

// hang makes a write that hangs return.
func (c *conn) hang() { c.setDeadline(time.Now()) }

// abort ends the connection in the middle of a body, also if somebody outside
// recovers the panic: then what would make the body look whole can't be written.
func (c *conn) abort() {
	c.hang()
	panic(http.ErrAbortHandler)
}

// errWrite is the end of a copy whose Write failed. It ends as a handler does
// whose Write fails.
var errWrite = errors.New("httpflight: write failed")

// copy writes what there is to read. It returns io.EOF at the end of the body.
func (c *conn) copy(r *reader, done <-chan struct{}) error {
	for {
		p, flush, err := r.next(done)
		switch {
		case err != nil:
			return err
		case flush:
			c.control.Flush()
		default:
			if _, err := c.w.Write(p); err != nil {
				return cmp.Or(r.wasCut(), errWrite)
			}
		}
	}
}
