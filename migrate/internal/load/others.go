package load

import (
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// others loads the configurations of the files that the first one ignores and
// that import one of the libraries: those for another system, or with a tag.
func (l *Loaded) others(cfg Config, ignored []string) {
	for _, name := range ignored {
		if !imports(name, cfg.Overlay[name]) || slices.ContainsFunc(l.Files, func(f *program.File) bool { return f.Name == name }) {
			continue
		}
		other, ok := configuration(name)
		if !ok {
			l.Unseen = append(l.Unseen, name+": no configuration found that builds it")
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
			l.Unseen = append(l.Unseen, name+": "+err.Error())
		}
	}
}

// imports reports whether a file that is source on disk, or src if that isn't
// nil, imports one of the libraries.
func imports(name string, src []byte) bool {
	if !strings.HasSuffix(name, ".go") {
		return false
	}
	var source any
	if src != nil {
		source = src
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return false
	}
	for _, spec := range file.Imports {
		if flight.ByPath(program.PathOf(spec)) != flight.None {
			return true
		}
	}
	return false
}

// configuration returns one that has the file.
func configuration(name string) (build.Context, bool) {
	ctx := build.Default
	dir, base := filepath.Split(name)
	tags := constraintTags(name)
	for _, system := range []string{build.Default.GOOS, "linux", "windows", "darwin", "freebsd", "openbsd", "netbsd", "js", "wasip1", "plan9", "android", "ios", "solaris", "aix"} {
		for _, arch := range []string{build.Default.GOARCH, "amd64", "arm64", "386", "arm", "wasm", "ppc64"} {
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
				tags = append(tags, tag)
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
