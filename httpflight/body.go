package httpflight

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/seed-737f55c4/singleflight"
)

// pump reads a transport's response into the stream.
func (f *flight) pump() {
	err := http.ErrAbortHandler
	defer f.finish()
	defer f.upstream.Body.Close()
	defer func() {
		if value := recover(); value != nil {
			p := &singleflight.PanicError{Value: value, Stack: debug.Stack()}
			f.m.logPanic(p)
			err = p
		}
		f.stream.end(err)
	}()
	err = f.readAll()
}

// readAll returns nil at the end of the body.
func (f *flight) readAll() error {
	body, s := f.upstream.Body, f.stream
	size := usualBlock
	for {
		var n int
		var err error
		if s.complete() {
			var probe [1]byte // there is only the end to come
			if n, err = body.Read(probe[:]); n > 0 {
				s.Write(probe[:n])
			}
		} else {
			var room []byte
			if room, err = s.space(size); err != nil {
				return err
			}
			size = largestBlock
			n, err = body.Read(room)
			s.wrote(n)
		}
		if err == io.EOF {
			f.trailer = f.upstream.Trailer
			return nil
		}
		if err != nil {
			return err
		}
		s.flush(false)
	}
}

// A body is what one of those reads who share a response.
type body struct {
	f      *flight
	rd     *reader
	ctx    context.Context
	resp   *http.Response // for its trailers
	others bool           // it isn't the leader's
	stop   func() bool
	left   []byte
	err    error
}

var errClosed = errors.New("httpflight: read of a closed body")

func newBody(ctx context.Context, f *flight, rd *reader, resp *http.Response, others bool) *body {
	return &body{f: f, rd: rd, ctx: ctx, resp: resp, others: others, stop: context.AfterFunc(ctx, rd.leave)}
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	for len(b.left) == 0 && b.err == nil {
		b.left, _, b.err = b.rd.next(b.ctx.Done())
		if b.err != nil {
			b.end()
		}
	}
	if len(b.left) == 0 {
		return 0, b.err
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// end is the end of the body, with b.err.
func (b *body) end() {
	b.stop()
	b.rd.leave()
	switch {
	case b.err == io.EOF:
		if len(b.f.trailer) > 0 {
			addTrailers(trailerOf(b.resp), b.f.trailer, b.others)
		}
	case b.err == errOver && b.ctx.Err() != nil:
		b.err = b.ctx.Err()
	case b.err == errOver:
		b.err = errClosed
	}
}

// Close implements [io.Closer].
func (b *body) Close() error {
	b.stop()
	b.rd.leave()
	return nil
}

// A straightBody is the body of a response that isn't shared.
type straightBody struct {
	io.ReadCloser
	f    *flight
	ctx  context.Context
	stop func() bool
	once sync.Once
}

// Read implements [io.Reader].
func (b *straightBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	if ended := b.ctx.Err(); ended != nil && err != io.EOF {
		err = ended // what the forwarded request was cancelled for
	}
	b.end()
	return n, err
}

// Close implements [io.Closer].
func (b *straightBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

func (b *straightBody) end() {
	b.once.Do(func() {
		b.stop()
		b.f.release()
	})
}

// A writtenBody is the body of the response to a write.
type writtenBody struct {
	io.ReadCloser
	once sync.Once
	done func()
}

// Read implements [io.Reader].
func (b *writtenBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(b.done)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *writtenBody) Close() error {
	defer b.once.Do(b.done)
	return b.ReadCloser.Close()
}
