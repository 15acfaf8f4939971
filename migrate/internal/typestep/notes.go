package typestep

import (
	"fmt"
	"go/ast"
	"path/filepath"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// notes says at each call what differs after the move.
func (s *step) notes(f *program.File) {
	ast.PreorderStack(f.Syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		call := flight.CallOf(f.Info, n)
		if call == nil {
			return true
		}
		for _, message := range differences(call, stack) {
			s.add(program.Finding{Pos: call.Select.Sel.Pos(), End: call.Select.Sel.End(), Outcome: program.Note, Message: message})
		}
		return true
	})
}

func differences(call *flight.Call, stack []ast.Node) (messages []string) {
	switch {
	case call.Library == flight.Resenje && call.Method == "Do":
		messages = append(messages,
			"a call that comes after all others have left waits until the cancelled function has returned, and runs its own then; resenje runs it at once; and "+
				"a panic after the last caller has left ends the process unless Options.Recover is set, where resenje drops it")
		if targets, _ := assigned(call, stack); len(targets) == 3 && !isBlank(targets[1]) {
			messages = append(messages, "shared is false for a caller that left because its context ended; with resenje it may be true")
		}
	case call.Library == flight.Tailscale && call.Method == "DoChanContext":
		messages = append(messages,
			"the function's context has the values of the first caller's context, with tailscale it has none; and "+
				"the last caller whose context ends returns at once; with tailscale it waits for the function")
	case call.Library == flight.Groupcache && call.Method == "Do":
		messages = append(messages,
			"a panic in the function reaches every caller, and runtime.Goexit ends them; in groupcache the others wait forever")
	}
	return messages
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// where is a position for a message that stands at another one.
func (s *step) where(n ast.Node) string {
	position := s.Fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", short(position.Filename), position.Line)
}

func short(name string) string { return filepath.Base(name) }
