package httpflight

import (
	"hash/maphash"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// past is what is remembered of responses: that the like of them can't be
// shared, or which fields chose them.
type past struct {
	length time.Duration
	size   atomic.Int64

	mu   sync.Mutex
	keys map[uint64]lesson
}

// A lesson is kept by the hash of a key: a collision only costs merging.
type lesson struct {
	until time.Time
	alone bool     // requests of this key run alone
	vary  []string // the values of these fields belong to the key
}

// maxLessons is how many keys are remembered.
const maxLessons = 4096

var seed = maphash.MakeSeed()

func hashOf(s string) uint64 { return maphash.String(seed, s) }

func maphashBytes(b []byte) uint64 { return maphash.Bytes(seed, b) }

// of returns what is remembered of a key.
func (p *past) of(hash uint64) (l lesson) {
	if p.size.Load() == 0 {
		return l
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.keys[hash]
	if ok && time.Now().After(l.until) {
		p.remove(hash)
		return lesson{}
	}
	return l
}

func (p *past) learn(hash uint64, alone bool, vary []string) {
	if p.length < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil {
		p.keys = make(map[uint64]lesson)
	}
	old, known := p.keys[hash]
	if !known && len(p.keys) >= maxLessons {
		for other := range p.keys { // any one
			p.remove(other)
			break
		}
	}
	l := lesson{until: time.Now().Add(p.length), alone: alone || old.alone, vary: slices.Clone(old.vary)}
	for _, name := range vary {
		if !slices.Contains(l.vary, name) {
			l.vary = append(l.vary, name)
		}
	}
	slices.Sort(l.vary)
	p.keys[hash] = l
	p.size.Store(int64(len(p.keys)))
}

func (p *past) remove(hash uint64) {
	delete(p.keys, hash)
	p.size.Store(int64(len(p.keys)))
}

// writes knows which targets are being written, and counts how often they were:
// in a table by hash, where a collision only costs merging.
type writes [1024]struct {
	underWay atomic.Int64
	done     atomic.Uint64
}

// mayWrite reports whether a request may change what a GET returns.
func mayWrite(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return overrides(r.Header)
	}
	return true
}

// overrides reports whether a field says that the method is another in truth.
func overrides(h http.Header) bool {
	for name := range h {
		switch http.CanonicalHeaderKey(name) {
		case "X-Http-Method-Override", "X-Http-Method", "X-Method-Override":
			return true
		}
	}
	return false
}

// slot is where a request's target is counted. It doesn't tell apart scheme and
// port, nor how the path is written.
func (w *writes) slot(r *http.Request) int {
	host := hostOf(r)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return int(hashOf(strings.ToLower(host)+r.URL.Path) % uint64(len(w)))
}

// now returns how often a slot's targets were written. It reports false if one of
// them is being written.
func (w *writes) now(slot int) (done uint64, ok bool) {
	if w[slot].underWay.Load() > 0 {
		return 0, false
	}
	// In this order: a write that has left is among those that are done.
	return w[slot].done.Load(), true
}

func (w *writes) begin(slot int) { w[slot].underWay.Add(1) }

// end is the end of a write: what comes from now on joins nothing from before.
func (w *writes) end(slot int) {
	w[slot].done.Add(1)
	w[slot].underWay.Add(-1)
}
