package main

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// An origin is the service behind the gateway. It counts its requests.
type origin struct {
	http.ServeMux
	mu      sync.Mutex
	total   int
	now     int
	most    int
	version int
}

func newOrigin() *origin {
	o := new(origin)
	o.HandleFunc("GET /{$}", o.index)
	o.HandleFunc("GET /slow", o.slow)
	o.HandleFunc("GET /stream", o.stream)
	o.HandleFunc("GET /me", o.me)
	o.HandleFunc("GET /account", o.account)
	o.HandleFunc("POST /slow", o.write)
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.total++
	o.now++
	o.most = max(o.most, o.now)
	w.Header().Set("X-Run", fmt.Sprint(o.total))
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.now--
		o.mu.Unlock()
	}()
	o.ServeMux.ServeHTTP(w, r)
}

// reset returns the counts and begins anew.
func (o *origin) reset() (total, most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	total, most = o.total, o.most
	o.total, o.most = 0, o.now
	return total, most
}

func (o *origin) index(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, `<title>Origin</title><ul>
<li><a href="/slow">/slow</a> takes half a second, and is the same for everybody
<li><a href="/stream">/stream</a> comes in ten parts, in two seconds; who comes late gets all of it
<li><a href="/me">/me</a> is private
<li>/account is for the X-Api-Key of who asks
</ul>`)
}

// slow is a page that is the same for everybody.
func (o *origin) slow(w http.ResponseWriter, r *http.Request) {
	time.Sleep(500 * time.Millisecond)
	o.mu.Lock()
	version := o.version
	o.mu.Unlock()
	fmt.Fprintf(w, "the same page for everybody, version %d\n", version)
}

// write makes a new version of the slow page.
func (o *origin) write(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.version++
	o.mu.Unlock()
	fmt.Fprintln(w, "written")
}

// stream comes in parts, and is fresh while it comes.
func (o *origin) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for part := 1; part <= 10; part++ {
		fmt.Fprintf(w, "part %d of 10\n", part)
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// me is a page that its origin calls private. Whom it is for it knows by a field that says nothing of this to a gateway.
func (o *origin) me(w http.ResponseWriter, r *http.Request) {
	time.Sleep(200 * time.Millisecond)
	w.Header().Set("Cache-Control", "private")
	fmt.Fprintf(w, "page of %s\n", r.Header.Get("X-Request-Id"))
}

// account is private too, but its origin forgot to say so.
func (o *origin) account(w http.ResponseWriter, r *http.Request) {
	time.Sleep(200 * time.Millisecond)
	fmt.Fprintf(w, "page of %s\n", r.Header.Get("X-Api-Key"))
}
