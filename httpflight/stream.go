package httpflight

import (
	"errors"
	"io"
	"sync"
	"time"
)

// A stream is a body on its way from one writer to any number of readers, each
// at its own pace. It keeps what is between the slowest reader and the writer,
// and all from the beginning as long as a reader may still come.
//
// What it keeps is a list of blocks. A reader is in one of them, and a block is
// let go when no reader is in it or before it. So a reader that writes a block
// to a slow connection still holds it.
type stream struct {
	limits  *limits
	onOver  func() // called once, when nobody reads any more and nobody will
	onShut  func() // called when further readers can't come any more although the body goes on
	onExtra func() // called once, when the body is longer than MaxBuffer

	mu          sync.Mutex
	first, last *block
	public      int   // what readers may have of the last block
	kept        int64 // room of all blocks
	charged     int64 // what of limits.memory it has
	total       int64 // bytes written
	declared    int64 // length of the body; -1: unknown
	readers     map[*reader]struct{}
	wake        chan struct{} // closed when there is news for readers; nil if none waits
	flushes     int           // times that the writer has flushed
	firstFlush  int64         // total at the first of them
	deadline    time.Time     // for the connections of the readers, if deadlines is more than 0
	deadlines   int

	landed   bool // it is known how many readers are to come
	missing  int  // so many of them have neither come nor declined
	joinable bool // further ones may come
	direct   bool // somebody has the body without the stream
	ended    bool // the writer is done
	err      error
	over     bool

	// The writer, while it waits for readers.
	room     chan struct{} // has one element when there may be room; made when it first waits
	waited   time.Duration // since it last got on by a window, or since the readers were judged
	advanced int64         // bytes since then
	late     []func()      // calls to be made without the lock
}

// A block is a part of a body.
type block struct {
	data    []byte // what was written, with room for more
	readers int    // that are in it
	next    *block
}

// largestBlock is how much is kept in one piece.
const (
	largestBlock = 32 << 10
	usualBlock   = 4 << 10 // for writes that are smaller
)

var (
	errCut  = errors.New("httpflight: the body was read too slowly")
	errOver = errors.New("httpflight: nobody is left to read the body")
)

func newStream(l *limits, onOver, onShut, onExtra func()) *stream {
	b := new(block)
	return &stream{limits: l, onOver: onOver, onShut: onShut, onExtra: onExtra, first: b, last: b, declared: -1}
}

// unlock lets the lock go and makes the calls that came up.
func (s *stream) unlock() {
	calls := s.late
	s.late = nil
	s.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// open reserves what a stream that is shared always has, so that it gets on
// even if others have all the memory. It reports false if there is none left.
func (s *stream) open(declared int64, joinable bool) bool {
	s.mu.Lock()
	defer s.unlock()
	if s.over || !s.limits.memory.take(s.limits.reserve()) {
		return false
	}
	s.charged = s.limits.reserve()
	s.declared, s.joinable = declared, joinable
	return true
}

// land says how many readers come or decline.
func (s *stream) land(readers int) {
	s.mu.Lock()
	defer s.unlock()
	s.landed = true
	s.missing += readers
	s.settle()
}

// decline is the end of a reader that was to come and doesn't.
func (s *stream) decline() {
	s.mu.Lock()
	defer s.unlock()
	s.missing--
	s.settle()
}

// take gives the body to one reader without the stream, until it calls release.
// It reports false if the stream is over.
func (s *stream) take() bool {
	s.mu.Lock()
	defer s.unlock()
	s.missing--
	s.direct = !s.over
	s.joinable = false
	s.uncharge(0)
	s.settle()
	return s.direct
}

func (s *stream) release() {
	s.mu.Lock()
	defer s.unlock()
	s.direct = false
	s.settle()
}

// attach lets a reader begin. One that comes late isn't among those that land
// counts; for it, attach reports false if it is too late.
func (s *stream) attach(r *reader, late bool) bool {
	s.mu.Lock()
	defer s.unlock()
	if !late {
		s.missing--
	}
	if s.over || late && (!s.joinable || s.ended) {
		return false
	}
	if s.readers == nil {
		s.readers = make(map[*reader]struct{})
	}
	r.s, r.at, r.moved = s, s.first, time.Now()
	s.first.readers++
	s.readers[r] = struct{}{}
	if s.deadlines > 0 && r.setDeadline != nil {
		at := s.deadline
		s.late = append(s.late, func() { r.setDeadline(at) })
	}
	s.settle()
	return true
}

// settle looks whether blocks can go, and whether the stream is over.
func (s *stream) settle() {
	if s.over {
		return
	}
	settled := s.landed && s.missing <= 0
	if settled && len(s.readers) == 0 && !s.direct {
		s.over, s.joinable = true, false
		s.first, s.last, s.kept, s.public = nil, nil, 0, 0
		s.uncharge(0)
		s.poke()
		s.late = append(s.late, s.onOver)
		return
	}
	if !settled || s.joinable {
		return
	}
	before := s.kept
	for s.first != s.last && s.first.readers == 0 {
		s.kept -= int64(cap(s.first.data))
		s.first = s.first.next
	}
	if s.kept < before {
		s.uncharge(s.kept)
		s.poke()
	}
}

// poke lets the writer look again.
func (s *stream) poke() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// news wakes the readers.
func (s *stream) news() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// uncharge gives memory back, down to what kept bytes and the reserve need.
func (s *stream) uncharge(kept int64) {
	need := kept
	if !s.over && !s.ended && !s.direct {
		need = max(need, s.limits.reserve())
	}
	if s.charged > need {
		s.limits.memory.give(s.charged - need)
		s.charged = need
	}
	s.limits.memory.count(s, kept)
}

// charge takes the memory for kept bytes. It reports false if there isn't enough.
func (s *stream) charge(kept int64) bool {
	if kept > s.charged {
		if !s.limits.memory.take(kept - s.charged) {
			return false
		}
		s.charged = kept
	}
	s.limits.memory.count(s, kept)
	return true
}

// space returns room for some of n bytes that the writer has. It waits for
// readers, and returns an error if there are none left.
func (s *stream) space(n int) ([]byte, error) {
	s.mu.Lock()
	defer s.unlock()
	if s.over || s.ended {
		return nil, errOver
	}
	if free := s.last.data[len(s.last.data):cap(s.last.data)]; len(free) > 0 {
		return free, nil
	}
	size := min(max(n, usualBlock), s.limits.block())
	if rest := s.declared - s.total; rest > 0 && rest < int64(size) {
		size = int(rest)
	}
	if err := s.makeRoom(int64(size)); err != nil {
		return nil, err
	}
	b := &block{data: make([]byte, 0, size)}
	s.kept += int64(size)
	s.last.next = b
	s.last, s.public = b, 0
	s.settle()
	return b.data[:size], nil
}

// makeRoom waits until size more bytes may be kept, and charges them.
func (s *stream) makeRoom(size int64) error {
	for {
		if s.over {
			return errOver
		}
		long := s.kept+size > s.limits.maxBuffer
		if !long && s.charge(s.kept+size) {
			return nil
		}
		if long && s.onExtra != nil {
			s.late = append(s.late, s.onExtra)
			s.onExtra = nil
		}
		if s.joinable {
			s.joinable = false
			s.late = append(s.late, s.onShut)
			s.settle()
			continue
		}
		s.waitForRoom(long)
	}
}

// waitForRoom waits until something may have changed, and cuts readers off when
// the writer has waited for them too long. It lets the lock go meanwhile.
func (s *stream) waitForRoom(long bool) {
	start := time.Now()
	if s.room == nil {
		s.room = make(chan struct{}, 1)
	}
	room := s.room
	patience := max(s.limits.maxStall-s.waited, 0)
	s.unlock()
	if !long {
		s.limits.memory.await(s)
		s.limits.memory.cutSleepers(s.limits)
	}
	timer := time.NewTimer(patience)
	select {
	case <-room:
	case <-timer.C:
	}
	timer.Stop()
	s.mu.Lock()
	if s.waited += time.Since(start); s.waited < s.limits.maxStall {
		return
	}
	least := s.kept / 16
	for r := range s.readers {
		if r.at == s.first && !r.waits && r.read-r.mark < least {
			s.cut(r)
		}
	}
	s.beginWindow()
}

func (s *stream) beginWindow() {
	s.waited, s.advanced = 0, 0
	for r := range s.readers {
		r.mark = r.read
	}
}

// cut takes a reader off against its will.
func (s *stream) cut(r *reader) {
	r.cut = true
	s.remove(r)
	s.news()
	s.limits.cut.Add(1)
	if r.abort != nil {
		s.late = append(s.late, r.abort)
	}
}

func (s *stream) remove(r *reader) {
	if r.at == nil {
		return
	}
	r.at.readers--
	r.at = nil
	delete(s.readers, r)
	s.settle()
}

// wrote says that n bytes of the last space were written. Readers get them when
// the block is full, or with the next publish.
func (s *stream) wrote(n int) {
	s.mu.Lock()
	defer s.unlock()
	if s.over || s.ended {
		return
	}
	s.last.data = s.last.data[:len(s.last.data)+n]
	s.total += int64(n)
	if s.advanced += int64(n); s.advanced >= s.limits.maxBuffer {
		s.beginWindow()
	}
	if len(s.last.data) == cap(s.last.data) {
		s.publish()
	}
}

// isOver reports whether nobody reads the body and nobody will.
func (s *stream) isOver() bool {
	s.mu.Lock()
	defer s.unlock()
	return s.over
}

// complete reports whether all that was declared is written.
func (s *stream) complete() bool {
	s.mu.Lock()
	defer s.unlock()
	return s.declared > 0 && s.total == s.declared
}

func (s *stream) publish() {
	s.public = len(s.last.data)
	s.news()
}

// flush gives the readers all that was written. If it is the writer's own wish,
// those that have caught up flush too.
func (s *stream) flush(wanted bool) {
	s.mu.Lock()
	defer s.unlock()
	if s.over {
		return
	}
	if wanted {
		if s.flushes++; s.flushes == 1 {
			s.firstFlush = s.total
		}
	}
	s.publish()
}

// Write writes for a writer that has its bytes elsewhere.
func (s *stream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		room, err := s.space(len(p) - n)
		if err != nil {
			return n, err
		}
		k := copy(room, p[n:])
		s.wrote(k)
		n += k
	}
	return n, nil
}

// end is the writer's end. Readers get err, or io.EOF if it is nil, after what
// was written.
func (s *stream) end(err error) {
	if err == nil {
		err = io.EOF
	}
	s.mu.Lock()
	defer s.unlock()
	s.ended, s.err, s.joinable = true, err, false
	if !s.over {
		s.publish()
		s.uncharge(s.kept)
		s.settle()
	}
}

// setDeadline sets the write deadline of each reader's connection, and of those
// of readers to come.
func (s *stream) setDeadline(at time.Time) {
	s.mu.Lock()
	defer s.unlock()
	s.deadline = at
	s.deadlines++
	for r := range s.readers {
		if r.setDeadline != nil {
			s.late = append(s.late, func() { r.setDeadline(at) })
		}
	}
}
