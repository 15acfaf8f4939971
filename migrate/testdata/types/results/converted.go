package results

import "golang.org/x/sync/singleflight" // want `left: .* converted.go:11: a Result is converted to another struct, and here it has a fourth field`

type result struct {
	Val    interface{}
	Err    error
	Shared bool
}

func converted(r singleflight.Result) result { return result(r) }
