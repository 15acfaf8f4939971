package corpus_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/corpus"
)

// write writes a tree of files, slash-separated names with their texts, into a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func survey(t *testing.T, folder string) *corpus.Tree {
	t.Helper()
	tree, err := corpus.Survey(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestSurveyLeavesOutWhatGoLeavesOut(t *testing.T) {
	root := write(t, map[string]string{
		"a.go":                "package a",
		"a_test.go":           "package a",
		"notes.txt":           "",
		"_draft.go":           "package a",
		".hidden.go":          "package a",
		"b/b.go":              "package b",
		"b/testdata/c.go":     "package c",
		".git/d.go":           "package d",
		"_old/e.go":           "package e",
		"vendor/example/f.go": "package f",
	})
	want := []string{"a.go", "b/b.go", "vendor/example/f.go"}
	if got := survey(t, root).Files; !slices.Equal(got, want) {
		t.Errorf("files are %q, want %q", got, want)
	}
}

func TestSurveyFollowsALinkToTheFolder(t *testing.T) {
	root := write(t, map[string]string{"a.go": "package a"})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Skip(err)
	}
	if got := survey(t, link).Files; !slices.Equal(got, []string{"a.go"}) {
		t.Errorf("files are %q, want a.go", got)
	}
}

func TestSurveyNamesWhatIsWrong(t *testing.T) {
	root := write(t, map[string]string{"empty/notes.txt": "", "tests/a_test.go": "package a", "file.go": "package a"})
	for folder, want := range map[string]error{
		"missing": corpus.ErrNoFolder,
		"empty":   corpus.ErrNoGoFiles,
		"tests":   corpus.ErrNoGoFiles,
		"file.go": corpus.ErrNotFolder,
	} {
		folder = filepath.Join(root, folder)
		_, err := corpus.Survey(t.Context(), folder)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), folder) {
			t.Errorf("the error is %v, want %v with the folder's name", err, want)
		}
	}
}

func TestFingerprintTellsChanges(t *testing.T) {
	root := write(t, map[string]string{"a.go": "package a", "b/b.go": "package b"})
	when := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	file := filepath.Join(root, "a.go")
	set := func(text string, when time.Time) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
	}
	set("package a", when)
	first := survey(t, root).Fingerprint
	if again := survey(t, root).Fingerprint; again != first {
		t.Error("it changed although nothing did")
	}
	set("package a\n", when)
	if survey(t, root).Fingerprint == first {
		t.Error("it is the same although a size changed")
	}
	set("package b", when.Add(time.Second))
	if survey(t, root).Fingerprint == first {
		t.Error("it is the same although a time changed")
	}
	set("package a", when)
	if survey(t, root).Fingerprint != first {
		t.Error("it isn't the same again although everything else is")
	}
	if err := os.Rename(filepath.Join(root, "b"), filepath.Join(root, "c")); err != nil {
		t.Fatal(err)
	}
	if survey(t, root).Fingerprint == first {
		t.Error("it is the same although a path changed")
	}
}

// read reads a whole tree.
func read(t *testing.T, root string) map[string]*corpus.File {
	t.Helper()
	files := make(map[string]*corpus.File)
	var order []string
	tree := survey(t, root)
	err := tree.Read(t.Context(), func(file *corpus.File) error {
		files[file.Path] = file
		order = append(order, file.Path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(order, tree.Files) {
		t.Errorf("read in the order %q, want %q", order, tree.Files)
	}
	return files
}

func TestReadDeclarations(t *testing.T) {
	file := read(t, write(t, map[string]string{"shop/shop.go": `// Package shop sells things.
package shop

import (
	"fmt"
	later "time"

	"example.com/goods/v2"
)

// Price is what a thing costs.
type Price[T any] struct{ amount T }

// The states of an order.
const (
	Open = iota // just made
	_
	// Closed is for good.
	Closed
)

var a, b = 1, 2

// Print prints it.
func (p *Price[T]) Print() {
	fmt.Println(p.amount, later.Now())
	fmt.Println(goods.List)
}

func Sell(
	what string,
) {
}
`}))["shop/shop.go"]
	if file.Package != "shop" || file.Doc != "Package shop sells things.\n" || file.ImportPath != "shop" || file.Lines != 33 {
		t.Errorf("the file is %q %q %q with %d lines", file.Package, file.Doc, file.ImportPath, file.Lines)
	}
	want := []corpus.Declaration{
		{Kind: "type", Name: "Price", Signature: "Price[T any] struct{ amount T }", Doc: "Price is what a thing costs.\n", Line: 12},
		{Kind: "const", Name: "Open", Signature: "Open = iota // just made", Doc: "The states of an order.\n", Line: 16},
		{Kind: "const", Name: "Closed", Signature: "Closed", Doc: "Closed is for good.\n", Line: 19},
		{Kind: "var", Name: "a", Signature: "a, b = 1, 2", Line: 22},
		{Kind: "var", Name: "b", Signature: "a, b = 1, 2", Line: 22},
		{Kind: "method", Receiver: "Price", Name: "Print", Signature: "func (p *Price[T]) Print()", Doc: "Print prints it.\n", Line: 25},
		{Kind: "func", Name: "Sell", Signature: "func Sell(", Line: 30},
	}
	if !slices.Equal(file.Declarations, want) {
		t.Errorf("declarations are\n%+v, want\n%+v", file.Declarations, want)
	}
	uses := map[corpus.Name]int{
		{ImportPath: "fmt", Name: "Println"}:               2,
		{ImportPath: "time", Name: "Now"}:                  1,
		{ImportPath: "example.com/goods/v2", Name: "List"}: 1,
	}
	for name, times := range uses {
		if file.Uses[name] != times {
			t.Errorf("%v is used %d times, want %d", name, file.Uses[name], times)
		}
	}
	if len(file.Uses) != len(uses) {
		t.Errorf("uses are %v, want %v", file.Uses, uses)
	}
}

func TestReadTakesWhatCanBeParsed(t *testing.T) {
	files := read(t, write(t, map[string]string{
		"broken.go": "package broken\n\nfunc Good() {}\n\nfunc bad( {\n",
		"no.go":     "this is no Go",
		"empty.go":  "",
	}))
	if got := files["broken.go"]; got.Package != "broken" || len(got.Declarations) == 0 || got.Declarations[0].Name != "Good" {
		t.Errorf("of the broken file came %+v", got)
	}
	for _, name := range []string{"no.go", "empty.go"} {
		if got := files[name]; len(got.Declarations) != 0 {
			t.Errorf("of %s came %+v", name, got)
		}
	}
}

func TestImportPaths(t *testing.T) {
	files := read(t, write(t, map[string]string{
		"go.mod":                    "module example.com/one\n",
		"a.go":                      "package one",
		"b/b.go":                    "package b",
		"vendor/example.org/v/v.go": "package v",
		"two/go.mod":                "module example.com/two\n",
		"two/c/c.go":                "package c",
		"library/go.mod":            "module std\n",
		"library/fmt/fmt.go":        "package fmt",
	}))
	for file, want := range map[string]string{
		"a.go":                      "example.com/one",
		"b/b.go":                    "example.com/one/b",
		"vendor/example.org/v/v.go": "example.org/v",
		"two/c/c.go":                "example.com/two/c",
		"library/fmt/fmt.go":        "fmt",
	} {
		if got := files[file].ImportPath; got != want {
			t.Errorf("%s has the import path %s, want %s", file, got, want)
		}
	}
}

func TestReadEndsEarly(t *testing.T) {
	files := make(map[string]string)
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		files[name+".go"] = "package p"
	}
	tree := survey(t, write(t, files))

	t.Run("by the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		read := 0
		err := tree.Read(ctx, func(*corpus.File) error {
			read++
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) || read != 1 {
			t.Errorf("the error is %v after %d files, want context.Canceled after 1", err, read)
		}
	})
	t.Run("by an error", func(t *testing.T) {
		full := errors.New("full")
		if err := tree.Read(t.Context(), func(*corpus.File) error { return full }); !errors.Is(err, full) {
			t.Errorf("the error is %v, want %v", err, full)
		}
	})
	t.Run("by a file that is gone", func(t *testing.T) {
		if err := os.Remove(filepath.Join(tree.Root, "m.go")); err != nil {
			t.Fatal(err)
		}
		if err := tree.Read(t.Context(), func(*corpus.File) error { return nil }); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the error is %v, want %v", err, os.ErrNotExist)
		}
	})
	t.Run("before it began", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := corpus.Survey(ctx, tree.Root); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want context.Canceled", err)
		}
	})
}

func TestWords(t *testing.T) {
	for identifier, want := range map[string]string{
		"NewReaderSize": "new reader size",
		"NewHTTPServer": "new http server",
		"ServeHTTP":     "serve http",
		"O_RDONLY":      "o rdonly",
		"x":             "x",
		"_private":      "private",
		"__":            "",
		"utf8String":    "utf8 string",
		"ÄndereÖffnung": "ändere öffnung",
		"MAX_Value_2":   "max value 2",
	} {
		if got := strings.Join(corpus.Words(identifier), " "); got != want {
			t.Errorf("the words of %s are %q, want %q", identifier, got, want)
		}
	}
}
