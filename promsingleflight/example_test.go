package promsingleflight_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-737f55c4/singleflight"
	"github.com/seed-737f55c4/singleflight/promsingleflight"
)

func Example() {
	var users singleflight.Group[int, string]
	var sessions singleflight.Group[string, []byte]

	var flights promsingleflight.Collector
	promsingleflight.Register(&flights, "users", &users)
	promsingleflight.Register(&flights, "sessions", &sessions)

	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	registry.MustRegister(&flights)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})

	for id := range 3 {
		users.Do(id, func() (string, error) { return "Ada", nil })
	}

	answer := httptest.NewRecorder()
	metrics.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, "singleflight_flights_total") {
			fmt.Print(line)
		}
	}

	// Output:
	// singleflight_flights_total{group="sessions"} 0
	// singleflight_flights_total{group="users"} 3
}
