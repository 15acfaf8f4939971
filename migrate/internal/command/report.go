package command

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/diff"
	"github.com/seed-737f55c4/singleflight/migrate/internal/load"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// An entry is a line of the report, and an object of the JSON.
type entry struct {
	File    string          `json:"file"`
	Line    int             `json:"line"`
	Column  int             `json:"column"`
	Step    string          `json:"step"`
	Outcome program.Outcome `json:"outcome"`
	Message string          `json:"message"`
}

// report writes the changes or prints them, and prints the entries and their
// count.
func (c *command) report(changes []program.Change) (todo bool, err error) {
	if c.fix {
		if err := write(changes); err != nil {
			return false, err
		}
	}
	slices.SortStableFunc(c.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	count := map[program.Outcome]int{}
	for _, e := range c.entries {
		count[e.Outcome]++
	}
	todo = count[program.Left]+count[program.Found] > 0 || count[program.Done] > 0 && !c.fix
	if c.json {
		return todo, c.printJSON(changes, count)
	}
	if c.diff {
		for _, change := range changes {
			name := load.Rel(c.dir, change.Name)
			fmt.Fprint(c.stdout, diff.Unified(name, string(change.Before), string(change.After)))
		}
		return todo, nil
	}
	for _, e := range c.entries {
		fmt.Fprintf(c.stdout, "%s:%d:%d: %s: %s\n", e.File, e.Line, e.Column, c.label(e), e.Message)
	}
	fmt.Fprintln(c.stdout, c.summary(changes, count))
	return todo, nil
}

// label is what a line of the report begins with: what was done, and in which
// step.
func (c *command) label(e entry) string {
	switch {
	case e.Outcome == program.Done && !c.fix:
		return e.Step + ": to do"
	case e.Outcome == program.Found:
		return "lint: " + e.Step
	}
	return fmt.Sprintf("%s: %s", e.Step, e.Outcome)
}

func (c *command) summary(changes []program.Change, count map[program.Outcome]int) string {
	var counts []string
	add := func(outcome program.Outcome, text string) {
		if n := count[outcome]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, text))
		}
	}
	if c.fix {
		add(program.Done, "done")
	} else {
		add(program.Done, "to do")
	}
	add(program.Left, "left")
	add(program.Found, "found")
	add(program.Note, "to know")
	if counts == nil {
		return "nothing to do"
	}
	text := strings.Join(counts, ", ")
	switch {
	case c.fix && len(changes) > 0:
		text += fmt.Sprintf("; %s written", files(len(changes)))
	case len(changes) > 0:
		text += fmt.Sprintf("; %s to write: -fix does it, and -diff shows it", files(len(changes)))
	}
	return text
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func (c *command) printJSON(changes []program.Change, count map[program.Outcome]int) error {
	type changed struct {
		File string `json:"file"`
		Diff string `json:"diff"`
	}
	out := struct {
		Findings []entry                 `json:"findings"`
		Changes  []changed               `json:"changes"`
		Counts   map[program.Outcome]int `json:"counts"`
		Written  bool                    `json:"written"`
	}{Findings: c.entries, Counts: count, Written: c.fix && len(changes) > 0}
	for _, change := range changes {
		name := load.Rel(c.dir, change.Name)
		out.Changes = append(out.Changes, changed{name, diff.Unified(name, string(change.Before), string(change.After))})
	}
	encoder := json.NewEncoder(c.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	return encoder.Encode(out)
}
