// Package typestep moves a program from the types of another package to those
// of this project, without a change of behaviour where that is possible.
package typestep

import (
	"fmt"
	"go/ast"
	"go/types"
	"strconv"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// Name is what the step is called.
const Name = "types"

// Options say how the step is done.
type Options struct {
	Dropin bool // import the package with the old names
}

// Run returns what the step does in the files of p that import one of the
// libraries to move from, and what it leaves there. Files that share a group or
// a result are changed together, or left together.
func Run(p *program.Program, opts Options) []program.Finding {
	s := &step{Program: p, opts: opts, links: newLinks()}
	s.link()
	s.options = s.findOptions()
	for _, f := range p.Files {
		s.file(f)
	}
	return s.findings
}

type step struct {
	*program.Program
	opts     Options
	links    *links
	options  map[*program.File][]program.Finding // that set Options.CancelAbandoned
	findings []program.Finding
}

func foreignImports(f *program.File) (specs []*ast.ImportSpec) {
	for _, spec := range f.Syntax.Imports {
		if flight.ByPath(program.PathOf(spec)).Foreign() {
			specs = append(specs, spec)
		}
	}
	return specs
}

// file says what becomes of one file.
func (s *step) file(f *program.File) {
	if reason := s.links.reason(f.Name); reason != "" {
		for _, spec := range foreignImports(f) {
			s.add(program.Finding{Pos: spec.Pos(), End: spec.End(), Outcome: program.Left,
				Message: fmt.Sprintf("%s stays: %s", program.PathOf(spec), reason)})
		}
		return
	}
	for _, spec := range foreignImports(f) {
		s.add(s.move(f, spec))
	}
	s.calls(f)
	for _, finding := range s.options[f] {
		s.add(finding)
	}
	s.notes(f)
}

// calls changes the calls of libraries that the file doesn't import itself.
func (s *step) calls(f *program.File) {
	imported := map[flight.Library]bool{}
	for _, spec := range foreignImports(f) {
		imported[flight.ByPath(program.PathOf(spec))] = true
	}
	ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		call := flight.CallOf(f.Info, n)
		if call == nil || imported[call.Library] {
			return true
		}
		if edits, _ := reorder(s.Program, f, call, stack); edits != nil {
			s.add(program.Finding{Pos: call.Select.Sel.Pos(), End: call.Select.Sel.End(), Outcome: program.Done,
				Message: fmt.Sprintf("%s has its results in the order of this package", call.Method), Edits: edits})
		}
		return true
	})
}

func (s *step) add(finding program.Finding) {
	finding.Step = Name
	s.findings = append(s.findings, finding)
}

// move is the change of an import and of all that comes from it in the file.
func (s *step) move(f *program.File, spec *ast.ImportSpec) program.Finding {
	library := flight.ByPath(program.PathOf(spec))
	path := flight.Path
	if s.opts.Dropin && library == flight.XSync {
		path = flight.Dropin
	}
	edits := []program.Edit{{Pos: spec.Path.Pos(), End: spec.Path.End(), New: strconv.Quote(path)}}
	groups, results, calls := 0, 0, 0
	ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			obj, ok := f.Info.Uses[n].(*types.TypeName)
			if !ok || flight.Of(obj) != library {
				break
			}
			suffix := ""
			switch obj.Name() {
			case "Group":
				groups++
				suffix = fmt.Sprintf("[string, %s]", anyText(f, n))
			case "Result":
				results++
				suffix = fmt.Sprintf("[%s]", anyText(f, n))
			}
			if (library == flight.XSync || library == flight.Groupcache) && path != flight.Dropin {
				edits = append(edits, program.Edit{Pos: n.End(), End: n.End(), New: suffix})
			}
		case *ast.CompositeLit:
			if flight.IsResult(f.Info.TypeOf(n)) && flight.Of(flight.Named(f.Info.TypeOf(n)).Obj()) == library {
				edits = append(edits, keyed(n)...)
			}
		case *ast.CallExpr:
			if call := flight.CallOf(f.Info, n); call != nil && call.Library == library {
				calls++
				call, _ := reorder(s.Program, f, call, stack)
				edits = append(edits, call...)
			}
		}
		return true
	})
	message := fmt.Sprintf("%s becomes %s", program.PathOf(spec), path)
	if counts := countText(groups, results, calls); counts != "" {
		message += ": " + counts
	}
	return program.Finding{Pos: spec.Pos(), End: spec.End(), Outcome: program.Done, Message: message, Edits: edits}
}

func countText(groups, results, calls int) (text string) {
	for _, c := range []struct {
		n    int
		name string
	}{{groups, "Group"}, {results, "Result"}, {calls, "call"}} {
		if c.n == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", c.n, c.name)
		if c.n > 1 {
			text += "s"
		}
	}
	return text
}

func anyText(f *program.File, n ast.Node) string {
	if f.IsUniverse("any", n) {
		return "any"
	}
	return "interface{}"
}

// keyed names the fields of a Result that is written without their names, since
// here it has a fourth.
func keyed(lit *ast.CompositeLit) (edits []program.Edit) {
	if len(lit.Elts) == 0 {
		return nil
	}
	if _, ok := lit.Elts[0].(*ast.KeyValueExpr); ok {
		return nil
	}
	for i, name := range []string{"Val", "Err", "Shared"} {
		if i < len(lit.Elts) {
			edits = append(edits, program.Edit{Pos: lit.Elts[i].Pos(), End: lit.Elts[i].Pos(), New: name + ": "})
		}
	}
	return edits
}
