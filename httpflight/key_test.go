package httpflight

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Requests that are never merged, with whatever key.
func TestNotEligible(t *testing.T) {
	bodyless := func(r *http.Request) *http.Request { return r }
	for name, change := range map[string]func(r *http.Request) *http.Request{
		"authorization":     withField("Authorization", "Basic x"),
		"authorization raw": withField("authorization", "Basic x"),
		"proxy":             withField("Proxy-Authorization", "x"),
		"cookie":            withField("Cookie", "a=b"),
		"cookie raw":        withField("cookie", "a=b"),
		"range":             withField("Range", "bytes=0-1"),
		"if":                withField("If-None-Match", "x"),
		"if since":          withField("if-modified-since", "x"),
		"upgrade":           withField("Upgrade", "websocket"),
		"expect":            withField("Expect", "100-continue"),
		"last event":        withField("Last-Event-ID", "1"),
		"no-cache":          withField("Cache-Control", "no-cache"),
		"no-cache;":         withField("Cache-Control", "No-Cache;"),
		"no-store":          withField("cache-control", "max-age=0, no-store"),
		"pragma":            withField("Pragma", "no-cache"),
		"override":          withField("X-HTTP-Method-Override", "DELETE"),
		"connection":        withField("Connection", "close, X-Tenant"),
		"proxy connection":  withField("proxy-connection", "X-Tenant"),
		"chunked":           withField("Transfer-Encoding", "chunked"),
		"length":            withField("Content-Length", "5"),
		"post":              func(r *http.Request) *http.Request { r.Method = "POST"; return r },
		"options":           func(r *http.Request) *http.Request { r.Method = "OPTIONS"; return r },
		"lower case":        func(r *http.Request) *http.Request { r.Method = "get"; return r },
		"user":              func(r *http.Request) *http.Request { r.URL.User = url.User("x"); return r },
		"certificate": func(r *http.Request) *http.Request {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
			return r
		},
		"transfer encoding": func(r *http.Request) *http.Request { r.TransferEncoding = []string{"chunked"}; return r },
	} {
		m := newMerger(Options{Key: func(*http.Request) (string, bool) { return "one", true }})
		if _, ok := m.admit(change(newRequest("GET", "/")), true, nil); ok {
			t.Errorf("%s: is merged", name)
		}
	}
	m := newMerger(Options{})
	for _, r := range []*http.Request{
		bodyless(newRequest("GET", "/")), newRequest("HEAD", "/"), newRequest("", "/"),
		newRequest("GET", "/", "Connection", "Keep-Alive, close", "X-Api-Key", "secret", "Content-Length", "0"),
		newRequest("GET", "/", "Cache-Control", "max-age=0"),
	} {
		if _, ok := m.admit(r, true, nil); !ok {
			t.Errorf("%s %v: isn't merged", r.Method, r.Header)
		}
	}
	if _, ok := m.admit(newRequest("GET", "/"), false, nil); ok {
		t.Error("one with a body is merged")
	}
}

func withField(name, value string) func(r *http.Request) *http.Request {
	return func(r *http.Request) *http.Request {
		r.Header[name] = []string{value}
		return r
	}
}

// Who knows better gives an Eligible: but a body and a method stay what they are.
func TestEligibleOfOnesOwn(t *testing.T) {
	m := newMerger(Options{Eligible: func(r *http.Request) bool { return true }})
	if _, ok := m.admit(newRequest("GET", "/", "Cookie", "theme=dark"), true, nil); !ok {
		t.Error("isn't merged")
	}
	for _, r := range []*http.Request{newRequest("POST", "/"), newRequest("GET", "/", "Connection", "Cookie")} {
		if _, ok := m.admit(r, true, nil); ok {
			t.Errorf("%s %v is merged", r.Method, r.Header)
		}
	}
}

// Pairs of random requests that have one key differ in nothing but in the fields
// that are named.
func TestOneKeyMeansTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	random := func() *http.Request {
		q := newRequest(pick("GET", "GET", "HEAD"), pick("/", "/a", "/a/", "/%61", "/a?", "/a?b", "/a?b=", "//a", "/a;b"))
		q.Host = pick("site.test", "site.test", "SITE.test", "other.test")
		q.RequestURI = pick("", "", "/a")
		if r.IntN(8) == 0 {
			q.TLS = &tls.ConnectionState{ServerName: pick("", "site.test")}
		}
		for range r.IntN(3) {
			name := pick("Accept", "accept", "X-Api-Key", "X-Api", "Key", "X-Request-Id", "Traceparent", "X-Forwarded-For", "Connection", "Te")
			q.Header[name] = append(q.Header[name], pick("", "a", "ab", "b", "a b", "<a>", "close"))
		}
		return q
	}
	but := AllBut("X-Forwarded-For")
	same, sameBut := 0, 0
	for range 40_000 {
		a, b := random(), random()
		keyA, _ := Identical(a)
		keyB, _ := Identical(b)
		if keyA == keyB {
			same++
			requireSame(t, a, b, nil)
		} else if reflect.DeepEqual(a, b) {
			t.Fatalf("%+v has two keys", a)
		}
		keyA, _ = but(a)
		keyB, _ = but(b)
		if keyA == keyB {
			sameBut++
			requireSame(t, a, b, []string{"X-Forwarded-For"})
		}
	}
	if same < 50 || sameBut <= same {
		t.Errorf("%d pairs are the same, %d but for a field", same, sameBut)
	}
}

func requireSame(t *testing.T, a, b *http.Request, but []string) {
	t.Helper()
	left := func(h http.Header) http.Header {
		h = h.Clone()
		maps.DeleteFunc(h, func(name string, values []string) bool {
			harmless := !strings.ContainsAny(strings.Join(values, ""), " <>")
			return slices.Contains(but, http.CanonicalHeaderKey(name)) ||
				harmless && slices.Contains([]string{"X-Request-Id", "Traceparent", "Connection"}, http.CanonicalHeaderKey(name))
		})
		return h
	}
	if a.Method != b.Method || *a.URL != *b.URL || a.Host != b.Host || a.RequestURI != b.RequestURI || !reflect.DeepEqual(a.TLS, b.TLS) ||
		!reflect.DeepEqual(left(a.Header), left(b.Header)) {
		t.Fatalf("one key for\n%+v\n%+v", a, b)
	}
}

// Every other field is trusted by KeyFields.
func TestKeyFields(t *testing.T) {
	key := KeyFields("accept", "Host")
	of := func(target string, fields ...string) string {
		k, ok := key(newRequest("GET", target, fields...))
		if !ok {
			t.Error("not ok")
		}
		return k
	}
	if of("/", "X-Other", "1") != of("/") {
		t.Error("another field counts")
	}
	for _, other := range []string{of("/a"), of("/", "Accept", "x"), of("/", "Accept", ""), of("http://other.test/")} {
		if other == of("/") {
			t.Error("one key for requests that differ")
		}
	}
	odd := newRequest("GET", "/")
	odd.Header["aCCept"] = []string{"x"}
	if k, _ := key(odd); k == of("/") {
		t.Error("a field in another spelling doesn't count")
	}
}

// Unknown credentials merge only with themselves.
func TestUnknownCredentialsKeepApart(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
			return "for " + r.Header.Get("X-Api-Key")
		}), Options{})
		defer w.close()
		all := make(map[string][]*sent)
		for i := range 10 {
			user := fmt.Sprint(i % 3)
			all[user] = append(all[user], w.get("/", "X-Api-Key", user))
		}
		for user, requests := range all {
			for _, s := range requests {
				if got := s.wait(t); got != "for "+user {
					t.Errorf("user %s got %q", user, got)
				}
			}
		}
		w.check(Stats{Requests: 10, Led: 3, Collapsed: 7})
	})
}

// HEAD and GET of one page have flights of their own.
func TestHeadBesideGet(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string { return "nineteen characters" }), Options{})
		defer w.close()
		var all []*sent
		for _, method := range []string{"GET", "HEAD", "GET", "HEAD"} {
			all = append(all, w.send(newRequest(method, "/")))
		}
		for i, s := range all {
			if body := s.wait(t); s.length != 19 || (body == "") != (i%2 == 1) {
				t.Errorf("request %d got %q of %d bytes", i, body, s.length)
			}
		}
		w.check(Stats{Requests: 4, Led: 2, Collapsed: 2})
	})
}

// An upgrade goes through, to a handler that hijacks its connection.
func TestUpgrade(t *testing.T) {
	for _, name := range []string{"", "edge"} {
		bubble(t, func(t *testing.T) {
			w := handlerWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, rw, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				line, _ := rw.ReadString('\n')
				io.WriteString(conn, line)
			}), Options{Name: name})
			defer w.close()
			resp, err := w.rt.RoundTrip(newRequest("GET", "/", "Connection", "Upgrade", "Upgrade", "echo"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			io.WriteString(resp.Body.(io.Writer), "hello\n")
			if got, _ := io.ReadAll(resp.Body); string(got) != "hello\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The member of Cache-Status comes after those of the handler.
func TestCacheStatusComesLast(t *testing.T) {
	eachArrangement(t, func(t *testing.T, a arrangement) {
		for name, quoted := range map[string]string{"edge": "edge", "my edge": `"my edge"`, `a"\`: `"a\"\\"`, "*x/y:z": "*x/y:z", "1a": `"1a"`} {
			w := a.build(t, slowly(func(w http.ResponseWriter, r *http.Request) string {
				w.Header().Set("Cache-Status", "inner; hit")
				return ""
			}), Options{Name: name})
			all := map[*sent]string{w.get("/"): "fwd=miss", w.get("/", "Cookie", "a=b"): "fwd=bypass"}
			for s, want := range all {
				s.wait(t)
				if got := s.fields.Values("Cache-Status"); len(got) != 2 || got[0] != "inner; hit" || got[1] != quoted+"; "+want {
					t.Errorf("Cache-Status is %q, want %s", got, want)
				}
			}
			w.close()
		}
	})
}

// Options that make no sense panic and say which.
func TestWrongOptionsPanic(t *testing.T) {
	for name, opts := range map[string]Options{
		"MaxBuffer":     {MaxBuffer: 100},
		"MaxMemory":     {MaxBuffer: 1 << 20, MaxMemory: 1 << 19},
		"MaxStall":      {MaxStall: -1},
		"FlightTimeout": {FlightTimeout: -1},
		"Name":          {Name: "a\nb"},
	} {
		for _, make := range []func(){
			func() { NewHandler(http.NotFoundHandler(), opts) },
			func() { NewTransport(nil, opts) },
			func() { Middleware(opts) },
		} {
			func() {
				defer func() {
					if value := fmt.Sprint(recover()); !strings.Contains(value, "httpflight: Options."+name) {
						t.Errorf("%s: panic with %v", name, value)
					}
				}()
				make()
			}()
		}
	}
}

// One Middleware has flights of its own for each handler.
func TestMiddlewareUses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		middleware := Middleware(Options{})
		var got [2]string
		done := make(chan struct{})
		for i := range got {
			h := middleware(slowly(func(w http.ResponseWriter, r *http.Request) string { return fmt.Sprint(i) })).(*Handler)
			go func() {
				recorder := httptest.NewRecorder()
				h.ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
				got[i] = recorder.Body.String()
				done <- struct{}{}
			}()
		}
		<-done
		<-done
		if got != [2]string{"0", "1"} {
			t.Errorf("got %q", got)
		}
	})
}
