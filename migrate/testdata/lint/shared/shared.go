package shared

import (
	"log"
	"slices"

	own "github.com/seed-737f55c4/singleflight"
)

var (
	o     own.Group[string, []string]
	cache interface{ Set(string, []string) }
)

func misses(id string) []string {
	v, _, shared := o.Do(id, nil)
	if !shared { // want `shared is true for the caller whose function ran too: as soon as one has joined, nobody does this; Result.Leader of DoResult tells \(shared\)`
		cache.Set(id, v)
	}
	return v
}

// Nothing to report.

func fine(id string) []string {
	v, _, shared := o.Do(id, nil)
	if shared {
		log.Print("shared")
	}
	if !shared {
		log.Print("alone")
	}
	if !shared {
		return v
	}
	return slices.Clone(v)
}
