package singleflight

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/waitfor"
)

// Clause 19: Wait waits for the flights that were in the air when it was called.
// Here, between its two looks at the table, a flight takes off that then waits
// for Wait's own; Wait doesn't have to wait for that one, and if it does both
// wait forever. The graph's lock stands for a search that takes long.
func TestWaitDoesNotWaitForLaterFlights(t *testing.T) {
	var inner, outer Group[string, int]
	done, started := make(chan error, 1), make(chan bool)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	graph := waitfor.Lock()
	outer.DoChanContext(ctx, "outer", func(own context.Context) (int, error) {
		wait, stop := context.WithTimeout(own, 5*time.Second)
		defer stop()
		close(started)
		done <- inner.Wait(wait)
		return 0, nil
	})
	<-started
	// Until Wait wants the graph's lock.
	for stack := make([]byte, 1<<20); !contains(stack[:runtime.Stack(stack, true)], "waitfor.Holds"); {
		runtime.Gosched()
	}
	called := make(chan bool)
	inner.DoChanContext(ctx, "inner", func(own context.Context) (int, error) {
		close(called)
		_, err, _ := outer.DoContext(own, "outer", func(context.Context) (int, error) { return 0, nil })
		return 0, err
	})
	<-called
	graph.Unlock()
	if err := <-done; err != nil {
		t.Errorf("no flight of the group was in the air when Wait was called, and it returned %v", err)
	}
}

func contains(text []byte, part string) bool {
	for i := range text {
		if len(text[i:]) >= len(part) && string(text[i:i+len(part)]) == part {
			return true
		}
	}
	return false
}
