package singleflight_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

// breakingErr is a context of the user's whose Err breaks off once it has ended.
type breakingErr struct {
	*foreignContext
	breakOff func()
}

func (c breakingErr) Err() error {
	err := c.foreignContext.Err()
	if err != nil {
		c.breakOff()
	}
	return err
}

var breakOffs = map[string]func(){"panic": func() { panic("boom of a context") }, "Goexit": runtime.Goexit}

// Clauses 16 and 23: a blocking caller whose context breaks off in Err, when the
// caller detaches, has left its flight: it must not keep it from being abandoned.
func TestCallerWhoseErrBreaksOffHasLeft(t *testing.T) {
	for name, breakOff := range breakOffs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := cancelling()
				j := newJob()
				ctx, cancel := context.WithCancel(t.Context())
				leader := byDoContext.call(g, ctx, "key", j)
				broken := breakingErr{newForeignContext(t.Context()), breakOff}
				byDoContext.call(g, broken, "key", newJob())
				broken.end(context.Canceled)
				synctest.Wait()
				if f := g.InFlight(); len(f) != 1 || f[0].Callers != 1 {
					t.Errorf("one caller has gone, InFlight says %+v", f)
				}
				cancel()
				synctest.Wait()
				leader.got(t, canceled)
				inState(t, "the context of a flight that nobody is on", j.ctx, singleflight.ErrAbandoned)
				j.returns(1)
			})
		})
	}
}

// Clause 6: a panic is never swallowed. Here the only caller broke off in its
// context's Err, and nobody is left to get the panic.
func TestPanicAfterTheLastCallersErrBrokeOffCrashes(t *testing.T) {
	output, crashed := inChild(t, func() {
		synctest.Test(t, func(t *testing.T) {
			var g group
			j := newJob()
			broken := breakingErr{newForeignContext(t.Context()), runtime.Goexit}
			byDoContext.call(&g, broken, "key", j)
			broken.end(context.Canceled)
			synctest.Wait()
			j.panics("explode")
		})
	})
	if !crashed {
		t.Errorf("nobody got the panic, and the process didn't crash:\n%s", output)
	}
}

// Clauses 18 and 23: such a caller isn't an edge either.
func TestCallerWhoseErrBreaksOffIsNoEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		a, b := newJob(), newJob()
		byDoContext.call(&g, t.Context(), "a", a)
		byDoContext.call(&g, t.Context(), "b", b)
		broken := breakingErr{newForeignContext(a.ctx), runtime.Goexit}
		byDoContext.call(&g, broken, "b", newJob()) // a waits for b
		broken.end(context.Canceled)
		synctest.Wait() // no more
		joiner := byDoContext.call(&g, b.ctx, "a", newJob())
		a.returns(1)
		joiner.got(t, answer{Val: 1, Shared: true})
		b.returns(2)
	})
}
