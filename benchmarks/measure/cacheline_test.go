package measure

import (
	"runtime"
	"testing"
	"time"
)

// Two threads that never run at the same time give no figure, and end.
func TestCacheLine(t *testing.T) {
	for _, processors := range []int{1, 2} {
		old := runtime.GOMAXPROCS(processors)
		started := time.Now()
		if ns := cacheLine(); ns < 0 || ns > float64(cacheLineTime.Nanoseconds())/(2*tripsPerBurst) {
			t.Errorf("GOMAXPROCS %d: a cache line took %v ns", processors, ns)
		} else {
			t.Logf("GOMAXPROCS %d: a cache line took %.0f ns, measured in %v", processors, ns, time.Since(started))
		}
		runtime.GOMAXPROCS(old)
	}
}

// The line goes to and fro: each write is made by the one whose turn it is.
func TestLineIsWrittenInTurn(t *testing.T) {
	l := line{deadline: time.Now().Add(10 * time.Second)}
	l.turn.Store(absent)
	go l.answer()
	if !l.await(0) {
		t.Fatal("the one that answers never began")
	}
	for writes := int64(1); writes < 20; writes += 2 {
		l.turn.Store(writes)
		if !l.await(writes + 1) {
			t.Fatalf("no answer to write %d", writes)
		}
	}
	l.turn.Store(ended)
	if l.await(21) {
		t.Error("a write was awaited after the end")
	}
}
