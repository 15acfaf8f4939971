// Package flightz serves a page that shows what the singleflight groups of a
// program are doing: their counters, and the flights in the air, longest known
// first. It is to groups what net/http/pprof is to goroutines:
//
//	var users singleflight.Group[string, *User]
//
//	flightz.Register("users", &users)
//	http.Handle("/debug/flights", flightz.Handler())
//
// The page is for people and refreshes itself; with ?format=json it is for
// machines. [Var] has the counters for package expvar.
//
// The page shows keys, and keys may be secrets: [RegisterFunc] hides them.
// Like net/http/pprof it is best served to those alone who run the program.
package flightz

import (
	"iter"

	"github.com/seed-737f55c4/singleflight"
)

// Register puts a group on the page under a name. Any
// *singleflight.Group[K, V] will do. Keys are shown as [fmt.Sprint] formats
// them. Names are listed in their order; one that is already taken, and a nil
// group, panics. The group is kept until [Unregister] is called.
func Register[K comparable](name string, g interface {
	Stats() singleflight.Stats
	Flights() iter.Seq[singleflight.Flight[K]]
}) {
	register(&registered, name, g, nil)
}

// RegisterFunc is [Register] with a function that formats the keys for the
// page, or hides them. It is called for no more keys than are shown, on the
// goroutines that ask for the page, maybe on several at once. A nil format is
// [fmt.Sprint].
func RegisterFunc[K comparable](name string, g interface {
	Stats() singleflight.Stats
	Flights() iter.Seq[singleflight.Flight[K]]
}, format func(K) string) {
	register(&registered, name, g, format)
}

// Unregister takes the group with the given name off the page, and reports
// whether there was one. The name is free again. An answer that is under way may
// still show the group.
func Unregister(name string) bool { return registered.unregister(name) }

// A Var has the counters of all registered groups as an expvar.Var:
//
//	expvar.Publish("flights", flightz.Var{})
//
// It names no keys. That it can be had without importing package expvar is on
// purpose: that package serves /debug/vars as soon as it is imported.
type Var struct{}

// String returns a JSON object with the counters of each group by its name,
// as the page's JSON has them.
func (Var) String() string { return registered.counters() }
