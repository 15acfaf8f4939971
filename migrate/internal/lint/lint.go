// Package lint finds mistakes in the use of packages that merge calls.
package lint

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// Run returns what the checks find in the files of p.
func Run(p *program.Program) []program.Finding {
	l := &linter{Program: p, silenced: map[string]map[int]bool{}}
	for _, f := range p.Files {
		l.ignores(f)
	}
	for _, f := range p.Files {
		if f.Frozen != "" {
			continue
		}
		l.options(f)
	}
	for _, f := range p.Files {
		if f.Frozen != "" || f.Cgo {
			continue
		}
		l.file(f)
	}
	l.assertions()
	l.readsAndWrites()
	slices.SortStableFunc(l.findings, func(a, b program.Finding) int { return int(a.Pos - b.Pos) })
	return l.findings
}

type linter struct {
	*program.Program
	findings []program.Finding
	silenced map[string]map[int]bool // lines of files
	clones   bool                    // an Options.Clone is set somewhere
	recovers bool                    // an Options.Recover is set somewhere
	written  []keyed                 // calls in functions that read or write, by their names
}

// A place is a call with what is around it.
type place struct {
	file  *program.File
	call  *flight.Call
	stack []ast.Node
}

func (l *linter) file(f *program.File) {
	ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		call := flight.CallOf(f.Info, n)
		if call == nil {
			return true
		}
		p := place{f, call, stack}
		if call.Method == "Forget" {
			l.forget(p)
		}
		if !call.Runs() {
			return true
		}
		l.leaderContext(p)
		l.captured(p)
		l.keys(p)
		l.requestScoped(p)
		l.alias(p)
		l.reentry(p)
		l.unread(p)
		l.shared(p)
		return true
	})
}

// found records a finding, unless a comment silences it.
func (l *linter) found(at ast.Node, check, format string, args ...any) {
	position := l.Fset.Position(at.Pos())
	if lines := l.silenced[position.Filename]; lines[position.Line] || lines[position.Line-1] {
		return
	}
	finding := program.Finding{Pos: at.Pos(), End: at.End(), Step: check, Outcome: program.Found, Message: fmt.Sprintf(format, args...)}
	if !slices.ContainsFunc(l.findings, func(other program.Finding) bool {
		return other.Pos == finding.Pos && other.Step == check
	}) {
		l.findings = append(l.findings, finding)
	}
}

const ignore = "//singleflight:ignore"

// ignores finds the comments that silence a line. One without a reason doesn't.
func (l *linter) ignores(f *program.File) {
	for _, group := range f.Syntax.Comments {
		for _, comment := range group.List {
			reason, ok := strings.CutPrefix(comment.Text, ignore)
			if !ok || reason != "" && reason[0] != ' ' && reason[0] != '\t' {
				continue
			}
			position := l.Fset.Position(comment.Pos())
			if strings.TrimSpace(reason) == "" {
				l.found(comment, "ignore", "singleflight:ignore without a reason silences nothing")
				continue
			}
			if l.silenced[position.Filename] == nil {
				l.silenced[position.Filename] = map[int]bool{}
			}
			l.silenced[position.Filename][position.Line] = true
		}
	}
}

// options looks for options that make a check pointless.
func (l *linter) options(f *program.File) {
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		var name string
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && flight.Of(f.Info.Uses[id]) == flight.Ours {
				name = id.Name
			}
		case *ast.AssignStmt:
			for _, target := range n.Lhs {
				if sel, ok := target.(*ast.SelectorExpr); ok && flight.Of(f.Info.Uses[sel.Sel]) == flight.Ours {
					name = sel.Sel.Name
				}
			}
		}
		l.clones = l.clones || name == "Clone"
		l.recovers = l.recovers || name == "Recover"
		return true
	})
}

// enclosing returns the declaration around a place, or nil.
func (p *place) enclosing() *ast.FuncDecl {
	for _, n := range p.stack {
		if decl, ok := n.(*ast.FuncDecl); ok {
			return decl
		}
	}
	return nil
}

// body returns the body of the innermost function around the call.
func (p *place) body() *ast.BlockStmt {
	for i := len(p.stack) - 1; i >= 0; i-- {
		switch n := p.stack[i].(type) {
		case *ast.FuncDecl:
			return n.Body
		case *ast.FuncLit:
			return n.Body
		}
	}
	return nil
}

// parent returns what is around the call, without parentheses.
func (p *place) parent() ast.Node {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(*ast.ParenExpr); !ok {
			return p.stack[i]
		}
	}
	return nil
}

// isTest reports whether the file has tests.
func (p *place) isTest() bool { return strings.HasSuffix(p.file.Name, "_test.go") }

// results returns the variables that the results of the call are assigned to.
func (p *place) results() (vars []*types.Var) {
	var targets []ast.Expr
	switch n := p.parent().(type) {
	case *ast.AssignStmt:
		if len(n.Rhs) == 1 {
			targets = n.Lhs
		}
	case *ast.ValueSpec:
		for _, name := range n.Names {
			targets = append(targets, name)
		}
	}
	for _, target := range targets {
		var v *types.Var
		if id, ok := target.(*ast.Ident); ok {
			v, _ = p.file.Info.ObjectOf(id).(*types.Var)
		}
		vars = append(vars, v)
	}
	return vars
}
