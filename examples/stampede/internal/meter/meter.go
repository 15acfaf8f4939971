// Package meter counts the queries that reach a database, and sees how many of them run at once.
package meter

import (
	"context"
	"sync"
	"time"
)

// A Meter watches the queries of one dress. Its methods may be called from many goroutines at once.
type Meter struct {
	start time.Time

	mu      sync.Mutex
	running map[string]int
	reading Reading
}

// A Reading is what a Meter has seen.
type Reading struct {
	Queries       int     // how many began
	MostAtOnce    int     // the most that ran at one time
	MostForOneKey int     // the most that ran at one time for one key
	CrowdedKey    string  // the key that they ran for
	Running       int     // how many run now
	Line          []Point // how many ran, from each moment at which that changed
}

// A Point says how many queries ran from a moment on, which is counted from the start of the meter.
type Point struct {
	At      time.Duration
	Running int
}

// Start begins to measure.
func Start() *Meter {
	return &Meter{start: time.Now(), running: make(map[string]int)}
}

// Begin counts a query for a key as running until done is called.
func (m *Meter) Begin(key string) (done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reading.Queries++
	m.running[key]++
	if m.running[key] > m.reading.MostForOneKey {
		m.reading.MostForOneKey, m.reading.CrowdedKey = m.running[key], key
	}
	m.change(+1)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running[key]--
		if m.running[key] == 0 {
			delete(m.running, key)
		}
		m.change(-1)
	}
}

func (m *Meter) change(by int) {
	r := &m.reading
	r.Running += by
	r.MostAtOnce = max(r.MostAtOnce, r.Running)
	r.Line = append(r.Line, Point{time.Since(m.start), r.Running})
}

// Read gives what was seen until now.
func (m *Meter) Read() Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	reading := m.reading
	reading.Line = append([]Point(nil), reading.Line...)
	return reading
}

// Query is a function with its queries measured.
func Query[V any](m *Meter, query func(context.Context, string) (V, error)) func(context.Context, string) (V, error) {
	return func(ctx context.Context, key string) (V, error) {
		defer m.Begin(key)()
		return query(ctx, key)
	}
}
