// Package valuestep gives groups of any the type that their functions return.
//
// It collects what may hold one group, or its results: variables, fields,
// parameters, literals. Those between which a group or a result may go are a
// class, and get the same type or stay as they are.
package valuestep

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// Name is what the step is called.
const Name = "values"

// Options say how the step is done.
type Options struct {
	Exported bool // change what other modules may use
}

// Run returns what the step does with the groups of p, and what it leaves.
func Run(p *program.Program, opts Options) []program.Finding {
	s := newStep(p, opts)
	s.collect()
	return s.decide()
}

// collect finds the classes, and what they call and hold.
func (s *step) collect() {
	s.findLooseMethods()
	for _, f := range s.Files {
		ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
			s.visit(f, n, stack)
			return true
		})
	}
	s.findValues()
}

type step struct {
	*program.Program
	opts    Options
	classes map[string]*class // by the place of what holds the group
	loose   map[string]bool   // names of interface methods that have groups or results in their signatures
}

// A class is all that may hold one group or its results.
type class struct {
	parent  *class
	types   []typeExpr
	calls   []call
	values  []value
	reasons []reason
	names   []holder
}

// A typeExpr is where the source names the type of a group or result.
type typeExpr struct {
	file *program.File
	any  ast.Expr // the type argument for values
	at   ast.Node
}

// A call runs a function for a group.
type call struct {
	file  *program.File
	call  *flight.Call
	stack []ast.Node
}

// A value is an expression whose value a function of the group has returned, or
// a variable that was set to one.
type value struct {
	file  *program.File
	expr  ast.Expr // res.Val, or what the first result is assigned to
	err   ast.Expr // what holds the error that came with it, or nil
	after ast.Node // the statement that the value comes from
	call  ast.Node // the call of which it is the first result, or nil
	stack []ast.Node
}

// A holder is something declared that holds a group.
type holder struct {
	pos      token.Pos
	name     string
	exported string // how others name it, or ""
	group    bool   // the group itself
}

// A reason is why a class stays as it is.
type reason struct {
	pos  token.Pos
	text string
}

func (c *class) root() *class {
	for c.parent != nil {
		c = c.parent
	}
	return c
}

// class returns the class of what is declared at a place.
func (s *step) class(place string) *class {
	c := s.classes[place]
	if c == nil {
		c = &class{}
		s.classes[place] = c
	}
	return c.root()
}

func (s *step) join(a, b *class) {
	if a == nil || b == nil {
		return
	}
	a, b = a.root(), b.root()
	if a == b {
		return
	}
	b.parent = a
	a.types = append(a.types, b.types...)
	a.calls = append(a.calls, b.calls...)
	a.values = append(a.values, b.values...)
	a.reasons = append(a.reasons, b.reasons...)
	a.names = append(a.names, b.names...)
}

// stay records why a class can't be changed.
func (s *step) stay(c *class, at ast.Node, format string, args ...any) {
	if c != nil {
		c = c.root()
		c.reasons = append(c.reasons, reason{at.Pos(), fmt.Sprintf(format, args...)})
	}
}

// carries reports whether a value of type t is a group of this project's with
// any values, a result of one, or a container of such.
func carries(t types.Type) bool { return element(t) != nil }

// element returns the group or result type in t.
func element(t types.Type) *types.Named {
	if t == nil {
		return nil
	}
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		library := flight.Of(t.Obj())
		if name := t.Obj().Name(); !known(library) || name != "Group" && name != "Result" {
			return nil
		}
		if library == flight.XSync {
			return t
		}
		if t.TypeArgs().Len() > 0 && isAny(t.TypeArgs().At(t.TypeArgs().Len()-1)) {
			return t
		}
	case *types.Pointer:
		return element(t.Elem())
	case *types.Slice:
		return element(t.Elem())
	case *types.Array:
		return element(t.Elem())
	case *types.Chan:
		return element(t.Elem())
	case *types.Map:
		return element(t.Elem())
	}
	return nil
}

func isAny(t types.Type) bool {
	if _, ok := types.Unalias(t).(*types.TypeParam); ok {
		return false
	}
	i, ok := types.Unalias(t).(*types.Interface)
	return ok && i.Empty()
}

// holds reports whether t brings a group or result of any along, in whatever
// form.
func holds(t types.Type) bool {
	return slices.ContainsFunc(flight.Holds(t), func(named *types.Named) bool { return element(named) != nil })
}

// findLooseMethods finds the methods of interfaces that have a group or result
// in their signature: methods of that name can't be changed alone.
func (s *step) findLooseMethods() {
	for _, f := range s.Files {
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				for _, method := range i.Methods.List {
					if len(method.Names) == 1 && holds(f.Info.TypeOf(method.Type)) {
						s.loose[method.Names[0].Name] = true
					}
				}
			}
			return true
		})
	}
}

// where is a position for a message that stands at another one.
func (s *step) where(pos token.Pos) string {
	position := s.Fset.Position(pos)
	return fmt.Sprintf("%s:%d", filepath.Base(position.Filename), position.Line)
}

// decide says for each class that holds a group what becomes of it.
func (s *step) decide() (findings []program.Finding) {
	for _, c := range s.roots() {
		if len(c.calls) == 0 || c.calls[0].call.Library != flight.Ours || len(c.types) == 0 && len(c.reasons) == 0 {
			continue
		}
		findings = append(findings, s.finding(c))
	}
	slices.SortFunc(findings, func(a, b program.Finding) int { return int(a.Pos - b.Pos) })
	return findings
}

// roots returns the classes.
func (s *step) roots() (roots []*class) {
	seen := map[*class]bool{}
	for _, place := range slices.Sorted(maps.Keys(s.classes)) {
		if root := s.classes[place].root(); !seen[root] {
			seen[root] = true
			roots = append(roots, root)
		}
	}
	return roots
}

func (s *step) finding(c *class) program.Finding {
	at, name := c.calls[0].call.Pos(), "the group"
	slices.SortStableFunc(c.names, func(a, b holder) int { return int(a.pos - b.pos) })
	for _, h := range c.names {
		if h.group {
			at, name = h.pos, h.name
			break
		}
	}
	f := program.Finding{Pos: at, End: at, Step: Name}
	r := newRewrite(s, c)
	r.plan()
	if len(c.reasons) == 0 {
		f.Outcome, f.Edits = program.Done, r.edits
		f.Message = fmt.Sprintf("values of %s are of type %s", name, r.valueText)
		if r.assertions > 0 {
			f.Message += fmt.Sprintf(": %d assertion", r.assertions)
			if r.assertions > 1 {
				f.Message += "s"
			}
			f.Message += " less"
		}
		return f
	}
	f.Outcome = program.Left
	f.Message = fmt.Sprintf("values of %s stay any: %s", name, s.reasonText(c))
	return f
}

// reasonText is up to three reasons, each with its place.
func (s *step) reasonText(c *class) string {
	var texts []string
	for _, r := range c.reasons {
		text := fmt.Sprintf("%s (%s)", r.text, s.where(r.pos))
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	if len(texts) > 3 {
		texts = append(texts[:3], fmt.Sprintf("and %d more", len(texts)-3))
	}
	return strings.Join(texts, "; ")
}
