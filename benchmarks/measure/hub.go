package measure

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// targetCount is how many flights are joined from inside another.
const targetCount = 200

// targets are flights that stay in the air until the gate is closed. Their keys
// are from 0 on.
type targets struct {
	group group
	gate  chan struct{}
	led   []result
}

func newTargets() *targets {
	t := &targets{gate: make(chan struct{})}
	for i := range targetCount {
		t.led = append(t.led, t.group.DoChanContext(context.Background(), i, func(context.Context) (int, error) {
			<-t.gate
			return 1, nil
		}))
	}
	return t
}

func (t *targets) land() {
	close(t.gate)
	for _, r := range t.led {
		mustLand(r)
	}
}

// join makes a call of the flight that ctx is of, and so joins a flight that is
// in the air.
func (t *targets) join(ctx context.Context, key int) result {
	return t.group.DoChanContext(ctx, key, func(context.Context) (int, error) { panic("a call that was to join led") })
}

// joinAll joins each target and returns how long that took. The calls detach
// when ctx ends.
func (t *targets) joinAll(ctx context.Context) (joined []result, took time.Duration) {
	joined = make([]result, targetCount)
	started := time.Now()
	for i := range joined {
		joined[i] = t.join(ctx, i)
	}
	return joined, time.Since(started)
}

// joinAndLeave is joinAll, after which all calls detach.
func (t *targets) joinAndLeave(ctx context.Context) time.Duration {
	ctx, cancel := context.WithCancel(ctx)
	joined, took := t.joinAll(ctx)
	cancel()
	for _, r := range joined {
		if got := <-r; got.Err != context.Canceled {
			panic(got.Err)
		}
	}
	return took
}

// inside runs body in a flight of the key.
func (t *targets) inside(key int, body func(ctx context.Context)) result {
	return t.group.DoChanContext(context.Background(), key, func(ctx context.Context) (int, error) {
		body(ctx)
		return 1, nil
	})
}

// The keys of the flights that join others: the scout joins all targets first,
// so that the graph of who waits for whom has them before it has the hub, and
// each waiter, with a key from the last one down, joins the hub.
const (
	hubKey = -1 - iota
	scoutKey
	waiterKey
)

// runHub runs body in a flight, the hub, that began after the targets and that
// so many others wait for.
func runHub(waiters int, body func(t *targets, ctx context.Context)) {
	t := newTargets()
	mustLand(t.inside(scoutKey, func(ctx context.Context) { t.joinAndLeave(ctx) }))
	all := make(chan struct{})
	led := []result{t.inside(hubKey, func(ctx context.Context) {
		<-all
		body(t, ctx)
	})}
	var joined sync.WaitGroup
	joined.Add(waiters)
	for i := range waiters {
		led = append(led, t.inside(waiterKey-i, func(ctx context.Context) {
			hub := t.join(ctx, hubKey)
			joined.Done()
			mustLand(hub)
		}))
	}
	joined.Wait()
	runtime.GC() // so that no collection of what the waiters took is in the joins
	close(all)
	for _, r := range led {
		mustLand(r)
	}
	t.land()
}

// hubTime returns the time of a join from inside the hub, each target joined
// once: the median of the rounds, which are short.
func hubTime(s Settings, waiters int) float64 {
	var rounds []float64
	perRound(s.Time, func() (took time.Duration) {
		runHub(waiters, func(t *targets, ctx context.Context) { _, took = t.joinAll(ctx) })
		rounds = append(rounds, float64(took.Nanoseconds())/targetCount)
		return took
	})
	return Median(rounds)
}

// repeatHub has a hub join all targets and detach, again and again until it is
// told to stop, and says when it has begun.
func repeatHub(s Settings, stop *atomic.Bool, begun func()) {
	runHub(s.Waiters, func(t *targets, ctx context.Context) {
		begun()
		for !stop.Load() {
			t.joinAndLeave(ctx)
		}
	})
}
