// Httpflight measures package httpflight beside a plain reverse proxy and nginx with and without proxy_cache_lock, and
// compares the figures with bars:
//
//	go -C benchmarks run ./httpflight
//
// It takes some ten minutes and wants a quiet machine; -short takes a minute, and its figures are only good to see that it
// works. Origin, proxy and clients are processes of their own on loopback. nginx (1.18 or later, as Debian's nginx-light) is
// started by the program if it is installed, with a configuration and a folder of its own. It runs on Linux, since it reads
// memory and processor time from /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		serveRole(role)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	plan, err := planOf(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	if err := plan.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "httpflight:", err)
		os.Exit(1)
	}
}

// A plan is what is measured.
type plan struct {
	crowds      []int // numbers of clients that ask for one page
	size        int   // of that page, in bytes
	visitors    int   // clients that ask for a private page
	rounds      int   // of requests alone
	perRound    int   // requests of each kind in a round
	windowed    int   // size of the body that outgrows its buffer
	withoutLong bool  // leave the nginx out whose lock waits for 120 s
}

func planOf(args []string) (p plan, err error) {
	flags := flag.NewFlagSet("httpflight", flag.ContinueOnError)
	short := flags.Bool("short", false, "a minute, with figures that say little")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if flags.NArg() > 0 {
		fmt.Fprintln(flags.Output(), "httpflight: no arguments but flags")
		return p, errors.New("arguments")
	}
	if *short {
		return plan{crowds: []int{40}, size: 1 << 20, visitors: 10, rounds: 10, perRound: 50, windowed: 8 << 20, withoutLong: true}, nil
	}
	return plan{crowds: []int{100, 1000}, size: 10 << 20, visitors: 30, rounds: 60, perRound: 200, windowed: 64 << 20}, nil
}
