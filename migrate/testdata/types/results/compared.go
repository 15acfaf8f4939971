package results

import "golang.org/x/sync/singleflight" // want `left: golang.org/x/sync/singleflight stays: compared.go:5: Results are compared, and here they have a fourth field, Leader`

func compared(r singleflight.Result) bool { return r == singleflight.Result{} }
