// Mutants checks the tests. It breaks a copy of the module in one of many
// ways, runs the tests there, and tells which test noticed it; then in the
// next way.
//
//	go run ./internal/mutants [-list] [-run regexp] [-limit 2m] [-race=false]
//
// The ways are in the folder list. They are what a tool doesn't come up with:
// steps in a wrong order, dropped checks, lost wake-ups, locks that are let go
// of early, references that are kept.
//
// For each mutant it runs the tests of the package with -short; if they pass,
// all tests of the module; if they pass too, those of the package under the
// race detector. The tests of an internal package that the mutant is in come
// before these. A test that hangs kills a mutant as one that fails does. It
// writes a line of a table for each mutant when that is done, and exits with 1
// if one survived that the list gives no reason for, or didn't compile, and
// with 2 if its arguments make no sense.
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
	limit   time.Duration
	race    bool
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
	flags.DurationVar(&o.limit, "limit", 2*time.Minute, "how long the tests of the package may take with -short; without it three times as long")
	flags.BoolVar(&o.race, "race", true, "use the race detector on those that survive without it")
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

// try runs the tests against the mutants, in a copy of the module that is gone
// when it returns.
func try(ctx context.Context, o *options, out io.Writer) error {
	module, err := moduleFolder(ctx)
	if err != nil {
		return err
	}
	t, err := copyModule(module)
	if err != nil {
		return err
	}
	defer t.remove()
	return (&trial{tree: t, stages: stages(o.limit, o.race), limit: o.limit, out: out}).all(ctx, o.mutants)
}

// moduleFolder returns the folder of the module that this program was started
// in.
func moduleFolder(ctx context.Context) (string, error) {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(file))), err
}

// A trial runs the tests against mutants.
type trial struct {
	tree   *tree
	stages []stage
	limit  time.Duration
	out    io.Writer

	killed, excused, wrong int
}

// all tries the mutants, after the module itself: a test that fails there kills
// every mutant.
func (t *trial) all(ctx context.Context, mutants []mutant) error {
	began := time.Now()
	for _, s := range t.stages[:min(2, len(t.stages))] {
		v, err := t.tree.judge(ctx, s, t.limit)
		if err != nil {
			return err
		}
		if v.killed || v.invalid != "" {
			return fmt.Errorf("the tests fail without any mutant: %s%s", v.by, v.invalid)
		}
	}
	fmt.Fprint(t.out, "| mutant | breaks | killed by | stage | time |\n|---|---|---|---|---|\n")
	for _, m := range mutants {
		if err := t.one(ctx, m); err != nil {
			return err
		}
	}
	fmt.Fprintf(t.out, "\n%d mutants: %d killed, %d survived for a reason, %d otherwise; in %v\n",
		len(mutants), t.killed, t.excused, t.wrong, time.Since(began).Round(time.Second))
	if t.wrong > 0 {
		return errors.New("some mutants survived, or are no use")
	}
	return nil
}

// one tries one mutant.
func (t *trial) one(ctx context.Context, m mutant) error {
	began := time.Now()
	undo, err := t.tree.become(m)
	if err != nil {
		return err
	}
	v, stage, err := t.judge(ctx, m)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	by := v.by
	switch {
	case v.invalid != "":
		by = "**doesn't compile:** " + strings.ReplaceAll(strings.TrimSpace(v.invalid), "\n", " ")
		t.wrong++
	case v.killed && m.equivalent != "":
		by = "**killed, although no test can tell it:** " + by
		t.wrong++
	case v.killed:
		t.killed++
	case m.equivalent != "":
		by = "none: " + m.equivalent
		t.excused++
	default:
		by = "**survived**"
		t.wrong++
	}
	fmt.Fprintf(t.out, "| %s | %s | %s | %s | %.0f s |\n", m.name, strings.Join(m.breaks, ", "), by, stage, time.Since(began).Seconds())
	return undo()
}

// judge runs the stages until one kills the mutant.
func (t *trial) judge(ctx context.Context, m mutant) (v verdict, name string, err error) {
	stages := t.stages
	if s, ok := own(m, t.limit); ok {
		stages = slices.Insert(slices.Clone(stages), 0, s)
	}
	for _, s := range stages {
		v, err = t.tree.judge(ctx, s, t.limit)
		if err != nil || v.killed || v.invalid != "" {
			return v, s.name, err
		}
	}
	return v, "", nil
}
