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
		{[]string{"-load", ""}, "-load"},
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
		{"-load x", ""},
		{"-load x -docs d", "d"},
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

// A run of minutes finds out before it begins that its documents can't be
// written. The tables are printed even if they fail later.
func TestDocumentsThatFail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-only", "^Do, unshared", "-docs", file}, &stdout, &stderr); code != 1 || stdout.Len() > 0 {
		t.Errorf("exit code %d, printed %q; want 1 and nothing", code, stdout.String())
	}
	if err := publish(options{docs: file}, canned(), &stdout); err == nil || !strings.Contains(stdout.String(), "Do, unshared, one goroutine") {
		t.Errorf("error %v, printed %q; want an error and the tables", err, stdout.String())
	}
}

func TestLoadChecksWhatItReads(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "no results",
		`{"Results":{"Rows":[{"Work":"x","This":[1],"Peer":[],"Bare":[1]}]}}`:       `row "x"`,
		`{"Results":{"Curves":[{"Title":"x","Series":[{"Name":"this"}]}]}}`:         `curve "x"`,
		`{"Results":{"Curves":[{"Title":"x","Series":[{"Points":[{"Size":7}]}]}]}}`: "at 7",
		`{"Results":{"Grids":[{"Title":"x","Columns":["this"],"Rows":[{}]}]}}`:      `grid "x"`,
		`{`: "unexpected end",
	} {
		file := filepath.Join(t.TempDir(), "saved.json")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		code := run([]string{"-load", file}, &stdout, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), want) || !strings.Contains(stderr.String(), file) {
			t.Errorf("%s: exit code %d, message %q, which lacks %s or the file", text, code, stderr.String(), want)
		}
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
