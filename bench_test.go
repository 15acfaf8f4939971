package singleflight_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/seed-737f55c4/singleflight"
	xsync "golang.org/x/sync/singleflight"
)

var keys = func() []string {
	k := make([]string, 1024)
	for i := range k {
		k[i] = "benchmark-key-" + strconv.Itoa(1000+i)
	}
	return k
}()

func BenchmarkDo(b *testing.B) {
	b.Run("impl=x-sync", func(b *testing.B) {
		var g xsync.Group
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			g.Do(keys[i&1023], func() (any, error) { return 1, nil })
		}
	})
	b.Run("impl=this", func(b *testing.B) {
		var g singleflight.Group[string, int]
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			g.Do(keys[i&1023], func() (int, error) { return 1, nil })
		}
	})
	b.Run("par/impl=x-sync", func(b *testing.B) {
		var g xsync.Group
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			i := 0
			for pb.Next() {
				i++
				g.Do(keys[i&1023], func() (any, error) { return 1, nil })
			}
		})
	})
	b.Run("par/impl=this", func(b *testing.B) {
		var g singleflight.Group[string, int]
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			i := 0
			for pb.Next() {
				i++
				g.Do(keys[i&1023], func() (int, error) { return 1, nil })
			}
		})
	})
	b.Run("chan/impl=x-sync", func(b *testing.B) {
		var g xsync.Group
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			<-g.DoChan(keys[i&1023], func() (any, error) { return 1, nil })
		}
	})
	b.Run("chan/impl=this", func(b *testing.B) {
		var g singleflight.Group[string, int]
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			<-g.DoChan(keys[i&1023], func() (int, error) { return 1, nil })
		}
	})
	b.Run("ctxbg/impl=this", func(b *testing.B) {
		var g singleflight.Group[string, int]
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			g.DoContext(context.Background(), keys[i&1023], func(context.Context) (int, error) { return 1, nil })
		}
	})
	b.Run("ctx/impl=this", func(b *testing.B) {
		var g singleflight.Group[string, int]
		b.ReportAllocs()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		i := 0
		for b.Loop() {
			i++
			g.DoContext(ctx, keys[i&1023], func(context.Context) (int, error) { return 1, nil })
		}
	})
	b.Run("chanctx/impl=this", func(b *testing.B) {
		var g singleflight.Group[string, int]
		b.ReportAllocs()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		i := 0
		for b.Loop() {
			i++
			<-g.DoChanContext(ctx, keys[i&1023], func(context.Context) (int, error) { return 1, nil })
		}
	})
}
