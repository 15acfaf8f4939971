package promsingleflight

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seed-737f55c4/singleflight/httpflight"
)

// All counts of a handler are collected.
func TestHTTPCollector(t *testing.T) {
	h := httpflight.NewHandler(http.NotFoundHandler(), httpflight.Options{})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	var c HTTPCollector
	c.Register("site", h)
	const text = `
# HELP httpflight_bypassed_total Requests that ran alone without having waited.
# TYPE httpflight_bypassed_total counter
httpflight_bypassed_total{merger="site"} 1
# HELP httpflight_led_total Requests that were forwarded for themselves and whoever would join.
# TYPE httpflight_led_total counter
httpflight_led_total{merger="site"} 1
# HELP httpflight_requests_total Requests.
# TYPE httpflight_requests_total counter
httpflight_requests_total{merger="site"} 2
`
	if err := testutil.CollectAndCompare(&c, strings.NewReader(text), "httpflight_bypassed_total", "httpflight_led_total", "httpflight_requests_total"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(&c); n != 9 {
		t.Errorf("%d metrics", n)
	}
	if problems, err := testutil.CollectAndLint(&c); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestHTTPCollectorRefuses(t *testing.T) {
	var c HTTPCollector
	h := httpflight.NewHandler(http.NotFoundHandler(), httpflight.Options{})
	c.Register("site", h)
	for name, register := range map[string]func(){
		"reuse of name": func() { c.Register("site", h) },
		"not valid":     func() { c.Register("\xff", h) },
		"nil merger":    func() { c.Register("other", (*httpflight.Transport)(nil)) },
		"merger \"x\"":  func() { c.Register("x", nil) },
	} {
		func() {
			defer func() {
				if message, _ := recover().(string); !strings.Contains(message, name) {
					t.Errorf("%s: panic with %q", name, message)
				}
			}()
			register()
		}()
	}
}
