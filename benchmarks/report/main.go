// Command report measures this library beside its peers and says which bars it
// misses.
//
// A full run writes benchmarks.md and its charts; -short and -only make shorter
// runs, which write nothing unless -docs says where. Run it with -h for its
// flags. It exits with 1 if -check finds a missed bar or the run fails, and with
// 2 if its arguments are wrong.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command without its process.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "report:", err)
		return 2
	}
	r, err := obtain(o, stderr)
	if err == nil {
		err = publish(o, r, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "report:", err)
		return 1
	}
	if o.check {
		return check(r, stderr)
	}
	return 0
}

// obtain measures, or loads what was measured before.
func obtain(o options, stderr io.Writer) (report, error) {
	// A run of minutes must not end with a directory that can't be written.
	if err := writable(o); err != nil {
		return report{}, err
	}
	if o.load != "" {
		return load(o.load)
	}
	bar := newProgress(stderr)
	defer bar.finish()
	started := time.Now()
	r := report{
		Started:  started,
		Command:  o.command,
		Machine:  thisMachine(),
		Versions: versions(),
		Results:  measure.Run(o.settings, o.parts, bar.step),
	}
	return r, nil
}

// publish writes the files that were asked for, and prints the tables, also if
// a file can't be written. The files come first: a reader of the tables may stop
// reading, which ends the process.
func publish(o options, r report, stdout io.Writer) error {
	var errs []error
	if o.save != "" {
		errs = append(errs, save(o.save, r))
	}
	if o.docs != "" {
		errs = append(errs, writeDocuments(o.docs, r))
	}
	return errors.Join(append(errs, printTables(stdout, r))...)
}
