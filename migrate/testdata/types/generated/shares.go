package generated

import "golang.org/x/sync/singleflight" // want `left: golang.org/x/sync/singleflight stays: generated.go is generated`

func newMade() *made { return &made{g: new(singleflight.Group)} }
