// Package commaok has assertions with ok, whose other path goes.
package commaok

import (
	"errors"
	"fmt"

	"github.com/seed-737f55c4/singleflight"
)

type item struct{ n int }

var g singleflight.Group[string, any] // want `values of g are of type \*item: 5 assertions less`

func load() (any, error) { return nil, nil }

func next() (*item, error) {
	v, err, _ := g.Do("", func() (any, error) { return &item{1}, nil })
	if err != nil {
		return nil, err
	}
	i, ok := v.(*item)
	if !ok {
		return nil, fmt.Errorf("unexpected type %T", v)
	}
	// The item.
	return i, nil
}

func inIf() (*item, error) {
	v, err, _ := g.Do("", func() (any, error) { return &item{1}, nil })
	if err != nil {
		return nil, err
	}
	if i, ok := v.(*item); ok {
		i.n++
		return i, nil
	}
	return nil, errors.New("unexpected type")
}

func withElse() (n int, err error) {
	v, err, _ := g.Do("", func() (any, error) { return &item{1}, nil })
	if err != nil {
		return 0, err
	}
	if i, ok := v.(*item); ok {
		n = i.n
	} else {
		return 0, errors.New("unexpected type")
	}
	return n, nil
}

func clash() (n int, err error) {
	v, err, _ := g.Do("", func() (any, error) { return &item{1}, nil })
	if err != nil {
		return 0, err
	}
	if n, ok := v.(*item); ok {
		return n.n, nil
	}
	return 0, errors.New("unexpected type")
}

func ignored() (*item, error) {
	v, err, _ := g.Do("", func() (any, error) { return nil, errors.New("none") })
	i, _ := v.(*item)
	return i, err
}
