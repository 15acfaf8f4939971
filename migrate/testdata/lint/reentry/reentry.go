package reentry

import (
	"context"

	own "github.com/seed-737f55c4/singleflight"
)

type store struct{ a, b own.Group[string, int] }

const key = "config"

func (s *store) inner(ctx context.Context) {
	s.a.Do("config", func() (int, error) {
		v, err, _ := s.a.Do(key, nil) // want `the function that runs for key "config" calls this key, and waits for itself \(reentry\)`
		return v, err
	})
	s.a.DoContext(ctx, key, func(ctx context.Context) (int, error) {
		v, err, _ := s.a.DoContext(ctx, key, nil) // want `waits for itself`
		return v, err
	})
}

// Nothing to report.

func (s *store) fine(ctx context.Context, id string) {
	s.a.Do("config", func() (int, error) {
		s.a.Do("other", nil)
		s.b.Do("config", nil)
		go func() { s.a.Do("config", nil) }()
		v, err, _ := s.a.Do(id, nil)
		return v, err
	})
}
