// Package program is what a step works on: packages with their types, and what
// the step says about them.
package program

import (
	"go/ast"
	"go/token"
	"go/types"
)

// A Program is the packages that a step sees together. The files of a package
// are there once, even if a test builds the package a second time.
type Program struct {
	Fset  *token.FileSet
	Files []*File

	// Whole says that every package that can use what these export is here,
	// as far as it is in the same module.
	Whole bool

	// Unseen are files that no build which can be had here has.
	Unseen []Unseen

	byName map[string]*File
}

// An Unseen file isn't part of the program, though it may use what is in it.
type Unseen struct{ Name, Reason string }

// A File is a source file with the types of the package that it belongs to.
type File struct {
	Name   string // of the file that an edit changes
	Syntax *ast.File
	Pkg    *types.Package
	Info   *types.Info
	Frozen string // why no step may change the file, or ""
	Cgo    bool   // the syntax is of what cgo made of the file
	Source []byte // of the file, nil until it is looked at
}

// Text returns the source between two positions.
func (p *Program) Text(f *File, pos, end token.Pos) string {
	from, to := p.Offset(f, pos), p.Offset(f, end)
	if from < 0 || from > to || to > len(f.text()) {
		return ""
	}
	return string(f.text()[from:to])
}

// FileOf returns the file that declares what is at pos, or nil if that isn't a
// file of the program.
func (p *Program) FileOf(pos token.Pos) *File {
	position := p.Fset.Position(pos)
	if len(p.byName) != len(p.Files) {
		p.byName = map[string]*File{}
		for _, f := range p.Files {
			p.byName[f.Name] = f
		}
	}
	return p.byName[position.Filename]
}

// Place identifies what is declared at pos: a package and its variant for
// tests have two objects for it, with one place.
func (p *Program) Place(pos token.Pos) string { return p.Fset.Position(pos).String() }

// An Outcome is what a step did about a place.
type Outcome string

const (
	Done  Outcome = "done"  // has edits
	Left  Outcome = "left"  // the step can't, or mustn't, change this
	Note  Outcome = "note"  // done, but there is something to know
	Found Outcome = "found" // by a check
)

// A Finding is what a step says about a place.
type Finding struct {
	Pos, End token.Pos
	Step     string // types, values, context, or the name of a check
	Outcome  Outcome
	Message  string
	Edits    []Edit
}

// An Edit replaces the source between two positions.
type Edit struct {
	Pos, End token.Pos
	New      string
}
