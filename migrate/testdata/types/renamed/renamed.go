package renamed

import (
	sf "golang.org/x/sync/singleflight" // want `becomes github.com/seed-737f55c4/singleflight: 1 Group, 1 Result`
	"os"
)

type singleflight struct{ Group int }

var (
	g sf.Group
	r sf.Result
	s singleflight
	_ = os.Args
)

func f() { _ = s.Group }
