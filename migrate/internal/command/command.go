// Package command is the program singleflightmigrate.
package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/lint"
)

const usage = `usage: singleflightmigrate [flags] [packages]

Moves a program to github.com/seed-737f55c4/singleflight from
golang.org/x/sync/singleflight, resenje.org/singleflight,
tailscale.com/util/singleflight or github.com/golang/groupcache/singleflight,
and finds mistakes in the use of any of them. Without -fix it changes nothing
and says what it would do.

The steps, of which -steps takes a list:

	types    the import, Group to Group[string, any], Result to Result[any]
	values   Group[string, any] to Group[string, T], where all functions return
	         a T; the assertions go
	context  DoChan with a select on a context, and Do whose function uses its
	         caller's context, to DoContext; this changes what the program does
	lint     looks for mistakes in what the steps before it left

It prints what it did or would do, what it left and why, what there is to know
(note), and what lint found. The exit status is 0 if there is nothing to do, 1 if
there is, something was left or found, or it failed, and 2 for a wrong command
line. With go vet -vettool or go fix -fixtool it is their tool; docs/migrating.md
of the repository says how.

The flags:
`

// Main runs the program in dir with args and returns its exit status.
func Main(dir string, args []string, stdout, stderr io.Writer) int {
	c := &command{dir: dir, stdout: stdout}
	flags := flag.NewFlagSet("singleflightmigrate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	steps := flags.String("steps", "types,values", "the `steps` to take, separated by commas")
	flags.BoolVar(&c.fix, "fix", false, "write the changes")
	flags.BoolVar(&c.diff, "diff", false, "print the changes as a diff instead")
	flags.BoolVar(&c.json, "json", false, "print what there is to say as JSON")
	flags.BoolVar(&c.dropin, "dropin", false, "import the package with the old names, dropin/singleflight, in step types")
	flags.BoolVar(&c.exported, "exported", false, "change exported groups too in step values: programs that use this module may have to follow")
	flags.StringVar(&c.version, "version", "latest", "the `version` of this module to require in go.mod")
	tags := flags.String("tags", "", "build `tags`, as of go build")
	explain := flags.String("explain", "", "tell about the `check` of lint with this name, or about all")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *explain != "" {
		text, ok := lint.Explain(*explain)
		if !ok {
			fmt.Fprintf(stderr, "singleflightmigrate: no check %q; there are %s\n", *explain, strings.Join(lint.Names(), ", "))
			return 2
		}
		fmt.Fprint(stdout, text)
		return 0
	}
	c.steps = strings.Split(*steps, ",")
	for _, step := range c.steps {
		if !slices.Contains(allSteps, step) {
			fmt.Fprintf(stderr, "singleflightmigrate: no step %q; there are %s\n", step, strings.Join(allSteps, ", "))
			return 2
		}
	}
	if c.fix && c.diff {
		fmt.Fprintln(stderr, "singleflightmigrate: -fix writes the changes and -diff prints them: take one")
		return 2
	}
	if *tags != "" {
		c.tags = []string{"-tags=" + *tags}
	}
	c.patterns = flags.Args()
	if len(c.patterns) == 0 {
		c.patterns = []string{"."}
	}
	todo, err := c.run()
	if err != nil {
		fmt.Fprintf(stderr, "singleflightmigrate: %v\n", err)
		return 1
	}
	if todo {
		return 1
	}
	return 0
}
