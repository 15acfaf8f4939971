package httpflight

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What a second review found.

// http.Client tells a RoundTripper that it doesn't know of its Timeout by
// Request.Cancel too: the leader's must not end the others' request.
func TestTimeoutOfAClientIsItsOwn(t *testing.T) {
	for _, where := range []string{"header", "body"} {
		bubble(t, func(t *testing.T) {
			w := transportWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if where == "body" {
					time.Sleep(second)
					io.WriteString(w, "first ")
					w.(http.Flusher).Flush()
				}
				time.Sleep(5 * second)
				io.WriteString(w, "page")
			}), Options{})
			defer w.close()
			get := func(timeout time.Duration) (body string, err error) {
				client := &http.Client{Transport: w.rt, Timeout: timeout}
				resp, err := client.Get("http://site.test/")
				if err != nil {
					return "", err
				}
				defer resp.Body.Close()
				all, err := io.ReadAll(resp.Body)
				return string(all), err
			}
			start := time.Now()
			hasty := make(chan error)
			go func() {
				_, err := get(2 * second)
				hasty <- err
			}()
			synctest.Wait()
			patient := make(chan string)
			go func() {
				body, err := get(20 * second)
				patient <- fmt.Sprint(body, err)
			}()
			if err := <-hasty; err == nil || time.Since(start) != 2*second {
				t.Errorf("%s: the hasty one ended after %v with %v", where, time.Since(start), err)
			}
			if got := <-patient; !strings.HasSuffix(got, "page<nil>") {
				t.Errorf("%s: the patient one got %q", where, got)
			}
			w.check(Stats{Requests: 2, Led: 1, Collapsed: 1})
		})
	}
}

// A request with a Cancel of its user's, and without a deadline, goes its own way.
func TestRequestCancelIsHeeded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := transportWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * second)
		}), Options{})
		defer w.close()
		cancel := make(chan struct{})
		r := newRequest("GET", "/")
		r.Cancel = cancel //lint:ignore SA1019 it is still there
		s := w.send(r)
		other := w.get("/")
		synctest.Wait()
		close(cancel)
		synctest.Wait()
		if !s.over() || s.err == nil {
			t.Error("isn't cancelled")
		}
		other.wait(t)
		w.check(Stats{Requests: 2, Led: 1, Bypassed: 1})
	})
}

// Redirects are followed, each step merged.
func TestRedirects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var runs atomic.Int64
		w := transportWorld(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			runs.Add(1)
			if r.URL.Path == "/old" {
				w.Header().Set("Location", "/new")
				w.WriteHeader(http.StatusMovedPermanently)
			}
			return "page"
		}), Options{})
		defer w.close()
		done := make(chan string)
		for range 5 {
			go func() {
				resp, err := (&http.Client{Transport: w.rt}).Get("http://site.test/old")
				if err != nil {
					done <- err.Error()
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				done <- resp.Request.URL.Path + " " + string(body)
			}()
		}
		for range 5 {
			if got := <-done; got != "/new page" {
				t.Errorf("got %q", got)
			}
		}
		if runs.Load() != 2 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}

// A leader that was answered while its handler goes on for others: its client
// must not send the next request on that connection, where nobody reads it.
func TestDismissedLeadersConnectionIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := handlerWorldAround(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				time.Sleep(time.Minute)
			}
			io.WriteString(w, "page")
		}), Options{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Request-Id") != "" {
					ctx, cancel := context.WithTimeout(r.Context(), second)
					defer cancel()
					r = r.WithContext(ctx)
				}
				next.ServeHTTP(w, r)
			})
		})
		defer w.close()
		hasty := w.get("/", "X-Request-Id", "1")
		synctest.Wait()
		patient := w.get("/")
		if hasty.wait(t); hasty.status != 503 {
			t.Errorf("got %d", hasty.status)
		}
		start := time.Now()
		w.get("/other").wait(t)
		if took := time.Since(start); took > second {
			t.Errorf("the next request of that client took %v", took)
		}
		patient.wait(t)
	})
}

// Forbid panics for a handler that wrote nothing.
func TestForbidPanicsAfterTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := handlerWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(second) }), Options{
			Forbid: func(*http.Request, int, http.Header) bool { panic("boom") },
		})
		defer w.close()
		all := []*sent{w.get("/"), w.get("/")}
		time.Sleep(2 * second)
		synctest.Wait()
		for i, s := range all {
			if !s.over() || s.err == nil {
				t.Errorf("client %d still waits, or got %d", i, s.status)
				s.cancel()
			}
		}
	})
}

// A goroutine of the handler's writes on when the handler has returned.
func TestWriteAfterTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var leaked http.ResponseWriter
		w := handlerWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			leaked = w
			time.Sleep(second)
			w.Write(make([]byte, 100<<10))
		}), Options{})
		defer w.close()
		first := w.get("/")
		opened := make(chan *slowReader)
		go func() { opened <- w.open(t, "/") }()
		slow := <-opened // it reads nothing yet
		if len(first.wait(t)) != 100<<10 {
			t.Errorf("got %d bytes", len(first.body))
		}
		synctest.Wait()
		if n, err := leaked.Write([]byte("more")); err == nil {
			t.Errorf("wrote %d bytes after the end", n)
		}
		if n, err := io.Copy(io.Discard, slow.resp.Body); n != 100<<10 || err != nil {
			t.Errorf("the slow one got %d bytes, %v", n, err)
		}
		slow.resp.Body.Close()
	})
}

// A GET that is another method in truth counts as a write.
func TestMethodOverrideIsAWrite(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var runs atomic.Int64
		slow := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-HTTP-Method-Override") != "" {
				return
			}
			if runs.Add(1) == 1 {
				slow.wait(r.Context())
			}
			fmt.Fprint(w, runs.Load())
		}), Options{})
		defer w.close()
		before := w.get("/doc")
		synctest.Wait()
		w.get("/doc", "X-HTTP-Method-Override", "PUT").wait(t)
		if got := w.get("/doc").wait(t); got != "2" {
			t.Errorf("got %q after the write", got)
		}
		slow.open()
		before.wait(t)
	})
}

// A middleware outside recovers every panic: a short body still doesn't look
// whole.
func TestSwallowedAbortIsNoWholeBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := handlerWorldAround(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(second)
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			time.Sleep(second)
			panic("boom")
		}), Options{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { recover() }()
				next.ServeHTTP(w, r)
			})
		})
		defer w.close()
		w.get("/")
		synctest.Wait()
		follower := w.get("/")
		<-follower.done
		if follower.err == nil {
			t.Errorf("got %d %q, as if it were whole", follower.status, follower.body)
		}
	})
}

// A Vary that names Host, with a key that leaves it out.
func TestVaryHost(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			w.Header().Set("Vary", "Host")
			return r.Host
		}), Options{Key: func(*http.Request) (string, bool) { return "one", true }})
		defer w.close()
		for _, s := range map[string]*sent{"a.test": w.get("http://a.test/"), "b.test": w.get("http://b.test/")} {
			s.wait(t)
		}
		own := newRequest("GET", "http://a.test/")
		own.Host = "" // the URL's
		other := newRequest("GET", "http://b.test/")
		other.Host = ""
		x, y := w.send(own), w.send(other)
		if x.wait(t) != "a.test" || y.wait(t) != "b.test" {
			t.Errorf("got %q and %q", x.body, y.body)
		}
	})
}

// A middleware outside panics when the leader's header is sent: nobody waits for
// the leader's body then.
func TestHeaderThatCannotBeSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := handlerWorldAround(t, slowly(func(w http.ResponseWriter, r *http.Request) string { return strings.Repeat("x", 8<<10) }), Options{},
			func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Request-Id") != "" {
						w = brokenWriter{w}
					}
					next.ServeHTTP(w, r)
				})
			})
		defer w.close()
		leader := w.get("/", "X-Request-Id", "1")
		synctest.Wait()
		follower := w.get("/")
		<-follower.done
		if <-leader.done; leader.err == nil {
			t.Errorf("the leader got %d", leader.status)
		}
		w.check(Stats{Requests: 2, Led: 1, Collapsed: 1})
	})
}

type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) WriteHeader(int) { panic(http.ErrAbortHandler) }

// The leader leaves just when the header of a fresh response is there, and one
// that came late has the body by then: it gets all of it.
func TestLateRequestWhenAllOthersHaveLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := NewHandler(http.NotFoundHandler(), Options{})
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
		w := httptest.NewRecorder()
		e, _ := h.m.admit(r, true, w.Header())
		c := &call{h: h, e: e, w: w, leads: make(chan struct{})}
		c.result = h.m.group.DoChanContext(ctx, e.key, c.fly)
		if !c.wait() {
			t.Fatal("doesn't lead")
		}
		rw := &response{call: c, f: c.flight, conn: newConn(w), header: http.Header{"Cache-Control": {"max-age=60"}}, declared: -1, status: 200}
		f := c.flight
		f.answer = answer{200, nil, rw.header}
		f.decide(r, 200, rw.header, nil, -1)
		late := new(reader)
		if !f.stream.attach(late, true) {
			t.Fatal("isn't joined")
		}
		cancel()
		synctest.Wait()
		if f.ctx.Err() != nil {
			t.Error("is cancelled, although one is left")
		}
		rw.land()
		rw.sendHeader()
		io.WriteString(rw, "page")
		rw.returned = true
		rw.end()
		body := ""
		for {
			p, _, err := late.next(nil)
			body += string(p)
			if err != nil {
				if body != "page" || err != io.EOF {
					t.Errorf("got %q, %v", body, err)
				}
				break
			}
		}
		late.leave()
	})
}
