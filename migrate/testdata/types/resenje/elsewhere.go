package resenje

import "context"

func (c *cache[K]) has(ctx context.Context, key K) bool {
	_, _, err := c.flights.Do(ctx, key, nil) // want `Do has its results in the order of this package` `note: a call`
	return err == nil
}
