package httpflight

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// limits are what the streams of one merger have in common.
type limits struct {
	maxBuffer int64
	maxStall  time.Duration
	memory    memory
	cut       atomic.Uint64 // readers cut off
}

// block is the size of the largest block: two fit into a buffer.
func (l *limits) block() int { return int(min(largestBlock, l.maxBuffer/2)) }

// reserve is what a stream has in any case: two blocks, so that its readers can
// be in one while the next is filled.
func (l *limits) reserve() int64 { return 2 * int64(l.block()) }

// memory counts what all streams keep. Its lock is taken inside of those of
// streams, so nothing of theirs is called under it.
type memory struct {
	limit int64

	mu      sync.Mutex
	used    int64 // taken by streams: what they keep, and reserves
	kept    int64 // of that, what they keep
	most    int64 // the most that was kept at once
	streams map[*stream]int64
	waiting map[*stream]struct{}
	scanned time.Time
}

func (m *memory) take(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+n > m.limit {
		return false
	}
	m.used += n
	return true
}

func (m *memory) give(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
	for s := range m.waiting {
		s.poke()
	}
	clear(m.waiting)
}

// roomForOne reports whether there is room for one more stream. If not, it makes
// some.
func (l *limits) roomForOne() bool {
	if l.memory.room(l.reserve()) {
		return true
	}
	l.memory.cutSleepers(l)
	return l.memory.room(l.reserve())
}

// room reports whether there is a reserve for one more stream.
func (m *memory) room(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used+n <= m.limit
}

// await has s poked when memory is given back.
func (m *memory) await(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == nil {
		m.waiting = make(map[*stream]struct{})
	}
	m.waiting[s] = struct{}{}
}

// count notes how much a stream keeps.
func (m *memory) count(s *stream, kept int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept += kept - m.streams[s]
	m.most = max(m.most, m.kept)
	if kept == 0 {
		delete(m.streams, s)
		return
	}
	if m.streams == nil {
		m.streams = make(map[*stream]int64)
	}
	m.streams[s] = kept
}

func (m *memory) buffered() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept
}

// cutSleepers cuts readers off that haven't moved for maxStall, those that hold
// most first, until a sixteenth of the memory is free. It must be called without
// the lock of a stream.
func (m *memory) cutSleepers(l *limits) {
	now := time.Now()
	m.mu.Lock()
	if now.Sub(m.scanned) < l.maxStall/8 {
		m.mu.Unlock()
		return
	}
	m.scanned = now
	streams := make([]*stream, 0, len(m.streams))
	for s := range m.streams {
		streams = append(streams, s)
	}
	m.mu.Unlock()
	type sleeper struct {
		*reader
		holds int64
	}
	var sleepers []sleeper
	for _, s := range streams {
		s.mu.Lock()
		for r := range s.readers {
			if holds := s.total - r.read; holds > 0 && !r.waits && now.Sub(r.moved) >= l.maxStall {
				sleepers = append(sleepers, sleeper{r, holds})
			}
		}
		s.unlock()
	}
	slices.SortFunc(sleepers, func(a, b sleeper) int { return cmp.Compare(b.holds, a.holds) })
	for _, r := range sleepers {
		if m.room(max(m.limit/16, l.reserve())) {
			return
		}
		r.s.mu.Lock()
		if r.at != nil && !r.waits && now.Sub(r.moved) >= l.maxStall {
			r.s.cut(r.reader)
		}
		r.s.unlock()
	}
}
