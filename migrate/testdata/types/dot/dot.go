package dot

import (
	"fmt"

	. "golang.org/x/sync/singleflight" // want `becomes github.com/seed-737f55c4/singleflight: 1 Group, 1 Result`
)

type s struct {
	Group
}

func print(r Result) { fmt.Println(r) }
