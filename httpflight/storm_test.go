package httpflight

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var stormTime = flag.Duration("httpflight.storm", 2*time.Second, "how long the storm of secrets lasts in all")

// A page is what the origin of the storm answers: a secret of its own, and for
// whom it is.
type page struct {
	Run     int64             // the secret
	Private bool              // it must reach one client
	Asked   map[string]string // what the answer depends on
	Version int64             // of the document
	Padding string
}

// stormOrigin answers by what the request says in X-Policy, which everybody may
// send, and by credentials.
type stormOrigin struct {
	runs    atomic.Int64
	version [4]atomic.Int64
}

// policies are fields of responses, and whether they forbid to share.
var policies = []struct {
	private bool
	status  int
	fields  []string
}{
	{false, 200, nil},
	{false, 200, []string{"Cache-Control", "max-age=60"}},
	{false, 200, []string{"Cache-Control", "public, s-maxage=5", "Vary", "Accept-Language"}},
	{false, 404, nil},
	{false, 503, []string{"Retry-After", "1"}},
	{true, 200, []string{"Cache-Control", "private"}},
	{true, 200, []string{"Cache-Control", "No-Store"}},
	{true, 200, []string{"cache-control", `x="y, private`}},
	{true, 200, []string{"Cache-Control", "max-age=0"}},
	{true, 200, []string{"Set-Cookie", "sid=SECRET"}},
	{true, 200, []string{"set-cookie", "sid=SECRET"}},
	{true, 200, []string{"Vary", "*"}},
	{true, 200, []string{"Expires", "0"}},
	{true, 200, []string{"Surrogate-Control", "no-store"}},
	{true, 401, nil},
	{true, 403, nil},
	{true, 429, nil},
	{true, 302, []string{"Location", "/login?state=SECRET"}},
	{true, 200, []string{"Trailer", "Set-Cookie"}},
}

// identities are the request's fields that the answer depends on.
var identities = []string{"X-Api-Key", "Authorization", "Cookie", "X-User", "x-token", "X-Policy", "Range"}

func (o *stormOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	doc := &o.version[len(r.URL.Path)%len(o.version)]
	if r.Method == "PUT" {
		time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		doc.Add(1)
		return
	}
	p := page{Run: o.runs.Add(1), Version: doc.Load(), Asked: asked(r.Header)}
	var n int
	fmt.Sscan(r.Header.Get("X-Policy"), &n)
	policy := policies[n%len(policies)]
	p.Private = policy.private
	h := w.Header()
	secret := fmt.Sprint(p.Run)
	for i := 0; i < len(policy.fields); i += 2 {
		h[policy.fields[i]] = []string{strings.ReplaceAll(policy.fields[i+1], "SECRET", secret)}
	}
	if strings.Contains(h.Get("Vary"), "Accept-Language") {
		p.Asked["Accept-Language"] = r.Header.Get("Accept-Language")
	}
	h.Set("X-Run", secret)
	if rand.IntN(3) > 0 {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
	p.Padding = strings.Repeat("x", rand.IntN(3)*rand.IntN(20_000))
	w.WriteHeader(policy.status)
	text, _ := json.Marshal(p)
	for len(text) > 0 {
		k := min(len(text), 1+rand.IntN(8000))
		if _, err := w.Write(text[:k]); err != nil {
			return
		}
		text = text[k:]
		if rand.IntN(4) == 0 {
			w.(http.Flusher).Flush()
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		}
	}
	if rand.IntN(200) == 0 {
		panic(http.ErrAbortHandler)
	}
	h.Set("Set-Cookie", "late="+secret) // goes nowhere, or is the leader's trailer
}

func asked(h http.Header) map[string]string {
	all := make(map[string]string)
	for _, name := range identities {
		for spelling, values := range h {
			if strings.EqualFold(spelling, name) {
				all[strings.ToLower(name)] += strings.Join(values, ",")
			}
		}
	}
	return all
}

// A storm of random requests over random credentials, fields, Vary and
// Cache-Control values never gives two clients one secret, nobody an answer to
// what somebody else asked, and nobody what was before a write that was done.
func TestStormOfSecrets(t *testing.T) {
	var shared, refused uint64
	for _, a := range arrangements {
		for key, key2 := range map[string]func(*http.Request) (string, bool){
			"identical": nil,
			"fields":    KeyFields(append([]string{"X-Client"}, identities...)...),
		} {
			t.Run(a.name+", "+key, func(t *testing.T) {
				stats := storm(t, a, Options{Key: key2, MaxBuffer: 32 << 10, MaxMemory: 1 << 20, MaxStall: 50 * time.Millisecond,
					Remember: 20 * time.Millisecond, ForgetAfter: 20 * time.Millisecond, Name: "storm"},
					*stormTime/time.Duration(2*len(arrangements)))
				shared += stats.Collapsed
				refused += stats.Refused
			})
		}
	}
	if shared == 0 || refused == 0 {
		t.Errorf("%d responses were shared, and %d refused", shared, refused)
	}
}

func storm(t *testing.T, a arrangement, opts Options, length time.Duration) Stats {
	origin := new(stormOrigin)
	w := a.build(t, origin, opts)
	defer w.close()
	var mu sync.Mutex
	owners := make(map[string]string) // of secrets, by request
	requests := 0
	own := func(secret, request string) {
		mu.Lock()
		defer mu.Unlock()
		if other, taken := owners[secret]; taken && other != request {
			t.Errorf("one secret %s for two requests:\n%s\n%s", secret, other, request)
		}
		owners[secret] = request
	}
	until := time.Now().Add(length)
	var clients sync.WaitGroup
	for range 24 {
		clients.Go(func() {
			for time.Now().Before(until) && !t.Failed() {
				mu.Lock()
				requests++
				request := requests
				mu.Unlock()
				stormRequest(t, w.rt, origin, func(secret string, r *http.Request) {
					own(secret, fmt.Sprintf("%d: %s %s %v", request, r.Method, r.URL, r.Header))
				})
			}
		})
	}
	clients.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.m.wait(ctx); err != nil {
		t.Error(err)
	}
	stats := w.m.stats()
	if stats.Buffered != 0 || stats.InFlight != 0 {
		t.Errorf("left behind: %+v", stats)
	}
	if w.m.limits.memory.most > opts.MaxMemory {
		t.Errorf("%d bytes were kept", w.m.limits.memory.most)
	}
	t.Logf("%d requests, %d runs: %+v", requests, origin.runs.Load(), stats)
	return stats
}

// stormRequest sends one random request and checks what comes. Those of one
// moment are the same, more or less.
func stormRequest(t *testing.T, rt http.RoundTripper, origin *stormOrigin, own func(secret string, r *http.Request)) {
	moment := rand.New(rand.NewPCG(uint64(time.Now().UnixMilli()/20), uint64(rand.IntN(2))))
	path := []string{"/", "/a", "/bb"}[moment.IntN(3)]
	doc := &origin.version[len(path)%len(origin.version)]
	if rand.IntN(100) == 0 {
		if resp, err := rt.RoundTrip(newRequest("PUT", path)); err == nil {
			resp.Body.Close()
		}
		return
	}
	r := newRequest("GET", path, "X-Policy", fmt.Sprint(moment.IntN(len(policies))))
	if moment.IntN(20) == 0 {
		r.Method = "HEAD"
	}
	dice := moment.IntN
	if rand.IntN(4) == 0 {
		dice = rand.IntN // this one is of its own
	}
	add := func(odds int, name string, values ...string) {
		if dice(odds) == 0 {
			r.Header[name] = append(r.Header[name], values[dice(len(values))])
		}
	}
	add(3, "X-Api-Key", "alice", "bob")
	add(10, "Authorization", "Bearer alice", "Bearer bob")
	add(10, "Cookie", "user=alice", "user=bob")
	add(10, "X-User", "alice", "bob")
	add(10, "x-token", "alice", "bob")
	add(2, "Accept-Language", "de", "fr")
	add(4, "X-Request-Id", "1", "2", "<b>")
	add(20, "Connection", "X-Api-Key", "close")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rand.IntN(10) == 0 {
		defer time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, cancel).Stop()
	}
	written := doc.Load()
	resp, err := rt.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return
	}
	defer resp.Body.Close()
	private := policies[policyOf(r)].private
	if r.Method == "HEAD" && policyOf(r) == len(policies)-1 {
		private = false // it has no trailers
	}
	if secret := resp.Header.Get("X-Run"); secret != "" && private {
		own(secret, r)
	}
	for _, name := range []string{"Set-Cookie", "Location"} {
		if value := resp.Header.Get(name); value != "" {
			own(value, r)
		}
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || r.Method == "HEAD" {
		return
	}
	if value := resp.Trailer.Get("Set-Cookie"); value != "" {
		own(value, r)
	}
	var p page
	if err := json.Unmarshal(text, &p); err != nil {
		if ctx.Err() == nil && resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusBadGateway {
			t.Errorf("a short body looks whole: %d, %d bytes, %v\n%v of %d bytes\nasked %s %v", resp.StatusCode, len(text), err, resp.Header, resp.ContentLength, r.URL, r.Header)
		}
		return
	}
	if p.Private {
		own(fmt.Sprint(p.Run), r)
	}
	sent := asked(r.Header)
	if r.Header.Get("Connection") == "X-Api-Key" {
		delete(sent, "x-api-key") // a proxy may have removed it
		delete(p.Asked, "x-api-key")
	}
	if _, ok := p.Asked["Accept-Language"]; ok {
		sent["Accept-Language"] = r.Header.Get("Accept-Language")
	}
	if fmt.Sprint(p.Asked) != fmt.Sprint(sent) {
		t.Errorf("asked %v, and got the answer to %v", sent, p.Asked)
	}
	if p.Version < written {
		t.Errorf("got version %d after version %d was written", p.Version, written)
	}
}

func policyOf(r *http.Request) (n int) {
	fmt.Sscan(r.Header.Get("X-Policy"), &n)
	return n % len(policies)
}
