package singleflight_test

import (
	"context"
	"errors"
	"testing"

	xsync "golang.org/x/sync/singleflight"

	typed "github.com/seed-737f55c4/singleflight"
	"github.com/seed-737f55c4/singleflight/dropin/singleflight"
)

// What a program can do with a group of x/sync.
type doer interface {
	Do(key string, fn func() (any, error)) (v any, err error, shared bool)
	Forget(key string)
}

var _, _ doer = (*xsync.Group)(nil), (*singleflight.Group)(nil)

func TestOldNames(t *testing.T) {
	var g singleflight.Group
	v, err, shared := g.Do("key", func() (any, error) { return 1, nil })
	if v != 1 || err != nil || shared {
		t.Errorf("Do: got %v, %v, %v", v, err, shared)
	}
	var res singleflight.Result = <-g.DoChan("key", func() (any, error) { return nil, errors.New("failed") })
	if res.Val != nil || res.Err == nil || res.Shared {
		t.Errorf("DoChan: got %v", res)
	}
	g.Forget("key")
}

func TestNamesAreOfTheTypedPackage(t *testing.T) {
	var g *typed.Group[string, any] = singleflight.New(singleflight.Options{Recover: true})
	_, err, _ := g.DoContext(t.Context(), "key", func(context.Context) (any, error) { panic("on purpose") })
	if _, ok := errors.AsType[*singleflight.PanicError](err); !ok {
		t.Errorf("got %v, want a *PanicError", err)
	}
	if singleflight.ErrGoexit != typed.ErrGoexit || singleflight.ErrDeadlock != typed.ErrDeadlock {
		t.Error("the errors are others")
	}
}
