package singleflight_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// A service has its group by value, as users write it.
type service struct {
	users singleflight.Group[string, int]
}

func TestOptionsOfAStructLiteral(t *testing.T) {
	// The field has the effect that New has, for each of the options.
	synctest.Test(t, func(t *testing.T) {
		s := service{users: singleflight.Group[string, int]{Options: singleflight.Options[string, int]{Recover: true}}}
		_, err, _ := s.users.Do("key", func() (int, error) { panic("boom") })
		if p, ok := errors.AsType[*singleflight.PanicError](err); !ok || p.Value != "boom" {
			t.Errorf("Recover: got %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var s service
		s.users.Options.CancelAbandoned = true
		inState(t, "CancelAbandoned", abandonedAndEnded(t, &s.users).ctx, singleflight.ErrAbandoned)
	})
	synctest.Test(t, func(t *testing.T) {
		var s service
		s.users.Options.FlightTimeout = time.Second
		s.users.DoContext(t.Context(), "key", func(ctx context.Context) (int, error) {
			sleep(time.Second)
			inState(t, "FlightTimeout", ctx, singleflight.ErrFlightTimeout)
			return 0, nil
		})
	})
	synctest.Test(t, func(t *testing.T) {
		var s service
		s.users.Options.ForgetAfter = time.Second
		j := newJob()
		byDo.call(&s.users, nil, "key", j)
		sleep(time.Second + 1)
		alone(t, &s.users, "key")
		j.returns(1)
	})
	synctest.Test(t, func(t *testing.T) {
		s := service{users: singleflight.Group[string, int]{Options: singleflight.Options[string, int]{
			Clone: func(v int) int { return 2 * v },
		}}}
		j := newJob()
		first := byDo.call(&s.users, nil, "key", j)
		second := byDoChan.call(&s.users, nil, "key", newJob())
		j.returns(4)
		first.got(t, answer{Val: 8, Shared: true})
		second.got(t, answer{Val: 8, Shared: true})
	})
	synctest.Test(t, func(t *testing.T) {
		var landed int
		s := service{users: singleflight.Group[string, int]{Options: singleflight.Options[string, int]{
			Trace: &singleflight.Trace[string]{Land: func(context.Context, string, uint64, singleflight.Landing) { landed++ }},
		}}}
		alone(t, &s.users, "key")
		if landed != 1 {
			t.Errorf("Trace: the Land hook ran %d times", landed)
		}
	})
}

// abandonedAndEnded is abandoned for a function that has ended too.
func abandonedAndEnded(t *testing.T, g *group) *job {
	t.Helper()
	j := abandoned(t, g, "key")
	j.returns(1)
	return j
}

func TestNewKeepsItsOptions(t *testing.T) {
	g := singleflight.New(singleflight.Options[string, int]{Recover: true, FlightTimeout: 1, ForgetAfter: 2})
	if o := g.Options; !o.Recover || o.FlightTimeout != 1 || o.ForgetAfter != 2 {
		t.Errorf("the group's options are %+v", o)
	}
}

// wrongOptions make no sense, by the field that is to blame.
var wrongOptions = map[string]singleflight.Options[string, int]{
	"FlightTimeout": {FlightTimeout: -1},
	"ForgetAfter":   {ForgetAfter: -time.Hour},
}

func TestNegativeOptionsPanic(t *testing.T) {
	// Clause 22: New panics and names the field, and so does every call that takes a key, before anything is changed.
	takingKeys := map[string]func(g *group){
		"Do":            func(g *group) { g.Do("key", constant(1)) },
		"DoChan":        func(g *group) { g.DoChan("key", constant(1)) },
		"DoContext":     func(g *group) { g.DoContext(t.Context(), "key", taking(constant(1))) },
		"DoResult":      func(g *group) { g.DoResult(t.Context(), "key", taking(constant(1))) },
		"DoChanContext": func(g *group) { g.DoChanContext(t.Context(), "key", taking(constant(1))) },
		"Func": func(g *group) {
			g.Func(func(context.Context, string) (int, error) { return 1, nil })(t.Context(), "key")
		},
		"Forget":         func(g *group) { g.Forget("key") },
		"ForgetUnshared": func(g *group) { g.ForgetUnshared("key") },
	}
	for field, opts := range wrongOptions {
		if value := fmt.Sprint(panicOf(func() { singleflight.New(opts) })); !strings.Contains(value, "Options."+field+" ") {
			t.Errorf("New panics with %s, want %s named", value, field)
		}
		for name, call := range takingKeys {
			g := &group{Options: opts}
			for range 2 {
				if value := fmt.Sprint(panicOf(func() { call(g) })); !strings.Contains(value, "Options."+field+" ") {
					t.Errorf("%s panics with %s, want %s named", name, value, field)
				}
			}
			if s := g.Stats(); s != (singleflight.Stats{}) {
				t.Errorf("after %s that panicked Stats is %+v", name, s)
			}
			g.Options = singleflight.Options[string, int]{}
			alone(t, g, "key")
			if err := g.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestNegativeOptionsAreLookedAtAfterTheContext(t *testing.T) {
	// Clause 12: a context that is nil or done comes before anything else.
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, opts := range wrongOptions {
		for _, w := range detaching {
			g := &group{Options: opts}
			if r := enter(w, g, done, "key", constant(1)); r != (singleflight.Result[int]{Err: context.Canceled}) {
				t.Errorf("%s with a context that is done got %+v", w.name, r)
			}
			if value := fmt.Sprint(panicOf(func() { enter(w, g, nil, "key", constant(1)) })); !strings.Contains(value, "nil Context") {
				t.Errorf("%s with a nil context panics with %s", w.name, value)
			}
		}
		g := &group{Options: opts}
		if r := g.DoResult(done, "key", nil); r != (singleflight.Result[int]{Err: context.Canceled}) {
			t.Errorf("DoResult with a context that is done got %+v", r)
		}
	}
}
