// Package done has calls that become DoContext.
package done

import (
	"context"
	"errors"

	"github.com/seed-737f55c4/singleflight"
)

type user struct{}

type store struct {
	users  singleflight.Group[string, *user]
	counts singleflight.Group[string, int]
	any    singleflight.Group[string, any]
}

func (s *store) find(ctx context.Context, id string) (*user, error) { return nil, ctx.Err() }

// Do, with the caller's context.
func (s *store) user(ctx context.Context, id string) (*user, error) {
	v, err, _ := s.users.Do(id, func() (*user, error) { // want `Do becomes DoContext`
		return s.find(ctx, id)
	})
	return v, err
}

// DoChan and a select; a comment of a case stays.
func (s *store) wait(ctx context.Context, id string) (*user, error) {
	ch := s.users.DoChan(id, func() (*user, error) { // want `DoChan and the select become DoContext`
		return s.find(ctx, id)
	})
	select {
	case <-ctx.Done():
		// The client is gone.
		return nil, ctx.Err()
	case res := <-ch:
		if res.Err != nil {
			return nil, res.Err
		}
		// The user.
		return res.Val, nil
	}
}

// The other order of the cases, detached by hand, and the call in the select.
func (s *store) count(ctx context.Context, id string) (int, error) {
	select {
	case r := <-s.counts.DoChan(id, func() (int, error) { // want `DoChan and the select become DoContext`
		ctx := context.WithoutCancel(ctx)
		return len(id), ctx.Err()
	}):
		return r.Val, r.Err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Without a use of the context, with shared, and an err around.
func (s *store) shared(ctx context.Context, id string) (n int, err error) {
	if id == "" {
		return 0, errors.New("no id")
	}
	ch := s.counts.DoChan(id, func() (int, error) { return len(id), nil }) // want `DoChan and the select become DoContext`
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case res := <-ch:
		if res.Err != nil {
			return 0, res.Err
		}
		if res.Shared {
			return res.Val + 1, nil
		}
		return res.Val, nil
	}
}

// Before the values have a type.
func (s *store) untyped(ctx context.Context) (string, error) {
	ch := s.any.DoChan("", func() (any, error) { return "", ctx.Err() }) // want `DoChan and the select become DoContext`
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
