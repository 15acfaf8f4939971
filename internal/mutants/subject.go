package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Most of the time of a mutant is the compiler's, for the tests of package
// singleflight_test, whose instances of the package's types and functions have to
// be compiled for each mutant. So those of the mutant's subject come first, in a
// folder that has them and what they need alone.

// subjectFolder is left out by ./... because of its underscore.
const subjectFolder = "_subject"

// prepare makes the folder for the tests in the given files, unless it is there.
func (t *tree) prepare(files []string) error {
	if slices.Equal(t.subject, files) {
		return nil
	}
	t.subject = nil
	folder := filepath.Join(t.dir, subjectFolder)
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o777); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(t.dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, name := range names {
		file := filepath.Base(name)
		if strings.HasSuffix(file, internalTest) {
			continue
		}
		source, err := t.read(file)
		if err == nil && !slices.Contains(files, file) {
			source, err = withoutTests(source)
		}
		if err == nil {
			err = t.write(path.Join(subjectFolder, file), source)
		}
		if err != nil {
			return err
		}
	}
	t.subject = files
	return nil
}

var testOrSo = regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example)([^a-z]|$)`)

// withoutTests cuts the tests out of a file, and the imports that only they use.
func withoutTests(source string) (string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	var cuts []ast.Node
	used := make(map[string]bool)
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name != "TestMain" && testOrSo.MatchString(f.Name.Name) {
			cuts = append(cuts, f)
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					used[x.Name] = true
				}
			}
			return true
		})
	}
	for _, decl := range file.Decls {
		imports, ok := decl.(*ast.GenDecl)
		if !ok || imports.Tok != token.IMPORT {
			continue
		}
		for _, spec := range imports.Specs {
			switch {
			case used[nameOf(spec.(*ast.ImportSpec))]:
			case imports.Lparen.IsValid():
				cuts = append(cuts, spec)
			default:
				cuts = append(cuts, decl)
			}
		}
	}
	slices.SortFunc(cuts, func(a, b ast.Node) int { return int(b.Pos() - a.Pos()) })
	for _, n := range cuts {
		source = source[:fset.Position(n.Pos()).Offset] + source[fset.Position(n.End()).Offset:]
	}
	return source, nil
}

var version = regexp.MustCompile(`/v[0-9]+$`)

// nameOf returns the name by which a file uses a package, if that is the last
// folder's.
func nameOf(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	imported, _ := strconv.Unquote(spec.Path.Value) // the parser has seen to it
	return path.Base(version.ReplaceAllString(imported, ""))
}
