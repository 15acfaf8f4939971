package singleflight_test

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

var errBoom = errors.New("boom")

var (
	crashHeader = regexp.MustCompile(`(?m)^panic: boom$`)
	logged      = regexp.MustCompile(`(?m)^ +\w+_test\.go:\d+: `) // by a test that goes on
)

// crashes fails the test unless the process crashes when body runs in a
// bubble, with a panic that shows the value and the stack of the function. The
// callers that body makes recover from whatever they can.
func crashes(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	output, crashed := inChild(t, func() { synctest.Test(t, body) })
	switch {
	case !crashed:
		t.Errorf("the process didn't crash:\n%s", output)
	case !crashHeader.MatchString(output), !strings.Contains(output, "explode"):
		t.Errorf("the process crashed with another panic:\n%s", output)
	case strings.Contains(output, "--- FAIL"):
		t.Errorf("the panic could have been recovered by the test:\n%s", output)
	case logged.MatchString(output):
		t.Errorf("something was wrong before the process crashed:\n%s", output)
	}
}

func explosion() (int, error) { return explode(errBoom) }

// Clause 6: if a channel caller is on a flight that panics, the process
// crashes, whoever leads and whatever the other callers recover.
func TestPanicWithAChannelCallerCrashes(t *testing.T) {
	for _, leads := range ways {
		for _, joins := range []way{byDo, byDoChan, byDoChanContext} {
			if !leads.channel && !joins.channel {
				continue
			}
			t.Run(leads.name+"/"+joins.name, func(t *testing.T) {
				crashes(t, func(t *testing.T) {
					var g group
					j := newJob()
					leads.call(&g, t.Context(), "key", j)
					joins.call(&g, t.Context(), "key", newJob())
					byDoContext.call(&g, t.Context(), "key", newJob())
					j.lands(explosion)
				})
			})
		}
	}
}

// Clause 6: the same for a channel caller that nobody joined.
func TestPanicOfAChannelLeaderCrashes(t *testing.T) {
	for _, leads := range ways {
		if !leads.channel {
			continue
		}
		t.Run(leads.name, func(t *testing.T) {
			crashes(t, func(t *testing.T) {
				var g group
				j := newJob()
				leads.call(&g, t.Context(), "key", j)
				j.lands(explosion)
			})
		})
	}
}

// Clause 6: if nobody is left on a flight that panics, the process crashes.
// Clause 16: also if the flight was cancelled.
func TestPanicWithNobodyLeftCrashes(t *testing.T) {
	for _, cancels := range []string{"goes on", "cancelled"} {
		for _, leads := range detaching {
			t.Run(cancels+"/"+leads.name, func(t *testing.T) {
				crashes(t, func(t *testing.T) {
					g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: cancels == "cancelled"})
					ctx, cancel := context.WithCancel(t.Context())
					j := newJob()
					leads.call(g, ctx, "key", j)
					cancel()
					synctest.Wait()
					j.lands(explosion)
				})
			})
		}
	}
}

// Clause 6: a caller whose Join hook panicked is not on the flight any more.
func TestPanicWithOnlyABrokenJoinerCrashes(t *testing.T) {
	for _, leads := range detaching {
		for _, joins := range ways {
			t.Run(leads.name+"/"+joins.name, func(t *testing.T) {
				crashes(t, func(t *testing.T) {
					g := singleflight.New(singleflight.Options[string, int]{Trace: &singleflight.Trace[string]{
						Join: func(context.Context, string, uint64) { panic("the hook's") },
					}})
					ctx, cancel := context.WithCancel(t.Context())
					j := newJob()
					leads.call(g, ctx, "key", j)
					blocked(func() (int, error, bool) {
						enter(joins, g, t.Context(), "key", nil)
						return 0, nil, false
					})
					cancel()
					synctest.Wait()
					j.lands(explosion)
				})
			})
		}
	}
}

// Clause 7: a panic raised during Goexit crashes the process like any other.
func TestPanicDuringGoexitCrashes(t *testing.T) {
	for _, leads := range []way{byDo, byDoChan} {
		t.Run(leads.name, func(t *testing.T) {
			crashes(t, func(t *testing.T) {
				var g group
				j := newJob()
				leads.call(&g, t.Context(), "key", j)
				byDoChan.call(&g, t.Context(), "key", newJob())
				j.lands(func() (int, error) {
					defer explosion()
					runtime.Goexit()
					return 0, nil
				})
			})
		})
	}
}

// Clause 11: a nil function of a channel caller crashes the process.
func TestNilFunctionOfAChannelLeaderCrashes(t *testing.T) {
	output, crashed := inChild(t, func() {
		var g group
		<-g.DoChan("key", nil)
	})
	if !crashed || !strings.Contains(output, "nil pointer dereference") {
		t.Errorf("the process didn't crash, or by something else:\n%s", output)
	}
}

// Clause 21: a panic in Clone for a channel caller crashes the process, as one
// in the function would.
func TestPanicInCloneForAChannelCallerCrashes(t *testing.T) {
	for _, leads := range []way{byDo, byDoChanContext} {
		t.Run(leads.name, func(t *testing.T) {
			crashes(t, func(t *testing.T) {
				g := singleflight.New(singleflight.Options[string, int]{
					Clone: func(int) int { v, _ := explosion(); return v },
				})
				j := newJob()
				leads.call(g, t.Context(), "key", j)
				byDoChan.call(g, t.Context(), "key", newJob())
				j.returns(1)
			})
		})
	}
}
