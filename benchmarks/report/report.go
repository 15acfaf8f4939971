package main

import (
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// report is everything that the tables and documents are made from.
type report struct {
	Started  time.Time
	Command  string
	Machine  machine
	Versions map[string]string // of modules, by path
	Results  measure.Results
}
