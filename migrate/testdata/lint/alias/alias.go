package alias

import (
	"io"
	"net/http"
	"slices"
	"sort"

	own "github.com/seed-737f55c4/singleflight"
	"golang.org/x/sync/singleflight"
)

type user struct {
	name string
	tags []string
	in   struct{ n int }
}

var (
	x singleflight.Group
	o own.Group[string, *user]
	s own.Group[string, []string]
	m own.Group[string, map[string]int]
	r own.Group[string, *http.Response]
	c own.Group[string, user]
)

func change() {
	u, _, _ := o.Do("", nil)
	u.name = "" // want `this changes u, which the other callers of the flight have too: copy it, or set Options.Clone \(alias\)`
	u.in.n++    // want `this changes u`
	v, _, _ := x.Do("", nil)
	asserted := v.(*user)
	asserted.tags[0] = "" // want `this changes asserted`
	v.(*user).name = ""   // want `this changes v`
	list, _, _ := s.Do("", nil)
	slices.Sort(list) // want `this changes list`
	list[0] = ""      // want `this changes list`
	counts, _, _ := m.Do("", nil)
	counts["a"]++       // want `this changes counts`
	delete(counts, "b") // want `this changes counts`
	resp, _, _ := r.Do("", nil)
	defer resp.Body.Close() // want `this closes resp`
	io.ReadAll(resp.Body)
}

// Nothing to report.

func fine() {
	u, _, _ := o.Do("", nil)
	copied := *u
	copied.name = ""
	list, _, _ := s.Do("", nil)
	list = slices.Clone(list)
	sort.Strings(list)
	value, _, _ := c.Do("", nil)
	value.name = ""
	value.in.n = 1
	other := new(user)
	other.name = u.name
}
