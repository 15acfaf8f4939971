package generated

import "github.com/seed-737f55c4/singleflight"

var g singleflight.Group[string, any] // want `left: values of g stay any: a file that is generated uses it`
