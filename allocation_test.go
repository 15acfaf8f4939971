package singleflight_test

import (
	"context"
	"testing"

	"github.com/seed-737f55c4/singleflight"
)

// What calls allocate once their key's part of the group's table is in use: a
// channel for who waits, and for a blocking one what the outcome is left in; a
// context for a function that takes one; and what context.AfterFunc takes.
func TestAllocations(t *testing.T) {
	plain := func() (int, error) { return 1, nil }
	bound := func(context.Context) (int, error) { return 1, nil }
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, test := range []struct {
		name string
		call func(*group)
		want float64
	}{
		{"Do", func(g *group) { g.Do("key", plain) }, 0},
		{"DoChan", func(g *group) { <-g.DoChan("key", plain) }, 2},
		{"DoContext, context without end", func(g *group) { g.DoContext(context.Background(), "key", bound) }, 1},
		{"DoContext", func(g *group) { g.DoContext(cancellable, "key", bound) }, 3},
		{"DoChanContext, context without end", func(g *group) { <-g.DoChanContext(context.Background(), "key", bound) }, 4},
		{"DoChanContext", func(g *group) { <-g.DoChanContext(cancellable, "key", bound) }, 5},
		{"DoChan joins", func(g *group) {
			end := make(chan bool)
			leader := g.DoChan("key", func() (int, error) { <-end; return 1, nil })
			joined := g.DoChan("key", plain)
			close(end)
			<-leader
			<-joined
		}, 11},
		{"DoChanContext joins", func(g *group) {
			end := make(chan bool)
			leader := g.DoChan("key", func() (int, error) { <-end; return 1, nil })
			joined := g.DoChanContext(cancellable, "key", bound)
			close(end)
			<-leader
			<-joined
		}, 13},
	} {
		t.Run(test.name, func(t *testing.T) {
			var g group
			if got := testing.AllocsPerRun(200, func() { test.call(&g) }); got > test.want {
				t.Errorf("%v allocations, want at most %v", got, test.want)
			}
		})
	}
}

// The keys of a group are spread over all parts of its table, and each part is
// made once.
func TestKeysAreSpread(t *testing.T) {
	const (
		keys   = 5_000 // so many that no part is left out
		shards = 64
	)
	allocs := testing.AllocsPerRun(5, func() {
		g := new(singleflight.Group[int, int])
		for key := range keys {
			g.Do(key, func() (int, error) { return 1, nil })
		}
	})
	const want = 1 + 2*shards // with a flight for each shard, which is used again; rows come with their first shard
	if allocs != want {
		t.Errorf("%v allocations for the calls of %d keys, want %d", allocs, keys, want)
	}
}
