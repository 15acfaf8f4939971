package typestep

import (
	"go/ast"
	"go/token"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// reorder changes a call whose method has another name here, or its results
// another order. It returns why the call can't be changed, if it can't. stack is
// what is around the call, from the outside in.
func reorder(p *program.Program, f *program.File, call *flight.Call, stack []ast.Node) (edits []program.Edit, left string) {
	if call.Method != "Do" {
		return nil, ""
	}
	switch call.Library {
	case flight.Resenje:
		edits = append(edits, program.Edit{Pos: call.Select.Sel.Pos(), End: call.Select.Sel.End(), New: "DoContext"})
	case flight.Groupcache:
	default:
		return nil, ""
	}
	targets, alone := assigned(call, stack)
	if alone {
		return edits, ""
	}
	if targets == nil {
		return nil, "the results of this call are passed on together, and here their order is (value, error, shared): assign them first"
	}
	if call.Library == flight.Groupcache {
		last := targets[len(targets)-1]
		return append(edits, program.Edit{Pos: last.End(), End: last.End(), New: ", _"}), ""
	}
	for i, other := range []int{2, 1} { // (v, shared, err) becomes (v, err, shared)
		target := targets[i+1]
		text := p.Text(f, targets[other].Pos(), targets[other].End())
		edits = append(edits, program.Edit{Pos: target.Pos(), End: target.End(), New: text})
	}
	return edits, ""
}

// assigned returns what the results of a call are assigned to, or nil if they
// go elsewhere. alone says that nobody looks at them.
func assigned(call *flight.Call, stack []ast.Node) (targets []ast.Expr, alone bool) {
	for i := len(stack) - 1; i >= 0; i-- {
		switch n := stack[i].(type) {
		case *ast.ParenExpr:
			continue
		case *ast.ExprStmt, *ast.GoStmt, *ast.DeferStmt:
			return nil, true
		case *ast.AssignStmt:
			if len(n.Rhs) == 1 && simple(n.Lhs) && (n.Tok == token.ASSIGN || n.Tok == token.DEFINE) {
				return n.Lhs, false
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				targets = append(targets, name)
			}
			return targets, false
		}
		break
	}
	return nil, false
}

// simple reports whether assigning to the targets in another order is the same.
func simple(targets []ast.Expr) bool {
	for _, target := range targets {
		switch target := ast.Unparen(target).(type) {
		case *ast.Ident:
		case *ast.SelectorExpr:
			if !simple([]ast.Expr{target.X}) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
