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

// Clause 24: a key whose flights are abandoned, cancelled and succeeded again
// and again takes no more memory with each of them.
func TestKeyThatIsAlwaysSucceededTakesNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := cancelling()
		ends := make(chan chan bool, 2)
		lead := func() (cancel func()) {
			ctx, cancel := context.WithCancel(t.Context())
			g.DoChanContext(ctx, "key", func(context.Context) (int, error) {
				end := make(chan bool)
				ends <- end
				<-end
				return 0, nil
			})
			return cancel
		}
		heap := func() uint64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		const flights = 10_000
		var before uint64
		cancel := lead()
		for i := range 2 * flights {
			if i == flights {
				before = heap()
			}
			end := <-ends
			cancel()
			synctest.Wait() // the flight is cancelled
			cancel = lead() // waits for it
			close(end)
		}
		if after := heap(); after > before+flights*16 {
			t.Errorf("%d flights more, of one key, took %d bytes that weren't given back", flights, after-before)
		}
		close(<-ends)
		cancel()
	})
}

// Clauses 1, 5, 15 and 19: when a later flight of the key runs, or Wait says that
// all have landed, the landed flight's context is done, and what derives from it.
// (Not deterministic: the end of many children stands for a preemption between
// the key's leaving the table and the context's end.)
func TestContextIsDoneBeforeTheNextFlightRuns(t *testing.T) {
	var g group
	const children = 200_000
	derived, cancels := make([]context.Context, children), make([]context.CancelFunc, children)
	release := make(chan bool)
	go g.DoContext(context.Background(), "key", func(ctx context.Context) (int, error) {
		for i := range derived {
			derived[i], cancels[i] = context.WithCancel(ctx)
		}
		release <- true
		<-release
		return 0, nil
	})
	<-release
	release <- true
	for g.Stats().InFlight > 0 {
		runtime.Gosched()
	}
	if err := g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	alive := 0
	g.Do("key", func() (int, error) {
		for _, ctx := range derived {
			if ctx.Err() == nil {
				alive++
			}
		}
		return 0, nil
	})
	if alive > 0 {
		t.Errorf("Wait returned nil and the next flight ran, and %d of %d contexts below the landed flight's were alive", alive, children)
	}
}
