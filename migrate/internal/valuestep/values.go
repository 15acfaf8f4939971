package valuestep

import (
	"go/ast"
	"go/token"
	"go/types"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// findValues finds, once the classes are known, where the values of a class
// come to the program: the first result of a call, and the field Val.
func (s *step) findValues() {
	for _, f := range s.Files {
		ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				s.selected(f, n, stack)
			case *ast.CompositeLit:
				if named := element(f.Info.TypeOf(n)); named != nil && len(n.Elts) > 0 && types.Identical(named, f.Info.TypeOf(n)) {
					s.stay(s.slot(f, n), n, "a %s is written out with its fields", named.Obj().Name())
				}
			case *ast.StructType:
				s.embedded(f, n)
			}
			return true
		})
	}
	seen := map[*class]bool{}
	for _, c := range s.classes {
		root := c.root()
		if seen[root] {
			continue
		}
		seen[root] = true
		for _, call := range root.calls {
			s.firstResult(root, call)
		}
	}
}

// selected finds the field Val of a result.
func (s *step) selected(f *program.File, sel *ast.SelectorExpr, stack []ast.Node) {
	if sel.Sel.Name == "Options" && carries(f.Info.TypeOf(sel.X)) && !oneOption(stack[len(stack)-1]) {
		s.stay(s.slot(f, sel.X), sel, "it has Options")
	}
	if sel.Sel.Name != "Val" || !carries(f.Info.TypeOf(sel.X)) || !flight.IsResult(f.Info.TypeOf(sel.X)) {
		return
	}
	c := s.slot(f, sel.X).root()
	err := &ast.SelectorExpr{X: sel.X, Sel: &ast.Ident{Name: "Err"}}
	c.values = append(c.values, value{file: f, expr: sel, err: err, stack: append([]ast.Node(nil), stack...)})
}

// oneOption reports whether n selects an option that has the same type in all
// groups.
func oneOption(n ast.Node) bool {
	sel, ok := n.(*ast.SelectorExpr)
	return ok && sel.Sel.Name != "Clone" && sel.Sel.Name != "Trace"
}

// embedded finds embedded groups that no other name is used for.
func (s *step) embedded(f *program.File, structure *ast.StructType) {
	for _, field := range structure.Fields.List {
		if len(field.Names) == 0 && carries(f.Info.TypeOf(field.Type)) {
			s.stay(s.class(s.Place(embeddedName(field.Type))), field, "it is embedded, so its methods are the struct's")
		}
	}
}

// firstResult finds what the value of a call is assigned to.
func (s *step) firstResult(c *class, call call) {
	if call.call.ByChannel() || call.call.Method == "DoResult" {
		return
	}
	var parent ast.Node
	for i := len(call.stack) - 1; i >= 0 && parent == nil; i-- {
		if _, ok := call.stack[i].(*ast.ParenExpr); !ok {
			parent = call.stack[i]
		}
	}
	switch n := parent.(type) {
	case *ast.ExprStmt, *ast.GoStmt, *ast.DeferStmt:
		return
	case *ast.AssignStmt:
		if len(n.Lhs) != 3 {
			break
		}
		s.target(c, call, n, n.Lhs[0], n.Lhs[1], n.Tok)
		return
	case *ast.ValueSpec:
		if len(n.Names) != 3 || n.Type != nil {
			break
		}
		s.target(c, call, n, n.Names[0], n.Names[1], token.DEFINE)
		return
	}
	s.stay(c, call.call, "the results of the call are passed on together")
}

// target records the uses of the variable that the value of a call is assigned
// to.
func (s *step) target(c *class, call call, statement ast.Node, target, err ast.Expr, tok token.Token) {
	if blank(target) {
		return
	}
	f := call.file
	id, ok := target.(*ast.Ident)
	if !ok || tok != token.DEFINE || f.Info.Defs[id] == nil {
		s.stay(c, target, "the value is assigned to a variable that is declared elsewhere as any")
		return
	}
	obj := f.Info.Defs[id]
	ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		if use, ok := n.(*ast.Ident); ok && f.Info.Uses[use] == obj {
			c.values = append(c.values, value{f, use, err, statement, call.call.CallExpr, append([]ast.Node(nil), stack...)})
		}
		return true
	})
}

// checked reports whether the error that came with a value is surely nil where
// the value is used.
func (v *value) checked() bool {
	if v.err == nil || blank(v.err) {
		return false
	}
	errText := types.ExprString(v.err)
	var inner ast.Node = v.expr
	for i := len(v.stack) - 1; i >= 0; i-- {
		switch n := v.stack[i].(type) {
		case *ast.FuncLit:
			if v.after == nil || n.Pos() > v.after.Pos() {
				return false // who knows when it runs
			}
		case *ast.IfStmt:
			if inner == n.Body && implies(n.Cond, errText, token.EQL) {
				return true
			}
			if inner == n.Else && impliedByNot(n.Cond, errText) {
				return true
			}
		case *ast.BinaryExpr:
			if n.Op == token.LAND && inner == n.Y && implies(n.X, errText, token.EQL) {
				return true
			}
			if n.Op == token.LOR && inner == n.Y && impliedByNot(n.X, errText) {
				return true
			}
		case *ast.BlockStmt:
			if checkedBefore(n.List, inner, errText, v.after) {
				return true
			}
		case *ast.CaseClause:
			if checkedBefore(n.Body, inner, errText, v.after) {
				return true
			}
		case *ast.CommClause:
			if checkedBefore(n.Body, inner, errText, v.after) {
				return true
			}
		}
		if v.stack[i] == v.after {
			return false
		}
		inner = v.stack[i]
	}
	return false
}

// checkedBefore reports whether one of the statements before inner, and after
// the one that the value came from, leaves unless the error is nil.
func checkedBefore(list []ast.Stmt, inner ast.Node, errText string, after ast.Node) bool {
	checked := false
	for _, statement := range list {
		if statement == inner {
			return checked
		}
		if after != nil && statement.Pos() < after.Pos() && !(statement.Pos() <= after.Pos() && after.End() <= statement.End()) {
			continue
		}
		if n, ok := statement.(*ast.IfStmt); ok {
			if impliedByNot(n.Cond, errText) && Leaves(n.Body) {
				checked = true
				continue
			}
		}
		if assigns(statement, errText) {
			checked = false
		}
	}
	return false
}

// assigns reports whether a statement assigns to the error.
func assigns(n ast.Node, errText string) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.ASSIGN {
			for _, target := range a.Lhs {
				found = found || types.ExprString(target) == errText
			}
		}
		return !found
	})
	return found
}

// implies reports whether cond is true only if the error is nil (EQL), or only
// if it isn't (NEQ).
func implies(cond ast.Expr, errText string, op token.Token) bool {
	b, ok := ast.Unparen(cond).(*ast.BinaryExpr)
	if !ok {
		return false
	}
	if b.Op == token.LAND {
		return implies(b.X, errText, op) || implies(b.Y, errText, op)
	}
	return comparesNil(b, errText, op)
}

// impliedByNot reports whether the error is nil if cond is false.
func impliedByNot(cond ast.Expr, errText string) bool {
	b, ok := ast.Unparen(cond).(*ast.BinaryExpr)
	if !ok {
		return false
	}
	if b.Op == token.LOR {
		return impliedByNot(b.X, errText) || impliedByNot(b.Y, errText)
	}
	return comparesNil(b, errText, token.NEQ)
}

func comparesNil(b *ast.BinaryExpr, errText string, op token.Token) bool {
	return b.Op == op && (types.ExprString(b.X) == errText && types.ExprString(b.Y) == "nil" ||
		types.ExprString(b.Y) == errText && types.ExprString(b.X) == "nil")
}

// Leaves reports whether a block surely doesn't go on after its end.
func Leaves(block *ast.BlockStmt) bool {
	if len(block.List) == 0 {
		return false
	}
	switch last := block.List[len(block.List)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		call, ok := last.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			return fun.Name == "panic"
		case *ast.SelectorExpr:
			switch fun.Sel.Name {
			case "Fatal", "Fatalf", "Fatalln", "FailNow", "Exit", "Goexit", "Skip", "Skipf", "SkipNow", "Panic", "Panicf":
				return true
			}
		}
	}
	return false
}
