package shadowed

import sf "golang.org/x/sync/singleflight" // want `left: golang.org/x/sync/singleflight stays: string.go:8: string means something else here`

func f() {
	type string int
	var s string
	var h sf.Group
	h.Forget("")
	_ = s
}
