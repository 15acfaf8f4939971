package command

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var (
	programs = flag.Int("programs", 5, "how many programs to generate")
	seed     = flag.Uint64("seed", 1, "of the programs")
)

// Generated programs that use x/sync print the same after each step.
func TestStepsKeepBehaviour(t *testing.T) {
	archive := &txtar.Archive{Files: []txtar.File{
		{Name: "go.mod", Data: []byte("module example.com/app\n\ngo 1.26.0\n\nrequire golang.org/x/sync v0.24.0\n")},
	}}
	var imports, calls strings.Builder
	for i := range *programs {
		name := fmt.Sprintf("p%d", i)
		g := &generator{Rand: rand.New(rand.NewPCG(*seed, uint64(i)))}
		archive.Files = append(archive.Files, txtar.File{Name: "internal/" + name + "/p.go", Data: []byte(g.program(name))})
		fmt.Fprintf(&imports, "\t%q\n", "example.com/app/internal/"+name)
		fmt.Fprintf(&calls, "\tfmt.Println(%q)\n\t%s.Run()\n", name, name)
	}
	archive.Files = append(archive.Files, txtar.File{Name: "main.go", Data: source(
		"package main\n\nimport (\n\t\"fmt\"\n\n%s)\n\nfunc main() {\n%s}\n", imports.String(), calls.String())})
	dir, _ := unpack(t, archive)
	formatted(t, dir)
	want := output(t, dir)
	for _, step := range []string{"types", "values", "context"} {
		var out bytes.Buffer
		if status := Main(dir, []string{"-fix", "-steps", step, "./..."}, &out, &out); status > 1 || strings.Contains(out.String(), "singleflightmigrate:") {
			t.Fatalf("%s: exit status %d\n%s", step, status, out.String())
		}
		if step != "context" && !strings.Contains(out.String(), ": done: ") {
			t.Errorf("%s did nothing:\n%s", step, out.String())
		}
		if got := output(t, dir); got != want {
			t.Errorf("after %s the programs of seed %d print\n%s\nand before it\n%s", step, *seed, got, want)
		}
		formatted(t, dir)
	}
	var again bytes.Buffer
	Main(dir, []string{"-fix", "-steps", "types,values,context", "./..."}, &again, &again)
	if strings.Contains(again.String(), ": done: ") {
		t.Errorf("a second run changes something:\n%s", again.String())
	}
}

// output runs the program.
func output(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// formatted checks that gofmt has nothing to do.
func formatted(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("gofmt", "-l", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		name := strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0])
		source, _ := os.ReadFile(filepath.Join(dir, name))
		t.Fatalf("gofmt would change, %v:\n%s%s", err, out, source)
	}
}

// A generator writes a program that uses one group in random ways, and prints
// what it gets. What it prints doesn't depend on the order of goroutines.
type generator struct {
	*rand.Rand
	pkg    string // the package's name in the file, with the dot
	value  value
	group  string // the expression of the group
	calls  int
	loads  int
	body   strings.Builder
	global strings.Builder
	helper strings.Builder // functions that the others call
}

// A value is what the functions of a program return.
type value struct{ typeText, literal, zero, show string }

var values = []value{
	{"int", "7", "0", "%s"},
	{"string", `"seven"`, `""`, "%s"},
	{"*item", "&item{7}", "nil", "%s.n"},
	{"item", "item{7}", "item{}", "%s.n"},
	{"[]string", `[]string{"a"}`, "nil", "len(%s)"},
	{"map[string]int", `map[string]int{"a": 1}`, "nil", "len(%s)"},
	{"time.Duration", "7 * time.Second", "0", "%s"},
	{"error", "io.EOF", "nil", "%s"},
}

func (g *generator) one(choices ...string) string { return choices[g.IntN(len(choices))] }

// program returns the source of a package with a function Run.
func (g *generator) program(name string) string {
	g.value = values[g.IntN(len(values))]
	alias := g.one("", "", "", "sf ", ". ")
	switch alias {
	case "":
		g.pkg = "singleflight."
	case "sf ":
		g.pkg = "sf."
	}
	fmt.Fprintf(&g.global, "type item struct{ n int }\n\n")
	g.declare()
	for range 1 + g.IntN(5) {
		g.call()
	}
	return string(source(`package %s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	%s"golang.org/x/sync/singleflight"
)

var (
	_ = errors.New
	_ = io.EOF
	_ = runtime.Goexit
	_ = strings.Cut
	_ time.Duration
	_ %sGroup
)

%s
func Run() {
	ctx := context.Background()
	_ = ctx
%s}
`, name, alias, g.pkg, g.global.String()+g.helper.String(), g.body.String()))
}

// source is formatted source.
func source(text string, args ...any) []byte {
	formatted, err := format.Source(fmt.Appendf(nil, text, args...))
	if err != nil {
		panic(fmt.Sprintf("%v\n%s", err, fmt.Sprintf(text, args...)))
	}
	return formatted
}

// declare declares the group in one of the ways that programs do.
func (g *generator) declare() {
	group := g.pkg + "Group"
	switch g.IntN(8) {
	case 0:
		fmt.Fprintf(&g.global, "var group %s\n\n", group)
		g.group = "group"
	case 1:
		fmt.Fprintf(&g.global, "type cache struct {\n\tgroup %s // by value\n}\n\nvar c cache\n\n", group)
		g.group = "c.group"
	case 2:
		fmt.Fprintf(&g.global, "type cache struct {\n\tgroup *%s\n}\n\nfunc newCache() *cache { return &cache{group: &%s{}} }\n\nvar c = newCache()\n\n", group, group)
		g.group = "c.group"
	case 3:
		fmt.Fprintf(&g.body, "\tvar local %s\n", group)
		g.group = "local"
	case 4:
		fmt.Fprintf(&g.body, "\tlocal := new(%s)\n", group)
		g.group = "local"
	case 5:
		fmt.Fprintf(&g.global, "var groups = map[string]*%s{\"a\": new(%s)}\n\n", group, group)
		g.group = `groups["a"]`
	case 6:
		fmt.Fprintf(&g.global, "type alias = %s\n\nvar group alias\n\n", group)
		g.group = "group"
	case 7:
		fmt.Fprintf(&g.global, "type embedding struct {\n\t%s\n}\n\nvar e embedding\n\n", group)
		g.group = "e"
	}
}

// function writes a function for the group.
func (g *generator) function() string {
	result := g.one("any", "interface{}")
	switch g.IntN(6) {
	case 0:
		return fmt.Sprintf("func() (%s, error) { return %s, nil }", result, g.value.literal)
	case 1:
		return fmt.Sprintf("func() (%s, error) { return nil, errors.New(\"failed\") }", result)
	case 2:
		return fmt.Sprintf("func() (%s, error) {\n\t\tif err := ctx.Err(); err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\treturn %s, nil // %d\n\t}", result, g.value.literal, g.calls)
	case 3:
		g.loads++
		name := fmt.Sprintf("load%d", g.loads)
		fmt.Fprintf(&g.helper, "func %s(ctx context.Context) (%s, error) { return %s, ctx.Err() }\n\n", name, g.value.typeText, g.value.literal)
		return fmt.Sprintf("func() (%s, error) { return %s(ctx) }", result, name)
	case 4:
		if g.IntN(4) == 0 {
			return fmt.Sprintf("func() (%s, error) { return nil, nil }", result)
		}
	case 5:
		if g.IntN(6) == 0 {
			return fmt.Sprintf("func() (%s, error) { return \"another type\", nil }", result)
		}
	}
	return fmt.Sprintf("func() (%s, error) {\n\t\tv := %s\n\t\treturn v, nil\n\t}", result, g.value.literal)
}

// call writes a call and what is done with its results.
func (g *generator) call() {
	g.calls++
	n := g.calls
	show := func(v string) string { return fmt.Sprintf(g.value.show, v) }
	fmt.Fprintf(&g.global, "func call%d(ctx context.Context, key string) (res %s, err error) {\n", n, g.value.typeText)
	local := strings.HasPrefix(g.group, "local")
	if local { // the group is Run's: what is called is a literal there
		text := strings.TrimSuffix(g.global.String(), fmt.Sprintf("func call%d(ctx context.Context, key string) (res %s, err error) {\n", n, g.value.typeText))
		g.global.Reset()
		g.global.WriteString(text)
		fmt.Fprintf(&g.body, "\tcall%d := func(ctx context.Context, key string) (res %s, err error) {\n", n, g.value.typeText)
	}
	out := &g.global
	if local {
		out = &g.body
	}
	zero := g.value.zero
	switch g.IntN(5) {
	case 0: // Do, the error, the assertion
		fmt.Fprintf(out, "\tv, err, shared := %s.Do(key, %s)\n\tfmt.Println(err, shared)\n\tif err != nil {\n\t\treturn %s, err\n\t}\n\treturn v.(%s), nil\n", g.group, g.function(), zero, g.value.typeText)
	case 1: // with ok
		fmt.Fprintf(out, "\tv, err, _ := %s.Do(key, %s)\n\tif err != nil {\n\t\treturn %s, err\n\t}\n\tr, ok := v.(%s)\n\tif !ok {\n\t\treturn %s, errors.New(\"unexpected type\")\n\t}\n\t// Of the right type.\n\treturn r, nil\n", g.group, g.function(), zero, g.value.typeText, zero)
	case 2: // with ok in an if
		fmt.Fprintf(out, "\tv, err, _ := %s.Do(key, %s)\n\tif err != nil {\n\t\treturn %s, err\n\t}\n\tif r, ok := v.(%s); ok {\n\t\treturn r, nil\n\t}\n\treturn %s, errors.New(\"unexpected type\")\n", g.group, g.function(), zero, g.value.typeText, zero)
	case 3: // over a channel, with a context
		fmt.Fprintf(out, "\tch := %s.DoChan(key, %s)\n\tselect {\n\tcase <-ctx.Done():\n\t\treturn %s, ctx.Err()\n\tcase r := <-ch:\n\t\tif r.Err != nil {\n\t\t\treturn %s, r.Err\n\t\t}\n\t\tv, _ := r.Val.(%s)\n\t\treturn v, nil\n\t}\n", g.group, g.function(), zero, zero, g.value.typeText)
	case 4: // the error alone
		fmt.Fprintf(out, "\tvar result %sResult\n\tresult = <-%s.DoChan(key, %s)\n\t_, err, _ = %s.Do(key+\"'\", %s)\n\t%s.Forget(key)\n\treturn %s, errors.Join(err, result.Err)\n", g.pkg, g.group, g.function(), g.group, g.function(), g.group, zero)
	}
	if local {
		fmt.Fprintf(out, "\t}\n")
	} else {
		fmt.Fprintf(out, "}\n\n")
	}
	shown := show(fmt.Sprintf("v%d", n))
	if g.value.typeText == "*item" {
		shown = fmt.Sprintf("v%d != nil && v%d.n == 7", n, n)
	}
	fmt.Fprintf(&g.body, "\tfunc() {\n\t\tdefer func() {\n\t\t\tif p := recover(); p != nil {\n\t\t\t\ttext, _, _ := strings.Cut(fmt.Sprint(p), \"\\n\")\n\t\t\t\tfmt.Println(\"panic\", text)\n\t\t\t}\n\t\t}()\n\t\tv%d, err := call%d(ctx, %q)\n\t\tfmt.Println(%s, err)\n\t}()\n", n, n, fmt.Sprint("key", n), shown)
	g.joined(n)
}

// joined writes a call that another one surely joins, and one that panics, or
// exits.
func (g *generator) joined(n int) {
	switch g.IntN(6) {
	case 0:
		fmt.Fprintf(&g.body, "\t{\n\t\tgate := make(chan int)\n\t\tfirst := %s.DoChan(\"joined\", func() (any, error) { <-gate; return %s, nil })\n\t\tsecond := %s.DoChan(\"joined\", func() (any, error) { return %s, nil })\n\t\tclose(gate)\n\t\tfmt.Println((<-first).Shared, (<-second).Shared)\n\t}\n", g.group, g.value.literal, g.group, g.value.literal)
	case 1:
		fmt.Fprintf(&g.body, "\tfunc() {\n\t\tdefer func() {\n\t\t\ttext, _, _ := strings.Cut(fmt.Sprint(recover()), \"\\n\")\n\t\t\tfmt.Println(\"panic\", text)\n\t\t}()\n\t\t%s.Do(\"panic\", func() (any, error) { panic(\"on purpose %d\") })\n\t}()\n", g.group, n)
	case 2:
		fmt.Fprintf(&g.body, "\t{\n\t\tdone := make(chan int)\n\t\tgo func() {\n\t\t\tdefer close(done)\n\t\t\t%s.Do(\"exit\", func() (any, error) { runtime.Goexit(); return %s, nil })\n\t\t\tfmt.Println(\"not reached\")\n\t\t}()\n\t\t<-done\n\t}\n", g.group, g.value.literal)
	}
}
