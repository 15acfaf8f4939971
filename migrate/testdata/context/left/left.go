// Package left has calls that stay.
package left

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

var g singleflight.Group[string, int]

func load(ctx context.Context) (int, error) { return 0, ctx.Err() }

func writes(ctx context.Context) (n int) {
	g.Do("", func() (int, error) { // want `left: Do stays: the function writes n of its caller \(line 21\), which it may outlive: that would be a data race`
		n = 1
		return load(ctx)
	})
	return n
}

func writtenLater(ctx context.Context, key string) {
	g.Do("", func() (int, error) { // want `left: Do stays: key, which the function uses, is written after the call`
		return len(key), ctx.Err()
	})
	key = ""
}

func loop(ctx context.Context) {
	for i := 0; i < 3; i++ {
		n := i
		g.Do("", func() (int, error) { return n, ctx.Err() }) // want `Do becomes DoContext`
	}
	key := ""
	for range 3 {
		key += "x"
		g.Do("", func() (int, error) { return len(key), ctx.Err() }) // want `left: Do stays: key, which`
	}
}

func deadline(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	g.Do("", func() (int, error) { return load(ctx) }) // want `left: Do stays: ctx comes from context.WithTimeout in line 47`
}

func writer(ctx context.Context, w http.ResponseWriter) {
	g.Do("", func() (int, error) { // want `left: Do stays: the function uses the writer of a response \(w, line 54\)`
		fmt.Fprintln(w)
		return load(ctx)
	})
}

func transaction(ctx context.Context, tx *sql.Tx) {
	g.Do("", func() (int, error) { return 0, tx.QueryRowContext(ctx, "").Err() }) // want `left: Do stays: the function uses a transaction`
}

func request(r *http.Request) {
	ctx := r.Context()
	g.Do(r.URL.Path, func() (int, error) { return len(r.URL.Path), ctx.Err() }) // want `left: Do stays: the function uses a request`
}

var pool = sync.Pool{New: func() any { return new([]byte) }}

func released(ctx context.Context) {
	buf := pool.Get().(*[]byte)
	defer pool.Put(buf)
	g.Do("", func() (int, error) { return len(*buf), ctx.Err() }) // want `left: Do stays: buf, which the function uses, is released when its caller returns \(line 72\)`
}

func two(a, b context.Context) {
	g.Do("", func() (int, error) { return 0, fmt.Errorf("%w %w", a.Err(), b.Err()) }) // want `left: Do stays: the function uses 2 contexts`
}

func cause(ctx context.Context) (int, error) {
	ch := g.DoChan("", func() (int, error) { return 1, nil }) // want `left: DoChan stays: at the end of its context the caller returns the cause`
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case res := <-ch:
		return res.Val, res.Err
	}
}

func wrapped(ctx context.Context) (int, error) {
	ch := g.DoChan("", func() (int, error) { return 1, nil }) // want `left: DoChan stays: at the end of its context the caller returns another error`
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("load: %w", ctx.Err())
	case res := <-ch:
		return res.Val, res.Err
	}
}

func wrappedResult(ctx context.Context) (int, error) {
	ch := g.DoChan("", func() (int, error) { return 1, nil }) // want `left: DoChan stays: an error of the function isn't returned as it is`
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case res := <-ch:
		if res.Err != nil {
			return 0, fmt.Errorf("load: %w", res.Err)
		}
		return res.Val, nil
	}
}

func furtherCase(ctx context.Context, stop chan struct{}) (int, error) {
	ch := g.DoChan("", func() (int, error) { return 1, nil }) // want `left: DoChan stays: the select has another case`
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-stop:
		return 0, nil
	case res := <-ch:
		return res.Val, res.Err
	}
}

func thrownAway(ctx context.Context) {
	ch := g.DoChan("", func() (int, error) { return 1, nil }) // want `left: DoChan stays: at the end of its context the caller does something else`
	select {
	case <-ctx.Done():
		return
	case res := <-ch:
		fmt.Println(res.Val)
	}
}

func method(ctx context.Context, fn func() (int, error)) (int, error) {
	ch := g.DoChan("", fn) // want `left: DoChan stays: the function isn't written at the call`
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case res := <-ch:
		return res.Val, res.Err
	}
}

func locked(ctx context.Context, mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	g.Do("", func() (int, error) { return 0, ctx.Err() }) // want `left: Do stays: the caller holds a lock during the call`
}

func unlocked(ctx context.Context, mu *sync.Mutex) {
	mu.Lock()
	mu.Unlock()
	g.Do("", func() (int, error) { return 0, ctx.Err() }) // want `Do becomes DoContext`
}

// Nothing to say about these.

func background(id string) {
	g.Do(id, func() (int, error) { return load(context.Background()) })
}

func detachedByHand(ctx context.Context) {
	g.Do("", func() (int, error) { return load(context.WithoutCancel(ctx)) })
}

func noSelect() int { return (<-g.DoChan("", func() (int, error) { return 1, nil })).Val }
