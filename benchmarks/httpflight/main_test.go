package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The test binary is started as origin and proxy, too.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		serveRole(role)
		return
	}
	os.Exit(m.Run())
}

// A tiny run measures everything, and the bars that don't depend on the machine are met.
func TestTinyRun(t *testing.T) {
	p := &plan{crowds: []int{8}, size: 256 << 10, visitors: 4, rounds: 1, perRound: 3, windowed: 4 << 20, withoutLong: true}
	var out bytes.Buffer
	if err := p.run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"8 clients: requests at the origin | 1.00 | ≤ 1.00 | met",
		"most that was buffered to MaxBuffer",
		"Handler alone to without, 100 bytes",
		"private: slowest first byte to plain",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "| httpflight") && (strings.Contains(line, "requests at the origin") || strings.Contains(line, "was buffered")) && strings.Contains(line, "missed") {
			t.Error(line)
		}
		if strings.HasPrefix(line, "| httpflight") && strings.Contains(line, " MB |") && !strings.HasSuffix(line, "| 0 |\n") {
			t.Errorf("incomplete: %s", line)
		}
	}
}

func TestArguments(t *testing.T) {
	if _, err := planOf([]string{"surplus"}); err == nil {
		t.Error("no error")
	}
}
