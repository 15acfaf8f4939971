// Package progress shows how far a long task has come.
package progress

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A Watcher is told of every task that takes long.
type Watcher interface {
	// Begin announces a task of total steps. The task before it has ended.
	Begin(task string, total int) Bar
}

// A Bar follows one task. Its methods are called from one goroutine at a time.
type Bar interface {
	Set(done int)
	End()
}

// On draws a bar on w for each task, and removes it at the task's end. It draws nothing if w is no terminal.
func On(w io.Writer) Watcher {
	file, ok := w.(*os.File)
	return bars{w: w, visible: ok && term.IsTerminal(int(file.Fd()))}
}

type bars struct {
	w       io.Writer
	visible bool
}

func (b bars) Begin(task string, total int) Bar {
	return bar{progressbar.NewOptions(total,
		progressbar.OptionSetWriter(b.w),
		progressbar.OptionSetVisibility(b.visible),
		progressbar.OptionSetDescription(task),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionClearOnFinish(),
	)}
}

// A bar that can't be drawn is no reason to stop the task, so the errors are dropped.
type bar struct{ drawn *progressbar.ProgressBar }

func (b bar) Set(done int) { _ = b.drawn.Set(done) }
func (b bar) End()         { _ = b.drawn.Finish() }
