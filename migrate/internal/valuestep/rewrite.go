package valuestep

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// A rewrite changes a class to the type of its values, or finds why it can't.
type rewrite struct {
	*class
	step       *step
	t          types.Type
	valueText  string // t, where the group is declared
	nilComes   bool   // an any may be nil, beside an error
	edits      []program.Edit
	assertions int
}

func newRewrite(s *step, c *class) *rewrite { return &rewrite{class: c, step: s} }

func (r *rewrite) stay(at ast.Node, format string, args ...any) {
	r.step.stay(r.class, at, format, args...)
}

func (r *rewrite) where(pos token.Pos) string { return r.step.where(pos) }

// plan makes the edits, as long as there is no reason not to.
func (r *rewrite) plan() {
	r.visibility()
	if len(r.reasons) > 0 {
		return
	}
	all, results := r.functions()
	if len(r.reasons) > 0 {
		return
	}
	if r.t = r.valueType(all); r.t == nil {
		return
	}
	for _, call := range r.calls {
		r.nilComes = r.nilComes || call.call.Ctx != nil
	}
	for _, one := range all {
		if one.t == nil || one.t == types.Typ[types.UntypedNil] {
			r.nilComes = true
			text, ok := r.text(one.file, one.expr)
			if ok && zero(r.t, text) != "nil" {
				r.edit(one.expr.Pos(), one.expr.End(), zero(r.t, text))
			}
		}
	}
	for _, e := range slices.Concat(r.types, results) {
		if text, ok := r.text(e.file, e.at); ok {
			r.edit(e.any.Pos(), e.any.End(), text)
			if r.valueText == "" {
				r.valueText = text
			}
		}
	}
	r.uses()
}

func (r *rewrite) edit(pos, end token.Pos, text string) {
	r.edits = append(r.edits, program.Edit{Pos: pos, End: end, New: text})
}

// text writes the type at a place, and imports what it needs there.
func (r *rewrite) text(f *program.File, at ast.Node) (string, bool) {
	text, ok := f.TypeText(r.t, at)
	if ok {
		return text, true
	}
	if named := onlyNamed(r.t); named != nil && named.Pkg() != nil && named.Exported() && named.Pkg().Path() != f.Pkg.Path() &&
		f.ImportOf(named.Pkg().Path()) == nil && named.Parent() == named.Pkg().Scope() && !imports(named.Pkg(), f.Pkg.Path(), nil) && visible(named.Pkg().Path(), f.Pkg.Path()) {
		if edit, ok := program.AddImport(f, named.Pkg().Path()); ok && strings.HasSuffix("/"+named.Pkg().Path(), "/"+named.Pkg().Name()) {
			if f.Lookup(named.Pkg().Name(), at) == nil {
				r.edits = append(r.edits, edit)
				return types.TypeString(r.t, func(pkg *types.Package) string { return pkg.Name() }), true
			}
		}
	}
	r.stay(at, "%s can't be named here", r.short(r.t, f))
	return "", false
}

// onlyNamed returns the one named type that t is made of, or nil.
func onlyNamed(t types.Type) *types.TypeName {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		if t.TypeArgs().Len() == 0 {
			return t.Obj()
		}
	case *types.Pointer:
		return onlyNamed(t.Elem())
	case *types.Slice:
		return onlyNamed(t.Elem())
	}
	return nil
}

// imports reports whether pkg imports path, over whatever others.
func imports(pkg *types.Package, path string, seen map[*types.Package]bool) bool {
	if seen == nil {
		seen = map[*types.Package]bool{}
	}
	if pkg.Path() == path {
		return true
	}
	if seen[pkg] {
		return false
	}
	seen[pkg] = true
	return slices.ContainsFunc(pkg.Imports(), func(p *types.Package) bool { return imports(p, path, seen) })
}

// visible reports whether from may import path.
func visible(path, from string) bool {
	root, _, internal := strings.Cut(path, "/internal/")
	return !internal || from == root || strings.HasPrefix(from, root+"/")
}

// visibility leaves what others may use.
func (r *rewrite) visibility() {
	if !r.step.opts.Exported {
		for _, h := range r.names {
			if h.exported != "" {
				r.reasons = append(r.reasons, reason{h.pos, h.exported + " is exported, and other modules may use it: -exported changes it all the same"})
			}
		}
	}
	var unseen []string
	for _, u := range r.step.Unseen {
		unseen = append(unseen, u.Name)
	}
	if !r.step.Whole {
		unseen = append(unseen, r.tests()...)
	}
	r.mentioned(unseen)
}

// tests returns the tests beside the class, where they aren't part of what is
// seen.
func (r *rewrite) tests() (names []string) {
	for _, e := range r.types {
		beside, _ := filepath.Glob(filepath.Join(filepath.Dir(e.file.Name), "*_test.go"))
		for _, name := range beside {
			if !slices.ContainsFunc(r.step.Files, func(f *program.File) bool { return f.Name == name }) {
				names = append(names, name)
			}
		}
	}
	return names
}

// mentioned leaves a class that a file which isn't seen may use.
func (r *rewrite) mentioned(unseen []string) {
	for _, name := range unseen {
		source, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for _, h := range r.names {
			if regexp.MustCompile(`\b` + regexp.QuoteMeta(h.name) + `\b`).Match(source) {
				r.reasons = append(r.reasons, reason{h.pos, filepath.Base(name) + ", which isn't seen here, may use it"})
				return
			}
		}
	}
}

// uses changes how values are used.
func (r *rewrite) uses() {
	for i := range r.values {
		r.use(&r.values[i])
	}
}

// parent returns what is around the value, without parentheses.
func (v *value) parent() ast.Node {
	for i := len(v.stack) - 1; i >= 0; i-- {
		if _, ok := v.stack[i].(*ast.ParenExpr); !ok {
			return v.stack[i]
		}
	}
	return nil
}

func (r *rewrite) use(v *value) {
	switch n := v.parent().(type) {
	case *ast.TypeAssertExpr:
		if n.Type == nil {
			r.stay(v.expr, "a type switch looks at the value")
			return
		}
		if typeKey(v.file.Info.TypeOf(n.Type)) != typeKey(r.t) {
			r.stay(n, "the value is asserted to be a %s, and the functions return a %s",
				r.short(v.file.Info.TypeOf(n.Type), v.file), r.short(r.t, v.file))
			return
		}
		if assign := blankOK(v, n); assign != nil { // of nil that is the zero value, and that is what comes now
			r.assertions++
			r.edit(assign.Lhs[0].End(), assign.Lhs[1].End(), "")
			r.edit(n.X.End(), n.End(), "")
			return
		}
		if r.nilComes && !v.checked() {
			r.stay(n, "the value is asserted where its error may not be nil")
			return
		}
		r.assertion(v, n)
	case *ast.BinaryExpr:
		r.stay(v.expr, "the value is compared, perhaps with nil")
	case *ast.CallExpr:
		if v.expr == n.Fun || r.nilComes && !v.checked() {
			r.stay(v.expr, "the value is passed on where its error may not be nil")
		}
	case *ast.AssignStmt:
		if !assignedToBlank(n) {
			r.stay(v.expr, "the value is assigned as an any")
		}
	case *ast.ReturnStmt:
		r.stay(v.expr, "the value is returned as an any")
	case *ast.UnaryExpr:
		r.stay(v.expr, "the address of the value is taken")
	default:
		r.stay(v.expr, "the value is used as an any")
	}
}

// blankOK returns the assignment x, _ = v.(T) that n is in, or nil.
func blankOK(v *value, n *ast.TypeAssertExpr) *ast.AssignStmt {
	for i := len(v.stack) - 1; i > 0; i-- {
		if v.stack[i] != ast.Node(n) {
			continue
		}
		assign, ok := v.stack[i-1].(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != 2 || len(assign.Rhs) != 1 || !blank(assign.Lhs[1]) || blank(assign.Lhs[0]) {
			return nil
		}
		return assign
	}
	return nil
}

// assertion removes an assertion to the type that the value has.
func (r *rewrite) assertion(v *value, n *ast.TypeAssertExpr) {
	r.assertions++
	outer := v.stack
	for len(outer) > 0 && outer[len(outer)-1] != ast.Node(n) {
		outer = outer[:len(outer)-1]
	}
	outer = outer[:len(outer)-1]
	var parent ast.Node
	for i := len(outer) - 1; i >= 0; i-- {
		if _, ok := outer[i].(*ast.ParenExpr); !ok {
			parent, outer = outer[i], outer[:i]
			break
		}
	}
	switch p := parent.(type) {
	case *ast.AssignStmt:
		if len(p.Lhs) == 2 && len(p.Rhs) == 1 {
			r.commaOK(v, n, p, outer)
			return
		}
	case *ast.ValueSpec:
		if len(p.Names) == 2 && len(p.Values) == 1 {
			r.stay(n, "the assertion with ok is in a var declaration")
			return
		}
	case *ast.ExprStmt:
		r.stay(n, "nothing is done with the asserted value")
		return
	}
	r.edit(n.X.End(), n.End(), "")
}

// commaOK removes an assertion with ok, and the path for a value of another
// type.
func (r *rewrite) commaOK(v *value, n *ast.TypeAssertExpr, assign *ast.AssignStmt, outer []ast.Node) {
	ok, isIdent := assign.Lhs[1].(*ast.Ident)
	if assign.Tok != token.DEFINE || !isIdent || ok.Name == "_" {
		r.stay(n, "the ok of the assertion goes elsewhere")
		return
	}
	uses := 0
	for _, obj := range v.file.Info.Uses {
		if obj == v.file.Info.Defs[ok] {
			uses++
		}
	}
	x, isIdent := assign.Lhs[0].(*ast.Ident)
	if uses != 1 || v.file.Info.Defs[ok] == nil || !isIdent || x.Name != "_" && v.file.Info.Defs[x] == nil {
		r.stay(n, "the ok of the assertion is used in a way that isn't understood")
		return
	}
	keep := func(end token.Pos) { // x := v
		r.edit(assign.Lhs[0].End(), ok.End(), "")
		r.edit(n.X.End(), end, "")
	}
	switch around := outer[len(outer)-1].(type) {
	case *ast.BlockStmt:
		if r.block(v, n, assign, around.List, ok, x, keep) {
			return
		}
	case *ast.CaseClause:
		if r.block(v, n, assign, around.Body, ok, x, keep) {
			return
		}
	case *ast.CommClause:
		if r.block(v, n, assign, around.Body, ok, x, keep) {
			return
		}
	case *ast.IfStmt:
		if around.Init == assign && r.inIf(v, n, assign, around, outer[:len(outer)-1], ok, x) {
			return
		}
	}
	r.stay(n, "the ok of the assertion is used in a way that isn't understood")
}

// block changes x, ok := v.(T) followed by if !ok { … }.
func (r *rewrite) block(v *value, n *ast.TypeAssertExpr, assign *ast.AssignStmt, list []ast.Stmt, ok, x *ast.Ident, keep func(token.Pos)) bool {
	i := slices.Index(list, ast.Stmt(assign))
	if i < 0 || i+1 >= len(list) {
		return false
	}
	check, isIf := list[i+1].(*ast.IfStmt)
	if !isIf || check.Init != nil || check.Else != nil || !negates(check.Cond, ok.Name) || !Leaves(check.Body) {
		return false
	}
	if x.Name == "_" {
		return false
	}
	keep(n.End())
	r.edit(r.lineEnd(v.file, assign.End()), r.lineEnd(v.file, check.End()), "")
	return true
}

// lineEnd is the end of the line, if only white space or a comment is left of
// it, and pos otherwise.
func (r *rewrite) lineEnd(f *program.File, pos token.Pos) token.Pos {
	rest := r.step.Text(f, pos, f.Syntax.FileEnd)
	line, _, _ := strings.Cut(rest, "\n")
	if trimmed := strings.TrimSpace(line); trimmed == "" {
		return pos + token.Pos(len(line))
	}
	return pos
}

func negates(cond ast.Expr, name string) bool {
	not, ok := ast.Unparen(cond).(*ast.UnaryExpr)
	return ok && not.Op == token.NOT && isName(not.X, name)
}

func isName(e ast.Expr, name string) bool {
	id, ok := ast.Unparen(e).(*ast.Ident)
	return ok && id.Name == name
}

// inIf changes if x, ok := v.(T); ok { … } else { … } and its like.
func (r *rewrite) inIf(v *value, n *ast.TypeAssertExpr, assign *ast.AssignStmt, check *ast.IfStmt, outer []ast.Node, ok, x *ast.Ident) bool {
	list, inList := statements(outer, check)
	if !inList {
		return false
	}
	var live *ast.BlockStmt
	switch {
	case isName(check.Cond, ok.Name):
		live = check.Body
	case negates(check.Cond, ok.Name) && check.Else == nil && x.Name == "_" && Leaves(check.Body):
		r.edit(check.Pos(), check.End(), "_ = "+types.ExprString(n.X))
		return true
	case negates(check.Cond, ok.Name) && check.Else != nil && Leaves(check.Body):
		block, isBlock := check.Else.(*ast.BlockStmt)
		if !isBlock {
			return false
		}
		live = block
	default:
		return false
	}
	head := fmt.Sprintf("%s := %s", x.Name, r.step.Text(v.file, n.X.Pos(), n.X.End()))
	if x.Name == "_" {
		head = "_ = " + r.step.Text(v.file, n.X.Pos(), n.X.End())
	}
	rest := list[slices.Index(list, ast.Stmt(check))+1:]
	flat := r.flat(v.file, live, x, outer)
	end := check.End()
	if Leaves(live) && endsInReturn(live) && len(rest) > 0 {
		if hasLabel(rest) {
			return false
		}
		end = rest[len(rest)-1].End()
	}
	if flat {
		r.edit(check.Pos(), live.Lbrace+1, head)
		r.edit(r.lastEnd(v.file, live), end, "")
		return true
	}
	r.edit(check.Pos(), live.Lbrace+1, "{\n"+head)
	r.edit(live.Rbrace, end, "}")
	return true
}

// lastEnd is the end of the last statement of a block, or the brace after it if
// there is a comment in between.
func (r *rewrite) lastEnd(f *program.File, block *ast.BlockStmt) token.Pos {
	if len(block.List) > 0 {
		last := block.List[len(block.List)-1].End()
		if strings.TrimSpace(r.step.Text(f, last, block.Rbrace)) == "" {
			return last
		}
	}
	return block.Rbrace
}

func endsInReturn(block *ast.BlockStmt) bool {
	_, ok := block.List[len(block.List)-1].(*ast.ReturnStmt)
	return ok
}

func hasLabel(list []ast.Stmt) (found bool) {
	for _, statement := range list {
		ast.Inspect(statement, func(n ast.Node) bool {
			_, label := n.(*ast.LabeledStmt)
			found = found || label
			return !found
		})
	}
	return found
}

// statements returns the list that a statement is in.
func statements(outer []ast.Node, statement ast.Stmt) ([]ast.Stmt, bool) {
	if len(outer) == 0 {
		return nil, false
	}
	switch around := outer[len(outer)-1].(type) {
	case *ast.BlockStmt:
		return around.List, true
	case *ast.CaseClause:
		return around.Body, true
	case *ast.CommClause:
		return around.Body, true
	}
	return nil, false
}

// flat reports whether the statements of a block, and x, can be moved out of it
// to the list around without a clash of names.
func (r *rewrite) flat(f *program.File, block *ast.BlockStmt, x *ast.Ident, outer []ast.Node) bool {
	scope := f.Info.Scopes[outer[len(outer)-1]]
	if fn := funcType(outer); fn != nil {
		scope = f.Info.Scopes[fn] // the body of a function has the scope of its parameters
	}
	if scope == nil || scope.Lookup(x.Name) != nil {
		return false
	}
	inner := f.Info.Scopes[block]
	if inner == nil {
		return false
	}
	return !slices.ContainsFunc(inner.Names(), func(name string) bool { return scope.Lookup(name) != nil || name == x.Name })
}

func funcType(outer []ast.Node) *ast.FuncType {
	if len(outer) < 2 {
		return nil
	}
	switch fn := outer[len(outer)-2].(type) {
	case *ast.FuncDecl:
		return fn.Type
	case *ast.FuncLit:
		return fn.Type
	}
	return nil
}
