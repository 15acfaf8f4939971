package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A scene is something that clients ask for at once.
type scene struct {
	title string
	path  string
	who   func(i int) string // whose page the i-th client asks for; "" if it is everybody's
	field string             // that says who asks
	late  bool               // half of the clients come when the body is on its way
}

func scenes(clients int) []scene {
	visitor := func(i int) string { return fmt.Sprintf("visitor-%d", i) }
	keys := []string{"alice", "bob", "carol"}
	return []scene{
		{title: fmt.Sprintf("a slow page, %d clients at once", clients), path: "/slow"},
		{title: fmt.Sprintf("a page that takes 2 s to come, half of %d clients come 1 s late", clients), path: "/stream", late: true},
		{title: fmt.Sprintf("a private page (Cache-Control: private), %d visitors", clients), path: "/me", who: visitor, field: "X-Request-Id"},
		{title: "a page for the X-Api-Key of who asks, and its origin doesn't say so", path: "/account", field: "X-Api-Key",
			who: func(i int) string { return keys[i%len(keys)] }},
	}
}

// A result is what became of a scene behind one gateway.
type result struct {
	requests, most int // at the origin
	first, whole   []time.Duration
	own, others    int // pages
	failed         int
}

// compare plays all scenes behind both gateways.
func compare(ctx context.Context, clients int, out io.Writer) error {
	o := newOrigin()
	back, err := serve("127.0.0.1:0", o)
	if err != nil {
		return err
	}
	defer back.Close()
	var gateways [2]*server
	for i, h := range []http.Handler{proxyTo(back.address), merging(proxyTo(back.address))} {
		if gateways[i], err = serve("127.0.0.1:0", h); err != nil {
			return err
		}
		defer gateways[i].Close()
	}
	fmt.Fprintf(out, "%-45s%17s%18s\n", "", "plain proxy", "with httpflight")
	wrong := 0
	for _, s := range scenes(clients) {
		var results [2]result
		for i, gateway := range gateways {
			results[i] = s.play(ctx, gateway.address, clients)
			results[i].requests, results[i].most = o.reset()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			wrong += results[i].others
		}
		s.show(out, results)
	}
	if wrong > 0 {
		return fmt.Errorf("%d clients got a page that was meant for another", wrong)
	}
	fmt.Fprint(out, "\nNobody got a page that was meant for another.\nTry it yourself: go -C examples run ./gateway -listen localhost:8080\n")
	return nil
}

func (s *scene) show(out io.Writer, results [2]result) {
	fmt.Fprintf(out, "\n%s\n", s.title)
	row := func(name string, of func(r *result) any) {
		fmt.Fprintf(out, "  %-43s%17v%18v\n", name, of(&results[0]), of(&results[1]))
	}
	row("requests that reached the origin", func(r *result) any { return r.requests })
	row("  most at once", func(r *result) any { return r.most })
	row("first byte: median", func(r *result) any { return milliseconds(quantile(r.first, 50)) })
	row("  slowest", func(r *result) any { return milliseconds(quantile(r.first, 100)) })
	row("last byte: slowest", func(r *result) any { return milliseconds(quantile(r.whole, 100)) })
	if s.who != nil {
		row("clients that got their own page", func(r *result) any { return r.own })
		row("  that got another's", func(r *result) any { return r.others })
	}
	if results[0].failed+results[1].failed > 0 {
		row("requests that failed", func(r *result) any { return r.failed })
	}
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// quantile returns the time within which so many percent came.
func quantile(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[(len(times)-1)*percent/100]
}

// play sends the requests of all clients.
func (s *scene) play(ctx context.Context, address string, clients int) (r result) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			if s.late && i%2 == 1 {
				time.Sleep(time.Second)
			}
			first, whole, body, err := s.ask(ctx, transport, address, i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.failed++
				return
			}
			r.first, r.whole = append(r.first, first), append(r.whole, whole)
			if s.who == nil {
				return
			}
			if strings.TrimSpace(body) == "page of "+s.who(i) {
				r.own++
			} else {
				r.others++
			}
		})
	}
	all.Wait()
	return r
}

func (s *scene) ask(ctx context.Context, transport http.RoundTripper, address string, i int) (first, whole time.Duration, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+s.path, nil)
	if err != nil {
		return 0, 0, "", err
	}
	request.Header.Set("User-Agent", "example")
	if s.who != nil {
		request.Header.Set(s.field, s.who(i))
	}
	start := time.Now()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, 0, "", err
	}
	defer response.Body.Close()
	var b [1]byte
	if _, err = io.ReadFull(response.Body, b[:]); err != nil {
		return 0, 0, "", err
	}
	first = time.Since(start)
	rest, err := io.ReadAll(response.Body)
	return first, time.Since(start), string(b[:]) + string(rest), err
}
