package progress

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func follow(w Watcher) {
	bar := w.Begin("counting sheep", 3)
	for i := range 4 {
		bar.Set(i)
	}
	bar.End()
}

func TestNothingIsDrawnWhereNoTerminalIs(t *testing.T) {
	var b bytes.Buffer
	follow(On(&b))
	if b.Len() != 0 {
		t.Errorf("a buffer got %q", &b)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	follow(On(file))
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("a file got %d bytes (%v)", info.Size(), err)
	}
}

func TestBarIsDrawnAndRemoved(t *testing.T) {
	var b bytes.Buffer
	follow(bars{w: &b, visible: true})
	if !strings.Contains(b.String(), "counting sheep") {
		t.Errorf("drawn was %q, without the task", b.String())
	}
	lines := strings.Split(b.String(), "\r")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		t.Errorf("at the end there is still %q", last)
	}
}
