package typestep

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// findOptions returns the changes that make groups cancel the functions whose
// callers have all left, where the library that they come from does so: resenje
// always, tailscale in DoChanContext.
func (s *step) findOptions() map[*program.File][]program.Finding {
	libraries := map[flight.Library]bool{flight.Resenje: true, flight.Tailscale: s.callsDoChanContext()}
	found := map[*program.File][]program.Finding{}
	set := map[string]bool{} // the fields that a literal of their struct sets
	for _, f := range s.Files {
		o := &optioner{step: s, file: f, libraries: libraries, set: set}
		ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
			o.visit(n, stack)
			return true
		})
		if o.findings != nil {
			found[f] = o.findings
		}
	}
	for _, f := range s.Files {
		o := &optioner{step: s, file: f, libraries: libraries, set: set}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			o.unset(n)
			return true
		})
		found[f] = append(found[f], o.findings...)
	}
	return found
}

func (s *step) callsDoChanContext() (calls bool) {
	for _, f := range s.Files {
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call := flight.CallOf(f.Info, n)
			calls = calls || call != nil && call.Library == flight.Tailscale && call.Method == "DoChanContext"
			return !calls
		})
	}
	return calls
}

type optioner struct {
	*step
	file      *program.File
	libraries map[flight.Library]bool
	set       map[string]bool
	findings  []program.Finding
}

const optionsSet = "the group cancels a function that nobody waits for any more, as before: Options.CancelAbandoned"

func (o *optioner) done(n ast.Node, edits ...program.Edit) {
	o.findings = append(o.findings, program.Finding{Pos: n.Pos(), End: n.Pos(), Outcome: program.Done, Message: optionsSet, Edits: edits})
}

// group returns the group type that t is, if it is one of those to be set.
func (o *optioner) group(t types.Type) *types.Named {
	if t == nil {
		return nil
	}
	if _, ok := types.Unalias(t).(*types.Pointer); ok || !flight.IsGroup(t) {
		return nil
	}
	named := flight.Named(t)
	if !o.libraries[flight.Of(named.Obj())] {
		return nil
	}
	return named
}

func (o *optioner) visit(n ast.Node, stack []ast.Node) {
	switch n := n.(type) {
	case *ast.ValueSpec: // var g Group[K, V]
		if len(n.Values) > 0 || n.Type == nil || o.group(o.file.Info.TypeOf(n.Type)) == nil {
			return
		}
		literal := o.literal(o.Text(o.file, n.Type.Pos(), n.Type.End()), o.options(n.Type))
		text := " = " + literal
		for range n.Names[1:] {
			text += ", " + literal
		}
		o.done(n, program.Edit{Pos: n.Names[len(n.Names)-1].End(), End: n.Type.End(), New: text})
	case *ast.CompositeLit:
		if o.group(o.file.Info.TypeOf(n)) != nil {
			if n.Type != nil && len(n.Elts) == 0 {
				o.done(n, program.Edit{Pos: n.Lbrace + 1, End: n.Lbrace + 1, New: "Options: " + o.options(n.Type)})
			}
			return
		}
		o.structLiteral(n)
	case *ast.CallExpr: // new(Group[K, V])
		id, ok := ast.Unparen(n.Fun).(*ast.Ident)
		if !ok || len(n.Args) != 1 || o.file.Info.Uses[id] != types.Universe.Lookup("new") || o.group(o.file.Info.TypeOf(n.Args[0])) == nil {
			return
		}
		arg := n.Args[0]
		o.done(n, program.Edit{Pos: n.Pos(), End: n.End(), New: "&" + o.literal(o.Text(o.file, arg.Pos(), arg.End()), o.options(arg))})
	}
}

// structLiteral sets the groups that are fields of a struct, where one is
// written with its fields' names.
func (o *optioner) structLiteral(lit *ast.CompositeLit) {
	t := o.file.Info.TypeOf(lit)
	if t == nil {
		return
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem() // of a literal whose &T is left out
	}
	structure, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	named := map[string]bool{}
	for _, elt := range lit.Elts {
		kv, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			return
		}
		if id, ok := kv.Key.(*ast.Ident); ok {
			named[id.Name] = true
		}
	}
	var edits []program.Edit
	text := ""
	for field := range structure.Fields() {
		group := o.group(field.Type())
		if group == nil || named[field.Name()] || o.FileOf(field.Pos()) == nil {
			continue
		}
		typeText, ok := o.typeText(group, lit)
		if !ok {
			continue
		}
		o.set[o.Place(field.Pos())] = true
		o.links.join(o.file.Name, o.FileOf(field.Pos()).Name)
		if text != "" {
			text += o.separator(lit)
		}
		text += fmt.Sprintf("%s: %s", field.Name(), o.literal("singleflight.Group"+typeText, "singleflight.Options"+typeText+"{CancelAbandoned: true}"))
	}
	if text == "" {
		return
	}
	name, imported := o.file.NameOf(flight.Of(o.firstGroup(structure).Obj()).String())
	if !imported || name != "singleflight" {
		if imported {
			text = renamed(text, name)
		} else if edit, ok := program.AddImport(o.file, flight.Path); ok {
			edits = append(edits, edit)
		} else {
			return
		}
	}
	at := lit.Lbrace + 1
	if len(lit.Elts) > 0 {
		at = lit.Elts[0].Pos()
		text += o.separator(lit)
	}
	edits = append(edits, program.Edit{Pos: at, End: at, New: text})
	o.done(lit, edits...)
}

func (o *optioner) firstGroup(structure *types.Struct) *types.Named {
	for field := range structure.Fields() {
		if group := o.group(field.Type()); group != nil {
			return group
		}
	}
	return nil
}

// lines reports whether the elements of a literal have lines of their own.
func (o *optioner) lines(lit *ast.CompositeLit) bool {
	return len(lit.Elts) > 0 && o.line(lit.Lbrace) != o.line(lit.Elts[0].Pos())
}

func (o *optioner) line(pos token.Pos) int { return o.Fset.Position(pos).Line }

func (o *optioner) separator(lit *ast.CompositeLit) string {
	if o.lines(lit) {
		return ",\n"
	}
	return ", "
}

// options is the value of the Options of a group whose type is written as e.
func (o *optioner) options(e ast.Expr) string {
	qualifier := ""
	var args string
	switch e := ast.Unparen(e).(type) {
	case *ast.IndexListExpr:
		args = o.Text(o.file, e.Lbrack, e.End())
		if sel, ok := e.X.(*ast.SelectorExpr); ok {
			qualifier = o.Text(o.file, sel.X.Pos(), sel.X.End()) + "."
		}
	default: // an alias
		text, _ := o.typeText(flight.Named(o.file.Info.TypeOf(e)), e)
		args, qualifier = text, "singleflight."
	}
	return fmt.Sprintf("%sOptions%s{CancelAbandoned: true}", qualifier, args)
}

func (o *optioner) literal(typeText, options string) string {
	return fmt.Sprintf("%s{Options: %s}", typeText, options)
}

// typeText is the list of the type arguments of a group, in brackets.
func (o *optioner) typeText(group *types.Named, at ast.Node) (string, bool) {
	text := "["
	for i := range group.TypeArgs().Len() {
		if i > 0 {
			text += ", "
		}
		arg, ok := o.file.TypeText(group.TypeArgs().At(i), at)
		if !ok {
			return "", false
		}
		text += arg
	}
	return text + "]", true
}

// unset finds the fields that no literal of their struct sets.
func (o *optioner) unset(n ast.Node) {
	structure, ok := n.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range structure.Fields.List {
		if o.group(o.file.Info.TypeOf(field.Type)) == nil {
			continue
		}
		for _, name := range field.Names {
			if !o.set[o.Place(name.Pos())] {
				o.findings = append(o.findings, program.Finding{Pos: name.Pos(), End: name.End(), Outcome: program.Note,
					Message: fmt.Sprintf("no literal of the struct sets %s: set its Options.CancelAbandoned before the first call, so that a function which nobody waits for is cancelled as before", name.Name)})
			}
		}
		if len(field.Names) == 0 {
			o.findings = append(o.findings, program.Finding{Pos: field.Pos(), End: field.End(), Outcome: program.Note,
				Message: "set Options.CancelAbandoned of the embedded group before the first call, so that a function which nobody waits for is cancelled as before"})
		}
	}
}

// renamed writes the package under the name that the file has for it.
func renamed(text, name string) string {
	if name != "" {
		name += "."
	}
	return strings.ReplaceAll(text, "singleflight.", name)
}
