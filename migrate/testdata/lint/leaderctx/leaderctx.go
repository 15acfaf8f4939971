package leaderctx

import (
	"context"
	"log/slog"
	"net/http"

	own "github.com/seed-737f55c4/singleflight"
	"golang.org/x/sync/singleflight"
	resenje "resenje.org/singleflight"
)

var (
	x  singleflight.Group
	o  own.Group[string, int]
	re resenje.Group[string, int]
)

func load(ctx context.Context) (int, error) { return 0, ctx.Err() }

func leader(ctx context.Context) {
	x.Do("", func() (any, error) { return load(ctx) })                            // want `the function uses ctx of the caller that runs it: when that one hangs up, all who joined fail \(leaderctx\)`
	o.Do("", func() (int, error) { return load(ctx) })                            // want `the function uses ctx of the caller`
	o.DoChan("x", func() (int, error) { c := ctx; return load(c) })               // want `the function uses ctx of the caller` `nobody reads`
	re.Do(ctx, "", func(context.Context) (int, error) { return load(ctx) })       // want `the function uses ctx of the caller that runs it: .* it is given a context of the flight's own`
	o.DoContext(ctx, "", func(context.Context) (int, error) { return load(ctx) }) // want `it is given a context of the flight's own`
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	x.Do("", func() (any, error) { return load(child) }) // want `the function uses child of the caller`
}

func request(r *http.Request) {
	x.Do("", func() (any, error) { return load(r.Context()) }) // want `the function uses r.Context\(\) of the caller`
}

// Nothing to report.

type server struct{ ctx context.Context }

func (s *server) fine(ctx context.Context, r *http.Request) {
	x.Do("", func() (any, error) { return load(context.WithoutCancel(ctx)) })
	x.Do("", func() (any, error) { return load(context.WithoutCancel(r.Context())) })
	x.Do("", func() (any, error) { return load(context.Background()) })
	x.Do("", func() (any, error) { return load(s.ctx) })
	x.Do("", func() (any, error) { return ctx.Value("key"), nil })
	x.Do("", func() (any, error) { slog.InfoContext(ctx, "loading"); return nil, nil })
	own := context.Background()
	x.Do("", func() (any, error) { return load(own) })
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), 1)
	defer cancel()
	x.Do("", func() (any, error) { return load(detached) })
	o.DoContext(ctx, "", func(ctx context.Context) (int, error) { return load(ctx) })
	re.Do(ctx, "", func(ctx context.Context) (int, error) { return load(ctx) })
}
