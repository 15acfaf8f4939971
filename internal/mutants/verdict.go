package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A stage is one way to run tests. They come in the order of what they cost.
type stage struct {
	name string
	args []string
}

var stageNames = []string{"own", "subject", "short", "all", "race"}

// stages returns those for a mutant.
func (t *tree) stages(m mutant, limit time.Duration) ([]stage, error) {
	short, long := fmt.Sprint("-timeout=", limit), fmt.Sprint("-timeout=", 4*limit)
	own, err := t.own(m)
	if err == nil {
		err = t.prepare(m.tests)
	}
	return []stage{
		{"own", slices.Concat([]string{"-short", short}, own)},
		{"subject", []string{"-short", short, "./" + subjectFolder}},
		{"short", []string{"-short", short, "."}},
		{"all", []string{long, "./..."}},
		{"race", []string{"-race", long, "."}},
	}, err
}

// own returns what is tested first: the packages that the mutant changes, by the
// tests that are inside them. These compile in a fraction of the time that those
// of package singleflight_test take, which must be compiled for each mutant too.
// The go command leaves them out if it is given a list of files.
func (t *tree) own(m mutant) (packages []string, err error) {
	for _, e := range m.edits {
		folder := path.Dir(e.file)
		if folder == "." {
			return t.inside()
		}
		packages = append(packages, "./"+folder)
	}
	return packages, nil
}

// internalTest ends the names of the files of tests inside package singleflight.
const internalTest = "_internal_test.go"

// inside returns the files of package singleflight, its own tests included.
func (t *tree) inside() (files []string, err error) {
	names, err := filepath.Glob(filepath.Join(t.dir, "*.go"))
	for _, name := range names {
		file := filepath.Base(name)
		if !strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, internalTest) {
			files = append(files, file)
		}
	}
	return files, err
}

// A verdict is what tests made of a mutant, or of the module.
type verdict struct {
	killed  bool
	by      string // the test that failed first, and how if it didn't just fail
	invalid string // what the compiler said, if it doesn't compile
}

// goTest is what all stages begin with. Most of a stage's time is the
// compiler's, which takes half as long without inlining and what debuggers need.
var goTest = []string{"test", "-json", "-failfast", "-vet=off", "-count=1", "-gcflags=-l -dwarf=false", "-ldflags=-w"}

// judge runs the tests of a stage in the tree.
func (t *tree) judge(ctx context.Context, s stage, limit time.Duration) (verdict, error) {
	// The limit of go test comes first, but for what it doesn't stop: building,
	// and processes that tests have started.
	limited, cancel := context.WithTimeout(ctx, 5*limit+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limited, "go", slices.Concat(goTest, s.args)...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.WaitDelay = 10 * time.Second
	inGroup(cmd)
	defer killGroup(cmd)
	var output, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &complaints
	failure := cmd.Run()
	if failure != nil && limited.Err() != nil {
		return verdict{killed: true, by: "the tests don't end"}, ctx.Err()
	}
	v, err := readVerdict(&output)
	if err == nil && failure != nil && !v.killed && v.invalid == "" {
		err = fmt.Errorf("go test: %w\n%s", failure, complaints.String())
	}
	return v, err
}

// An event is a line of the output of go test -json.
type event struct {
	Action, Package, Test, Output string
}

// readVerdict reads the output of go test -json.
func readVerdict(output io.Reader) (verdict, error) {
	var v verdict
	var running []string // tests that haven't ended
	var failed, how string
	for events := json.NewDecoder(output); ; {
		var e event
		if err := events.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return v, err
		}
		top, _, below := strings.Cut(e.Test, "/")
		switch e.Action {
		case "run":
			if !below {
				running = append(running, top)
			}
		case "pass", "skip":
			if !below {
				running = slices.DeleteFunc(running, func(test string) bool { return test == top })
			}
		case "fail":
			v.killed = true
			if failed == "" {
				failed = top
			}
		case "output":
			if how == "" {
				how = ending(e.Output)
			}
		case "build-output":
			v.invalid += e.Output
		case "build-fail":
			v.killed = false
			return v, nil
		}
	}
	if failed == "" {
		failed = strings.Join(running, ", ")
	}
	v.by, v.invalid = strings.TrimPrefix(failed+how, ", "), ""
	return v, nil
}

// ending tells how a test binary ends that prints the line, if not by reporting
// which tests failed.
func ending(line string) string {
	switch {
	case strings.HasPrefix(line, "panic: test timed out"), // or those of a bubble, or all:
		strings.HasPrefix(line, "panic: deadlock:"),
		strings.HasPrefix(line, "fatal error: all goroutines are asleep"):
		return ", which hangs"
	case strings.HasPrefix(line, "fatal error:"), strings.HasPrefix(line, "panic:"):
		return ", which crashes"
	case strings.HasPrefix(line, "WARNING: DATA RACE"):
		return ", data race"
	}
	return ""
}
