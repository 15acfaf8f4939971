// Package left has what stays any.
package left

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/seed-737f55c4/singleflight"
)

var several singleflight.Group[string, any] // want `left: values of several stay any: the functions of the group return several types, int and string \(left.go:16\) \(left.go:17\)`

func useSeveral() {
	several.Do("a", func() (any, error) { return "", nil })
	several.Do("b", func() (any, error) { return 1, nil })
}

var reader singleflight.Group[string, any] // want `left: values of reader stay any: a function returns the interface io.Reader`

func open() (io.Reader, error) { return nil, io.EOF }

func useReader() io.Reader {
	v, err, _ := reader.Do("", func() (any, error) { return open() })
	if err != nil {
		return nil
	}
	return v.(io.Reader)
}

var missing singleflight.Group[string, any] // want `left: values of missing stay any: a function returns nil without an error, which isn't a \*int`

func useMissing() *int {
	v, _, _ := missing.Do("", func() (any, error) {
		if len("") == 0 {
			return nil, nil
		}
		return new(int), nil
	})
	if v == nil {
		return nil
	}
	return v.(*int)
}

var compared singleflight.Group[string, any] // want `left: values of compared stay any: the value is compared, perhaps with nil`

func useCompared() bool {
	v, _, _ := compared.Do("", func() (any, error) { return new(int), nil })
	return v == nil
}

var unchecked singleflight.Group[string, any] // want `left: values of unchecked stay any: the value is asserted where its error may not be nil`

func useUnchecked() (*int, error) {
	v, err, _ := unchecked.Do("", func() (any, error) { return nil, errors.New("no") })
	_, _, _ = unchecked.Do("", func() (any, error) { return new(int), nil })
	return v.(*int), err
}

var returned singleflight.Group[string, any] // want `left: values of returned stay any: the value is returned as an any`

func useReturned() (any, error) {
	v, err, _ := returned.Do("", func() (any, error) { return 1, nil })
	return v, err
}

var together singleflight.Group[string, any] // want `left: values of together stay any: the results of the call are passed on together`

func useTogether() (any, error, bool) {
	return together.Do("", func() (any, error) { return 1, nil })
}

var otherType singleflight.Group[string, any] // want `left: .* the value is asserted to be a fmt.Stringer, and the functions return a str`

type str string

func (s str) String() string { return string(s) }

func useOtherType() fmt.Stringer {
	v, _, _ := otherType.Do("", func() (any, error) { return str(""), nil })
	return v.(fmt.Stringer)
}

var switched singleflight.Group[string, any] // want `left: .* a type switch looks at the value`

func useSwitched() int {
	v, _, _ := switched.Do("", func() (any, error) { return 1, nil })
	switch v := v.(type) {
	case int:
		return v
	}
	return 0
}

var variable singleflight.Group[string, any] // want `left: .* the function isn't written at the call`

func useVariable(fn func() (any, error)) { variable.Do("", fn) }

type doer interface {
	Do(key string, fn func() (any, error)) (any, error, bool)
}

type mocked struct{ d doer }

func newMocked() *mocked {
	g := &singleflight.Group[string, any]{} // want `left: values of g stay any: it becomes a value of another type .left.go:112.; it becomes a value of type doer`
	g.Do("", func() (any, error) { return 1, nil })
	m := new(mocked)
	m.d = g
	return &mocked{d: g}
}

type generic[T any] struct {
	g singleflight.Group[string, any] // want `left: .* the function returns a type of a generic function or type`
}

func (g *generic[T]) get(v T) { g.g.Do("", func() (any, error) { return []T{v}, nil }) }

type embedded struct {
	singleflight.Group[string, any] // want `left: .* it is embedded`
}

func (e *embedded) get() { e.Group.Do("", func() (any, error) { return 1, nil }) }

var made = singleflight.New(singleflight.Options[string, any]{}) // want `left: .* New makes it, with Options`

func useMade() { made.Do("", func() (any, error) { return 1, nil }) }

var local singleflight.Group[string, any] // want `left: .* t can't be named here`

func useLocal() {
	type t struct{}
	local.Do("", func() (any, error) { return t{}, nil })
}

var isAny singleflight.Group[string, any] // want `left: .* a function returns what is any already`

func anything(ctx context.Context) (any, error) { return ctx, nil }

func useAny() { isAny.Do("", func() (any, error) { return anything(nil) }) }

var named singleflight.Group[string, any] // want `left: .* the result of the function has a name`

func useNamed() {
	named.Do("", func() (v any, err error) {
		v = 1
		return
	})
}

var kept singleflight.Group[string, any] // want `left: .* the value is assigned as an any`

func useKept() {
	var keep any
	v, _, _ := kept.Do("", func() (any, error) { return 1, nil })
	keep = v
	_ = keep
}

var method singleflight.Group[string, any] // want `left: .* its method Do is used as a value`

func useMethod() {
	do := method.Do
	do("", nil)
	method.Do("", func() (any, error) { return 1, nil })
}

var okElsewhere singleflight.Group[string, any] // want `left: .* the ok of the assertion is used in a way that isn't understood`

func useOK() (int, bool) {
	v, _, _ := okElsewhere.Do("", func() (any, error) { return 1, nil })
	i, ok := v.(int)
	return i, ok
}
