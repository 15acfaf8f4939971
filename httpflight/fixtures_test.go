package httpflight

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener makes connections in memory, which a bubble of synctest can
// wait for.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	dials  atomic.Int64
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr("pipe") }

// dial makes a connection whose far end has an address of its own.
func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	n := l.dials.Add(1)
	far = addressed{far, &net.TCPAddr{IP: net.IPv4(10, byte(n>>16), byte(n>>8), byte(n)), Port: 1}}
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeAddr string

func (a pipeAddr) Network() string { return string(a) }
func (a pipeAddr) String() string  { return string(a) }

type addressed struct {
	net.Conn
	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }

// A logBook keeps what a server logs.
type logBook struct {
	mu    sync.Mutex
	lines []string
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return len(p), nil
}

// about returns the entries that contain a text.
func (b *logBook) about(text string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// A world has an origin, perhaps something in front of it, and clients.
type world struct {
	t     *testing.T
	rt    http.RoundTripper // the clients'
	plain *http.Transport   // the same, without the package
	m     *merger
	log   *logBook
	close func()
}

// serve starts a server and returns what its clients use.
func serve(h http.Handler, book *logBook, protocols *http.Protocols) (rt *http.Transport, stop func()) {
	l := newPipeListener()
	server := &http.Server{Handler: h, ErrorLog: log.New(book, "", 0), Protocols: protocols}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l)
	}()
	rt = &http.Transport{DialContext: l.dial, DisableCompression: true, Protocols: protocols, MaxIdleConnsPerHost: 100}
	return rt, func() {
		rt.CloseIdleConnections()
		server.Close()
		<-served
	}
}

func http2Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func proxyTo(rt http.RoundTripper, book *logBook) *httputil.ReverseProxy {
	target := &url.URL{Scheme: "http", Host: "origin.test"}
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host
		},
		Transport: rt,
		ErrorLog:  log.New(book, "", 0),
	}
}

// An arrangement is a place that the package can be used at.
type arrangement struct {
	name   string
	server bool // the package is in a handler, so that its trouble is aborted connections
	front  bool // between the clients and the package is a server
	build  func(t *testing.T, origin http.Handler, opts Options) *world
}

var arrangements = []arrangement{
	{"handler", true, true, handlerWorld},
	{"transport", false, false, transportWorld},
	{"handler around a proxy", true, true, func(t *testing.T, origin http.Handler, opts Options) *world {
		w := &world{t: t, log: new(logBook)}
		back, stopBack := serve(origin, w.log, nil)
		h := NewHandler(proxyTo(back, w.log), quiet(opts, w.log))
		w.m = h.m
		var stop func()
		w.plain, stop = serve(h, w.log, nil)
		w.rt, w.close = w.plain, both(stop, stopBack)
		return w
	}},
	{"transport in a proxy", false, true, func(t *testing.T, origin http.Handler, opts Options) *world {
		w := &world{t: t, log: new(logBook)}
		back, stopBack := serve(origin, w.log, nil)
		tr := NewTransport(back, quiet(opts, w.log))
		w.m = tr.m
		var stop func()
		w.plain, stop = serve(proxyTo(tr, w.log), w.log, nil)
		w.rt, w.close = w.plain, both(stop, stopBack)
		return w
	}},
}

func handlerWorld(t *testing.T, origin http.Handler, opts Options) *world {
	return handlerWorldAround(t, origin, opts, func(h http.Handler) http.Handler { return h })
}

// handlerWorldAround puts a middleware around the Handler.
func handlerWorldAround(t *testing.T, origin http.Handler, opts Options, outside func(http.Handler) http.Handler) *world {
	w := &world{t: t, log: new(logBook)}
	h := NewHandler(origin, quiet(opts, w.log))
	w.m = h.m
	w.plain, w.close = serve(outside(h), w.log, nil)
	w.rt = w.plain
	return w
}

func transportWorld(t *testing.T, origin http.Handler, opts Options) *world {
	w := &world{t: t, log: new(logBook)}
	w.plain, w.close = serve(origin, w.log, nil)
	tr := NewTransport(w.plain, quiet(opts, w.log))
	w.rt, w.m = tr, tr.m
	return w
}

func quiet(opts Options, book *logBook) Options {
	if opts.ErrorLog == nil {
		opts.ErrorLog = log.New(book, "", 0)
	}
	return opts
}

func both(first, second func()) func() {
	return func() { first(); second() }
}

// eachArrangement runs a test for each place, in a bubble of its own.
func eachArrangement(t *testing.T, test func(t *testing.T, a arrangement)) {
	t.Helper()
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, a) })
		})
	}
}

// A sent is a request on its way.
type sent struct {
	cancel context.CancelFunc
	header chan struct{} // closed when the header is there, or the request has failed
	done   chan struct{} // closed when all is there

	status     int
	fields     http.Header
	trailer    http.Header
	length     int64
	body       string
	err        error // of the request, or of its body
	beforeBody bool  // it was of the request

	mu   sync.Mutex
	seen strings.Builder // of the body
}

func newRequest(method, target string, fields ...string) *http.Request {
	if strings.HasPrefix(target, "/") {
		target = "http://site.test" + target
	}
	r, err := http.NewRequest(method, target, nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// get sends a GET with the given fields: name, value, name, value.
func (w *world) get(target string, fields ...string) *sent {
	return w.send(newRequest("GET", target, fields...))
}

func (w *world) send(r *http.Request) *sent { return sendBy(w.rt, r) }

func sendBy(rt http.RoundTripper, r *http.Request) *sent {
	ctx, cancel := context.WithCancel(r.Context())
	s := &sent{cancel: cancel, header: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		resp, err := rt.RoundTrip(r.WithContext(ctx))
		if err != nil {
			s.err, s.beforeBody = err, true
			close(s.header)
			return
		}
		s.status, s.fields, s.length = resp.StatusCode, resp.Header, resp.ContentLength
		close(s.header)
		defer resp.Body.Close()
		buffer := make([]byte, 32<<10)
		for err == nil {
			var n int
			n, err = resp.Body.Read(buffer)
			s.mu.Lock()
			s.seen.Write(buffer[:n])
			s.mu.Unlock()
		}
		s.body, s.trailer = s.seen.String(), resp.Trailer
		if err != io.EOF {
			s.err = err
		}
	}()
	return s
}

// read returns what has come of the body.
func (s *sent) read() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// wait waits for the end and returns the body. An error fails the test.
func (s *sent) wait(t *testing.T) string {
	t.Helper()
	<-s.done
	if s.err != nil {
		t.Fatalf("request failed: %v", s.err)
	}
	return s.body
}

// over reports whether the request has ended.
func (s *sent) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// check compares the counters with those wanted. Those of Buffered and InFlight
// must be 0.
func (w *world) check(want Stats) {
	w.t.Helper()
	synctest.Wait()
	if got := w.m.stats(); got != want {
		w.t.Errorf("counters are\n%+v, want\n%+v", got, want)
	}
}

// gate is a barrier that a handler waits at.
type gate chan struct{}

func (g gate) open() { close(g) }

func (g gate) wait(ctx context.Context) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errTest = errors.New("error of the test")

const second = time.Second

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func goexit() { runtime.Goexit() }
