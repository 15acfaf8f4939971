package migrate_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/seed-737f55c4/singleflight/migrate"
	"github.com/seed-737f55c4/singleflight/migrate/internal/contextstep"
	"github.com/seed-737f55c4/singleflight/migrate/internal/load"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
	"github.com/seed-737f55c4/singleflight/migrate/internal/typestep"
	"github.com/seed-737f55c4/singleflight/migrate/internal/valuestep"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The packages in testdata have what is to be said in comments, and what the
// files become beside them.
func TestTypes(t *testing.T) {
	golden(t, migrate.Types, "types", func(p *program.Program) []program.Finding {
		return typestep.Run(p, typestep.Options{})
	})
}
func TestValues(t *testing.T) {
	golden(t, migrate.Values, "values", func(p *program.Program) []program.Finding { return valuestep.Run(p, valuestep.Options{}) })
}
func TestContext(t *testing.T) { golden(t, migrate.Context, "context", contextstep.Run) }
func TestLint(t *testing.T)    { golden(t, migrate.Lint, "lint", nil) }

func golden(t *testing.T, a *analysis.Analyzer, dir string, run func(*program.Program) []program.Finding) {
	t.Helper()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if *update && run != nil {
		write(t, dir, run)
	}
	analysistest.RunWithSuggestedFixes(t, here, a, "./testdata/"+dir+"/...")
}

// write writes what the command would make of each package.
func write(t *testing.T, dir string, run func(*program.Program) []program.Finding) {
	packages, err := filepath.Glob("testdata/" + dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range packages {
		old, _ := filepath.Glob(dir + "/*.golden")
		for _, name := range old {
			os.Remove(name)
		}
		loaded, err := load.Load(load.Config{Patterns: []string{"./" + dir}})
		if err != nil {
			t.Fatal(err)
		}
		loaded.Whole = false
		changes, err := program.Apply(loaded.Program, run(loaded.Program))
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes {
			if err := os.WriteFile(change.Name+".golden", change.After, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}
