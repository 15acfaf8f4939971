package program

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

// AddImport returns the edit that imports path under the package's own name.
// ok is false if that name means something else in the file. gofmt puts the
// import in its place: it goes into the group where its like are.
func AddImport(f *File, path string) (edit Edit, ok bool) {
	name := path[strings.LastIndex(path, "/")+1:]
	if spec := f.ImportOf(path); spec != nil && spec.Name != nil {
		return Edit{}, false
	}
	if f.Pkg.Scope().Lookup(name) != nil {
		return Edit{}, false
	}
	if scope := f.Info.Scopes[f.Syntax]; scope != nil && scope.Lookup(name) != nil {
		return Edit{}, false
	}
	quoted := strconv.Quote(path)
	var decl *ast.GenDecl
	for _, d := range f.Syntax.Decls {
		if d, isGen := d.(*ast.GenDecl); isGen && d.Tok == token.IMPORT {
			if spec := d.Specs[0].(*ast.ImportSpec); PathOf(spec) == "C" {
				continue
			}
			decl = d
			break
		}
	}
	if decl == nil {
		end := f.Syntax.Name.End()
		return Edit{Pos: end, End: end, New: "\n\nimport " + quoted}, true
	}
	if !decl.Lparen.IsValid() {
		return Edit{Pos: decl.Pos(), End: decl.Pos(), New: "import " + quoted + "\n"}, true
	}
	for _, spec := range decl.Specs {
		if spec := spec.(*ast.ImportSpec); isStd(PathOf(spec)) == isStd(path) && spec.Doc == nil {
			return Edit{Pos: spec.Pos(), End: spec.Pos(), New: quoted + "\n\t"}, true
		}
	}
	if isStd(path) {
		return Edit{Pos: decl.Lparen + 1, End: decl.Lparen + 1, New: "\n\t" + quoted + "\n"}, true
	}
	return Edit{Pos: decl.Rparen, End: decl.Rparen, New: "\n\t" + quoted + "\n"}, true
}

func isStd(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
