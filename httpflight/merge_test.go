package httpflight

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Requests that are the same and under way at once reach the origin as one.
func TestOneRunForAll(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var runs atomic.Int64
		release := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := runs.Add(1)
			release.wait(r.Context())
			w.Header().Set("X-Run", fmt.Sprint(n))
			fmt.Fprintf(w, "run %d", n)
		}), Options{Name: "edge"})
		defer w.close()
		const clients = 50
		var all []*sent
		for range clients {
			all = append(all, w.get("/page?q=1", "Accept", "text/plain"))
		}
		synctest.Wait()
		release.open()
		collapsed := 0
		for _, s := range all {
			if body := s.wait(t); body != "run 1" || s.status != 200 || s.length != 5 || s.fields.Get("X-Run") != "1" {
				t.Errorf("got %d %q of %d bytes, %v", s.status, body, s.length, s.fields)
			}
			switch status := s.fields.Get("Cache-Status"); status {
			case "edge; fwd=miss; collapsed":
				collapsed++
			case "edge; fwd=miss":
			default:
				t.Errorf("Cache-Status is %q", status)
			}
		}
		if collapsed != clients-1 {
			t.Errorf("%d requests say that they were collapsed", collapsed)
		}
		w.check(Stats{Requests: clients, Led: 1, Collapsed: clients - 1})
		// No response is kept.
		if body := w.get("/page?q=1", "Accept", "text/plain").wait(t); body != "run 2" {
			t.Errorf("later request got %q", body)
		}
	})
}

// A refused response goes to its leader alone; the others run alone, all at
// once, and the next ones don't wait.
func TestPrivateResponseIsNotShared(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var runs, now, most atomic.Int64
		release := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := runs.Add(1)
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			w.Header().Set("Cache-Control", "private")
			if n == 1 {
				release.wait(r.Context())
			}
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			time.Sleep(second) // of the bubble
			fmt.Fprintf(w, "secret %d", n)
		}), Options{Name: "edge"})
		defer w.close()
		var all []*sent
		for range 12 {
			all = append(all, w.get("/me"))
		}
		synctest.Wait()
		release.open()
		got := make(map[string]int)
		for _, s := range all {
			got[s.wait(t)+s.fields.Get("Cache-Status")]++
		}
		if len(got) != 12 {
			t.Errorf("12 clients got %v", got)
		}
		if most.Load() != 12 {
			t.Errorf("%d at once", most.Load())
		}
		w.check(Stats{Requests: 12, Led: 1, Refused: 11})
		all = nil
		for range 12 {
			all = append(all, w.get("/me"))
		}
		for _, s := range all {
			s.wait(t)
			if status := s.fields.Get("Cache-Status"); status != "edge; fwd=bypass" {
				t.Errorf("Cache-Status is %q", status)
			}
		}
		w.check(Stats{Requests: 24, Led: 1, Refused: 11, Bypassed: 12})
	})
}

// The body is streamed: all have its first part before the second is written,
// and one that comes late gets it from its beginning if it is fresh.
func TestBodyIsStreamed(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		for _, fresh := range []bool{true, false} {
			var runs atomic.Int64
			begin, finish := make(gate), make(gate)
			w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := runs.Add(1)
				if fresh {
					w.Header().Set("Cache-Control", "max-age=60")
				}
				w.Header().Set("Trailer", "X-Sum")
				begin.wait(r.Context())
				fmt.Fprintf(w, "first %d ", n)
				w.(http.Flusher).Flush()
				finish.wait(r.Context())
				io.WriteString(w, "second")
				w.Header().Set("X-Sum", "42")
			}), Options{})
			all := []*sent{w.get("/"), w.get("/"), w.get("/")}
			synctest.Wait()
			begin.open()
			synctest.Wait()
			for i, s := range all {
				if s.read() != "first 1 " {
					t.Errorf("client %d has read %q", i, s.read())
				}
			}
			late := w.get("/")
			synctest.Wait()
			want := "first 2 "
			if fresh {
				want = "first 1 "
			}
			if late.read() != want {
				t.Errorf("late client has read %q, want %q", late.read(), want)
			}
			finish.open()
			for _, s := range append(all, late) {
				if body := s.wait(t); !strings.HasSuffix(body, "second") || s.trailer.Get("X-Sum") != "42" {
					t.Errorf("got %q with trailers %v", body, s.trailer)
				}
			}
			if fresh {
				w.check(Stats{Requests: 4, Led: 1, Collapsed: 3, Late: 1})
			} else {
				w.check(Stats{Requests: 4, Led: 2, Collapsed: 2})
			}
			w.close()
		}
	})
}
