package httpflight

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// A call is a request to a Handler on its way into a flight. If it leads, the
// flight's function waits on the flight's goroutine, while the wrapped handler
// runs on the request's.
type call struct {
	h      *Handler
	e      entry
	w      http.ResponseWriter
	found  http.Header // what w had when the request came
	result <-chan singleflight.Result[*flight]

	state  atomic.Int32 // coming, leading or left
	leads  chan struct{}
	flight *flight       // set before leads is closed
	header chan struct{} // closed when the flight is decided

	arrived bool // landing is set
	landing singleflight.Result[*flight]

	mu        sync.Mutex // for w, before the header
	decided   bool
	dismissed bool // answered while the handler runs for others
}

const (
	coming = iota
	leading
	left
)

// fly is the flight's function.
func (c *call) fly(ctx context.Context) (*flight, error) {
	if !c.state.CompareAndSwap(coming, leading) {
		return c.h.m.flightOf(ctx), nil // refused: there is nobody to run the handler
	}
	f, ok := c.takeLead(ctx)
	if ok {
		c.await(ctx)
	}
	return f, nil
}

// takeLead lets the request lead, unless there is another flight to join.
func (c *call) takeLead(ctx context.Context) (f *flight, ok bool) {
	m := c.h.m
	defer close(c.leads)
	f, ok = m.begin(ctx, &c.e, c.e.r.Header.Clone())
	if ok {
		c.flight, c.header = f, make(chan struct{})
	}
	return f, ok
}

// await is the rest of the flight's function.
func (c *call) await(ctx context.Context) {
	m, f := c.h.m, c.flight
	done := c.e.r.Context().Done()
	for {
		select {
		case <-c.header:
			return
		case <-ctx.Done(): // when the flight has landed, the handler's context ends too
			return
		case <-done:
			// If nobody has joined the flight it is about to be abandoned.
			done = nil
			if !m.group.ForgetUnshared(f.key) {
				c.dismiss()
			}
		}
	}
}

// wait waits until the request leads or has what its flight landed with. It
// reports whether it leads.
func (c *call) wait() bool {
	select {
	case <-c.leads:
	case c.landing = <-c.result:
		c.arrived = true
		if c.state.CompareAndSwap(coming, left) {
			return false
		}
		// The flight's function has begun, for others perhaps, although the
		// request's context has ended.
		<-c.leads
	}
	if c.flight == nil { // there was another flight
		c.outcome()
		return false
	}
	return true
}

// dismiss answers the leader, whose context has ended, while the handler goes on
// for others.
func (c *call) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.decided && !c.dismissed {
		c.dismissed = true
		unavailable(c.w, c.e.r.ProtoMajor < 2)
	}
}

// outcome returns what the flight landed with for the leader.
func (c *call) outcome() singleflight.Result[*flight] {
	if !c.arrived {
		c.landing, c.arrived = <-c.result, true
	}
	return c.landing
}

// lead runs the handler.
func (c *call) lead() {
	f, r := c.flight, c.e.r
	rw := &response{call: c, f: f, conn: newConn(c.w), declared: -1}
	if rw.header = c.found.Clone(); rw.header == nil {
		rw.header = make(http.Header)
	}
	defer rw.end()
	defer rw.finish()
	c.h.next.ServeHTTP(rw, r.WithContext(f.ctx))
	rw.returned = true
}

// A response is the ResponseWriter of a handler that runs for a flight.
type response struct {
	*call
	f      *flight
	conn   *conn
	header http.Header

	mode     mode
	status   int
	declared int64 // Content-Length; -1: none
	written  int64
	returned bool // the handler has
	stop     func() bool

	pump   *reader       // the leader's, if the body is shared and the leader is there
	pumped chan struct{} // closed when it has ended
	failed error         // how
	broken any           // or the panic that ended it
}

// A mode is where a response goes.
type mode int

const (
	undecided mode = iota
	straight       // to the leader
	streamed       // to all, by the stream
)

// Header implements [http.ResponseWriter].
func (rw *response) Header() http.Header { return rw.header }

// WriteHeader implements [http.ResponseWriter].
func (rw *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http does
	}
	switch {
	case rw.mode != undecided:
		if rw.mode == straight {
			rw.w.WriteHeader(status) // net/http complains
		}
	case status < 200 && status != http.StatusSwitchingProtocols:
		rw.inform(status)
	default:
		rw.decide(status)
		rw.sendHeader()
	}
}

// inform passes an informational response on to the leader.
func (rw *response) inform(status int) {
	rw.mu.Lock()
	defer rw.mu.Unlock()
	if !rw.dismissed {
		own := rw.w.Header()
		before := own.Clone()
		replace(own, rw.header.Clone())
		rw.w.WriteHeader(status)
		replace(own, before)
	}
}

// decide ends the time in which others join, and settles where the body goes.
func (rw *response) decide(status int) {
	f := rw.f
	rw.status = status
	for _, value := range fieldOf(rw.header, "", "Content-Length") {
		if n, ok := length(value); ok {
			rw.declared = n
		}
	}
	f.answer = answer{status, rw.found, rw.header.Clone()}
	declared := rw.declared
	if rw.e.r.Method == http.MethodHead {
		declared = -1
	}
	f.decide(rw.e.r, status, f.answer.header, nil, declared)
	rw.land()
}

// land lets the flight land and goes on as the leader.
func (rw *response) land() {
	f := rw.f
	close(rw.call.header)
	landing := rw.outcome()
	there := landing.Err == nil
	alone := there && !landing.Shared && f.staleAt.IsZero()
	if !there {
		<-f.landed
		alone = f.stream.isOver() // not if somebody has come late
	}
	rw.mu.Lock()
	rw.decided = true
	if !there && !alone && !rw.dismissed {
		rw.dismissed = true
		unavailable(rw.w, rw.e.r.ProtoMajor < 2)
	}
	dismissed := rw.dismissed
	rw.mu.Unlock()
	switch {
	case there && dismissed:
		f.stream.decline()
		rw.mode = streamed
	case dismissed:
		rw.mode = streamed
	case !there: // and nobody else is: as without the package
		rw.mode = straight
	case alone || f.outcome != shared:
		f.stream.take()
		rw.mode = straight
		rw.stop = context.AfterFunc(rw.e.r.Context(), f.cancel)
	default:
		rw.mode = streamed
		rw.pump = &reader{abort: rw.conn.hang, setDeadline: rw.conn.setDeadline}
		if !f.stream.attach(rw.pump, false) {
			rw.pump = nil
		}
	}
}

// sendHeader sends the leader its header, and then what comes of the body.
func (rw *response) sendHeader() {
	if rw.mode == straight || rw.pump != nil {
		rw.setHeader()
		rw.w.WriteHeader(rw.status)
	}
	rw.startPump()
}

func (rw *response) setHeader() {
	header := rw.f.answer.header
	if rw.mode == streamed {
		header = header.Clone() // others read it
	}
	replace(rw.w.Header(), header)
	rw.h.m.addStatus(rw.w.Header(), statusMiss)
}

func (rw *response) startPump() {
	if rw.pump == nil {
		return
	}
	rw.pumped = make(chan struct{})
	go func() {
		defer close(rw.pumped)
		defer rw.pump.leave()
		ended := false
		defer func() {
			if !ended {
				rw.broken = recover()
				rw.failed = http.ErrAbortHandler
			}
		}()
		rw.failed = rw.conn.copy(rw.pump, rw.e.r.Context().Done())
		ended = true
	}()
}

// Write implements [http.ResponseWriter].
func (rw *response) Write(p []byte) (int, error) {
	if rw.mode == undecided {
		rw.WriteHeader(http.StatusOK)
	}
	if rw.mode == straight {
		return rw.w.Write(p)
	}
	if rw.status == http.StatusNoContent || rw.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	if rw.written += int64(len(p)); rw.declared >= 0 && rw.written > rw.declared {
		return 0, http.ErrContentLength
	}
	return rw.f.stream.Write(p)
}

// ReadFrom implements [io.ReaderFrom], so that net/http's own is used where the
// body goes straight to the leader.
func (rw *response) ReadFrom(src io.Reader) (int64, error) {
	if rw.mode == undecided {
		rw.WriteHeader(http.StatusOK)
	}
	if rw.mode == straight {
		return io.Copy(rw.w, src)
	}
	return io.Copy(struct{ io.Writer }{rw}, src)
}

// Flush implements [http.Flusher].
func (rw *response) Flush() { rw.FlushError() }

// FlushError is what [http.ResponseController] calls for Flush.
func (rw *response) FlushError() error {
	if rw.mode == undecided {
		rw.WriteHeader(http.StatusOK)
	}
	if rw.mode == straight {
		return rw.conn.control.Flush()
	}
	rw.f.stream.flush(true)
	return nil
}

// SetWriteDeadline sets the write deadline of all connections that share the
// response. It is for [http.ResponseController].
func (rw *response) SetWriteDeadline(at time.Time) error {
	rw.f.stream.setDeadline(at)
	if rw.pump == nil {
		return rw.conn.control.SetWriteDeadline(at)
	}
	return nil
}

// finish sends the header of a handler that has returned without doing so.
func (rw *response) finish() {
	if !rw.returned || rw.mode != undecided {
		return
	}
	rw.decide(http.StatusOK)
	if rw.mode == straight {
		rw.setHeader() // and net/http sends it
	} else {
		rw.sendHeader()
	}
}

// end is called when the handler has returned, panicked or exited.
func (rw *response) end() {
	f := rw.f
	defer rw.conn.close()
	if rw.mode == undecided {
		f.fail(http.ErrAbortHandler)
		rw.land()
	}
	if rw.stop != nil {
		rw.stop()
	}
	trailer := trailers(rw.header)
	var err error
	if !rw.returned {
		err = http.ErrAbortHandler
	}
	f.trailer = trailer
	f.stream.end(err)
	if rw.mode == straight {
		f.stream.release()
	}
	if rw.pumped != nil {
		<-rw.pumped
	} else if rw.pump != nil { // the header could not be sent
		rw.pump.leave()
	}
	f.finish()
	if rw.mode == straight || rw.pump != nil {
		addTrailers(rw.w.Header(), trailer, false)
	}
	if !rw.returned {
		return // the panic goes on
	}
	if rw.broken != nil {
		panic(rw.broken)
	}
	if rw.failed != nil && rw.failed != io.EOF && rw.failed != errWrite {
		rw.conn.abort()
	}
}
