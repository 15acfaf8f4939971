package measure

import (
	"runtime"
	"sync/atomic"
	"time"
)

// How cacheLine measures. A burst is short, so that the system seldom stops a
// thread in the middle of one, and the median leaves out those in which it did.
const (
	bursts        = 101
	tripsPerBurst = 100 // there and back
	cacheLineTime = 500 * time.Millisecond
)

// cacheLine returns the nanoseconds that a cache line takes from one processor
// to the other: half of what it takes there and back while two goroutines, each
// on a thread of its own, write one atomic in turn. What a call costs in
// parallel depends on it, and the same machine can give two processors that are
// near each other now and two that are far apart an hour later.
//
// It ends after cacheLineTime at the latest. If the two threads never ran at the
// same time until then, as where there is one processor, it returns 0.
func cacheLine() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := line{deadline: time.Now().Add(cacheLineTime)}
	l.turn.Store(absent)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		l.answer()
	}()
	times := l.ask()
	<-returned
	if len(times) == 0 {
		return 0
	}
	return Median(times)
}

// line is an atomic that has its cache line for itself, neighbours that the
// processor fetches with it included.
type line struct {
	deadline time.Time
	_        [128]byte
	turn     atomic.Int64 // how many writes were made, or one of those below
	_        [128]byte
}

// Values of line.turn before the first write and after the last.
const (
	absent = -1 // the one that answers hasn't begun
	ended  = -2
)

// ask makes every write of an odd number, and returns the nanoseconds of a write
// in each burst.
func (l *line) ask() (times []float64) {
	defer l.turn.Store(ended)
	if !l.await(0) {
		return nil
	}
	writes := int64(0)
	for len(times) < bursts {
		started := time.Now()
		for range tripsPerBurst {
			l.turn.Store(writes + 1)
			if !l.await(writes + 2) {
				return times
			}
			writes += 2
		}
		times = append(times, float64(time.Since(started).Nanoseconds())/(2*tripsPerBurst))
	}
	return times
}

// answer makes every write of an even number, until ask has ended.
func (l *line) answer() {
	l.turn.Store(0)
	for writes := int64(1); l.await(writes); writes += 2 {
		l.turn.Store(writes + 1)
	}
}

// await spins until so many writes have been made. It reports false if there
// will be no more, or the deadline has passed.
func (l *line) await(writes int64) bool {
	for spins := 1; ; spins++ {
		switch l.turn.Load() {
		case writes:
			return true
		case ended:
			return false
		}
		if spins%4096 == 0 && time.Now().After(l.deadline) {
			return false
		}
	}
}
