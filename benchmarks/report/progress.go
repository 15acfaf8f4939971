package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a run is. It writes only between measurements.
type progress struct {
	bar *progressbar.ProgressBar // nil: show nothing
	to  io.Writer
}

// newProgress shows progress on a terminal, and nothing elsewhere.
func newProgress(to io.Writer) *progress {
	p := &progress{to: to}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(1,
			progressbar.OptionSetWriter(to),
			progressbar.OptionSetWidth(20),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// step says what is measured next, how many measurements are done, and of how
// many.
func (p *progress) step(name string, done, all int) {
	if p.bar == nil {
		return
	}
	p.bar.ChangeMax(all)
	p.bar.Describe(name)
	// A terminal that can't be written to is no reason to stop measuring.
	_ = p.bar.Set(done)
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
