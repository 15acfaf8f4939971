package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/seed-737f55c4/singleflight/flightz"
	"github.com/seed-737f55c4/singleflight/httpflight"
)

// A server is one on loopback.
type server struct {
	http.Server
	address string
}

func serve(address string, h http.Handler) (*server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &server{Server: http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}, address: listener.Addr().String()}
	go s.Serve(listener)
	return s, nil
}

// proxyTo is the plain gateway.
func proxyTo(address string) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: address}) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1000},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}

// merging is the gateway with httpflight around it.
func merging(next http.Handler) *httpflight.Handler {
	return httpflight.NewHandler(next, httpflight.Options{Name: "gateway"})
}

// watch serves the gateway until ctx ends.
func watch(ctx context.Context, address string, out io.Writer) error {
	back, err := serve("127.0.0.1:0", newOrigin())
	if err != nil {
		return err
	}
	defer back.Close()
	gateway := merging(proxyTo(back.address))
	mux := http.NewServeMux()
	mux.Handle("/", gateway)
	mux.Handle("/debug/flights", flightz.Handler())
	mux.HandleFunc("/debug/stats", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%+v\n", gateway.Stats()) })
	front, err := serve(address, mux)
	if err != nil {
		return err
	}
	flightz.Register("gateway at "+front.address, gateway.Flights())
	fmt.Fprintf(out, `A gateway with httpflight listens at http://%[1]s until Ctrl-C. Try:

  for i in 1 2 3; do curl -si http://%[1]s/slow & done; wait

and look at Cache-Status and X-Run: one request reached the origin. And:

  curl -N http://%[1]s/stream     in two terminals, one after the other
  curl -i http://%[1]s/me         private: never shared
  http://%[1]s/debug/flights      the requests that wait, in a browser
  http://%[1]s/debug/stats        the counters
`, front.address)
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(front.Shutdown(ending), gateway.Wait(ending))
}
