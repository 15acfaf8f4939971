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
// if one survived that the list gives no reason for, or didn't compile.
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
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	show := flags.Bool("list", false, "show the mutants and run nothing")
	only := flags.String("run", "", "only the mutants whose names match this `regexp`")
	limit := flags.Duration("limit", 2*time.Minute, "how long the tests of the package may take with -short; without it three times as long")
	race := flags.Bool("race", true, "use the race detector on those that survive without it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	all, err := mutants()
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(all, func(m mutant) bool { return !pattern.MatchString(m.name) })
	if *show {
		for _, m := range chosen {
			fmt.Fprintf(out, "%s (breaks %s)\n", m.name, strings.Join(m.breaks, ", "))
		}
		return nil
	}
	module, err := moduleFolder(ctx)
	if err != nil {
		return err
	}
	t, err := copyModule(module)
	if err != nil {
		return err
	}
	defer t.remove()
	return (&trial{tree: t, stages: stages(*limit, *race), limit: *limit, out: out}).all(ctx, chosen)
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
