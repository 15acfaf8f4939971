package program

import (
	"go/ast"
	"go/types"
	"strconv"
)

// ImportOf returns the import of path in f, or nil.
func (f *File) ImportOf(path string) *ast.ImportSpec {
	for _, spec := range f.Syntax.Imports {
		if PathOf(spec) == path {
			return spec
		}
	}
	return nil
}

// PathOf returns the path that an import names.
func PathOf(spec *ast.ImportSpec) string {
	path, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return path
}

// NameOf returns the name under which f knows a package that it imports: ""
// for a dot import. ok is false if it doesn't import it, or has no name for it.
func (f *File) NameOf(path string) (name string, ok bool) {
	spec := f.ImportOf(path)
	if spec == nil {
		return "", false
	}
	if spec.Name != nil {
		switch spec.Name.Name {
		case ".":
			return "", true
		case "_":
			return "", false
		}
		return spec.Name.Name, true
	}
	if obj, _ := f.Info.Implicits[spec].(*types.PkgName); obj != nil {
		return obj.Name(), true
	}
	return "", false
}

// IsUniverse reports whether name means at n what it means in no scope at all:
// "any" is any, and "string" is string.
func (f *File) IsUniverse(name string, n ast.Node) bool {
	obj := f.Lookup(name, n)
	return obj != nil && obj.Parent() == types.Universe
}

// Lookup returns what name means at n, or nil.
func (f *File) Lookup(name string, n ast.Node) types.Object {
	scope := f.Scope(n)
	if scope == nil {
		return nil
	}
	_, obj := scope.LookupParent(name, n.Pos())
	return obj
}

// Scope returns the innermost scope around n.
func (f *File) Scope(n ast.Node) *types.Scope {
	file := f.Info.Scopes[f.Syntax]
	if file == nil {
		return nil
	}
	if inner := file.Innermost(n.Pos()); inner != nil {
		return inner
	}
	return file
}

// TypeText writes a type as source of the file, at n. ok is false if it can't
// be written there: it is of a package that the file doesn't import, or isn't
// exported, or a local type, or a name of it means something else there.
func (f *File) TypeText(t types.Type, n ast.Node) (text string, ok bool) {
	ok = true
	text = types.TypeString(t, func(pkg *types.Package) string {
		if pkg.Path() == f.Pkg.Path() {
			return ""
		}
		name, imported := f.NameOf(pkg.Path())
		if !imported {
			ok = false
			return pkg.Name()
		}
		if obj, _ := f.Lookup(name, n).(*types.PkgName); name != "" && obj == nil {
			ok = false
		}
		return name
	})
	for named := range nameds(t) {
		obj := named
		if obj.Pkg() == nil {
			ok = ok && f.IsUniverse(obj.Name(), n)
			continue
		}
		if obj.Pkg().Path() != f.Pkg.Path() {
			ok = ok && obj.Exported()
			continue
		}
		seen := f.Lookup(obj.Name(), n)
		ok = ok && seen != nil && (seen.Pos() == obj.Pos() || ofPackage(seen) && ofPackage(obj) && seen.Pkg().Path() == obj.Pkg().Path())
	}
	return text, ok
}

// ofPackage reports whether an object is declared at package level. Two objects
// of one name are then the same, though a package has several variants.
func ofPackage(obj types.Object) bool { return obj.Pkg() != nil && obj.Parent() == obj.Pkg().Scope() }

// nameds returns the names that the text of a type has.
func nameds(t types.Type) map[*types.TypeName]bool {
	names := map[*types.TypeName]bool{}
	seen := map[types.Type]bool{}
	var walk func(types.Type)
	walk = func(t types.Type) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		switch t := t.(type) {
		case *types.Basic:
			if obj, ok := types.Universe.Lookup(t.Name()).(*types.TypeName); ok {
				names[obj] = true
			}
		case *types.Alias:
			names[t.Obj()] = true
			for arg := range t.TypeArgs().Types() {
				walk(arg)
			}
		case *types.Named:
			names[t.Obj()] = true
			for arg := range t.TypeArgs().Types() {
				walk(arg)
			}
		case *types.TypeParam:
			names[t.Obj()] = true
		case *types.Pointer:
			walk(t.Elem())
		case *types.Slice:
			walk(t.Elem())
		case *types.Array:
			walk(t.Elem())
		case *types.Chan:
			walk(t.Elem())
		case *types.Map:
			walk(t.Key())
			walk(t.Elem())
		case *types.Tuple:
			for v := range t.Variables() {
				walk(v.Type())
			}
		case *types.Signature:
			walk(t.Params())
			walk(t.Results())
		case *types.Struct:
			for field := range t.Fields() {
				walk(field.Type())
			}
		case *types.Interface:
			for m := range t.ExplicitMethods() {
				walk(m.Type())
			}
			for e := range t.EmbeddedTypes() {
				walk(e)
			}
		}
	}
	walk(t)
	return names
}
