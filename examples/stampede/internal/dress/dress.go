// Package dress has the ways in which a service can answer requests for the same key: each on its own, or several with one
// execution of the function that loads the answer.
package dress

import (
	"context"
	"time"
)

// A Load gets the answer for a key from where that is expensive. It returns soon after its context has ended.
type Load func(ctx context.Context, key string) ([]byte, error)

// A Front stands between the requests and a Load. Its methods may be called from many goroutines at once.
type Front interface {
	// Answer gives the answer for a key. The context is the request's: it ends when the client hangs up.
	Answer(ctx context.Context, key string) ([]byte, error)
	// Wait returns nil once no load runs, or the error of ctx. It is called when every call of Answer has returned.
	Wait(ctx context.Context) error
}

// A Dress is one way to write a Front.
type Dress struct {
	Name string
	// Mine is true for the package that these examples belong to, which is held to what it promises.
	Mine bool
	// New makes a front. The context of a load ends when the load has run for the time limit.
	New func(load Load, limit time.Duration) Front
}

// All are the dresses, the plainest first.
func All() []Dress {
	return []Dress{
		{Name: "no deduplication", New: newAlone},
		{Name: "x/sync Do", New: newDo},
		{Name: "x/sync DoChan", New: newDoChan},
		{Name: "this package", Mine: true, New: newDoContext},
	}
}
