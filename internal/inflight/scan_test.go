package inflight

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

func TestScanOfATableThatRests(t *testing.T) {
	for _, n := range []int{0, 1, 2, 8, 9, 500, 20_000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			var table Table[int, flight[int]]
			for key := range n {
				f := insert(&table, key, key)
				if key%3 == 0 {
					table.SetAside(&f.Entry)
				}
			}
			visits := make([]int, n)
			scan(t, &table, func(f *flight[int]) { visits[f.name]++ }, func() {})
			for name, visited := range visits {
				if visited != 1 {
					t.Errorf("flight %d was visited %d times", name, visited)
				}
			}
		})
	}
}

// scan scans a table and checks that no Scan visits too many. It calls between
// before each Scan but the first.
func scan(t *testing.T, table *Table[int, flight[int]], visit func(*flight[int]), between func()) {
	t.Helper()
	place, more := Place(0), true
	for more {
		visits := 0
		place, more = table.Scan(place, func(f *flight[int]) { visit(f); visits++ })
		if visits > perScan && visits > perScan+longest(table)+1 { // the last bucket, and the first entry
			t.Errorf("a Scan visited %d flights", visits)
		}
		if more {
			between()
		}
	}
}

// A Scan doesn't look at too many empty buckets either.
func TestScanOfManyBuckets(t *testing.T) {
	var table Table[int, flight[int]]
	var flights []*flight[int]
	for key := range 10_000 {
		flights = append(flights, insert(&table, key, key))
	}
	for _, f := range flights[:8_000] {
		table.Remove(&f.Entry)
	}
	buckets, scans := len(table.others.buckets), 1
	scan(t, &table, func(*flight[int]) {}, func() { scans++ })
	if scans < buckets/perScan {
		t.Errorf("%d Scans for %d buckets", scans, buckets)
	}
}

// While a table is scanned it changes in every way that there is. What stays is
// visited exactly once.
func TestScanOfATableThatChanges(t *testing.T) {
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("the seed was %d", seed)
		}
	}()
	random := rand.New(rand.NewPCG(seed, 0))
	s := scanned{t: t, random: random, index: make(map[*flight[int]]int)}
	for range 4 {
		for buckets := minBuckets; buckets <= 4096; buckets *= 2 {
			s.resize(0)
			s.resize(buckets) // it is about to grow
			s.scan(1)
			s.scan(0)
			s.resize(2 * buckets)
			s.resize(buckets/8 + 10) // it is about to shrink
			s.scan(-1)
			s.resize(random.IntN(buckets))
			s.scan(0)
		}
	}
	// It is no test if the table kept its size.
	if s.grew < 10 || s.shrank < 10 || s.resizing < 100 {
		t.Errorf("during the scans the table grew %d times, shrank %d times, and %d Scans met it changing its size",
			s.grew, s.shrank, s.resizing)
	}
}

// A scanned table is one that changes while it is scanned.
type scanned struct {
	t      *testing.T
	random *rand.Rand
	table  Table[int, flight[int]]
	all    []*flight[int]       // in the table
	index  map[*flight[int]]int // in all
	names  int

	visits map[*flight[int]]int  // in this scan
	stays  map[*flight[int]]bool // since its beginning, where it was
	moved  map[*flight[int]]bool // set aside meanwhile

	grew, shrank, resizing int
}

// resize makes the table one of n entries.
func (s *scanned) resize(n int) {
	for len(s.all) < n {
		s.insert(s.random.IntN(4) == 0)
	}
	for len(s.all) > n {
		s.remove(s.all[s.random.IntN(len(s.all))])
	}
}

// scan scans the table while it changes as the trend says; see change.
func (s *scanned) scan(trend int) {
	s.visits = make(map[*flight[int]]int)
	s.moved = make(map[*flight[int]]bool)
	s.stays = make(map[*flight[int]]bool)
	for _, f := range s.all {
		s.stays[f] = true
	}
	pace := 1 << s.random.IntN(11)
	if trend >= 0 {
		pace = min(pace, perScan/2) // a table that grows faster than it is scanned keeps a scan from its end
	}
	scan(s.t, &s.table, func(f *flight[int]) { s.visits[f]++ }, func() {
		before := s.buckets()
		for range 1 + s.random.IntN(pace) {
			s.change(trend)
		}
		switch after := s.buckets(); {
		case after > before:
			s.grew++
		case after < before:
			s.shrank++
		}
		if s.table.others != nil && s.table.others.old != nil {
			s.resizing++
		}
	})
	for f := range s.stays {
		if s.visits[f] != 1 {
			s.t.Fatalf("a flight that stayed was visited %d times", s.visits[f])
		}
	}
	for f, visits := range s.visits {
		if visits > 1 && !s.moved[f] || visits > 2 {
			s.t.Fatalf("a flight that came or went was visited %d times", visits)
		}
	}
}

func (s *scanned) buckets() int {
	if s.table.others == nil {
		return 0
	}
	return len(s.table.others.buckets)
}

// change changes one entry of the table: more come than go if the trend is 1,
// and fewer if it is -1.
func (s *scanned) change(trend int) {
	action := s.random.IntN(20)
	if len(s.all) == 0 || action < 10+8*trend {
		s.insert(action%4 == 0)
		return
	}
	f := s.all[s.random.IntN(len(s.all))]
	if s.random.IntN(10) == 0 && s.table.first != nil {
		f = s.table.first.flight
	}
	if action >= 18 && !f.Aside() {
		s.table.SetAside(&f.Entry)
		delete(s.stays, f)
		s.moved[f] = true
		return
	}
	s.remove(f)
	if action == 17 {
		// As when a successor takes a flight's place.
		s.put(f.Key(), f.Aside())
	}
}

func (s *scanned) insert(aside bool) {
	s.names++
	s.put(s.names, aside)
}

func (s *scanned) put(key int, aside bool) {
	f := &flight[int]{}
	f.Init(Hash(key), key, f)
	if aside {
		s.table.InsertAside(&f.Entry)
	} else {
		s.table.Insert(&f.Entry)
	}
	s.index[f] = len(s.all)
	s.all = append(s.all, f)
}

func (s *scanned) remove(f *flight[int]) {
	s.table.Remove(&f.Entry)
	i, last := s.index[f], len(s.all)-1
	s.all[i] = s.all[last]
	s.index[s.all[i]] = i
	s.all = s.all[:last]
	delete(s.index, f)
	delete(s.stays, f)
}

// A flight that takes the place of another while the table is scanned, with its
// key, is visited if and only if the other wasn't.
func TestScanOfFlightsThatTakeAPlace(t *testing.T) {
	var table Table[int, flight[int]]
	var flights []*flight[int]
	visits := make(map[int]int)
	for key := range 2000 {
		flights = append(flights, insert(&table, key, key))
	}
	scan(t, &table, func(f *flight[int]) { visits[f.name]++ }, func() {
		some := rand.Perm(len(flights))[:100]
		if first := table.first; first != nil && !slices.Contains(some, first.Key()) {
			some = append(some, first.Key()) // its place in the table is for another
		}
		for _, key := range some {
			table.Remove(&flights[key].Entry)
		}
		for _, key := range some {
			flights[key] = insert(&table, key, key)
		}
	})
	for key := range flights {
		if visits[key] != 1 {
			t.Errorf("flights of key %d were visited %d times", key, visits[key])
		}
	}
}
