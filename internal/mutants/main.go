// Mutants checks the tests. It breaks a copy of the module in one of many
// ways, runs the tests there, and tells which test noticed it; then in the
// next way.
//
//	go run ./internal/mutants [-list] [-run regexp] [-j 2] [-limit 1m] [-last stage]
//
// The ways are in the folder list. They are what a tool doesn't come up with:
// steps in a wrong order, dropped checks, lost wake-ups, locks that are let go
// of early, references that are kept.
//
// For each mutant it runs the tests that are inside the packages that it
// changes; if they pass, those of the mutant's subject, then all of the package,
// with -short; then all of the module, without; and then those of the package
// under the race detector. -last says where it stops. A test that hangs kills a
// mutant as one that fails does.
//
// It works on as many mutants at once as -j says, each in a copy of its own,
// and writes a line of a table for each when that is done. It exits with 1 if
// one survived that the list gives no reason for, or didn't compile, and with 2
// if its arguments make no sense.
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
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit statuses.
const (
	success = 0
	failure = 1
	misuse  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run does what the arguments say, and gives the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	all, err := mutants()
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return failure
	}
	o, err := parseArgs(args, all)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage())
		return success
	case err != nil:
		fmt.Fprintf(stderr, "mutants: %v\nRun it with -h to see what it takes.\n", err)
		return misuse
	case o.list:
		show(stdout, o.mutants)
		return success
	}
	if err := try(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return failure
	}
	return success
}

// longest is the longest limit: a few times as long is still a duration.
const longest = 24 * time.Hour

// options are what the arguments say.
type options struct {
	list    bool
	only    string
	workers int
	limit   time.Duration
	last    string
	mutants []mutant // those that match only
}

// parseArgs reads the arguments. Its error is flag.ErrHelp or names the
// argument that makes no sense.
func parseArgs(args []string, all []mutant) (*options, error) {
	o, flags := define()
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	pattern, err := regexp.Compile(o.only)
	switch {
	case err != nil:
		return nil, fmt.Errorf("-run: %w", err)
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument: %s", flags.Arg(0))
	case !slices.Contains(stageNames, o.last):
		return nil, fmt.Errorf("-last: there is no stage %q", o.last)
	case o.workers <= 0:
		return nil, fmt.Errorf("-j: %d is not positive", o.workers)
	case o.limit <= 0:
		return nil, fmt.Errorf("-limit: %v is not positive", o.limit)
	case o.limit > longest:
		return nil, fmt.Errorf("-limit: %v is more than %v", o.limit, longest)
	}
	for _, m := range all {
		if pattern.MatchString(m.name) {
			o.mutants = append(o.mutants, m)
		}
	}
	if len(o.mutants) == 0 {
		return nil, fmt.Errorf("-run: no mutant matches %q", o.only)
	}
	return o, nil
}

func define() (*options, *flag.FlagSet) {
	o := new(options)
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.list, "list", false, "show the mutants and run nothing")
	flags.StringVar(&o.only, "run", "", "only the mutants whose names match this `regexp`")
	flags.IntVar(&o.workers, "j", 2, "try `n` mutants at once")
	flags.DurationVar(&o.limit, "limit", time.Minute, "how long the tests of the package may take with -short; without it four times as long")
	flags.StringVar(&o.last, "last", "race", "the last `stage` that those go through that survive the ones before: own, subject, short, all or race")
	return o, flags
}

func usage() string {
	var text strings.Builder
	text.WriteString("Mutants breaks a copy of the module in one way after another, and tells which test noticed.\n\n")
	_, flags := define()
	flags.SetOutput(&text)
	flags.PrintDefaults()
	text.WriteString("\nExit status: 0, 1 for a mutant that survived or a failure, 2 for arguments that make no sense.\n")
	return text.String()
}

// show lists the mutants.
func show(out io.Writer, mutants []mutant) {
	for _, m := range mutants {
		fmt.Fprintf(out, "%s (breaks %s)\n", m.name, strings.Join(m.breaks, ", "))
	}
}

// try runs the tests against the mutants, in copies of the module that are gone
// when it returns.
func try(ctx context.Context, o *options, out io.Writer) error {
	module, err := moduleFolder(ctx)
	if err != nil {
		return err
	}
	original, err := copyModule(module)
	if err != nil {
		return err
	}
	defer original.remove()
	var trees []*tree
	for range min(o.workers, len(o.mutants)) {
		t, err := copyModule(module)
		if err != nil {
			return err
		}
		defer t.remove()
		trees = append(trees, t)
	}
	t := &trial{original: original, last: o.last, limit: o.limit, out: out, passed: make(map[string]func() error)}
	return t.all(ctx, trees, o.mutants)
}

// moduleFolder returns the folder of the module that this program was started
// in.
func moduleFolder(ctx context.Context) (string, error) {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(file))), err
}
