package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// options is what the arguments ask for.
type options struct {
	settings measure.Settings
	command  string // that measures the same again
	parts    []measure.Part
	check    bool
	docs     string // directory; empty: write none
	save     string // file
	load     string // file
}

// parse reads the arguments. Its errors name the flag that is wrong; for -h it
// prints the flags and returns flag.ErrHelp.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	short := flags.Bool("short", false, "measure for about two minutes: shorter runs, and curves that end earlier")
	flags.BoolVar(&o.check, "check", false, "exit with 1, naming them, if bars are missed")
	only := flags.String("only", "", "measure only what has a name that matches the `regexp`")
	pairs := flags.Int("pairs", 0, "how `often` to measure each row, in turn with its peer (default 7, with -short 5)")
	length := flags.Duration("time", 0, "how `long` to measure one row once (default 500ms, with -short 50ms)")
	docs := flags.String("docs", "../docs", "the `directory` to write benchmarks.md and the charts to; with -short, -only or -load nothing is written unless this is given")
	flags.StringVar(&o.save, "save", "", "write what was measured to the `file`, for -load")
	flags.StringVar(&o.load, "load", "", "measure nothing, and report what -save wrote to the `file`")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "Usage of report:")
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	given := map[string]bool{}
	o.command = "go -C benchmarks run ./report"
	flags.Visit(func(f *flag.Flag) {
		given[f.Name] = true
		switch f.Name {
		case "docs", "save", "load": // files of this machine, which change no figure
		case "short", "check":
			o.command += " -" + f.Name
		default:
			o.command += " -" + f.Name + " '" + strings.ReplaceAll(f.Value.String(), "'", `'\''`) + "'"
		}
	})

	if given["load"] {
		if o.load == "" {
			return o, errors.New("flag -load: no file")
		}
		for _, name := range []string{"short", "only", "pairs", "time", "save"} {
			if given[name] {
				return o, fmt.Errorf("flags -load and -%s exclude each other", name)
			}
		}
	}
	o.settings = measure.Full
	if *short {
		o.settings = measure.Short
	}
	if given["pairs"] {
		if *pairs < 1 {
			return o, fmt.Errorf("flag -pairs: %d is less than 1", *pairs)
		}
		o.settings.Pairs = *pairs
	}
	if o.check && o.settings.Pairs < fewestRuns {
		return o, fmt.Errorf("flag -pairs: -check needs %d at least, not %d", fewestRuns, *pairs)
	}
	if given["time"] {
		if *length < time.Microsecond {
			return o, fmt.Errorf("flag -time: %v is too short", *length)
		}
		o.settings.Time = *length
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return o, fmt.Errorf("flag -only: %w", err)
	}
	o.parts = measure.Select(pattern.MatchString)
	if len(o.parts) == 0 {
		return o, fmt.Errorf("flag -only: nothing matches %q; there are:\n\t%s", *only, strings.Join(names(), "\n\t"))
	}
	if given["docs"] || !*short && !given["only"] && !given["load"] {
		o.docs = *docs
	}
	return o, nil
}

// names returns the names of all that can be measured.
func names() []string {
	var all []string
	for _, p := range measure.Select(func(string) bool { return true }) {
		all = append(all, p.Name)
	}
	return all
}
