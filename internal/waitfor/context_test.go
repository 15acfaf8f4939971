package waitfor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// The ways in which a Context is used before something happens to it. Those
// that aren't used are the ones that cost least, and take a way of their own.
var uses = map[string]func(*flight){
	"unused":          func(*flight) {},
	"asked for Done":  func(f *flight) { f.Done() },
	"asked for a key": func(f *flight) { f.Value(valueKey{}) },
	"part of a graph": func(f *flight) { join(f, outside()) },
	"the leader left": func(f *flight) { f.LeaderLeft() },
}

func done(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

func TestContextIsDoneOnceTheFlightLands(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			f := led(context.WithValue(t.Context(), valueKey{}, "value"))
			use(f)
			if err := f.Err(); err != nil {
				t.Errorf("Err is %v before the landing", err)
			}
			f.Land()
			if err := f.Err(); err != context.Canceled {
				t.Errorf("Err is %v after the landing", err)
			}
			if !done(f.context()) {
				t.Error("Done isn't closed after the landing")
			}
			if err := f.Err(); err != context.Canceled || context.Cause(f.context()) != context.Canceled {
				t.Errorf("Err is %v after Done, the cause %v", err, context.Cause(f.context()))
			}
			if waitfor.Of(f.context()) != nil {
				t.Error("a call belongs to the flight after the landing")
			}
			if got := f.Value(valueKey{}); got != "value" {
				t.Errorf("the leader's value is %v after the landing", got)
			}
			if _, ok := f.Deadline(); ok {
				t.Error("there is a deadline")
			}
		})
	}
}

func TestContextEndsBeforeTheLanding(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			f := outside()
			use(f)
			f.End()
			if err := f.Err(); err != context.Canceled || !done(f.context()) {
				t.Errorf("Err is %v, done %v", err, done(f.context()))
			}
			if _, ok := join(f, f); ok {
				t.Error("the flight of a context that ended isn't in the graph any more")
			}
			f.Land()
			if err := f.Err(); err != context.Canceled || !done(f.context()) {
				t.Errorf("after the landing Err is %v, done %v", err, done(f.context()))
			}
			if _, ok := join(f, f); !ok {
				t.Error("a flight that landed still waits for itself")
			}
		})
	}
}

func TestContextIsFreeOfItsLeader(t *testing.T) {
	leader, cancel := context.WithDeadline(context.Background(), time.Now().Add(time.Hour))
	f := led(leader)
	unused := led(leader)
	f.Done()
	cancel()
	for _, f := range []*flight{f, unused} {
		if _, ok := f.Deadline(); ok || f.Err() != nil || done(f.context()) || context.Cause(f.context()) != nil {
			t.Errorf("Err is %v, done %v, the cause %v", f.Err(), done(f.context()), context.Cause(f.context()))
		}
	}
}

func TestSetTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := outside()
		f.SetTimeout(time.Second)
		if deadline, ok := f.Deadline(); !ok || time.Until(deadline) != time.Second {
			t.Errorf("the deadline is in %v", time.Until(deadline))
		}
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if f.Err() != nil || done(f.context()) {
			t.Errorf("Err is %v before the deadline", f.Err())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for range 2 {
			if f.Err() != context.DeadlineExceeded || !done(f.context()) {
				t.Errorf("Err is %v after the deadline", f.Err())
			}
			f.End()
			f.Land()
		}
	})
}

// A timeout that comes too late, because the flight's context ended before its
// function began, changes nothing.
func TestSetTimeoutOfAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := outside()
		f.End()
		f.SetTimeout(time.Second)
		if f.Err() != context.Canceled || !done(f.context()) {
			t.Errorf("Err is %v", f.Err())
		}
		time.Sleep(time.Minute)
		if f.Err() != context.Canceled {
			t.Errorf("after the timeout Err is %v", f.Err())
		}
	})
}

// Whoever gets a channel from Done gets one that is closed, whatever happens
// at the same time; and there is only one.
func TestUseRacesWithLanding(t *testing.T) {
	for range 500 {
		f := outside()
		var wg sync.WaitGroup
		channels := make([]<-chan struct{}, 4)
		for i := range channels {
			wg.Go(func() { channels[i] = f.Done() })
		}
		wg.Go(f.Land)
		wg.Go(f.End)
		wg.Go(f.LeaderLeft)
		wg.Wait()
		for _, ch := range channels {
			if ch != channels[0] {
				t.Fatal("Done returned two channels")
			}
			<-ch
		}
		if err := f.Err(); err != context.Canceled {
			t.Fatalf("Err is %v", err)
		}
	}
}

func TestContextPrintsItsName(t *testing.T) {
	f := led(context.WithValue(context.Background(), valueKey{}, "secret"))
	child, cancel := context.WithCancelCause(f.context())
	defer cancel(errors.New("over"))
	if s := fmt.Sprint(child); !strings.HasPrefix(s, "singleflight.Flight(0x") || strings.Contains(s, "secret") {
		t.Errorf("a context derived from it prints as %q", s)
	}
}

// A call that outlives the flight that it belongs to, or the one that it
// joined, keeps neither's contexts. That is what links are for.
func TestCallKeepsNoContexts(t *testing.T) {
	type value struct{ _ [100]byte }
	leader := func() (context.Context, weak.Pointer[value]) {
		v := new(value)
		return context.WithValue(context.Background(), valueKey{}, v), weak.Make(v)
	}
	inner, innerValue := leader()
	outer, outerValue := leader()
	from, to := led(inner), led(outer)
	call, ok := join(from, to)
	if !ok {
		t.Fatal("the call was refused")
	}
	from.Land()
	to.Land()
	from, to, inner, outer = nil, nil, nil, nil
	for range 20 {
		if runtime.GC(); innerValue.Value() == nil && outerValue.Value() == nil {
			break
		}
	}
	if innerValue.Value() != nil || outerValue.Value() != nil {
		t.Errorf("kept: the context of the flight that the call belonged to: %v, of the one that it joined: %v",
			innerValue.Value() != nil, outerValue.Value() != nil)
	}
	call.Leave()
}

// A flight that has landed and is kept, by its context, doesn't keep the calls
// that joined it.
func TestLandedFlightKeepsNoCalls(t *testing.T) {
	to := outside()
	call, _ := join(outside(), to)
	joined := weak.Make(call)
	call = nil
	to.Land()
	for range 20 {
		if runtime.GC(); joined.Value() == nil {
			return
		}
	}
	t.Error("the call is kept")
	runtime.KeepAlive(to)
}
