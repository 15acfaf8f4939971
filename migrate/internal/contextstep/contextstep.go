// Package contextstep moves calls to DoContext: callers then leave when their
// context ends, and the function gets a context that none of them ends.
package contextstep

import (
	"fmt"
	"go/ast"
	"go/types"
	"regexp"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/capture"
	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// Name is what the step is called.
const Name = "context"

// Run returns what the step does with the calls of p, and what it leaves.
func Run(p *program.Program) []program.Finding {
	s := &step{Program: p}
	for _, f := range p.Files {
		ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
			call := flight.CallOf(f.Info, n)
			if call == nil || call.Library != flight.Ours {
				return true
			}
			switch call.Method {
			case "Do":
				s.do(f, call, stack)
			case "DoChan":
				s.doChan(f, call, stack)
			}
			return true
		})
	}
	return s.findings
}

type step struct {
	*program.Program
	findings []program.Finding
}

func (s *step) add(call *flight.Call, outcome program.Outcome, message string, edits ...program.Edit) {
	s.findings = append(s.findings, program.Finding{Pos: call.Select.Sel.Pos(), End: call.Select.Sel.End(),
		Step: Name, Outcome: outcome, Message: message, Edits: edits})
}

func (s *step) left(call *flight.Call, format string, args ...any) {
	s.add(call, program.Left, fmt.Sprintf("%s stays: ", call.Method)+fmt.Sprintf(format, args...))
}

// do moves a call of Do whose function uses the context of its caller.
func (s *step) do(f *program.File, call *flight.Call, stack []ast.Node) {
	lit := call.Literal()
	if lit == nil {
		return
	}
	ctx, n := capture.Context(f.Info, lit)
	if n == 0 {
		return
	}
	if n > 1 {
		s.left(call, "the function uses %d contexts of its caller, and it isn't clear which one is the call's", n)
		return
	}
	if reason := s.unfit(f, call, lit, ctx, stack); reason != "" {
		s.left(call, "%s", reason)
		return
	}
	edits, ok := s.rewriteCall(f, call, lit, ctx.Name())
	if !ok {
		s.left(call, "context can't be imported here")
		return
	}
	s.add(call, program.Done, "Do becomes DoContext: a caller leaves when its context ends, and the function has a context that none of them ends", edits...)
}

// rewriteCall are the edits of the call itself: its method, the context before
// the key, and the function's parameter.
func (s *step) rewriteCall(f *program.File, call *flight.Call, lit *ast.FuncLit, ctx string) ([]program.Edit, bool) {
	edits := []program.Edit{
		{Pos: call.Select.Sel.Pos(), End: call.Select.Sel.End(), New: "DoContext"},
		{Pos: call.Key.Pos(), End: call.Key.Pos(), New: ctx + ", "},
	}
	name, imported := f.NameOf("context")
	if !imported {
		edit, ok := program.AddImport(f, "context")
		if !ok {
			return nil, false
		}
		edits, name = append(edits, edit), "context"
	} else if _, isPackage := f.Lookup(name, call).(*types.PkgName); name != "" && !isPackage {
		return nil, false
	}
	if name != "" {
		name += "."
	}
	param := name + "Context"
	if uses(f, lit, ctx) {
		param = ctx + " " + param
	}
	params := lit.Type.Params
	return append(edits, program.Edit{Pos: params.Opening + 1, End: params.Closing, New: param}), true
}

// uses reports whether a function uses what is called ctx outside of it.
func uses(f *program.File, lit *ast.FuncLit, ctx string) bool {
	for _, use := range capture.Uses(f.Info, lit) {
		if use.Ident.Name == ctx {
			return true
		}
	}
	return false
}

// unfit returns why a function can't run on after its caller has left, or with
// another context than its caller's.
func (s *step) unfit(f *program.File, call *flight.Call, lit *ast.FuncLit, ctx *types.Var, stack []ast.Node) string {
	if f.Frozen != "" {
		return "the file is " + f.Frozen
	}
	if f.Cgo {
		return "the file uses cgo"
	}
	if tv, ok := f.Info.Types[call.Fun]; ok && tv.Type == nil {
		return "its type isn't known"
	}
	around := enclosing(stack)
	if around == nil {
		return "it is in no function"
	}
	if reason := s.derived(f, ctx, around); reason != "" {
		return reason
	}
	if line := s.locked(call, lit, around); line > 0 {
		return fmt.Sprintf("the caller holds a lock during the call (line %d), and the function would run on without it", line)
	}
	later := laterWrites(f, call, around)
	for _, use := range capture.Uses(f.Info, lit) {
		name, at := use.Var.Name(), s.line(use.Ident)
		switch {
		case use.Var == ctx && use.Write:
			return fmt.Sprintf("the function assigns to %s of its caller (line %d)", name, at)
		case use.Write:
			return fmt.Sprintf("the function writes %s of its caller (line %d), which it may outlive: that would be a data race", name, at)
		case later[use.Var]:
			return fmt.Sprintf("%s, which the function uses, is written after the call: that would be a data race", name)
		case capture.RequestScoped(use.Var.Type()) != "":
			return fmt.Sprintf("the function uses %s (%s, line %d), which it may outlive", capture.RequestScoped(use.Var.Type()), name, at)
		}
		if line := released(s, f, use.Var, around, lit); line > 0 {
			return fmt.Sprintf("%s, which the function uses, is released when its caller returns (line %d)", name, line)
		}
	}
	return s.mocked(f, lit, ctx)
}

func (s *step) line(n ast.Node) int { return s.Fset.Position(n.Pos()).Line }

// enclosing returns the body of the innermost function around a call.
func enclosing(stack []ast.Node) *ast.BlockStmt {
	for i := len(stack) - 1; i >= 0; i-- {
		switch n := stack[i].(type) {
		case *ast.FuncDecl:
			return n.Body
		case *ast.FuncLit:
			return n.Body
		}
	}
	return nil
}

// derived returns why ctx isn't just the caller's: it has a deadline of this
// function, which would not bind the function any more.
func (s *step) derived(f *program.File, ctx *types.Var, around *ast.BlockStmt) (reason string) {
	ast.Inspect(around, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Rhs) != 1 {
			return reason == ""
		}
		call, ok := ast.Unparen(a.Rhs[0]).(*ast.CallExpr)
		if !ok {
			return reason == ""
		}
		id, ok := a.Lhs[0].(*ast.Ident)
		if !ok || f.Info.ObjectOf(id) != ctx {
			return reason == ""
		}
		for _, name := range []string{"WithTimeout", "WithDeadline", "WithTimeoutCause", "WithDeadlineCause", "WithCancel", "WithCancelCause"} {
			if capture.IsCall(f.Info, call, "context", name) {
				reason = fmt.Sprintf("%s comes from context.%s in line %d, and in DoContext that ends the caller's wait and not the function: Options.FlightTimeout bounds the function", ctx.Name(), name, s.line(a))
			}
		}
		return reason == ""
	})
	return reason
}

// locked returns the line where the function around a call takes a lock that it
// gives back after the call, or 0.
func (s *step) locked(call *flight.Call, lit *ast.FuncLit, around *ast.BlockStmt) (line int) {
	taken := map[string]int{}
	ast.Inspect(around, func(n ast.Node) bool {
		if n == ast.Node(lit) {
			return false
		}
		if d, ok := n.(*ast.DeferStmt); ok {
			return !strings.HasSuffix(types.ExprString(d.Call.Fun), "Unlock") // at the end
		}
		c, ok := n.(*ast.CallExpr)
		if !ok || c.Pos() > call.Pos() {
			return true
		}
		sel, ok := c.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch sel.Sel.Name {
		case "Lock", "RLock":
			taken[types.ExprString(sel.X)] = s.line(c)
		case "Unlock", "RUnlock":
			delete(taken, types.ExprString(sel.X))
		}
		return true
	})
	for _, at := range taken {
		line = max(line, at)
	}
	return line
}

// laterWrites returns the variables that are written in a function after a call
// in it, or anywhere in a loop around the call.
func laterWrites(f *program.File, call *flight.Call, around *ast.BlockStmt) map[*types.Var]bool {
	from := call.End()
	ast.Inspect(around, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			if n.Pos() < call.Pos() && call.End() < n.End() && n.Pos() < from {
				from = n.Pos()
			}
		}
		return true
	})
	writes := map[*types.Var]bool{}
	for id := range capture.Writes(f.Info, around) {
		inCall := call.Pos() <= id.Pos() && id.Pos() < call.End()
		if v, ok := f.Info.Uses[id].(*types.Var); ok && id.Pos() > from && !inCall && v.Pos() < from {
			writes[v] = true
		}
	}
	return writes
}

// released returns the line of a deferred call that mentions v, or 0.
func released(s *step, f *program.File, v *types.Var, around *ast.BlockStmt, lit *ast.FuncLit) (line int) {
	if flight.IsContext(v.Type()) || flight.IsNamed(v.Type(), "", "error") {
		return 0
	}
	ast.Inspect(around, func(n ast.Node) bool {
		if n == ast.Node(lit) {
			return false
		}
		d, ok := n.(*ast.DeferStmt)
		if !ok {
			return true
		}
		ast.Inspect(d.Call, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && f.Info.Uses[id] == v && !isReceiverField(f, d.Call, id) {
				line = s.line(d)
			}
			return true
		})
		return false
	})
	return line
}

// isReceiverField reports whether id is used only to reach what lies behind it,
// as in defer s.mu.Unlock(): that says nothing about s.
func isReceiverField(f *program.File, call *ast.CallExpr, id *ast.Ident) bool {
	through := false
	ast.PreorderStack(call, nil, func(n ast.Node, stack []ast.Node) bool {
		if n != ast.Node(id) || len(stack) < 2 {
			return true
		}
		inner, ok := stack[len(stack)-1].(*ast.SelectorExpr)
		if !ok || inner.X != id {
			return true
		}
		_, outer := stack[len(stack)-2].(*ast.SelectorExpr)
		through = outer
		return true
	})
	return through
}

var mockImport = regexp.MustCompile(`"(go\.uber\.org/mock/gomock|github\.com/golang/mock/gomock|github\.com/stretchr/testify/mock)"`)

// mocked returns why a mock of the package's tests may see that the function's
// context is another than its caller's.
func (s *step) mocked(f *program.File, lit *ast.FuncLit, ctx *types.Var) (reason string) {
	dir := f.Name[:strings.LastIndexAny(f.Name, `/\`)+1]
	var tests []*program.File
	for _, other := range s.Files {
		if strings.HasSuffix(other.Name, "_test.go") && strings.HasPrefix(other.Name, dir) && !strings.ContainsAny(other.Name[len(dir):], `/\`) &&
			mockImport.MatchString(s.Text(other, other.Syntax.FileStart, other.Syntax.FileEnd)) {
			tests = append(tests, other)
		}
	}
	if tests == nil {
		return ""
	}
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || reason != "" {
			return reason == ""
		}
		sel, isMethod := ast.Unparen(call.Fun).(*ast.SelectorExpr)
		arg, isIdent := ast.Unparen(call.Args[0]).(*ast.Ident)
		if !isMethod || !isIdent || f.Info.Uses[arg] != ctx {
			return true
		}
		expected := regexp.MustCompile(`(EXPECT\(\)\.` + sel.Sel.Name + `\(ctx\b|On\("` + sel.Sel.Name + `", ctx\b)`)
		for _, test := range tests {
			if expected.MatchString(s.Text(test, test.Syntax.FileStart, test.Syntax.FileEnd)) {
				reason = fmt.Sprintf("a mock of %s in the tests compares the context, and the function would have another", sel.Sel.Name)
			}
		}
		return true
	})
	return reason
}
