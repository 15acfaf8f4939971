// Package capture finds what a function literal takes from the functions around
// it.
package capture

import (
	"go/ast"
	"go/token"
	"go/types"
)

// A Use is a use of a variable of a function around a literal.
type Use struct {
	Ident *ast.Ident
	Var   *types.Var
	Write bool // the variable itself, or a field or an element of its own, is assigned to
}

// Uses returns the uses in lit of variables that are declared outside of it and
// not at package level.
func Uses(info *types.Info, lit *ast.FuncLit) (uses []Use) {
	writes := Writes(info, lit.Body)
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		v, ok := info.Uses[id].(*types.Var)
		if !ok || v.IsField() || v.Pkg() == nil || v.Parent() == v.Pkg().Scope() {
			return true
		}
		if lit.Pos() <= v.Pos() && v.Pos() < lit.End() {
			return true
		}
		uses = append(uses, Use{id, v, writes[id]})
		return true
	})
	return uses
}

// Writes returns the names in n whose variables are assigned to there: by =, op=,
// ++ and range, as a whole or in a field or an element that is a part of them.
func Writes(info *types.Info, n ast.Node) map[*ast.Ident]bool {
	writes := map[*ast.Ident]bool{}
	write := func(e ast.Expr) {
		if id := base(info, e); id != nil {
			writes[id] = true
		}
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, target := range n.Lhs {
				write(target)
			}
		case *ast.IncDecStmt:
			write(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				for _, target := range []ast.Expr{n.Key, n.Value} {
					if target != nil {
						write(target)
					}
				}
			}
		}
		return true
	})
	return writes
}

// base returns the variable of which e is a part, or nil if e lies behind a
// pointer, a slice or a map.
func base(info *types.Info, e ast.Expr) *ast.Ident {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if info.Defs[e] != nil {
			return nil // declared here
		}
		return e
	case *ast.SelectorExpr:
		if t := info.TypeOf(e.X); t != nil && isStruct(t) {
			return base(info, e.X)
		}
	case *ast.IndexExpr:
		if t := info.TypeOf(e.X); t != nil {
			if _, ok := t.Underlying().(*types.Array); ok {
				return base(info, e.X)
			}
		}
	}
	return nil
}

func isStruct(t types.Type) bool {
	_, ok := t.Underlying().(*types.Struct)
	return ok
}

// Context returns the context that lit uses of the functions around it: the
// variable, if there is exactly one, and how many there are. Uses in
// context.WithoutCancel don't count: that drops what the others must not see.
func Context(info *types.Info, lit *ast.FuncLit) (ctx *types.Var, n int) {
	detached := map[*ast.Ident]bool{}
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && IsCall(info, call, "context", "WithoutCancel") {
			if id, ok := ast.Unparen(call.Args[0]).(*ast.Ident); ok {
				detached[id] = true
			}
		}
		return true
	})
	seen := map[*types.Var]bool{}
	for _, use := range Uses(info, lit) {
		if isContext(use.Var.Type()) && !detached[use.Ident] && !seen[use.Var] {
			seen[use.Var] = true
			ctx, n = use.Var, n+1
		}
	}
	return ctx, n
}

// IsCall reports whether call calls a function of a package.
func IsCall(info *types.Info, call *ast.CallExpr, path, name string) bool {
	var id *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return false
	}
	fn, ok := info.Uses[id].(*types.Func)
	return ok && fn.Pkg() != nil && fn.Pkg().Path() == path && fn.Name() == name
}

func isContext(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == "Context" && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "context"
}

// RequestScoped returns what a value of type t is that belongs to one request
// and must not outlive it, or "".
func RequestScoped(t types.Type) string {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return ""
	}
	path, name := named.Obj().Pkg().Path(), named.Obj().Name()
	switch path + "." + name {
	case "net/http.ResponseWriter":
		return "the writer of a response"
	case "net/http.Request":
		return "a request"
	case "database/sql.Tx", "github.com/jackc/pgx/v5.Tx", "github.com/jackc/pgx/v4.Tx", "github.com/jmoiron/sqlx.Tx":
		return "a transaction"
	case "go.opentelemetry.io/otel/trace.Span", "go.opencensus.io/trace.Span", "github.com/opentracing/opentracing-go.Span":
		return "a span"
	}
	return ""
}
