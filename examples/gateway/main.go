// Gateway shows what package httpflight is for: a reverse proxy whose clients ask for the same at once.
//
// It starts an origin with slow pages and with private ones, and two reverse proxies in front of it, a plain one and one with
// an httpflight.Handler around it, all on loopback. Clients then ask both for the same, and the program shows how many
// requests reached the origin, when the first bytes came, and who got whose page:
//
//	go -C examples run ./gateway
//
// If a client got a page that was meant for another, it says so and fails.
//
// With -listen it serves the proxy with httpflight for a browser or curl instead, until Ctrl-C, and prints what to try. The
// field Cache-Status of the answers says what became of each request.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errArguments):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

var errArguments = errors.New("arguments")

// run is the program.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	listen := flags.String("listen", "", "serve at this address, such as localhost:8080, instead of comparing")
	clients := flags.Int("clients", 50, "number of `clients` that ask for a page at once")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errArguments, err)
	}
	if flags.NArg() > 0 || *clients < 1 || *clients > 2000 {
		fmt.Fprintln(flags.Output(), "gateway: no arguments but flags, and 1 to 2000 clients")
		return errArguments
	}
	if *listen != "" {
		return watch(ctx, *listen, out)
	}
	return compare(ctx, *clients, out)
}
