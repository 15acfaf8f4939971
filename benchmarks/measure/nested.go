package measure

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// Calls from inside flights. No peer knows which flight waits for which, so
// these rows are held against other calls of this library.

type (
	group  = singleflight.Group[int, int]
	result = <-chan singleflight.Result[int]
)

func nestedBars() []bar {
	// joins is the row of nested joins while another group is busy.
	joins := func(work string, others func(s Settings, stop *atomic.Bool, begun func())) bar {
		return bar{
			family: NestedFamily, work: work, unit: nanoseconds, peerName: "at rest", maxRatio: 2,
			this: func(s Settings) reading { return reading{value: nestedJoinsBeside(s, others)} },
			peer: func(s Settings) reading { return reading{value: nestedJoins(s)} },
		}
	}
	besideLayers := joins("A join from inside a flight while layers of another group run", repeatLayers)
	besideHub := joins("A join from inside a flight while another that 10,000 wait for joins", repeatHub)
	besideHub.crowd = hundredThousand
	return []bar{
		{
			family: NestedFamily, work: "A call in 20 layers of 40 flights, processor time",
			unit: nanoseconds, peerName: "DoChan", maxRatio: 5,
			this: func(s Settings) reading { return reading{value: layersTime(s, askWithContext)} },
			peer: func(s Settings) reading { return reading{value: layersTime(s, askWithout)} },
		},
		besideLayers,
		{
			family: NestedFamily, work: "A join from inside a flight that 10,000 wait for",
			unit: nanoseconds, peerName: "1 waits", maxRatio: 3, crowd: hundredThousand,
			this: func(s Settings) reading { return reading{value: hubTime(s, s.Waiters)} },
			peer: func(s Settings) reading { return reading{value: hubTime(s, 1)} },
		},
		besideHub,
	}
}

// nestedJoins returns the time of a join from inside a flight.
func nestedJoins(s Settings) (perJoin float64) {
	t := newTargets()
	defer t.land()
	mustLand(t.inside(hubKey, func(ctx context.Context) {
		perJoin = perRound(s.Time, func() time.Duration { return t.joinAndLeave(ctx) }) / targetCount
	}))
	return perJoin
}

// nestedJoinsBeside is nestedJoins while the flights of another group run.
func nestedJoinsBeside(s Settings, others func(s Settings, stop *atomic.Bool, begun func())) float64 {
	var stop atomic.Bool
	var ended sync.WaitGroup
	begun := make(chan struct{})
	ended.Go(func() { others(s, &stop, func() { close(begun) }) })
	defer ended.Wait()
	defer stop.Store(true)
	<-begun
	return nestedJoins(s)
}

func mustLand(r result) {
	if got := <-r; got.Err != nil {
		panic(got.Err)
	}
}
