package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// The comparison fits into 80 columns, and shows what the package is for.
func TestCompare(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-clients", "12"}, &out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("longer than 80 columns: %q", line)
		}
	}
	rows := regexp.MustCompile(`(?m)^  requests that reached the origin +(\d+) +(\d+)$`).FindAllStringSubmatch(out.String(), -1)
	if len(rows) != 4 || rows[0][1] != "12" || rows[2][2] != "12" || !strings.Contains(out.String(), "Nobody got a page") {
		t.Errorf("printed\n%s", &out)
	}
	t.Logf("\n%s", &out)
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-clients", "0"}, {"-clients", "x"}, {"surplus"}} {
		if err := run(t.Context(), args, io.Discard); !errors.Is(err, errArguments) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{"-listen", "256.0.0.1:http"}, io.Discard); err == nil || errors.Is(err, errArguments) {
		t.Errorf("an address that is none: %v", err)
	}
}

// A lockedBuffer is written while it is read.
type lockedBuffer struct {
	mu      sync.Mutex
	buffer  bytes.Buffer
	written chan struct{}
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer close(b.written)
	return b.buffer.Write(p)
}

// -listen serves until its context ends, and says how to try it.
func TestListen(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out := &lockedBuffer{written: make(chan struct{})}
	ended := make(chan error)
	go func() { ended <- run(ctx, []string{"-listen", "127.0.0.1:0"}, out) }()
	<-out.written
	address := regexp.MustCompile(`http://[0-9.:]+`).FindString(out.buffer.String())
	var all sync.WaitGroup
	statuses := make([]string, 3)
	for i := range statuses {
		all.Go(func() {
			response, err := http.Get(address + "/slow")
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			statuses[i] = response.Header.Get("Cache-Status")
		})
	}
	all.Wait()
	for _, status := range statuses {
		if !strings.HasPrefix(status, "gateway; fwd=miss") {
			t.Errorf("Cache-Status is %q", statuses)
		}
	}
	for path, want := range map[string]string{"/": "same for everybody", "/debug/stats": "Led:", "/debug/flights": "gateway at"} {
		response, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s has no %q", path, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
