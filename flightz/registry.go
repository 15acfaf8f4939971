package flightz

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-737f55c4/singleflight"
)

// maxFlights is how many flights of a group are shown: the oldest ones, since
// what is stuck is old.
const maxFlights = 100

// maxKey is how many characters of a key are shown.
const maxKey = 100

// registered are the groups of the program.
var registered registry

// A registry is a set of groups with names.
type registry struct {
	mu      sync.Mutex
	readers map[string]reader
}

// A reader reads one group. Its functions call what belongs to the user, so
// they don't run under a lock.
type reader struct {
	name    string
	stats   func() singleflight.Stats
	flights func() (oldest []flight, more int)
}

// A view is what the page shows.
type view struct {
	Time   time.Time `json:"time"`
	Groups []group   `json:"groups"`
}

type group struct {
	Name       string   `json:"name"`
	Stats      stats    `json:"stats"`
	DedupRatio float64  `json:"dedupRatio"`
	Flights    []flight `json:"flights"` // the oldest ones
	More       int      `json:"more"`    // that Flights doesn't list
}

// stats are a singleflight.Stats. This type gives its fields their names in
// JSON.
type stats struct {
	Calls     uint64 `json:"calls"`
	Flights   uint64 `json:"flights"`
	Joined    uint64 `json:"joined"`
	Detached  uint64 `json:"detached"`
	Abandoned uint64 `json:"abandoned"`
	Dropped   uint64 `json:"dropped"`
	Panics    uint64 `json:"panics"`
	InFlight  int    `json:"inFlight"`
}

type flight struct {
	Key       string    `json:"key"`
	Callers   int       `json:"callers"`
	State     string    `json:"state"`
	Forgotten bool      `json:"forgotten"`
	Since     time.Time `json:"since"`
	Age       float64   `json:"age"` // in seconds
}

// An inspected is a group to be registered.
type inspected[K comparable] interface {
	Stats() singleflight.Stats
	Flights() iter.Seq[singleflight.Flight[K]]
}

func register[K comparable](r *registry, name string, g inspected[K], format func(K) string) {
	if v := reflect.ValueOf(g); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic(fmt.Sprintf("flightz: group %q is nil", name))
	}
	if format == nil {
		format = func(key K) string { return fmt.Sprint(key) }
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.readers[name]; taken {
		panic(fmt.Sprintf("flightz: reuse of the name %q", name))
	}
	if r.readers == nil {
		r.readers = make(map[string]reader)
	}
	r.readers[name] = reader{name, g.Stats, func() (oldest []flight, more int) {
		shown, more := longestKnown(g.Flights())
		now := time.Now()
		oldest = make([]flight, len(shown))
		for i, f := range shown {
			oldest[i] = flight{
				Key:       legible(shortened(formatted(f.Key, format))),
				Callers:   f.Callers,
				State:     f.State.String(),
				Forgotten: f.Forgotten,
				Since:     f.Since,
				Age:       max(0, now.Sub(f.Since).Seconds()),
			}
		}
		return oldest, more
	}}
}

// longestKnown returns the maxFlights flights that are known for longest, in this
// order, and how many more there are. It keeps no others meanwhile.
func longestKnown[K comparable](flights iter.Seq[singleflight.Flight[K]]) (longest []singleflight.Flight[K], more int) {
	for f := range flights {
		if len(longest) == maxFlights {
			more++
			if last := len(longest) - 1; f.Since.Before(longest[last].Since) {
				longest = longest[:last]
			} else {
				continue
			}
		}
		i, _ := slices.BinarySearchFunc(longest, f, func(a, b singleflight.Flight[K]) int {
			return cmp.Or(a.Since.Compare(b.Since), -1) // behind those that are as old
		})
		longest = slices.Insert(longest, i, f)
	}
	return longest, more
}

func (r *registry) unregister(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.readers[name]
	delete(r.readers, name)
	return ok
}

// sorted returns the readers in the order of their names.
func (r *registry) sorted() []reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]reader, 0, len(r.readers))
	for _, each := range r.readers {
		list = append(list, each)
	}
	slices.SortFunc(list, func(a, b reader) int { return cmp.Compare(a.name, b.name) })
	return list
}

// look returns what there is to show now.
func (r *registry) look() view {
	v := view{Time: time.Now(), Groups: []group{}}
	for _, reader := range r.sorted() {
		g := group{Name: reader.name}
		g.Flights, g.More = reader.flights()
		g.Stats, g.DedupRatio = count(reader.stats())
		v.Groups = append(v.Groups, g)
	}
	return v
}

// counters returns the counters of all groups as JSON.
func (r *registry) counters() string {
	type counters struct {
		stats
		DedupRatio float64 `json:"dedupRatio"`
	}
	all := make(map[string]counters)
	for _, reader := range r.sorted() {
		s, ratio := count(reader.stats())
		all[reader.name] = counters{s, ratio}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // there is nothing in it that can fail
	}
	return string(text)
}

// count returns the counters and the share of the calls that were spared the
// work.
func count(s singleflight.Stats) (stats, float64) {
	if s.Calls == 0 {
		return stats(s), 0
	}
	return stats(s), float64(s.Joined) / float64(s.Calls)
}

// formatted is format(key). If that panics, the page is still needed.
func formatted[K comparable](key K, format func(K) string) (text string) {
	defer func() {
		if recover() != nil {
			text = "(its format function panicked)"
		}
	}()
	return format(key)
}

// legible returns a text in a form that shows what it is: quoted if it is empty,
// or if it has something in it that can't be seen, or that would change what is
// around it.
func legible(text string) string {
	visible := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
	if text == "" || text != strings.TrimSpace(text) || strings.ContainsFunc(text, func(r rune) bool { return !visible(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// shortened returns a text of maxKey characters at most. It takes the rest out
// of the middle, since the ends tell more.
func shortened(text string) string {
	const (
		head = maxKey * 2 / 3
		tail = maxKey - head - 1
	)
	if len(text) <= maxKey || utf8.RuneCountInString(text) <= maxKey {
		return text
	}
	first, last := 0, len(text) // byte offsets of the cut
	for range head {
		_, size := utf8.DecodeRuneInString(text[first:])
		first += size
	}
	for range tail {
		_, size := utf8.DecodeLastRuneInString(text[:last])
		last -= size
	}
	return text[:first] + "…" + text[last:]
}
