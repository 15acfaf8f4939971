package httpflight

import "time"

// A reader reads a stream, on one goroutine at a time.
type reader struct {
	abort       func()          // makes a hanging write return; may be nil
	setDeadline func(time.Time) // may be nil

	s       *stream
	at      *block // nil: it has left
	off     int
	read    int64 // bytes
	mark    int64 // read when the present window began
	moved   time.Time
	waits   bool // for news: it has read all, or is about to go on
	flushed int
	cut     bool
}

// next returns what there is to read, and waits until there is something. The
// bytes stay as they are until the next call. flush says that what was read
// should be sent on now. After the last byte it returns io.EOF or the writer's
// error.
func (r *reader) next(done <-chan struct{}) (p []byte, flush bool, err error) {
	s := r.s
	s.mu.Lock()
	defer s.unlock()
	r.moved = time.Now()
	for {
		if r.cut {
			return nil, false, errCut
		}
		if r.at == nil {
			return nil, false, errOver
		}
		end := len(r.at.data)
		if r.at == s.last {
			end = s.public
		}
		first := s.flushes > 0 && r.flushed == 0 // what is flushed first decides how net/http sends the rest
		if first {
			end = min(end, r.off+int(min(s.firstFlush-r.read, largestBlock)))
		}
		switch {
		case first && r.read == s.firstFlush:
			r.flushed = 1
			return nil, true, nil
		case r.off < end:
			p = r.at.data[r.off:end:end]
			r.read += int64(len(p))
			r.off = end
			return p, false, nil
		case r.off == len(r.at.data) && r.at.next != nil:
			r.at.readers--
			r.at, r.off = r.at.next, 0
			r.at.readers++
			s.settle()
		case r.flushed != s.flushes:
			r.flushed = s.flushes
			return nil, true, nil
		case s.ended:
			return nil, false, s.err
		default:
			if err := r.wait(done); err != nil {
				return nil, false, err
			}
		}
	}
}

// wait waits for news. It lets the lock go meanwhile.
func (r *reader) wait(done <-chan struct{}) error {
	s := r.s
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	wake := s.wake
	r.waits = true
	s.unlock()
	gone := false
	select {
	case <-wake:
	case <-done:
		gone = true
	}
	s.mu.Lock()
	r.waits, r.moved = false, time.Now()
	if gone {
		return errOver
	}
	return nil
}

// wasCut returns an error if the reader was cut off.
func (r *reader) wasCut() error {
	r.s.mu.Lock()
	defer r.s.unlock()
	if r.cut {
		return errCut
	}
	return nil
}

// leave takes the reader off. It may be called more than once, and by any
// goroutine.
func (r *reader) leave() {
	r.s.mu.Lock()
	defer r.s.unlock()
	r.s.remove(r)
	r.s.news()
}
