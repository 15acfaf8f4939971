package main

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// The list of mutants is in files of this form:
//
//	# what begins with this is a comment, above the first mutant
//	tests: the files of tests that are the likeliest to notice the mutants below
//
//	=== what is wrong with the mutant
//	breaks: the clauses that don't hold in it, or Stats, or Trace
//	equivalent: why no test can tell, if none can
//	--- file
//	lines of the file, as they are
//	+++
//	lines to be there instead
//
// with any number of replacements for a mutant. The lines, without the last
// one's end, must be in the file exactly once when their turn comes; the first
// and the last may be parts of lines.
//
//go:embed list
var list embed.FS

// A mutant is the module with a fault.
type mutant struct {
	name       string
	breaks     []string // numbers of clauses, or Stats, or Trace
	equivalent string   // the reason if no test can tell it from the module
	tests      []string // files
	edits      []edit
}

// An edit is a replacement in a file.
type edit struct{ file, old, new string }

// mutants returns the mutants of the list.
func mutants() ([]mutant, error) {
	var all []mutant
	err := fs.WalkDir(list, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := list.ReadFile(name)
		if err != nil {
			return err
		}
		some, err := parse(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, some...)
		return nil
	})
	return all, err
}

// parse reads one file of the list.
func parse(text string) ([]mutant, error) {
	above, text, _ := strings.Cut("\n"+text, "\n=== ")
	if text == "" {
		return nil, nil
	}
	var tests []string
	for line := range strings.Lines(above) {
		if files, ok := strings.CutPrefix(line, "tests: "); ok {
			tests = strings.Fields(files)
		}
	}
	var all []mutant
	for block := range strings.SplitSeq(text, "\n=== ") {
		head, rest, _ := strings.Cut(strings.TrimRight(block, "\n"), "\n--- ")
		m, err := parseHead(head)
		if err != nil {
			return nil, err
		}
		m.tests = tests
		for change := range strings.SplitSeq(rest, "\n--- ") {
			file, lines, _ := strings.Cut(change, "\n")
			old, replacement, ok := strings.Cut(lines+"\n", "\n+++\n")
			if !ok || old == "" {
				return nil, fmt.Errorf("%s: a replacement without lines to replace, or without a +++", m.name)
			}
			m.edits = append(m.edits, edit{file, old, strings.TrimSuffix(replacement, "\n")})
		}
		all = append(all, m)
	}
	return all, nil
}

// parseHead reads the lines of a mutant above its replacements.
func parseHead(head string) (mutant, error) {
	name, fields, _ := strings.Cut(head, "\n")
	m := mutant{name: name}
	for line := range strings.Lines(fields) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch field {
		case "breaks":
			m.breaks = strings.Split(value, ", ")
		case "equivalent":
			m.equivalent = value
		default:
			return m, fmt.Errorf("%s: unknown field %q", name, field)
		}
	}
	return m, nil
}

// mutate returns the contents of the files that differ in the mutant. It reads
// the module by read.
func (m mutant) mutate(read func(file string) (string, error)) (map[string]string, error) {
	mutated := make(map[string]string)
	for _, e := range m.edits {
		source, ok := mutated[e.file]
		if !ok {
			var err error
			if source, err = read(e.file); err != nil {
				return nil, err
			}
		}
		if n := strings.Count(source, e.old); n != 1 {
			return nil, fmt.Errorf("%s: these lines are %d times in %s:\n%s", m.name, n, e.file, e.old)
		}
		mutated[e.file] = strings.Replace(source, e.old, e.new, 1)
	}
	return mutated, nil
}
