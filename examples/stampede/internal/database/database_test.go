package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/corpus"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/database"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/progress"
)

// silent is a Watcher that calls a function, if it isn't nil, when a task gets on.
type silent struct{ step func(task string) }

func (s silent) Begin(task string, _ int) progress.Bar { return silentBar{s, task} }

type silentBar struct {
	silent
	task string
}

func (b silentBar) Set(int) {
	if b.step != nil {
		b.step(b.task)
	}
}
func (b silentBar) End() {}

// shop is a small tree of Go files.
func shop(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module shop\n",
		"price/price.go": `// Package price has prices.
package price

// Price is what a customer pays. It has no tax in it.
type Price int

// ReadPrice reads a price.
func ReadPrice() Price { return 0 }

// RareReader is used by nobody.
func RareReader() Price { return 0 }
`,
		"till/till.go": `package till

import "shop/price"

// Sum adds up what a reader gives.
func Sum() price.Price { return price.ReadPrice() + price.ReadPrice() }
`,
		"till/total.go": `package till

import "shop/price"

func total() price.Price { return price.ReadPrice() }
`,
	} {
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

// open opens the database of a tree, and closes it when the test is over.
func open(t *testing.T, root, cache string) *database.Database {
	t.Helper()
	tree, err := corpus.Survey(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	d, err := database.Open(t.Context(), tree, cache, 2, silent{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestSearch(t *testing.T) {
	d := open(t, shop(t), t.TempDir())
	for _, test := range []struct{ query, want string }{
		{"price", "ReadPrice Price total Sum RareReader"},
		{"read", "ReadPrice"},
		{"reader", "RareReader Sum"},
		{"customer tax", "Price"},
		{"customer nobody", ""},
		{"unheard", ""},
		{`" OR price`, ""}, // no operator, and no error either
		{"price*", "ReadPrice Price total Sum RareReader"},
	} {
		answer, err := d.Search(t.Context(), test.query)
		if err != nil {
			t.Errorf("%s: %v", test.query, err)
			continue
		}
		var names []string
		for _, match := range answer.Found {
			names = append(names, match.Name)
		}
		if got := strings.Join(names, " "); got != test.want || answer.Matches != len(names) || answer.Query != test.query {
			t.Errorf("%s finds %q, %d matches, want %q", test.query, got, answer.Matches, test.want)
		}
	}

	answer, err := d.Search(t.Context(), "read")
	if err != nil {
		t.Fatal(err)
	}
	want := database.Match{
		ImportPath: "shop/price", Kind: "func", Name: "ReadPrice", Signature: "func ReadPrice() Price { return 0 }",
		Synopsis: "ReadPrice reads a price.", File: "price/price.go", Line: 8, Score: answer.Found[0].Score, Uses: 3, InPackage: 1,
	}
	if answer.Found[0] != want {
		t.Errorf("found %+v, want %+v", answer.Found[0], want)
	}
}

func TestSearchErrors(t *testing.T) {
	d := open(t, shop(t), t.TempDir())
	if _, err := d.Search(t.Context(), " "); !errors.Is(err, database.ErrNoWords) {
		t.Errorf("a search for nothing gives %v, want %v", err, database.ErrNoWords)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Search(ctx, "price"); err != context.Canceled {
		t.Errorf("a search with an ended context gives %v, want %v", err, context.Canceled)
	}
	if _, err := d.Search(t.Context(), "price"); err != nil {
		t.Errorf("the next search gives %v", err)
	}
}

func TestTermsAndSize(t *testing.T) {
	d := open(t, shop(t), t.TempDir())
	terms, err := d.Terms(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(terms, " "); got != "price reader rare" {
		t.Errorf("the terms are %q, want price reader rare", got)
	}
	packages, declarations, err := d.Size(t.Context())
	if packages != 2 || declarations != 5 || err != nil {
		t.Errorf("there are %d packages and %d declarations (%v), want 2 and 5", packages, declarations, err)
	}
}

func TestTermsThatTellNothingComeLast(t *testing.T) {
	root := t.TempDir()
	var text strings.Builder
	text.WriteString("package p\n\nvar SeldomA, SeldomB int\n")
	for i := range 98 {
		fmt.Fprintf(&text, "\nvar Common_%d int\n", i)
	}
	put(t, filepath.Join(root, "p.go"), text.String())
	terms, err := open(t, root, t.TempDir()).Terms(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(terms, " "); got != "seldom common" {
		t.Errorf("the terms are %q, want seldom common", got)
	}
}

// files are the names of what is in a folder.
func files(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestCache(t *testing.T) {
	const changed = "package till\n\nfunc Added() {}\n"
	for _, test := range []struct {
		name string
		// spoil does something to the input or to the file in the cache.
		spoil func(t *testing.T, root, cached string)
		want  database.Origin
	}{
		{"untouched", func(*testing.T, string, string) {}, database.Found},
		{"input changed", func(t *testing.T, root, _ string) {
			put(t, filepath.Join(root, "till/till.go"), changed)
		}, database.Changed},
		{"input grew", func(t *testing.T, root, _ string) {
			put(t, filepath.Join(root, "till/more.go"), changed)
		}, database.Changed},
		{"removed", func(t *testing.T, _, cached string) {
			if err := os.Remove(cached); err != nil {
				t.Fatal(err)
			}
		}, database.Built},
		{"empty", func(t *testing.T, _, cached string) { put(t, cached, "") }, database.Broken},
		{"not SQLite", func(t *testing.T, _, cached string) { put(t, cached, "a letter to a friend") }, database.Broken},
		{"cut off", func(t *testing.T, _, cached string) {
			if err := os.Truncate(cached, 8192); err != nil {
				t.Fatal(err)
			}
		}, database.Broken},
		{"one bit flipped", func(t *testing.T, _, cached string) {
			text, err := os.ReadFile(cached)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)/2] ^= 1
			put(t, cached, string(text))
		}, database.Broken},
		{"one letter changed", func(t *testing.T, _, cached string) {
			text, err := os.ReadFile(cached)
			if err != nil {
				t.Fatal(err)
			}
			put(t, cached, strings.ReplaceAll(string(text), "what a customer pays", "what a customer says"))
		}, database.Broken},
		{"another program's database", func(t *testing.T, _, cached string) {
			if err := os.Remove(cached); err != nil {
				t.Fatal(err)
			}
			other, err := sql.Open("sqlite", cached)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if _, err := other.Exec("CREATE TABLE songs (title TEXT)"); err != nil {
				t.Fatal(err)
			}
		}, database.Broken},
		{"a folder", func(t *testing.T, _, cached string) {
			if err := os.Remove(cached); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(cached, 0o755); err != nil {
				t.Fatal(err)
			}
		}, database.Broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, cache := shop(t), t.TempDir()
			if origin := open(t, root, cache).Origin; origin != database.Built {
				t.Fatalf("the first time it was %s", origin)
			}
			before := files(t, cache)
			if len(before) != 1 {
				t.Fatalf("the cache has %q, want one file", before)
			}
			test.spoil(t, root, filepath.Join(cache, before[0]))
			again := open(t, root, cache)
			if again.Origin != test.want {
				t.Errorf("it was %s; want %s", again.Origin, test.want)
			}
			if answer, err := again.Search(t.Context(), "added"); err != nil || answer.Matches > 0 != (test.want == database.Changed) {
				t.Errorf("a search for what was added gives %+v, %v", answer, err)
			}
			if answer, err := again.Search(t.Context(), "price"); err != nil || answer.Matches == 0 {
				t.Errorf("a search gives %+v, %v", answer, err)
			}
			if after := files(t, cache); len(after) != 1 {
				t.Errorf("the cache has %q, want one file", after)
			}
			if origin := open(t, root, cache).Origin; origin != database.Found {
				t.Errorf("the third time it was %s", origin)
			}
		})
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCacheKeepsTreesApart(t *testing.T) {
	first, second, cache := shop(t), shop(t), t.TempDir()
	for _, root := range []string{first, second} {
		if origin := open(t, root, cache).Origin; origin != database.Built {
			t.Errorf("the first time it was %s", origin)
		}
	}
	for _, root := range []string{first, second} {
		if origin := open(t, root, cache).Origin; origin != database.Found {
			t.Errorf("the second time it was %s", origin)
		}
	}
}

func TestNothingIsLeftOfABuildThatWasInterrupted(t *testing.T) {
	root := shop(t)
	tree, err := corpus.Survey(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range []string{"reading Go files", "indexing"} {
		t.Run(task, func(t *testing.T) {
			cache := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := database.Open(ctx, tree, cache, 2, silent{func(at string) {
				if at == task {
					cancel()
				}
				for _, file := range files(t, cache) {
					if filepath.Ext(file) == ".sqlite" {
						t.Errorf("%s has its name before it is complete", file)
					}
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v, want %v", err, context.Canceled)
			}
			if left := files(t, cache); len(left) != 0 {
				t.Errorf("the cache has %q, want nothing", left)
			}
			if origin := open(t, root, cache).Origin; origin != database.Built {
				t.Errorf("the next time it was %s", origin)
			}
		})
	}
}

func TestNoFolderForTheCache(t *testing.T) {
	tree, err := corpus.Survey(t.Context(), shop(t))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "")
	if _, err := database.Open(t.Context(), tree, filepath.Join(file, "cache"), 2, silent{}); err == nil ||
		!strings.Contains(err.Error(), "no folder for the cache") {
		t.Errorf("the error is %v", err)
	}
}
