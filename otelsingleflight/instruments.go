package otelsingleflight

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seed-737f55c4/singleflight"
)

// instruments are the metrics of one group.
type instruments struct {
	group attribute.KeyValue
	set   metric.MeasurementOption // group alone

	flights  metric.Int64Counter
	joins    metric.Int64Counter
	detaches metric.Int64Counter
	duration metric.Float64Histogram
	callers  metric.Int64Histogram
}

func newInstruments(provider metric.MeterProvider, group attribute.KeyValue) instruments {
	meter := provider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	return instruments{
		group: group,
		set:   metric.WithAttributeSet(attribute.NewSet(group)),
		flights: made(meter.Int64Counter("singleflight.flights",
			metric.WithUnit("{flight}"),
			metric.WithDescription("Functions run."))),
		joins: made(meter.Int64Counter("singleflight.joins",
			metric.WithUnit("{call}"),
			metric.WithDescription("Calls that joined another caller's flight: the work spared."))),
		detaches: made(meter.Int64Counter("singleflight.detaches",
			metric.WithUnit("{call}"),
			metric.WithDescription("Callers that left before the landing."))),
		duration: made(meter.Float64Histogram("singleflight.flight.duration",
			metric.WithUnit("s"),
			metric.WithDescription("Time from a function's start to its flight's landing."),
			metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))),
		callers: made(meter.Int64Histogram("singleflight.flight.callers",
			metric.WithUnit("{call}"),
			metric.WithDescription("Callers that were ever on a flight, the leader included."),
			metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000))),
	}
}

// made returns an instrument, which works or does nothing if there is an error.
func made[T any](instrument T, err error) T {
	if err != nil {
		otel.Handle(err)
	}
	return instrument
}

func (i *instruments) started(ctx context.Context) { i.flights.Add(ctx, 1, i.set) }

func (i *instruments) joined(ctx context.Context) { i.joins.Add(ctx, 1, i.set) }

func (i *instruments) detached(ctx context.Context) { i.detaches.Add(ctx, 1, i.set) }

// landed records a landing. failure isn't valid if it was without an error.
func (i *instruments) landed(ctx context.Context, info singleflight.Landing, failure attribute.KeyValue) {
	i.callers.Record(ctx, int64(info.Callers), i.set)
	attributes := i.set
	if failure.Valid() {
		attributes = metric.WithAttributes(i.group, failure)
	}
	i.duration.Record(ctx, info.Duration.Seconds(), attributes)
}
