package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestArgumentsThatAreWrong(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // in the message
	}{
		{[]string{"-nosuch"}, "-nosuch"},
		{[]string{"-pairs", "0"}, "-pairs"},
		{[]string{"-pairs", "many"}, "-pairs"},
		{[]string{"-check", "-pairs", "3"}, "-pairs"},
		{[]string{"-time", "0s"}, "-time"},
		{[]string{"-time", "long"}, "-time"},
		{[]string{"-only", "("}, "-only"},
		{[]string{"-only", "no such work"}, "-only"},
		{[]string{"-only", "no such work"}, "Do, unshared, one goroutine"},
		{[]string{"-load", "x", "-short"}, "-short"},
		{[]string{"-load", "x", "-save", "y"}, "-save"},
		{[]string{"everything"}, `"everything"`},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(test.args, &stdout, &stderr); code != 2 {
			t.Errorf("%q: exit code %d, want 2", test.args, code)
		}
		if !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%q: message %q doesn't name %s", test.args, stderr.String(), test.want)
		}
		if stdout.Len() > 0 {
			t.Errorf("%q: printed %q", test.args, stdout.String())
		}
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-h"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, name := range []string{"-short", "-check", "-only", "-pairs", "-time", "-docs", "-save", "-load"} {
		if !strings.Contains(stderr.String(), name) {
			t.Errorf("the flags printed lack %s", name)
		}
	}
}

func TestWhereDocumentsGo(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
	}{
		{"", "../docs"},
		{"-check", "../docs"},
		{"-short", ""},
		{"-only Do", ""},
		{"-short -docs d", "d"},
		{"-docs d", "d"},
	} {
		o, err := parse(strings.Fields(test.args), &bytes.Buffer{})
		if err != nil || o.docs != test.want {
			t.Errorf("%q: documents go to %q (error %v), want %q", test.args, o.docs, err, test.want)
		}
	}
}

func TestCommandShown(t *testing.T) {
	o, err := parse([]string{"-only", "Do, unshared", "-docs", "/some/where", "-short"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "go -C benchmarks run ./report -only 'Do, unshared' -short"; o.command != want {
		t.Errorf("command is %q, want %q", o.command, want)
	}
}

// A real run, as short as can be, and its files.
func TestMeasureOneRow(t *testing.T) {
	dir := t.TempDir()
	saved := filepath.Join(dir, "saved.json")
	var stdout, stderr bytes.Buffer
	args := []string{"-only", "^Do, unshared", "-pairs", "2", "-time", "1ms", "-docs", dir, "-save", saved}
	if code := run(args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if !strings.Contains(stdout.String(), "Do, unshared, one goroutine") || strings.Contains(stdout.String(), "distinct keys") {
		t.Errorf("printed\n%s\nwant one row", stdout.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("progress %q on something that is no terminal", stderr.String())
	}
	for _, name := range []string{"benchmarks.md", "benchmarks-bars.svg"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}

	var again bytes.Buffer
	if code := run([]string{"-load", saved, "-docs", dir}, &again, &stderr); code != 0 {
		t.Fatalf("loading: exit code %d: %s", code, stderr.String())
	}
	if again.String() != stdout.String() {
		t.Errorf("loaded tables differ:\n%s\nwant\n%s", again.String(), stdout.String())
	}
}

func TestFilesThatFail(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "file")
	for _, args := range [][]string{
		{"-load", missing},
		{"-only", "^Do, unshared", "-save", missing},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != 1 {
			t.Errorf("%q: exit code %d, want 1", args, code)
		}
		if !strings.Contains(stderr.String(), missing) {
			t.Errorf("%q: message %q doesn't name the file", args, stderr.String())
		}
	}
}
