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
