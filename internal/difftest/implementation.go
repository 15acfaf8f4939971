package difftest

import (
	"context"

	xsync "golang.org/x/sync/singleflight"

	"github.com/seed-737f55c4/singleflight"
)

// An implementation is a package that scripts run against.
type implementation struct {
	name                   string
	newGroup               func(Options, func(*Value) *Value) group
	errGoexit, errDeadlock error
}

// A group is what both packages have.
type group interface {
	Do(key string, fn func() (*Value, error)) (*Value, error, bool)
	DoChan(key string, fn func() (*Value, error)) channel
	Forget(key string)
}

// A contextGroup is what package singleflight has beside that.
type contextGroup interface {
	group
	DoContext(ctx context.Context, key string, fn func(context.Context) (*Value, error)) (*Value, error, bool)
	DoChanContext(ctx context.Context, key string, fn func(context.Context) (*Value, error)) channel
	Func(fn func(context.Context, string) (*Value, error)) func(context.Context, string) (*Value, error)
	ForgetUnshared(key string) bool
	Wait(ctx context.Context) error
}

// A result is a Result of either package.
type result struct {
	value          *Value
	err            error
	shared, leader bool
}

// A channel is one of Results.
type channel interface {
	length() int
	receive() result // which blocks if the length is 0
}

var xsyncImplementation = implementation{
	name: "golang.org/x/sync/singleflight",
	newGroup: func(Options, func(*Value) *Value) group {
		return new(xsyncGroup)
	},
}

type xsyncGroup struct{ xsync.Group }

func (g *xsyncGroup) Do(key string, fn func() (*Value, error)) (*Value, error, bool) {
	v, err, shared := g.Group.Do(key, anyFunc(fn))
	value, _ := v.(*Value)
	return value, err, shared
}

func (g *xsyncGroup) DoChan(key string, fn func() (*Value, error)) channel {
	return xsyncChannel(g.Group.DoChan(key, anyFunc(fn)))
}

// anyFunc returns fn with x/sync's type; a nil one stays nil.
func anyFunc(fn func() (*Value, error)) func() (any, error) {
	if fn == nil {
		return nil
	}
	return func() (any, error) { return fn() }
}

type xsyncChannel <-chan xsync.Result

func (c xsyncChannel) length() int { return len(c) }

func (c xsyncChannel) receive() result {
	r := <-c
	value, _ := r.Val.(*Value)
	return result{value: value, err: r.Err, shared: r.Shared}
}

var packageImplementation = implementation{
	name: "package singleflight",
	newGroup: func(o Options, clone func(*Value) *Value) group {
		if o == (Options{}) { // the zero value is what users of x/sync have
			return &packageGroup{new(singleflight.Group[string, *Value])}
		}
		options := singleflight.Options[string, *Value]{
			CancelAbandoned: o.CancelAbandoned,
			Recover:         o.Recover,
			FlightTimeout:   o.FlightTimeout,
		}
		if o.Clone {
			options.Clone = clone
		}
		return &packageGroup{singleflight.New(options)}
	},
	errGoexit:   singleflight.ErrGoexit,
	errDeadlock: singleflight.ErrDeadlock,
}

type packageGroup struct {
	*singleflight.Group[string, *Value]
}

func (g *packageGroup) DoChan(key string, fn func() (*Value, error)) channel {
	return packageChannel(g.Group.DoChan(key, fn))
}

func (g *packageGroup) DoChanContext(ctx context.Context, key string, fn func(context.Context) (*Value, error)) channel {
	return packageChannel(g.Group.DoChanContext(ctx, key, fn))
}

type packageChannel <-chan singleflight.Result[*Value]

func (c packageChannel) length() int { return len(c) }

func (c packageChannel) receive() result {
	r := <-c
	return result{r.Val, r.Err, r.Shared, r.Leader}
}
