package lint

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/capture"
	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// keys (d): different things that have one key.
func (l *linter) keys(p place) {
	key := ast.Unparen(p.call.Key)
	if id, ok := key.(*ast.Ident); ok {
		if v, ok := p.file.Info.Uses[id].(*types.Var); ok {
			if from, known := origin(p.file, v, p.stack); known {
				key = ast.Unparen(from)
			}
		}
	}
	if call, ok := key.(*ast.CallExpr); ok {
		switch {
		case capture.IsCall(p.file.Info, call, "fmt", "Sprint"):
			l.sprint(p, call)
		case capture.IsCall(p.file.Info, call, "fmt", "Sprintf"):
			l.sprintf(p, call)
		}
	}
	if decl := p.enclosing(); decl != nil && !p.isTest() {
		if group := groupVar(p.file, p.call.Select.X); group != nil {
			l.written = append(l.written, keyed{p, group, types.ExprString(p.call.Key), decl.Name.Name})
		}
	}
}

// sprint looks at a key from fmt.Sprint.
func (l *linter) sprint(p place, call *ast.CallExpr) {
	strings, varying := 0, 0
	for _, arg := range call.Args {
		tv := p.file.Info.Types[arg]
		if tv.Value != nil {
			continue
		}
		varying++
		if b, ok := tv.Type.Underlying().(*types.Basic); ok && b.Info()&types.IsString != 0 {
			strings++
		}
	}
	if len(call.Args) == 1 {
		t := p.file.Info.TypeOf(call.Args[0])
		if types.IsInterface(t) {
			l.found(call, "key", "values of different types have one key: fmt.Sprint writes 1 and \"1\" alike")
		}
		return
	}
	if varying > 1 && varying == len(call.Args) && strings > 0 {
		l.found(call, "key", "fmt.Sprint puts nothing between strings, so different values have one key: \"a\", \"bc\" and \"ab\", \"c\"")
	}
}

var verbs = regexp.MustCompile(`%[-+# 0]*[0-9.]*[a-zA-Z]`)

// sprintf looks at a key from fmt.Sprintf.
func (l *linter) sprintf(p place, call *ast.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	value := p.file.Info.Types[call.Args[0]].Value
	if value == nil || value.Kind() != constant.String {
		return
	}
	format := constant.StringVal(value)
	if strings.Contains(strings.ReplaceAll(format, "%%", ""), "%p") {
		l.found(call, "key", "%%p of what is gone may be the address of something else: the value itself can be the key of a Group of this project")
		return
	}
	if strings.Contains(format, "%%") {
		return
	}
	found := verbs.FindAllStringIndex(format, -1)
	for i := 1; i < len(found) && i+1 < len(call.Args); i++ {
		if found[i][0] != found[i-1][1] {
			continue
		}
		before, after := call.Args[i], call.Args[i+1]
		if !open(p.file, before, format[found[i-1][0]:found[i-1][1]]) || !open(p.file, after, format[found[i][0]:found[i][1]]) {
			continue
		}
		l.found(call, "key", "nothing is between two values in the key, so different values have one key: \"a\", \"bc\" and \"ab\", \"c\"")
		return
	}
}

var prefixName = regexp.MustCompile(`(?i)(prefix|namespace|hash|sum|sep|delim)`)

// open reports whether a formatted value may have any length: it isn't a
// constant, a prefix that brings its separator, a digest or of a fixed width.
func open(f *program.File, e ast.Expr, verb string) bool {
	if f.Info.Types[e].Value != nil || prefixName.MatchString(types.ExprString(e)) {
		return false
	}
	if len(verb) > 2 {
		return false
	}
	t := f.Info.TypeOf(e)
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&(types.IsString|types.IsInteger) != 0 && verb != "%x" && verb != "%q"
}

// A keyed call is one in a function whose name says what it does.
type keyed struct {
	place
	group *types.Var
	key   string
	name  string
}

var (
	reads  = regexp.MustCompile(`^(?i:get|load|find|read|fetch|lookup|query)`)
	writes = regexp.MustCompile(`^(?i:set|save|update|delete|write|put|create|insert|remove)`)
)

// readsAndWrites (d): who calls to write joins a read of the same key, and
// nothing is written.
func (l *linter) readsAndWrites() {
	for _, w := range l.written {
		if !writes.MatchString(w.name) {
			continue
		}
		for _, r := range l.written {
			if reads.MatchString(r.name) && r.group == w.group && r.key == w.key && r.call.CallExpr != w.call.CallExpr {
				l.found(w.call.Key, "key", "%s has the key that %s reads with: a write that joins a read is never done", w.name, r.name)
				break
			}
		}
	}
}

// groupVar returns the variable or field that a group expression is.
func groupVar(f *program.File, e ast.Expr) *types.Var {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		v, _ := f.Info.Uses[e].(*types.Var)
		return v
	case *ast.SelectorExpr:
		v, _ := f.Info.Uses[e.Sel].(*types.Var)
		return v
	case *ast.UnaryExpr:
		return groupVar(f, e.X)
	}
	return nil
}

// reentry (h): the function calls its own key, and waits for itself.
func (l *linter) reentry(p place) {
	lit := p.call.Literal()
	group := groupVar(p.file, p.call.Select.X)
	value := p.file.Info.Types[p.call.Key].Value
	if lit == nil || group == nil || value == nil {
		return
	}
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt, *ast.FuncLit:
			return false // elsewhere, or at another time
		case *ast.CallExpr:
			inner := flight.CallOf(p.file.Info, n)
			if inner == nil || !inner.Runs() || inner.ByChannel() || groupVar(p.file, inner.Select.X) != group {
				return true
			}
			if p.isTest() && inner.Ctx != nil {
				return true // to see ErrDeadlock
			}
			if !sameBase(p.call.Select.X, inner.Select.X) {
				return true
			}
			if other := p.file.Info.Types[inner.Key].Value; other != nil && value.Kind() == other.Kind() && constant.Compare(value, token.EQL, other) {
				l.found(inner.Select.Sel, "reentry", "the function that runs for key %s calls this key, and waits for itself", value)
			}
		}
		return true
	})
}

// sameBase reports whether two expressions name the group in the same words.
func sameBase(a, b ast.Expr) bool { return types.ExprString(a) == types.ExprString(b) }
