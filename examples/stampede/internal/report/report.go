// Package report tells what the dresses did: as a table, as JSON, in plain words, and what they did that they must not do.
package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/load"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/meter"
)

// A Report is the outcome of the whole scene.
type Report struct {
	Input    Input    `json:"input"`
	Settings Settings `json:"settings"`
	Dresses  []Dress  `json:"dresses"`
	Findings []string `json:"findings"`
	Faults   []string `json:"faults"`
}

// An Input is what the database was built from.
type Input struct {
	Folder       string `json:"folder"`
	Packages     int    `json:"packages"`
	Declarations int    `json:"declarations"`
	Database     string `json:"database"` // where it came from
}

// Settings are the numbers that the scene was played with.
type Settings struct {
	load.Plan
	Expiry time.Duration `json:"expiry_ns"`
	Limit  time.Duration `json:"limit_ns"`
}

// A Dress is what one dress did with the load.
type Dress struct {
	Name string `json:"name"`
	Mine bool   `json:"-"`
	load.Count
	Latency       Latency `json:"patient_latency_ms"`
	Queries       int     `json:"queries"`
	MostAtOnce    int     `json:"most_queries_at_once"`
	MostForOneKey int     `json:"most_queries_at_once_for_one_key"`
	CrowdedKey    string  `json:"-"`
	Line          []Point `json:"queries_running"`
}

// Latency is how long the answers to patient clients took, in milliseconds; null if there were none.
type Latency struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
	P99 *float64 `json:"p99"`
}

// A Point says how many queries ran from a moment on.
type Point struct {
	At      float64 `json:"at_ms"`
	Running int     `json:"running"`
}

// Of puts together what was counted for one dress.
func Of(name string, mine bool, tally *load.Tally, reading meter.Reading) Dress {
	d := Dress{
		Name:          name,
		Mine:          mine,
		Count:         tally.Count(),
		Queries:       reading.Queries,
		MostAtOnce:    reading.MostAtOnce,
		MostForOneKey: reading.MostForOneKey,
		CrowdedKey:    reading.CrowdedKey,
		Line:          make([]Point, 0, len(reading.Line)),
	}
	percentile := func(percent float64) *float64 {
		if took, ok := tally.Percentile(percent); ok {
			return new(milliseconds(took))
		}
		return nil
	}
	d.Latency = Latency{percentile(50), percentile(95), percentile(99)}
	for _, point := range reading.Line {
		d.Line = append(d.Line, Point{milliseconds(point.At), point.Running})
	}
	return d
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// JSON writes the report for a machine, on one line.
func (r *Report) JSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(r)
}
