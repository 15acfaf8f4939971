package main

import (
	"math"

	"gonum.org/v1/plot"
)

// sizeTicks marks powers of the base with their value as a whole number.
type sizeTicks struct{ base float64 }

func (t sizeTicks) Ticks(least, most float64) []plot.Tick {
	var ticks []plot.Tick
	for v := 1.0; v <= most*1.001; v *= t.base {
		if v >= least*0.999 {
			ticks = append(ticks, plot.Tick{Value: v, Label: count(int(v))})
		}
	}
	return ticks
}

// amountTicks marks round values on a linear axis, with their unit.
type amountTicks struct{ unit string }

func (t amountTicks) Ticks(least, most float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(least, most)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = roundAmount(ticks[i].Value, t.unit)
		}
	}
	return ticks
}

// logAmountTicks marks powers of ten, with their unit, and on a short axis
// their doubles and halves too.
type logAmountTicks struct{ unit string }

func (t logAmountTicks) Ticks(least, most float64) []plot.Tick {
	steps := []float64{1}
	if most/least < 1000 {
		steps = []float64{1, 2, 5}
	}
	var ticks []plot.Tick
	for power := math.Pow(10, math.Floor(math.Log10(least))); power <= most; power *= 10 {
		for _, step := range steps {
			if v := step * power; v >= least && v <= most {
				ticks = append(ticks, plot.Tick{Value: v, Label: roundAmount(v, t.unit)})
			}
		}
	}
	return ticks
}
