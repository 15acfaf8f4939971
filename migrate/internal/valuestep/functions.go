package valuestep

import (
	"go/ast"
	"go/token"
	"go/types"

	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// A returned is what a function of a class returns for its value.
type returned struct {
	file *program.File
	expr ast.Expr
	t    types.Type // nil for the literal nil
}

// functions looks at the functions of a class. It returns what they return, and
// where the types of their results are.
func (r *rewrite) functions() (all []returned, results []typeExpr) {
	for _, call := range r.calls {
		lit := call.call.Literal()
		if lit == nil {
			r.stay(call.call.Fn, "the function isn't written at the call")
			continue
		}
		field := lit.Type.Results.List[0]
		if len(field.Names) > 0 && (len(field.Names) > 1 || field.Names[0].Name != "_") {
			r.stay(field, "the result of the function has a name")
			continue
		}
		results = append(results, typeExpr{call.file, field.Type, field.Type})
		ast.Inspect(lit.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.ReturnStmt:
				all = append(all, r.returned(call.file, n)...)
			}
			return true
		})
	}
	return all, results
}

// returned is the value of a return statement.
func (r *rewrite) returned(f *program.File, n *ast.ReturnStmt) []returned {
	switch len(n.Results) {
	case 1: // return f()
		tuple, ok := f.Info.TypeOf(n.Results[0]).(*types.Tuple)
		if !ok {
			return nil
		}
		return []returned{{f, n.Results[0], tuple.At(0).Type()}}
	case 2:
		value := n.Results[0]
		if f.Info.Types[value].IsNil() {
			if f.Info.Types[n.Results[1]].IsNil() {
				return []returned{{f, value, types.Typ[types.UntypedNil]}}
			}
			return []returned{{f, value, nil}}
		}
		return []returned{{f, value, types.Default(f.Info.TypeOf(value))}}
	}
	r.stay(n, "the function returns without naming what")
	return nil
}

// valueType finds the one type that the functions return.
func (r *rewrite) valueType(all []returned) types.Type {
	var t types.Type
	var first returned
	nilAndNil := false
	for _, one := range all {
		switch {
		case one.t == nil:
		case one.t == types.Typ[types.UntypedNil]:
			nilAndNil = true
		case t == nil:
			t, first = one.t, one
		case typeKey(one.t) != typeKey(t):
			r.stay(one.expr, "the functions of the group return several types, %s and %s (%s)",
				r.short(one.t, one.file), r.short(t, first.file), r.where(first.expr.Pos()))
			return nil
		}
	}
	if t == nil {
		return r.noValue()
	}
	if nilAndNil {
		for _, one := range all {
			if one.t == types.Typ[types.UntypedNil] {
				r.stay(one.expr, "a function returns nil without an error, which isn't a %s", r.short(t, first.file))
			}
		}
		return nil
	}
	if _, ok := types.Unalias(t).(*types.TypeParam); ok || hasTypeParam(t) {
		r.stay(first.expr, "the function returns a type of a generic function or type")
		return nil
	}
	if types.IsInterface(t) {
		if isAny(t) {
			r.stay(first.expr, "a function returns what is any already")
		} else {
			r.stay(first.expr, "a function returns the interface %s, and a nil one is no value of that in an any", r.short(t, first.file))
		}
		return nil
	}
	return t
}

// noValue is the type of the values of a group whose functions all return nil.
func (r *rewrite) noValue() types.Type {
	if len(r.values) > 0 {
		for _, v := range r.values {
			if parent := v.parent(); !assignedToBlank(parent) {
				r.stay(v.expr, "the functions return no value, and here it is used")
				return nil
			}
		}
	}
	return types.NewStruct(nil, nil)
}

func assignedToBlank(n ast.Node) bool {
	a, ok := n.(*ast.AssignStmt)
	return ok && a.Tok == token.ASSIGN && len(a.Lhs) == 1 && blank(a.Lhs[0])
}

// typeKey identifies a type over the variants of packages.
func typeKey(t types.Type) string {
	return types.TypeString(t, func(pkg *types.Package) string { return pkg.Path() })
}

func (r *rewrite) short(t types.Type, f *program.File) string {
	return types.TypeString(t, func(pkg *types.Package) string {
		if pkg.Path() == f.Pkg.Path() {
			return ""
		}
		return pkg.Name()
	})
}

func hasTypeParam(t types.Type) bool {
	seen := map[types.Type]bool{}
	var has func(types.Type) bool
	has = func(t types.Type) bool {
		if t == nil || seen[t] {
			return false
		}
		seen[t] = true
		switch t := t.(type) {
		case *types.TypeParam:
			return true
		case *types.Alias:
			return has(types.Unalias(t))
		case *types.Named:
			for arg := range t.TypeArgs().Types() {
				if has(arg) {
					return true
				}
			}
		case *types.Pointer:
			return has(t.Elem())
		case *types.Slice:
			return has(t.Elem())
		case *types.Array:
			return has(t.Elem())
		case *types.Chan:
			return has(t.Elem())
		case *types.Map:
			return has(t.Key()) || has(t.Elem())
		case *types.Tuple:
			for v := range t.Variables() {
				if has(v.Type()) {
					return true
				}
			}
		case *types.Signature:
			return has(t.Params()) || has(t.Results())
		case *types.Struct:
			for field := range t.Fields() {
				if has(field.Type()) {
					return true
				}
			}
		}
		return false
	}
	return has(t)
}

// zero writes the zero value of t.
func zero(t types.Type, text string) string {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&types.IsString != 0:
			return `""`
		case u.Info()&types.IsBoolean != 0:
			return "false"
		case u.Info()&types.IsNumeric != 0:
			return "0"
		}
	case *types.Struct, *types.Array:
		return text + "{}"
	}
	return "nil"
}
