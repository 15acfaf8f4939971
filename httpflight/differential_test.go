package httpflight

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	scriptSeed  = flag.Uint64("httpflight.seed", 1, "seed of the random handlers")
	scriptCount = flag.Int("httpflight.scripts", 100, "number of random handlers")
)

// A script is a random handler: what it does, one step after another.
type script []step

type step struct {
	name string
	do   func(w http.ResponseWriter) error
}

func (s script) String() string {
	names := make([]string, len(s))
	for i, step := range s {
		names[i] = step.name
	}
	return strings.Join(names, "; ")
}

func randomScript(r *rand.Rand) script {
	var s script
	add := func(name string, do func(w http.ResponseWriter) error) { s = append(s, step{name, do}) }
	set := func(name, value string) {
		add(fmt.Sprintf("set %s: %s", name, value), func(w http.ResponseWriter) error {
			w.Header().Set(name, value)
			return nil
		})
	}
	header := func() {
		switch r.IntN(12) {
		case 0:
			set("Content-Type", []string{"text/plain", "application/json"}[r.IntN(2)])
		case 1:
			set("Cache-Control", []string{"max-age=60", "private", "public"}[r.IntN(3)])
		case 2:
			set("Content-Length", []string{"10", "1000", "5000"}[r.IntN(3)])
		case 3:
			set("Trailer", "X-Sum")
		case 4:
			set("Trailer", "X-Sum, Set-Cookie")
		case 5:
			add("no Content-Type", func(w http.ResponseWriter) error { w.Header()["Content-Type"] = nil; return nil })
		case 6:
			add("no Date", func(w http.ResponseWriter) error { w.Header()["Date"] = nil; return nil })
		case 7:
			add("add Link", func(w http.ResponseWriter) error { w.Header().Add("Link", "</style.css>; rel=preload"); return nil })
		case 8:
			add("103", func(w http.ResponseWriter) error { w.WriteHeader(http.StatusEarlyHints); return nil })
		case 9:
			set("Content-Encoding", "br")
		case 10:
			set("x-odd", "1")
		case 11:
			set("Set-Cookie", "a=b")
		}
	}
	for range r.IntN(4) {
		header()
	}
	if r.IntN(2) == 0 {
		status := []int{200, 201, 204, 301, 302, 304, 404, 401, 500, 503, 999}[r.IntN(11)]
		add(fmt.Sprint("WriteHeader ", status), func(w http.ResponseWriter) error { w.WriteHeader(status); return nil })
	}
	for range r.IntN(6) {
		switch r.IntN(8) {
		case 0, 1, 2:
			n := []int{1, 10, 100, 512, 2047, 2048, 2049, 4096, 5000, 40_000, 100_000}[r.IntN(11)]
			text := []byte(strings.Repeat([]string{"<html> ", "plain ", "\x00\x01 "}[r.IntN(3)], n))[:n]
			add(fmt.Sprintf("Write %d of %.6q", n, text), func(w http.ResponseWriter) error {
				got, err := w.Write(text)
				if err == nil && got != n {
					err = fmt.Errorf("wrote %d of %d", got, n)
				}
				return err
			})
		case 3:
			n := r.IntN(70_000)
			add(fmt.Sprint("copy ", n), func(w http.ResponseWriter) error {
				_, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(bytes.Repeat([]byte("c"), n))})
				return err
			})
		case 4:
			add("Flush", func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() })
		case 5:
			add("pause", func(w http.ResponseWriter) error {
				err := http.NewResponseController(w).Flush()
				time.Sleep(second)
				return err
			})
		case 6:
			set([]string{"X-Sum", http.TrailerPrefix + "X-Late", "X-Ignored", http.TrailerPrefix + "Set-Cookie"}[r.IntN(4)], "value")
		case 7:
			if r.IntN(4) == 0 {
				add("abort", func(w http.ResponseWriter) error { panic(http.ErrAbortHandler) })
			}
		}
	}
	return s
}

// An observation is what one client, and the handler, saw.
type observation struct {
	Failed  bool // before the header
	Status  int
	Length  int64
	Fields  http.Header
	Encoded []string
	Broken  bool // in the body
	Body    string
	Trailer http.Header
	Paused  string // what was there at each pause
	Hints   int
	Errors  string // of the handler's steps
}

// observe sends a request and watches what comes.
func observe(rt http.RoundTripper, method string, start time.Time) (o observation) {
	r := newRequest(method, "/")
	r = r.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { o.Hints++; return nil },
	}))
	resp, err := rt.RoundTrip(r)
	if err != nil {
		o.Failed = true
		return o
	}
	o.Status, o.Length, o.Fields, o.Encoded = resp.StatusCode, resp.ContentLength, resp.Header, resp.TransferEncoding
	if o.Fields.Get("Date") != "" {
		o.Fields.Set("Date", "there")
	}
	seen := make(map[time.Duration]int)
	total := 0
	buffer := make([]byte, 64<<10)
	var body strings.Builder
	for err == nil {
		var n int
		n, err = resp.Body.Read(buffer)
		body.Write(buffer[:n])
		total += n
		seen[time.Since(start)] = total
	}
	resp.Body.Close()
	o.Broken, o.Body, o.Trailer = err != io.EOF, body.String(), resp.Trailer
	for _, at := range slices.Sorted(maps.Keys(seen)) {
		o.Paused += fmt.Sprintf("%v: %d, ", at, seen[at])
	}
	return o
}

// Random handlers are the same to each client with and without the package, over
// HTTP/1.1 and HTTP/2, for one client and for several that share.
func TestHandlerIsAsWithoutThePackage(t *testing.T) {
	shared := 0
	for i := range *scriptCount {
		seed := *scriptSeed + uint64(i)
		r := rand.New(rand.NewPCG(seed, 1))
		s := randomScript(r)
		method := []string{"GET", "GET", "GET", "HEAD"}[r.IntN(4)]
		tooLong := false // it writes more than it declares
		for _, protocols := range []*http.Protocols{nil, http2Only()} {
			for _, clients := range []int{1, 3} {
				bubble(t, func(t *testing.T) {
					plain := runScript(s, method, protocols, 1, nil)[0]
					if strings.Contains(plain.Errors, "Content-Length") || tooLong {
						tooLong = true
						if protocols != nil {
							return // HTTP/2 notices this later
						}
					}
					var m *merger
					all := runScript(s, method, protocols, clients, func(h http.Handler) http.Handler {
						merging := NewHandler(h, Options{})
						m = merging.m
						return merging
					})
					shared += int(m.collapsed.Load())
					hints, cookies := 0, 0
					for _, o := range all {
						hints += min(o.Hints, 1)
						want := plain
						if m.refused.Load() > 0 {
							want.Paused = ""
						}
						if m.collapsed.Load() > 0 { // a personal trailer is the leader's alone
							if o.Trailer.Get("Set-Cookie") != "" {
								cookies++
							}
							if want.Trailer.Get("Set-Cookie") != "" {
								o.Length = want.Length // no trailer may follow, for others
							}
							want.Trailer = without(want.Trailer, "Set-Cookie")
							o.Trailer = without(o.Trailer, "Set-Cookie")
						}
						if clients > 1 { // they are the leader's alone, too
							want.Hints, o.Hints = 0, 0
						}
						if o.Broken && want.Broken && (strings.HasPrefix(o.Body, want.Body) || strings.HasPrefix(want.Body, o.Body)) {
							// How much was still in a buffer isn't the same.
							o.Body, o.Paused = want.Body, want.Paused
						}
						if got, want := fmt.Sprintf("%+v", o), fmt.Sprintf("%+v", want); got != want {
							t.Errorf("seed %d, %s of %d clients, HTTP/2 %v: %v\ngot  %.600s\nwant %.600s", seed, method, clients, protocols != nil, s, got, want)
						}
					}
					if m.collapsed.Load() > 0 && (hints > 1 || cookies > 1) {
						t.Errorf("seed %d: %d clients got hints, and %d a cookie as trailer: %v", seed, hints, cookies, s)
					}
				})
			}
		}
		if t.Failed() {
			return
		}
	}
	if shared == 0 {
		t.Error("no response was shared")
	}
}

func without(h http.Header, name string) http.Header {
	h = h.Clone()
	delete(h, name)
	if len(h) == 0 {
		return nil
	}
	return h
}

// runScript sends requests that come while the handler waits.
func runScript(s script, method string, protocols *http.Protocols, clients int, wrap func(http.Handler) http.Handler) []observation {
	var errs []string
	var runs atomic.Int64
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(second)
		if runs.Add(1) > 1 { // runs alone after the first was refused
			for _, step := range s {
				step.do(w)
			}
			return
		}
		for _, step := range s {
			// What else a write may return is of the connection.
			if err := step.do(w); errors.Is(err, http.ErrBodyNotAllowed) || errors.Is(err, http.ErrContentLength) {
				errs = append(errs, fmt.Sprintf("%s: %v", step.name, err))
			}
		}
	})
	if wrap != nil {
		h = wrap(h)
	}
	rt, stop := serve(h, new(logBook), protocols)
	defer stop()
	start := time.Now()
	all := make([]observation, clients)
	done := make(chan struct{})
	for i := range all {
		go func() {
			all[i] = observe(rt, method, start)
			done <- struct{}{}
		}()
		synctest.Wait()
	}
	for range all {
		<-done
	}
	time.Sleep(20 * second) // a handler may go on although all is there
	synctest.Wait()
	for i := range all {
		all[i].Errors = strings.Join(errs, ", ")
		if runs.Load() > 1 { // a second later
			all[i].Paused = ""
		}
	}
	return all
}
