package main

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// judge runs the command with -check on a saved report.
func judge(t *testing.T, r report) (code int, stderr string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "saved.json")
	if err := save(file, r); err != nil {
		t.Fatal(err)
	}
	var out, messages bytes.Buffer
	code = run([]string{"-load", file, "-check", "-docs", dir}, &out, &messages)
	return code, messages.String()
}

func TestCheckPasses(t *testing.T) {
	if code, stderr := judge(t, canned()); code != 0 {
		t.Errorf("exit code %d, want 0: %s", code, stderr)
	}
}

func TestCheckNamesMissedBars(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*measure.Results)
		want  string
	}{
		"ratio": {
			func(r *measure.Results) { r.Rows[0].This = times(70) },
			"missed: Do, unshared, one goroutine: this / x/sync is 0.500, at most 0.30",
		},
		"far processors": {
			func(r *measure.Results) { r.Rows[2].This = times(50) },
			"missed: Do from two goroutines over the same 1,024 keys: this / x/sync is 0.500, at most 0.40; without any library it is 0.02; a cache line took 200 ns from one processor to the other\n",
		},
		"calls from inside": {
			func(r *measure.Results) { r.Rows[3].This = times(2800) },
			"missed: A join from inside a flight that 10,000 wait for: this / 1 waits is 4.000, at most 3.00\n",
		},
		"allocations": {
			func(r *measure.Results) { r.Rows[0].Allocs = times(1) },
			"missed: Do, unshared, one goroutine: allocs/op is 1.000, at most 0.00",
		},
		"not above the peer": {
			func(r *measure.Results) { series(r, measure.FlightTime, "this").Points[1].Values = times(2000) },
			"missed: Time per flight: this / x/sync at the worst size is 1.250, at most 1.00",
		},
		"not steeper than the peer": {
			func(r *measure.Results) { series(r, measure.FlightTime, "this").Points[5].Values = times(1200) },
			"missed: Time per flight: growth of this from 10,000 to 100,000 keys / growth of x/sync is 1.500, at most 1.00",
		},
		"flat memory": {
			func(r *measure.Results) { series(r, measure.FlightHeap, "this").Points[2].Values = times(600) },
			"missed: Live heap per flight, this: the dearest size / the cheapest before it is 2.000, at most 1.50",
		},
		"flat time of callers": {
			func(r *measure.Results) { series(r, measure.CallerTime, measure.ThisDo).Points[5].Values = times(900) },
			"missed: Time per caller, this Do:",
		},
		"flat time of detaching": {
			func(r *measure.Results) {
				series(r, measure.DetachTime, measure.ThisChanContext).Points[3].Values = times(9000)
			},
			"missed: Time per caller that detaches, this DoChanContext:",
		},
		"no collapse": {
			func(r *measure.Results) {
				series(r, measure.GoroutinesTitle(4), "this").Points[6].Values = times(61)
			},
			"missed: Goroutines on distinct keys, GOMAXPROCS 4: the dearest number of goroutines / one is 2.033, at most 2.00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := canned()
			test.spoil(&r.Results)
			code, stderr := judge(t, r)
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(stderr, test.want) {
				t.Errorf("messages\n%swant\n%s", stderr, test.want)
			}
		})
	}
}

// A bar isn't judged by a few runs.
func TestCheckNeedsRuns(t *testing.T) {
	r := canned()
	r.Results.Rows[1].This = r.Results.Rows[1].This[:2]
	r.Results.Rows[1].Peer = r.Results.Rows[1].Peer[:2]
	r.Results.Rows[1].Bare = r.Results.Rows[1].Bare[:2]
	points := series(&r.Results, measure.FlightHeap, "this").Points
	points[1].Values = points[1].Values[:4]
	code, stderr := judge(t, r)
	for _, want := range []string{
		"measured 2 times, not 5: Live heap per DoChan flight, 200,000 in flight:",
		"measured 4 times, not 5: Live heap per flight, this:",
		"\n2 not judged\n",
	} {
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, messages\n%swant 1 and\n%s", code, stderr, want)
		}
	}
}

func series(r *measure.Results, title, name string) *measure.Series {
	for i := range r.Curves {
		for j := range r.Curves[i].Series {
			if r.Curves[i].Title == title && r.Curves[i].Series[j].Name == name {
				return &r.Curves[i].Series[j]
			}
		}
	}
	panic("no series " + name + " of " + title)
}

// Fixed costs make the smallest sizes the dearest, which is no rise.
func TestFallingCostIsFlat(t *testing.T) {
	r := canned()
	s := series(&r.Results, measure.DetachTime, measure.ThisContext)
	for i := range s.Points {
		s.Points[i].Values = times(5000 / float64(i+1))
	}
	for _, v := range verdicts(r.Results) {
		if v.missed() {
			t.Errorf("missed: %v", v)
		}
	}
}

func TestNotANumberMisses(t *testing.T) {
	if v := (verdict{Value: math.NaN(), AtMost: 1}); !v.missed() {
		t.Error("a value that isn't a number meets its bar")
	}
}

// A curve that rises is shown beside what the work does without any library.
func TestRiseIsShownBesideTheBareRise(t *testing.T) {
	r := canned()
	set := func(name string, last float64) {
		points := series(&r.Results, measure.CallerTime, name).Points
		for i := range points {
			points[i].Values = times(100)
		}
		points[len(points)-1].Values = times(last)
	}
	set(measure.ThisDo, 300)
	set(measure.BareDo, 250)
	want := "missed: Time per caller, this Do: the dearest size / the cheapest before it, from 100 on is 3.000, at most 1.50; without any library it is 2.50\n"
	if code, stderr := judge(t, r); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, messages\n%swant 1 and\n%s", code, stderr, want)
	}
}

func TestLimitsAreOfBars(t *testing.T) {
	for work := range limits {
		if !slices.Contains(names(), work) {
			t.Errorf("there is no bar %q", work)
		}
	}
}
