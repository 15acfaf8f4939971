package difftest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// check compares the subjects that can run the script. Steps that don't apply, or
// whose effect is open, are left out.
func check(t *testing.T, s Script) {
	t.Helper()
	both := s.InBoth()
	s = Determined(s, both)
	subjects := []subject{thePackage}
	if both {
		subjects = append(subjects, theXSync)
	}
	inBubble(t, func() {
		if diff := compare(s, theModel, subjects...); diff != "" {
			t.Error(diff)
		}
	})
}

// inBubble calls f in a bubble. That goroutines remain blocked when f has
// returned is an error.
func inBubble(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("the bubble panicked: %v", r)
		}
	}()
	synctest.Test(t, func(*testing.T) { f() })
}

// batchSize is how many scripts run in one bubble.
const batchSize = 100

// compareAll compares the subjects for all scripts that generate yields, as many
// at a time as there are processors. It returns how many there were.
func compareAll(t *testing.T, generate func(yield func(Script) bool), want subject, others ...subject) int {
	batches := make(chan []Script)
	failed := make(chan struct{})
	var failOnce sync.Once
	count := 0
	go func() {
		defer close(batches)
		batch := make([]Script, 0, batchSize)
		generate(func(s Script) bool {
			count++
			if batch = append(batch, s); len(batch) < batchSize {
				return true
			}
			select {
			case batches <- batch:
				batch = make([]Script, 0, batchSize)
				return true
			case <-failed:
				return false
			}
		})
		select {
		case batches <- batch:
		case <-failed:
		}
	}()
	t.Run("all", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for batch := range batches {
					if !compareBatch(t, batch, want, others...) {
						failOnce.Do(func() { close(failed) })
						return
					}
				}
			})
		}
	})
	return count
}

// compareBatch compares the subjects for the scripts, in one bubble. It stops at
// the first that differs.
func compareBatch(t *testing.T, batch []Script, want subject, others ...subject) bool {
	inBubble(t, func() {
		for _, s := range batch {
			if diff := compare(s, want, others...); diff != "" {
				t.Error(diff)
				return
			}
		}
	})
	return !t.Failed()
}
