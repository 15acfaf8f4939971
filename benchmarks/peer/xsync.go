package peer

import "golang.org/x/sync/singleflight"

// XSync is golang.org/x/sync/singleflight. Its keys are strings, its values
// any, and it knows no contexts.
func XSync() Library[string] {
	return Library[string]{
		Name:   "x/sync",
		Module: "golang.org/x/sync",
		Do: func(fn Function) func(string) (int, error) {
			g := new(singleflight.Group)
			return func(key string) (int, error) {
				v, err, _ := g.Do(key, fn.Boxed)
				n, _ := v.(int)
				return n, err
			}
		},
		DoChan: func(fn Function) func(string) (int, error) {
			g := new(singleflight.Group)
			return func(key string) (int, error) {
				r := <-g.DoChan(key, fn.Boxed)
				n, _ := r.Val.(int)
				return n, r.Err
			}
		},
		Flights: func(fn Function, n int) Flights[string] {
			g := new(singleflight.Group)
			return &channels[string, singleflight.Result]{
				call:   func(key string) <-chan singleflight.Result { return g.DoChan(key, fn.Boxed) },
				failed: func(r singleflight.Result) bool { return r.Err != nil },
				kept:   make([]<-chan singleflight.Result, 0, n),
			}
		},
	}
}
