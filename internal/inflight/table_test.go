package inflight

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"weak"
)

// A flight is what the tables of these tests hold.
type flight[K comparable] struct {
	Entry[K, flight[K]]
	name int
}

func insert[K comparable](t *Table[K, flight[K]], key K, name int) *flight[K] {
	f := &flight[K]{name: name}
	f.Init(Hash(key), key, f)
	t.Insert(&f.Entry)
	return f
}

// find finds a flight as a call with the key would.
func find[K comparable](t *Table[K, flight[K]], key K) *flight[K] { return t.Find(Hash(key), key) }

func TestZeroTableIsEmpty(t *testing.T) {
	var table Table[string, flight[string]]
	if table.Len() != 0 || find(&table, "key") != nil {
		t.Error("the zero table isn't empty")
	}
	for f := range table.All() {
		t.Errorf("the zero table holds %v", f)
	}
}

func TestEntryIsFoundUntilItIsRemoved(t *testing.T) {
	var table Table[string, flight[string]]
	f, other := insert(&table, "key", 1), insert(&table, "other key", 2)
	if f.Key() != "key" || f.Aside() {
		t.Errorf("the entry has key %q, aside %v", f.Key(), f.Aside())
	}
	if find(&table, "key") != f || find(&table, "other key") != other || find(&table, "third key") != nil {
		t.Error("Find finds another flight")
	}
	table.Remove(&f.Entry)
	if find(&table, "key") != nil || find(&table, "other key") != other || table.Len() != 1 {
		t.Error("Remove removed another flight")
	}
}

// Two keys with one hash share a bucket, and don't take each other's place.
func TestKeysWithOneHash(t *testing.T) {
	var table Table[int, flight[int]]
	flights := make([]*flight[int], 50)
	for key := range flights {
		flights[key] = &flight[int]{name: key}
		flights[key].Init(42, key, flights[key])
		table.Insert(&flights[key].Entry)
	}
	for key, f := range flights {
		if table.Find(42, key) != f {
			t.Errorf("key %d finds %v", key, table.Find(42, key))
		}
	}
	table.Remove(&flights[0].Entry)
	table.Remove(&flights[49].Entry)
	table.Remove(&flights[25].Entry)
	for key, f := range flights {
		want := f
		if key == 0 || key == 25 || key == 49 {
			want = nil
		}
		if got := table.Find(42, key); got != want {
			t.Errorf("key %d finds %v, want %v", key, got, want)
		}
	}
}

func TestEntrySetAsideIsListedButNotFound(t *testing.T) {
	var table Table[string, flight[string]]
	old := insert(&table, "key", 1)
	table.SetAside(&old.Entry)
	if !old.Aside() || find(&table, "key") != nil || table.Len() != 1 {
		t.Error("the entry isn't set aside, or left the table")
	}
	newer := insert(&table, "key", 2)
	hidden := &flight[string]{name: 3}
	hidden.Init(Hash("key"), "key", hidden)
	table.InsertAside(&hidden.Entry)
	if find(&table, "key") != newer || !hidden.Aside() || table.Len() != 3 {
		t.Error("entries that were set aside hide the new one")
	}
	if got := names(&table); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("All lists %v", got)
	}
	table.Remove(&old.Entry)
	table.Remove(&hidden.Entry)
	if find(&table, "key") != newer || table.Len() != 1 {
		t.Error("the removal of an entry that was set aside removed the new one")
	}
	if old.Key() != "key" {
		t.Errorf("an entry that was set aside has key %q", old.Key())
	}
	old.Clear()
	old.Init(Hash("key"), "other key", old)
	if old.Aside() || old.Key() != "other key" {
		t.Error("an entry that is used again remembers its first life")
	}
}

func TestAllStopsWhenItIsToldTo(t *testing.T) {
	var table Table[int, flight[int]]
	for key := range 100 {
		insert(&table, key, key)
	}
	seen := 0
	for range table.All() {
		seen++
		if seen == 7 {
			break
		}
	}
	if seen != 7 {
		t.Errorf("All yielded %d flights, was told to stop after 7", seen)
	}
}

// names returns the names of the flights that All lists, sorted.
func names[K comparable](t *Table[K, flight[K]]) []int {
	var names []int
	for f := range t.All() {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// A model is a table that can't be wrong.
type model struct {
	found map[int]*flight[int]
	aside map[*flight[int]]bool
}

func (m *model) names() []int {
	var names []int
	for _, f := range m.found {
		names = append(names, f.name)
	}
	for f := range m.aside {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// TestTableIsAMap does to a table and to a model what comes to its mind, and
// compares them.
func TestTableIsAMap(t *testing.T) {
	for _, run := range []struct{ keys, steps int }{{1, 500}, {3, 2000}, {40, 5000}, {3000, 20_000}} {
		t.Run(strconv.Itoa(run.keys), func(t *testing.T) {
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			defer func() {
				if t.Failed() {
					t.Logf("the seed was %d", seed)
				}
			}()
			var table Table[int, flight[int]]
			m := model{map[int]*flight[int]{}, map[*flight[int]]bool{}}
			grows := true
			for step := range run.steps {
				if step%(run.steps/4) == 0 {
					grows = step/(run.steps/4)%2 == 0
				}
				key := random.IntN(run.keys)
				f := m.found[key]
				if got := find(&table, key); got != f {
					t.Fatalf("step %d: key %d finds %v, want %v", step, key, got, f)
				}
				switch action := random.IntN(10); {
				case f == nil && (grows || action < 3):
					m.found[key] = insert(&table, key, step)
				case f != nil && (!grows || action < 2):
					table.Remove(&f.Entry)
					delete(m.found, key)
				case f != nil && action < 5:
					table.SetAside(&f.Entry)
					delete(m.found, key)
					m.aside[f] = true
				case action < 6 && grows:
					f := &flight[int]{name: step}
					f.Init(Hash(key), key, f)
					table.InsertAside(&f.Entry)
					m.aside[f] = true
				default:
					for f := range m.aside {
						table.Remove(&f.Entry)
						delete(m.aside, f)
						break
					}
				}
				if got, want := table.Len(), len(m.found)+len(m.aside); got != want {
					t.Fatalf("step %d: the table has %d entries, want %d", step, got, want)
				}
				if step%(run.steps/100) == 0 {
					if got, want := names(&table), m.names(); !slices.Equal(got, want) {
						t.Fatalf("step %d: the table holds %v, want %v", step, got, want)
					}
				}
			}
			if longest(&table) > 20 {
				t.Errorf("a chain has %d entries", longest(&table))
			}
			for _, f := range m.found {
				table.Remove(&f.Entry)
			}
			for f := range m.aside {
				table.Remove(&f.Entry)
			}
			if got := names(&table); table.Len() != 0 || len(got) != 0 {
				t.Errorf("after all were removed the table holds %v", got)
			}
		})
	}
}

// longest returns the length of the table's longest chain.
func longest[K comparable](t *Table[K, flight[K]]) int {
	if t.others == nil {
		return 0
	}
	most := 0
	for _, buckets := range [][]*Entry[K, flight[K]]{t.others.old, t.others.buckets} {
		for _, e := range buckets {
			n := 0
			for ; e != nil; e = e.next {
				n++
			}
			most = max(most, n)
		}
	}
	return most
}

// bucketCount returns how many buckets the table has.
func bucketCount[K comparable, F any](t *Table[K, F]) int {
	return len(t.others.old) + len(t.others.buckets)
}

// Any number of entries with one key make no long chain: neither for those
// that are set aside, nor for the one that is found.
func TestEntriesSetAsideMakeNoLongChain(t *testing.T) {
	for _, ways := range []string{"SetAside", "InsertAside"} {
		t.Run(ways, func(t *testing.T) {
			var table Table[string, flight[string]]
			var flights []*flight[string]
			for name := range 20_000 {
				if ways == "SetAside" {
					f := insert(&table, "key", name)
					table.SetAside(&f.Entry)
					flights = append(flights, f)
				} else {
					f := &flight[string]{name: name}
					f.Init(Hash("key"), "key", f)
					table.InsertAside(&f.Entry)
					flights = append(flights, f)
				}
			}
			last := insert(&table, "key", -1)
			if n := longest(&table); n > 20 {
				t.Errorf("a chain has %d entries", n)
			}
			if find(&table, "key") != last {
				t.Error("the entry that wasn't set aside isn't found")
			}
			for i, f := range flights {
				table.Remove(&f.Entry)
				if i%1000 == 0 && longest(&table) > 20 {
					t.Errorf("while it shrinks a chain has %d entries", longest(&table))
				}
			}
			if find(&table, "key") != last || table.Len() != 1 {
				t.Error("the entry that wasn't set aside was lost")
			}
		})
	}
}

// A table grows with its entries, and shrinks with them even if a few stay.
func TestTableGrowsAndShrinks(t *testing.T) {
	for _, stay := range []int{0, 1, 5} {
		t.Run(strconv.Itoa(stay)+" stay", func(t *testing.T) {
			var table Table[int, flight[int]]
			var flights []*flight[int]
			const most = 50_000
			for key := range most {
				flights = append(flights, insert(&table, key, key))
				if key&(key-1) == 0 && longest(&table) > 20 {
					t.Errorf("with %d entries a chain has %d", key+1, longest(&table))
				}
			}
			if n := bucketCount(&table); n < most/8 || n > 8*most {
				t.Errorf("the table has %d buckets for %d entries", n, most)
			}
			for len(flights) > stay {
				last := len(flights) - 1
				table.Remove(&flights[last].Entry)
				flights = flights[:last]
				if n := bucketCount(&table); n < last {
					t.Fatalf("as entries are removed the table has %d buckets for %d of them", n, last)
				}
			}
			if n := bucketCount(&table); n > 16*minBuckets {
				t.Errorf("the table has %d buckets for %d entries", n, stay)
			}
			for key, f := range flights {
				if find(&table, key) != f {
					t.Errorf("key %d finds %v", key, find(&table, key))
				}
			}
		})
	}
}

// While the table changes its size, every entry is found, and can be removed
// and set aside. One insertion or removal moves a few buckets, and the change
// is done when it has to be.
func TestTableChangesItsSizeBitByBit(t *testing.T) {
	const most = 3_000
	var table Table[int, flight[int]]
	var flights []*flight[int]
	left := func() int { // buckets that are still to be moved
		if c := table.others; c != nil && c.old != nil {
			return len(c.old) - c.moved
		}
		return 0
	}
	check := func(what string, key, before, few int) {
		t.Helper()
		if after := left(); before > 0 && before-after > few {
			t.Fatalf("%s %d: %d buckets were moved at once", what, key, before-after)
		} else if before > 0 && before == after && len(table.others.buckets) > minBuckets {
			t.Fatalf("%s %d: no bucket was moved", what, key)
		}
		if key > 300 && left() == 0 {
			return
		}
		for _, f := range flights {
			if got := find(&table, f.Key()); got != f {
				t.Fatalf("%s %d: key %d finds %v", what, key, f.Key(), got)
			}
		}
	}
	for key := range most {
		before := left()
		flights = append(flights, insert(&table, key, key))
		check("insertion of", key, before, movedPerInsert)
	}
	for len(flights) > 1 {
		f := flights[len(flights)-1]
		flights = flights[:len(flights)-1]
		before := left()
		table.SetAside(&f.Entry)
		if find(&table, f.Key()) != nil {
			t.Fatalf("key %d is found although it was set aside", f.Key())
		}
		table.Remove(&f.Entry)
		check("removal of", f.Key(), before, movedPerRemove)
	}
}

// One entry that comes and goes takes no memory, not even the first time.
func TestFirstEntryTakesNoMemory(t *testing.T) {
	f := new(flight[string])
	allocs := testing.AllocsPerRun(1000, func() {
		var table Table[string, flight[string]]
		f.Init(Hash("key"), "key", f)
		table.Insert(&f.Entry)
		table.SetAside(&f.Entry)
		table.Remove(&f.Entry)
		f.Clear()
	})
	if allocs != 0 {
		t.Errorf("%v allocations for an insertion and a removal", allocs)
	}
}

// A second entry that comes and goes takes no memory after the first time.
func TestEntryThatComesAndGoesTakesNoMemory(t *testing.T) {
	var table Table[string, flight[string]]
	stays := insert(&table, "another key", 0)
	f := new(flight[string])
	allocs := testing.AllocsPerRun(1000, func() {
		f.Init(Hash("key"), "key", f)
		table.Insert(&f.Entry)
		table.Remove(&f.Entry)
		f.Clear()
	})
	if allocs != 0 {
		t.Errorf("%v allocations for an insertion and a removal", allocs)
	}
	if find(&table, "another key") != stays {
		t.Error("the entry that stays was lost")
	}
}

// A removed entry refers to no other one, and no bucket to it; cleared, it
// lets go of its key.
func TestRemovedEntryIsLetGo(t *testing.T) {
	type key = *[100]byte
	var table Table[key, flight[key]]
	var kept []*flight[key]
	var gone []weak.Pointer[[100]byte]
	var goneFlights []weak.Pointer[flight[key]]
	func() {
		var flights []*flight[key]
		for name := range 200 {
			k := new([100]byte)
			if name%4 != 1 {
				gone = append(gone, weak.Make(k))
			}
			flights = append(flights, insert(&table, k, name))
			if name%3 == 0 {
				table.SetAside(&flights[name].Entry)
			}
		}
		for _, name := range rand.Perm(len(flights)) {
			f := flights[name]
			table.Remove(&f.Entry)
			switch name % 4 {
			case 0, 2:
				f.Clear()
				kept = append(kept, f)
			case 1:
				kept = append(kept, f) // with its key, but no more
			default:
				goneFlights = append(goneFlights, weak.Make(f))
			}
		}
	}()
	left := func() (n int) {
		for _, w := range gone {
			if w.Value() != nil {
				n++
			}
		}
		for _, w := range goneFlights {
			if w.Value() != nil {
				n++
			}
		}
		return n
	}
	for range 20 {
		runtime.GC()
		if left() == 0 {
			return
		}
	}
	t.Errorf("%d keys and flights are kept", left())
	runtime.KeepAlive(kept)
	runtime.KeepAlive(&table)
}

func TestEqualKeysHaveOneHash(t *testing.T) {
	type point struct{ x, y any }
	if Hash(point{1, "a"}) != Hash(point{1, string([]byte{'a'})}) {
		t.Error("equal structs have two hashes")
	}
	if Hash(0.0) != Hash(math.Copysign(0, -1)) {
		t.Error("the two zeros have two hashes")
	}
	if Hash[any](1) == Hash[any](2) && Hash[any](3) == Hash[any](4) {
		t.Error("other keys have the same hashes")
	}
}

// A key that equals none has many hashes, so that such entries make no long
// chain; and it is never found.
func TestKeysThatEqualNone(t *testing.T) {
	var table Table[float64, flight[float64]]
	var flights []*flight[float64]
	for name := range 5_000 {
		flights = append(flights, insert(&table, math.NaN(), name))
		if find(&table, math.NaN()) != nil {
			t.Fatal("NaN was found")
		}
	}
	if f := flights[0]; table.Find(f.hash, f.key) != nil {
		t.Error("NaN was found by its hash")
	}
	if n := longest(&table); n > 20 {
		t.Errorf("a chain has %d entries", n)
	}
	for _, f := range flights {
		table.Remove(&f.Entry)
	}
	if table.Len() != 0 {
		t.Errorf("%d entries are left", table.Len())
	}
}

func TestHashOfAKeyThatCannotBeComparedPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Hash doesn't panic")
		}
	}()
	Hash[any]([]int{1})
}
