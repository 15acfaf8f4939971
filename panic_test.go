package singleflight_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	xsync "golang.org/x/sync/singleflight"

	"github.com/seed-737f55c4/singleflight"
)

// blockingWays are the ways of blocking callers.
var blockingWays = []way{byDo, byDoContext, byEndlessDoContext}

// explode panics, in a function of its own so that a stack shows it.
//
//go:noinline
func explode(value any) (int, error) { panic(value) }

// panicked returns the *PanicError that a blocking caller panicked with.
func (c caller) panicked(t *testing.T) *singleflight.PanicError {
	t.Helper()
	a, ok := c.poll()
	p, isPanicError := a.Panic.(*singleflight.PanicError)
	if !ok || !isPanicError || p == nil {
		t.Fatalf("the call got %+v, want a panic with a *PanicError", a)
	}
	return p
}

// Clause 6: every caller on a flight that panics, the leader included, panics
// with one *PanicError with the value and the stack of the panic; and the
// group goes on (golang/go#33519).
func TestPanicReachesEveryCaller(t *testing.T) {
	eachPair(t, blockingWays, blockingWays, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		first := joins.call(&g, t.Context(), "key", newJob())
		second := joins.call(&g, t.Context(), "key", newJob())
		j.lands(func() (int, error) { return explode("boom") })
		p := leader.panicked(t)
		if p.Value != "boom" {
			t.Errorf("the value is %v", p.Value)
		}
		if !strings.Contains(string(p.Stack), "explode") {
			t.Errorf("the stack isn't that of the panic:\n%s", p.Stack)
		}
		if first.panicked(t) != p || second.panicked(t) != p {
			t.Error("callers panic with another *PanicError than their leader")
		}
		alone(t, &g, "key")
	})
}

// A nil *PanicError can be printed and looked through like any other: a function
// may return one as its error, or panic with one.
func TestNilPanicErrorIsAnError(t *testing.T) {
	var p *singleflight.PanicError
	if text := p.Error(); text != "<nil>" {
		t.Errorf("its text is %q", text)
	}
	if p.Unwrap() != nil || errors.Is(p, errFlight) {
		t.Error("it wraps something")
	}
	g := singleflight.New(singleflight.Options[string, int]{Recover: true})
	_, err, _ := g.Do("key", func() (int, error) { return 0, p })
	if err != error(p) || err.Error() != "<nil>" {
		t.Errorf("got %v", err)
	}
	_, err, _ = g.Do("key", func() (int, error) { return explode(p) })
	outer, ok := errors.AsType[*singleflight.PanicError](err)
	if !ok || outer == nil || outer.Value != any(p) || !strings.HasPrefix(outer.Error(), "<nil>\n\n") {
		t.Errorf("a panic with it became %v", err)
	}
}

// Clause 6: a panic that nobody shares is a *PanicError too.
func TestPanicReachesLeaderAlone(t *testing.T) {
	eachWay(t, blockingWays, func(t *testing.T, w way) {
		var g group
		for range 3 {
			j := newJob()
			leader := w.call(&g, t.Context(), "key", j)
			j.lands(func() (int, error) { return explode(errFlight) })
			if p := leader.panicked(t); p.Value != errFlight || !strings.Contains(string(p.Stack), "explode") {
				t.Errorf("the leader panicked with %v", p)
			}
			alone(t, &g, "key")
		}
	})
}

// Clause 6: only callers that are on the flight when it lands count: a channel
// caller that detached makes no panic undeliverable.
func TestPanicPassesByCallersThatDetached(t *testing.T) {
	eachPair(t, blockingWays, detaching, func(t *testing.T, leads, leaves way) {
		var g group
		ctx, cancel := context.WithCancel(t.Context())
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		left := leaves.call(&g, ctx, "key", newJob())
		cancel()
		synctest.Wait()
		left.got(t, answer{Err: context.Canceled})
		j.panics("boom")
		leader.panicked(t)
		alone(t, &g, "key")
	})
}

// Clause 6: a function that returns an error of this package returned an error
// like any other.
func TestReturnedErrorOfThisPackageIsAnError(t *testing.T) {
	errs := map[string]error{
		"PanicError":  &singleflight.PanicError{Value: "boom"},
		"ErrGoexit":   singleflight.ErrGoexit,
		"ErrDeadlock": singleflight.ErrDeadlock,
	}
	for name, err := range errs {
		for _, recovers := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/Recover=%v", name, recovers), func(t *testing.T) {
				eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
					g := singleflight.New(singleflight.Options[string, int]{Recover: recovers})
					j := newJob()
					leader := leads.call(g, t.Context(), "key", j)
					joiner := joins.call(g, t.Context(), "key", newJob())
					j.lands(func() (int, error) { return 3, err })
					leader.got(t, answer{Val: 3, Err: err, Shared: true, Leader: true})
					joiner.got(t, answer{Val: 3, Err: err, Shared: true})
				})
			})
		}
	}
}

// Clause 6: a panic that a function recovers from is none of the group's.
func TestPanicRecoveredByTheFunctionIsNone(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		j := newJob()
		c := w.call(&g, t.Context(), "key", j)
		j.lands(func() (v int, err error) {
			defer func() {
				recover()
				v, err = 6, errFlight
			}()
			return explode("boom")
		})
		c.got(t, answer{Val: 6, Err: errFlight, Leader: true})
	})
}

// Clause 6: the *PanicError of a nested flight is passed on, not wrapped.
func TestPanicOfNestedFlightIsPassedOn(t *testing.T) {
	eachPair(t, blockingWays, blockingWays, func(t *testing.T, leads, joins way) {
		var g, nested group
		var inner any
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		joiner := joins.call(&g, t.Context(), "key", newJob())
		j.lands(func() (int, error) {
			defer func() {
				inner = recover()
				panic(inner)
			}()
			r := enter(leads, &nested, t.Context(), "nested key", func() (int, error) { return explode("boom") })
			return r.Val, r.Err
		})
		p := leader.panicked(t)
		if p != inner || joiner.panicked(t) != p {
			t.Errorf("the callers panic with %p, the nested one with %p", p, inner)
		}
		if p.Value != "boom" {
			t.Errorf("the value is %v", p.Value)
		}
	})
}

// Clause 6: a nil *PanicError as the value of a panic isn't what the callers
// panic with, since it would tell them nothing.
func TestPanicWithNilPanicError(t *testing.T) {
	var g group
	value := panicOf(func() { g.Do("key", func() (int, error) { return explode((*singleflight.PanicError)(nil)) }) })
	if p, ok := value.(*singleflight.PanicError); !ok || p == nil || !strings.Contains(p.Error(), "explode") {
		t.Errorf("Do panicked with %v", value)
	}
	alone(t, &g, "key")
}

// Clause 6: the text of Error is that of x/sync: the value, an empty line, and
// the stack without its first line, which names a goroutine that may be gone.
func TestPanicErrorReadsAsThatOfXSync(t *testing.T) {
	p := &singleflight.PanicError{Value: "boom", Stack: []byte("main.main()\n")}
	if got, want := p.Error(), "boom\n\nmain.main()\n"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}

	var g group
	var x xsync.Group
	texts := make(map[string]string)
	for name, do := range map[string]func(){
		"x/sync": func() { x.Do("key", func() (any, error) { return explode(errFlight) }) },
		"this":   func() { g.Do("key", func() (int, error) { return explode(errFlight) }) },
	} {
		err := panicOf(do).(error)
		texts[name], _, _ = strings.Cut(err.Error(), "(")
	}
	if texts["this"] != texts["x/sync"] {
		t.Errorf("the text begins with\n%s\nthat of x/sync with\n%s", texts["this"], texts["x/sync"])
	}
}

// Clause 6: Unwrap gives the value where that is an error.
func TestPanicErrorUnwraps(t *testing.T) {
	if err := error(&singleflight.PanicError{Value: fmt.Errorf("wrapped: %w", errFlight)}); !errors.Is(err, errFlight) {
		t.Errorf("%v isn't the error that it wraps", err)
	}
	if err := (&singleflight.PanicError{Value: "boom"}).Unwrap(); err != nil {
		t.Errorf("Unwrap gives %v for a string", err)
	}
	if err := (&singleflight.PanicError{}).Unwrap(); err != nil {
		t.Errorf("Unwrap gives %v for nil", err)
	}
	var none *singleflight.PanicError
	for _, err := range []error{none, &singleflight.PanicError{Value: none}} {
		if errors.Is(err, errFlight) {
			t.Errorf("%#v is another error", err)
		}
	}
}

// Clause 6: panic(nil) is a panic, with the value that Go gives it.
func TestPanicWithNil(t *testing.T) {
	var g group
	value := panicOf(func() { g.Do("key", func() (int, error) { return explode(nil) }) })
	var nilError *runtime.PanicNilError
	if err, ok := value.(error); !ok || !errors.As(err, &nilError) {
		t.Errorf("Do panicked with %v", value)
	}
}

// Clause 6: panic(nil) is a panic also where recover can't see it; Goexit
// isn't one there either.
func TestPanicWithNilUnderPanicnil(t *testing.T) {
	t.Setenv("GODEBUG", "panicnil=1")
	output, crashed := inChild(t, func() {
		failed := false
		check := func(name string, got any, want any) {
			if fmt.Sprintf("%T %[1]v", got) != fmt.Sprintf("%T %[1]v", want) {
				fmt.Printf("%s: got %v, want %v\n", name, got, want)
				failed = true
			}
		}
		synctest.Test(t, func(t *testing.T) {
			for _, end := range []struct {
				name  string
				fn    func() (int, error)
				panic bool
			}{
				{"panic(nil)", func() (int, error) { return explode(nil) }, true},
				{"panic(nil) during Goexit", func() (int, error) { defer explode(nil); runtime.Goexit(); return 0, nil }, true},
				{"Goexit", func() (int, error) { runtime.Goexit(); return 0, nil }, false},
			} {
				for _, leads := range blockingWays {
					var g group
					j := newJob()
					leader := leads.call(&g, t.Context(), "key", j)
					joiner := byDo.call(&g, t.Context(), "key", newJob())
					j.lands(end.fn)
					for role, c := range map[string]caller{"leader": leader, "joiner": joiner} {
						a, _ := c.poll()
						name := end.name + ", " + role + ", led by " + leads.name
						if p, ok := a.Panic.(*singleflight.PanicError); ok {
							check(name+", value", p.Value, nil)
							check(name+", stack shows it", strings.Contains(string(p.Stack), "explode"), true)
						}
						check(name+", panics", a.Panic != nil, end.panic)
						check(name+", exits", a.Exited, !end.panic)
					}
				}
				for _, leads := range ways {
					g := singleflight.New(singleflight.Options[string, int]{Recover: true})
					j := newJob()
					leads.call(g, t.Context(), "key", j)
					joiner := byDoChan.call(g, t.Context(), "key", newJob())
					j.lands(end.fn)
					a, _ := joiner.poll()
					_, panicked := a.Err.(*singleflight.PanicError)
					check(end.name+", Recover, led by "+leads.name+", panics", panicked, end.panic)
					check(end.name+", Recover, led by "+leads.name+", exits", a.Err == singleflight.ErrGoexit, !end.panic)
				}
			}
		})
		if failed {
			os.Exit(1)
		}
	})
	if crashed {
		t.Errorf("%s", output)
	}
}

// Clause 11: a nil function panics.
func TestNilFunctionPanics(t *testing.T) {
	for _, w := range blockingWays {
		t.Run(w.name, func(t *testing.T) {
			var g group
			value := panicOf(func() { enter(w, &g, t.Context(), "key", nil) })
			p, ok := value.(*singleflight.PanicError)
			if !ok {
				t.Fatalf("the call panicked with %v", value)
			}
			if _, ok := p.Value.(runtime.Error); !ok {
				t.Errorf("the value is %v", p.Value)
			}
			alone(t, &g, "key")
		})
	}
	t.Run("Func", func(t *testing.T) {
		var g group
		load := g.Func(nil)
		if value, ok := panicOf(func() { load(t.Context(), "key") }).(*singleflight.PanicError); !ok {
			t.Errorf("the call panicked with %v", value)
		}
		alone(t, &g, "key")
	})
}

// Clause 11: with Recover a nil function's panic is an error like any panic's.
func TestNilFunctionUnderRecover(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			g := singleflight.New(singleflight.Options[string, int]{Recover: true})
			r := enter(w, g, t.Context(), "key", nil)
			var goError runtime.Error
			if p, ok := r.Err.(*singleflight.PanicError); !ok || !errors.As(p, &goError) {
				t.Errorf("the call got %v", r.Err)
			}
			alone(t, g, "key")
		})
	}
}

// Clause 11: the function of a caller that joins isn't looked at.
func TestNilFunctionOfAJoinerDoesNothing(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		results := make(chan singleflight.Result[int], 1)
		go func() { results <- enter(joins, &g, t.Context(), "key", nil) }()
		synctest.Wait()
		j.returns(1)
		leader.got(t, answer{Val: 1, Shared: true, Leader: true})
		if r := <-results; r != (singleflight.Result[int]{Val: 1, Shared: true}) {
			t.Errorf("the joiner got %+v", r)
		}
	})
}

// Clause 7: Goexit ends the goroutine of every blocking caller, and its
// deferred calls run; a channel caller receives ErrGoexit (golang/go#52557,
// golang/go#67087); and the group goes on.
func TestGoexitReachesEveryCaller(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		joiner := joins.call(&g, t.Context(), "key", newJob())
		j.exits()
		leader.exited(t, leads, answer{Err: singleflight.ErrGoexit, Shared: true, Leader: true})
		joiner.exited(t, joins, answer{Err: singleflight.ErrGoexit, Shared: true})
		alone(t, &g, "key")
	})
}

// Clause 7: the same for a leader that nobody joined.
func TestGoexitReachesLeaderAlone(t *testing.T) {
	eachWay(t, ways, func(t *testing.T, w way) {
		var g group
		for range 3 {
			j := newJob()
			leader := w.call(&g, t.Context(), "key", j)
			j.exits()
			leader.exited(t, w, answer{Err: singleflight.ErrGoexit, Leader: true})
			alone(t, &g, "key")
		}
	})
}

// Clause 7: a function that waits for a nested flight ends by Goexit if that
// does, and so does its own flight.
func TestGoexitOfNestedFlightIsPassedOn(t *testing.T) {
	eachPair(t, ways, blockingWays, func(t *testing.T, leads, nests way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		joiner := byDoChan.call(&g, t.Context(), "key", newJob())
		j.lands(func() (int, error) {
			r := enter(nests, &g, t.Context(), "nested key", func() (int, error) {
				runtime.Goexit()
				return 0, nil
			})
			t.Errorf("the function goes on with %+v", r)
			return r.Val, r.Err
		})
		leader.exited(t, leads, answer{Err: singleflight.ErrGoexit, Shared: true, Leader: true})
		joiner.got(t, answer{Err: singleflight.ErrGoexit, Shared: true})
		alone(t, &g, "key")
		alone(t, &g, "nested key")
	})
}

// exited fails the test unless a blocking caller's goroutine has exited, and
// unless a channel caller got want.
func (c caller) exited(t *testing.T, w way, want answer) {
	t.Helper()
	if !w.channel {
		want = answer{Exited: true}
	}
	c.got(t, want)
}

// Clause 7: with nobody left, the flight just ends.
func TestGoexitWithNobodyLeft(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		t.Run(fmt.Sprintf("CancelAbandoned=%v", cancels), func(t *testing.T) {
			eachWay(t, detaching, func(t *testing.T, w way) {
				g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: cancels})
				ctx, cancel := context.WithCancel(t.Context())
				j := newJob()
				leader := w.call(g, ctx, "key", j)
				cancel()
				synctest.Wait()
				leader.got(t, answer{Err: context.Canceled})
				j.exits()
				alone(t, g, "key")
			})
		})
	}
}

// Clause 7: a panic raised during Goexit is a panic.
func TestPanicDuringGoexitIsAPanic(t *testing.T) {
	eachPair(t, blockingWays, blockingWays, func(t *testing.T, leads, joins way) {
		var g group
		j := newJob()
		leader := leads.call(&g, t.Context(), "key", j)
		joiner := joins.call(&g, t.Context(), "key", newJob())
		j.lands(func() (int, error) {
			defer explode("boom")
			runtime.Goexit()
			return 0, nil
		})
		p := leader.panicked(t)
		if p.Value != "boom" || !strings.Contains(string(p.Stack), "explode") {
			t.Errorf("the leader panicked with %v", p)
		}
		if joiner.panicked(t) != p {
			t.Error("the joiner panics with another *PanicError than its leader")
		}
		alone(t, &g, "key")
	})
}

// Clause 7: a Goexit goes on after a panic that was raised during it and
// recovered from, and one that is called while a panic is on its way ends that.
func TestGoexitThatOutlivesAPanicIsAGoexit(t *testing.T) {
	for name, end := range map[string]func() (int, error){
		"panic during Goexit, recovered": func() (int, error) {
			defer func() { recover() }()
			defer explode("boom")
			runtime.Goexit()
			return 0, nil
		},
		"Goexit after a recovered panic": func() (int, error) {
			defer func() {
				recover()
				runtime.Goexit()
			}()
			return explode("boom")
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
				var g group
				j := newJob()
				leader := leads.call(&g, t.Context(), "key", j)
				joiner := joins.call(&g, t.Context(), "key", newJob())
				j.lands(end)
				leader.exited(t, leads, answer{Err: singleflight.ErrGoexit, Shared: true, Leader: true})
				joiner.exited(t, joins, answer{Err: singleflight.ErrGoexit, Shared: true})
				alone(t, &g, "key")
			})
		})
	}
}

// Clause 8: with Recover, blocking and channel callers alike get the zero
// value and the one *PanicError (golang/go#60060).
func TestRecoverTurnsAPanicIntoAnError(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{Recover: true})
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		j.lands(func() (v int, err error) {
			defer func() { v, err = 5, errFlight }()
			return explode(errors.ErrUnsupported)
		})
		a, _ := leader.poll()
		p, ok := a.Err.(*singleflight.PanicError)
		if !ok || p.Value != errors.ErrUnsupported || !errors.Is(p, errors.ErrUnsupported) || !strings.Contains(string(p.Stack), "explode") {
			t.Fatalf("the leader got %+v", a)
		}
		if want := (answer{Err: p, Shared: true, Leader: leads.channel}); a != want {
			t.Errorf("the leader got %+v, want %+v", a, want)
		}
		joiner.got(t, answer{Err: p, Shared: true})
		alone(t, g, "key")
	})
}

// Clause 8: with Recover, all get ErrGoexit, but for a leader whose goroutine
// ran the function, since Go can't stop a Goexit.
func TestRecoverTurnsGoexitIntoAnError(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{Recover: true})
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		j.exits()
		want := answer{Err: singleflight.ErrGoexit, Shared: true, Leader: true}
		if leads.here {
			want = answer{Exited: true}
		}
		leader.got(t, want)
		joiner.got(t, answer{Err: singleflight.ErrGoexit, Shared: true})
		alone(t, g, "key")
	})
}

// Clause 8: a panic during Goexit is recovered too; the Goexit isn't.
func TestRecoverOfAPanicDuringGoexit(t *testing.T) {
	eachPair(t, ways, ways, func(t *testing.T, leads, joins way) {
		g := singleflight.New(singleflight.Options[string, int]{Recover: true})
		j := newJob()
		leader := leads.call(g, t.Context(), "key", j)
		joiner := joins.call(g, t.Context(), "key", newJob())
		j.lands(func() (int, error) {
			defer explode("boom")
			runtime.Goexit()
			return 0, nil
		})
		a, _ := joiner.poll()
		if p, ok := a.Err.(*singleflight.PanicError); !ok || p.Value != "boom" || a.Val != 0 {
			t.Errorf("the joiner got %+v", a)
		}
		want := answer{Err: a.Err, Shared: true, Leader: true}
		if leads.here {
			want = answer{Exited: true}
		}
		leader.got(t, want)
		alone(t, g, "key")
	})
}

// Clause 8: with Recover and nobody left, a panic goes to nobody.
func TestRecoverWithNobodyLeft(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		t.Run(fmt.Sprintf("CancelAbandoned=%v", cancels), func(t *testing.T) {
			eachWay(t, detaching, func(t *testing.T, w way) {
				g := singleflight.New(singleflight.Options[string, int]{Recover: true, CancelAbandoned: cancels})
				ctx, cancel := context.WithCancel(t.Context())
				j := newJob()
				leader := w.call(g, ctx, "key", j)
				cancel()
				synctest.Wait()
				leader.got(t, answer{Err: context.Canceled})
				j.panics("boom")
				alone(t, g, "key")
			})
		})
	}
}
