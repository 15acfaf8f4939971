package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// family returns the process ids of a process and its children.
func (p *process) family() []int {
	family := []int{p.cmd.Process.Pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		if fields := statOf(file); len(fields) > 1 && fields[1] == strconv.Itoa(family[0]) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
				family = append(family, pid)
			}
		}
	}
	return family
}

// statOf returns the fields of a stat file after the name: state, parent, and so on.
func statOf(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

// cpu returns the processor time that the process and its children have taken.
func (p *process) cpu() (sum time.Duration) {
	for _, pid := range p.family() {
		fields := statOf(fmt.Sprintf("/proc/%d/stat", pid))
		for _, i := range []int{11, 12} { // user and system, in hundredths of a second
			if i < len(fields) {
				n, _ := strconv.ParseInt(fields[i], 10, 64)
				sum += time.Duration(n) * 10 * time.Millisecond
			}
		}
	}
	return sum
}

// memory returns how much memory the process and its children have now, where what they share counts once.
func (p *process) memory() (sum int64) {
	for _, pid := range p.family() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				sum += n << 10
			}
		}
	}
	return sum
}

// watchMemory looks ten times a second. stop returns the most that it has seen.
func (p *process) watchMemory() (stop func() int64) {
	done := make(chan struct{})
	var most int64
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			most = max(most, p.memory())
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() int64 {
		close(done)
		watching.Wait()
		return most
	}
}
