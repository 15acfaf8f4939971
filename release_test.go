package singleflight_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/seed-737f55c4/singleflight"
)

// A payload is something that a group may refer to while a flight is in the
// air. It is too large to share an allocation with others.
type payload struct{ _ [64]*int }

type payloadError struct{ *payload }

func (payloadError) Error() string { return "payload" }

// A loads is the things that a flight's callers bring along, by name.
type loads map[string]weak.Pointer[payload]

func (l loads) new(name string) *payload {
	p := new(payload)
	l[name] = weak.Make(p)
	return p
}

// context returns one with a payload among its values.
func (l loads) context(t *testing.T, name string) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithValue(t.Context(), contextKey("payload"), l.new(name)))
}

// fn returns a function that refers to payloads, and runs until end is closed.
func (l loads) fn(name string, end <-chan bool) func(context.Context) (*payload, error) {
	used, value, err := l.new(name), l.new(name+"'s value"), payloadError{l.new(name + "'s error")}
	return func(context.Context) (*payload, error) {
		<-end
		runtime.KeepAlive(used)
		return value, err
	}
}

// gone fails the test if one of the loads is still referred to.
func (l loads) gone(t *testing.T, when string) {
	t.Helper()
	sleep(time.Second) // the runtime keeps a stopped timer for a while
	for range 5 {
		runtime.GC()
	}
	for name, p := range l {
		if p.Value() != nil {
			t.Errorf("%s: the %s is still referred to", when, name)
		}
	}
}

// apart runs f on a goroutine of its own, so that nothing of it is left on the
// test's stack.
func apart(f func()) {
	done := make(chan bool)
	go func() { defer close(done); f() }()
	<-done
	synctest.Wait()
}

func TestLandedFlightOfContextCallersIsReleased(t *testing.T) {
	// Clause 24: once a flight has landed, the group keeps no reference to its key, value, error, functions or
	// contexts, whoever detached from it before.
	for _, opts := range []singleflight.Options[*payload, *payload]{{}, {CancelAbandoned: true}, {FlightTimeout: time.Hour}} {
		for _, stays := range []bool{true, false} {
			for _, forget := range []bool{true, false} {
				t.Run(fmt.Sprintf("CancelAbandoned=%v FlightTimeout=%v stays=%v forget=%v", opts.CancelAbandoned, opts.FlightTimeout, stays, forget), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						g := singleflight.New(opts)
						l := make(loads)
						end := make(chan bool)
						apart(func() {
							key := l.new("key")
							ctx, cancel := l.context(t, "leader's context")
							g.DoChanContext(ctx, key, l.fn("function", end))
							joiner, cancelJoiner := l.context(t, "joiner's context")
							g.DoChanContext(joiner, key, l.fn("unused function", end))
							go g.DoContext(joiner, key, l.fn("other unused function", end))
							synctest.Wait()
							if stays {
								go g.DoContext(context.Background(), key, l.fn("third unused function", end))
								stayer, cancelStayer := l.context(t, "context of one that stays")
								defer cancelStayer()
								g.DoChanContext(stayer, key, l.fn("fourth unused function", end))
								synctest.Wait()
							}
							go g.Wait(t.Context())
							synctest.Wait()
							if forget {
								g.Forget(key)
							}
							cancel()
							cancelJoiner()
							synctest.Wait()
							close(end)
							synctest.Wait()
						})
						l.gone(t, "landed")
						runtime.KeepAlive(g)
					})
				})
			}
		}
	}
}

func TestRefusedCallIsReleased(t *testing.T) {
	// Clauses 18 and 24: a refused call never joined, so its flight refers to nothing of it.
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[string, *payload]{CancelAbandoned: true})
		l := make(loads)
		end := make(chan bool)
		contexts := make(chan context.Context, 1)
		ch := g.DoChanContext(t.Context(), "key", func(ctx context.Context) (*payload, error) {
			contexts <- ctx
			<-end
			return nil, nil
		})
		ctx := <-contexts
		apart(func() {
			ctx := context.WithValue(ctx, contextKey("k"), l.new("context"))
			if _, err, _ := g.DoContext(ctx, "key", l.fn("function", end)); err != singleflight.ErrDeadlock {
				t.Errorf("got %v", err)
			}
			g.DoChanContext(ctx, "key", l.fn("other function", end))
		})
		l.gone(t, "refused")
		close(end)
		<-ch
	})
}

func TestBurstOfContextCallsReturnsItsMemory(t *testing.T) {
	// Clause 24: after a burst the group returns the memory that the burst took, but for a small constant; also a
	// burst of callers that detach, of abandoned and cancelled flights, of successors and of dropped ones.
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[int, int]{CancelAbandoned: true})
		burst := func(n int) {
			end := make(chan bool)
			fn := func(context.Context) (int, error) { <-end; return 1, nil }
			ctx, cancel := context.WithCancel(t.Context())
			for key := range n {
				g.DoChanContext(ctx, key, fn)
				if key%2 == 0 {
					g.DoChanContext(ctx, key, fn)
				}
			}
			cancel()
			synctest.Wait()
			ctx, cancel = context.WithCancel(t.Context())
			for key := range n {
				g.DoChanContext(ctx, key, fn)
				if key%3 == 0 {
					g.DoChanContext(t.Context(), key, fn)
				}
				if key%5 == 0 {
					g.Forget(key)
				}
			}
			cancel()
			synctest.Wait()
			close(end)
			if err := g.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
		burst(5000)
		kept := heap()
		g = nil // the runtime keeps some memory too, so see what goes with the group
		if kept -= heap(); kept > 64<<10 {
			t.Errorf("the group keeps %d bytes", kept)
		}
	})
}
