package shadowed

import "golang.org/x/sync/singleflight" // want `becomes github.com/seed-737f55c4/singleflight: 1 Group`

type any = int

var g singleflight.Group
