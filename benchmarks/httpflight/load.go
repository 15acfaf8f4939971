package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-737f55c4/singleflight/httpflight"
)

// A crowd is what became of clients that asked at once.
type crowd struct {
	requests, most int           // at the origin
	leader         time.Duration // first byte of the one that says it was forwarded; 0: none does
	first, whole   []time.Duration
	short          int // bodies of another length, or failed
	wall           time.Duration
	memory         int64
	cpu            time.Duration
}

// ask sends the requests of n clients, each from an address of its own.
func ask(ctx context.Context, p *process, origin, path string, n int, size int64) (c crowd, err error) {
	if _, _, err := counts(origin); err != nil {
		return c, err
	}
	stop := p.watchMemory()
	before, start := p.cpu(), time.Now()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}}
			transport := &http.Transport{DialContext: dialer.DialContext, DisableCompression: true}
			defer transport.CloseIdleConnections()
			first, whole, got, status := askOnce(ctx, transport, "http://"+p.address+path)
			mu.Lock()
			defer mu.Unlock()
			if got != size {
				c.short++
			}
			c.first, c.whole = append(c.first, first), append(c.whole, whole)
			if strings.HasSuffix(status, "fwd=miss") {
				c.leader = first
			}
		})
	}
	all.Wait()
	c.wall, c.cpu, c.memory = time.Since(start), p.cpu()-before, stop()
	slices.Sort(c.first)
	slices.Sort(c.whole)
	c.requests, c.most, err = counts(origin)
	return c, err
}

func askOnce(ctx context.Context, transport http.RoundTripper, url string) (first, whole time.Duration, got int64, status string) {
	start := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, -1, ""
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return time.Since(start), time.Since(start), -1, ""
	}
	defer resp.Body.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		if got == 0 && n > 0 {
			first = time.Since(start)
		}
		got += int64(n)
		if err == io.EOF {
			return first, time.Since(start), got, resp.Header.Get("Cache-Status")
		}
		if err != nil {
			return first, time.Since(start), -1, ""
		}
	}
}

// counts returns and resets what the origin has counted.
func counts(origin string) (total, most int, err error) {
	resp, err := http.Get("http://" + origin + "/count")
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	_, err = fmt.Fscan(resp.Body, &total, &most)
	return total, most, err
}

func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[int(q*float64(len(times)-1)+0.5)]
}

// alone returns the median times of requests alone, for each way: plain, handler, transport. They take turns.
func alone(ctx context.Context, pages *process, size, rounds, perRound int) (medians [3]time.Duration, err error) {
	base := &http.Transport{DisableCompression: true}
	defer base.CloseIdleConnections()
	ways := [3]struct {
		transport http.RoundTripper
		path      string
	}{{base, "/plain"}, {base, "/handler"}, {httpflight.NewTransport(base, httpflight.Options{}), "/plain"}}
	var times [3][]time.Duration
	for round := range rounds {
		for k := range ways {
			w := (k + round) % len(ways)
			url := fmt.Sprintf("http://%s%s?%d", pages.address, ways[w].path, size)
			for range perRound {
				_, whole, got, _ := askOnce(ctx, ways[w].transport, url)
				if got != int64(size) {
					return medians, fmt.Errorf("%s: got %d bytes", url, got)
				}
				times[w] = append(times[w], whole)
			}
		}
	}
	for w := range times {
		slices.Sort(times[w])
		medians[w] = quantile(times[w], 0.5)
	}
	return medians, nil
}

// window has four clients read a body that outgrows its buffer, of which one reads nothing. It returns the most that was
// buffered, and how many of the other three got all.
func window(ctx context.Context, p *process, size int) (most int64, whole int, stats httpflight.Stats, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	url := fmt.Sprintf("http://%s/page?size=%d", p.address, size)
	var readers sync.WaitGroup
	results := make(chan int64, 3)
	for i := range 4 {
		readers.Go(func() {
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			if i > 0 {
				_, _, got, _ := askOnce(ctx, transport, url)
				results <- got
				return
			}
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if resp, err := transport.RoundTrip(r); err == nil {
				<-ctx.Done()
				resp.Body.Close()
			}
		})
	}
	for left := 3; left > 0; {
		select {
		case got := <-results:
			left--
			if got == int64(size) {
				whole++
			}
		case <-time.After(10 * time.Millisecond):
			if stats, err = statsAt(p); err != nil {
				return 0, 0, stats, err
			}
			most = max(most, stats.Buffered)
		}
	}
	stats, err = statsAt(p)
	cancel()
	readers.Wait()
	return most, whole, stats, err
}

func statsAt(p *process) (s httpflight.Stats, err error) {
	resp, err := http.Get("http://" + p.address + "/stats")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}
