package otelsingleflight

import (
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-737f55c4/singleflight"
)

func TestGlobalProviders(t *testing.T) {
	tracers, meters := otel.GetTracerProvider(), otel.GetMeterProvider()
	defer otel.SetTracerProvider(tracers)
	defer otel.SetMeterProvider(meters)
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))

	group := singleflight.New(singleflight.Options[string, int]{Trace: NewTrace("users", Options[string]{})})
	group.Do("k", func() (int, error) { return 1, nil })
	if n := len(spans.Ended()); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
	if n := count(t, collect(t, reader)["singleflight.flights"]); n != 1 {
		t.Errorf("%d flights, want 1", n)
	}
}
