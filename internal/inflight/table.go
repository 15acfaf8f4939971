// Package inflight is the table in which a group finds its flights by key.
//
// It is a hash table with chaining whose nodes are part of what it holds: a
// flight embeds its Entry, which carries the key, the key's hash and the link
// to the next entry, so that inserting and removing allocate nothing and
// removing needs no look-up. A Table has no lock of its own.
package inflight

import (
	"hash/maphash"
	"iter"
)

// seed is one for all groups: a hash leaves no group, and a constant address
// is cheaper to reach than a field.
var seed = maphash.MakeSeed()

// Hash returns the hash under which key is kept. It panics if key is or holds
// an interface whose dynamic type can't be compared. A key that doesn't equal
// itself has a new hash each time.
func Hash[K comparable](key K) uint64 {
	return maphash.Comparable(seed, key)
}

// minBuckets is the number of buckets of a table that is in use: the size that
// a shrinking table keeps.
const minBuckets = 8

// asideBit is set in the hash of an entry that was set aside, and in no other.
const asideBit = 1 << 63

// An Entry is a flight's place in a table. The flight embeds it and calls Init
// before the first Insert.
type Entry[K comparable, F any] struct {
	key    K
	hash   uint64
	next   *Entry[K, F]
	flight *F
}

// Init sets the key under which the entry will be found, its hash, and the
// flight that Find returns for it. The entry must not be in a table.
func (e *Entry[K, F]) Init(hash uint64, key K, flight *F) {
	e.key, e.hash = key, hash&^asideBit
	if e.flight != flight {
		e.flight = flight
	}
}

// Hash returns the hash of the key of an entry that hasn't been set aside.
func (e *Entry[K, F]) Hash() uint64 { return e.hash }

// Key returns the entry's key.
func (e *Entry[K, F]) Key() K { return e.key }

// Aside reports whether the entry has been set aside.
func (e *Entry[K, F]) Aside() bool { return e.hash&asideBit != 0 }

// Clear drops the entry's references, but for that to its flight. The entry must
// not be in a table.
func (e *Entry[K, F]) Clear() {
	var zero K
	e.key, e.next = zero, nil
}

// A Table holds flights by key. The zero Table is empty and ready for use.
//
// A table that is one of many rarely holds more than one flight at a time. So
// one entry has a place of its own, and the rest is made when a second comes.
type Table[K comparable, F any] struct {
	first  *Entry[K, F]  // the one that came when there was no first
	others *chains[K, F] // nil until there are any
	asides uint64        // how many entries were ever set aside
}

// Len returns the number of entries, those set aside included.
func (t *Table[K, F]) Len() (n int) {
	if t.first != nil {
		n = 1
	}
	if t.others != nil {
		n += t.others.n
	}
	return n
}

// Find returns the flight whose entry has the key and wasn't set aside, or nil.
func (t *Table[K, F]) Find(hash uint64, key K) *F {
	hash &^= asideBit
	if e := t.first; e != nil && e.hash == hash && e.key == key {
		return e.flight
	}
	if t.others == nil || t.others.n == 0 {
		return nil
	}
	return t.others.find(hash, key)
}

// Insert adds an entry. The caller has made sure that Find finds none with its
// key.
func (t *Table[K, F]) Insert(e *Entry[K, F]) {
	if t.first == nil {
		t.first = e
		return
	}
	if t.others == nil {
		t.others = new(chains[K, F])
	}
	t.others.insert(e)
}

// InsertAside adds an entry that Find won't find.
func (t *Table[K, F]) InsertAside(e *Entry[K, F]) {
	t.hide(e)
	t.Insert(e)
}

// SetAside hides an entry of the table from Find and leaves it to All. It moves
// to a bucket of its own choice, so that any number of entries with one key
// don't make a long chain.
func (t *Table[K, F]) SetAside(e *Entry[K, F]) {
	if t.first == e {
		t.hide(e)
		return
	}
	t.others.unlink(e)
	t.hide(e)
	t.others.link(e)
}

// Remove takes an entry out of the table.
func (t *Table[K, F]) Remove(e *Entry[K, F]) {
	if t.first == e {
		t.first = nil
		return
	}
	t.others.remove(e)
}

// All returns the flights of the table in no order. The table must not change
// meanwhile.
func (t *Table[K, F]) All() iter.Seq[*F] {
	return func(yield func(*F) bool) {
		if t.first != nil && !yield(t.first.flight) || t.others == nil {
			return
		}
		t.others.all(yield)
	}
}

// hide gives the entry the next hash of those set aside.
func (t *Table[K, F]) hide(e *Entry[K, F]) {
	t.asides++
	e.hash = t.asides | asideBit
}

// chains are the entries of a table but the first, in buckets.
type chains[K comparable, F any] struct {
	buckets []*Entry[K, F] // none, or a power of two of them
	n       int

	// While the number of buckets changes, old has those that were there
	// before. Those below moved are empty: their entries are in buckets.
	old   []*Entry[K, F]
	moved int
}

func (c *chains[K, F]) find(hash uint64, key K) *F {
	for e := *c.bucket(hash); e != nil; e = e.next {
		if e.hash == hash && e.key == key {
			return e.flight
		}
	}
	return nil
}

func (c *chains[K, F]) insert(e *Entry[K, F]) {
	c.n++
	if c.n > len(c.buckets) || c.old != nil {
		c.grow()
	}
	c.link(e)
}

func (c *chains[K, F]) remove(e *Entry[K, F]) {
	c.unlink(e)
	c.n--
	if len(c.buckets) > minBuckets {
		c.shrink()
	}
}

func (c *chains[K, F]) all(yield func(*F) bool) {
	for _, buckets := range [][]*Entry[K, F]{c.old, c.buckets} {
		for _, e := range buckets {
			for ; e != nil; e = e.next {
				if !yield(e.flight) {
					return
				}
			}
		}
	}
}

func (c *chains[K, F]) bucket(hash uint64) **Entry[K, F] {
	if c.old != nil {
		if i := hash & uint64(len(c.old)-1); i >= uint64(c.moved) {
			return &c.old[i]
		}
	}
	return &c.buckets[hash&uint64(len(c.buckets)-1)]
}

func (c *chains[K, F]) link(e *Entry[K, F]) {
	b := c.bucket(e.hash)
	e.next = *b
	*b = e
}

func (c *chains[K, F]) unlink(e *Entry[K, F]) {
	p := c.bucket(e.hash)
	for *p != e {
		p = &(*p).next
	}
	*p = e.next
	e.next = nil
}

// The number of buckets changes a few buckets at a time, with each insertion and
// removal, so that none of them takes long. These are enough to be done before
// the size has to change again.
const (
	movedPerInsert = 4
	movedPerRemove = 32
)

// grow makes room for an entry more.
func (c *chains[K, F]) grow() {
	c.move(movedPerInsert)
	if c.n > len(c.buckets) {
		c.resize(max(2*len(c.buckets), minBuckets))
	}
}

// shrink gives room back, if less than an eighth of it is taken.
func (c *chains[K, F]) shrink() {
	if c.n == 0 {
		c.old, c.buckets = nil, make([]*Entry[K, F], minBuckets)
		return
	}
	c.move(movedPerRemove)
	if c.old == nil && c.n < len(c.buckets)/8 {
		c.resize(len(c.buckets) / 2)
	}
}

// resize begins to move the entries to another number of buckets.
func (c *chains[K, F]) resize(buckets int) {
	c.move(len(c.old))
	if len(c.buckets) > 0 {
		c.old, c.moved = c.buckets, 0
	}
	c.buckets = make([]*Entry[K, F], buckets)
}

// move moves the entries of some old buckets to where they belong now.
func (c *chains[K, F]) move(buckets int) {
	for ; buckets > 0 && c.old != nil; buckets-- {
		e := c.old[c.moved]
		c.old[c.moved] = nil
		c.moved++
		for e != nil {
			next := e.next
			c.link(e)
			e = next
		}
		if c.moved == len(c.old) {
			c.old = nil
		}
	}
}
