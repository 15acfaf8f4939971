package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
	"github.com/seed-737f55c4/singleflight/migrate/internal/valuestep"
)

// assertions (c): an assertion that panics when there is an error, or when the
// value is another function's.
func (l *linter) assertions() {
	for _, a := range valuestep.Assertions(l.Program) {
		l.found(a.Node, "assert", "%s", a.Message)
	}
}

// alias (f): a caller changes or closes what the others have too.
func (l *linter) alias(p place) {
	vars := p.results()
	body := p.body()
	if l.clones || body == nil || len(vars) != 3 || vars[0] == nil {
		return
	}
	shared := map[*types.Var]bool{vars[0]: true}
	// x := v.(T) is the same value.
	ast.Inspect(body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Rhs) != 1 || a.Tok != token.DEFINE {
			return true
		}
		if assertion, ok := ast.Unparen(a.Rhs[0]).(*ast.TypeAssertExpr); ok && isVar(p.file, assertion.X, vars[0]) {
			if id, ok := a.Lhs[0].(*ast.Ident); ok {
				if v, ok := p.file.Info.Defs[id].(*types.Var); ok {
					shared[v] = true
				}
			}
		}
		return true
	})
	for v := range shared {
		if v != vars[0] && reassigned(p.file, body, v, nil) || reassigned(p.file, body, v, p.parent()) {
			continue // perhaps with a copy
		}
		l.changes(p, body, v)
	}
}

func isVar(f *program.File, e ast.Expr, v *types.Var) bool {
	id, ok := ast.Unparen(e).(*ast.Ident)
	return ok && f.Info.Uses[id] == v
}

// reassigned reports whether a variable is assigned to, other than in the
// statement that is given.
func reassigned(f *program.File, body ast.Node, v *types.Var, but ast.Node) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && n != but {
			for _, target := range a.Lhs {
				found = found || isVar(f, target, v)
			}
		}
		return !found
	})
	return found
}

// changes finds what changes the value that v holds.
func (l *linter) changes(p place, body ast.Node, v *types.Var) {
	report := func(at ast.Node, how string) {
		l.found(at, "alias", "this %s %s, which the other callers of the flight have too: copy it, or set Options.Clone", how, v.Name())
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if n == nil || n.Pos() < p.call.Pos() {
			return true
		}
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, target := range n.Lhs {
				if through(p.file, target, v) {
					report(target, "changes")
				}
			}
		case *ast.IncDecStmt:
			if through(p.file, n.X, v) {
				report(n.X, "changes")
			}
		case *ast.CallExpr:
			l.changedBy(p, n, v, report)
		}
		return true
	})
}

// changedBy reports calls that change or close what v holds.
func (l *linter) changedBy(p place, call *ast.CallExpr, v *types.Var, report func(ast.Node, string)) {
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Close" && len(call.Args) == 0 {
		if rooted(p.file, sel.X, v) {
			report(call, "closes")
		}
		return
	}
	if len(call.Args) == 0 || !isVar(p.file, call.Args[0], v) && !isAssertionOf(p.file, call.Args[0], v) {
		return
	}
	name, path := funName(call), pathOf(p.file, call)
	switch {
	case path == "" && (name == "delete" || name == "clear"),
		path == "slices" && (strings.HasPrefix(name, "Sort") || name == "Reverse" || name == "Delete" || name == "Insert" || name == "Compact"),
		path == "sort" && (name == "Slice" || name == "SliceStable" || name == "Strings" || name == "Ints" || name == "Float64s" || name == "Sort" || name == "Stable"),
		path == "maps" && (name == "Copy" || name == "DeleteFunc"):
		report(call, "changes")
	}
}

func isAssertionOf(f *program.File, e ast.Expr, v *types.Var) bool {
	a, ok := ast.Unparen(e).(*ast.TypeAssertExpr)
	return ok && isVar(f, a.X, v)
}

// through reports whether e is what lies behind a pointer, slice or map that v
// holds.
func through(f *program.File, e ast.Expr, v *types.Var) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		_, pointer := typeOf(f, e.X).(*types.Pointer)
		return rooted(f, e.X, v) && (pointer || through(f, e.X, v))
	case *ast.IndexExpr:
		switch typeOf(f, e.X).(type) {
		case *types.Slice, *types.Map, *types.Pointer:
			return rooted(f, e.X, v)
		}
		return through(f, e.X, v)
	case *ast.StarExpr:
		return rooted(f, e.X, v)
	}
	return false
}

func typeOf(f *program.File, e ast.Expr) types.Type {
	if t := f.Info.TypeOf(e); t != nil {
		return t.Underlying()
	}
	return nil
}

// rooted reports whether e is v, or reached from it by fields and indexes.
func rooted(f *program.File, e ast.Expr, v *types.Var) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return f.Info.Uses[e] == v
	case *ast.SelectorExpr:
		return rooted(f, e.X, v)
	case *ast.IndexExpr:
		return rooted(f, e.X, v)
	case *ast.StarExpr:
		return rooted(f, e.X, v)
	case *ast.TypeAssertExpr:
		return rooted(f, e.X, v)
	}
	return false
}

var writesSource = regexp.MustCompile(`^(Save|Update|Insert|Write|Put|Exec|ExecContext|Store|Set|Create|Upsert)`)

var notSource = regexp.MustCompile(`(?i)(cache|lru|metric|span|header|log|gauge|counter)`)

// forget (g): a key is forgotten before the write, so that a call in between
// reads the old value and hands it out after the write.
func (l *linter) forget(p place) {
	if p.isTest() || len(p.stack) < 2 {
		return
	}
	statement, ok := p.stack[len(p.stack)-1].(*ast.ExprStmt)
	if !ok {
		return
	}
	block, ok := p.stack[len(p.stack)-2].(*ast.BlockStmt)
	if !ok {
		return
	}
	before, after, seen, again := false, ast.Node(nil), false, false
	for _, s := range block.List {
		if s == ast.Stmt(statement) {
			seen = true
			continue
		}
		ast.Inspect(s, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit, *ast.DeferStmt, *ast.GoStmt:
				return false
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
					if sel.Sel.Name == "Forget" && seen {
						again = true
					}
					if writesSource.MatchString(sel.Sel.Name) && !notSource.MatchString(types.ExprString(sel)) && methodCall(p.file, sel) {
						if !seen {
							before = true
						} else if after == nil {
							after = n
						}
					}
				}
			}
			return true
		})
	}
	if !before && !again && after != nil && mentions(after, p.call.Key) {
		l.found(statement, "forget", "the key is forgotten before the write in line %d: a call in between reads the old value, and others get it after the write", l.Fset.Position(after.Pos()).Line)
	}
}

func methodCall(f *program.File, sel *ast.SelectorExpr) bool { return f.Info.Selections[sel] != nil }

// mentions reports whether n has the words of e in it.
func mentions(n ast.Node, e ast.Expr) (found bool) {
	text := types.ExprString(e)
	ast.Inspect(n, func(n ast.Node) bool {
		if other, ok := n.(ast.Expr); ok && types.ExprString(other) == text {
			found = true
		}
		return !found
	})
	return found
}

// unread (i): nobody reads the channel, and a panic ends the process.
func (l *linter) unread(p place) {
	if !p.call.ByChannel() || l.recovers || p.isTest() {
		return
	}
	switch n := p.parent().(type) {
	case *ast.ExprStmt:
	case *ast.AssignStmt:
		if id, ok := n.Lhs[0].(*ast.Ident); !ok || id.Name != "_" {
			return
		}
	default:
		return
	}
	if lit := p.function(); lit != nil && recovers(lit) {
		return
	}
	l.found(p.call.Select.Sel, "unread", "nobody reads the channel: an error of the function is lost, and a panic in it ends the process")
}

// function returns the literal that the call runs, also over a variable.
func (p *place) function() *ast.FuncLit {
	if lit := p.call.Literal(); lit != nil {
		return lit
	}
	if id, ok := ast.Unparen(p.call.Fn).(*ast.Ident); ok {
		if v, ok := p.file.Info.Uses[id].(*types.Var); ok {
			if from, known := origin(p.file, v, p.stack); known {
				lit, _ := ast.Unparen(from).(*ast.FuncLit)
				return lit
			}
		}
	}
	return nil
}

// recovers reports whether a function recovers a panic, or has a deferred call
// that may.
func recovers(lit *ast.FuncLit) (found bool) {
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "recover" {
				found = true
			}
		case *ast.DeferStmt:
			found = found || strings.Contains(strings.ToLower(funName(n.Call)), "recover") || strings.Contains(strings.ToLower(funName(n.Call)), "panic")
		}
		return !found
	})
	return found
}

var tells = regexp.MustCompile(`(?i)(log|print|debug|info|warn|error|inc|add|observe|record|count|metric|span|attribute|metadata|event|trace)`)

// shared (j): shared is true for the leader too, so what is done only without
// it is done by nobody as soon as one has joined.
func (l *linter) shared(p place) {
	vars := p.results()
	body := p.body()
	if body == nil || len(vars) != 3 || vars[2] == nil || p.isTest() {
		return
	}
	ast.Inspect(body, func(n ast.Node) bool {
		check, ok := n.(*ast.IfStmt)
		if !ok {
			return true
		}
		not, ok := ast.Unparen(check.Cond).(*ast.UnaryExpr)
		if !ok || not.Op != token.NOT || !isVar(p.file, not.X, vars[2]) {
			return true
		}
		if works(check.Body) {
			l.found(check.Cond, "shared", "shared is true for the caller whose function ran too: as soon as one has joined, nobody does this; Result.Leader of DoResult tells")
		}
		return true
	})
}

// works reports whether a block has a call that does more than to tell, and
// doesn't just return the value.
func works(block *ast.BlockStmt) (found bool) {
	for _, statement := range block.List {
		switch statement := statement.(type) {
		case *ast.ReturnStmt:
			return false
		case *ast.ExprStmt:
			if call, ok := statement.X.(*ast.CallExpr); ok && !tells.MatchString(types.ExprString(call.Fun)) {
				found = true
			}
		}
	}
	return found
}
