package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// An outcome is how a request ended.
type outcome int

const (
	answered        outcome = iota
	hungUp                  // the client was impatient
	failedByAnother         // the service gave up, since another client had hung up
	failed                  // it failed in another way
)

// A Count is what became of the requests of a load. Every request is counted in Requests and in one other number.
type Count struct {
	Requests int `json:"requests"`
	Answered int `json:"answered"`
	HungUp   int `json:"hung_up"`
	// The requests that failed because the client of another one hung up: of patient clients, and of impatient ones that
	// were still waiting.
	PatientFailedByAnother   int `json:"patient_failed_by_another"`
	ImpatientFailedByAnother int `json:"impatient_failed_by_another"`
	FailedOtherwise          int `json:"failed_otherwise"`
	// PatientAnswered is how many of Answered were from patient clients.
	PatientAnswered int `json:"patient_answered"`
	// FirstFailure describes one that FailedOtherwise counts.
	FirstFailure string `json:"first_failure,omitempty"`
}

// A Tally counts the requests of a load. It can be read while the load goes on.
type Tally struct {
	mu      sync.Mutex
	count   Count
	latency *hdrhistogram.Histogram // of the answers to patient clients, in microseconds
}

func newTally() *Tally {
	return &Tally{latency: hdrhistogram.New(1, (time.Hour).Microseconds(), 3)}
}

func (t *Tally) add(impatient bool, ended outcome, took time.Duration, failure error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count.Requests++
	switch {
	case ended == answered:
		t.count.Answered++
		if !impatient {
			t.count.PatientAnswered++
			_ = t.latency.RecordValue(took.Microseconds()) // fails beyond an hour, when the histogram ends
		}
	case ended == hungUp:
		t.count.HungUp++
	case ended == failedByAnother && impatient:
		t.count.ImpatientFailedByAnother++
	case ended == failedByAnother:
		t.count.PatientFailedByAnother++
	default:
		t.count.FailedOtherwise++
		if t.count.FirstFailure == "" {
			t.count.FirstFailure = failure.Error()
		}
	}
}

// Count gives the numbers until now.
func (t *Tally) Count() Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// Percentile gives the time within which that many per cent of the answers to patient clients came, counted from the
// sending of the request. It is false if there were none.
func (t *Tally) Percentile(percent float64) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latency.TotalCount() == 0 {
		return 0, false
	}
	return time.Duration(t.latency.ValueAtQuantile(percent)) * time.Microsecond, true
}
