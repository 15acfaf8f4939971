package singleflight_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/seed-737f55c4/singleflight"
)

// Clause 24: a flight that is in the air and was joined from inside another
// doesn't keep the contexts of that one when it has landed.
func TestEdgeKeepsNoContextsOfALandedFlight(t *testing.T) {
	var g singleflight.Group[string, int]
	release := make(chan struct{})
	defer close(release)
	g.DoChanContext(t.Context(), "G", func(context.Context) (int, error) { <-release; return 0, nil })

	type huge [1 << 20]byte
	lead := func(join bool) weak.Pointer[huge] {
		value := new(huge)
		ctx, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey("k"), value))
		defer cancel()
		g.DoContext(ctx, "F", func(ctx context.Context) (int, error) {
			if join {
				g.DoChanContext(context.WithoutCancel(ctx), "G", nil)
			} else {
				g.DoChan("G", nil)
			}
			return 0, nil
		})
		return weak.Make(value)
	}
	for _, join := range []bool{false, true} {
		kept := lead(join)
		for i := 0; i < 20 && kept.Value() != nil; i++ {
			g.DoContext(t.Context(), "other", func(context.Context) (int, error) { return 0, nil })
			runtime.GC()
		}
		if kept.Value() != nil {
			t.Errorf("F has landed, and the value in its context is still reachable (F joined G with a context: %v)", join)
		}
	}
}

// panickyContext is a context of its own kind (a Done channel of its own, so
// that package context asks AfterFunc) that panics when somebody wants to be
// told of its end.
type panickyContext struct {
	context.Context
	done chan struct{}
}

func (c panickyContext) Done() <-chan struct{}      { return c.done }
func (panickyContext) AfterFunc(func()) func() bool { panic("AfterFunc") }

// Clauses 16 and 18: a call of DoChanContext that panics because its context
// does, in AfterFunc, isn't on the flight: it doesn't keep it from being
// abandoned, and isn't an edge.
func TestCallerWhoseContextPanicsIsNotOnTheFlight(t *testing.T) {
	enter := func(g *singleflight.Group[string, int], ctx context.Context, key string, fn func(context.Context) (int, error)) {
		defer func() {
			if recover() == nil {
				panic("didn't panic")
			}
		}()
		g.DoChanContext(panickyContext{ctx, make(chan struct{})}, key, fn)
	}
	t.Run("joined", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			ctx, cancel := context.WithCancel(t.Context())
			release, ended := make(chan struct{}), make(chan error, 1)
			g.DoChanContext(ctx, "key", func(ctx context.Context) (int, error) {
				<-release
				ended <- ctx.Err()
				return 1, nil
			})
			other, cancelOther := context.WithCancel(t.Context())
			defer cancelOther()
			enter(g, other, "key", nil)
			cancel()
			synctest.Wait()
			if f := g.InFlight()[0]; f.Callers != 0 {
				t.Errorf("nobody waits for the flight any more, InFlight says %+v", f)
			}
			close(release)
			if err := <-ended; err != context.Canceled {
				t.Errorf("abandoned flight has ctx.Err() %v", err)
			}
		})
	})
	t.Run("leads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			ended := make(chan error, 1)
			release := make(chan struct{})
			enter(g, t.Context(), "key", func(ctx context.Context) (int, error) {
				<-release
				ended <- ctx.Err()
				return 1, nil
			})
			synctest.Wait()
			for _, f := range g.InFlight() {
				if f.Callers != 0 {
					t.Errorf("nobody has the channel, InFlight says %+v", f)
				}
			}
			close(release)
			synctest.Wait()
			if len(ended) > 0 {
				if err := <-ended; err != context.Canceled {
					t.Errorf("abandoned flight has ctx.Err() %v", err)
				}
			}
		})
	})
	t.Run("false refusal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var g singleflight.Group[string, int]
			release := make(chan struct{})
			b := g.DoChanContext(t.Context(), "b", func(ctx context.Context) (int, error) {
				<-release
				_, err, _ := g.DoContext(ctx, "a", func(context.Context) (int, error) { return 0, nil })
				return 0, err
			})
			_, _, _ = g.DoContext(t.Context(), "a", func(ctx context.Context) (int, error) {
				enter(&g, ctx, "b", nil) // panics, recovered: nobody waits for b
				// b joins a, and a waits for nobody
				close(release)
				synctest.Wait()
				return 1, nil
			})
			if r := <-b; r.Err != nil {
				t.Errorf("b's call was refused: %v", r.Err)
			}
		})
	})
}

// Clause 6: a panic is never swallowed, not even by a Land hook that exits the
// leader's goroutine.
func TestPanicIsNotLostInLand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := singleflight.New(singleflight.Options[string, int]{Trace: &singleflight.Trace[string]{
			Land: func(context.Context, string, uint64, singleflight.Landing) { runtime.Goexit() },
		}})
		var recovered any
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { recovered = recover() }()
			g.Do("key", func() (int, error) { panic("boom") })
		}()
		<-done
		if _, ok := recovered.(*singleflight.PanicError); !ok {
			t.Errorf("the function panicked, and its leader recovered %v", recovered)
		}
	})
}

// slowErr is a context whose Err takes its time once it has ended. It stands
// for a goroutine that is preempted there.
type slowErr struct {
	context.Context
	gate chan struct{}
}

func (c slowErr) Err() error {
	err := c.Context.Err()
	if err != nil {
		<-c.gate
	}
	return err
}

// Clauses 19 and 5: a caller that detaches is sent its Result before the flight
// can land without it, or be dropped.
func TestResultsOfDetachedCallersAreSentBeforeWaitReturns(t *testing.T) {
	t.Run("landed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var g singleflight.Group[string, int]
			release, gate := make(chan struct{}), make(chan struct{})
			inner, cancel := context.WithCancel(t.Context())
			go func() {
				g.Do("key", func() (int, error) { <-release; return 1, nil })
			}()
			synctest.Wait()
			ch := g.DoChanContext(slowErr{inner, gate}, "key", nil)
			waited := make(chan error, 1)
			go func() { waited <- g.Wait(context.Background()) }()
			synctest.Wait()
			cancel()
			synctest.Wait()
			close(release)
			synctest.Wait()
			if len(waited) == 1 && len(ch) == 0 {
				t.Errorf("Wait returned %v before the Result was sent", <-waited)
			}
			close(gate)
			<-ch
		})
	})
	t.Run("dropped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})
			release, gate := make(chan struct{}), make(chan struct{})
			first, cancelFirst := context.WithCancel(t.Context())
			g.DoChanContext(first, "key", func(context.Context) (int, error) { <-release; return 1, nil })
			cancelFirst()
			synctest.Wait()
			inner, cancel := context.WithCancel(t.Context())
			ch := g.DoChanContext(slowErr{inner, gate}, "key", oneContext)
			waited := make(chan error, 1)
			go func() { waited <- g.Wait(context.Background()) }()
			synctest.Wait()
			cancel()
			synctest.Wait()
			close(release)
			synctest.Wait()
			if len(waited) == 1 && len(ch) == 0 {
				t.Errorf("Wait returned %v before the Result was sent", <-waited)
			}
			close(gate)
			<-ch
		})
	})
}
