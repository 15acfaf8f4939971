package measure

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

// tiny is enough to see that everything runs.
var tiny = Settings{
	Pairs:       2,
	Time:        time.Millisecond,
	CurvePairs:  1,
	MemoryPairs: 2,
	CurveTime:   time.Microsecond,
	HeapFlights: 1000,
	MaxKeys:     10_000,
	MaxCallers:  1000,
	LayerWidth:  4,
	Waiters:     100,
}

func TestRun(t *testing.T) {
	parts := Select(func(string) bool { return true })
	last, total := -1, 0
	results := Run(tiny, parts, func(name string, done, all int) {
		if name == "" || done != last+1 {
			t.Errorf("step(%q, %d, %d) after %d", name, done, all, last)
		}
		last, total = done, all
	})
	if last+1 != total {
		t.Errorf("%d measurements made, %d announced", last+1, total)
	}

	for _, family := range []struct {
		name string
		bars []bar
	}{{BarsFamily, bars()}, {NestedFamily, nestedBars()}} {
		rows := results.RowsOf(family.name)
		if got, want := len(rows), len(family.bars); got != want {
			t.Errorf("%s: %d rows, want %d", family.name, got, want)
		}
		for _, row := range rows {
			checkRow(t, row)
		}
	}
	if len(results.Curves) == 0 || len(results.Grids) == 0 {
		t.Fatalf("%d curves and %d grids, want some", len(results.Curves), len(results.Grids))
	}
	for _, c := range results.Curves {
		for _, s := range c.Series {
			if len(s.Points) == 0 {
				t.Errorf("%s: %s has no points", c.Title, s.Name)
			}
			for _, p := range s.Points {
				if len(p.Values) == 0 {
					t.Errorf("%s: %s has no value at %d", c.Title, s.Name, p.Size)
				}
			}
		}
	}
	for _, g := range results.Grids {
		for _, row := range g.Rows {
			if len(row.Cells) != len(g.Columns) {
				t.Errorf("%s: %s has %d cells, want %d", g.Title, row.Name, len(row.Cells), len(g.Columns))
			}
			checkValues(t, row.Name, row.Cells[0], tiny.CurvePairs)
		}
	}
}

func checkRow(t *testing.T, row Row) {
	t.Helper()
	checkValues(t, row.Work, row.This, tiny.Pairs)
	checkValues(t, row.Work, row.Peer, tiny.Pairs)
	if row.Family == BarsFamily {
		checkValues(t, row.Work, row.Bare, tiny.Pairs)
	}
	if strings.Contains(row.Work, "parallel") || strings.Contains(row.Work, "two goroutines") {
		// On a busy machine two threads may never run at the same time.
		checkValues(t, row.Work, row.CacheLine, min(len(row.CacheLine), tiny.Pairs))
	} else if len(row.CacheLine) > 0 {
		t.Errorf("%s: has a cache line's way, but isn't for work in parallel", row.Work)
	}
}

func checkValues(t *testing.T, name string, values []float64, n int) {
	t.Helper()
	if len(values) != n {
		t.Errorf("%s: %d values, want %d", name, len(values), n)
	}
	for _, v := range values {
		if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			t.Errorf("%s: value %v", name, v)
		}
	}
}

// A setting left out would leave out measurements.
func TestSettingsAreComplete(t *testing.T) {
	for name, s := range map[string]Settings{"Full": Full, "Short": Short} {
		v := reflect.ValueOf(s)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%s has no %s", name, v.Type().Field(i).Name)
			}
		}
	}
}

func TestSelect(t *testing.T) {
	for pattern, want := range map[string]int{
		"Do, unshared":   1,
		KeysFamily:       1,
		HooksFamily:      1,
		GoroutinesFamily: 4,
		"no such":        0,
	} {
		if got := len(Select(func(name string) bool { return strings.Contains(name, pattern) })); got != want {
			t.Errorf("%q selects %d parts, want %d", pattern, got, want)
		}
	}
}

// A crowd that mostly missed its flight would measure something else.
func TestCrowdSharesOneFlight(t *testing.T) {
	libraries := append(peer.Strings(), peer.BareCrowd[string]())
	for _, l := range libraries {
		if l.Module == "" && l.DoChan != nil { // Bare, which shares nothing
			continue
		}
		crowds := map[string]*crowd{}
		if l.Do != nil {
			crowds["Do"] = newCrowd(1000, do(l))
		}
		if l.DoContext != nil {
			crowds["DoContext"] = newCrowd(1000, func(fn peer.Function) func(int) {
				call := l.DoContext(fn)
				return func(int) { call(t.Context(), oneKey) }
			})
		}
		for entry, c := range crowds {
			// On a busy machine the system can stop a thread that holds a lock
			// of the library, and a crowd falls apart. Few may.
			whole := 0
			for range 20 {
				c.round()
				if c.runs.Load() < 10 {
					whole++
				}
			}
			if whole < 15 {
				t.Errorf("%s %s: %d of 20 crowds shared their flight, want nearly all", l.Name, entry, whole)
			}
			t.Logf("%s %s: %d whole crowds", l.Name, entry, whole)
		}
	}
}

func TestBusy(t *testing.T) {
	if v, err := busy().Plain(); v < 0 || v > 127 || err != nil {
		t.Errorf("busy function returned %d, %v; want a value below 128", v, err)
	}
}

func TestMedian(t *testing.T) {
	values := []float64{3, 1, 2, 50, 2.5}
	if got := Median(values); got != 2.5 {
		t.Errorf("median is %v, want 2.5", got)
	}
	if !slices.Equal(values, []float64{3, 1, 2, 50, 2.5}) {
		t.Errorf("the median left the values as %v, want them untouched", values)
	}
}

func TestDiffer(t *testing.T) {
	runs := []float64{100, 130, 160, 190, 220, 250, 280} // of a machine that gets slower
	dearer := make([]float64, len(runs))
	for i := range runs {
		dearer[i] = 1.1 * runs[i]
	}
	if !Differ(runs, dearer) {
		t.Error("values that are a tenth larger in each pair don't differ")
	}
	if Differ(runs, runs) {
		t.Error("values differ from themselves")
	}
	if Differ(runs, []float64{90, 140, 150, 200, 210, 260, 270}) {
		t.Error("values that are larger in some pairs and smaller in others differ")
	}
}
