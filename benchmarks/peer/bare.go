package peer

import "context"

// Bare deduplicates nothing: it is the function alone, called where the
// libraries call it, with a goroutine and a channel where they need one. It is
// the least that any library can cost.
func Bare[K comparable]() Library[K] {
	spawn := func(body func() (int, error)) <-chan int {
		ch := make(chan int, 1)
		go func() {
			v, _ := body()
			ch <- v
		}()
		return ch
	}
	spawnContext := func(ctx context.Context, body func(context.Context) (int, error)) <-chan int {
		ch := make(chan int, 1)
		go func() {
			v, _ := body(ctx)
			ch <- v
		}()
		return ch
	}
	succeeded := func(int) bool { return false }
	return Library[K]{
		Name: "bare",
		Do: func(fn Function) func(K) (int, error) {
			return func(K) (int, error) { return fn.Plain() }
		},
		DoChan: func(fn Function) func(K) (int, error) {
			return func(K) (int, error) { return <-spawn(fn.Plain), nil }
		},
		DoContext: func(fn Function) func(context.Context, K) (int, error) {
			return func(ctx context.Context, _ K) (int, error) { return fn.Context(ctx) }
		},
		DoChanContext: func(fn Function) func(context.Context, K) (int, error) {
			return func(ctx context.Context, _ K) (int, error) { return <-spawnContext(ctx, fn.Context), nil }
		},
		Flights: func(fn Function, n int) Flights[K] {
			return &channels[K, int]{
				call:   func(K) <-chan int { return spawn(fn.Plain) },
				failed: succeeded,
				kept:   make([]<-chan int, 0, n),
			}
		},
	}
}
