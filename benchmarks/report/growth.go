package main

import (
	"math"
	"strings"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

const (
	// flat is how much dearer a later size may be where cost is to be flat.
	flat = 1.5
	// collapse is how much dearer an operation may be with many goroutines
	// than with one.
	collapse = 2
	// steepFrom is the size from which the curve of keys in flight is held
	// against the peer's; with fewer keys, fixed costs are most of the figure.
	steepFrom = 10_000
)

// curveVerdicts judges the bars on how cost grows.
func curveVerdicts(curves []measure.Curve) []verdict {
	var all []verdict
	for _, c := range curves {
		switch {
		case c.Title == measure.FlightTime:
			all = append(all, steepness(c)...)
			all = append(all, above(c, "this", "x/sync")...)
		case c.Title == measure.FlightHeap:
			all = append(all, rise(c, "this", "", 1)...)
		case c.Title == measure.CallerTime:
			all = append(all, rise(c, measure.ThisDo, measure.BareDo, 100)...)
			all = append(all, rise(c, measure.ThisChan, "", 100)...)
		case c.Title == measure.DetachTime:
			all = append(all, rise(c, measure.ThisContext, measure.BareContext, 1)...)
			all = append(all, rise(c, measure.ThisChanContext, measure.BareChanContext, 1)...)
		case strings.HasPrefix(c.Title, measure.GoroutinesFamily):
			all = append(all, crowding(c)...)
			all = append(all, above(c, "this", "x/sync")...)
		}
	}
	return all
}

// rise compares each size from first on with the cheapest before it, and says
// how far the bare work rises.
func rise(c measure.Curve, name, bare string, first int) []verdict {
	s, ok := c.Find(name)
	if !ok {
		return nil
	}
	v := verdict{
		Name:     c.Title + ", " + name,
		Quantity: "the dearest size / the cheapest before it",
		Value:    highestRise(s, first),
		AtMost:   flat,
		Runs:     runsOf(s),
	}
	if first > 1 {
		v.Quantity += ", from " + count(first) + " on"
	}
	if b, ok := c.Find(bare); ok {
		v.Bare = highestRise(b, first)
	}
	return []verdict{v}
}

// runsOf returns how often the point was measured that was measured least.
func runsOf(s measure.Series) int {
	runs := math.MaxInt
	for _, p := range s.Points {
		runs = min(runs, len(p.Values))
	}
	return runs
}

func highestRise(s measure.Series, first int) float64 {
	worst := 1.0
	least := 0.0
	for _, p := range s.Points {
		if p.Size < first {
			continue
		}
		m := measure.Median(p.Values)
		if least == 0 || m < least {
			least = m
		}
		worst = max(worst, m/least)
	}
	return worst
}

// steepness compares how much dearer the largest size is with how much dearer
// it is for the peer.
func steepness(c measure.Curve) []verdict {
	this, ok := growthFrom(c, "this", steepFrom)
	peer, peerOK := growthFrom(c, "x/sync", steepFrom)
	if !ok || !peerOK {
		return nil
	}
	s, _ := c.Find("this")
	most := s.Points[len(s.Points)-1].Size
	return []verdict{{
		Name:     c.Title,
		Quantity: "growth of this from " + count(steepFrom) + " to " + count(most) + " keys / growth of x/sync",
		Value:    this / peer,
		AtMost:   1,
		Runs:     runsOf(s),
	}}
}

// growthFrom returns what the largest size costs for each unit that the given
// one costs.
func growthFrom(c measure.Curve, name string, size int) (float64, bool) {
	s, ok := c.Find(name)
	if !ok {
		return 0, false
	}
	from, ok := s.At(size)
	last := s.Points[len(s.Points)-1]
	if !ok || last.Size == size {
		return 0, false
	}
	return measure.Median(last.Values) / measure.Median(from.Values), true
}

// above compares two series where the first does worst.
func above(c measure.Curve, name, peer string) []verdict {
	s, ok := c.Find(name)
	other, otherOK := c.Find(peer)
	if !ok || !otherOK {
		return nil
	}
	worst := 0.0
	for _, p := range s.Points {
		if q, ok := other.At(p.Size); ok {
			worst = max(worst, measure.Median(measure.Ratios(p.Values, q.Values)))
		}
	}
	return []verdict{{
		Name:     c.Title,
		Quantity: name + " / " + peer + " at the worst size",
		Value:    worst,
		AtMost:   1,
		Runs:     min(runsOf(s), runsOf(other)),
	}}
}

// crowding compares the dearest number of goroutines with one goroutine.
func crowding(c measure.Curve) []verdict {
	s, ok := c.Find("this")
	if !ok {
		return nil
	}
	one, ok := s.At(1)
	if !ok {
		return nil
	}
	worst := 0.0
	for _, p := range s.Points {
		worst = max(worst, measure.Median(p.Values)/measure.Median(one.Values))
	}
	return []verdict{{
		Name:     c.Title,
		Quantity: "the dearest number of goroutines / one",
		Value:    worst,
		AtMost:   collapse,
		Runs:     runsOf(s),
	}}
}
