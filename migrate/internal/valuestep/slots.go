package valuestep

import (
	"go/ast"
	"go/token"
	"go/types"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// slot returns the class of what an expression that carries holds.
func (s *step) slot(f *program.File, e ast.Expr) *class {
	switch e := e.(type) {
	case *ast.Ident:
		obj := f.Info.ObjectOf(e)
		if v, ok := obj.(*types.Var); ok {
			return s.varSlot(v)
		}
	case *ast.SelectorExpr:
		if v, ok := f.Info.Uses[e.Sel].(*types.Var); ok {
			return s.varSlot(v)
		}
	case *ast.ParenExpr:
		return s.slot(f, e.X)
	case *ast.StarExpr:
		return s.slot(f, e.X)
	case *ast.UnaryExpr:
		if e.Op == token.AND || e.Op == token.ARROW {
			return s.slot(f, e.X)
		}
	case *ast.IndexExpr:
		return s.slot(f, e.X)
	case *ast.SliceExpr:
		return s.slot(f, e.X)
	case *ast.CompositeLit:
		return s.class(s.Place(e.Pos()) + " literal")
	case *ast.CallExpr:
		return s.callSlot(f, e)
	}
	c := s.class(s.Place(e.Pos()) + " expression")
	s.stay(c, e, "it comes from an expression that isn't understood")
	return c
}

func (s *step) varSlot(v *types.Var) *class {
	c := s.class(s.Place(v.Pos()))
	if s.FileOf(v.Pos()) == nil {
		s.stay(c, v2node(v), "%s is declared outside of this module", v.Name())
	}
	return c
}

// v2node makes a node of the position of what is declared.
func v2node(obj types.Object) ast.Node { return &ast.Ident{NamePos: obj.Pos(), Name: obj.Name()} }

func (s *step) callSlot(f *program.File, e *ast.CallExpr) *class {
	if c := flight.CallOf(f.Info, e); c != nil && known(c.Library) {
		return s.slot(f, c.Select.X)
	}
	switch builtin(f, e) {
	case "new", "make":
		return s.class(s.Place(e.Pos()) + " literal")
	case "append":
		return s.slot(f, e.Args[0])
	}
	if fn := callee(f, e); fn != nil && flight.Of(fn) == flight.Ours {
		c := s.class(s.Place(e.Pos()) + " call")
		s.stay(c, e, "%s makes it, with Options", fn.Name())
		return c
	} else if fn != nil {
		if results := fn.Signature().Results(); results.Len() == 1 {
			return s.signatureSlot(fn, results.At(0))
		}
	}
	c := s.class(s.Place(e.Pos()) + " call")
	s.stay(c, e, "it comes from a call of what isn't a function of this module")
	return c
}

// signatureSlot is the class of a parameter or a result of a function.
func (s *step) signatureSlot(fn *types.Func, v *types.Var) *class {
	c := s.varSlot(v)
	if fn.Signature().Recv() != nil && s.loose[fn.Name()] {
		s.stay(c, v2node(fn), "an interface has a method %s", fn.Name())
	}
	return c
}

// callee returns the function that a call surely calls, or nil. A method of an
// interface is none.
func callee(f *program.File, e *ast.CallExpr) *types.Func {
	fun := ast.Unparen(e.Fun)
	switch index := fun.(type) {
	case *ast.IndexExpr:
		fun = index.X
	case *ast.IndexListExpr:
		fun = index.X
	}
	var id *ast.Ident
	switch fun := fun.(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
		if f.Info.Types[fun.X].IsType() {
			return nil // a method expression
		}
	default:
		return nil
	}
	fn, ok := f.Info.Uses[id].(*types.Func)
	if !ok {
		return nil
	}
	fn = fn.Origin()
	if recv := fn.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
		return nil
	}
	return fn
}

func builtin(f *program.File, e *ast.CallExpr) string {
	if id, ok := ast.Unparen(e.Fun).(*ast.Ident); ok {
		if b, ok := f.Info.Uses[id].(*types.Builtin); ok {
			return b.Name()
		}
	}
	return ""
}

// declared records where the source names a type that carries, and what is
// declared with it.
func (s *step) declared(f *program.File, e ast.Expr, stack []ast.Node) {
	named := element(f.Info.TypeOf(e))
	if _, isTypeName := e.(*ast.Ident); isTypeName {
		s.aliasUse(f, e.(*ast.Ident), stack)
		return
	}
	if named == nil {
		return
	}
	args := typeArgs(e)
	if args == nil || flight.Named(f.Info.TypeOf(e)) == nil || isPointer(f.Info.TypeOf(e)) {
		return
	}
	c := s.owner(f, e, stack)
	c = c.root()
	c.types = append(c.types, typeExpr{f, args[len(args)-1], e})
	s.frozen(f, c, e)
}

// frozen leaves what is used in a file that can't be changed.
func (s *step) frozen(f *program.File, c *class, at ast.Node) {
	if f.Frozen != "" {
		s.stay(c, at, "a file that is %s uses it", f.Frozen)
	}
	if f.Cgo {
		s.stay(c, at, "a file with cgo uses it")
	}
}

func isPointer(t types.Type) bool {
	_, ok := types.Unalias(t).(*types.Pointer)
	return ok
}

func typeArgs(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.IndexExpr:
		return []ast.Expr{e.Index}
	case *ast.IndexListExpr:
		return e.Indices
	}
	return nil
}

// aliasUse joins what is declared by an alias with the alias.
func (s *step) aliasUse(f *program.File, id *ast.Ident, stack []ast.Node) {
	obj, ok := f.Info.Uses[id].(*types.TypeName)
	if !ok || !obj.IsAlias() || !carries(obj.Type()) || flight.Of(obj) != flight.None {
		return
	}
	alias := s.class(s.Place(obj.Pos()))
	if s.FileOf(obj.Pos()) == nil {
		s.stay(alias, id, "%s is declared outside of this module", obj.Name())
	}
	var e ast.Node = id
	if len(stack) > 0 {
		if sel, ok := stack[len(stack)-1].(*ast.SelectorExpr); ok && sel.Sel == id {
			e, stack = sel, stack[:len(stack)-1]
		}
	}
	s.join(alias, s.owner(f, e, stack))
}

// owner returns the class of what is declared with the type e.
func (s *step) owner(f *program.File, e ast.Node, stack []ast.Node) *class {
	inner := e
	for i := len(stack) - 1; i >= 0; i-- {
		switch n := stack[i].(type) {
		case *ast.StarExpr, *ast.ArrayType, *ast.ChanType, *ast.ParenExpr:
		case *ast.MapType:
			if n.Value != inner {
				return s.strange(e, "it is the key of a map")
			}
		case *ast.Ellipsis:
			return s.strange(e, "it is a variadic parameter")
		case *ast.Field:
			return s.fieldOwner(f, n, stack[:i])
		case *ast.ValueSpec:
			return s.named(f, n.Names)
		case *ast.CompositeLit:
			return s.class(s.Place(n.Pos()) + " literal")
		case *ast.CallExpr:
			if name := builtin(f, n); name == "new" || name == "make" {
				return s.class(s.Place(n.Pos()) + " literal")
			}
			return s.strange(e, "it is converted")
		case *ast.TypeSpec:
			if n.Assign.IsValid() {
				c := s.class(s.Place(n.Name.Pos()))
				s.hold(c, f.Info.Defs[n.Name], n.Name)
				return c
			}
			return s.strange(e, "another type is made of it")
		default:
			return s.strange(e, "its type is a part of another type")
		}
		inner = stack[i]
	}
	return s.strange(e, "its type is a part of another type")
}

func (s *step) strange(at ast.Node, text string) *class {
	c := s.class(s.Place(at.Pos()) + " type")
	s.stay(c, at, "%s", text)
	return c
}

func (s *step) named(f *program.File, names []*ast.Ident) *class {
	var c *class
	for _, name := range names {
		next := s.class(s.Place(name.Pos()))
		s.hold(next, f.Info.Defs[name], name)
		if c == nil {
			c = next
		}
		s.join(c, next)
	}
	return c.root()
}

// fieldOwner is the owner of a field of a struct, a parameter, or a result.
func (s *step) fieldOwner(f *program.File, field *ast.Field, stack []ast.Node) *class {
	var around ast.Node // a FuncType, StructType or InterfaceType
	if len(stack) > 1 {
		around = stack[len(stack)-2]
	}
	var outer ast.Node
	if len(stack) > 2 {
		outer = stack[len(stack)-3]
	}
	c := s.class(s.Place(field.Type.Pos()))
	if _, isStruct := around.(*ast.StructType); isStruct {
		c = s.class(s.Place(embeddedName(field.Type)))
	}
	if len(field.Names) > 0 {
		c = s.named(f, field.Names)
	}
	switch around.(type) {
	case *ast.StructType:
		if len(field.Names) == 0 {
			s.stay(c, field, "it is embedded, so its methods are the struct's")
		}
	case *ast.FuncType:
		decl, ok := outer.(*ast.FuncDecl)
		if !ok {
			if _, ok := outer.(*ast.FuncLit); !ok {
				s.stay(c, field, "it is in the type of a function")
			}
			break
		}
		if decl.Recv != nil && s.loose[decl.Name.Name] {
			s.stay(c, field, "an interface has a method %s", decl.Name.Name)
		}
		if s.exported(f, f.Info.Defs[decl.Name]) != "" {
			s.holdAs(c, field.Pos(), decl.Name.Name, s.exported(f, f.Info.Defs[decl.Name]))
		}
	default:
		s.stay(c, field, "it is in the type of a function")
	}
	return c
}

// embeddedName is where the name of an embedded field is.
func embeddedName(e ast.Expr) token.Pos {
	switch e := e.(type) {
	case *ast.StarExpr:
		return embeddedName(e.X)
	case *ast.IndexExpr:
		return embeddedName(e.X)
	case *ast.IndexListExpr:
		return embeddedName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Pos()
	}
	return e.Pos()
}

// hold records what a class is called.
func (s *step) hold(c *class, obj types.Object, at *ast.Ident) {
	if obj == nil || at.Name == "_" {
		return
	}
	f := s.FileOf(at.Pos())
	exported := ""
	if v, ok := obj.(*types.Var); !ok || v.IsField() || obj.Parent() == obj.Pkg().Scope() {
		exported = s.exported(f, obj)
	}
	c = c.root()
	c.names = append(c.names, holder{at.Pos(), at.Name, exported, isGroup(obj.Type())})
}

// isGroup reports whether t is a group, or a container of groups.
func isGroup(t types.Type) bool {
	named := element(t)
	return named != nil && flight.IsGroup(named)
}

func (s *step) holdAs(c *class, pos token.Pos, name, exported string) {
	c = c.root()
	c.names = append(c.names, holder{pos, name, exported, false})
}
