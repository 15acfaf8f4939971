package results

import "golang.org/x/sync/singleflight" // want `becomes`

func unkeyed() []singleflight.Result {
	return []singleflight.Result{{1, nil, false}, {Val: 2}, {}}
}
