package measure

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// The curves of detaching callers, and their series.
const (
	DetachTime = "Time per caller that detaches"

	ThisContext       = "this DoContext"
	ResenjeContext    = "resenje Do"
	BareContext       = "bare select"
	ThisChanContext   = "this DoChanContext"
	TailscaleContext  = "tailscale DoChanContext"
	BareChanContext   = "bare AfterFunc"
	detachingSizeName = "callers that detach from one flight"
)

func detachingParts() []Part {
	return []Part{{Name: "Callers that detach, time per caller", run: detachTimes, crowd: hundredThousand}}
}

func detachTimes(r *runner) {
	curve := Curve{
		Family: DetachingFamily, Title: DetachTime, Size: detachingSizeName, Unit: nanoseconds,
		Series: named(ThisContext, ResenjeContext, BareContext, ThisChanContext, TailscaleContext, BareChanContext),
	}
	for _, n := range sizes(1, r.settings.MaxCallers) {
		var order []int
		r.prepare(func() {
			warm(n)
			// Leaving in the order of arrival would spare a list its search.
			order = rand.New(rand.NewPCG(1, uint64(n))).Perm(n)
		})
		each := func(round func(order []int) time.Duration) func() reading {
			return func() reading {
				return reading{value: perRound(r.settings.CurveTime, func() time.Duration { return round(order) }) / float64(n)}
			}
		}
		got := r.inTurn(r.settings.curvePairs(n),
			each(detachBlocking(peer.This[string]())),
			each(detachBlocking(peer.Resenje[string]())),
			each(detachBareBlocking),
			each(detachChannels(peer.This[string]())),
			each(detachChannels(peer.Tailscale[string]())),
			each(detachBareChannels),
		)
		for i := range got {
			curve.Series[i].add(n, got[i].values())
		}
	}
	r.results.Curves = append(r.results.Curves, curve)
}

// leaving are the contexts of callers, which end one by one in a given order.
type leaving struct {
	contexts []context.Context
	cancels  []context.CancelFunc
	order    []int
}

func newLeaving(order []int) leaving {
	l := leaving{
		contexts: make([]context.Context, len(order)),
		cancels:  make([]context.CancelFunc, len(order)),
		order:    order,
	}
	for i := range order {
		l.contexts[i], l.cancels[i] = context.WithCancel(context.Background())
	}
	return l
}

func (l leaving) cancelAll() {
	for _, i := range l.order {
		l.cancels[i]()
	}
}

// flight is a function that waits in a flight until the flight is ended.
type flight struct {
	fn      peer.Function
	running chan struct{}
	gate    chan struct{}
}

func newFlight() flight {
	f := flight{running: make(chan struct{}), gate: make(chan struct{})}
	f.fn = peer.Of(func() int {
		close(f.running)
		<-f.gate
		return 1
	})
	return f
}

// detachBlocking measures from the first cancellation until the last caller has
// returned. One caller with a context that never ends stays on the flight.
func detachBlocking(l peer.Library[string]) func(order []int) time.Duration {
	return func(order []int) time.Duration {
		f := newFlight()
		call := l.DoContext(f.fn)
		var stays sync.WaitGroup
		stays.Go(func() { call(context.Background(), oneKey) })
		<-f.running
		took := leaveBlocking(order, func(ctx context.Context) { call(ctx, oneKey) })
		close(f.gate)
		stays.Wait()
		return took
	}
}

// detachBareBlocking is what detachBlocking costs without any library.
func detachBareBlocking(order []int) time.Duration {
	never := make(chan struct{})
	return leaveBlocking(order, func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-never:
		}
	})
}

func leaveBlocking(order []int, call func(context.Context)) time.Duration {
	leaving := newLeaving(order)
	var arrived, returned sync.WaitGroup
	arrived.Add(len(order))
	returned.Add(len(order))
	for _, ctx := range leaving.contexts {
		go func() {
			arrived.Done()
			call(ctx)
			returned.Done()
		}()
	}
	arrived.Wait()
	settle()
	started := time.Now()
	leaving.cancelAll()
	returned.Wait()
	return time.Since(started)
}

// detachChannels measures from the first cancellation until every channel has
// given its result. One caller with a context that never ends stays on the
// flight.
func detachChannels(l peer.Library[string]) func(order []int) time.Duration {
	return func(order []int) time.Duration {
		f := newFlight()
		leaving := newLeaving(order)
		flights := l.ContextFlights(f.fn, len(order)+1)
		flights.Start(context.Background(), oneKey)
		<-f.running
		for _, ctx := range leaving.contexts {
			flights.Start(ctx, oneKey)
		}
		settle()
		started := time.Now()
		leaving.cancelAll()
		flights.Receive(1)
		took := time.Since(started)
		close(f.gate)
		flights.Receive(0)
		return took
	}
}

// detachBareChannels is what detachChannels costs without any library.
func detachBareChannels(order []int) time.Duration {
	leaving := newLeaving(order)
	channels := make([]chan int, len(order))
	for i, ctx := range leaving.contexts {
		channels[i] = make(chan int, 1)
		context.AfterFunc(ctx, func() { channels[i] <- 1 })
	}
	settle()
	started := time.Now()
	leaving.cancelAll()
	for _, ch := range channels {
		<-ch
	}
	return time.Since(started)
}
