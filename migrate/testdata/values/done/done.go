// Package done has groups whose functions return one type.
package done

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

type user struct{ name string }

type field struct {
	users singleflight.Group[string, any] // want `values of users are of type \*user: 2 assertions less`
}

func find(ctx context.Context, id string) (*user, error) { return &user{id}, nil }

func (f *field) user(ctx context.Context, id string) (*user, error) {
	v, err, _ := f.users.Do(id, func() (interface{}, error) {
		u, err := find(ctx, id)
		if err != nil {
			return nil, err // nil stays
		}
		return u, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*user), nil // a comment stays
}

func (f *field) again(ctx context.Context, id string) (*user, error) {
	if v, err, shared := f.users.Do(id, func() (any, error) { return find(ctx, id) }); err == nil && !shared {
		fmt.Println(v)
		return v.(*user), nil
	} else {
		return nil, err
	}
}

// Over a channel, with a select.
type channel struct {
	group *singleflight.Group[string, any] // want `values of group are of type string: 1 assertion less`
}

func newChannel() *channel { return &channel{group: &singleflight.Group[string, any]{}} }

func (c *channel) get(ctx context.Context) (string, error) {
	ch := c.group.DoChan("", func() (any, error) {
		if ctx.Err() != nil {
			return nil, io.EOF
		}
		return "value", nil
	})
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case res := <-ch:
		if res.Err != nil {
			return "", res.Err
		}
		return res.Val.(string), nil
	}
}

func (c *channel) other(ctx context.Context) (time.Duration, error) {
	var res singleflight.Result[any]
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case res = <-c.group.DoChan("other", func() (any, error) { return "other", nil }):
	}
	return 0, res.Err
}

// No value at all.
var refreshes singleflight.Group[string, any] // want `values of refreshes are of type struct{}`

func refresh() error {
	_, err, _ := refreshes.Do("", func() (any, error) {
		if time.Now().IsZero() {
			return nil, io.EOF
		}
		return nil, nil
	})
	return err
}

// As a parameter, and from a function.
func newGroup() *singleflight.Group[string, any] {
	return new(singleflight.Group[string, any])
}

func use(g *singleflight.Group[string, any], key string) ([]byte, error) { // want `values of g are of type \[\]byte: 1 assertion less`
	v, err, _ := g.Do(key, func() (any, error) {
		inner := func() (any, error) { return 1, nil }
		_, err := inner()
		return []byte(key), err
	})
	return v.([]byte), err // the function never returns nil
}

func caller() { use(newGroup(), "") }

// In a map, a local variable, and with a value that isn't a pointer.
func local(ctx context.Context) (int, error) {
	groups := map[string]*singleflight.Group[string, any]{} // want `values of groups are of type int: 1 assertion less`
	groups["a"] = &singleflight.Group[string, any]{}
	for _, g := range groups {
		v, err, _ := g.DoContext(ctx, "", func(ctx context.Context) (any, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return 1, nil
		})
		if err != nil {
			return 0, err
		}
		return v.(int), nil
	}
	return 0, nil
}

// The type of another package, which this file imports.
type times struct {
	g singleflight.Group[int, any] // want `values of g are of type time.Time: 1 assertion less`
}

func (t *times) now() time.Time {
	v, err, _ := t.g.Do(1, func() (any, error) {
		if t == nil {
			return nil, io.EOF
		}
		return time.Now(), nil
	})
	if err != nil {
		panic(err)
	}
	return v.(time.Time)
}

type alias = singleflight.Group[string, any] // want `values of alias are of type bool`

var aliased alias

func useAlias() { aliased.Do("", func() (any, error) { return true, nil }) }
