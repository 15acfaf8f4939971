// Package load brings the packages of a module into a program.
package load

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// A Config says what to load.
type Config struct {
	Dir      string // "" for the current one
	Patterns []string
	Flags    []string // of the go command, as -tags=x
	Env      []string // beside the process's
	Overlay  map[string][]byte
}

const mode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
	packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule

// A Loaded program has the packages of one or several configurations.
type Loaded struct {
	*program.Program
	Module *packages.Module // of the first package that has one
}

// Load loads the packages, with their tests. It fails, with all errors, if one
// of them doesn't build.
func Load(cfg Config) (*Loaded, error) {
	l := &Loaded{Program: &program.Program{Fset: token.NewFileSet(), Whole: true}}
	ignored, err := l.add(cfg)
	if err != nil {
		return nil, err
	}
	if len(l.Files) == 0 {
		return nil, fmt.Errorf("no packages match %s, or go.mod needs an update%s", strings.Join(cfg.Patterns, " "), listed(cfg))
	}
	l.others(cfg, ignored)
	slices.SortFunc(l.Files, func(a, b *program.File) int { return cmp.Compare(a.Name, b.Name) })
	return l, nil
}

// listed is what the go command says about packages that can't be listed.
func listed(cfg Config) string {
	cmd := exec.Command("go", slices.Concat([]string{"list"}, cfg.Flags, []string{"--"}, cfg.Patterns)...)
	cmd.Dir, cmd.Env = cfg.Dir, append(os.Environ(), cfg.Env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return ":\n" + strings.TrimSpace(string(out))
	}
	return ""
}

// add loads one configuration. It returns the files that aren't part of that.
func (l *Loaded) add(cfg Config) (ignored []string, err error) {
	pkgs, err := packages.Load(&packages.Config{
		Mode: mode, Dir: cfg.Dir, Tests: true, Fset: l.Fset, Overlay: cfg.Overlay,
		BuildFlags: cfg.Flags, Env: append(os.Environ(), cfg.Env...),
	}, cfg.Patterns...)
	if err != nil {
		return nil, err
	}
	if err := problems(pkgs); err != nil {
		return nil, err
	}
	// The variant for tests has all files of the package, and more.
	slices.SortStableFunc(pkgs, func(a, b *packages.Package) int {
		return cmp.Compare(len(b.CompiledGoFiles), len(a.CompiledGoFiles))
	})
	seen := map[string]bool{}
	for _, f := range l.Files {
		seen[f.Name] = true
	}
	for _, pkg := range pkgs {
		ignored = append(ignored, pkg.IgnoredFiles...)
		if l.Module == nil && pkg.Module != nil {
			l.Module = pkg.Module
		}
		if strings.HasSuffix(pkg.ID, ".test") {
			continue // the generated main
		}
		for _, syntax := range pkg.Syntax {
			f := l.file(pkg, syntax, cfg.Overlay)
			if f != nil && !seen[f.Name] {
				seen[f.Name] = true
				l.Files = append(l.Files, f)
			}
		}
	}
	slices.Sort(ignored)
	return slices.Compact(ignored), nil
}

func (l *Loaded) file(pkg *packages.Package, syntax *ast.File, overlay map[string][]byte) *program.File {
	compiled := l.Fset.File(syntax.FileStart).Name()
	name := l.Fset.Position(syntax.Package).Filename
	cgo := slices.ContainsFunc(pkg.GoFiles, func(file string) bool { return file == name }) && compiled != name
	if !cgo {
		name = compiled
		if !slices.Contains(pkg.GoFiles, name) {
			return nil // made by cgo alone
		}
	}
	f := &program.File{Name: name, Syntax: syntax, Pkg: pkg.Types, Info: pkg.TypesInfo, Cgo: cgo, Source: overlay[name]}
	switch {
	case !cgo && ast.IsGenerated(syntax):
		f.Frozen = "generated"
	case pkg.Module != nil && !pkg.Module.Main:
		f.Frozen = "of another module"
	}
	return f
}

// problems returns the errors of packages, each once.
func problems(pkgs []*packages.Package) error {
	var errs []error
	seen := map[string]bool{}
	packages.Visit(pkgs, nil, func(pkg *packages.Package) {
		for _, err := range pkg.Errors {
			if !seen[err.Error()] {
				seen[err.Error()] = true
				errs = append(errs, err)
			}
		}
		if pkg.Module != nil && pkg.Module.Error != nil && !seen[pkg.Module.Error.Err] {
			seen[pkg.Module.Error.Err] = true
			errs = append(errs, errors.New(pkg.Module.Error.Err))
		}
	})
	return errors.Join(errs...)
}

// Rel returns the name of a file from dir, if that is shorter.
func Rel(dir, name string) string {
	if dir == "" {
		dir, _ = os.Getwd()
	}
	if rel, err := filepath.Rel(dir, name); err == nil && len(rel) < len(name) {
		return rel
	}
	return name
}
