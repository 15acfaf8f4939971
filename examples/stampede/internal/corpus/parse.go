package corpus

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sync/errgroup"
)

// A File is what one source file says.
type File struct {
	Path         string // as in Tree.Files
	ImportPath   string
	Package      string // the name in its package clause; empty if the file is no Go that can be parsed
	Doc          string // the package's doc comment, if this file has it
	Lines        int
	Declarations []Declaration
	Uses         map[Name]int // how often the file names what another package exports
}

// A Declaration is a function, a method, a type, a constant or a variable of package level.
type Declaration struct {
	Kind      string // "func", "method", "type", "const" or "var"
	Receiver  string // the type whose method it is
	Name      string
	Signature string // the first line of its source
	Doc       string
	Line      int
}

// A Name is what a package exports.
type Name struct{ ImportPath, Name string }

// Read parses the files of the tree, several at a time, and calls each with the files in the order of Tree.Files.
// It ends early with the error of each, of a file that can't be read, or of ctx.
// A file that can't be parsed is no error: it comes with what could be made of it, perhaps nothing.
func (t *Tree) Read(ctx context.Context, each func(*File) error) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	// A place for each file under way keeps their order, and bounds how far the parsers run ahead of each.
	places := make(chan chan *File, 8*workers)
	group.Go(func() error {
		defer close(places)
		parsers, ctx := errgroup.WithContext(ctx)
		parsers.SetLimit(workers)
		for _, name := range t.Files {
			place := make(chan *File, 1)
			select {
			case places <- place:
			case <-ctx.Done():
				return parsers.Wait()
			}
			parsers.Go(func() error {
				defer close(place)
				file, err := t.parse(name)
				if err != nil {
					return err
				}
				place <- file
				return nil
			})
		}
		return parsers.Wait()
	})
	group.Go(func() error {
		for place := range places {
			file, ok := <-place
			if !ok || ctx.Err() != nil {
				return ctx.Err()
			}
			if err := each(file); err != nil {
				return err
			}
		}
		return ctx.Err() // if it ended, there are files that never got a place
	})
	return group.Wait()
}

func (t *Tree) parse(name string) (*File, error) {
	source, err := os.ReadFile(filepath.Join(t.Root, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	file := &File{Path: name, ImportPath: t.importPath(path.Dir(name)), Uses: make(map[Name]int)}
	set := token.NewFileSet()
	// The error is dropped on purpose: what was parsed before it is as good as the rest.
	tree, _ := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if tree == nil || tree.Name == nil {
		return file, nil
	}
	file.Package = tree.Name.Name
	file.Doc = tree.Doc.Text()
	file.Lines = set.File(tree.FileStart).LineCount()
	reading := reading{File: file, set: set, source: string(source)}
	for _, declaration := range tree.Decls {
		reading.declaration(declaration)
	}
	reading.uses(tree)
	return file, nil
}

// A reading turns one file's syntax into a File.
type reading struct {
	*File
	set    *token.FileSet
	source string
}

func (r *reading) declaration(declaration ast.Decl) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		kind, receiver := "func", ""
		if d.Recv != nil && len(d.Recv.List) > 0 {
			kind, receiver = "method", typeName(d.Recv.List[0].Type)
		}
		r.add(kind, receiver, d.Name, d, d.Doc.Text())
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				r.add("type", "", s.Name, s, either(s.Doc, d.Doc))
			case *ast.ValueSpec:
				for _, name := range s.Names {
					r.add(d.Tok.String(), "", name, s, either(s.Doc, d.Doc))
				}
			}
		}
	}
}

func (r *reading) add(kind, receiver string, name *ast.Ident, node ast.Node, doc string) {
	if name.Name == "_" {
		return
	}
	from := r.set.Position(node.Pos()).Offset
	signature, _, _ := strings.Cut(r.source[from:], "\n")
	r.Declarations = append(r.Declarations, Declaration{
		Kind:     kind,
		Receiver: receiver,
		Name:     name.Name,
		// A copy, so that the declaration doesn't keep the whole file in memory.
		Signature: strings.Clone(strings.TrimRight(signature, " {\r")),
		Doc:       doc,
		Line:      r.set.Position(name.Pos()).Line,
	})
}

func (r *reading) uses(tree *ast.File) {
	imported := make(map[string]string)
	for _, spec := range tree.Imports {
		from, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if spec.Name != nil {
			imported[spec.Name.Name] = from
		} else {
			imported[lastElement(from)] = from
		}
	}
	ast.Inspect(tree, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if qualifier, ok := selector.X.(*ast.Ident); ok && imported[qualifier.Name] != "" {
				r.Uses[Name{imported[qualifier.Name], selector.Sel.Name}]++
			}
		}
		return true
	})
}

// lastElement is the name that a package of this import path most likely has: its last element that is no version.
func lastElement(importPath string) string {
	base := path.Base(importPath)
	if strings.HasPrefix(base, "v") && strings.Trim(base[1:], "0123456789") == "" && path.Dir(importPath) != "." {
		base = path.Base(path.Dir(importPath))
	}
	return base
}

func either(own, shared *ast.CommentGroup) string {
	if own != nil {
		return own.Text()
	}
	return shared.Text()
}

// typeName is the name of a receiver's type, without its star and its type parameters.
func typeName(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ParenExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	}
	return ""
}

// Words splits an identifier where its case says so: "NewHTTPServer" is "new", "http" and "server".
func Words(identifier string) []string {
	var words []string
	runes := []rune(identifier)
	start := 0
	for i := 1; i <= len(runes); i++ {
		switch {
		case i == len(runes),
			runes[i] == '_',
			unicode.IsUpper(runes[i]) && !unicode.IsUpper(runes[i-1]),
			unicode.IsUpper(runes[i]) && i+1 < len(runes) && unicode.IsLower(runes[i+1]):
			if word := strings.Trim(string(runes[start:i]), "_"); word != "" {
				words = append(words, strings.ToLower(word))
			}
			start = i
		}
	}
	return words
}
