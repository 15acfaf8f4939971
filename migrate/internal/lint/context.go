package lint

import (
	"go/ast"
	"go/types"
	"regexp"

	"github.com/seed-737f55c4/singleflight/migrate/internal/capture"
	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// leaderContext (a): the function uses its leader's context, and all who joined
// fail when that ends.
func (l *linter) leaderContext(p place) {
	lit := p.call.Literal()
	if lit == nil || p.isTest() {
		return
	}
	own := ""
	if p.call.Ctx != nil {
		own = "; it is given a context of the flight's own"
	}
	for _, use := range capture.Uses(p.file.Info, lit) {
		if !flight.IsContext(use.Var.Type()) || use.Write {
			continue
		}
		if endless(p.file, use.Var, p.stack) || harmless(p.file, lit, use.Ident) {
			continue
		}
		l.found(use.Ident, "leaderctx", "the function uses %s of the caller that runs it: when that one hangs up, all who joined fail%s", use.Var.Name(), own)
		return
	}
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) > 0 || !flight.IsContext(p.file.Info.TypeOf(call)) {
			return true
		}
		if outer := l.detaches(p.file, lit, call); outer {
			return true
		}
		sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Context" || !parameter(p.file, sel.X, lit, p.stack) {
			return true
		}
		l.found(call, "leaderctx", "the function uses %s of the caller that runs it: when that one hangs up, all who joined fail%s", types.ExprString(call), own)
		return false
	})
}

// detaches reports whether call is the argument of context.WithoutCancel.
func (l *linter) detaches(f *program.File, lit *ast.FuncLit, call *ast.CallExpr) (found bool) {
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		if outer, ok := n.(*ast.CallExpr); ok && capture.IsCall(f.Info, outer, "context", "WithoutCancel") {
			found = found || len(outer.Args) == 1 && ast.Unparen(outer.Args[0]) == call
		}
		return !found
	})
	return found
}

// parameter reports whether e is reached from a parameter of a function around
// the literal, receivers apart.
func parameter(f *program.File, e ast.Expr, lit *ast.FuncLit, stack []ast.Node) bool {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.SelectorExpr:
			e = x.X
			continue
		case *ast.Ident:
			v, ok := f.Info.Uses[x].(*types.Var)
			if !ok {
				return false
			}
			for _, n := range stack {
				var params *ast.FieldList
				switch n := n.(type) {
				case *ast.FuncDecl:
					params = n.Type.Params
				case *ast.FuncLit:
					params = n.Type.Params
				default:
					continue
				}
				if params.Pos() <= v.Pos() && v.Pos() < params.End() {
					return true
				}
			}
		}
		return false
	}
}

// endless reports whether a context surely isn't one caller's: it comes from
// context.Background, TODO or WithoutCancel, or of such a one, or the program's.
func endless(f *program.File, ctx *types.Var, stack []ast.Node) bool {
	from, known := origin(f, ctx, stack)
	for depth := 0; known && depth < 10; depth++ {
		call, ok := ast.Unparen(from).(*ast.CallExpr)
		if !ok {
			return false
		}
		for _, name := range []string{"Background", "TODO", "WithoutCancel"} {
			if capture.IsCall(f.Info, call, "context", name) {
				return true
			}
		}
		if capture.IsCall(f.Info, call, "os/signal", "NotifyContext") {
			return true
		}
		sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
		if !ok || len(call.Args) == 0 {
			return false
		}
		if pkg, ok := f.Info.Uses[sel.Sel].(*types.Func); !ok || pkg.Pkg() == nil || pkg.Pkg().Path() != "context" {
			return false
		}
		switch arg := ast.Unparen(call.Args[0]).(type) {
		case *ast.CallExpr:
			from = arg
		case *ast.Ident:
			v, ok := f.Info.Uses[arg].(*types.Var)
			if !ok || v == ctx {
				return false
			}
			from, known = origin(f, v, stack)
		default:
			return false
		}
	}
	return false
}

// origin returns the one expression that a local variable is set to.
func origin(f *program.File, v *types.Var, stack []ast.Node) (from ast.Expr, known bool) {
	if len(stack) < 2 {
		return nil, false
	}
	times := 0
	ast.Inspect(stack[1], func(n ast.Node) bool { // the declaration around
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, target := range n.Lhs {
				if id, ok := target.(*ast.Ident); ok && f.Info.ObjectOf(id) == v {
					times++
					if len(n.Rhs) == len(n.Lhs) {
						from = n.Rhs[i]
					} else if i == 0 {
						from = n.Rhs[0]
					}
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if f.Info.Defs[name] == v && len(n.Values) > i {
					times++
					from = n.Values[i]
				}
			}
		}
		return true
	})
	return from, times == 1 && from != nil
}

var onlyTells = regexp.MustCompile(`(?i)(log|^(ctx|fromcontext|extract|debug|info|warn|error|print|trace|record|value)|(debug|info|warn|error)(f|w|ctx|context)?$|^span)`)

// harmless reports whether a use of a context reads a value of it or tells about
// something, so that its end does no harm.
func harmless(f *program.File, lit *ast.FuncLit, use *ast.Ident) (ok bool) {
	ast.PreorderStack(lit.Body, nil, func(n ast.Node, stack []ast.Node) bool {
		if n != ast.Node(use) || len(stack) == 0 {
			return true
		}
		switch parent := stack[len(stack)-1].(type) {
		case *ast.SelectorExpr:
			ok = parent.Sel.Name == "Value"
		case *ast.CallExpr:
			ok = onlyTells.MatchString(funName(parent)) || pathOf(f, parent) == "log/slog" ||
				capture.IsCall(f.Info, parent, "context", "WithoutCancel")
		}
		return false
	})
	return ok
}

func funName(call *ast.CallExpr) string {
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

// pathOf returns the path of the package whose function is called.
func pathOf(f *program.File, call *ast.CallExpr) string {
	var id *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return ""
	}
	if fn, ok := f.Info.Uses[id].(*types.Func); ok && fn.Pkg() != nil {
		return fn.Pkg().Path()
	}
	return ""
}

// captured (b): a function that may outlive its caller writes a variable that
// the caller uses.
func (l *linter) captured(p place) {
	lit := p.call.Literal()
	if lit == nil || p.isTest() || !p.outlived() || locks(lit) {
		return
	}
	seen := map[*types.Var]bool{}
	for _, use := range capture.Uses(p.file.Info, lit) {
		if !use.Write || seen[use.Var] || !usedAfter(p, use.Var) {
			continue
		}
		seen[use.Var] = true
		l.found(use.Ident, "captured", "the function writes %s of its caller, who may have left and uses it too: a data race; and who joins never gets it", use.Var.Name())
	}
}

// outlived reports whether the caller may return before the function does.
func (p *place) outlived() bool {
	if !p.call.Detached() {
		return false
	}
	if !p.call.ByChannel() {
		return true
	}
	for i := len(p.stack) - 1; i >= 0; i-- {
		switch n := p.stack[i].(type) {
		case *ast.CommClause:
			return true // a case of a select, with others
		case *ast.FuncLit, *ast.FuncDecl:
			return p.selected(n)
		}
	}
	return false
}

// selected reports whether the channel of the call is received from in a
// select, or by nobody here.
func (p *place) selected(around ast.Node) bool {
	vars := p.results()
	if len(vars) != 1 || vars[0] == nil {
		_, alone := p.parent().(*ast.ExprStmt)
		return alone
	}
	found := false
	ast.PreorderStack(around, nil, func(n ast.Node, stack []ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && p.file.Info.Uses[id] == vars[0] {
			for _, outer := range stack {
				if _, ok := outer.(*ast.SelectStmt); ok {
					found = true
				}
			}
		}
		return true
	})
	return found
}

// locks reports whether a function takes a lock.
func locks(lit *ast.FuncLit) (found bool) {
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && funName(call) == "Lock" {
			found = true
		}
		return !found
	})
	return found
}

// usedAfter reports whether the function around a call uses v after it.
func usedAfter(p place, v *types.Var) bool {
	body := p.body()
	if body == nil {
		return false
	}
	used := false
	ast.Inspect(body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && p.file.Info.Uses[id] == v && id.Pos() > p.call.End() {
			used = true
		}
		return !used
	})
	return used
}

// requestScoped (e): the function uses what belongs to its leader's request.
func (l *linter) requestScoped(p place) {
	lit := p.call.Literal()
	if lit == nil || p.isTest() {
		return
	}
	for _, use := range capture.Uses(p.file.Info, lit) {
		what := capture.RequestScoped(use.Var.Type())
		switch what {
		case "":
			continue
		case "a request":
			if !bodyUse(lit, use.Ident) {
				continue
			}
			what = "the body of a request"
		case "a span":
			if !p.call.Detached() {
				continue // it is still open, and its attributes harm nobody
			}
		}
		l.found(use.Ident, "request", "the function uses %s, %s: those who join it have their own", what, use.Var.Name())
	}
}

// bodyUse reports whether a use of a request reads what comes over the network.
func bodyUse(lit *ast.FuncLit, use *ast.Ident) (found bool) {
	ast.PreorderStack(lit.Body, nil, func(n ast.Node, stack []ast.Node) bool {
		if n == ast.Node(use) && len(stack) > 0 {
			if sel, ok := stack[len(stack)-1].(*ast.SelectorExpr); ok {
				switch sel.Sel.Name {
				case "Body", "ParseForm", "ParseMultipartForm", "FormValue", "PostFormValue", "FormFile", "MultipartReader":
					found = true
				}
			}
		}
		return !found
	})
	return found
}
