package captured

import (
	"context"
	"sync"

	own "github.com/seed-737f55c4/singleflight"
	"golang.org/x/sync/singleflight"
	resenje "resenje.org/singleflight"
)

var (
	x  singleflight.Group
	o  own.Group[string, int]
	re resenje.Group[string, int]
)

func outlived(ctx context.Context) (hit bool) {
	o.DoContext(ctx, "", func(context.Context) (int, error) {
		hit = true // want `the function writes hit of its caller, who may have left and uses it too: a data race; and who joins never gets it \(captured\)`
		return 1, nil
	})
	n := 0
	re.Do(ctx, "", func(context.Context) (int, error) {
		n++ // want `the function writes n of its caller`
		return 1, nil
	})
	ch := x.DoChan("", func() (any, error) {
		n = 2 // want `the function writes n of its caller`
		return 1, nil
	})
	select {
	case <-ch:
	case <-ctx.Done():
	}
	return hit && n > 0
}

// Nothing to report.

func fine(ctx context.Context) (hit bool) {
	x.Do("", func() (any, error) { hit = true; return 1, nil })
	<-x.DoChan("", func() (any, error) { hit = true; return 1, nil })
	var mu sync.Mutex
	n := 0
	o.DoContext(ctx, "", func(context.Context) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return 1, nil
	})
	p := new(int)
	o.DoContext(ctx, "", func(context.Context) (int, error) {
		inner := 0
		inner++
		*p = inner
		return inner, nil
	})
	return hit && n > 0
}
