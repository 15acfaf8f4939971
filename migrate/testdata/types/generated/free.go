package generated

import "golang.org/x/sync/singleflight" // want `becomes`

var free singleflight.Group
