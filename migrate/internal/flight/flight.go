// Package flight recognizes the types and calls of the packages that a program
// may use to merge calls: this project's, and those that one moves from.
package flight

import (
	"go/ast"
	"go/types"
	"strings"
)

// A Library is one of the packages.
type Library int

const (
	None Library = iota
	Ours
	XSync
	Resenje
	Tailscale
	Groupcache
)

// Path is where this project's package is imported from, and Dropin the package
// with the old names.
const (
	Path   = "github.com/seed-737f55c4/singleflight"
	Dropin = Path + "/dropin/singleflight"
)

var paths = map[string]Library{
	Path:                              Ours,
	Dropin:                            Ours,
	"golang.org/x/sync/singleflight":  XSync,
	"resenje.org/singleflight":        Resenje,
	"tailscale.com/util/singleflight": Tailscale,
	"github.com/golang/groupcache/singleflight": Groupcache,
}

// ByPath returns the library with an import path, or None.
func ByPath(path string) Library { return paths[path] }

// Of returns the library that declares obj, or None.
func Of(obj types.Object) Library {
	if obj == nil || obj.Pkg() == nil {
		return None
	}
	return ByPath(obj.Pkg().Path())
}

func (l Library) String() string {
	for path, library := range paths {
		if library == l && path != Dropin {
			return path
		}
	}
	return "no library"
}

// Module is the module that has the library.
func (l Library) Module() string {
	path := l.String()
	switch l {
	case XSync:
		return strings.TrimSuffix(path, "/singleflight")
	case Tailscale:
		return strings.TrimSuffix(path, "/util/singleflight")
	case Groupcache:
		return strings.TrimSuffix(path, "/singleflight")
	}
	return path
}

// Foreign reports whether l is a library to move from.
func (l Library) Foreign() bool { return l > Ours }

// Named returns the named type of one of the libraries that t is, or points to:
// a Group or a Result, for instance. Otherwise it returns nil.
func Named(t types.Type) *types.Named {
	if t == nil {
		return nil
	}
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	if named, ok := t.(*types.Named); ok && Of(named.Obj()) != None {
		return named
	}
	return nil
}

// IsGroup reports whether t is a group of any of the libraries, or a pointer to
// one.
func IsGroup(t types.Type) bool { return is(t, "Group") }

// IsResult reports whether t is a Result of any of the libraries.
func IsResult(t types.Type) bool { return is(t, "Result") }

func is(t types.Type, name string) bool {
	named := Named(t)
	return named != nil && named.Obj().Name() == name
}

// Holds returns the group or result types that a value of type t brings along
// to who uses it: those that its type is made of, without the inside of named
// types.
func Holds(t types.Type) []*types.Named {
	var found []*types.Named
	walkType(t, func(named *types.Named) { found = append(found, named) }, map[types.Type]bool{})
	return found
}

func walkType(t types.Type, found func(*types.Named), seen map[types.Type]bool) {
	if t == nil || seen[t] {
		return
	}
	seen[t] = true
	each := func(ts ...types.Type) {
		for _, t := range ts {
			walkType(t, found, seen)
		}
	}
	switch t := t.(type) {
	case *types.Alias:
		each(types.Unalias(t))
	case *types.Named:
		if Of(t.Obj()) != None && (t.Obj().Name() == "Group" || t.Obj().Name() == "Result") {
			found(t)
			return
		}
		for arg := range t.TypeArgs().Types() {
			each(arg)
		}
	case *types.Pointer:
		each(t.Elem())
	case *types.Slice:
		each(t.Elem())
	case *types.Array:
		each(t.Elem())
	case *types.Chan:
		each(t.Elem())
	case *types.Map:
		each(t.Key(), t.Elem())
	case *types.Tuple:
		for v := range t.Variables() {
			each(v.Type())
		}
	case *types.Signature:
		each(t.Params(), t.Results())
	case *types.Struct:
		for f := range t.Fields() {
			each(f.Type())
		}
	case *types.Interface:
		for m := range t.Methods() {
			each(m.Type())
		}
	}
}

// A Call is a call of one of a group's methods.
type Call struct {
	*ast.CallExpr
	Library Library
	Method  string
	Select  *ast.SelectorExpr // group.Method
	Ctx     ast.Expr          // nil if the method takes none
	Key     ast.Expr          // nil if the method takes none
	Fn      ast.Expr          // nil if the method takes none
}

// CallOf returns the call of a group's method that e is, or nil.
func CallOf(info *types.Info, e ast.Node) *Call {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return nil
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	method, ok := info.Uses[sel.Sel].(*types.Func)
	if !ok || Of(method) == None {
		return nil
	}
	recv := method.Signature().Recv()
	if recv == nil || !IsGroup(recv.Type()) {
		return nil
	}
	if info.Types[sel.X].IsType() {
		return nil // a method expression
	}
	c := &Call{CallExpr: call, Library: Of(method), Method: method.Name(), Select: sel}
	args := call.Args
	params := method.Signature().Params()
	if len(args) != params.Len() {
		return nil // g.Do(f()), which no method here allows
	}
	for i, arg := range args {
		switch {
		case IsContext(params.At(i).Type()):
			c.Ctx = arg
		case isFunc(params.At(i).Type()):
			c.Fn = arg
		default:
			c.Key = arg
		}
	}
	return c
}

// Runs reports whether the call may run its function, so that its outcome is
// a flight's.
func (c *Call) Runs() bool { return c.Fn != nil && c.Method != "Func" }

// ByChannel reports whether the outcome comes over a channel.
func (c *Call) ByChannel() bool { return strings.HasPrefix(c.Method, "DoChan") }

// Detached reports whether the function may run on after its caller has
// returned.
func (c *Call) Detached() bool { return c.Ctx != nil || c.ByChannel() }

// Literal returns the function literal that the call runs, or nil.
func (c *Call) Literal() *ast.FuncLit {
	if c.Fn == nil {
		return nil
	}
	lit, _ := ast.Unparen(c.Fn).(*ast.FuncLit)
	return lit
}

// IsContext reports whether t is context.Context.
func IsContext(t types.Type) bool { return IsNamed(t, "context", "Context") }

func isFunc(t types.Type) bool {
	_, ok := t.Underlying().(*types.Signature)
	return ok
}

// IsNamed reports whether t is the type with this name of the package with
// this path, without looking through a pointer.
func IsNamed(t types.Type, path, name string) bool {
	if t == nil {
		return false
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Name() != name || named.Obj().Pkg() == nil {
		return false
	}
	return named.Obj().Pkg().Path() == path
}
