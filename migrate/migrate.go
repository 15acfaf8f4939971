// Package migrate has analyzers that move a program to the package singleflight
// from golang.org/x/sync/singleflight, resenje.org/singleflight,
// tailscale.com/util/singleflight and groupcache's, and one that finds mistakes
// in programs that use any of them.
//
// The command singleflightmigrate runs them over whole modules, which finds
// more than an analyzer can that is given one package at a time: Values changes
// only what is local to a package, and only if no test of the package names it.
// docs/migrating.md of the repository says what each does, and what is left to
// do by hand.
package migrate

import (
	"go/ast"
	"go/token"
	"os"

	"golang.org/x/tools/go/analysis"

	"github.com/seed-737f55c4/singleflight/migrate/internal/contextstep"
	"github.com/seed-737f55c4/singleflight/migrate/internal/lint"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
	"github.com/seed-737f55c4/singleflight/migrate/internal/typestep"
	"github.com/seed-737f55c4/singleflight/migrate/internal/valuestep"
)

const url = "https://github.com/seed-737f55c4/singleflight/blob/main/docs/migrating.md"

// Types changes the import, Group to Group[string, any] and Result to
// Result[any].
var Types = analyzer("singleflighttypes", `move to the package singleflight

The import of another singleflight package becomes that of
github.com/seed-737f55c4/singleflight, Group becomes Group[string, any], and
Result becomes Result[any].`, func(p *program.Program) []program.Finding {
	return typestep.Run(p, typestep.Options{Dropin: dropin})
})

// Values gives groups whose functions all return one type that type, and
// removes the assertions.
var Values = analyzer("singleflightvalues", `give groups the type of their values

A Group[string, any] whose functions all return one type gets that type, and the
assertions of its values go.`, func(p *program.Program) []program.Finding {
	return valuestep.Run(p, valuestep.Options{})
})

// Context lets callers leave when their context ends, and gives functions a
// context that no caller's end ends.
var Context = analyzer("singleflightcontext", `move to DoContext

DoChan with a select on a context, and Do whose function uses the context of its
caller, become DoContext.`, contextstep.Run)

// Lint finds mistakes in the use of a singleflight package.
var Lint = analyzer("singleflightlint", `find mistakes in the use of singleflight packages

A finding that is none is silenced by a comment on its line, or on the one
before it: //singleflight:ignore and the reason. The command
singleflightmigrate -explain NAME tells more about a check:

`+lint.Summary(), lint.Run)

var dropin bool

func init() {
	Types.Flags.BoolVar(&dropin, "dropin", false, "import the package with the old names, dropin/singleflight, instead")
}

func analyzer(name, doc string, run func(*program.Program) []program.Finding) *analysis.Analyzer {
	return &analysis.Analyzer{Name: name, Doc: doc, URL: url, Run: func(pass *analysis.Pass) (any, error) {
		for _, finding := range run(programOf(pass)) {
			pass.Report(diagnostic(finding))
		}
		return nil, nil
	}}
}

// programOf makes a program of the one package.
func programOf(pass *analysis.Pass) *program.Program {
	p := &program.Program{Fset: pass.Fset}
	for _, syntax := range pass.Files {
		f := &program.File{Name: pass.Fset.File(syntax.FileStart).Name(), Syntax: syntax, Pkg: pass.Pkg, Info: pass.TypesInfo}
		f.Source, _ = readFile(pass, f.Name)
		if ast.IsGenerated(syntax) {
			f.Frozen = "generated"
		}
		p.Files = append(p.Files, f)
	}
	return p
}

func readFile(pass *analysis.Pass, name string) ([]byte, error) {
	if pass.ReadFile != nil {
		return pass.ReadFile(name)
	}
	return os.ReadFile(name)
}

func diagnostic(finding program.Finding) analysis.Diagnostic {
	d := analysis.Diagnostic{Pos: finding.Pos, End: finding.End, Category: finding.Step, Message: finding.Message}
	switch finding.Outcome {
	case program.Left:
		d.Message = "left: " + d.Message
	case program.Note:
		d.Message = "note: " + d.Message
	case program.Found:
		d.Message += " (" + finding.Step + ")"
	}
	if !d.End.IsValid() || d.End < d.Pos {
		d.End = token.NoPos
	}
	if len(finding.Edits) > 0 {
		fix := analysis.SuggestedFix{Message: finding.Message}
		for _, edit := range finding.Edits {
			fix.TextEdits = append(fix.TextEdits, analysis.TextEdit{Pos: edit.Pos, End: edit.End, NewText: []byte(edit.New)})
		}
		d.SuggestedFixes = []analysis.SuggestedFix{fix}
	}
	return d
}
