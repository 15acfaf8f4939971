package httpflight

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// More exchanges that went wrong with the prototype.

// One request at a backend that hangs doesn't take everyone.
func TestFlightIsForgotten(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var runs atomic.Int64
		hang := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := runs.Add(1)
			if n == 1 {
				hang.wait(r.Context())
			}
			fmt.Fprint(w, n)
		}), Options{})
		defer w.close()
		first := w.get("/")
		time.Sleep(5 * second)
		joined := w.get("/")
		time.Sleep(second)
		if got := w.get("/").wait(t); got != "2" {
			t.Errorf("after 6 s got %q", got)
		}
		hang.open()
		if first.wait(t) != "1" || joined.wait(t) != "1" {
			t.Errorf("those on the slow flight got %q and %q", first.body, joined.body)
		}
		w.check(Stats{Requests: 3, Led: 2, Collapsed: 1})
	})
}

// A GET after one's own write gets what was written.
func TestNothingJoinsWhatBeganBeforeAWrite(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var doc atomic.Value
		doc.Store("old")
		slow := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				time.Sleep(second)
				doc.Store("new")
				return
			}
			was := doc.Load().(string)
			if was == "old" {
				slow.wait(r.Context())
			}
			io.WriteString(w, was)
		}), Options{})
		defer w.close()
		before := w.get("/doc")
		synctest.Wait()
		put := w.send(newRequest("PUT", "/doc"))
		synctest.Wait()
		during := w.get("/doc")
		synctest.Wait()
		put.wait(t)
		if got := w.get("/doc").wait(t); got != "new" {
			t.Errorf("got %q after the write", got)
		}
		slow.open()
		before.wait(t)
		during.wait(t)
		w.check(Stats{Requests: 4, Led: 2, Bypassed: 2})
	})
}

// Forget does the same for a write that went another way.
func TestForget(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var runs atomic.Int64
		slow := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := runs.Add(1)
			if n == 1 {
				slow.wait(r.Context())
			}
			fmt.Fprint(w, n)
		}), Options{})
		defer w.close()
		before := w.get("/doc")
		synctest.Wait()
		w.m.forget(newRequest("GET", "http://SITE.test:80/doc"))
		if got := w.get("/doc").wait(t); got != "2" {
			t.Errorf("got %q", got)
		}
		slow.open()
		before.wait(t)
	})
}

// Behind a load balancer each request has fields of its client.
func TestAllButMergesBehindALoadBalancer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		book := new(logBook)
		back, stopBack := serve(slowly(func(w http.ResponseWriter, r *http.Request) string { return "page" }), book, nil)
		defer stopBack()
		for _, key := range []func(*http.Request) (string, bool){nil, AllBut("x-forwarded-for", "Cf-Ray")} {
			tr := NewTransport(back, Options{Key: key})
			proxy := proxyTo(tr, book)
			to := proxy.Rewrite
			proxy.Rewrite = func(pr *httputil.ProxyRequest) {
				to(pr)
				pr.SetXForwarded()
			}
			front, stop := serve(proxy, book, nil)
			var all []*sent
			for i := range 10 {
				all = append(all, sendBy(front, newRequest("GET", "/", "Cf-Ray", fmt.Sprint(i))))
			}
			for _, s := range all {
				s.wait(t)
			}
			synctest.Wait()
			if stats := tr.Stats(); key == nil && stats.Collapsed != 0 || key != nil && stats.Collapsed != 9 {
				t.Errorf("of 10 clients: %+v", stats)
			}
			stop()
		}
	})
}

// A field that is ignored is reflected by the origin.
func TestIgnoredFieldWithMarkupBelongsToKey(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			return "request " + r.Header.Get("X-Request-Id")
		}), Options{})
		defer w.close()
		attacker := w.get("/", "X-Request-Id", "<script>evil()</script>")
		victim := w.get("/", "X-Request-Id", "7")
		attacker.wait(t)
		if got := victim.wait(t); got != "request 7" {
			t.Errorf("victim got %q", got)
		}
		long := w.get("/", "X-Request-Id", strings.Repeat("a", 257))
		short := w.get("/", "X-Request-Id", "8")
		long.wait(t)
		if got := short.wait(t); got != "request 8" {
			t.Errorf("victim got %q", got)
		}
	})
}

// Trailers that are meant for one client.
func TestPersonalTrailersStayTheLeaders(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		for _, announced := range []bool{true, false} {
			var runs atomic.Int64
			w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(second)
				prefix := http.TrailerPrefix
				if announced {
					w.Header().Set("Trailer", "Set-Cookie, X-Sum")
					prefix = ""
				}
				io.WriteString(w, "page")
				w.(http.Flusher).Flush()
				w.Header().Set(prefix+"Set-Cookie", fmt.Sprintf("sid=secret%d", runs.Add(1)))
				w.Header().Set(prefix+"X-Sum", "42")
			}), Options{})
			var all []*sent
			for range 5 {
				all = append(all, w.get("/"))
			}
			seen := make(map[string]bool)
			for _, s := range all {
				s.wait(t)
				if s.trailer.Get("X-Sum") != "42" {
					t.Errorf("announced %v: trailers are %v", announced, s.trailer)
				}
				if cookie := s.trailer.Get("Set-Cookie"); cookie != "" && seen[cookie] {
					t.Errorf("announced %v: two clients got %s", announced, cookie)
				} else {
					seen[cookie] = true
				}
			}
			w.close()
		}
	})
}

// A handler that asks its own merger again, for the same.
func TestRequestForItselfRunsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var h *Handler
		var depth atomic.Int64
		h = NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if depth.Add(1) == 1 {
				h.ServeHTTP(w, r)
				return
			}
			io.WriteString(w, "index")
		}), Options{})
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
		if got := recorder.Body.String(); got != "index" || recorder.Code != 200 {
			t.Errorf("got %d %q", recorder.Code, got)
		}
	})
}

// The same in the body of a fresh response.
func TestFreshResponseIsNotJoinedFromWithin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var h *Handler
		var depth atomic.Int64
		h = NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if depth.Add(1) == 1 {
				io.WriteString(w, "outer ")
				w.(http.Flusher).Flush()
				inner := httptest.NewRecorder()
				h.ServeHTTP(inner, r)
				io.WriteString(w, inner.Body.String())
				return
			}
			io.WriteString(w, "inner")
		}), Options{})
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
		if got := recorder.Body.String(); got != "outer inner" {
			t.Errorf("got %q", got)
		}
	})
}

// The owner of a request changes it when it has left.
func TestLeadersRequestMayChangeWhenItHasLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := transportWorld(t, slowly(func(w http.ResponseWriter, r *http.Request) string { return "page" }), Options{})
		defer w.close()
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			r := newRequest("GET", "/").WithContext(ctx)
			go cancel()
			w.rt.RoundTrip(r)
			r.Header.Set("X-Changed", "yes") // a race if the flight reads r
			r.URL.Path = "/other"
		}
		time.Sleep(3 * second)
	})
}

// The handler extends the write deadline, for all that share its response.
func TestWriteDeadlineIsForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		book := new(logBook)
		h := NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			time.Sleep(second)
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Errorf("SetWriteDeadline: %v", err)
			}
			for range 10 {
				io.WriteString(w, "part ")
				w.(http.Flusher).Flush()
				time.Sleep(second)
			}
		}), Options{})
		l := newPipeListener()
		server := &http.Server{Handler: h, WriteTimeout: 3 * second}
		go server.Serve(l)
		defer server.Close()
		rt := &http.Transport{DialContext: l.dial}
		defer rt.CloseIdleConnections()
		_ = book
		all := []*sent{sendBy(rt, newRequest("GET", "/")), sendBy(rt, newRequest("GET", "/"))}
		time.Sleep(4 * second)
		all = append(all, sendBy(rt, newRequest("GET", "/")))
		for i, s := range all {
			if got := s.wait(t); got != strings.Repeat("part ", 10) {
				t.Errorf("client %d got %q", i, got)
			}
		}
		if stats := h.Stats(); stats.Late != 1 || stats.Collapsed != 2 {
			t.Errorf("%+v", stats)
		}
	})
}

// A key that is looser than Vary: the values of its fields belong to the key
// from then on.
func TestVaryIsLearnt(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var runs atomic.Int64
		w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			runs.Add(1)
			w.Header().Set("Vary", "X-Lang")
			return "in " + r.Header.Get("X-Lang")
		}), Options{Key: KeyFields()})
		defer w.close()
		burst := func() {
			first := w.get("/", "X-Lang", "de")
			synctest.Wait()
			var others []*sent
			for range 5 {
				others = append(others, w.get("/", "X-Lang", "fr"))
			}
			if got := first.wait(t); got != "in de" {
				t.Errorf("got %q", got)
			}
			for _, s := range others {
				if got := s.wait(t); got != "in fr" {
					t.Errorf("got %q", got)
				}
			}
		}
		burst()
		w.check(Stats{Requests: 6, Led: 1, Refused: 5})
		runs.Store(0)
		burst()
		if runs.Load() != 2 {
			t.Errorf("%d runs of the second burst", runs.Load())
		}
		w.check(Stats{Requests: 12, Led: 3, Collapsed: 4, Refused: 5})
	})
}

// One that comes late learns how old the response is.
func TestLateResponseHasItsAge(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3")
			if r.URL.Path == "/aged" {
				w.Header().Set("Age", "1")
			}
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			time.Sleep(10 * second)
		}), Options{})
		defer w.close()
		for path, ages := range map[string]string{"/new": "2", "/aged": ""} {
			first := w.get(path)
			time.Sleep(2*second + second/2)
			late := w.get(path)
			first.wait(t)
			late.wait(t)
			if got := late.fields.Get("Age"); ages != "" && (got != ages || late.fields.Get("Date") != first.fields.Get("Date")) {
				t.Errorf("%s: Age %q, Date %q; the first has %q", path, got, late.fields.Get("Date"), first.fields.Get("Date"))
			}
		}
		w.check(Stats{Requests: 4, Led: 3, Collapsed: 1, Late: 1}) // what is 1 s old is stale 2 s later
	})
}

// A Goexit in what answers.
func TestGoexit(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		if a.front && !a.server || a.name == "handler around a proxy" {
			return
		}
		var w *world
		if a.server {
			w = a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(second)
				t.Context() // as t.FailNow would
				goexit()
			}), Options{})
		} else {
			w = &world{t: t, log: new(logBook), close: func() {}}
			tr := NewTransport(roundTripper(func(r *http.Request) (*http.Response, error) {
				time.Sleep(second)
				goexit()
				return nil, nil
			}), Options{})
			w.rt, w.m = tr, tr.m
		}
		defer w.close()
		all := []*sent{w.get("/"), w.get("/"), w.get("/")}
		for _, s := range all {
			<-s.done
			if s.err == nil {
				t.Errorf("got %d %q", s.status, s.body)
			}
		}
	})
}
