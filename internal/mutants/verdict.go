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
	"slices"
	"strings"
	"time"
)

// A stage is one way to run tests. They come in the order of what they cost.
type stage struct {
	name string
	args []string
}

func stages(limit time.Duration, race bool) []stage {
	short, long := fmt.Sprint("-timeout=", limit), fmt.Sprint("-timeout=", 3*limit)
	all := []stage{
		{"short", []string{"-short", short, "."}},
		{"all", []string{long, "./..."}},
	}
	if race {
		all = append(all, stage{"race", []string{"-race", long, "."}})
	}
	return all
}

// own is the stage of the tests in the folders that the mutant changes, if none
// of them is the module's, whose tests take longer.
func own(m mutant, limit time.Duration) (s stage, ok bool) {
	s = stage{"own", []string{"-short", fmt.Sprint("-timeout=", limit)}}
	for _, e := range m.edits {
		folder := path.Dir(e.file)
		if folder == "." {
			return s, false
		}
		s.args = append(s.args, "./"+folder)
	}
	return s, true
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
	limited, cancel := context.WithTimeout(ctx, 4*limit+2*time.Minute)
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
