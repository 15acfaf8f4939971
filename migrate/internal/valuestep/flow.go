package valuestep

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// visit looks at one node: what it declares, where what it holds goes, and
// whether that is understood.
func (s *step) visit(f *program.File, n ast.Node, stack []ast.Node) {
	if e, ok := n.(ast.Expr); ok {
		if tv, known := f.Info.Types[e]; known && tv.IsType() {
			s.declared(f, e, stack)
			return
		} else if known && carries(tv.Type) && tv.IsValue() {
			if f.Frozen != "" || f.Cgo {
				s.frozen(f, s.slot(f, e), e)
			}
			s.goes(f, e, stack)
		}
	}
	switch n := n.(type) {
	case *ast.Ident:
		s.ident(f, n, stack)
	case *ast.AssignStmt:
		s.assign(f, n.Lhs, n.Rhs)
	case *ast.ValueSpec:
		if len(n.Values) > 0 {
			s.assign(f, exprs(n.Names), n.Values)
		}
	case *ast.RangeStmt:
		if carries(f.Info.TypeOf(n.X)) {
			for _, target := range []ast.Expr{n.Key, n.Value} {
				if target != nil && carries(f.Info.TypeOf(target)) {
					s.join(s.slot(f, target), s.slot(f, n.X))
				}
			}
		}
	case *ast.SendStmt:
		s.move(f, n.Chan, n.Value)
	case *ast.BinaryExpr:
		if carries(f.Info.TypeOf(n.X)) && carries(f.Info.TypeOf(n.Y)) {
			s.join(s.slot(f, n.X), s.slot(f, n.Y))
		}
	case *ast.ReturnStmt:
		s.returns(f, n, stack)
	case *ast.CompositeLit:
		s.literal(f, n)
	case *ast.CallExpr:
		s.call(f, n, stack)
	}
}

func exprs(names []*ast.Ident) (es []ast.Expr) {
	for _, name := range names {
		es = append(es, name)
	}
	return es
}

// ident looks at a name: a variable that is declared without its type being
// named, or a function that is used as a value.
func (s *step) ident(f *program.File, id *ast.Ident, stack []ast.Node) {
	if v, ok := f.Info.Defs[id].(*types.Var); ok && carries(v.Type()) {
		s.hold(s.class(s.Place(v.Pos())), v, id)
	}
	fn, ok := f.Info.Uses[id].(*types.Func)
	if !ok || flight.Of(fn) != flight.None || !holds(fn.Type()) {
		return
	}
	fn = fn.Origin()
	if called(f, id, stack) {
		return
	}
	for _, tuple := range []*types.Tuple{fn.Signature().Params(), fn.Signature().Results()} {
		for v := range tuple.Variables() {
			if carries(v.Type()) {
				s.stay(s.signatureSlot(fn, v), id, "%s is used as a value", fn.Name())
			}
		}
	}
}

// called reports whether the function that id names is called there.
func called(f *program.File, id *ast.Ident, stack []ast.Node) bool {
	var inner ast.Node = id
	for i := len(stack) - 1; i >= 0; i-- {
		switch n := stack[i].(type) {
		case *ast.SelectorExpr:
			if n.Sel != inner {
				return false
			}
		case *ast.IndexExpr, *ast.IndexListExpr, *ast.ParenExpr:
		case *ast.CallExpr:
			return n.Fun == inner && callee(f, n) != nil
		default:
			return false
		}
		inner = stack[i]
	}
	return false
}

// assign moves what the right sides hold to the left sides.
func (s *step) assign(f *program.File, lhs, rhs []ast.Expr) {
	if len(lhs) == len(rhs) {
		for i := range lhs {
			s.move(f, lhs[i], rhs[i])
		}
		return
	}
	if len(rhs) != 1 {
		return
	}
	switch e := ast.Unparen(rhs[0]).(type) {
	case *ast.CallExpr:
		fn := callee(f, e)
		if fn == nil || flight.Of(fn) != flight.None {
			for _, target := range lhs {
				if carries(f.Info.TypeOf(target)) {
					s.stay(s.slot(f, target), target, "it comes from a call of what isn't a function of this module")
				}
			}
			return
		}
		for i, target := range lhs {
			if result := fn.Signature().Results().At(i); carries(result.Type()) {
				s.moveSlot(f, target, s.signatureSlot(fn, result), e)
			}
		}
	default: // v, ok := <-ch, m[k], x.(T)
		s.move(f, lhs[0], rhs[0])
	}
}

// move joins what two expressions hold.
func (s *step) move(f *program.File, to, from ast.Expr) {
	if carries(f.Info.TypeOf(from)) {
		s.moveSlot(f, to, s.slot(f, from), from)
	} else if carries(f.Info.TypeOf(to)) && !f.Info.Types[from].IsNil() && !blank(to) {
		s.stay(s.slot(f, to), from, "it comes from an expression that isn't understood")
	}
}

func (s *step) moveSlot(f *program.File, to ast.Expr, from *class, at ast.Node) {
	switch {
	case blank(to):
	case carries(f.Info.TypeOf(to)):
		s.join(s.slot(f, to), from)
	default:
		s.stay(from, at, "it becomes a value of type %s", types.TypeString(f.Info.TypeOf(to), types.RelativeTo(f.Pkg)))
	}
}

func blank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// returns moves what is returned to the results of the function around.
func (s *step) returns(f *program.File, n *ast.ReturnStmt, stack []ast.Node) {
	for i := len(stack) - 1; i >= 0; i-- {
		switch around := stack[i].(type) {
		case *ast.FuncDecl:
			fn, ok := f.Info.Defs[around.Name].(*types.Func)
			if !ok {
				return
			}
			s.returnTo(f, n, fn)
			return
		case *ast.FuncLit:
			for _, e := range n.Results {
				if carries(f.Info.TypeOf(e)) {
					s.stay(s.slot(f, e), e, "a function literal returns it")
				}
			}
			return
		}
	}
}

func (s *step) returnTo(f *program.File, n *ast.ReturnStmt, fn *types.Func) {
	results := fn.Signature().Results()
	if len(n.Results) != results.Len() {
		for _, e := range n.Results { // return f()
			if holds(f.Info.TypeOf(e)) {
				for v := range results.Variables() {
					if carries(v.Type()) {
						s.stay(s.signatureSlot(fn, v), e, "the results of a call are returned together")
					}
				}
				if call, ok := ast.Unparen(e).(*ast.CallExpr); ok {
					s.stayResults(f, call)
				}
			}
		}
		return
	}
	for i, e := range n.Results {
		result := results.At(i)
		switch {
		case carries(f.Info.TypeOf(e)) && carries(result.Type()):
			s.join(s.signatureSlot(fn, result), s.slot(f, e))
		case carries(f.Info.TypeOf(e)):
			s.stay(s.slot(f, e), e, "it is returned as a value of another type")
		case carries(result.Type()) && !f.Info.Types[e].IsNil():
			s.stay(s.signatureSlot(fn, result), e, "it comes from an expression that isn't understood")
		}
	}
}

func (s *step) stayResults(f *program.File, call *ast.CallExpr) {
	if fn := callee(f, call); fn != nil {
		for v := range fn.Signature().Results().Variables() {
			if carries(v.Type()) {
				s.stay(s.signatureSlot(fn, v), call, "the results of a call are passed on together")
			}
		}
	}
}

// literal moves what a composite literal is made of into it.
func (s *step) literal(f *program.File, lit *ast.CompositeLit) {
	t := f.Info.TypeOf(lit)
	if t == nil {
		return
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	structure, isStruct := t.Underlying().(*types.Struct)
	if carries(t) && isStruct {
		return // a Result or a Group itself; see findValues
	}
	for i, elt := range lit.Elts {
		var e ast.Expr = elt
		kv, keyed := elt.(*ast.KeyValueExpr)
		if keyed {
			e = kv.Value
		}
		if isStruct {
			var field *types.Var
			if keyed {
				field, _ = f.Info.Uses[kv.Key.(*ast.Ident)].(*types.Var)
			} else if i < structure.NumFields() {
				field = structure.Field(i)
			}
			if field != nil && carries(f.Info.TypeOf(e)) {
				if carries(field.Type()) {
					s.join(s.varSlot(field), s.slot(f, e))
				} else {
					s.stay(s.slot(f, e), e, "it becomes a value of another type")
				}
			}
			continue
		}
		if carries(f.Info.TypeOf(e)) {
			if carries(t) {
				s.join(s.slot(f, lit), s.slot(f, e))
			} else {
				s.stay(s.slot(f, e), e, "it becomes a value of another type")
			}
		}
	}
}

// call moves arguments to parameters.
func (s *step) call(f *program.File, n *ast.CallExpr, stack []ast.Node) {
	if c := flight.CallOf(f.Info, n); c != nil {
		s.flight(f, c, stack)
		return
	}
	switch builtin(f, n) {
	case "append":
		for _, arg := range n.Args[1:] {
			s.move(f, n.Args[0], arg)
		}
		return
	case "":
	default:
		return
	}
	if f.Info.Types[n.Fun].IsType() {
		for _, arg := range n.Args {
			if carries(f.Info.TypeOf(arg)) {
				s.stay(s.slot(f, arg), arg, "it is converted")
			}
		}
		return
	}
	fn := callee(f, n)
	for i, arg := range n.Args {
		if !carries(f.Info.TypeOf(arg)) {
			if holds(f.Info.TypeOf(arg)) {
				if call, ok := ast.Unparen(arg).(*ast.CallExpr); ok {
					s.stayResults(f, call) // f(g())
				}
			}
			continue
		}
		var param *types.Var
		if fn != nil && flight.Of(fn) == flight.None {
			if params := fn.Signature().Params(); i < params.Len() && !(fn.Signature().Variadic() && i >= params.Len()-1) {
				param = params.At(i)
			}
		}
		if param == nil || !carries(param.Type()) {
			s.stay(s.slot(f, arg), arg, "it is passed to what may keep it as another type")
			continue
		}
		s.join(s.signatureSlot(fn, param), s.slot(f, arg))
	}
}

// flight records a call of one of a group's methods.
func (s *step) flight(f *program.File, c *flight.Call, stack []ast.Node) {
	if !known(c.Library) || !carries(f.Info.TypeOf(c.Select.X)) {
		if s.promoted(f, c) {
			s.stay(s.slotOfPromoted(f, c), c, "it is embedded, so its methods are the struct's")
		}
		return
	}
	group := s.slot(f, c.Select.X).root()
	if c.Method == "Func" {
		s.stay(group, c, "Func makes a function of it")
	}
	if c.Runs() {
		group.calls = append(group.calls, call{f, c, append([]ast.Node(nil), stack...)})
	}
}

func (s *step) promoted(f *program.File, c *flight.Call) bool {
	selection := f.Info.Selections[c.Select]
	return c.Library == flight.Ours && selection != nil && len(selection.Index()) > 1
}

func (s *step) slotOfPromoted(f *program.File, c *flight.Call) *class {
	return s.class(s.Place(c.Pos()) + " promoted")
}

// goes checks that what becomes of an expression that carries is understood.
func (s *step) goes(f *program.File, e ast.Expr, stack []ast.Node) {
	var parent ast.Node
	for i := len(stack) - 1; i >= 0; i-- {
		if _, ok := stack[i].(*ast.ParenExpr); !ok {
			parent = stack[i]
			break
		}
	}
	switch p := parent.(type) {
	case *ast.SelectorExpr:
		if p.Sel == e {
			return // the field's name; the selector itself is looked at
		}
		if method, ok := f.Info.Uses[p.Sel].(*types.Func); ok && known(flight.Of(method)) && !calledSelector(p, stack) {
			s.stay(s.slot(f, e), e, "its method %s is used as a value", method.Name())
		}
		return
	case *ast.AssignStmt, *ast.ValueSpec, *ast.ReturnStmt, *ast.RangeStmt, *ast.SendStmt, *ast.CompositeLit,
		*ast.KeyValueExpr, *ast.CallExpr, *ast.StarExpr, *ast.IndexExpr, *ast.SliceExpr, *ast.ExprStmt, *ast.ParenExpr, *ast.Field:
		return
	case *ast.UnaryExpr:
		if p.Op == token.AND || p.Op == token.ARROW {
			return
		}
	case *ast.BinaryExpr:
		if p.Op == token.EQL || p.Op == token.NEQ {
			if flight.IsResult(f.Info.TypeOf(e)) && !isPointer(f.Info.TypeOf(e)) {
				s.stay(s.slot(f, e), e, "results are compared")
			}
			return
		}
	}
	s.stay(s.slot(f, e), e, "it is used in a way that isn't understood")
}

func calledSelector(sel *ast.SelectorExpr, stack []ast.Node) bool {
	for i := len(stack) - 1; i >= 0; i-- {
		switch n := stack[i].(type) {
		case *ast.ParenExpr:
		case *ast.SelectorExpr:
			if n != sel {
				return false
			}
		case *ast.CallExpr:
			return ast.Unparen(n.Fun) == sel
		default:
			return false
		}
	}
	return false
}

// exported returns how code outside of the module can name obj, or "".
func (s *step) exported(f *program.File, obj types.Object) string {
	if obj == nil || !obj.Exported() || f == nil {
		return ""
	}
	path := f.Pkg.Path()
	if strings.HasSuffix(f.Name, "_test.go") || f.Pkg.Name() == "main" {
		return ""
	}
	if s.Whole && (strings.HasPrefix(path, "internal/") || strings.Contains(path, "/internal/") || strings.HasSuffix(path, "/internal")) {
		return ""
	}
	if fn, ok := obj.(*types.Func); ok {
		if recv := fn.Signature().Recv(); recv != nil {
			t := recv.Type()
			if p, ok := t.(*types.Pointer); ok {
				t = p.Elem()
			}
			if named, ok := t.(*types.Named); ok {
				return named.Obj().Name() + "." + obj.Name()
			}
		}
	}
	return obj.Name()
}
