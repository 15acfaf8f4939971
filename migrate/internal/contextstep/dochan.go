package contextstep

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/seed-737f55c4/singleflight/migrate/internal/capture"
	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// A waiting is a DoChan with the select that waits for its result or the end of
// a context.
type waiting struct {
	call    *flight.Call
	ch      *ast.AssignStmt // ch := g.DoChan(…), or nil if the select has the call
	sel     *ast.SelectStmt
	ctx     ast.Expr        // of the case <-ctx.Done()
	end     *ast.CommClause // that case
	landed  *ast.CommClause // the other one
	res     *ast.Ident      // what it receives, or nil
	follows []ast.Stmt      // the statements after the select
}

// doChan moves a call of DoChan whose channel a select receives from, beside
// <-ctx.Done().
func (s *step) doChan(f *program.File, call *flight.Call, stack []ast.Node) {
	w, reason := waitingOf(f, call, stack)
	if w == nil {
		if reason != "" {
			s.left(call, "%s", reason)
		}
		return
	}
	if reason := w.unfit(s, f); reason != "" {
		s.left(call, "%s", reason)
		return
	}
	lit := call.Literal()
	if lit == nil {
		s.left(call, "the function isn't written at the call")
		return
	}
	id, ok := ast.Unparen(w.ctx).(*ast.Ident)
	if !ok {
		s.left(call, "the context isn't a variable")
		return
	}
	ctx, _ := f.Info.Uses[id].(*types.Var)
	if ctx == nil {
		s.left(call, "the context isn't a variable")
		return
	}
	if _, n := capture.Context(f.Info, lit); n > 1 {
		s.left(call, "the function uses %d contexts of its caller", n)
		return
	}
	if used, n := capture.Context(f.Info, lit); n == 1 && used != ctx {
		s.left(call, "the function uses the context %s, and the select %s", used.Name(), ctx.Name())
		return
	}
	if reason := s.unfit(f, call, lit, ctx, stack); reason != "" {
		s.left(call, "%s", reason)
		return
	}
	edits, ok := w.rewrite(s, f, lit, ctx.Name())
	if !ok {
		s.left(call, "it isn't clear that there is a place for the names of the results")
		return
	}
	s.add(call, program.Done, "DoChan and the select become DoContext: the function has a context that no caller ends", edits...)
}

// waitingOf finds the select. reason says why a call with one isn't understood.
func waitingOf(f *program.File, call *flight.Call, stack []ast.Node) (w *waiting, reason string) {
	w = &waiting{call: call}
	switch parent := stack[len(stack)-1].(type) {
	case *ast.AssignStmt: // ch := g.DoChan(…) before the select
		if parent.Tok != token.DEFINE || len(parent.Lhs) != 1 {
			return nil, ""
		}
		ch, ok := parent.Lhs[0].(*ast.Ident)
		if !ok {
			return nil, ""
		}
		list := listOf(stack[len(stack)-2])
		i := slices.Index(list, ast.Stmt(parent))
		if i < 0 || i+1 >= len(list) {
			return nil, ""
		}
		w.ch = parent
		sel, ok := list[i+1].(*ast.SelectStmt)
		if !ok || countUses(f, f.Info.Defs[ch]) != 1 {
			return nil, ""
		}
		w.sel, w.follows = sel, list[i+2:]
		return w.cases(f, func(e ast.Expr) bool {
			id, ok := ast.Unparen(e).(*ast.Ident)
			return ok && f.Info.Uses[id] == f.Info.Defs[ch]
		})
	case *ast.UnaryExpr: // in the select
		for i := len(stack) - 1; i > 0; i-- {
			if sel, ok := stack[i].(*ast.SelectStmt); ok {
				list := listOf(stack[i-1])
				at := slices.Index(list, ast.Stmt(sel))
				if at < 0 {
					return nil, ""
				}
				w.sel, w.follows = sel, list[at+1:]
				return w.cases(f, func(e ast.Expr) bool { return ast.Unparen(e) == call.CallExpr })
			}
			if _, ok := stack[i].(*ast.FuncLit); ok {
				break
			}
		}
	}
	return nil, ""
}

func listOf(n ast.Node) []ast.Stmt {
	switch n := n.(type) {
	case *ast.BlockStmt:
		return n.List
	case *ast.CaseClause:
		return n.Body
	case *ast.CommClause:
		return n.Body
	}
	return nil
}

func countUses(f *program.File, obj types.Object) (n int) {
	for _, used := range f.Info.Uses {
		if used == obj {
			n++
		}
	}
	return n
}

// cases sorts the cases of the select.
func (w *waiting) cases(f *program.File, isChannel func(ast.Expr) bool) (*waiting, string) {
	for _, clause := range w.sel.Body.List {
		clause := clause.(*ast.CommClause)
		from, res := received(clause.Comm)
		switch {
		case from == nil:
			return nil, "the select has another case"
		case isChannel(from):
			w.landed, w.res = clause, res
			if res == nil && !isBareReceive(clause.Comm) {
				return nil, "the result is assigned to what is declared elsewhere"
			}
		case doneOf(f, from) != nil:
			if w.end != nil {
				return nil, "the select has several contexts"
			}
			w.end, w.ctx = clause, doneOf(f, from)
		default:
			return nil, "the select has another case"
		}
	}
	if w.landed == nil || w.end == nil {
		return nil, ""
	}
	return w, ""
}

// received returns the channel that a case receives from, and the variable that
// is declared there.
func received(comm ast.Stmt) (from ast.Expr, res *ast.Ident) {
	var e ast.Expr
	switch comm := comm.(type) {
	case *ast.ExprStmt:
		e = comm.X
	case *ast.AssignStmt:
		e = comm.Rhs[0]
		if id, ok := comm.Lhs[0].(*ast.Ident); ok && comm.Tok == token.DEFINE && len(comm.Lhs) == 1 {
			res = id
		}
	default:
		return nil, nil
	}
	receive, ok := ast.Unparen(e).(*ast.UnaryExpr)
	if !ok {
		return nil, nil
	}
	return receive.X, res
}

func isBareReceive(comm ast.Stmt) bool {
	_, ok := comm.(*ast.ExprStmt)
	return ok
}

// doneOf returns ctx of ctx.Done(), or nil.
func doneOf(f *program.File, e ast.Expr) ast.Expr {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return nil
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Done" || !flight.IsContext(f.Info.TypeOf(sel.X)) {
		return nil
	}
	return sel.X
}

// unfit returns why what happens at the end of the context isn't what happens
// to an error: in DoContext that is one path.
func (w *waiting) unfit(s *step, f *program.File) string {
	if len(w.end.Body) != 1 {
		return "at the end of its context the caller does more than to return its error"
	}
	end, ok := w.end.Body[0].(*ast.ReturnStmt)
	if !ok || len(end.Results) == 0 {
		return "at the end of its context the caller does something else than to return its error"
	}
	last := end.Results[len(end.Results)-1]
	if !isErrOf(last, w.ctx) {
		if strings.Contains(types.ExprString(last), "context.Cause") {
			return "at the end of its context the caller returns the cause, and DoContext gives ctx.Err(): ask for the cause after the call"
		}
		return "at the end of its context the caller returns another error than ctx.Err()"
	}
	values := end.Results[:len(end.Results)-1]
	for _, value := range values {
		if !isZero(f, value) {
			return "at the end of its context the caller returns a value beside the error"
		}
	}
	body := slices.Concat(w.landed.Body, w.follows)
	if w.res == nil {
		return "the result isn't looked at"
	}
	if len(body) == 0 || !w.passesError(f, body[0], values) {
		return "an error of the function isn't returned as it is, and the context's is: with DoContext both take one path"
	}
	return w.wholeUse(f)
}

// wholeUse returns a reason if the result is used other than by its fields.
func (w *waiting) wholeUse(f *program.File) (reason string) {
	obj := f.Info.Defs[w.res]
	ast.PreorderStack(w.landed, nil, func(n ast.Node, stack []ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && f.Info.Uses[id] == obj {
			sel, ok := stack[len(stack)-1].(*ast.SelectorExpr)
			if !ok || sel.X != id || sel.Sel.Name == "Leader" {
				reason = "the result is used as a whole"
			}
		}
		return true
	})
	return reason
}

// passesError reports whether a statement returns the error of the result, if
// there is one, with the same values as at the end of the context.
func (w *waiting) passesError(f *program.File, statement ast.Stmt, values []ast.Expr) bool {
	obj := f.Info.Defs[w.res]
	isField := func(e ast.Expr, name string) bool {
		sel, ok := ast.Unparen(e).(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != name {
			return false
		}
		id, ok := sel.X.(*ast.Ident)
		return ok && f.Info.Uses[id] == obj
	}
	switch n := statement.(type) {
	case *ast.ReturnStmt: // return res.Val, res.Err
		if len(n.Results) != len(values)+1 || !isField(n.Results[len(values)], "Err") {
			return false
		}
		for i, value := range values {
			if !isField(n.Results[i], "Val") && types.ExprString(n.Results[i]) != types.ExprString(value) {
				return false
			}
			if isField(n.Results[i], "Val") && !sameZero(f, n.Results[i], value) {
				return false
			}
		}
		return true
	case *ast.IfStmt: // if res.Err != nil { return values, res.Err }
		cond, ok := n.Cond.(*ast.BinaryExpr)
		if !ok || n.Init != nil || cond.Op != token.NEQ || !isField(cond.X, "Err") || len(n.Body.List) != 1 {
			return false
		}
		ret, ok := n.Body.List[0].(*ast.ReturnStmt)
		if !ok || len(ret.Results) != len(values)+1 || !isField(ret.Results[len(values)], "Err") {
			return false
		}
		for i, value := range values {
			if types.ExprString(ret.Results[i]) != types.ExprString(value) && !isZero(f, ret.Results[i]) {
				return false
			}
		}
		return true
	}
	return false
}

// sameZero reports whether the zero value of e's type is what zero says: nil as
// an any of a typed pointer isn't.
func sameZero(f *program.File, e, zero ast.Expr) bool {
	return f.Info.Types[zero].IsNil() || !types.IsInterface(f.Info.TypeOf(e))
}

func isErrOf(e, ctx ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Err" && types.ExprString(sel.X) == types.ExprString(ctx)
}

// isZero reports whether e is written as a zero value.
func isZero(f *program.File, e ast.Expr) bool {
	tv := f.Info.Types[e]
	if tv.IsNil() {
		return true
	}
	if tv.Value != nil {
		switch tv.Value.String() {
		case "0", `""`, "false":
			return true
		}
		return false
	}
	lit, ok := ast.Unparen(e).(*ast.CompositeLit)
	return ok && len(lit.Elts) == 0 && isStruct(tv.Type)
}

func isStruct(t types.Type) bool {
	_, ok := t.Underlying().(*types.Struct)
	return ok
}

// rewrite are the edits. The statements of the case come after the call.
func (w *waiting) rewrite(s *step, f *program.File, lit *ast.FuncLit, ctx string) ([]program.Edit, bool) {
	edits, ok := s.rewriteCall(f, w.call, lit, ctx)
	if !ok {
		return nil, false
	}
	names, ok := w.names(f)
	if !ok {
		return nil, false
	}
	targets := strings.Join(names, ", ")
	obj := f.Info.Defs[w.res]
	ast.PreorderStack(w.landed, nil, func(n ast.Node, stack []ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && f.Info.Uses[id] == obj {
			sel := stack[len(stack)-1].(*ast.SelectorExpr)
			name := names[map[string]int{"Val": 0, "Err": 1, "Shared": 2}[sel.Sel.Name]]
			edits = append(edits, program.Edit{Pos: sel.Pos(), End: sel.End(), New: name})
		}
		return true
	})
	first, last := w.landed.Body[0].Pos(), w.landed.Body[len(w.landed.Body)-1].End()
	if text := s.comments(f, w.call, w.sel.Pos(), first) + s.comments(f, w.call, last, w.sel.End()); text != "" {
		at := w.sel.Pos()
		if w.ch != nil {
			at = w.ch.Pos()
		}
		edits = append(edits, program.Edit{Pos: at, End: at, New: text})
	}
	if w.ch != nil {
		edits = append(edits,
			program.Edit{Pos: w.ch.Lhs[0].Pos(), End: w.ch.Lhs[0].End(), New: targets},
			program.Edit{Pos: w.sel.Pos(), End: first},
			program.Edit{Pos: last, End: w.sel.End()})
		return edits, true
	}
	edits = append(edits,
		program.Edit{Pos: w.sel.Pos(), End: w.call.Pos(), New: targets + " := "},
		program.Edit{Pos: w.call.End(), End: first, New: "\n"},
		program.Edit{Pos: last, End: w.sel.End()})
	return edits, true
}

// comments returns the comments between two positions, a line each: what is
// around them goes.
func (s *step) comments(f *program.File, call *flight.Call, from, to token.Pos) string {
	text := ""
	for _, group := range f.Syntax.Comments {
		for _, comment := range group.List {
			if from <= comment.Pos() && comment.End() <= to && !(call.Pos() < comment.Pos() && comment.End() <= call.End()) {
				text += comment.Text + "\n"
			}
		}
	}
	return text
}

// names are those of the three results: "_" for what isn't used.
func (w *waiting) names(f *program.File) ([]string, bool) {
	used := map[string]bool{}
	obj := f.Info.Defs[w.res]
	ast.PreorderStack(w.landed, nil, func(n ast.Node, stack []ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && f.Info.Uses[id] == obj {
			used[stack[len(stack)-1].(*ast.SelectorExpr).Sel.Name] = true
		}
		return true
	})
	if len(w.follows) > 0 && !leaves(w.landed.Body) {
		return nil, false // what follows may declare the same names
	}
	var names []string
	for i, field := range []string{"Val", "Err", "Shared"} {
		if !used[field] {
			names = append(names, "_")
			continue
		}
		found := false
		for _, name := range [][]string{{"v", "val", "value"}, {"err", "flightErr"}, {"shared", "isShared"}}[i] {
			if w.free(f, name) {
				names, found = append(names, name), true
				break
			}
		}
		if !found {
			return nil, false
		}
	}
	return names, true
}

// free reports whether a result can be called name: nothing is, or only an
// error of the function around, which the call then sets.
func (w *waiting) free(f *program.File, name string) bool {
	if declares(w.landed, name) {
		return false
	}
	obj := f.Lookup(name, w.landed)
	if obj == nil {
		return true
	}
	v, ok := obj.(*types.Var)
	return ok && name == "err" && types.Identical(v.Type(), types.Universe.Lookup("error").Type()) &&
		!declares(w.call.Literal(), name)
}

func leaves(list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	_, ok := list[len(list)-1].(*ast.ReturnStmt)
	return ok
}

func declares(n ast.Node, name string) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == name {
			found = true
		}
		return !found
	})
	return found
}
