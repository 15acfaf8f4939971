package httpflight

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A slowReader reads a response by hand.
type slowReader struct {
	resp *http.Response
}

func (w *world) open(t *testing.T, target string) *slowReader {
	t.Helper()
	resp, err := w.rt.RoundTrip(newRequest("GET", target))
	if err != nil {
		t.Fatal(err)
	}
	return &slowReader{resp: resp}
}

// endless is a handler that writes a body of unknown length once release is open.
func endless(release gate, size int, fields ...string) http.Handler {
	piece := bytes.Repeat([]byte("x"), 64<<10)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		release.wait(r.Context())
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for sent := 0; sent < size; sent += len(piece) {
			if _, err := w.Write(piece[:min(len(piece), size-sent)]); err != nil {
				return
			}
		}
	})
}

// withoutProxies is eachArrangement for tests in which the writer waits:
// httputil.ReverseProxy holds a mutex while it writes, and another goroutine of
// its own waits for that, which a bubble takes for work that goes on.
func withoutProxies(t *testing.T, test func(t *testing.T, a arrangement)) {
	t.Helper()
	for _, a := range arrangements[:2] {
		t.Run(a.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, a) })
		})
	}
}

// One that reads nothing is cut off from a body that is longer than MaxBuffer;
// the others get all, and no more than MaxBuffer is ever kept.
func TestReaderThatReadsNothingIsCut(t *testing.T) {
	const size, window = 1 << 20, 64 << 10
	withoutProxies(t, func(t *testing.T, a arrangement) {
		release := make(gate)
		w := a.build(t, endless(release, size), Options{MaxBuffer: window, MaxStall: second})
		defer w.close()
		opened := make(chan *slowReader)
		go func() { opened <- w.open(t, "/") }()
		synctest.Wait()
		healthy := []*sent{w.get("/"), w.get("/"), w.get("/")}
		synctest.Wait()
		start := time.Now()
		release.open()
		slow := <-opened
		for _, s := range healthy {
			if got := s.wait(t); len(got) != size {
				t.Errorf("a healthy client got %d bytes", len(got))
			}
		}
		if took := time.Since(start); took < second || took > 2*second {
			t.Errorf("the healthy ones took %v", took)
		}
		n, err := io.Copy(io.Discard, slow.resp.Body)
		slow.resp.Body.Close()
		if err == nil || n == size {
			t.Errorf("the slow one got %d bytes, %v", n, err)
		}
		if most := w.m.limits.memory.most; most > window || most < window/2 {
			t.Errorf("%d bytes were kept", most)
		}
		w.check(Stats{Requests: 4, Led: 1, Collapsed: 3, Cut: 1})
		// Its like isn't shared for a while.
		again := w.get("/")
		again.wait(t)
		w.check(Stats{Requests: 5, Led: 1, Collapsed: 3, Cut: 1, Bypassed: 1})
	})
}

// An attacker that reads a little, often enough to seem alive.
func TestReaderThatTricklesIsCut(t *testing.T) {
	const size, window = 4 << 20, 512 << 10
	for _, a := range arrangements[:2] {
		for piece, cut := range map[int64]bool{18 << 10: true, 100 << 10: false} {
			t.Run(fmt.Sprint(a.name, " ", piece), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					release := make(gate)
					w := a.build(t, endless(release, size), Options{MaxBuffer: window, MaxStall: 200 * time.Millisecond})
					defer w.close()
					opened := make(chan *slowReader)
					go func() { opened <- w.open(t, "/") }()
					synctest.Wait()
					healthy := w.get("/")
					synctest.Wait()
					release.open()
					slow := <-opened
					var failed error
					read := int64(0)
					for failed == nil {
						var n int64
						n, failed = io.CopyN(io.Discard, slow.resp.Body, piece)
						read += n
						time.Sleep(150 * time.Millisecond)
					}
					slow.resp.Body.Close()
					if got := healthy.wait(t); len(got) != size {
						t.Errorf("the healthy one got %d bytes", len(got))
					}
					if wasCut := failed != io.EOF || read < size; wasCut != cut {
						t.Errorf("one that reads %d bytes each 150 ms got %d, %v", piece, read, failed)
					}
				})
			})
		}
	}
}

// A connection that hangs is released when its request is cut: ServeHTTP returns.
func TestCutReleasesTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var inside atomic.Int64
		release := make(gate)
		w := handlerWorldAround(t, endless(release, 1<<20), Options{MaxBuffer: 64 << 10}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inside.Add(1)
				defer inside.Add(-1)
				next.ServeHTTP(w, r)
			})
		})
		defer w.close()
		var slow [2]*slowReader
		opened := make(chan *slowReader)
		for range slow {
			go func() { opened <- w.open(t, "/") }()
			synctest.Wait()
		}
		healthy := w.get("/")
		synctest.Wait()
		release.open()
		slow[0], slow[1] = <-opened, <-opened
		healthy.wait(t)
		time.Sleep(second)
		synctest.Wait()
		if n := inside.Load(); n != 0 {
			t.Errorf("%d requests are still being served", n)
		}
		for _, s := range slow {
			s.resp.Body.Close()
		}
	})
}

// Connections that read nothing hold bodies shorter than MaxBuffer, until the
// memory is needed.
func TestSleepersMakeRoom(t *testing.T) {
	const size, memory = 200 << 10, 512 << 10
	withoutProxies(t, func(t *testing.T, a arrangement) {
		release := make(gate)
		w := a.build(t, endless(release, size, "Cache-Control", "max-age=60"), Options{MaxBuffer: 256 << 10, MaxMemory: memory, MaxStall: second})
		defer w.close()
		var slow []*slowReader
		opened := make(chan *slowReader)
		sleep := func(path string) {
			for range 2 {
				go func() { opened <- w.open(t, path) }()
				synctest.Wait()
			}
		}
		sleep("/0")
		sleep("/1")
		release.open()
		for range 4 {
			slow = append(slow, <-opened)
		}
		time.Sleep(2 * second)
		if stats := w.m.stats(); stats.Cut != 0 || stats.Buffered < 2*size*9/10 {
			t.Errorf("while there is room: %+v", stats)
		}
		sleep("/2")
		slow = append(slow, <-opened, <-opened)
		synctest.Wait()
		if stats := w.m.stats(); stats.Cut == 0 {
			t.Errorf("when there is none: %+v", stats)
		}
		for i := range 4 {
			path := fmt.Sprint("/new", i)
			for _, s := range []*sent{w.get(path), w.get(path)} {
				if got := s.wait(t); len(got) != size {
					t.Errorf("a healthy client got %d bytes", len(got))
				}
			}
		}
		if most := w.m.limits.memory.most; most > memory || most < memory/2 {
			t.Errorf("%d bytes were kept", most)
		}
		for _, s := range slow {
			s.resp.Body.Close()
		}
		time.Sleep(5 * second)
		synctest.Wait()
		if stats := w.m.stats(); stats.InFlight != 0 || stats.Buffered != 0 || w.m.limits.memory.used != 0 {
			t.Errorf("left behind: %+v, %d bytes taken", stats, w.m.limits.memory.used)
		}
	})
}

// A body of unknown length that has outgrown MaxBuffer is joined by nobody.
func TestNobodyJoinsAWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var runs atomic.Int64
		w := handlerWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			n := runs.Add(1)
			for range 10 {
				w.Write([]byte(strings.Repeat(fmt.Sprint(n), 10<<10)))
				w.(http.Flusher).Flush()
				time.Sleep(second)
			}
		}), Options{MaxBuffer: 64 << 10})
		defer w.close()
		first := w.get("/")
		time.Sleep(2*second + second/2)
		early := w.get("/")
		time.Sleep(5 * second)
		late := w.get("/")
		for s, want := range map[*sent]string{first: "1", early: "1", late: "2"} {
			if got := s.wait(t); got != strings.Repeat(want, 100<<10) {
				t.Errorf("got %d bytes of %.1s, want %s", len(got), got, want)
			}
		}
	})
}

// A response that says it is longer than MaxBuffer isn't shared.
func TestLongResponsesAreNotShared(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			w.Header().Set("Content-Length", fmt.Sprint(5<<10))
			return strings.Repeat("x", 5<<10)
		}), Options{MaxBuffer: 4 << 10})
		defer w.close()
		all := []*sent{w.get("/"), w.get("/")}
		for _, s := range all {
			if len(s.wait(t)) != 5<<10 {
				t.Errorf("got %d bytes", len(s.body))
			}
		}
		w.check(Stats{Requests: 2, Led: 1, Refused: 1})
	})
}

// When the memory is full, new requests run alone.
func TestFullMemoryMeansAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(gate)
		w := transportWorld(t, endless(release, 60<<10), Options{MaxBuffer: 64 << 10, MaxMemory: 64 << 10})
		defer w.close()
		opened := make(chan *slowReader)
		go func() { opened <- w.open(t, "/") }()
		synctest.Wait()
		go func() { opened <- w.open(t, "/") }()
		synctest.Wait()
		release.open()
		a, b := <-opened, <-opened
		synctest.Wait()
		w.get("/other").wait(t)
		if stats := w.m.stats(); stats.Bypassed != 1 || stats.Collapsed != 1 {
			t.Errorf("%+v", stats)
		}
		a.resp.Body.Close()
		b.resp.Body.Close()
		w.get("/other").wait(t)
		if stats := w.m.stats(); stats.Bypassed != 1 || stats.Led != 2 {
			t.Errorf("%+v", stats)
		}
	})
}
