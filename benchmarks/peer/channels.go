package peer

import "context"

// channels implements Flights for a library whose results are of type R.
type channels[K comparable, R any] struct {
	call   func(K) <-chan R
	failed func(R) bool
	kept   []<-chan R
}

func (c *channels[K, R]) Start(key K) {
	c.kept = append(c.kept, c.call(key))
}

func (c *channels[K, R]) Receive(first int) int {
	n := receive(c.kept[first:], c.failed)
	c.kept = c.kept[:first]
	return n
}

// contextChannels implements ContextFlights for a library whose results are of
// type R.
type contextChannels[K comparable, R any] struct {
	call   func(context.Context, K) <-chan R
	failed func(R) bool
	kept   []<-chan R
}

func (c *contextChannels[K, R]) Start(ctx context.Context, key K) {
	c.kept = append(c.kept, c.call(ctx, key))
}

func (c *contextChannels[K, R]) Receive(first int) int {
	n := receive(c.kept[first:], c.failed)
	c.kept = c.kept[:first]
	return n
}

func receive[R any](from []<-chan R, failed func(R) bool) int {
	n := 0
	for _, ch := range from {
		if !failed(<-ch) {
			n++
		}
	}
	return n
}
