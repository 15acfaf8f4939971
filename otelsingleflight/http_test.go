package otelsingleflight

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seed-737f55c4/singleflight/httpflight"
)

// All counts of a handler are observed, until it is unregistered.
func TestObserveHTTP(t *testing.T) {
	h := httpflight.NewHandler(http.NotFoundHandler(), httpflight.Options{})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	reader := metric.NewManualReader()
	registration, err := ObserveHTTP("site", h, metric.NewMeterProvider(metric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	collect := func() map[string]int64 {
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int64)
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
					name, _ := point.Attributes.Value("httpflight.name")
					result, _ := point.Attributes.Value(attribute.Key("httpflight.result"))
					got[m.Name+" "+name.AsString()+" "+result.AsString()] = point.Value
				}
			}
		}
		return got
	}
	want := map[string]int64{
		"httpflight.requests site led": 1, "httpflight.requests site bypassed": 2,
		"httpflight.requests site collapsed": 0, "httpflight.requests site refused": 0,
		"httpflight.cut site ": 0, "httpflight.in_flight site ": 0, "httpflight.buffered site ": 0,
	}
	if got := collect(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("observed %v, want %v", got, want)
	}
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	if got := collect(); len(got) != 0 {
		t.Errorf("after Unregister: %v", got)
	}
}
