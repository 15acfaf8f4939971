package otelsingleflight_test

import (
	"context"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-737f55c4/singleflight"
	"github.com/seed-737f55c4/singleflight/otelsingleflight"
)

func Example() {
	spans := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))

	users := singleflight.New(singleflight.Options[int, string]{
		Trace: otelsingleflight.NewTrace("users", otelsingleflight.Options[int]{
			TracerProvider: tracers, // the global ones if not given
			MeterProvider:  meters,
		}),
	})

	ctx, request := tracers.Tracer("example").Start(context.Background(), "GET /users/17")
	name, err, _ := users.DoContext(ctx, 17, func(context.Context) (string, error) {
		return "Ada", nil
	})
	request.End()
	fmt.Println(name, err)

	for _, span := range spans.GetSpans() {
		fmt.Printf("span %q, child of another: %t\n", span.Name, span.Parent.IsValid())
	}
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &metrics); err != nil {
		log.Fatal(err)
	}
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		fmt.Println("metric", m.Name, m.Unit)
	}

	// Output:
	// Ada <nil>
	// span "singleflight users", child of another: true
	// span "GET /users/17", child of another: false
	// metric singleflight.flights {flight}
	// metric singleflight.flight.duration s
	// metric singleflight.flight.callers {call}
}
