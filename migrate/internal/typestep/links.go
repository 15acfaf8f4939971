package typestep

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// links knows which files share groups or results, so that one can't be changed
// without the other, and which can't be changed.
type links struct {
	parent  map[string]string
	reasons map[string]string // by root
}

func newLinks() *links {
	return &links{parent: map[string]string{}, reasons: map[string]string{}}
}

func (l *links) root(file string) string {
	for l.parent[file] != "" {
		file = l.parent[file]
	}
	return file
}

func (l *links) join(a, b string) {
	a, b = l.root(a), l.root(b)
	if a == b {
		return
	}
	l.parent[a] = b
	if l.reasons[b] == "" {
		l.reasons[b] = l.reasons[a]
	}
}

func (l *links) block(file, reason string) {
	if root := l.root(file); l.reasons[root] == "" {
		l.reasons[root] = reason
	}
}

func (l *links) reason(file string) string { return l.reasons[l.root(file)] }

// link joins the files whose declarations bring another a group or a result
// with that one, and finds what keeps a file from being changed.
func (s *step) link() {
	infos := map[*types.Info]bool{}
	for _, f := range s.Files {
		if f.Frozen != "" {
			s.links.block(f.Name, fmt.Sprintf("%s is %s", short(f.Name), f.Frozen))
		}
		if !infos[f.Info] {
			infos[f.Info] = true
			s.uses(f.Info)
		}
		ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
			s.blockers(f, n, stack)
			return true
		})
	}
}

// uses joins the files of a package with those that declare what they use.
func (s *step) uses(info *types.Info) {
	for ident, obj := range info.Uses {
		if obj.Pkg() != nil && flight.Of(obj) == flight.None && holdsForeign(obj.Type()) {
			s.use(ident, obj)
		}
	}
	for expr, selection := range info.Selections { // of what is embedded
		t := selection.Recv()
		for _, i := range selection.Index()[:len(selection.Index())-1] {
			if p, ok := types.Unalias(t).(*types.Pointer); ok {
				t = p.Elem()
			}
			structure, ok := t.Underlying().(*types.Struct)
			if !ok {
				break
			}
			field := structure.Field(i)
			if t = field.Type(); holdsForeign(t) {
				s.use(expr.Sel, field)
			}
		}
	}
}

// use joins the file of ident with that of obj.
func (s *step) use(ident *ast.Ident, obj types.Object) {
	f := s.FileOf(ident.Pos())
	if f == nil {
		return
	}
	if declared := s.FileOf(obj.Pos()); declared != nil {
		s.links.join(f.Name, declared.Name)
		return
	}
	s.links.block(f.Name, fmt.Sprintf("%s.%s, which isn't of this module, has the type %s",
		obj.Pkg().Path(), obj.Name(), types.TypeString(obj.Type(), nil)))
}

func holdsForeign(t types.Type) bool {
	return slices.ContainsFunc(flight.Holds(t), func(named *types.Named) bool {
		return flight.Of(named.Obj()).Foreign()
	})
}

// blockers finds what the step can't change.
func (s *step) blockers(f *program.File, n ast.Node, stack []ast.Node) {
	block := func(format string, args ...any) {
		s.links.block(f.Name, fmt.Sprintf("%s: %s", s.where(n), fmt.Sprintf(format, args...)))
	}
	switch n := n.(type) {
	case *ast.Ident:
		obj := f.Info.Uses[n]
		if _, ok := obj.(*types.TypeName); ok && obj.Name() == "Group" && obj.Pkg() != nil &&
			(flight.Of(obj) == flight.XSync || flight.Of(obj) == flight.Groupcache) &&
			!s.opts.Dropin && !f.IsUniverse("string", n) {
			block("string means something else here")
		}
	case *ast.SelectorExpr:
		method, ok := f.Info.Uses[n.Sel].(*types.Func)
		if !ok {
			break
		}
		library := flight.Of(method)
		if library != flight.Resenje && library != flight.Groupcache || method.Name() != "Do" {
			break
		}
		call, isCall := parent(stack, 1).(*ast.CallExpr)
		if !isCall || ast.Unparen(call.Fun) != n {
			block("the method is used as a value, and here it has other results")
		}
	case *ast.CallExpr:
		if call := flight.CallOf(f.Info, n); call != nil && call.Library.Foreign() {
			if _, left := reorder(s.Program, f, call, stack); left != "" {
				block("%s", left)
			}
		}
		if len(n.Args) == 1 && f.Info.Types[n.Fun].IsType() {
			from, to := f.Info.TypeOf(n.Args[0]), f.Info.TypeOf(n.Fun)
			if foreignResult(from) != foreignResult(to) && isStruct(from) && isStruct(to) {
				block("a Result is converted to another struct, and here it has a fourth field")
			}
		}
	case *ast.BinaryExpr:
		if foreignResult(f.Info.TypeOf(n.X)) && isStruct(f.Info.TypeOf(n.X)) {
			block("Results are compared, and here they have a fourth field, Leader")
		}
	}
}

func parent(stack []ast.Node, up int) ast.Node {
	for i := len(stack) - 1; i >= 0; i-- {
		if _, ok := stack[i].(*ast.ParenExpr); ok {
			continue
		}
		if up--; up == 0 {
			return stack[i]
		}
	}
	return nil
}

func foreignResult(t types.Type) bool {
	return flight.IsResult(t) && flight.Of(flight.Named(t).Obj()).Foreign()
}

func isStruct(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Struct)
	return ok
}
