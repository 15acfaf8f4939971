package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// asCommand, in the environment, makes the test binary the command itself, for
// tests that send it signals.
const asCommand = "MUTANTS_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// What makes no sense is said once, in two lines, before any test runs.
func TestBadArguments(t *testing.T) {
	// Nothing of a module is here, so what isn't found at once fails otherwise.
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-list", "Wait"}, "unexpected argument: Wait"},
		{[]string{"-run", "no such mutant"}, `-run: no mutant matches "no such mutant"`},
		{[]string{"-list", "-run", "no such mutant"}, `-run: no mutant matches "no such mutant"`},
		{[]string{"-run", "("}, "-run: error parsing regexp: "},
		{[]string{"-last", "long"}, `-last: there is no stage "long"`},
		{[]string{"-j", "0"}, "-j: 0 is not positive"},
		{[]string{"-j", "-1"}, "-j: -1 is not positive"},
		{[]string{"-limit", "-1h"}, "-limit: -1h0m0s is not positive"},
		{[]string{"-limit", "0"}, "-limit: 0s is not positive"},
		{[]string{"-limit", "2562047h"}, "-limit: 2562047h0m0s is more than 24h0m0s"},
		{[]string{"-limit", "long"}, `invalid value "long" for flag -limit`},
		{[]string{"-whatever"}, "flag provided but not defined: -whatever"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), test.args, &stdout, &stderr); got != misuse {
				t.Errorf("the status is %d, want %d", got, misuse)
			}
			if says := stderr.String(); !strings.HasPrefix(says, "mutants: "+test.want) || strings.Count(says, "\n") != 2 {
				t.Errorf("stderr is %q, want two lines that begin with %q", says, test.want)
			}
			if stdout.Len() != 0 {
				t.Errorf("stdout is %q, want nothing", &stdout)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), []string{"-h"}, &stdout, &stderr); got != success {
		t.Errorf("the status is %d, want %d", got, success)
	}
	for _, flag := range []string{"-list", "-run regexp", "-j n", "-limit duration", "-last stage"} {
		if !strings.Contains(stdout.String(), flag) {
			t.Errorf("the help doesn't name %s:\n%s", flag, &stdout)
		}
	}
	if stderr.Len() != 0 {
		t.Errorf("stderr is %q, want nothing", &stderr)
	}
}

func TestList(t *testing.T) {
	all, err := mutants()
	if err != nil {
		t.Fatal(err)
	}
	lines := func(args ...string) int {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), append(args, "-list"), &stdout, &stderr); got != success {
			t.Fatalf("the status is %d, want %d; stderr:\n%s", got, success, &stderr)
		}
		return strings.Count(stdout.String(), "\n")
	}
	if got := lines(); got != len(all) {
		t.Errorf("it lists %d mutants, want all %d", got, len(all))
	}
	if got := lines("-run", "^"+regexp.QuoteMeta(all[0].name)+"$"); got != 1 {
		t.Errorf("it lists %d mutants of one name, want 1", got)
	}
}
