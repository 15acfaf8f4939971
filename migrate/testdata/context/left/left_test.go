package left

import (
	"context"
	"testing"
)

func TestNothing(t *testing.T) { background("") }

type loader interface {
	Load(ctx context.Context) (int, error)
}

func mocked(ctx context.Context, l loader) {
	g.Do("", func() (int, error) { return l.Load(ctx) }) // want `Do becomes DoContext`
}
