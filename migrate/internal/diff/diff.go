// Package diff compares texts line by line.
package diff

import (
	"fmt"
	"slices"
	"strings"
)

// An op is a line of two texts: of both, or of one of them.
type op struct {
	kind byte // ' ', '-' or '+'
	line string
}

// Unified returns the difference of two texts in the format of diff -u, or ""
// if there is none.
func Unified(name, before, after string) string {
	if before == after {
		return ""
	}
	ops := compare(lines(before), lines(after))
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", name, name)
	const context = 3
	old, now := 1, 1 // the lines at ops[i]
	for i := 0; i < len(ops); {
		if ops[i].kind == ' ' {
			old, now, i = old+1, now+1, i+1
			continue
		}
		from := max(0, i-context)
		to, same := i, 0
		for j := i; j < len(ops) && same <= 2*context; j++ {
			if ops[j].kind == ' ' {
				same++
			} else {
				same, to = 0, j+1
			}
		}
		to = min(len(ops), to+context)
		lead := i - from
		oldCount, newCount := 0, 0
		for _, op := range ops[from:to] {
			if op.kind != '+' {
				oldCount++
			}
			if op.kind != '-' {
				newCount++
			}
		}
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", old-lead, oldCount, now-lead, newCount)
		for _, op := range ops[from:to] {
			b.WriteByte(op.kind)
			b.WriteString(strings.TrimSuffix(op.line, "\n"))
			b.WriteByte('\n')
			if !strings.HasSuffix(op.line, "\n") {
				b.WriteString("\\ No newline at end of file\n")
			}
		}
		old, now, i = old-lead+oldCount, now-lead+newCount, to
	}
	return b.String()
}

// Lines returns for each line of after, from 1, the line of before that it is,
// or comes after.
func Lines(before, after string) []int {
	number := []int{0}
	old := 0
	for _, op := range compare(lines(before), lines(after)) {
		if op.kind != '+' {
			old++
		}
		if op.kind != '-' {
			number = append(number, max(1, old))
		}
	}
	return number
}

func lines(text string) []string {
	all := strings.SplitAfter(text, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// compare finds a shortest difference, by the algorithm of Myers.
func compare(a, b []string) []op {
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	var ops []op
	for _, line := range a[:start] {
		ops = append(ops, op{' ', line})
	}
	ops = append(ops, myers(a[start:len(a)-end], b[start:len(b)-end])...)
	for _, line := range a[len(a)-end:] {
		ops = append(ops, op{' ', line})
	}
	return ops
}

func myers(a, b []string) []op {
	size := len(a) + len(b)
	furthest := make([]int, 2*size+2)
	var trace [][]int
	for d := 0; d <= size; d++ {
		trace = append(trace, slices.Clone(furthest))
		for k := -d; k <= d; k += 2 {
			x := 0
			if k == -d || k != d && furthest[size+k-1] < furthest[size+k+1] {
				x = furthest[size+k+1]
			} else {
				x = furthest[size+k-1] + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			furthest[size+k] = x
			if x >= len(a) && x-k >= len(b) {
				return back(a, b, trace, size)
			}
		}
	}
	return nil
}

// back follows the trace of myers from the end.
func back(a, b []string, trace [][]int, size int) (ops []op) {
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		furthest := trace[d]
		k := x - y
		down := k == -d || k != d && furthest[size+k-1] < furthest[size+k+1]
		beforeK := k - 1
		if down {
			beforeK = k + 1
		}
		beforeX := furthest[size+beforeK]
		if d == 0 {
			beforeX, beforeK = 0, 0
		}
		for x > beforeX && x-k > beforeX-beforeK && x > 0 && y > 0 && a[x-1] == b[y-1] {
			x, y = x-1, y-1
			ops = append(ops, op{' ', a[x]})
		}
		if d == 0 {
			break
		}
		if down {
			y--
			ops = append(ops, op{'+', b[y]})
		} else {
			x--
			ops = append(ops, op{'-', a[x]})
		}
	}
	slices.Reverse(ops)
	return ops
}
