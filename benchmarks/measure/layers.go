package measure

import (
	"context"
	"sync/atomic"
	"time"
)

// layerCount is how many layers of flights there are.
const layerCount = 20

// layers is a graph of flights: each asks for all of the next layer and then
// waits for them, and those of the last wait until all calls have been made.
// The keys count the flights from the first layer on.
type layers struct {
	group group
	width int
	ask   ask
	asked atomic.Int64  // calls made so far
	gate  chan struct{} // closed when all have been
}

// ask makes a call from inside the flight whose context is ctx.
type ask func(g *group, ctx context.Context, key int, fn func(context.Context) (int, error)) result

func askWithContext(g *group, ctx context.Context, key int, fn func(context.Context) (int, error)) result {
	return g.DoChanContext(ctx, key, fn)
}

func askWithout(g *group, ctx context.Context, key int, fn func(context.Context) (int, error)) result {
	return g.DoChan(key, func() (int, error) { return fn(ctx) })
}

// layersTime returns the processor time of a call.
func layersTime(s Settings, ask ask) float64 {
	return perRound(s.Time, func() time.Duration {
		before := processorTime()
		runLayers(s.LayerWidth, ask)
		return processorTime() - before
	}) / float64(layersCalls(s.LayerWidth))
}

// layersCalls is how many calls there are: the first layer's from outside, and
// each flight's but the last layer's.
func layersCalls(width int) int { return width + (layerCount-1)*width*width }

func runLayers(width int, ask ask) {
	l := &layers{width: width, ask: ask, gate: make(chan struct{})}
	l.askAll(context.Background(), 0)
}

// askAll asks for the flights of a layer and waits for them.
func (l *layers) askAll(ctx context.Context, layer int) {
	results := make([]result, l.width)
	for i := range results {
		results[i] = l.ask(&l.group, ctx, layer*l.width+i, l.function(layer))
	}
	if l.asked.Add(int64(l.width)) == int64(layersCalls(l.width)) {
		close(l.gate)
	}
	for _, r := range results {
		mustLand(r)
	}
}

// function returns the function of a flight of the layer.
func (l *layers) function(layer int) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		if layer == layerCount-1 {
			<-l.gate
		} else {
			l.askAll(ctx, layer+1)
		}
		return 1, nil
	}
}

// repeatLayers runs layers until it is told to stop, and says when it has begun.
func repeatLayers(s Settings, stop *atomic.Bool, begun func()) {
	begun()
	for !stop.Load() {
		runLayers(s.LayerWidth, askWithContext)
	}
}
