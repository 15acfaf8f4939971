package program

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"

	"golang.org/x/tools/go/ast/astutil"
)

// A Change is a file before and after a step.
type Change struct {
	Name          string
	Before, After []byte
}

// Apply carries out the edits of what is done. A file that gofmt would leave
// alone before is one after, and has no import that the edits left without use.
// The edits of one finding are carried out together or not at all: one that
// would change what another has changed becomes Left.
func Apply(p *Program, findings []Finding) ([]Change, error) {
	byFile := map[*File][]placed{}
	for i := range findings {
		finding := &findings[i]
		if finding.Outcome != Done || len(finding.Edits) == 0 {
			continue
		}
		edits, ok := p.place(finding.Edits, byFile)
		if !ok {
			finding.Outcome = Left
			finding.Message = "another change is in the way; run the command again: " + finding.Message
			finding.Edits = nil
			continue
		}
		for f, more := range edits {
			byFile[f] = append(byFile[f], more...)
		}
	}
	var changes []Change
	for _, f := range p.Files {
		edits := byFile[f]
		if edits == nil {
			continue
		}
		change, err := f.apply(edits)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(change.Before, change.After) {
			changes = append(changes, change)
		}
	}
	return changes, nil
}

// A placed edit has offsets in place of positions.
type placed struct {
	from, to int
	new      string
}

// place finds the offsets of edits, unless one of them is in the way of those
// that are there.
func (p *Program) place(edits []Edit, there map[*File][]placed) (map[*File][]placed, bool) {
	more := map[*File][]placed{}
	for _, edit := range edits {
		f := p.FileOf(edit.Pos)
		if f == nil {
			return nil, false
		}
		e := placed{p.Offset(f, edit.Pos), p.Offset(f, edit.End), edit.New}
		if e.from > e.to || e.from < 0 {
			return nil, false
		}
		if slices.Contains(more[f], e) || slices.Contains(there[f], e) {
			continue // the same import, added twice
		}
		for _, other := range slices.Concat(more[f], there[f]) {
			if e.from < other.to && other.from < e.to {
				return nil, false
			}
		}
		more[f] = append(more[f], e)
	}
	return more, true
}

// Offset returns where in its file a position is. In a file that cgo has
// rewritten that is where the line comments say.
func (p *Program) Offset(f *File, pos token.Pos) int {
	file := p.Fset.File(pos)
	if file.Name() == f.Name {
		return file.Offset(pos)
	}
	position := p.Fset.PositionFor(pos, true)
	offset := 0
	for range position.Line - 1 {
		next := bytes.IndexByte(f.text()[offset:], '\n')
		if next < 0 {
			return -1
		}
		offset += next + 1
	}
	return offset + position.Column - 1
}

// text returns the source of the file.
func (f *File) text() []byte {
	if f.Source == nil {
		f.Source, _ = os.ReadFile(f.Name)
	}
	return f.Source
}

func (f *File) apply(edits []placed) (Change, error) {
	slices.SortStableFunc(edits, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	before := f.text()
	var after []byte
	end := 0
	for _, edit := range edits {
		if edit.to > len(before) {
			return Change{}, fmt.Errorf("%s: has changed since it was read", f.Name)
		}
		after = append(after, before[end:edit.from]...)
		after = append(after, edit.new...)
		end = edit.to
	}
	after = append(after, before[end:]...)
	after, err := tidy(f.Name, before, after)
	return Change{Name: f.Name, Before: before, After: after}, err
}

// tidy removes the imports that a change has left without use, and formats what
// was formatted before.
func tidy(name string, before, after []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, after, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("the change of %s is wrong, and this is a mistake of this program: %w", name, err)
	}
	if unused := unusedImports(name, before, file); len(unused) > 0 {
		for _, spec := range unused {
			specName := ""
			if spec.Name != nil {
				specName = spec.Name.Name
			}
			astutil.DeleteNamedImport(fset, file, specName, PathOf(spec))
		}
		var out bytes.Buffer
		if err := format.Node(&out, fset, file); err != nil {
			return nil, err
		}
		after = out.Bytes()
	}
	if formatted, err := format.Source(before); err == nil && bytes.Equal(formatted, before) {
		return format.Source(after)
	}
	return after, nil
}

// unusedImports returns the imports of file that the source before it used and
// that file doesn't.
func unusedImports(name string, before []byte, file *ast.File) (unused []*ast.ImportSpec) {
	old, err := parser.ParseFile(token.NewFileSet(), name, before, 0)
	if err != nil {
		return nil
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !astutil.UsesImport(old, path) || astutil.UsesImport(file, path) {
			continue
		}
		unused = append(unused, spec)
	}
	return unused
}
