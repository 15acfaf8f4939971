package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithoutTests(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"tests, benchmarks, fuzz targets and examples", `package p

import (
	"fmt"
	"math/rand/v2"
	other "strings"
	"testing"
)

func TestA(t *testing.T) { fmt.Println(rand.Int()) }

func helper(t *testing.T) { other.ToUpper(testing.Testing) }

func BenchmarkB(b *testing.B) { fmt.Println() }
func FuzzC(f *testing.F)      {}
func ExampleD()               {}
func Test_e(t *testing.T)     {}
`, `package p

import (
	
	
	other "strings"
	"testing"
)



func helper(t *testing.T) { other.ToUpper(testing.Testing) }





`},
		{"an import alone", `package p

import "testing"

func TestA(t *testing.T) {}
`, `package p




`},
		{"what only looks like tests", `package p

import "testing"

func Testing(t *testing.T) {}
func TestMain(m *testing.M) {}
func (x) TestA()            {}
`, `package p

import "testing"

func Testing(t *testing.T) {}
func TestMain(m *testing.M) {}
func (x) TestA()            {}
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := withoutTests(test.source)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), "", got, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// The subject folder has the tests of the files that are asked for, and what all
// files have besides.
func TestSubjectFolder(t *testing.T) {
	tr := &tree{dir: t.TempDir()}
	sources := map[string]string{
		"a.go":                "package p\n",
		"a_test.go":           "package p_test\n\nfunc TestA() {}\n\nfunc helpA() {}\n",
		"b_test.go":           "package p_test\n\nfunc TestB() {}\n\nfunc helpB() {}\n",
		"in_internal_test.go": "package p\n\nfunc TestIn() {}\n",
	}
	for file, source := range sources {
		if err := tr.write(file, source); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ asked, want string }{
		{"a_test.go", "func TestA() {} func helpA() {} func helpB() {}"},
		{"b_test.go", "func helpA() {} func TestB() {} func helpB() {}"},
	} {
		if err := tr.prepare([]string{test.asked}); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(tr.dir, subjectFolder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, file := range files {
			contents, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(contents)) {
				if strings.HasPrefix(line, "func") {
					got = append(got, strings.TrimSpace(line))
				}
			}
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("the folder for %s has %s, want %s", test.asked, got, test.want)
		}
	}
}
