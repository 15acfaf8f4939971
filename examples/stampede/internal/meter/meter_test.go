package meter_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/meter"
)

func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meter.Start()
		first := m.Begin("a")
		time.Sleep(time.Second)
		second := m.Begin("b")
		second()
		third := m.Begin("a")
		if running := m.Read().Running; running != 2 {
			t.Errorf("%d queries run, want 2", running)
		}
		third()
		first()
		m.Begin("a")()

		got := m.Read()
		if got.Queries != 4 || got.MostAtOnce != 2 || got.MostForOneKey != 2 || got.CrowdedKey != "a" || got.Running != 0 {
			t.Errorf("read %+v, want 4 queries, 2 at once, both for a", got)
		}
		want := []meter.Point{{0, 1}}
		for _, running := range []int{2, 1, 2, 1, 0, 1, 0} {
			want = append(want, meter.Point{At: time.Second, Running: running})
		}
		if len(got.Line) != len(want) {
			t.Fatalf("the line is %v, want %v", got.Line, want)
		}
		for i := range want {
			if got.Line[i] != want[i] {
				t.Errorf("the line is %v, want %v", got.Line, want)
			}
		}
	})
}

func TestQueryIsMeasuredWhileItRuns(t *testing.T) {
	m := meter.Start()
	failure := errors.New("failure")
	query := meter.Query(m, func(_ context.Context, key string) (int, error) {
		if running := m.Read().Running; running != 1 {
			t.Errorf("%d queries run, want 1", running)
		}
		return len(key), failure
	})
	if n, err := query(t.Context(), "four"); n != 4 || err != failure {
		t.Errorf("the query gives %d, %v, want 4, %v", n, err, failure)
	}
	if running := m.Read().Running; running != 0 {
		t.Errorf("%d queries run, want none", running)
	}
}

func TestQueryThatPanicsIsOver(t *testing.T) {
	m := meter.Start()
	query := meter.Query(m, func(context.Context, string) (int, error) { panic("lost") })
	func() {
		defer func() { _ = recover() }()
		_, _ = query(t.Context(), "key")
	}()
	if running := m.Read().Running; running != 0 {
		t.Errorf("%d queries run, want none", running)
	}
}
