package waitfor_test

import (
	"context"
	"runtime"
	"testing"
	"weak"
)

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
	from.Done()
	to.Done()
	from.land()
	to.land()
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
	runtime.KeepAlive(call)
}

// A flight that has landed and is kept, by its context, doesn't keep the calls
// that joined it.
func TestLandedFlightKeepsNoCalls(t *testing.T) {
	to := outside()
	call, _ := join(outside(), to)
	joined := weak.Make(call)
	call = nil
	to.land()
	for range 20 {
		if runtime.GC(); joined.Value() == nil {
			return
		}
	}
	t.Error("the call is kept")
	runtime.KeepAlive(to)
}

// What is kept of a flight by those that go on is nothing of its user's: here
// they waited for it, it waited for them, its call was refused, and it led one
// of them.
func TestFlightsThatGoOnKeepNoContexts(t *testing.T) {
	type value struct{ _ [100]byte }
	above, below, successor := outside(), outside(), outside()
	mustJoin(t, above, outside())
	kept := func() weak.Pointer[value] {
		v := new(value)
		f := led(context.WithValue(context.Background(), valueKey{}, v))
		f.Done()
		child := outside()
		child.Parent = &f.Context
		mustJoin(t, above, f)
		mustJoin(t, f, below)
		mustJoin(t, child, below)
		if _, ok := join(f, above); ok {
			t.Error("a cycle was closed")
		}
		if !succeed(&above.Context, f, successor) || succeed(&child.Context, f, outside()) {
			t.Error("wrong successors")
		}
		child.land()
		f.land()
		return weak.Make(v)
	}()
	for range 20 {
		if runtime.GC(); kept.Value() == nil {
			break
		}
	}
	if kept.Value() != nil {
		t.Error("the landed flight's context is kept")
	}
	if outwards, inwards := below.Edges(); outwards+inwards != 0 {
		t.Errorf("%d edges are kept", outwards+inwards)
	}
	if outwards, _ := above.Edges(); outwards != 2 {
		t.Errorf("%d edges, want those to the one that above joined and to the successor", outwards)
	}
	runtime.KeepAlive([]*flight{above, below, successor})
}
