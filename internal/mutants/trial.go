package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A trial runs the tests against mutants.
type trial struct {
	original *tree
	judging  sync.Mutex // the original
	last     string     // stage
	limit    time.Duration

	mu                     sync.Mutex // guards what follows
	passed                 map[string]func() error
	out                    io.Writer
	killed, excused, wrong int
}

// all tries the mutants, as many at once as there are trees.
func (t *trial) all(ctx context.Context, trees []*tree, mutants []mutant) error {
	began := time.Now()
	first, err := t.original.stages(mutants[0], t.limit)
	if err != nil {
		return err
	}
	if err := t.pass(ctx, first[0], nil); err != nil {
		return err
	}
	fmt.Fprint(t.out, "| mutant | breaks | killed by | stage | time |\n|---|---|---|---|---|\n")
	if err := t.spread(ctx, trees, mutants); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "\n%d mutants: %d killed, %d survived for a reason, %d otherwise; in %v\n",
		len(mutants), t.killed, t.excused, t.wrong, time.Since(began).Round(time.Second))
	if t.wrong > 0 {
		return errors.New("some mutants survived, or are no use")
	}
	return nil
}

// spread has each tree become the next mutant as soon as it is done with one.
func (t *trial) spread(ctx context.Context, trees []*tree, mutants []mutant) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var begun atomic.Int64
	var workers sync.WaitGroup
	for _, tree := range trees {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(begun.Add(1)) - 1
				if i >= len(mutants) {
					return
				}
				if err := t.one(ctx, tree, mutants[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// one tries one mutant.
func (t *trial) one(ctx context.Context, tree *tree, m mutant) error {
	began := time.Now()
	undo, err := tree.become(m)
	if err != nil {
		return err
	}
	v, stage, err := t.judge(ctx, tree, m)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	t.report(m, v, stage, time.Since(began))
	return undo()
}

// report writes a mutant's line of the table.
func (t *trial) report(m mutant, v verdict, stage string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
	fmt.Fprintf(t.out, "| %s | %s | %s | %s | %.0f s |\n", m.name, strings.Join(m.breaks, ", "), by, stage, took.Seconds())
}

// judge runs the stages until one kills the mutant.
func (t *trial) judge(ctx context.Context, tree *tree, m mutant) (v verdict, name string, err error) {
	stages, err := tree.stages(m, t.limit)
	if err != nil {
		return v, "", err
	}
	for _, s := range stages {
		if err := t.pass(ctx, s, m.tests); err != nil {
			return v, "", err
		}
		v, err = tree.judge(ctx, s, t.limit)
		if err != nil || v.killed || v.invalid != "" {
			return v, s.name, err
		}
		if s.name == t.last {
			break
		}
	}
	return v, "", nil
}

// pass returns an error if tests of a stage fail without a mutant: they would
// kill every one. tests are those of the subject. It finds that out once.
func (t *trial) pass(ctx context.Context, s stage, tests []string) error {
	t.mu.Lock()
	args := strings.Join(s.args, " ")
	if s.name == "subject" {
		args += " " + strings.Join(tests, " ")
	}
	passed := t.passed[args]
	if passed == nil {
		passed = sync.OnceValue(func() error {
			t.judging.Lock()
			defer t.judging.Unlock()
			if err := t.original.prepare(tests); err != nil {
				return err
			}
			v, err := t.original.judge(ctx, s, t.limit)
			if err == nil && (v.killed || v.invalid != "") {
				err = fmt.Errorf("without any mutant: %s%s", v.by, v.invalid)
			}
			return err
		})
		t.passed[args] = passed
	}
	t.mu.Unlock()
	return passed()
}
