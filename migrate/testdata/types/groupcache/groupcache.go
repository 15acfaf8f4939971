package groupcache

import "github.com/golang/groupcache/singleflight" // want `github.com/golang/groupcache/singleflight becomes github.com/seed-737f55c4/singleflight: 1 Group, 2 calls`

var g singleflight.Group

func get() (interface{}, error) {
	v, err := g.Do("", func() (interface{}, error) { return 1, nil }) // want `note: a panic in the function reaches every caller`
	g.Do("", nil)                                                     // want `note: a panic`
	return v, err
}
