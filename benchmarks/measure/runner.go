package measure

import (
	"cmp"
	"runtime"
	"slices"
	"time"
)

// Family is a group of measurements with a chart of its own.
type Family struct {
	Name  string
	Parts []Part
}

// Part is what can be measured alone.
type Part struct {
	Name  string
	run   func(*runner)
	crowd crowdSize
}

// crowdSize ranks parts by how many goroutines they have at once.
type crowdSize int

const (
	thousand crowdSize = iota
	hundredThousand
	twoHundredThousand
	million
)

// Families returns all that can be measured, in the order of the report.
func Families() []Family {
	return []Family{
		{Name: BarsFamily, Parts: barParts(bars())},
		{Name: NestedFamily, Parts: barParts(nestedBars())},
		{Name: InFlightFamily, Parts: inFlightParts()},
		{Name: CallersFamily, Parts: callersParts()},
		{Name: DetachingFamily, Parts: detachingParts()},
		{Name: GoroutinesFamily, Parts: goroutinesParts()},
		{Name: KeysFamily, Parts: keysParts()},
		{Name: HooksFamily, Parts: hooksParts()},
		{Name: LibrariesFamily, Parts: librariesParts()},
	}
}

// The names of the families.
const (
	BarsFamily       = "Bars"
	NestedFamily     = "Calls from inside flights"
	InFlightFamily   = "Keys in flight"
	CallersFamily    = "Callers on one flight"
	DetachingFamily  = "Callers that detach"
	GoroutinesFamily = "Goroutines on distinct keys"
	KeysFamily       = "Types of keys"
	HooksFamily      = "Hooks"
	LibrariesFamily  = "All libraries"
)

// Select returns the parts whose name, or whose family's name, matches.
func Select(match func(string) bool) []Part {
	var parts []Part
	for _, f := range Families() {
		for _, p := range f.Parts {
			if match(f.Name) || match(p.Name) {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// Run measures the parts one after another, those with few goroutines first: the
// runtime keeps the descriptors of all goroutines there ever were, and each
// later collection goes through them, which would make libraries that allocate
// look slower than they are. Before each measurement it calls
// step with the name of its part, the number of measurements done and that of
// all.
func Run(s Settings, parts []Part, step func(name string, done, all int)) Results {
	old := runtime.GOMAXPROCS(processors)
	defer runtime.GOMAXPROCS(old)

	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b Part) int { return cmp.Compare(a.crowd, b.crowd) })

	// Counting first, so that the share done is known from the start.
	count := &runner{settings: s, counting: true}
	for _, p := range parts {
		p.run(count)
	}
	r := &runner{settings: s, all: count.done, step: step}
	r.results.Settings = s
	started := time.Now()
	for _, p := range parts {
		r.part = p.Name
		p.run(r)
	}
	r.results.Took = time.Since(started)
	return r.results
}

// runner runs parts and collects their results.
type runner struct {
	settings Settings
	results  Results
	step     func(name string, done, all int)
	part     string
	done     int
	all      int
	counting bool // measure nothing
}

// reading is what one measurement gives: a value and, where it gives two, a
// second.
type reading struct {
	value  float64
	second float64
}

// readings are all that one measurement gave in turn.
type readings []reading

func (r readings) values() []float64 {
	v := make([]float64, len(r))
	for i := range r {
		v[i] = r[i].value
	}
	return v
}

func (r readings) seconds() []float64 {
	v := make([]float64, len(r))
	for i := range r {
		v[i] = r[i].second
	}
	return v
}

// inTurn measures the sides one after another, and that so many times. A nil
// side gives no readings.
func (r *runner) inTurn(times int, sides ...func() reading) []readings {
	all := make([]readings, len(sides))
	for range times {
		for i, side := range sides {
			if side == nil {
				continue
			}
			if r.counting {
				r.done++
				continue
			}
			r.step(r.part, r.done, r.all)
			r.done++
			// What the last measurement left must not be paid for by the next.
			runtime.GC()
			all[i] = append(all[i], side())
		}
	}
	return all
}

// prepare does what a measurement needs but doesn't measure.
func (r *runner) prepare(do func()) {
	if !r.counting {
		do()
	}
}
