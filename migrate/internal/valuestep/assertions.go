package valuestep

import (
	"fmt"
	"go/ast"
	"go/types"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// An Assertion is a type assertion of a value of a group that may panic.
type Assertion struct {
	Node    ast.Node
	Message string
}

// Assertions returns the assertions that panic when the function has returned
// nil beside an error, and those to one of several types that the functions of
// the group return under keys that may be the same.
func Assertions(p *program.Program) (found []Assertion) {
	s := newStep(p, Options{})
	s.collect()
	for _, c := range s.roots() {
		found = append(found, s.assertions(c)...)
	}
	return found
}

func (s *step) assertions(c *class) (found []Assertion) {
	kinds := map[string]string{}
	nils := map[ast.Node]bool{} // calls whose function may return nil beside an error
	for _, call := range c.calls {
		lit := call.call.Literal()
		if lit == nil {
			continue
		}
		ast.Inspect(lit.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.ReturnStmt:
				if len(n.Results) != 2 {
					break
				}
				if call.file.Info.Types[n.Results[0]].IsNil() {
					if !call.file.Info.Types[n.Results[1]].IsNil() {
						nils[call.call.CallExpr] = true
					}
				} else if t := call.file.Info.TypeOf(n.Results[0]); t != nil && !types.IsInterface(t) {
					t = types.Default(t)
					kinds[typeKey(t)] = s.shortName(t, call.file)
				}
			}
			return true
		})
	}
	for i := range c.values {
		v := &c.values[i]
		assertion, ok := v.parent().(*ast.TypeAssertExpr)
		if !ok || assertion.Type == nil || withOK(v, assertion) {
			continue
		}
		if v.call != nil && nils[v.call] && !v.checked() && !nilChecked(v) {
			found = append(found, Assertion{assertion, "this panics when the function has returned nil and an error: look at the error first"})
			continue
		}
		if len(kinds) > 1 && len(c.reasons) == 0 {
			if sameKeys(c) {
				found = append(found, Assertion{assertion, fmt.Sprintf("the group's functions return several types (%d), and a call may get the value of another's function: one group for each type, or v, ok", len(kinds))})
			}
		}
	}
	return found
}

func (s *step) shortName(t types.Type, f *program.File) string {
	return types.TypeString(t, types.RelativeTo(f.Pkg))
}

// sameKeys reports whether two calls whose functions return different types
// have keys that can be equal: neither is a constant, or made with one.
func sameKeys(c *class) bool {
	varying := 0
	for _, call := range c.calls {
		if _, plain := ast.Unparen(call.call.Key).(*ast.Ident); plain && call.file.Info.Types[call.call.Key].Value == nil {
			if v, ok := call.file.Info.Uses[call.call.Key.(*ast.Ident)].(*types.Var); ok && isParam(call, v) {
				varying++
			}
		}
	}
	return varying > 1
}

// isParam reports whether v is a parameter of the function around a call: then
// nothing says which function the key is for.
func isParam(c call, v *types.Var) bool {
	for _, n := range c.stack {
		if decl, ok := n.(*ast.FuncDecl); ok {
			return decl.Type.Params.Pos() <= v.Pos() && v.Pos() < decl.Type.Params.End()
		}
	}
	return false
}

// withOK reports whether an assertion is v, ok := x.(T).
func withOK(v *value, assertion *ast.TypeAssertExpr) bool {
	for i := len(v.stack) - 1; i > 0; i-- {
		if v.stack[i] != ast.Node(assertion) {
			continue
		}
		switch n := v.stack[i-1].(type) {
		case *ast.AssignStmt:
			return len(n.Lhs) == 2 && len(n.Rhs) == 1
		case *ast.ValueSpec:
			return len(n.Names) == 2 && len(n.Values) == 1
		}
		return false
	}
	return false
}

// nilChecked reports whether a condition around the use, or before it, asks
// whether the value is nil.
func nilChecked(v *value) bool {
	other := *v
	other.err = nil
	text := types.ExprString(v.expr)
	var inner ast.Node = v.expr
	for i := len(v.stack) - 1; i >= 0; i-- {
		found := false
		ast.Inspect(v.stack[i], func(n ast.Node) bool {
			if n != nil && n.Pos() > inner.Pos() {
				return false
			}
			if b, ok := n.(*ast.BinaryExpr); ok && types.ExprString(b.X) == text && types.ExprString(b.Y) == "nil" {
				found = true
			}
			return !found
		})
		if found {
			return true
		}
		if _, isFunc := v.stack[i].(*ast.FuncDecl); isFunc {
			return false
		}
		inner = v.stack[i]
	}
	return false
}

func newStep(p *program.Program, opts Options) *step {
	return &step{Program: p, opts: opts, classes: map[string]*class{}, loose: map[string]bool{}}
}

// known reports whether calls of a library are followed: those of this project,
// to change them, and those of x/sync, for Assertions.
func known(l flight.Library) bool { return l == flight.Ours || l == flight.XSync }
