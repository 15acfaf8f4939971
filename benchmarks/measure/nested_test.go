package measure

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
)

// Layers whose flights land early, and are led again, would measure something
// else.
func TestLayersAreInTheAirAtOnce(t *testing.T) {
	const width = 5
	for name, ask := range map[string]ask{"with a context": askWithContext, "without": askWithout} {
		l := &layers{width: width, ask: ask, gate: make(chan struct{})}
		l.askAll(context.Background(), 0)
		s := l.group.Stats()
		if s.Flights != layerCount*width || s.Calls != uint64(layersCalls(width)) {
			t.Errorf("%s: %d flights and %d calls, want %d and %d", name, s.Flights, s.Calls, layerCount*width, layersCalls(width))
		}
	}
}

func TestHubIsWaitedFor(t *testing.T) {
	const waiters = 200
	joined := 0
	runHub(waiters, func(g *targets, ctx context.Context) {
		before := g.group.Stats()
		if before.Joined != targetCount+waiters {
			t.Errorf("%d calls joined before the hub's, want %d of the scout and %d of the waiters", before.Joined, targetCount, waiters)
		}
		g.joinAll(ctx)
		joined = int(g.group.Stats().Joined - before.Joined)
	})
	if joined != targetCount {
		t.Errorf("the hub joined %d flights, want %d", joined, targetCount)
	}
}

// The others run as long as the joins are measured, and no longer.
func TestJoinsAreMeasuredBesideOthers(t *testing.T) {
	running := false
	nestedJoinsBeside(tiny, func(s Settings, stop *atomic.Bool, begun func()) {
		running = true
		begun()
		for !stop.Load() {
			runtime.Gosched()
		}
		running = false
	})
	if running {
		t.Error("the others still run")
	}
}
