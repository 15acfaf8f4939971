package otelsingleflight

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seed-737f55c4/singleflight/httpflight"
)

// ObserveHTTP makes metrics of a *httpflight.Handler or *httpflight.Transport,
// until the Registration that it returns is unregistered. The provider is the
// global one if it is nil.
//
//	httpflight.requests    observable counter          {request}  by httpflight.result
//	httpflight.cut         observable counter          {request}  cut off because they read too slowly
//	httpflight.in_flight   observable up-down counter  {request}  forwarded ones under way
//	httpflight.buffered    observable up-down counter  By         of bodies that are kept
//
// All have the attribute httpflight.name. httpflight.result is led (forwarded for
// itself and whoever would join), collapsed (served with the response to
// another), refused (ran alone since a response could not be shared with it) or
// bypassed (ran alone without having waited).
func ObserveHTTP(name string, merger interface{ Stats() httpflight.Stats }, provider metric.MeterProvider) (metric.Registration, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter(scope)
	requests, err := meter.Int64ObservableCounter("httpflight.requests",
		metric.WithUnit("{request}"), metric.WithDescription("Requests, by what became of them."))
	if err != nil {
		return nil, err
	}
	cut, err := meter.Int64ObservableCounter("httpflight.cut",
		metric.WithUnit("{request}"), metric.WithDescription("Requests that were cut off because they read too slowly."))
	if err != nil {
		return nil, err
	}
	inFlight, err := meter.Int64ObservableUpDownCounter("httpflight.in_flight",
		metric.WithUnit("{request}"), metric.WithDescription("Forwarded requests under way."))
	if err != nil {
		return nil, err
	}
	buffered, err := meter.Int64ObservableUpDownCounter("httpflight.buffered",
		metric.WithUnit("By"), metric.WithDescription("Bytes of bodies that are kept."))
	if err != nil {
		return nil, err
	}
	named := attribute.String("httpflight.name", name)
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := merger.Stats()
		for result, n := range map[string]uint64{"led": s.Led, "collapsed": s.Collapsed, "refused": s.Refused, "bypassed": s.Bypassed} {
			o.ObserveInt64(requests, int64(n), metric.WithAttributes(named, attribute.String("httpflight.result", result)))
		}
		o.ObserveInt64(cut, int64(s.Cut), metric.WithAttributes(named))
		o.ObserveInt64(inFlight, int64(s.InFlight), metric.WithAttributes(named))
		o.ObserveInt64(buffered, s.Buffered, metric.WithAttributes(named))
		return nil
	}, requests, cut, inFlight, buffered)
}
