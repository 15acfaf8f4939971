package httpflight

import (
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"
)

// Options configure a [Handler] or a [Transport]. The zero Options are safe
// for what the package comment calls the request itself.
type Options struct {
	// Key decides which of the eligible requests are the same: those with equal
	// keys. It isn't asked for others. If ok is false the request runs alone.
	// GET and HEAD never have one key, whatever Key returns, and neither does a
	// request have one with those from before a write (see [Handler.Forget]).
	// Nil is [Identical], the safe choice; [AllBut] is the next best one.
	//
	// A panic in Key, or in Eligible, is the request's own.
	Key func(r *http.Request) (key string, ok bool)

	// Eligible decides which requests may be merged at all. It is asked for
	// GET and HEAD without a body only. Nil is [Eligible]. Another one must
	// know why a request with credentials may share its answer with others.
	Eligible func(r *http.Request) bool

	// Forbid forbids that a response is shared which could be otherwise. It is
	// called for the leader's request and for each that would share its
	// response, with the header that the request would get, which it must not
	// change. Nil forbids nothing more; see [Implicit]. A panic in it is the
	// panic of what answers the requests.
	Forbid func(r *http.Request, status int, header http.Header) bool

	// MaxBuffer is how many bytes of one response are kept for those that read
	// it more slowly than it comes: at least 4096; 0 means 16 MiB. A response
	// that says it is longer is not shared. One that doesn't say and is gets a
	// window of that size: see MaxStall.
	MaxBuffer int64

	// MaxMemory is how many bytes of all responses are kept: at least
	// MaxBuffer; 0 means 256 MiB, or MaxBuffer if that is more. When it is
	// reached, those that haven't read anything for MaxStall are cut off, as
	// far as needed, and new requests run alone.
	MaxMemory int64

	// MaxStall is how long readers may hold up a response that is longer than
	// MaxBuffer: 0 means 1 s. When the response has waited so long in all since
	// it got on by MaxBuffer, those that it waits for are cut off, unless they
	// have read a sixteenth of MaxBuffer meanwhile. A server aborts their
	// connection, and a client's Body returns an error.
	MaxStall time.Duration

	// Remember is how long requests run alone, without waiting, once a response
	// to their like could not be shared: 0 means 10 s, negative not at all.
	Remember time.Duration

	// ForgetAfter is how long requests join one that has got no header yet: a
	// later one leads another. 0 means 5 s, negative for ever.
	ForgetAfter time.Duration

	// FlightTimeout is the deadline of the forwarded request's context, from
	// when that begins to the end of its body. 0 means none.
	FlightTimeout time.Duration

	// Name is this merger's name in the field Cache-Status (RFC 9211). If it is
	// empty the field isn't touched. It must be printable ASCII.
	Name string

	// ErrorLog gets panics that no request is left for. Nil is package log's
	// standard logger.
	ErrorLog *log.Logger
}

const (
	smallestBuffer = 4 << 10
	defaultBuffer  = 16 << 20
	defaultMemory  = 256 << 20
)

// withDefaults returns the options with every zero replaced. It panics if one
// makes no sense, and names it.
func (o Options) withDefaults() Options {
	refuse := func(wrong bool, name string, value any) {
		if wrong {
			panic(fmt.Sprintf("httpflight: Options.%s is %v", name, value))
		}
	}
	refuse(o.MaxBuffer != 0 && o.MaxBuffer < smallestBuffer, "MaxBuffer", o.MaxBuffer)
	refuse(o.MaxStall < 0, "MaxStall", o.MaxStall)
	refuse(o.FlightTimeout < 0, "FlightTimeout", o.FlightTimeout)
	refuse(strings.ContainsFunc(o.Name, func(c rune) bool { return c < ' ' || c > '~' }), "Name", fmt.Sprintf("%q", o.Name))
	o.Key = or(o.Key != nil, o.Key, Identical)
	o.Eligible = or(o.Eligible != nil, o.Eligible, Eligible)
	o.MaxBuffer = or(o.MaxBuffer != 0, o.MaxBuffer, defaultBuffer)
	refuse(o.MaxMemory != 0 && o.MaxMemory < o.MaxBuffer, "MaxMemory", o.MaxMemory)
	o.MaxMemory = or(o.MaxMemory != 0, o.MaxMemory, max(defaultMemory, o.MaxBuffer))
	o.MaxStall = or(o.MaxStall != 0, o.MaxStall, time.Second)
	o.Remember = or(o.Remember != 0, o.Remember, 10*time.Second)
	o.ForgetAfter = or(o.ForgetAfter != 0, o.ForgetAfter, 5*time.Second)
	o.ErrorLog = or(o.ErrorLog != nil, o.ErrorLog, log.Default())
	return o
}

func or[T any](given bool, value, otherwise T) T {
	if given {
		return value
	}
	return otherwise
}
