package httpflight

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Each of three clients leaves, in each order, before the header and in the
// body: the others go on, and the origin's context ends with the last one.
func TestClientsLeave(t *testing.T) {
	orders := [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	eachArrangement(t, func(t *testing.T, a arrangement) {
		for _, inBody := range []bool{false, true} {
			for _, order := range orders {
				var ended, runs atomic.Int64
				begin, release := make(gate), make(gate)
				w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					runs.Add(1)
					if inBody {
						begin.wait(r.Context())
						io.WriteString(w, "first")
						w.(http.Flusher).Flush()
					}
					if release.wait(r.Context()) != nil {
						ended.Add(1)
					}
					io.WriteString(w, "rest")
				}), Options{})
				clients := make([]*sent, 3)
				for i := range clients {
					clients[i] = w.get("/")
					synctest.Wait()
				}
				begin.open()
				synctest.Wait()
				for i, leaves := range order {
					if ended.Load() != 0 {
						t.Fatalf("%v: the origin's context has ended with %d left", order, 3-i)
					}
					clients[leaves].cancel()
					<-clients[leaves].done
					if clients[leaves].err == nil {
						t.Errorf("a client that left got %q", clients[leaves].body)
					}
					synctest.Wait()
				}
				if runs.Load() != 1 || ended.Load() != 1 {
					t.Errorf("%v, in the body %v: %d of %d contexts have ended", order, inBody, ended.Load(), runs.Load())
				}
				w.close()
			}
		}
	})
}

// The last client gets all, whoever has left.
func TestLastClientGetsAll(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		for stays := range 3 {
			header, rest := make(gate), make(gate)
			w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				header.wait(r.Context())
				io.WriteString(w, "first ")
				w.(http.Flusher).Flush()
				if rest.wait(r.Context()) != nil {
					return
				}
				io.WriteString(w, "rest")
			}), Options{})
			clients := make([]*sent, 3)
			for i := range clients {
				clients[i] = w.get("/")
				synctest.Wait()
			}
			leave := func(i int) {
				if i != stays {
					clients[i].cancel()
					<-clients[i].done
					synctest.Wait()
				}
			}
			leave(0)
			header.open()
			synctest.Wait()
			leave(1)
			leave(2)
			rest.open()
			if got := clients[stays].wait(t); got != "first rest" {
				t.Errorf("client %d got %q", stays, got)
			}
			w.check(Stats{Requests: 3, Led: 1, Collapsed: w.m.collapsed.Load()})
			w.close()
		}
	})
}

// The leader hangs up before a private response: nobody gets that.
func TestPrivateResponseOfALeaderThatLeft(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var runs atomic.Int64
		header := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := runs.Add(1)
			header.wait(context.WithoutCancel(r.Context()))
			w.Header().Set("Set-Cookie", fmt.Sprint("sid=", n))
			fmt.Fprintf(w, "secret %d", n)
		}), Options{})
		defer w.close()
		leader := w.get("/")
		synctest.Wait()
		others := []*sent{w.get("/"), w.get("/")}
		synctest.Wait()
		leader.cancel()
		<-leader.done
		synctest.Wait()
		header.open()
		if a, b := others[0].wait(t), others[1].wait(t); a == b || a == "secret 1" || b == "secret 1" {
			t.Errorf("got %q and %q", a, b)
		}
		w.check(Stats{Requests: 3, Led: 1, Refused: 2})
	})
}

// A client that never reads its body, or closes it early, disturbs nobody.
func TestBodyClosedEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for closer := range 2 {
			w := transportWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(second)
				w.Write(make([]byte, 200<<10))
			}), Options{})
			get := func() chan *http.Response {
				got := make(chan *http.Response, 1)
				go func() {
					resp, err := w.rt.RoundTrip(newRequest("GET", "/"))
					if err != nil {
						t.Error(err)
					}
					got <- resp
				}()
				return got
			}
			first := get()
			synctest.Wait()
			pair := []*http.Response{nil, nil}
			second := get()
			pair[0], pair[1] = <-first, <-second
			pair[closer].Body.Close()
			if n, err := pair[closer].Body.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("Read of a closed body: %d, %v", n, err)
			}
			if n, err := io.Copy(io.Discard, pair[1-closer].Body); n != 200<<10 || err != nil {
				t.Errorf("the other got %d bytes, %v", n, err)
			}
			w.check(Stats{Requests: 2, Led: 1, Collapsed: 1})
			w.close()
		}
	})
}

// The context of a client ends in the body: its Body says so.
func TestBodyEndsWithContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, alone := range []bool{true, false} {
			w := transportWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(second)
				io.WriteString(w, "first")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}), Options{})
			hasty, cancel := context.WithTimeout(t.Context(), 3*second)
			s := w.send(newRequest("GET", "/").WithContext(hasty))
			var other *sent
			if !alone {
				other = w.get("/")
			}
			<-s.done
			if s.err != context.DeadlineExceeded || s.body != "first" {
				t.Errorf("alone %v: got %q, %v", alone, s.body, s.err)
			}
			cancel()
			if other != nil {
				synctest.Wait()
				if other.over() {
					t.Error("the other has ended too")
				}
				other.cancel()
				<-other.done
			}
			w.close()
		}
	})
}

// FlightTimeout bounds the forwarded request, header and body.
func TestFlightTimeout(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		var took atomic.Int64
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			if r.URL.Path == "/body" {
				io.WriteString(w, "first")
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
			took.Store(int64(time.Since(start)))
			panic(http.ErrAbortHandler)
		}), Options{FlightTimeout: 3 * second})
		defer w.close()
		for _, path := range []string{"/header", "/body"} {
			all := []*sent{w.get(path), w.get(path)}
			for _, s := range all {
				<-s.done
				if s.err == nil && s.status != http.StatusBadGateway {
					t.Errorf("%s: got %d %q", path, s.status, s.body)
				}
			}
			synctest.Wait()
			if got := time.Duration(took.Load()); got != 3*second {
				t.Errorf("%s: the origin's context ended after %v", path, got)
			}
		}
	})
}

// Wait returns when the forwarded requests are over, with their bodies.
func TestWait(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		release := make(gate)
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			release.wait(r.Context())
		}), Options{})
		defer w.close()
		s := w.get("/")
		synctest.Wait()
		hasty, cancel := context.WithTimeout(t.Context(), second)
		defer cancel()
		if err := w.m.wait(hasty); err != context.DeadlineExceeded {
			t.Errorf("with the body on its way: %v", err)
		}
		if w.m.stats().InFlight != 1 {
			t.Errorf("%+v", w.m.stats())
		}
		release.open()
		if err := w.m.wait(t.Context()); err != nil {
			t.Error(err)
		}
		s.wait(t)
		w.check(Stats{Requests: 1, Led: 1})
	})
}

// A storm of clients that come and go leaves nothing behind: the bubble fails if
// a goroutine stays.
func TestNothingStays(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/1":
				w.Header().Set("Cache-Control", "max-age=60")
			case "/2":
				w.Header().Set("Cache-Control", "private")
			}
			for range 12 {
				time.Sleep(10 * time.Millisecond)
				if _, err := w.Write(make([]byte, 8<<10)); err != nil {
					return
				}
			}
		}), Options{MaxBuffer: 64 << 10, MaxStall: 100 * time.Millisecond, MaxMemory: 256 << 10})
		defer w.close()
		var all []*sent
		for i := range 50 {
			s := w.get(fmt.Sprint("/", i%4))
			all = append(all, s)
			if i%3 == 0 {
				time.AfterFunc(time.Duration(2*i)*time.Millisecond, s.cancel)
			}
			time.Sleep(time.Millisecond)
		}
		for _, s := range all {
			<-s.done
		}
		time.Sleep(second)
		synctest.Wait()
		stats := w.m.stats()
		if stats.InFlight != 0 || stats.Buffered != 0 || len(w.m.air) != 0 || len(w.m.all) != 0 || w.m.limits.memory.used != 0 {
			t.Errorf("left behind: %+v, %d in the air, %d under way, %d bytes taken", stats, len(w.m.air), len(w.m.all), w.m.limits.memory.used)
		}
		if stats.Led+stats.Collapsed+stats.Refused+stats.Bypassed > stats.Requests {
			t.Errorf("counters: %+v", stats)
		}
	})
}
