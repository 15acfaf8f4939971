package httpflight

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// A request alone over loopback, with and without the package.
func BenchmarkAlone(b *testing.B) {
	for _, size := range []int{100, 10_000, 1_000_000} {
		page := bytes.Repeat([]byte("x"), size)
		origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", strconv.Itoa(size))
			w.Write(page)
		})
		plain := httptest.NewServer(origin)
		handler := httptest.NewServer(NewHandler(origin, Options{}))
		for _, c := range []struct {
			name string
			url  string
			rt   func(http.RoundTripper) http.RoundTripper
		}{
			{"plain", plain.URL, func(rt http.RoundTripper) http.RoundTripper { return rt }},
			{"handler", handler.URL, func(rt http.RoundTripper) http.RoundTripper { return rt }},
			{"transport", plain.URL, func(rt http.RoundTripper) http.RoundTripper { return NewTransport(rt, Options{}) }},
		} {
			b.Run(fmt.Sprintf("%d/%s", size, c.name), func(b *testing.B) {
				base := &http.Transport{}
				defer base.CloseIdleConnections()
				client := &http.Client{Transport: c.rt(base)}
				for b.Loop() {
					resp, err := client.Get(c.url)
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
		plain.Close()
		handler.Close()
	}
}
