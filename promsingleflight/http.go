package promsingleflight

import (
	"fmt"
	"maps"
	"reflect"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-737f55c4/singleflight/httpflight"
)

// An HTTPCollector is a [prometheus.Collector] of any number of handlers and
// transports of package httpflight:
//
//	var pages promsingleflight.HTTPCollector
//	pages.Register("site", handler)
//	prometheus.MustRegister(&pages)
//
//	httpflight_requests_total   counter  requests
//	httpflight_bypassed_total   counter  requests that ran alone without having waited
//	httpflight_led_total        counter  requests that were forwarded for themselves and whoever would join
//	httpflight_collapsed_total  counter  requests that were served with the response to another
//	httpflight_late_total       counter  of these, when that response's body was on its way
//	httpflight_refused_total    counter  requests that ran alone since a response could not be shared with them
//	httpflight_cut_total        counter  requests that were cut off because they read too slowly
//	httpflight_in_flight        gauge    forwarded requests under way
//	httpflight_buffered_bytes   gauge    bytes of bodies that are kept
//
// All have the label merger, the name that it was registered under.
//
// The zero HTTPCollector is ready for use. It must not be copied. All its
// methods may be called by any number of goroutines at once.
type HTTPCollector struct {
	mu      sync.Mutex
	mergers map[string]func() httpflight.Stats
}

// Register adds a *httpflight.Handler or *httpflight.Transport under a name,
// which becomes its label. A name that is taken or isn't valid UTF-8, and a nil
// one, panic.
func (c *HTTPCollector) Register(name string, merger interface{ Stats() httpflight.Stats }) {
	if v := reflect.ValueOf(merger); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic(fmt.Sprintf("promsingleflight: nil merger %q", name))
	}
	if !utf8.ValidString(name) {
		panic(fmt.Sprintf("promsingleflight: name %q is not valid UTF-8", name))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.mergers[name]; taken {
		panic(fmt.Sprintf("promsingleflight: reuse of name %q", name))
	}
	if c.mergers == nil {
		c.mergers = make(map[string]func() httpflight.Stats)
	}
	c.mergers[name] = merger.Stats
}

// An httpMetric is one of the Stats.
type httpMetric struct {
	*prometheus.Desc
	kind prometheus.ValueType
	of   func(*httpflight.Stats) float64
}

var httpMetrics = [...]httpMetric{
	httpCounter("requests_total", "Requests.", func(s *httpflight.Stats) uint64 { return s.Requests }),
	httpCounter("bypassed_total", "Requests that ran alone without having waited.", func(s *httpflight.Stats) uint64 { return s.Bypassed }),
	httpCounter("led_total", "Requests that were forwarded for themselves and whoever would join.", func(s *httpflight.Stats) uint64 { return s.Led }),
	httpCounter("collapsed_total", "Requests that were served with the response to another.", func(s *httpflight.Stats) uint64 { return s.Collapsed }),
	httpCounter("late_total", "Requests that were served with a response whose body was on its way.", func(s *httpflight.Stats) uint64 { return s.Late }),
	httpCounter("refused_total", "Requests that ran alone since a response could not be shared with them.", func(s *httpflight.Stats) uint64 { return s.Refused }),
	httpCounter("cut_total", "Requests that were cut off because they read too slowly.", func(s *httpflight.Stats) uint64 { return s.Cut }),
	{describeHTTP("in_flight", "Forwarded requests under way."), prometheus.GaugeValue, func(s *httpflight.Stats) float64 { return float64(s.InFlight) }},
	{describeHTTP("buffered_bytes", "Bytes of bodies that are kept."), prometheus.GaugeValue, func(s *httpflight.Stats) float64 { return float64(s.Buffered) }},
}

func httpCounter(name, help string, of func(*httpflight.Stats) uint64) httpMetric {
	return httpMetric{describeHTTP(name, help), prometheus.CounterValue, func(s *httpflight.Stats) float64 { return float64(of(s)) }}
}

func describeHTTP(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("httpflight_"+name, help, []string{"merger"}, nil)
}

// Describe implements [prometheus.Collector].
func (c *HTTPCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, metric := range httpMetrics {
		descriptions <- metric.Desc
	}
}

// Collect implements [prometheus.Collector].
func (c *HTTPCollector) Collect(metrics chan<- prometheus.Metric) {
	c.mu.Lock()
	mergers := maps.Clone(c.mergers)
	c.mu.Unlock()
	for name, stats := range mergers {
		s := stats()
		for _, metric := range httpMetrics {
			metrics <- prometheus.MustNewConstMetric(metric.Desc, metric.kind, metric.of(&s), name)
		}
	}
}
