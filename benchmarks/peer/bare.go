package peer

import (
	"context"
	"sync"
)

// Bare deduplicates nothing: it is the function alone, called where the
// libraries call it, with what the runtime and package context must do for the
// entry point: a goroutine that the caller needn't wait for, a channel, a
// select or a watch over the context.
func Bare[K comparable]() Library[K] {
	spawn := func(body func() (int, error)) <-chan int {
		ch := make(chan int, 1)
		go func() {
			v, _ := body()
			ch <- v
		}()
		return ch
	}
	succeeded := func(int) bool { return false }
	return Library[K]{
		Name: "bare",
		Do: func(fn Function) func(K) (int, error) {
			return func(K) (int, error) { return fn.Plain() }
		},
		DoChan: func(fn Function) func(K) (int, error) {
			return func(K) (int, error) { return <-spawn(fn.Plain), nil }
		},
		DoContext: func(fn Function) func(context.Context, K) (int, error) {
			return func(ctx context.Context, _ K) (int, error) {
				if ctx.Done() == nil {
					return fn.Context(ctx)
				}
				return spawnAndSelect(ctx, fn)
			}
		},
		DoChanContext: func(fn Function) func(context.Context, K) (int, error) {
			return func(ctx context.Context, _ K) (int, error) { return spawnAndWatch(ctx, fn) }
		},
		Flights: func(fn Function, n int) Flights[K] {
			return &channels[K, int]{
				call:   func(K) <-chan int { return spawn(fn.Plain) },
				failed: succeeded,
				kept:   make([]<-chan int, 0, n),
			}
		},
	}
}

// spawnAndSelect runs the function on a goroutine of its own and waits until
// it has returned or the context ends.
func spawnAndSelect(ctx context.Context, fn Function) (int, error) {
	ch := make(chan int, 1)
	go func() {
		v, _ := fn.Context(ctx)
		ch <- v
	}()
	select {
	case v := <-ch:
		return v, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// spawnAndWatch is spawnAndSelect for a caller that waits at one channel.
func spawnAndWatch(ctx context.Context, fn Function) (int, error) {
	w := watched{ch: make(chan int, 1)}
	go w.run(ctx, fn)
	w.mu.Lock()
	if !w.returned {
		w.stop = context.AfterFunc(ctx, w.leave)
	}
	w.mu.Unlock()
	return <-w.ch, nil
}

type watched struct {
	mu       sync.Mutex
	stop     func() bool
	returned bool
	ch       chan int
}

func (w *watched) run(ctx context.Context, fn Function) {
	v, _ := fn.Context(ctx)
	w.mu.Lock()
	w.returned = true
	stop := w.stop
	w.mu.Unlock()
	if stop == nil || stop() {
		w.ch <- v
	}
}

func (w *watched) leave() { w.ch <- 0 }

// BareCrowd is Bare for callers that share: the first of them runs the
// function, and the others wait at a channel, which they find under a lock. It
// has one flight at a time, whatever the key.
func BareCrowd[K comparable]() Library[K] {
	return Library[K]{
		Name: "bare",
		Do: func(fn Function) func(K) (int, error) {
			var c bareCrowd
			return func(K) (int, error) {
				f, leads := c.join()
				if leads {
					f.v, f.err = fn.Plain()
					c.land(f)
				}
				<-f.done
				return f.v, f.err
			}
		},
		DoContext: func(fn Function) func(context.Context, K) (int, error) {
			var c bareCrowd
			return func(ctx context.Context, _ K) (int, error) {
				f, leads := c.join()
				if leads {
					go func() {
						f.v, f.err = fn.Context(ctx)
						c.land(f)
					}()
				}
				select {
				case <-f.done:
					return f.v, f.err
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
		},
	}
}

type bareCrowd struct {
	mu     sync.Mutex
	flight *bareFlight
}

type bareFlight struct {
	done chan struct{}
	v    int
	err  error
}

func (c *bareCrowd) join() (f *bareFlight, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		return c.flight, false
	}
	c.flight = &bareFlight{done: make(chan struct{})}
	return c.flight, true
}

func (c *bareCrowd) land(f *bareFlight) {
	c.mu.Lock()
	c.flight = nil
	c.mu.Unlock()
	close(f.done)
}
