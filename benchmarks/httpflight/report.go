package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"
)

// A contender is a proxy that is measured.
type contender struct {
	name  string
	start func(ctx context.Context, origin string) (*process, error)
}

const (
	plainName, handlerName, transportName = "Go ReverseProxy", "httpflight.Handler around it", "httpflight.Transport in it"
	nginxName, lockName, longLockName     = "nginx", "nginx, proxy_cache_lock (5 s)", "nginx, proxy_cache_lock (120 s)"
)

func contenders(p *plan) []contender {
	role := func(name, role string) contender {
		return contender{name, func(ctx context.Context, origin string) (*process, error) { return start(ctx, role, origin) }}
	}
	nginx := func(name, lock string) contender {
		return contender{name, func(ctx context.Context, origin string) (*process, error) { return startNginx(ctx, origin, lock) }}
	}
	all := []contender{
		role(plainName, "plain"), role(handlerName, "handler"), role(transportName, "transport"),
		nginx(nginxName, ""), nginx(lockName, "5s"), nginx(longLockName, "120s"),
	}
	if p.withoutLong {
		all = all[:5]
	}
	return all
}

// A bar is a limit and what was measured.
type bar struct {
	name  string
	value float64
	limit float64
}

// run measures everything and prints it as Markdown.
func (p *plan) run(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "%s, %s/%s, %d processors\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	origin, err := start(ctx, "origin", "")
	if err != nil {
		return err
	}
	defer origin.stop()
	var bars []bar
	for _, n := range p.crowds {
		more, err := p.crowd(ctx, out, origin.address, n)
		if err != nil {
			return err
		}
		bars = append(bars, more...)
	}
	for _, measure := range []func(context.Context, io.Writer, string) ([]bar, error){p.private, p.window, p.alone} {
		more, err := measure(ctx, out, origin.address)
		if err != nil {
			return err
		}
		bars = append(bars, more...)
	}
	fmt.Fprint(out, "\n## Bars\n\n| | measured | bar | |\n|---|---|---|---|\n")
	for _, b := range bars {
		met := "met"
		if b.value > b.limit {
			met = "**missed**"
		}
		fmt.Fprintf(out, "| %s | %.2f | ≤ %.2f | %s |\n", b.name, b.value, b.limit, met)
	}
	return nil
}

// each measures all contenders that can be started.
func (p *plan) each(ctx context.Context, out io.Writer, origin, path string, n int, size int64, row func(name string, c crowd)) error {
	for _, contender := range contenders(p) {
		proxy, err := contender.start(ctx, origin)
		if err != nil {
			fmt.Fprintf(out, "| %s | not measured: %v |\n", contender.name, err)
			continue
		}
		c, err := ask(ctx, proxy, origin, path, n, size)
		proxy.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", contender.name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		row(contender.name, c)
	}
	return nil
}

func (p *plan) crowd(ctx context.Context, out io.Writer, origin string, n int) ([]bar, error) {
	fmt.Fprintf(out, "\n## %d clients ask for a page of %d KB\n\n", n, p.size>>10)
	fmt.Fprint(out, "| | requests at the origin | first byte p50 / p99 s | total p50 s | wall s | peak memory of the proxy | processor time of it | incomplete |\n|---|---|---|---|---|---|---|---|\n")
	all := make(map[string]crowd)
	err := p.each(ctx, out, origin, fmt.Sprintf("/page?size=%d", p.size), n, int64(p.size), func(name string, c crowd) {
		all[name] = c
		fmt.Fprintf(out, "| %s | %d | %.2f / %.2f | %.2f | %.1f | %d MB | %.1f s | %d |\n", name, c.requests,
			quantile(c.first, 0.5).Seconds(), quantile(c.first, 0.99).Seconds(), quantile(c.whole, 0.5).Seconds(), c.wall.Seconds(), c.memory>>20, c.cpu.Seconds(), c.short)
	})
	var bars []bar
	for _, name := range []string{handlerName, transportName} {
		c := all[name]
		title := fmt.Sprintf("%s, %d clients: ", name, n)
		bars = append(bars, bar{title + "requests at the origin", float64(c.requests), 1})
		if n <= 100 && c.leader > 0 {
			bars = append(bars, bar{title + "first byte p99 to the leader's", ratio(quantile(c.first, 0.99), c.leader), 1.3})
		}
		lock, ok := all[lockName]
		if ok && n <= 100 {
			bars = append(bars, bar{title + "first byte p50 to nginx with the lock", ratio(quantile(c.first, 0.5), quantile(lock.first, 0.5)), 0.25})
		}
		bars = append(bars, bar{title + "peak memory to the plain proxy's plus the body", float64(c.memory) / float64(all[plainName].memory+int64(p.size)), 1})
		if ok {
			bars = append(bars, bar{title + "processor time to nginx with the lock", ratio(c.cpu, lock.cpu), 1.3})
		}
	}
	return bars, err
}

func (p *plan) private(ctx context.Context, out io.Writer, origin string) ([]bar, error) {
	fmt.Fprintf(out, "\n## %d clients ask for a private page that takes 200 ms\n\n", p.visitors)
	fmt.Fprint(out, "| | requests at the origin | at most at once | first byte p50 / max s |\n|---|---|---|---|\n")
	all := make(map[string]crowd)
	err := p.each(ctx, out, origin, "/private", p.visitors, int64(len("private")), func(name string, c crowd) {
		all[name] = c
		fmt.Fprintf(out, "| %s | %d | %d | %.2f / %.2f |\n", name, c.requests, c.most, quantile(c.first, 0.5).Seconds(), quantile(c.first, 1).Seconds())
	})
	var bars []bar
	plain := all[plainName]
	for _, name := range []string{handlerName, transportName} {
		bars = append(bars, bar{name + ", private: slowest first byte to plain", ratio(quantile(all[name].first, 1), quantile(plain.first, 1)), 2.5})
	}
	return bars, err
}

func (p *plan) window(ctx context.Context, out io.Writer, origin string) ([]bar, error) {
	fmt.Fprintf(out, "\n## A body of %d MB of unknown length, MaxBuffer %d KB, and one of four clients reads nothing\n\n", p.windowed>>20, windowSize>>10)
	fmt.Fprint(out, "| | most that was buffered | others that got all | cut |\n|---|---|---|---|\n")
	var bars []bar
	for name, role := range map[string]string{handlerName: "handler", transportName: "transport"} {
		proxy, err := start(ctx, role, origin, "HTTPFLIGHT_WINDOW=1")
		if err != nil {
			return bars, err
		}
		most, whole, stats, err := window(ctx, proxy, p.windowed)
		proxy.stop()
		if err != nil {
			return bars, err
		}
		fmt.Fprintf(out, "| %s | %d KB | %d of 3 | %d |\n", name, most>>10, whole, stats.Cut)
		bars = append(bars, bar{name + ": most that was buffered to MaxBuffer", float64(most) / windowSize, 1})
	}
	return bars, nil
}

func (p *plan) alone(ctx context.Context, out io.Writer, _ string) ([]bar, error) {
	server, err := start(ctx, "pages", "")
	if err != nil {
		return nil, err
	}
	defer server.stop()
	fmt.Fprint(out, "\n## A request alone, with keep-alive\n\n| page | without | Handler | Transport |\n|---|---|---|---|\n")
	var bars []bar
	for _, size := range []int{100, 10_000, 100_000, 1_000_000} {
		medians, err := alone(ctx, server, size, p.rounds, p.perRound)
		if err != nil {
			return bars, err
		}
		fmt.Fprintf(out, "| %d bytes | %v | %v | %v |\n", size, medians[0].Round(100*time.Nanosecond), medians[1].Round(100*time.Nanosecond), medians[2].Round(100*time.Nanosecond))
		bars = append(bars,
			bar{fmt.Sprintf("Handler alone to without, %d bytes", size), ratio(medians[1], medians[0]), 1.15},
			bar{fmt.Sprintf("Transport alone to without, %d bytes", size), ratio(medians[2], medians[0]), 1.15})
	}
	return bars, nil
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
