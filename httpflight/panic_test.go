package httpflight

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// A handler panics, before and after its first byte, with the leader there or
// not: all connections are aborted, and net/http logs it once.
func TestHandlerPanics(t *testing.T) {
	for _, value := range []any{"boom", http.ErrAbortHandler} {
		for _, inBody := range []bool{false, true} {
			for _, leaderLeft := range []bool{false, true} {
				bubble(t, func(t *testing.T) {
					w := handlerWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(second)
						if inBody {
							io.WriteString(w, "first")
							w.(http.Flusher).Flush()
							time.Sleep(second)
						}
						panic(value)
					}), Options{})
					defer w.close()
					leader := w.get("/")
					synctest.Wait()
					all := []*sent{w.get("/"), w.get("/")}
					synctest.Wait()
					if leaderLeft {
						leader.cancel()
					}
					for _, s := range append(all, leader) {
						<-s.done
						if s.err == nil {
							t.Errorf("got %d %q", s.status, s.body)
						}
						if inBody && s != leader && s.read() != "first" {
							t.Errorf("got %q before the panic", s.read())
						}
					}
					synctest.Wait()
					want := 1
					if value == http.ErrAbortHandler {
						want = 0
					}
					if got := w.log.about("panic"); got != want {
						t.Errorf("%d panics are logged: %q", got, w.log.lines)
					}
					w.check(Stats{Requests: 3, Led: 1, Collapsed: w.m.collapsed.Load()})
				})
			}
		}
	}
}

// A RoundTripper panics: one caller panics, and the others get an error.
func TestRoundTripperPanics(t *testing.T) {
	for _, left := range []int{0, 3} {
		bubble(t, func(t *testing.T) {
			book := new(logBook)
			tr := NewTransport(roundTripper(func(r *http.Request) (*http.Response, error) {
				time.Sleep(second)
				panic(errTest)
			}), quiet(Options{}, book))
			panics, failures := 0, 0
			var all []*sent
			done := make(chan any, 3)
			for range 3 {
				all = append(all, sendBy(roundTripper(func(r *http.Request) (resp *http.Response, err error) {
					defer func() {
						value := recover()
						if value != nil {
							err = errTest
						}
						done <- value
						if p := (*singleflight.PanicError)(nil); value == nil && left == 0 && !errors.As(err, &p) {
							t.Errorf("error is %v", err)
						}
					}()
					return tr.RoundTrip(r)
				}), newRequest("GET", "/")))
			}
			synctest.Wait()
			for _, s := range all[:left] {
				s.cancel()
			}
			for _, s := range all {
				<-s.done
				if value := <-done; value != nil {
					panics++
					if p, ok := value.(*singleflight.PanicError); !ok || !errors.Is(p, errTest) {
						t.Errorf("panic with %v", value)
					}
				} else if s.err != nil {
					failures++
				}
			}
			time.Sleep(2 * second)
			synctest.Wait()
			if left == 0 && (panics != 1 || failures != 2 || book.about("panic") != 0) {
				t.Errorf("%d panics, %d errors, log %q", panics, failures, book.lines)
			}
			if left == 3 && (panics != 0 || book.about("error of the test") != 1) {
				t.Errorf("nobody is left: %d panics, log %q", panics, book.lines)
			}
			if n := len(tr.m.all); n != 0 {
				t.Errorf("%d flights under way", n)
			}
		})
	}
}

// An error of the RoundTripper is everyone's, and so is one in the middle of a
// body, after the bytes before it.
func TestErrorsAreEveryones(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tr := NewTransport(roundTripper(func(r *http.Request) (*http.Response, error) {
			time.Sleep(second)
			if r.URL.Path == "/header" {
				return nil, errTest
			}
			body := io.MultiReader(&sometimes{text: "first"}, failing{})
			return &http.Response{StatusCode: 200, Header: make(http.Header), ContentLength: -1, Body: io.NopCloser(body)}, nil
		}), Options{})
		for path, body := range map[string]string{"/header": "", "/body": "first"} {
			all := []*sent{sendBy(tr, newRequest("GET", path)), sendBy(tr, newRequest("GET", path)), sendBy(tr, newRequest("GET", path))}
			for _, s := range all {
				<-s.done
				if s.err != errTest || s.body != body {
					t.Errorf("%s: got %q, %v", path, s.body, s.err)
				}
			}
		}
	})
}

type sometimes struct{ text string }

func (s *sometimes) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(p, s.text[:1])
	s.text = s.text[n:]
	time.Sleep(second)
	return n, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errTest }

// Forbid panics: as the handler does, and the RoundTripper. Nobody is left
// waiting.
func TestForbidPanics(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		for at := range 2 {
			calls := 0
			w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string { return "page" }), Options{
				Forbid: func(r *http.Request, status int, h http.Header) bool {
					if calls++; calls == at+1 {
						panic("boom")
					}
					return false
				},
			})
			all := make([]*sent, 2)
			for i := range all {
				all[i] = sendBy(recovering{w.rt}, newRequest("GET", "/"))
			}
			failures := 0
			for _, s := range all {
				<-s.done
				if s.err != nil || s.status != 200 {
					failures++
				}
			}
			if at == 0 && failures != 2 || at == 1 && failures != 1 {
				t.Errorf("panic at call %d: %d failures", at+1, failures)
			}
			w.check(Stats{Requests: 2, Led: 1, Collapsed: w.m.collapsed.Load()})
			w.close()
		}
	})
}

type recovering struct{ http.RoundTripper }

func (rt recovering) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			err = errTest
		}
	}()
	return rt.RoundTripper.RoundTrip(r)
}
