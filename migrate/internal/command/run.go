package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/contextstep"
	"github.com/seed-737f55c4/singleflight/migrate/internal/diff"
	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/gomod"
	"github.com/seed-737f55c4/singleflight/migrate/internal/lint"
	"github.com/seed-737f55c4/singleflight/migrate/internal/load"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
	"github.com/seed-737f55c4/singleflight/migrate/internal/typestep"
	"github.com/seed-737f55c4/singleflight/migrate/internal/valuestep"
)

var allSteps = []string{"types", "values", "context", "lint"}

type command struct {
	dir                string
	patterns           []string
	tags, steps        []string
	version            string
	fix, diff, json    bool
	dropin, exported   bool
	stdout             io.Writer
	module             *gomod.Module
	loaded             *load.Loaded
	required           bool
	missing            string            // what isn't loaded, to be said if something changes
	overlay, originals map[string][]byte // the changed files
	entries            []entry
}

// run takes the steps and reports whether something is left to do.
func (c *command) run() (todo bool, err error) {
	c.overlay, c.originals = map[string][]byte{}, map[string][]byte{}
	if c.changes() {
		if c.module, err = gomod.Open(c.dir); err != nil {
			return false, err
		}
		defer c.module.Close()
	}
	if c.loaded, err = c.load(); err != nil {
		return false, fmt.Errorf("this doesn't build, so it is left alone:\n%w", err)
	}
	for _, unseen := range c.loaded.Unseen {
		c.entries = append(c.entries, c.unseen(unseen))
	}
	if c.module != nil {
		if err := c.whole(); err != nil {
			return false, err
		}
	}
	for _, step := range allSteps {
		if slices.Contains(c.steps, step) {
			if err := c.step(step); err != nil {
				return false, err
			}
		}
	}
	changes, err := c.finish()
	if err != nil {
		return false, err
	}
	return c.report(changes)
}

// whole finds whether all packages of the module are loaded.
func (c *command) whole() error {
	all, err := c.module.Packages()
	if err != nil {
		return err
	}
	loaded := map[string]bool{}
	for _, f := range c.loaded.Files {
		loaded[strings.TrimSuffix(f.Pkg.Path(), "_test")] = true
	}
	missing := 0
	for _, path := range all {
		if !loaded[path] {
			missing++
		}
	}
	c.loaded.Whole = missing == 0
	if missing > 0 {
		c.missing = fmt.Sprintf("%d of the module's %d packages aren't looked at, and may use what changes: ./... has them all", missing, len(all))
	}
	return nil
}

// changes reports whether there is a step that changes files.
func (c *command) changes() bool {
	return slices.ContainsFunc(c.steps, func(step string) bool { return step != "lint" })
}

func (c *command) load() (*load.Loaded, error) {
	flags := c.tags
	if c.required {
		flags = append(slices.Clone(flags), c.module.Flags()...)
	}
	return load.Load(load.Config{Dir: c.dir, Patterns: c.patterns, Flags: flags, Overlay: c.overlay})
}

func (c *command) step(name string) error {
	p := c.loaded.Program
	var findings []program.Finding
	switch name {
	case "types":
		findings = typestep.Run(p, typestep.Options{Dropin: c.dropin})
	case "values":
		findings = valuestep.Run(p, valuestep.Options{Exported: c.exported})
	case "context":
		findings = contextstep.Run(p)
	case "lint":
		findings = lint.Run(p)
	}
	changes, err := program.Apply(p, findings)
	if err != nil {
		return err
	}
	for _, finding := range findings {
		c.entries = append(c.entries, c.entry(finding))
	}
	if len(changes) == 0 {
		return nil
	}
	for _, change := range changes {
		if _, ok := c.originals[change.Name]; !ok {
			c.originals[change.Name] = change.Before
		}
		c.overlay[change.Name] = change.After
	}
	if name == "types" && !c.required {
		if err := c.module.Require(c.version); err != nil {
			return fmt.Errorf("%s can't be required, and nothing was written: %w", flight.Path, err)
		}
		c.required = true
	}
	loaded, err := c.load()
	if err != nil {
		return fmt.Errorf("after step %s this doesn't build, and nothing was written:\n%w", name, err)
	}
	loaded.Whole = c.loaded.Whole
	c.loaded = loaded
	return nil
}

// finish returns all changes, those of go.mod and go.sum included.
func (c *command) finish() (changes []program.Change, err error) {
	for _, name := range slices.Sorted(maps.Keys(c.overlay)) {
		changes = append(changes, program.Change{Name: name, Before: c.originals[name], After: c.overlay[name]})
	}
	if len(changes) > 0 {
		c.note(c.missing)
	}
	if !c.required {
		return changes, nil
	}
	c.note(c.module.Raised())
	c.note(c.module.Tidy(changes))
	module, err := c.module.Changes()
	return append(changes, module...), err
}

func (c *command) note(message string) {
	if message != "" {
		c.entries = append(c.entries, entry{File: load.Rel(c.dir, c.module.Name()), Line: 1, Column: 1, Step: c.steps[0], Outcome: program.Note, Message: message})
	}
}

// entry makes an entry of a finding, with its place in the file as it is on
// disk.
func (c *command) entry(finding program.Finding) entry {
	position := c.loaded.Fset.Position(finding.Pos)
	e := entry{File: load.Rel(c.dir, position.Filename), Line: position.Line, Column: position.Column,
		Step: finding.Step, Outcome: finding.Outcome, Message: finding.Message}
	if original, ok := c.originals[position.Filename]; ok && !c.fix {
		now := string(c.overlay[position.Filename])
		if f := c.loaded.FileOf(finding.Pos); f != nil && f.Source != nil {
			now = string(f.Source)
		}
		if numbers := diff.Lines(string(original), now); e.Line < len(numbers) {
			e.Line = numbers[e.Line]
		}
	}
	return e
}

func (c *command) unseen(u program.Unseen) entry {
	return entry{File: load.Rel(c.dir, u.Name), Line: 1, Column: 1, Step: c.steps[0], Outcome: program.Left,
		Message: "this file isn't part of a build that can be had here: " + u.Reason}
}
