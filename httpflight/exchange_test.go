package httpflight

import (
	"context"
	"crypto/tls"
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

// The exchanges in which one user got another's answer, or worse, from a
// prototype of this package.

// bubble runs a test in a bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// slowly is a handler that answers what f returns, after everybody has come.
func slowly(f func(w http.ResponseWriter, r *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(second)
		io.WriteString(w, f(w, r))
	})
}

// A gateway that authenticates by a cookie, takes that off and rewrites the path
// by the user.
func TestRewrittenPathBelongsToKey(t *testing.T) {
	rewrite := func(out *http.Request, in *http.Request) {
		user, _ := in.Cookie("user")
		out.Header.Del("Cookie")
		out.URL.Path = "/users/" + user.Value + in.URL.Path
	}
	for _, where := range []string{"transport in a proxy", "handler"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				book := new(logBook)
				origin := slowly(func(w http.ResponseWriter, r *http.Request) string { return "private of " + r.URL.Path })
				var front http.Handler
				if where == "handler" {
					h := NewHandler(origin, Options{})
					front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						out := r.Clone(r.Context())
						rewrite(out, r)
						h.ServeHTTP(w, out)
					})
				} else {
					back, stop := serve(origin, book, nil)
					defer stop()
					proxy := proxyTo(NewTransport(back, Options{}), book)
					to := proxy.Rewrite
					proxy.Rewrite = func(pr *httputil.ProxyRequest) {
						to(pr)
						rewrite(pr.Out, pr.In)
					}
					front = proxy
				}
				rt, stop := serve(front, book, nil)
				defer stop()
				alice := sendBy(rt, newRequest("GET", "/me", "Cookie", "user=alice"))
				bob := sendBy(rt, newRequest("GET", "/me", "Cookie", "user=bob"))
				if got := alice.wait(t); got != "private of /users/alice/me" {
					t.Errorf("alice got %q", got)
				}
				if got := bob.wait(t); got != "private of /users/bob/me" {
					t.Errorf("bob got %q", got)
				}
			})
		})
	}
}

// What http.Transport ignores doesn't keep requests apart from what it sends.
func TestTransportKeyIsWhatIsSent(t *testing.T) {
	a, b := newRequest("GET", "/a"), newRequest("GET", "/a")
	a.RequestURI, b.RequestURI = "/same", "/same"
	b.URL.Path = "/b"
	if identical(a, nil) == identical(b, nil) {
		t.Error("requests for /a and /b have one key")
	}
}

// GET https://victim/ in absolute form, over plain text and over TLS.
func TestTLSBelongsToKey(t *testing.T) {
	plain, secure := httptest.NewRequest("GET", "https://victim.test/", nil), httptest.NewRequest("GET", "https://victim.test/", nil)
	plain.TLS = nil
	secure.TLS = &tls.ConnectionState{}
	for name, key := range map[string]func(*http.Request) (string, bool){"Identical": Identical, "KeyFields": KeyFields("Accept")} {
		a, _ := key(plain)
		b, _ := key(secure)
		if a == b {
			t.Errorf("%s: one key with TLS and without", name)
		}
	}
}

// Connection names a field that a proxy removes.
func TestConnectionThatNamesFieldsRunsAlone(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		for _, key := range []func(*http.Request) (string, bool){nil, KeyFields("X-Tenant")} {
			w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
				return "tenant " + r.Header.Get("X-Tenant")
			}), Options{Key: key})
			attacker := w.get("/", "X-Tenant", "acme", "Connection", "X-Tenant")
			victim := w.get("/", "X-Tenant", "acme")
			attacker.wait(t)
			if got := victim.wait(t); got != "tenant acme" {
				t.Errorf("victim got %q", got)
			}
			if a.name != "transport in a proxy" { // there a proxy has removed both fields before
				w.check(Stats{Requests: 2, Bypassed: 1, Led: 1})
			}
			w.close()
		}
	})
}

// A router takes its contexts from a pool and puts them back when ServeHTTP
// returns.
func TestLeaderThatHangsUpKeepsItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type route struct{ record string }
		type routeKey struct{}
		routes := &route{}
		var inside atomic.Int64
		enough := make(gate)
		w := handlerWorldAround(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inside.Add(1)
			defer inside.Add(-1)
			enough.wait(r.Context())
			fmt.Fprint(w, r.Context().Value(routeKey{}).(*route).record)
		}), Options{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				entry := &route{"record of " + r.URL.Path}
				if r.Header.Get("Follows") == "" {
					entry = routes
					entry.record = "record of " + r.URL.Path
					defer func() { entry.record = "recycled" }()
				}
				r.Header.Del("Follows")
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, entry)))
			})
		})
		defer w.close()
		leader := w.get("/1")
		synctest.Wait()
		follower := w.get("/1", "Follows", "yes")
		synctest.Wait()
		leader.cancel()
		<-leader.done
		synctest.Wait()
		if inside.Load() != 1 {
			t.Fatalf("%d handlers run", inside.Load())
		}
		enough.open()
		if got := follower.wait(t); got != "record of /1" {
			t.Errorf("follower got %q", got)
		}
	})
}

// A middleware outside mints a token, which it puts into the context and into
// a cookie.
func TestFieldsFromOutsideForbidSharing(t *testing.T) {
	for _, field := range []string{"Set-Cookie", "set-cookie", "Cache-Control"} {
		bubble(t, func(t *testing.T) {
			type token struct{}
			var minted atomic.Int64
			w := handlerWorldAround(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
				return r.Context().Value(token{}).(string)
			}), Options{}, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					value := fmt.Sprintf("private=%d", minted.Add(1))
					w.Header()[field] = []string{value}
					w.Header().Add("Vary", "Cookie")
					next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), token{}, value)))
				})
			})
			defer w.close()
			first, other := w.get("/form"), w.get("/form")
			for _, s := range []*sent{first, other} {
				if body := s.wait(t); body != s.fields.Get(field) {
					t.Errorf("body has %q, and %s is %q", body, field, s.fields.Get(field))
				}
			}
			w.check(Stats{Requests: 2, Bypassed: 2})
		})
	}
}

// A follower that has a cookie on its ResponseWriter, when its leader had none.
func TestFollowersOwnFieldsAreJudged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := handlerWorldAround(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			w.Header().Set("X-Kind", "page")
			return "page"
		}), Options{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if v := r.Header.Get("X-Request-Id"); v != "" {
					w.Header().Set("X-Kind", v)
				}
				next.ServeHTTP(w, r)
			})
		})
		defer w.close()
		leader := w.get("/")
		synctest.Wait()
		follower := w.get("/", "X-Request-Id", "own")
		leader.wait(t)
		follower.wait(t)
		// What the handler would have done with the follower's own value isn't known.
		w.check(Stats{Requests: 2, Led: 1, Refused: 1})
	})
}

// Fields that both a middleware outside and the handler touch.
func TestHandlerChangesFieldsFromOutside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen atomic.Value
		w := handlerWorldAround(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			h := w.Header()
			seen.Store(h.Get("X-Deleted"))
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Content-Type", "text/css")
			h.Del("X-Deleted")
			h.Add("Vary", "Accept-Language")
			h.Set("X-Replaced", "new")
			return "page"
		}), Options{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				h.Set("Access-Control-Allow-Origin", "*")
				h.Set("Content-Type", "text/plain")
				h.Set("X-Deleted", "outside")
				h.Set("Vary", "Origin")
				h.Set("X-Replaced", "old")
				h.Set("X-Own", r.Header.Get("X-Request-Id"))
				next.ServeHTTP(w, r)
			})
		})
		defer w.close()
		all := []*sent{w.get("/", "X-Request-Id", "0"), w.get("/", "X-Request-Id", "1")}
		for i, s := range all {
			s.wait(t)
			for name, want := range map[string]string{
				"Access-Control-Allow-Origin": "[*]", "Content-Type": "[text/css]", "X-Deleted": "[]",
				"Vary": "[Origin Accept-Language]", "X-Replaced": "[new]", "X-Own": fmt.Sprintf("[%d]", i),
			} {
				if got := fmt.Sprint(s.fields.Values(name)); got != want {
					t.Errorf("client %d: %s is %s, want %s", i, name, got, want)
				}
			}
		}
		if seen.Load() != "outside" {
			t.Errorf("handler found %q", seen.Load())
		}
		w.check(Stats{Requests: 2, Led: 1, Collapsed: 1})
	})
}

// The key that anybody would write first, and two payments.
func TestKeyIsAskedForEligibleRequestsOnly(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			body, _ := io.ReadAll(r.Body)
			return r.Method + " " + r.Header.Get("Cookie") + " " + string(body)
		}), Options{Key: func(r *http.Request) (string, bool) { return r.URL.Path, true }})
		defer w.close()
		pay := func(user string) *sent {
			r := newRequest("POST", "/pay", "Cookie", "user="+user)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(user)), int64(len(user))
			return w.send(r)
		}
		alice, bob := pay("alice"), pay("bob")
		withBody := newRequest("GET", "/pay")
		withBody.Body, withBody.ContentLength = io.NopCloser(strings.NewReader("query")), 5
		carol, dave := w.send(withBody), w.get("/pay")
		for s, want := range map[*sent]string{
			alice: "POST user=alice alice", bob: "POST user=bob bob", carol: "GET  query", dave: "GET  ",
		} {
			if got := s.wait(t); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		head := w.send(newRequest("HEAD", "/pay"))
		get := w.get("/pay")
		if head.wait(t) != "" || get.wait(t) != "GET  " {
			t.Errorf("HEAD got %q, GET %q", head.body, get.body)
		}
	})
}

// A request whose context ends by a deadline, in a middleware outside.
func TestDeadlineIsNoEmptyPage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var outside atomic.Bool
		w := handlerWorldAround(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * second)
			io.WriteString(w, "page")
			w.(http.Flusher).Flush()
			time.Sleep(3 * second)
			io.WriteString(w, " end")
		}), Options{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if id := r.Header.Get("X-Request-Id"); id != "" {
					d, _ := time.ParseDuration(id)
					ctx, cancel := context.WithTimeout(r.Context(), d)
					defer cancel()
					r = r.WithContext(ctx)
					outside.Store(true)
				}
				next.ServeHTTP(w, r)
			})
		})
		defer w.close()
		hasty := w.get("/", "X-Request-Id", "1s") // leads
		synctest.Wait()
		patient := w.get("/")
		hastyToo := w.get("/", "X-Request-Id", "2s")
		late := w.get("/", "X-Request-Id", "4s") // ends in the body
		start := time.Now()
		for s, after := range map[*sent]time.Duration{hasty: second, hastyToo: 2 * second} {
			<-s.done
			if s.status != 503 || s.fields.Get("Cache-Control") != "no-store" || s.err != nil {
				t.Errorf("after %v: %d, %v, %v", after, s.status, s.fields, s.err)
			}
		}
		if took := time.Since(start); took != 2*second {
			t.Errorf("both had their answer after %v", took)
		}
		<-late.done
		if late.err == nil {
			t.Errorf("a body that was cut by a deadline looks whole: %d %q", late.status, late.body)
		}
		if got := patient.wait(t); got != "page end" {
			t.Errorf("the patient client got %q", got)
		}
	})
}

// The leader alone with a deadline: as without the package.
func TestDeadlineOfLeaderAloneIsTheHandlers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := handlerWorldAround(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			http.Error(w, "too late", http.StatusGatewayTimeout)
		}), Options{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), second)
				defer cancel()
				next.ServeHTTP(w, r.WithContext(ctx))
			})
		})
		defer w.close()
		s := w.get("/")
		if body := s.wait(t); s.status != http.StatusGatewayTimeout || body != "too late\n" {
			t.Errorf("got %d %q", s.status, body)
		}
	})
}
