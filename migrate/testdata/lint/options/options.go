// Package options sets the options that make checks pointless.
package options

import "github.com/seed-737f55c4/singleflight"

var g = singleflight.New(singleflight.Options[string, []int]{
	Recover: true,
	Clone:   func(v []int) []int { return append([]int(nil), v...) },
})

func fine() {
	g.DoChan("", nil)
	v, _, _ := g.Do("", nil)
	v[0] = 1
}
