// Package otelsingleflight observes the flights of singleflight groups with
// OpenTelemetry: metrics of how many there are, how long they take and how many
// calls share them, and a span for each.
//
//	users := singleflight.New(singleflight.Options[string, *User]{
//		Trace: otelsingleflight.NewTrace("users", otelsingleflight.Options[string]{}),
//	})
//
// # Metrics
//
//	singleflight.flights          counter    {flight}  functions run
//	singleflight.joins            counter    {call}    calls that joined another caller's flight
//	singleflight.detaches         counter    {call}    callers that left before the landing
//	singleflight.flight.duration  histogram  s         from a function's start to its flight's landing
//	singleflight.flight.callers   histogram  {call}    callers that were ever on a flight, the leader included
//
// All have the attribute singleflight.group, the group's name. The duration has
// error.type besides if the flight ended in an error: "panic", "goexit", or
// the type of the error, which an error may choose by a method ErrorType. If a
// method of the error panics, it is the name of its Go type. A function that
// returns what another flight's panic or Goexit became looks as if it had ended
// that way itself.
//
// # Spans
//
// A flight is a span named "singleflight" and the group's name, a child of the
// span that its leader's context carries. It ends when the flight has landed,
// which may be after the leader's if that has detached. A flight that Do or
// DoChan leads has no parent, since those have no context.
//
// The span of each caller that joined gets a link to the flight's span, so
// that the trace of a request that waited leads to the work that it waited
// for. It is the span in the context of the call: calls of Do and DoChan have
// none. A caller that joins a flight before its function has started gets the
// link at the start, unless it has detached by then.
//
// A flight's span has the attributes singleflight.group, singleflight.callers
// and singleflight.detached, the last two from its landing; and singleflight.key
// if [Options].Key is set. An error makes the status of the span Error, with
// the text of the error, and sets error.type. So does a panic, with its
// value; it is recorded as an exception event too, with its stack.
package otelsingleflight

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-737f55c4/singleflight"
)

// scope names this package as the one that made the spans and metrics.
const scope = "github.com/seed-737f55c4/singleflight/otelsingleflight"

// Options configure a Trace. The zero Options are ready for use.
type Options[K comparable] struct {
	// TracerProvider makes the spans. If it is nil, the global one does; see
	// [otel.GetTracerProvider].
	TracerProvider trace.TracerProvider

	// MeterProvider makes the metrics. If it is nil, the global one does; see
	// [otel.GetMeterProvider].
	MeterProvider metric.MeterProvider

	// Key returns the text that the span of a flight shows for its key. If
	// it is nil, keys are recorded nowhere, since they may be secrets; take
	// care that errors don't name them. Metrics never have keys. A panic in
	// Key is the function's of the flight.
	Key func(K) string
}

// NewTrace returns the hooks for a group with the given name, for its
// [singleflight.Options].Trace. Hooks that wrap them must call each of them.
// Groups that share a Trace are counted together.
func NewTrace[K comparable](group string, opts Options[K]) *singleflight.Trace[K] {
	if opts.TracerProvider == nil {
		opts.TracerProvider = otel.GetTracerProvider()
	}
	if opts.MeterProvider == nil {
		opts.MeterProvider = otel.GetMeterProvider()
	}
	return newRecorder(group, opts).trace()
}
