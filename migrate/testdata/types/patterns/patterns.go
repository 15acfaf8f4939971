// Package patterns has what programs write with x/sync.
package patterns

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight" // want `golang.org/x/sync/singleflight becomes github.com/seed-737f55c4/singleflight: 12 Groups, 3 Results, 3 calls`
)

var global singleflight.Group // a comment stays

type group = singleflight.Group

type flights singleflight.Group

type byValue struct {
	g singleflight.Group // by value
}

type byPointer struct{ g *singleflight.Group }

type embedded struct {
	singleflight.Group
}

type generic[T any] struct {
	groups map[string]*singleflight.Group
	zero   T
}

type doer interface {
	Do(key string, fn func() (interface{}, error)) (interface{}, error, bool)
	DoChan(key string, fn func() (interface{}, error)) <-chan singleflight.Result
}

var _ doer = (*singleflight.Group)(nil)

func newByPointer() *byPointer { return &byPointer{g: &singleflight.Group{}} }

func param(g *singleflight.Group) *singleflight.Group {
	if g == nil {
		g = new(singleflight.Group)
	}
	return g
}

func (b *byValue) load(ctx context.Context, key string) (string, error) {
	ch := b.g.DoChan(key, func() (interface{}, error) { return key, nil })
	var res singleflight.Result
	select {
	case res = <-ch:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	s, ok := res.Val.(string)
	if !ok {
		return "", errors.New("unexpected type")
	}
	return s, res.Err
}

func (e *embedded) load(key string) {
	e.Do(key, func() (interface{}, error) { return nil, nil })
	e.Forget(key)
}

func wait(eg *errgroup.Group, chs []<-chan singleflight.Result) {
	do := global.Do
	_, _, _ = do("x", nil)
	eg.Wait()
}
