package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "../.."

// The lines that a mutant replaces are in the module, once, and what comes of
// it is Go: otherwise the list has fallen behind.
func TestMutantsApply(t *testing.T) {
	all, err := mutants()
	if err != nil {
		t.Fatal(err)
	}
	sources := make(map[string]string)
	read := func(file string) (string, error) {
		if source, ok := sources[file]; ok {
			return source, nil
		}
		contents, err := os.ReadFile(filepath.Join(module, filepath.FromSlash(file)))
		sources[file] = string(contents)
		return sources[file], err
	}
	for _, m := range all {
		for _, file := range m.tests {
			if _, err := read(file); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
		if len(m.tests) == 0 {
			t.Errorf("%s: its file names no tests", m.name)
		}
		mutated, err := m.mutate(read)
		if err != nil {
			t.Error(err)
			continue
		}
		for file, source := range mutated {
			if source == sources[file] {
				t.Errorf("%s: %s stays as it is", m.name, file)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
}

// Each mutant has a name of its own and breaks something, and each clause is
// broken by one.
func TestEachClauseIsBroken(t *testing.T) {
	all, err := mutants()
	if err != nil {
		t.Fatal(err)
	}
	names, broken := make(map[string]bool), make(map[string]bool)
	for _, m := range all {
		if names[m.name] {
			t.Errorf("%s: the name is there twice", m.name)
		}
		names[m.name] = true
		if strings.Contains(m.name, "|") || len(m.breaks) == 0 {
			t.Errorf("%s: breaks nothing, or would break the table", m.name)
		}
		for _, b := range m.breaks {
			broken[b] = true
			if n, err := strconv.Atoi(b); b != "Stats" && b != "Trace" && (err != nil || n < 1 || n > clauses) {
				t.Errorf("%s: there is no clause %q", m.name, b)
			}
		}
	}
	for n := range clauses {
		if !broken[strconv.Itoa(n+1)] {
			t.Errorf("no mutant breaks clause %d", n+1)
		}
	}
}

// clauses is the number of the contract's clauses.
const clauses = 26

func TestParse(t *testing.T) {
	got, err := parse(`# a comment
tests: a_test.go b_test.go

=== one
breaks: 1, Trace
--- a.go
	old
	lines
+++
	new

=== two
breaks: 2
equivalent: because
--- a.go
gone
+++
--- b.go
x
+++
y
z
`)
	if err != nil {
		t.Fatal(err)
	}
	tests := []string{"a_test.go", "b_test.go"}
	want := []mutant{
		{name: "one", breaks: []string{"1", "Trace"}, tests: tests, edits: []edit{{"a.go", "\told\n\tlines", "\tnew"}}},
		{name: "two", breaks: []string{"2"}, equivalent: "because", tests: tests, edits: []edit{{"a.go", "gone", ""}, {"b.go", "x", "y\nz"}}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mutant{}, edit{})); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{
		"=== no replacement\nbreaks: 1",
		"=== nothing to replace\nbreaks: 1\n--- a.go\n+++\nx",
		"=== unknown field\nclause: 1\n--- a.go\nx\n+++\ny",
	} {
		if _, err := parse(wrong); err == nil {
			t.Errorf("no error for:\n%s", wrong)
		}
	}
}

// docs/reliability.md has a row for each mutant, and says how many there are.
func TestReliabilityListsTheMutants(t *testing.T) {
	all, err := mutants()
	if err != nil {
		t.Fatal(err)
	}
	contents, err := os.ReadFile(filepath.Join(module, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	document := string(contents)
	for _, m := range all {
		row := "| " + m.name + " | " + strings.Join(m.breaks, ", ") + " | "
		if n := strings.Count(document, "\n"+row); n != 1 {
			t.Errorf("%d rows begin with %q", n, row)
		}
	}
	if count := "has " + strconv.Itoa(len(all)) + " faults"; !strings.Contains(document, count) {
		t.Errorf("the text doesn't say that the list %s", count)
	}
}
