package flight_test

import (
	// The packages that programs move from: the tests of this module build
	// programs that use them.
	_ "github.com/golang/groupcache/singleflight"
	_ "golang.org/x/sync/singleflight"
	_ "resenje.org/singleflight"
	_ "tailscale.com/util/singleflight"

	_ "github.com/seed-737f55c4/singleflight"
)
