package singleflight_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// A heldError is a panic value with which a process doesn't end before held is
// closed: the runtime asks for the text before it stops the other goroutines.
type heldError struct{ held chan bool }

func (e heldError) Error() string { <-e.held; return "boom" }

// crashesWhile is crashes for a body that ends functions with a heldError. look
// has as much time as it needs while the process crashes.
func crashesWhile(t *testing.T, body func(t *testing.T, held heldError) (look func())) {
	t.Helper()
	crashes(t, func(t *testing.T) {
		held := heldError{make(chan bool)}
		look := body(t, held)
		look()
		close(held.held)
		synctest.Wait()
		t.Error("the process goes on")
	})
}

// waitsFor fails the test unless Wait waits, and Stats and InFlight show want.
func waitsFor(t *testing.T, g *group, want ...flight) {
	t.Helper()
	waiter := byWait(g, t.Context())
	waiter.waits(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	ending := byWait(g, ctx)
	sleep(time.Nanosecond)
	ending.got(t, late)
	waiter.waits(t)
	lists(t, g, want...)
	if n := g.Stats().InFlight; n != len(want) {
		t.Errorf("Stats counts %d flights in the air, want %d", n, len(want))
	}
}

// hasNotLanded fails the test if the Land hook was called.
func (l *log) hasNotLanded(t *testing.T) {
	t.Helper()
	if names, _ := l.take(); slices.Contains(names, "Land key") {
		t.Error("the Land hook was called")
	}
}

// inTheAir fails the test unless the flight of a function that has panicked,
// which InFlight shows as want, goes on for everybody.
func inTheAir(t *testing.T, g *group, l *log, j *job, want flight, callers ...caller) {
	t.Helper()
	waitsFor(t, g, want)
	for _, w := range detaching { // they join, and detach
		ctx, cancel := context.WithCancel(t.Context())
		unused := newJob()
		joiner := w.call(g, ctx, "key", unused)
		joiner.waits(t)
		joined := want
		joined.Callers++
		joined.State = singleflight.Running
		waitsFor(t, g, joined)
		cancel()
		synctest.Wait()
		joiner.got(t, canceled)
		if unused.ran() != 0 {
			t.Error("the function of a call that came while the process crashed ran")
		}
	}
	if j.ctx != nil {
		inState(t, "the context of a flight that crashes", j.ctx, nil)
	}
	if g.ForgetUnshared("key") {
		t.Error("ForgetUnshared forgets a flight that was joined while the process crashed")
	}
	l.hasNotLanded(t)
	g.Forget("key")
	alone(t, g, "key")
	want.Forgotten = true
	waitsFor(t, g, want)
	for _, c := range callers {
		c.waits(t)
	}
}

func TestFlightThatCrashesStaysInTheAir(t *testing.T) {
	// Clause 6: until the process has ended the flight doesn't land.
	for _, leads := range ways {
		for _, joins := range []way{byDo, byDoChan} {
			if !leads.channel && !joins.channel {
				continue
			}
			t.Run(leads.name+"/"+joins.name, func(t *testing.T) {
				crashesWhile(t, func(t *testing.T, held heldError) func() {
					g, l := traced()
					j := newJob()
					callers := []caller{
						leads.call(g, t.Context(), "key", j),
						joins.call(g, t.Context(), "key", newJob()),
						byDoContext.call(g, t.Context(), "key", newJob()),
					}
					ctx, cancel := context.WithCancel(t.Context())
					leavers := []caller{
						byDoContext.call(g, ctx, "key", newJob()),
						byDoChanContext.call(g, ctx, "key", newJob()),
					}
					since := time.Now()
					j.lands(func() (int, error) { return explode(held) })
					return func() {
						cancel()
						synctest.Wait()
						for _, c := range leavers {
							c.got(t, canceled)
						}
						inTheAir(t, g, l, j, flight{Key: "key", Callers: 3, Since: since}, callers...)
					}
				})
			})
		}
	}
}

func TestAbandonedFlightThatCrashesStaysInTheAir(t *testing.T) {
	// Clause 6: the same for one that nobody is left on.
	for _, leads := range detaching {
		t.Run(leads.name, func(t *testing.T) {
			crashesWhile(t, func(t *testing.T, held heldError) func() {
				g, l := traced()
				ctx, cancel := context.WithCancel(t.Context())
				j := newJob()
				leader := leads.call(g, ctx, "key", j)
				since := time.Now()
				cancel()
				synctest.Wait()
				leader.got(t, canceled)
				j.lands(func() (int, error) { return explode(held) })
				return func() {
					waitsFor(t, g, flight{Key: "key", State: singleflight.Abandoned, Since: since})
					joiner := byDo.call(g, nil, "key", newJob())
					inTheAir(t, g, l, j, flight{Key: "key", Callers: 1, Since: since}, joiner)
				}
			})
		})
	}
}

func TestSuccessorOfAFlightThatCrashesWaits(t *testing.T) {
	// Clauses 6 and 16: the same for a cancelled one, whose successor waits, and may be dropped.
	for _, leads := range detaching {
		t.Run(leads.name, func(t *testing.T) {
			crashesWhile(t, func(t *testing.T, held heldError) func() {
				g, l := traced(cancelsAbandoned)
				ctx, cancel := context.WithCancel(t.Context())
				first := newJob()
				leads.call(g, ctx, "key", first)
				cancelled := flight{Key: "key", State: singleflight.Cancelled, Since: time.Now()}
				waiting := flight{Key: "key", Callers: 1, State: singleflight.Waiting, Since: time.Now()}
				cancel()
				synctest.Wait()
				ctx, cancel = context.WithCancel(t.Context())
				dropped := newJob()
				successor := leads.call(g, ctx, "key", dropped)
				first.lands(func() (int, error) { return explode(held) })
				return func() {
					successor.waits(t)
					waitsFor(t, g, cancelled, waiting)
					cancel()
					synctest.Wait()
					successor.got(t, canceled)
					waitsFor(t, g, cancelled)
					second := newJob()
					lasting := byDo.call(g, nil, "key", second)
					joiner := byDoChan.call(g, nil, "key", newJob())
					lasting.waits(t)
					joiner.waits(t)
					if dropped.ran() != 0 || second.ran() != 0 {
						t.Error("a successor runs while the process crashes")
					}
					inState(t, "the cancelled flight's context", first.ctx, singleflight.ErrAbandoned)
					l.hasNotLanded(t)
				}
			})
		})
	}
}

func TestFlightWhoseCloneCrashesIsWaitedFor(t *testing.T) {
	// Clause 21: a panic in Clone for a channel caller comes after the key has left the table. Wait waits, and Stats and
	// InFlight show the flight.
	for _, leads := range []way{byDo, byDoContext, byDoChan, byDoChanContext} {
		t.Run(leads.name, func(t *testing.T) {
			crashesWhile(t, func(t *testing.T, held heldError) func() {
				g, l := traced(func(opts *singleflight.Options[string, int]) {
					opts.Clone = func(int) int { v, _ := explode(held); return v }
				})
				j := newJob()
				callers := []caller{
					leads.call(g, t.Context(), "key", j),
					byDoChan.call(g, nil, "key", newJob()),
					byDoContext.call(g, t.Context(), "key", newJob()),
				}
				crashing := flight{Key: "key", Callers: 3, Since: time.Now()}
				j.returns(1)
				return func() {
					waitsFor(t, g, crashing)
					l.hasNotLanded(t)
					for _, c := range callers {
						c.waits(t)
					}
					alone(t, g, "key")
					waitsFor(t, g, crashing)
				}
			})
		})
	}
}
