package singleflight_test

import (
	"context"
	"sync"
)

// A foreignContext is a context that isn't of the standard library, and that
// ends when the test says so.
type foreignContext struct {
	context.Context // for its values
	done            chan struct{}
	mu              sync.Mutex
	err             error
}

func newForeignContext(values context.Context) *foreignContext {
	return &foreignContext{Context: context.WithoutCancel(values), done: make(chan struct{})}
}

func (c *foreignContext) Done() <-chan struct{} { return c.done }

func (c *foreignContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail ends the context.
func (c *foreignContext) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// tell lets those know that wait for the context's end.
func (c *foreignContext) tell() { close(c.done) }

func (c *foreignContext) end(err error) {
	c.fail(err)
	c.tell()
}

// A watchedContext is one with an AfterFunc method.
type watchedContext struct {
	*foreignContext
	*watches
}

type watches struct {
	mu    sync.Mutex
	funcs map[*int]func()
}

func (w *watches) AfterFunc(f func()) (stop func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.funcs == nil {
		w.funcs = make(map[*int]func())
	}
	key := new(int)
	w.funcs[key] = f
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		_, watching := w.funcs[key]
		delete(w.funcs, key)
		return watching
	}
}

// fire starts the functions.
func (w *watches) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, f := range w.funcs {
		delete(w.funcs, key)
		go f()
	}
}

// watching returns how many functions would be started.
func (w *watches) watching() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.funcs)
}
