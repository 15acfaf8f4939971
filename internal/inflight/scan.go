package inflight

import (
	"math"
	"math/bits"
)

// A scan goes through a table bit by bit, and the table may change between the
// bits. It goes by places: the place of an entry is its hash with the bits in
// reverse order, so that the entries of a bucket, whose hashes end alike, are
// neighbours, and stay in this order when buckets are split or merged. One place
// tells what was visited, as the cursor of Redis' SCAN does; but each entry is
// asked for its place, so that none is visited twice after buckets were merged.

// A Place is how far a scan has come: all entries before it have been visited.
// The zero Place is the beginning.
type Place uint64

// perScan is how many entries and buckets a Scan looks at, but for the rest of
// the last bucket.
const perScan = 64

// Scan visits some of the table's entries, from a place on: not more of them
// than a constant number and those of one bucket. It returns where the next Scan
// is to go on, and whether there is more. The table must not change meanwhile,
// but may between two Scans:
//
//   - An entry that is in the table from the first Scan to the last, and isn't
//     set aside meanwhile, is visited exactly once.
//   - One that is set aside meanwhile may be visited twice or not at all.
//   - One that is inserted or removed meanwhile is visited at most once for each
//     time that it was inserted.
//
// A scan comes to its end if no more entries are inserted between two Scans than
// one visits; if there are more for long, it takes long.
func (t *Table[K, F]) Scan(from Place, visit func(*F)) (next Place, more bool) {
	for looked := 0; looked < perScan; looked++ {
		var e *Entry[K, F]
		last := Place(math.MaxUint64)
		if t.others != nil {
			e, last = t.others.chain(from)
		}
		if first := t.first; first != nil && first.between(from, last) {
			visit(first.flight)
		}
		for ; e != nil; e = e.next {
			looked++
			if e.between(from, last) {
				visit(e.flight)
			}
		}
		if last == math.MaxUint64 {
			return 0, false
		}
		from = last + 1
	}
	return from, true
}

// between reports whether the entry's place is one from first to last.
func (e *Entry[K, F]) between(first, last Place) bool {
	place := Place(bits.Reverse64(e.hash))
	return first <= place && place <= last
}

// chain returns the bucket for a place, and the last place of which it has all
// entries. While the number of buckets changes, this may be the last of half a
// bucket: the other half is elsewhere, or will be.
func (c *chains[K, F]) chain(from Place) (bucket *Entry[K, F], last Place) {
	most := max(len(c.buckets), len(c.old))
	return *c.bucket(bits.Reverse64(uint64(from))), from | math.MaxUint64>>bits.TrailingZeros(uint(most))
}
