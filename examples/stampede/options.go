package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/load"
)

// options are what the arguments say.
type options struct {
	input  string
	json   bool
	svg    string
	addr   string
	listen string
	terms  int
	expiry time.Duration
	plan   load.Plan
}

// parse reads the arguments. Its error is flag.ErrHelp or names the argument that makes no sense.
func parse(arguments []string) (*options, error) {
	o, flags := define()
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument: %s", flags.Arg(0))
	}
	if err := o.plan.Check(); err != nil {
		return nil, fmt.Errorf("-%w", err) // a number is called what its flag is called
	}
	switch {
	case o.terms < 1:
		return nil, fmt.Errorf("-terms: %d is not positive", o.terms)
	case o.expiry <= 0:
		return nil, fmt.Errorf("-expiry: %v is not positive", o.expiry)
	}
	host, err := hostOf("addr", o.addr)
	if err != nil {
		return nil, err
	}
	if o.listen != "" {
		if _, err := hostOf("listen", o.listen); err != nil {
			return nil, err
		}
		if o.json || o.svg != "" {
			return nil, errors.New("-listen: there is no result for -json and -svg to write")
		}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("-addr: %q is not a loopback address", host)
	}
	return o, nil
}

// hostOf gives the host of the address that a flag has, if that is one.
func hostOf(flag, addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return "", fmt.Errorf("-%s: %w", flag, err)
	}
	return host, nil
}

func define() (*options, *flag.FlagSet) {
	o := new(options)
	flags := flag.NewFlagSet("stampede", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.input, "input", "", "read the Go files under `DIR`; by default those of the standard library")
	flags.BoolVar(&o.json, "json", false, "write JSON instead of a table")
	flags.StringVar(&o.svg, "svg", "", "write a chart of the queries over time to `FILE`")
	flags.StringVar(&o.addr, "addr", "127.0.0.1:0", "serve on the loopback `ADDR`; port 0 is any that is free")
	flags.StringVar(&o.listen, "listen", "", "serve a live page of the flights on `ADDR`, and keep the service under load until Ctrl-C")
	flags.IntVar(&o.plan.Clients, "clients", 64, "how many clients there are")
	flags.DurationVar(&o.plan.Duration, "duration", 7*time.Second, "how long they send requests in each dress")
	flags.IntVar(&o.plan.Requests, "requests", 0, "how many requests each sends at most; 0: as many as the duration allows")
	flags.Float64Var(&o.plan.Impatient, "impatient", 0.3, "the share of the clients that are impatient, 0 to 1")
	flags.DurationVar(&o.plan.Patience, "patience", 5*time.Millisecond, "when an impatient client hangs up")
	flags.DurationVar(&o.plan.Pause, "pause", 50*time.Millisecond, "the mean pause of a client before a request, at most the duration")
	flags.Float64Var(&o.plan.Skew, "skew", 1.2, "exponent of the Zipf distribution of the queries, more than 1")
	flags.Uint64Var(&o.plan.Seed, "seed", 1, "seed of the random numbers")
	flags.IntVar(&o.terms, "terms", 16, "how many different queries there are at most")
	flags.DurationVar(&o.expiry, "expiry", time.Second, "when an entry of the cache expires")
	return o, flags
}

func usage() string {
	var text strings.Builder
	text.WriteString(`Stampede sends a search service on this machine the same load four times: without deduplication, with
golang.org/x/sync/singleflight in two ways, and with package singleflight. It tells what reached the database,
and what the clients got. With -listen it keeps the service under load with package singleflight alone, for you to
watch the flights on a page. File names are relative to the folder it runs in (go -C examples runs it in examples).

`)
	_, flags := define()
	flags.SetOutput(&text)
	flags.PrintDefaults()
	text.WriteString("\nExit status: 0, 1 for a failure, 2 for arguments that make no sense, 130 after Ctrl-C.\n")
	return text.String()
}
