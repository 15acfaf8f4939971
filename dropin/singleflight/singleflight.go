// Package singleflight has the names of golang.org/x/sync/singleflight for the
// types of this module, for programs that want to change an import path and
// nothing else:
//
//	import "github.com/seed-737f55c4/singleflight/dropin/singleflight"
//
// A Group is a Group[string, any] of this module with all its methods, so what
// is here and what names that type with its arguments can be mixed. Behaviour
// differs from x/sync only as the package [singleflight] says.
//
// [singleflight]: https://pkg.go.dev/github.com/seed-737f55c4/singleflight
package singleflight

import (
	"context"

	"github.com/seed-737f55c4/singleflight"
)

// A Group merges concurrent calls that have the same key. The zero Group is
// ready for use.
type Group = singleflight.Group[string, any]

// A Result is what a channel caller receives. Its fields are to be named in a
// literal: there is one more than in x/sync.
type Result = singleflight.Result[any]

// Options configure a group, and New makes one with them.
type Options = singleflight.Options[string, any]

// A PanicError is what callers panic with when their function has panicked.
type PanicError = singleflight.PanicError

// ErrGoexit is what a channel caller receives when its function has called
// runtime.Goexit.
var ErrGoexit = singleflight.ErrGoexit

// ErrDeadlock is what a call gets that would wait for itself.
var ErrDeadlock = singleflight.ErrDeadlock

// ErrFlightTimeout and ErrAbandoned are causes of the end of a flight's context.
var (
	ErrFlightTimeout = singleflight.ErrFlightTimeout
	ErrAbandoned     = singleflight.ErrAbandoned
)

// Forgotten reports whether the flight that ctx belongs to was forgotten before
// it landed.
func Forgotten(ctx context.Context) bool { return singleflight.Forgotten(ctx) }

// New returns a group with the given options. It panics if they can't be.
func New(opts Options) *Group { return singleflight.New(opts) }
