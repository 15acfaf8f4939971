package httpflight

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// HTTP/2 on both sides: to a Handler, and below a Transport. A server's Body is
// never nil there, and never http.NoBody.
func TestHTTP2(t *testing.T) {
	for _, where := range []string{"handler", "transport"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var runs atomic.Int64
				var origin http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n := runs.Add(1)
					if r.ProtoMajor != 2 {
						t.Errorf("asked by %s", r.Proto)
					}
					w.Header().Set("Trailer", "X-Sum")
					time.Sleep(second)
					fmt.Fprintf(w, "run %d ", n)
					w.(http.Flusher).Flush()
					time.Sleep(second)
					io.WriteString(w, "end")
					w.Header().Set("X-Sum", "42")
				})
				w := &world{t: t, log: new(logBook)}
				var h *Handler
				if where == "handler" {
					h = NewHandler(origin, Options{})
					origin, w.m = h, h.m
				}
				var stop func()
				w.plain, stop = serve(origin, w.log, http2Only())
				defer stop()
				w.rt = w.plain
				if where == "transport" {
					tr := NewTransport(w.plain, Options{})
					w.rt, w.m = tr, tr.m
				}
				all := make([]*sent, 10)
				for i := range all {
					all[i] = w.get("/")
				}
				leaves := w.get("/")
				time.Sleep(second + second/2)
				leaves.cancel()
				for _, s := range all {
					if got := s.wait(t); got != "run 1 end" || s.trailer.Get("X-Sum") != "42" {
						t.Errorf("got %q with trailers %v", got, s.trailer)
					}
				}
				w.check(Stats{Requests: 11, Led: 1, Collapsed: 10})
			})
		})
	}
}

// A view of the flights for flightz: host and path, and no secrets.
func TestFlights(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		release := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { release.wait(r.Context()) }), Options{})
		defer w.close()
		all := []*sent{w.get("/page?token=secret", "X-Api-Key", "secret"), w.get("/page?token=secret", "X-Api-Key", "secret")}
		synctest.Wait()
		view := Flights{w.m}
		list := slices.Collect(view.Flights())
		if len(list) != 1 || list[0].Callers != 2 || list[0].Key != "site.test/page" && list[0].Key != "origin.test/page" {
			t.Errorf("in the air: %+v", list)
		}
		release.open()
		for _, s := range all {
			s.wait(t)
		}
		synctest.Wait()
		if stats := view.Stats(); stats.Flights != 1 || stats.Joined != 1 || len(slices.Collect(view.Flights())) != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

// CloseIdleConnections reaches the RoundTripper below.
func TestCloseIdleConnections(t *testing.T) {
	closed := false
	NewTransport(idler{closed: &closed}, Options{}).CloseIdleConnections()
	if !closed {
		t.Error("not closed")
	}
	NewTransport(roundTripper(nil), Options{}).CloseIdleConnections()
}

type idler struct {
	http.RoundTripper
	closed *bool
}

func (i idler) CloseIdleConnections() { *i.closed = true }

// ModifyResponse of a ReverseProxy fails: everybody gets its error page.
func TestModifyResponseFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		book := new(logBook)
		back, stopBack := serve(slowly(func(w http.ResponseWriter, r *http.Request) string { return "page" }), book, nil)
		defer stopBack()
		for _, inside := range []bool{false, true} {
			tr := NewTransport(back, Options{})
			proxy := proxyTo(back, book)
			if inside {
				proxy = proxyTo(tr, book)
			}
			proxy.ModifyResponse = func(*http.Response) error { return errTest }
			var front http.Handler = proxy
			h := NewHandler(proxy, Options{})
			if !inside {
				front = h
			}
			rt, stop := serve(front, book, nil)
			all := []*sent{sendBy(rt, newRequest("GET", "/")), sendBy(rt, newRequest("GET", "/")), sendBy(rt, newRequest("GET", "/"))}
			for _, s := range all {
				if s.wait(t); s.status != http.StatusBadGateway {
					t.Errorf("inside %v: got %d %q", inside, s.status, s.body)
				}
			}
			synctest.Wait()
			if in := tr.Stats().InFlight + h.Stats().InFlight; in != 0 {
				t.Errorf("inside %v: %d are under way", inside, in)
			}
			stop()
		}
	})
}

func ExampleNewHandler() {
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a page that takes long")
	})
	handler := NewHandler(pages, Options{Name: "gateway"})
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/page", nil))
	fmt.Println(recorder.Body, recorder.Header().Get("Cache-Status"))
	// Output: a page that takes long gateway; fwd=miss
}

func ExampleNewTransport() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client := &http.Client{Transport: NewTransport(nil, Options{})}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 404 Not Found
}

// Behind a load balancer, that adds a field which names the client.
func ExampleAllBut() {
	handler := NewHandler(http.NotFoundHandler(), Options{Key: AllBut("X-Forwarded-For")})
	_ = handler
}
