package difftest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDifferences checks that each deliberate difference is one: its witness has
// different traces, which are the same once x/sync's is translated, but not if
// this one difference is left out.
func TestDifferences(t *testing.T) {
	for _, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			inBubble(t, func() {
				ours := Run(d.witness, packageImplementation)
				theirs := Run(d.witness, xsyncImplementation)
				if diff := cmp.Diff(translate(d.witness, theirs, ""), ours); diff != "" {
					t.Errorf("traces differ otherwise than on purpose (-x/sync +package):\n%s\n%s", diff, d.witness)
				}
				if cmp.Equal(translate(d.witness, theirs, d.name), ours) {
					t.Errorf("no longer a difference: %s\n%s", d.reason, d.witness)
				}
			})
		})
	}
}

// TestDifferencesThatCrash does the same for scripts that crash the process in
// one of the packages.
func TestDifferencesThatCrash(t *testing.T) {
	for _, d := range differences {
		if len(d.crash.Steps) == 0 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if got := runChild(t, d.crash, xsyncImplementation); got.crashed() != d.crashesXSync {
				t.Errorf("x/sync: crashed %t, want %t\n%s", got.crashed(), d.crashesXSync, d.crash)
			}
			if got := runChild(t, d.crash, packageImplementation); got.crashed() != d.crashesPackage {
				t.Errorf("package: crashed %t, want %t\n%s", got.crashed(), d.crashesPackage, d.crash)
			}
		})
	}
}
