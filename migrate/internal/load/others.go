package load

import (
	"go/ast"
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// others loads the configurations of the files that the first one ignores and
// that import one of the libraries: those for another system, or with a tag.
func (l *Loaded) others(cfg Config, ignored []string) {
	for _, name := range ignored {
		if !l.concerned(name, cfg.Overlay[name]) || slices.ContainsFunc(l.Files, func(f *program.File) bool { return f.Name == name }) {
			continue
		}
		other, ok := configuration(name)
		if !ok {
			l.unseen(name, "no configuration found that builds it")
			continue
		}
		more := cfg
		more.Flags = append(slices.Clone(cfg.Flags), "-tags="+strings.Join(append(tagsOf(cfg.Flags), other.BuildTags...), ","))
		more.Env = append(slices.Clone(cfg.Env), "GOOS="+other.GOOS, "GOARCH="+other.GOARCH)
		if other.GOOS != build.Default.GOOS || other.GOARCH != build.Default.GOARCH {
			more.Env = append(more.Env, "CGO_ENABLED=0")
		}
		more.Patterns = []string{filepath.Dir(name)}
		if _, err := l.add(more); err != nil {
			l.unseen(name, err.Error())
		}
	}
}

func (l *Loaded) unseen(name, reason string) {
	l.Program.Unseen = append(l.Program.Unseen, program.Unseen{Name: name, Reason: reason})
}

// called finds calls that may be of a group that another file declares.
var called = regexp.MustCompile(`\.(Do|DoChan|DoContext|DoChanContext|Forget)\(`)

// concerned reports whether a file imports one of the libraries, or may use a
// group of a package that does. src is the file's source if that isn't nil.
func (l *Loaded) concerned(name string, src []byte) bool {
	if !strings.HasSuffix(name, ".go") {
		return false
	}
	if src == nil {
		var err error
		if src, err = os.ReadFile(name); err != nil {
			return false
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
	if err != nil {
		return false
	}
	if imports(file) {
		return true
	}
	return called.Match(src) && slices.ContainsFunc(l.Files, func(f *program.File) bool {
		return filepath.Dir(f.Name) == filepath.Dir(name) && imports(f.Syntax)
	})
}

// imports reports whether a file imports one of the libraries.
func imports(file *ast.File) bool {
	return slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool {
		return flight.ByPath(program.PathOf(spec)) != flight.None
	})
}

var (
	systems = []string{"linux", "windows", "darwin", "freebsd", "openbsd", "netbsd", "dragonfly", "js", "wasip1", "plan9",
		"android", "ios", "solaris", "illumos", "aix"}
	architectures = []string{"amd64", "arm64", "386", "arm", "wasm", "ppc64", "ppc64le", "s390x", "riscv64", "loong64", "mips", "mips64"}
)

// configuration returns one that has the file.
func configuration(name string) (build.Context, bool) {
	ctx := build.Default
	dir, base := filepath.Split(name)
	tags := constraintTags(name)
	for _, system := range slices.Concat([]string{build.Default.GOOS}, systems) {
		for _, arch := range slices.Concat([]string{build.Default.GOARCH}, architectures) {
			for _, with := range [][]string{nil, tags} {
				ctx.GOOS, ctx.GOARCH, ctx.BuildTags = system, arch, with
				if match, err := ctx.MatchFile(dir, base); err == nil && match {
					return ctx, true
				}
			}
		}
	}
	return ctx, false
}

// constraintTags returns the words of a file's //go:build line.
func constraintTags(name string) (tags []string) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		return nil
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if !constraint.IsGoBuild(comment.Text) {
				continue
			}
			expr, err := constraint.Parse(comment.Text)
			if err != nil {
				continue
			}
			expr.Eval(func(tag string) bool {
				if !slices.Contains(systems, tag) && !slices.Contains(architectures, tag) && tag != "cgo" && tag != "unix" && !strings.HasPrefix(tag, "go1.") {
					tags = append(tags, tag)
				}
				return true
			})
		}
	}
	return tags
}

func tagsOf(flags []string) (tags []string) {
	for _, flag := range flags {
		if list, ok := strings.CutPrefix(flag, "-tags="); ok {
			tags = append(tags, strings.Split(list, ",")...)
		}
	}
	return tags
}
