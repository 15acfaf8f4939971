// Stampede shows what package singleflight is for: a hot cache entry expires, and every request reaches the database at once.
//
// It parses the Go standard library's own source, or another tree of Go files, into a SQLite database with full-text
// search, serves searches in it over HTTP on a loopback port, from a cache whose entries expire, and sends the service the
// load of many clients, of which some hang up after a few milliseconds. It does so four times, with the same load and an
// empty cache at the start, and what differs is how the service handles requests for an answer that the cache doesn't have:
//
//   - no deduplication: each request has its own query;
//   - x/sync Do: golang.org/x/sync/singleflight, with the context of the request that came first passed to the query;
//   - x/sync DoChan: the same with DoChan and select, and with all that has to be written around them;
//   - this package: DoContext.
//
// The program checks itself. If under this package a client's request failed through somebody else's hang-up, or two
// queries for one key ran at once, or a request failed at all, it says so and fails.
//
// # What happens to a query that nobody waits for
//
// Under this package it goes on (Options.CancelAbandoned is not set), since its answer goes into the cache, and the next
// request for a hot key is never far. Cancelled, it would have cost the database as much until then, for nothing, and a key
// whose first requests are impatient ones would be begun again and again. CancelAbandoned is for answers that are of no use
// to anybody but their callers.
//
// Either way there are never two queries for one key at once. So if the database doesn't answer at all, the requests for
// a key wait for its one query, and no further queries are piled up behind it. What ends the wait is the limit on a query
// (Options.FlightTimeout, and a context with a timeout in the other dresses), which counts as a failure, not as somebody's
// hang-up, and for each request its own client.
//
// # Watching
//
// With -listen the program doesn't compare. It keeps the service under load in the dress of this package, and serves a page
// of package flightz, whose address it prints, until Ctrl-C:
//
//	go -C examples run ./stampede -listen localhost:0
//
// # Ending
//
// Ctrl-C ends it at any moment: callers detach, Group.Wait drains the flights, and the database is closed after that. Should
// queries still run when the time for that is over, the program says so and leaves the database open under them.
//
// The exit status is 0, 1 for a failure, 2 for arguments that make no sense, and 130 after Ctrl-C, but 0 after that of a
// person who watched.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/database"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/dress"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/progress"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/report"
)

// Exit statuses.
const (
	success     = 0
	failure     = 1
	misuse      = 2
	interrupted = 130 // as a shell says it of a program that SIGINT ended
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	p := &program{
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		watcher: progress.On(os.Stderr),
		cache:   cacheFolder,
		source:  standardLibrary,
		search:  (*database.Database).Search,
		dresses: dress.All(),
		limits:  limits{query: 20 * time.Second, grace: 25 * time.Second, drain: 25 * time.Second},
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// A program is one run of the command, with what it takes from the machine.
type program struct {
	stdout, stderr io.Writer
	watcher        progress.Watcher
	cache          func() (string, error)                // the folder for databases
	source         func(context.Context) (string, error) // the tree to read if the arguments name none
	search         func(*database.Database, context.Context, string) (*database.Answer, error)
	dresses        []dress.Dress
	limits         limits
}

// limits bound what a machine in order never comes near.
type limits struct {
	query time.Duration // how long a query may run
	grace time.Duration // how long a client waits for its last answer when the load is over
	drain time.Duration // how long to wait for queries that still run
}

// run does what the arguments say, and gives the exit status.
func (p *program) run(ctx context.Context, arguments []string) int {
	options, err := parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(p.stdout, usage())
		return success
	case err != nil:
		p.say("%v\nRun it with -h to see what it takes.", err)
		return misuse
	}
	var report *report.Report
	if options.listen != "" {
		err = p.watch(ctx, options)
	} else {
		report, err = p.play(ctx, options)
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		p.say("interrupted")
		return interrupted
	case err != nil:
		p.say("%v", err)
		return failure
	case report == nil:
		return success
	}
	if options.json {
		err = report.JSON(p.stdout)
	} else {
		err = report.Text(p.stdout)
	}
	status := success
	if err != nil {
		p.say("%v", err)
		status = failure
	}
	if options.svg != "" {
		if err := draw(report, options.svg); err != nil {
			p.say("%v", err)
			status = failure
		}
	}
	for _, fault := range report.Faults {
		p.say("this must not happen: %s", fault)
		status = failure
	}
	return status
}

// say writes a message for the user.
func (p *program) say(format string, values ...any) {
	fmt.Fprintf(p.stderr, "stampede: "+format+"\n", values...)
}

func cacheFolder() (string, error) {
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the cache: %w", err)
	}
	return filepath.Join(folder, "singleflight-stampede"), nil
}

func standardLibrary(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("where is the standard library? go env GOROOT: %w; -input names another tree", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "src"), nil
}
