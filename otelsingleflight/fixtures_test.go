package otelsingleflight

import (
	"context"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-737f55c4/singleflight"
)

// A rig is a group with a Trace, and what that recorded.
type rig struct {
	*singleflight.Group[string, int]
	t        *testing.T
	recorder *recorder[string]
	spans    *tracetest.SpanRecorder
	requests trace.Tracer // makes the callers' spans
	reader   *metric.ManualReader
}

func newRig(t *testing.T, options singleflight.Options[string, int], key func(string) string) *rig {
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	reader := metric.NewManualReader()
	recorder := newRecorder("users", Options[string]{
		TracerProvider: tracers,
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(reader)),
		Key:            key,
	})
	options.Trace = recorder.trace()
	return &rig{
		Group:    singleflight.New(options),
		t:        t,
		recorder: recorder,
		spans:    spans,
		requests: tracers.Tracer("requests"),
		reader:   reader,
	}
}

// request returns a context with a span of its own, and that span.
func (r *rig) request(name string) (context.Context, trace.Span) {
	return r.requests.Start(r.t.Context(), name)
}

// flights returns the spans of the flights that have landed.
func (r *rig) flights() []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(r.spans.Ended(), func(span sdktrace.ReadOnlySpan) bool {
		return span.InstrumentationScope().Name != scope
	})
}

// flight returns the span of the only flight that has landed.
func (r *rig) flight() sdktrace.ReadOnlySpan {
	r.t.Helper()
	flights := r.flights()
	if len(flights) != 1 {
		r.t.Fatalf("%d spans of flights, want 1", len(flights))
	}
	return flights[0]
}

// wantLinks checks that a caller's span has as many links, each to flight.
func (r *rig) wantLinks(span trace.Span, flight sdktrace.ReadOnlySpan, n int) {
	r.t.Helper()
	links := span.(sdktrace.ReadOnlySpan).Links()
	if len(links) != n {
		r.t.Errorf("%d links from %q, want %d", len(links), span.(sdktrace.ReadOnlySpan).Name(), n)
	}
	for _, link := range links {
		if !link.SpanContext.Equal(flight.SpanContext()) {
			r.t.Errorf("link to %v, want the flight's span", link.SpanContext)
		}
		if want := []attribute.KeyValue{attribute.String("singleflight.group", "users")}; !slices.Equal(link.Attributes, want) {
			r.t.Errorf("attributes of the link: %v, want %v", link.Attributes, want)
		}
	}
}

// wantAttributes checks a span's attributes, given as key=value.
func wantAttributes(t *testing.T, span sdktrace.ReadOnlySpan, want ...string) {
	t.Helper()
	var got []string
	for _, a := range span.Attributes() {
		got = append(got, string(a.Key)+"="+a.Value.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("attributes\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// wantNothingKept checks that the recorder keeps nothing about any flight.
func (r *rig) wantNothingKept() {
	r.t.Helper()
	r.wantKept(0)
}

// wantKept checks about how many flights the recorder keeps something.
func (r *rig) wantKept(n int) {
	r.t.Helper()
	f := &r.recorder.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) != n {
		r.t.Errorf("%d flights are kept, want %d", len(f.known), n)
	}
}

// metrics returns what the meters have read, by name.
func (r *rig) metrics() map[string]metricdata.Metrics {
	r.t.Helper()
	return collect(r.t, r.reader)
}

func collect(t *testing.T, reader metric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]metricdata.Metrics)
	for _, s := range all.ScopeMetrics {
		if s.Scope.Name != scope {
			t.Errorf("metrics of scope %q, want %q", s.Scope.Name, scope)
		}
		for _, m := range s.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// count returns the sum of a counter, which has one data point or none.
func count(t *testing.T, m metricdata.Metrics) int64 {
	t.Helper()
	if m.Data == nil {
		return 0
	}
	points := m.Data.(metricdata.Sum[int64]).DataPoints
	if len(points) != 1 {
		t.Fatalf("%s has %d data points, want 1", m.Name, len(points))
	}
	return points[0].Value
}

// A gate is a function for flights that returns when it is opened.
type gate chan struct{}

func (g gate) pass(context.Context) (int, error) {
	<-g
	return 1, nil
}
