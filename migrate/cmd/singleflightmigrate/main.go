// Singleflightmigrate moves programs to github.com/seed-737f55c4/singleflight
// from other packages of that kind, and finds mistakes in the use of any of
// them:
//
//	go run github.com/seed-737f55c4/singleflight/migrate/cmd/singleflightmigrate@latest -fix ./...
//
// Its flag -help tells the rest. It is also a tool for go vet -vettool, where
// it looks for mistakes, and for go fix -fixtool, where it changes types and
// values.
package main

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/seed-737f55c4/singleflight/migrate"
	"github.com/seed-737f55c4/singleflight/migrate/internal/command"
)

func main() {
	if analyzers := asTool(os.Args[1:]); analyzers != nil {
		unitchecker.Main(analyzers...)
	}
	os.Exit(command.Main("", os.Args[1:], os.Stdout, os.Stderr))
}

// asTool returns the analyzers to run if the go command calls this program as
// its tool, and nil otherwise. Unless its flags choose, vet looks for mistakes
// and fix changes types and values.
func asTool(args []string) []*analysis.Analyzer {
	all := []*analysis.Analyzer{migrate.Types, migrate.Values, migrate.Context, migrate.Lint}
	tool, fix, chosen := false, false, false
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case strings.HasPrefix(arg, "-V"), arg == "-flags":
			return all
		case strings.HasSuffix(arg, ".cfg"):
			tool = true
		case name == "fix":
			fix = true
		default:
			chosen = chosen || slices.ContainsFunc(all, func(a *analysis.Analyzer) bool {
				return name == a.Name || strings.HasPrefix(name, a.Name+".")
			})
		}
	}
	switch {
	case !tool:
		return nil
	case chosen:
		return all
	case fix:
		return []*analysis.Analyzer{migrate.Types, migrate.Values}
	}
	return []*analysis.Analyzer{migrate.Lint}
}
